"""The policy's own tests, as read."""

from __future__ import annotations

from math import inf

import pytest

from authz_middleware.document import Document, Report, Section
from authz_middleware.facts import Principal
from authz_middleware.policy import cases
from authz_middleware.policy.cases import EVERY_METHOD, Case, Expectation
from authz_middleware.policy.resources import Unloaded


def load(*tests, issuers=("https://x",), roles=None) -> tuple[tuple[Case, ...], list[str]]:
    report = Report(Document.from_mapping({"tests": list(tests)}))
    found = cases.load(Section.top(report), issuers=issuers, roles=roles)
    return found, [str(problem) for problem in report.problems]


def test_a_caller_is_read_whole() -> None:
    (case,), problems = load(
        {
            "as": {
                "subject": "ann",
                "issuer": "https://y",
                "roles": ["viewer"],
                "permissions": ["p"],
                "scopes": ["s"],
                "claims": {"tenant": {"id": [1]}},
            },
            "allow": ["GET /a"],
        },
        issuers=("https://x", "https://y"),
    )
    assert problems == []
    assert case.where == "tests[0]"
    assert case.principal == Principal(
        subject="ann",
        issuer="https://y",
        roles=frozenset({"viewer"}),
        permissions=frozenset({"p"}),
        scopes=frozenset({"s"}),
        claims={"tenant": {"id": (1,)}},  # type: ignore[arg-type]  # equal to Claims
        expires_at=inf,
    )


def test_a_caller_needs_nothing_and_comes_from_the_first_issuer() -> None:
    (case,), problems = load({"as": {}, "allow": ["/"]})
    assert problems == []
    assert case.principal == Principal(subject="test", issuer="https://x", expires_at=inf)


def test_without_issuers_there_is_nothing_to_compare() -> None:
    (case,), problems = load({"as": {}, "allow": ["/"]}, issuers=())
    assert problems == []
    assert case.principal == Principal(subject="test", issuer="", expires_at=inf)


def test_anonymous_is_nobody() -> None:
    (case,), problems = load({"as": "anonymous", "deny": ["GET /a"]})
    assert problems == []
    assert case.principal is None


def test_allowed_without_a_method_is_get_and_denied_is_every_method() -> None:
    (case,), problems = load(
        {"as": "anonymous", "allow": ["/a", "PUT|WS /b"], "deny": ["/c", "HEAD /d"]}
    )
    assert problems == []
    assert case.expectations == (
        Expectation("GET", "/a", True, "tests[0].allow[0]"),
        Expectation("PUT", "/b", True, "tests[0].allow[1]"),
        Expectation("WS", "/b", True, "tests[0].allow[1]"),
        *(Expectation(method, "/c", False, "tests[0].deny[0]") for method in EVERY_METHOD),
        Expectation("HEAD", "/d", False, "tests[0].deny[1]"),
    )


def test_a_misspelt_role_would_pass_every_deny() -> None:
    test = {"as": {"roles": ["viewr"]}, "deny": ["/a"]}
    _, problems = load(test, roles={"viewer"})
    (problem,) = problems
    assert problem.startswith(
        "tests[0].as.roles: role `viewr` is not defined in [roles]; add it th"
    )
    assert load(test, roles=None)[1] == []


def test_a_mistake_in_one_line_keeps_the_others() -> None:
    (case,), problems = load({"as": "anonymous", "allow": ["nowhere", "GET /a"]})
    assert [each.path for each in case.expectations] == ["/a"]
    assert len(problems) == 1


@pytest.mark.parametrize(
    ("test", "problem"),
    [
        ({"allow": ["/a"]}, "tests[0]: `as` says who calls"),
        ({"as": "ann", "allow": ["/a"]}, "tests[0].as: `as` says who calls"),
        ({"as": {}}, "tests[0]: this test expects nothing"),
        ({"as": {}, "allow": [], "deny": []}, "tests[0]: this test expects nothing"),
        ({"as": {"issuer": "z"}, "allow": ["/"]}, "tests[0].as.issuer: `z` is not one of the"),
        ({"as": {"roles": "a"}, "allow": ["/"]}, "tests[0].as.roles: `roles` must be a list"),
        ({"as": {"claims": 1}, "allow": ["/"]}, "tests[0].as.claims: `claims` must be a table"),
        ({"as": {}, "allow": ["/a/../b"]}, "tests[0].allow: `/a/../b` is refused with 400"),
    ],
)
def test_a_mistake_is_reported(test, problem) -> None:
    _, problems = load(test)
    assert len(problems) == 1
    assert problems[0].startswith(problem)


def test_a_caller_of_another_type_is_reported() -> None:
    (case,), problems = load({"as": 1, "allow": ["/"]})
    assert case.principal is None
    assert any("`as` says who calls" in problem for problem in problems)


@pytest.mark.parametrize(
    ("resource", "found"),
    [
        ({"owner": "ann"}, {"owner": "ann"}),
        ({}, {}),
        ("missing", Unloaded.MISSING),
    ],
)
def test_what_loaders_find(resource: object, found: object) -> None:
    (case,), problems = load({"as": {}, "resource": resource, "allow": ["/"]})
    assert problems == []
    assert case.resource == found


@pytest.mark.parametrize(
    ("resource", "what"),
    [
        ("mising", "`resource` says what loaders find"),
        (["ann"], "`resource` must be a table"),
    ],
)
def test_what_loaders_cannot_find(resource: object, what: str) -> None:
    _, problems = load({"as": {}, "resource": resource, "allow": ["/"]})
    assert [what in str(problem) for problem in problems] == [True]
