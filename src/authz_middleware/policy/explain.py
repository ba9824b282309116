"""Why a request is let in or refused: what each requirement found, and the nearest miss.

Made when a request is refused, or when somebody asks; never for one that is let in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from authz_middleware.facts import Decision, Outcome, Reason, RuleFinding
from authz_middleware.policy.findings import Found, Miss, find
from authz_middleware.policy.needs import Asked, Stage
from authz_middleware.policy.rules import Requirement
from authz_middleware.policy.words import in_words

__all__ = ["explain"]


@dataclass(frozen=True, slots=True)
class _Found(RuleFinding):
    """... and why it is not met; None if it is."""

    finding: Found | None = None
    miss: Miss | None = None


def explain(requirements: tuple[Requirement, ...], asked: Asked) -> Decision:
    """Explain what `requirements` (of `Policy.find`) say to a caller who is verified or nobody.

    The decision has the findings of them all.
    """
    return _decision(tuple(_rule(each, asked) for each in requirements), asked)


def _rule(requirement: Requirement, asked: Asked) -> _Found:
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
    return _Found(kind, ref, _came(miss, error=error), found, miss)


def _came(miss: Miss | None, *, error: bool) -> Outcome:
    return "met" if miss is None else "error" if error else "not met"


_DENIED: Mapping[Reason, str] = {
    "no_rule": "no rule is for this path",
    "method_not_listed": "the rule for this path does not list this method",
    "denied_by_rule": "the rule lets nobody in",
}


def _forbid(requirement: Requirement, found: Found | None, asked: Asked) -> _Found:
    kind, ref = requirement.kind, requirement.ref
    if requirement.met(asked):
        return _Found(kind, ref, "met", found)
    whom = "everybody" if requirement.need is None else in_words(requirement.need)
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
    return _Found(kind, ref, _came(miss, error=error), found, miss)


_none: tuple[str, ...] = ()


def _decision(rules: tuple[_Found, ...], asked: Asked) -> Decision:
    missed = [(rule, rule.miss) for rule in rules if rule.miss is not None]
    if not missed:
        return Decision(True, "allowed", rules[0].ref, findings=rules)
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
        findings=rules,
    )
