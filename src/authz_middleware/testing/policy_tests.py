"""Runs the policy's own tests, its `[[tests]]`, and says what came of each request."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from authz_middleware.facts import Decision, Principal
from authz_middleware.policy.canonical import readings
from authz_middleware.policy.cases import Case, Expectation
from authz_middleware.policy.model import Policy
from authz_middleware.runtime.authz import Authz

__all__ = ["PolicyTestReport", "PolicyTestResult", "run_policy_tests"]


@dataclass(frozen=True, slots=True)
class PolicyTestResult:
    """One request of a test. ERROR means that the request decides nothing: it is ambiguous."""

    outcome: Literal["PASS", "FAIL", "ERROR"]
    request: str  # "GET /articles/1"
    caller: str  # the subject, with the roles, permissions and scopes that the test gives it
    expected: Literal["allow", "deny"]
    decision: Decision
    where: str  # file:line:column of the expectation

    def __str__(self) -> str:
        came = "allowed" if self.decision.allowed else f"refused, {self.decision.reason}"
        if self.decision.nearest_miss:
            came += f" ({self.decision.nearest_miss})"
        if self.decision.rule is not None:
            came += f" by {self.decision.rule}"
        return (
            f"{self.outcome:5}  {self.where}: {self.request} as {self.caller}: "
            f"expected {self.expected}, {came}"
        )


@dataclass(frozen=True, slots=True)
class PolicyTestReport:
    """All results, in the order of the policy file."""

    results: tuple[PolicyTestResult, ...]

    @property
    def ok(self) -> bool:
        """Whether every request came out as expected; also true where nothing was tested."""
        return all(result.outcome == "PASS" for result in self.results)

    def __str__(self) -> str:
        """List what did not pass, then count."""
        counts = Counter(result.outcome for result in self.results)
        lines = [str(result) for result in self.results if result.outcome != "PASS"]
        total = f"{len(self.results)} request{'' if len(self.results) == 1 else 's'}"
        lines.append(
            f"{total}: {counts['PASS']} passed, {counts['FAIL']} failed, {counts['ERROR']} in error"
        )
        return "\n".join(lines)


def run_policy_tests(
    policy: str | os.PathLike[str] | Mapping[str, Any] | Authz,
) -> PolicyTestReport:
    """Run the `[[tests]]` of a policy: its file, a mapping, or an `Authz`.

    Raises `PolicyError` if the policy cannot be compiled. Nothing is fetched, and no token is
    needed: the callers are taken at the test's word.
    """
    if not isinstance(policy, Authz):
        policy = (
            Authz.from_mapping(policy) if isinstance(policy, Mapping) else Authz.from_file(policy)
        )
    settings, now = policy.serving.settings, policy.serving.clock()
    return PolicyTestReport(tuple(_results(settings.cases, settings.policy, now)))


def _results(cases: tuple[Case, ...], policy: Policy, now: float) -> Iterator[PolicyTestResult]:
    for case in cases:
        caller = _describe(case.principal)
        principal = policy.roles.expand(case.principal) if case.principal else None
        for expectation in case.expectations:
            decision = _decide(policy, principal, expectation, now)
            outcome: Literal["PASS", "FAIL", "ERROR"]
            if decision.reason == "path_ambiguous":
                outcome = "ERROR"
            else:
                outcome = "PASS" if decision.allowed == expectation.allowed else "FAIL"
            yield PolicyTestResult(
                outcome,
                f"{expectation.method} {expectation.path}",
                caller,
                "allow" if expectation.allowed else "deny",
                decision,
                expectation.where,
            )


def _decide(
    policy: Policy, principal: Principal | None, expected: Expectation, now: float
) -> Decision:
    requirements = policy.find(expected.method, readings(expected.path, ""))
    if requirements is None:
        return Decision(False, "path_ambiguous")
    if forbidden := policy.forbidden(requirements, now):
        return forbidden
    if principal is not None:
        return policy.decide(requirements, principal, now)
    return policy.anonymous(requirements, now)


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
