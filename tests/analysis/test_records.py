"""RecordedDecision decisions under another policy, and rights that nobody used."""

from __future__ import annotations

from typing import Any

import pytest

from authz_middleware.analysis.records import replay, suggest
from authz_middleware.document import Document
from authz_middleware.observe.record import RecordedDecision
from authz_middleware.runtime import settings

ISSUER = "https://login.example.com"


def compiled(**routes: Any) -> settings.Settings:
    mapping = {
        "pdp": {"orders": {"url": "https://pdp.example.com", "on_failure": "deny"}},
        "issuers": [{"issuer": ISSUER, "audience": ["a"], "claims": {"permissions": "p"}}],
        "roles": {
            "viewer": ["read"],
            "editor": {"inherits": ["viewer"], "permissions": ["write"]},
            "admin": {"inherits": ["editor"]},
            "auditor": [],
        },
        "routes": {"GET /a": ["viewer"], **routes},
    }
    return settings.load(Document.from_mapping(mapping))


def record(*roles: str, **members: Any) -> RecordedDecision:
    usual: dict[str, Any] = {
        "allowed": True,
        "reason": "allowed",
        "rule": "GET /a",
        "kind": "http",
        "method": "GET",
        "path": "/a",
        "asked": "",
        "subject": "ann",
        "issuer": ISSUER,
        "roles": roles,
        "permissions": (),
        "scopes": (),
    }
    return RecordedDecision(**usual | members)


NOBODY = {"subject": None, "issuer": None, "allowed": False, "reason": "no_credentials"}
FLIPS: dict[str, tuple[dict[str, Any], list[RecordedDecision], list[tuple[Any, ...]]]] = {
    "as before": ({}, [record("viewer"), record(**NOBODY)], []),
    "a role is not enough any more": (
        {"GET /a": ["admin"]},
        [record("viewer"), record("viewer"), record("admin")],
        [("GET /a", "ann (viewer)", True, False, 2)],
    ),
    "an open route": (
        {"GET /a": "public"},
        [record(**NOBODY)],
        [("GET /a", "anonymous", False, True, 1)],
    ),
    "an issuer that is not known": (
        {},
        [record("viewer", issuer="https://other.example.com")],
        [("GET /a", "ann (viewer)", True, False, 1)],
    ),
    "permissions of the token": (
        {"GET /a": {"permissions": ["p"]}},
        [record(permissions=("p",)), record()],
        [("GET /a", "ann (no roles)", True, False, 1)],
    ),
    "a WebSocket": (
        {"WS /a": ["admin"]},
        [record("viewer", kind="websocket")],
        [("WS /a", "ann (viewer)", True, False, 1)],
    ),
}


@pytest.mark.parametrize(("routes", "records", "expected"), FLIPS.values(), ids=FLIPS)
def test_what_flips(
    routes: dict[str, Any], records: list[RecordedDecision], expected: list[tuple[Any, ...]]
) -> None:
    found = replay(records, compiled(**routes), 0)
    flips = [(each.request, each.caller, each.before, each.now, each.times) for each in found.flips]
    assert flips == expected
    assert (found.decided, found.undecided) == (len(records), 0)


SKIPPED = {
    "a question of a handler": record(asked="write"),
    "bytes that are no path": record(path=None),
    "an outage": record(allowed=False, reason="keys_unavailable"),
}


@pytest.mark.parametrize("left_out", SKIPPED.values(), ids=SKIPPED)
def test_what_is_left_out(left_out: RecordedDecision) -> None:
    found = replay([left_out], compiled(**{"GET /a": "deny"}), 0)
    assert (found.flips, found.decided, found.undecided) == ((), 0, 0)


UNDECIDED: dict[str, dict[str, Any]] = {
    "claims": {"roles": ["viewer"], "when": "subject.claims.tenant == 'x'"},
    "the age of the authentication": {"max_age": 60},
    "what a decision point said": {"pdp": "orders"},
}


@pytest.mark.parametrize("rule", UNDECIDED.values(), ids=UNDECIDED)
def test_what_was_not_recorded_is_undecided(rule: dict[str, Any]) -> None:
    found = replay([record("viewer")], compiled(**{"GET /a": rule}), 0)
    assert (found.flips, found.decided, found.undecided) == ((), 0, 1)


USED: dict[str, tuple[list[str], list[RecordedDecision], list[str] | None]] = {
    "all of it": (["viewer"], [record("viewer")], None),
    "nobody": (["viewer"], [], []),
    "one of two": (["auditor", "viewer"], [record("viewer")], ["viewer"]),
    "the narrower of two": (["admin", "viewer"], [record("admin")], ["admin"]),
    "one who needs the wider": (
        ["admin", "viewer"],
        [record("admin"), record("viewer")],
        ["viewer"],
    ),
    "a refusal is no use": (["viewer"], [record("viewer", allowed=False)], []),
    "a question is no use": (["viewer"], [record("viewer", asked="read")], []),
}


@pytest.mark.parametrize(("written", "records", "used"), USED.values(), ids=USED)
def test_what_was_used(
    written: list[str], records: list[RecordedDecision], used: list[str] | None
) -> None:
    found = suggest(records, compiled(**{"GET /a": written}))
    assert [list(each.used) for each in found] == ([] if used is None else [used])


def test_rules_that_ask_for_more_are_left_alone() -> None:
    rules = {"GET /a": "public", "GET /b": {"scopes": ["s"]}, "GET /c": "authenticated"}
    assert suggest([], compiled(**rules)) == ()


@pytest.mark.parametrize("roles", [[], ["viewer"], ["admin"], ["viewer", "auditor"]])
def test_the_suggestion_lets_in_who_was_let_in(roles: list[str]) -> None:
    records = [record(role) for role in roles]
    before = compiled(**{"GET /a": ["viewer", "admin", "auditor"]})
    (found,) = suggest(records, before)
    after = compiled(**{"GET /a": list(found.used) or "deny"})
    assert replay(records, after, 0).flips == ()
