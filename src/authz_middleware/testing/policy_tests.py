"""Runs the policy's own tests, its `[[tests]]`, and says what came of each request."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, cast

from authz_middleware.document import Document, Report, Section
from authz_middleware.facts import Decision, Principal, RuleRef
from authz_middleware.policy import cases
from authz_middleware.policy.canonical import readings
from authz_middleware.policy.cases import Case
from authz_middleware.policy.explain import explain
from authz_middleware.policy.model import Policy, Requirement
from authz_middleware.policy.mutants import mutants
from authz_middleware.policy.needs import Asked
from authz_middleware.policy.questions import NOT_PUT, Answers
from authz_middleware.policy.resources import Resources
from authz_middleware.policy.supposing import supposed
from authz_middleware.policy.words import BY_CLIENT
from authz_middleware.progress import Progress, untold
from authz_middleware.runtime.authz import NOT_ASKED, Authz
from authz_middleware.runtime.settings import Settings, check_cases

__all__ = ["PolicyTestReport", "PolicyTestResult", "run_policy_tests"]


@dataclass(frozen=True, slots=True)
class PolicyTestResult:
    """One request of a test.

    ERROR means that it decides nothing: its path is ambiguous, or it hangs on an object or on a
    decision point of which the test says nothing.
    `explanation` is what each rule found that had a say, on lines of their own.
    """

    outcome: Literal["PASS", "FAIL", "ERROR"]
    request: str  # "GET /articles/1"
    caller: str  # the subject, with the roles, permissions and scopes that the test gives it
    expected: Literal["allow", "deny"]
    decision: Decision
    where: str  # file:line:column of the expectation
    explanation: str = ""

    @property
    def got(self) -> str:
        """What came of it, in a line: "refused, role_missing (needs the role `admin`; has …)"."""
        came = "allowed" if self.decision.allowed else f"refused, {self.decision.reason}"
        if self.decision.nearest_miss:
            came += f" ({self.decision.nearest_miss})"
        if self.decision.rule is not None:
            came += f" by {self.decision.rule}"
        return came

    def __str__(self) -> str:
        return (
            f"{self.outcome:5}  {self.where}: {self.request} as {self.caller}: "
            f"expected {self.expected}, {self.got}"
        )


@dataclass(frozen=True, slots=True)
class PolicyTestReport:
    """All results, in the order of the policy file.

    `untouched` are the rules, and entries of [forbid], that no request of a test meets.
    `unnoticed` is only filled with `mutate`: each rule with what could be deleted from it, and no
    test would fail.
    """

    results: tuple[PolicyTestResult, ...]
    untouched: tuple[RuleRef, ...] = ()
    unnoticed: tuple[tuple[RuleRef, str], ...] = ()
    rules: int = 0
    """How many rules and entries of [forbid] there are."""
    by_client: tuple[RuleRef, ...] = ()  # rules that let in by header fields or the query

    @property
    def ok(self) -> bool:
        """Whether every request came out as expected; also true where nothing was tested."""
        return all(result.outcome == "PASS" for result in self.results)

    @property
    def counts(self) -> Mapping[str, int]:
        """How many requests came to PASS, FAIL and ERROR."""
        found = Counter(result.outcome for result in self.results)
        return {outcome: found[outcome] for outcome in ("PASS", "FAIL", "ERROR")}

    def __str__(self) -> str:
        """List what did not pass, then count."""
        counts = self.counts
        lines = [str(result) for result in self.results if result.outcome != "PASS"]
        total = f"{len(self.results)} request{'' if len(self.results) == 1 else 's'}"
        lines.append(
            f"{total}: {counts['PASS']} passed, {counts['FAIL']} failed, {counts['ERROR']} in error"
        )
        lines += [f"NOTE   {ref} {BY_CLIENT}" for ref in self.by_client]
        return "\n".join(lines)


def run_policy_tests(
    policy: str | os.PathLike[str] | Mapping[str, Any] | Authz,
    *,
    tests: Sequence[str | os.PathLike[str]] = (),
    mutate: bool = False,
    progress: Progress = untold,
) -> PolicyTestReport:
    """Run the `[[tests]]` of a policy (its file, a mapping, or an `Authz`), and those of files.

    `tests` are files that hold `[[tests]]` and nothing else. With `mutate` every requirement is
    tried with one thing less, to see whether some test fails without it; `progress` goes through
    the requirements then, and may tell how far that has come. Raises `PolicyError` if the policy
    or a file of tests cannot be read. Nothing is fetched, and no token is needed: the callers are
    taken at the test's word.
    """
    if not isinstance(policy, Authz):
        compiled = Authz.from_mapping if isinstance(policy, Mapping) else Authz.from_file
        policy = compiled(cast("Any", policy), loaders=NOT_ASKED)
    settings, now = policy.serving.settings, policy.serving.clock()
    every = [*settings.cases, *(case for name in tests for case in _read(name, settings))]
    asked = list(_asked(every, settings.policy, now))
    known = (*settings.policy.requirements, *settings.policy.forbids.requirements)
    touched = {id(each.origin) for one in asked for each in one.requirements or ()}
    return PolicyTestReport(
        tuple(one.result(settings.policy) for one in asked),
        tuple(each.ref for each in known if id(each) not in touched),
        tuple(_unnoticed(progress(known), asked, settings.policy)) if mutate else (),
        len(known),
        settings.policy.by_client,
    )


def _read(name: str | os.PathLike[str], settings: Settings) -> tuple[Case, ...]:
    """Read a file of tests. Raises PolicyError."""
    report = Report(Document.read(name))
    root = Section.top(report)
    root.only({"tests"})
    found = cases.load(
        root,
        issuers=settings.issuers,
        roles=settings.policy.roles.declared,
        pdps=settings.pdps,
    )
    check_cases(root, found, settings.issuers.values())
    report.raise_if_any()
    return found


_UNDECIDED: Final = ("path_ambiguous", "resource_unavailable")


class _Asked(NamedTuple):
    """One request of a test, and what it must meet; None is a 400."""

    case: Case
    principal: Principal | None  # expanded
    expectation: cases.Expectation
    requirements: tuple[Requirement, ...] | None
    now: float

    def decision(self, policy: Policy, requirements: tuple[Requirement, ...] | None) -> Decision:
        if requirements is None:
            return Decision(False, "path_ambiguous")
        facts = self.case.facts(self.expectation)
        if forbidden := policy.forbidden(requirements, self.now, facts):
            return forbidden
        if self.principal is not None:
            known = self.known(policy, requirements)
            return policy.decide(requirements, self.principal, self.now, facts, *known)
        return policy.anonymous(requirements, self.now, facts)

    def known(
        self, policy: Policy, requirements: tuple[Requirement, ...]
    ) -> tuple[Resources, Answers]:
        """Return what is loaded, and what decision points say, by the word of the test."""
        case, facts = self.case, self.case.facts(self.expectation)
        return supposed(
            policy, requirements, self.principal, self.now, facts, case.resource, case.pdps
        )

    def result(self, policy: Policy) -> PolicyTestResult:
        decision = self.decision(policy, self.requirements)
        expected = self.expectation
        outcome: Literal["PASS", "FAIL", "ERROR"]
        if decision.reason in _UNDECIDED or decision.detail == NOT_PUT.why:
            outcome = "ERROR"
        else:
            outcome = "PASS" if decision.allowed == expected.allowed else "FAIL"
        why = ""
        if outcome == "FAIL" and self.requirements:
            resources, answers = self.known(policy, self.requirements)
            facts = self.case.facts(expected)
            asked = Asked(self.principal, self.now, facts, resources=resources, answers=answers)
            rules = explain(self.requirements, asked).findings
            why = "\n".join(map(str, rules))
        return PolicyTestResult(
            outcome,
            f"{expected.method} {expected.path}",
            _describe(self.case.principal),
            "allow" if expected.allowed else "deny",
            decision,
            expected.where,
            why,
        )


def _asked(every: Iterable[Case], policy: Policy, now: float) -> Iterator[_Asked]:
    for case in every:
        principal = policy.roles.expand(case.principal) if case.principal else None
        for expected in case.expectations:
            found = policy.find(expected.method, readings(expected.path, ""))
            at = case.context.time
            yield _Asked(case, principal, expected, found, now if at is None else at)


def _unnoticed(
    known: Iterable[Requirement], asked: Sequence[_Asked], policy: Policy
) -> Iterator[tuple[RuleRef, str]]:
    """Yield each rule with what no test would miss, of rules that are tested at all."""
    for requirement in known:
        few = [
            (one, one.requirements)
            for one in asked
            if one.requirements and any(each.origin is requirement for each in one.requirements)
        ]
        for mutant in mutants(requirement) if few else ():
            if all(
                one.decision(policy, found).allowed
                == one.decision(policy, mutant.put(found)).allowed
                for one, found in few
            ):
                yield requirement.ref, mutant.dropped


def _describe(principal: Principal | None) -> str:
    if principal is None:
        return "anonymous"
    held = [
        f"{name} {', '.join(sorted(names))}"
        for name, names in (
            ("roles", principal.roles),
            ("permissions", principal.permissions),
            ("scopes", principal.scopes),
        )
        if names
    ]
    return f"{principal.subject} ({'; '.join(held)})" if held else principal.subject
