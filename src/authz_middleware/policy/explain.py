"""Why a request is let in or refused: what each requirement found, and the nearest miss.

Made when a request is refused, or when somebody asks; never for one that is let in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from authz_middleware.facts import Decision, Reason, RuleRef
from authz_middleware.policy.findings import Finding, Miss, Outcome, find, words
from authz_middleware.policy.needs import Asked, Stage
from authz_middleware.policy.rules import Kind, Requirement

__all__ = ["Explanation", "RuleFinding", "explain"]


@dataclass(frozen=True, slots=True)
class RuleFinding:
    """What one requirement found: of a rule, or a "forbid", which is met if it does not hold.

    `finding` is that of what it names; None for a word. `miss` is None if it is met.
    """

    kind: Kind
    ref: RuleRef
    outcome: Outcome
    finding: Finding | None = None
    miss: Miss | None = None

    def __str__(self) -> str:
        """The rule on a line, and on those below what each of its parts found."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{self.kind} {self.ref}: {self.outcome}"
        if self.finding is not None:
            yield from self.finding.lines(1)


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision, and what every requirement found that had a say in it."""

    decision: Decision
    rules: tuple[RuleFinding, ...]

    def __str__(self) -> str:
        """Lines for people: the decision, the nearest miss, then the rules."""
        decision = self.decision
        head = "allowed" if decision.allowed else f"refused, {decision.reason}"
        miss = f": {decision.nearest_miss}" if decision.nearest_miss else ""
        return "\n".join([f"{head} by {decision.rule}{miss}", *map(str, self.rules)])


def explain(requirements: tuple[Requirement, ...], asked: Asked) -> Explanation:
    """Explain what `requirements` (of `Policy.find`) say to a caller who is verified or nobody."""
    rules = tuple(_rule(each, asked) for each in requirements)
    return Explanation(_decision(rules, asked), rules)


def _rule(requirement: Requirement, asked: Asked) -> RuleFinding:
    kind, ref, need = requirement.kind, requirement.ref, requirement.need
    found = find(need, requirement.asking(asked)) if need is not None else None
    if kind == "forbid":
        return _forbid(requirement, found, asked)
    miss = found.miss if found is not None else None
    if kind != "public" and asked.principal is None:
        miss = Miss(Stage.CREDENTIALS, "no_credentials", (), "needs a verified caller")
    elif kind == "deny":
        miss = Miss(Stage.RULE, requirement.refused_as, (), _DENIED[requirement.refused_as])
    error = found is not None and found.outcome == "error"
    return RuleFinding(kind, ref, _came(miss, error=error), found, miss)


def _came(miss: Miss | None, *, error: bool) -> Outcome:
    return "met" if miss is None else "error" if error else "not met"


_DENIED: Mapping[Reason, str] = {
    "no_rule": "no rule is for this path",
    "method_not_listed": "the rule for this path does not list this method",
    "denied_by_rule": "the rule lets nobody in",
}


def _forbid(requirement: Requirement, found: Finding | None, asked: Asked) -> RuleFinding:
    kind, ref = requirement.kind, requirement.ref
    if requirement.met(asked):
        return RuleFinding(kind, ref, "met", found)
    whom = "everybody" if requirement.need is None else words(requirement.need)
    detail = found.miss.detail if found and found.miss else ""
    to_all = requirement.forbids_all
    miss = Miss(
        Stage.FORBIDDEN_TO_ALL if to_all else Stage.FORBIDDEN_TO_CALLER,
        # Nobody who calls without a name is told that another token would help.
        "forbidden" if to_all or asked.principal is None else "forbidden_to_caller",
        (),
        f"forbidden to {whom}",
        detail,
    )
    error = found is not None and found.outcome == "error"
    return RuleFinding(kind, ref, _came(miss, error=error), found, miss)


_none: tuple[str, ...] = ()


def _decision(rules: tuple[RuleFinding, ...], asked: Asked) -> Decision:
    missed = [(rule, rule.miss) for rule in rules if rule.miss is not None]
    if not missed:
        return Decision(True, "allowed", rules[0].ref)
    # The first of the earliest stage; within one requirement the parts have been compared.
    rule, miss = min(missed, key=lambda each: each[1].stage)
    findings = [each.finding for each in rules if each.finding and each.kind != "forbid"]
    missing, scopes = miss.missing, _none
    if miss.stage is Stage.SCOPES:
        # Everything that the route requires, so that one new token is enough (RFC 6750 §3.1).
        held = asked.principal.scopes if asked.principal else _none
        scopes = tuple(dict.fromkeys(name for found in findings for name in found.scopes))
        missing = tuple(name for name in scopes if name not in held)
    acr, max_age = _none, None
    if Stage.ACR <= miss.stage <= Stage.MAX_AGE:
        acr = miss.missing or next((found.acr for found in findings if found.acr), _none)
        max_age = min((f.max_age for f in findings if f.max_age is not None), default=None)
    return Decision(
        False,
        miss.reason,
        rule.ref,
        missing=missing,
        scopes=scopes,
        detail=miss.detail,
        acr_values=acr,
        max_age=max_age,
        nearest_miss=miss.text,
    )
