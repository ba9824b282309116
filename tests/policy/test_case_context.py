"""`context` of a test: what its requests come with, and what is refused there."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from authz_middleware.document import Document
from authz_middleware.errors import PolicyError
from authz_middleware.facts import Surroundings
from authz_middleware.policy.case_context import HERE_AND_NOW, CaseContext
from authz_middleware.policy.cases import Case
from authz_middleware.runtime import settings
from authz_middleware.testing import run_policy_tests

ISSUER = {"issuer": "https://login.example.com", "audience": ["x"]}
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def case(context: Any) -> Case:
    test = {"as": {}, "allow": ["GET /a"], "context": context}
    mapping = {"issuers": [ISSUER], "routes": {"/a": "authenticated"}, "tests": [test]}
    (found,) = settings.load(Document.from_mapping(mapping)).cases
    return found


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ({}, HERE_AND_NOW),
        ({"time": NOON}, CaseContext(NOON.timestamp())),
        ({"time": "2026-01-05T13:00:00+01:00"}, CaseContext(NOON.timestamp())),
        ({"ip": "192.0.2.1"}, CaseContext(None, Surroundings("192.0.2.1", "", {}, ""))),
        (
            {"ip": "192.0.2.1", "scheme": "https", "host": "a", "headers": {"x-a": "1"}},
            CaseContext(None, Surroundings("192.0.2.1", "https", {"x-a": "1", "host": "a"}, "")),
        ),
        (
            {"query": {"a": "1 2", "b": ["", "\xe4"]}},
            CaseContext(None, Surroundings(None, "", {}, "a=1+2&b=&b=%C3%A4")),
        ),
    ],
)
def test_what_a_request_comes_with(context, expected) -> None:
    found = case(context)
    assert found.context == expected
    assert found.facts(found.expectations[0]).around == expected.around


@pytest.mark.parametrize(
    ("context", "what"),
    [
        ({"tim": NOON}, "`tim` is not a key"),
        ({"time": datetime(2026, 1, 5, 12)}, "`time` is no time with a zone"),  # noqa: DTZ001
        ({"time": "noon"}, "`time` is no time with a zone"),
        ({"time": 1}, "`time` is no time with a zone"),
        ({"scheme": "https"}, "a scheme is that of a client's connection"),
        ({"headers": {"X-A": "1"}}, "no condition reads the field `X-A`"),
        ({"headers": {"cookie": "1"}}, "no condition reads the field `cookie`"),
        ({"headers": {"x-a": 1}}, "`x-a` must be a string"),
        ({"headers": 1}, "`headers` must be a table"),
        ({"query": {"a": 1}}, "must be a string or a list of strings"),
        (1, "`context` must be a table"),
    ],
)
def test_what_is_refused(context, what) -> None:
    with pytest.raises(PolicyError) as caught:
        case(context)
    (problem,) = caught.value.problems
    assert what in problem.what
    assert problem.where.startswith("tests[0].context")


@pytest.mark.parametrize(("hour", "passes"), [(8, True), (18, False)])
def test_the_time_of_a_test_is_that_of_its_requests(hour, passes) -> None:
    """Of conditions and of `max_age`, of what is required and of what is forbidden."""
    when = {"time": datetime(2026, 1, 5, hour, tzinfo=UTC)}
    claims = {"auth_time": int(datetime(2026, 1, 5, 8, tzinfo=UTC).timestamp())}
    report = run_policy_tests(
        {
            "issuers": [ISSUER],
            "routes": {
                "GET /a": {"when": "context.time.getHours() < 9"},
                "GET /b": {"max_age": 300},
                "GET /c": "public",
            },
            "forbid": {"f": {"path": "/c", "when": "context.time.getHours() >= 9"}},
            "tests": [
                {
                    "as": {"claims": claims},
                    "context": when,
                    "allow" if passes else "deny": ["GET /a", "GET /b", "GET /c"],
                },
                {"as": "anonymous", "context": when, "allow" if passes else "deny": ["GET /c"]},
            ],
        }
    )
    assert report.ok, str(report)
