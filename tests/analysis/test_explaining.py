"""One decision step by step, the same as the middleware's."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest

from authz_middleware import Authz
from authz_middleware.analysis.explaining import (
    ANONYMOUS,
    by_claims,
    by_roles,
    by_token,
    explain,
)
from authz_middleware.facts import Authorization, RequestFacts
from authz_middleware.testing import DevelopmentIssuer, FrozenClock

NOW = 1_000_000.0
CLOCK = FrozenClock(NOW)
ISSUER = DevelopmentIssuer("https://login.example", "orders", clock=CLOCK)
OTHER = DevelopmentIssuer("https://other.example", "orders", clock=CLOCK)


def authz(*issuers: dict[str, Any], **more: Any) -> Authz:
    return Authz.from_mapping(
        {
            "issuers": list(issuers) or [ISSUER.policy_issuer()],
            "roles": {"viewer": ["read"], "editor": {"inherits": ["viewer"]}},
            "routes": {
                "GET /open": "public",
                "GET /me": "authenticated",
                "GET /a/<int:id>": ["viewer"],
                "WS /feed": ["viewer"],
            },
            "forbid": {"freeze": {"path": "/frozen"}},
            **more,
        },
        clock=CLOCK,
    )


POLICY = authz()
SETTINGS = POLICY.serving.settings
GOOD = ISSUER.mint("ann", roles=["editor"])

TOKENS = {
    "good": (GOOD, [("form", "ok"), ("issuer", "ok"), ("signature", "ok"), ("claims", "ok")]),
    "no JWT": ("abc", [("form", "no")]),
    "another issuer": (OTHER.mint("ann"), [("form", "ok"), ("issuer", "no")]),
    "another key": (
        ISSUER.signed_by_another_key("ann"),
        [("form", "ok"), ("issuer", "ok"), ("signature", "no")],
    ),
    "expired": (
        ISSUER.expired("ann"),
        [("form", "ok"), ("issuer", "ok"), ("signature", "ok"), ("claims", "no")],
    ),
    "another audience": (
        ISSUER.for_audience("else", "ann"),
        [("form", "ok"), ("issuer", "ok"), ("signature", "ok"), ("claims", "no")],
    ),
}


@pytest.mark.parametrize(("token", "steps"), TOKENS.values(), ids=TOKENS)
def test_the_steps_of_a_token(token: str, steps: list[tuple[str, str]]) -> None:
    caller = by_token(SETTINGS, token, NOW)
    assert [(step.name, step.came) for step in caller.steps][: len(steps)] == steps
    assert (caller.principal is None) == (steps[-1][1] == "no")
    assert bool(caller.rejected) == (caller.principal is None)


@pytest.mark.parametrize("token", [token for token, _ in TOKENS.values()], ids=TOKENS)
@pytest.mark.parametrize(
    "request_line", ["GET /open", "GET /me", "GET /a/1", "PUT /a/1", "GET /a/+1", "GET /frozen"]
)
def test_the_decision_is_that_of_a_request(token: str, request_line: str) -> None:
    method, path = request_line.split()
    found = explain(SETTINGS, method, path, by_token(SETTINGS, token, NOW), NOW)
    field = Authorization([f"Bearer {token}".encode()])
    outcome = POLICY.serving.outcome(RequestFacts("http", method, path, ""), field)
    assert found.decision == outcome.decision


def test_a_token_is_told_of_in_nothing_but_its_type() -> None:
    caller = by_token(SETTINGS, GOOD, NOW)
    text = str(explain(SETTINGS, "GET", "/a/1", caller, NOW).steps)
    assert not any(part in text for part in GOOD.split("."))
    assert "roles editor, viewer; permissions read; scopes none" in text


def test_keys_that_would_be_fetched_are_not() -> None:
    remote = authz({"issuer": ISSUER.issuer, "audience": ["orders"]}).serving.settings
    caller = by_token(remote, GOOD, NOW)
    assert caller.steps[2][:2] == ("signature", "unchecked")
    assert caller.principal is not None
    assert by_token(remote, ISSUER.expired("ann"), NOW).steps[2:][-1][:2] == ("claims", "no")


OPAQUE = {
    "issuer": ISSUER.issuer,
    "audience": ["orders"],
    "prefix": "op_",
    "introspection": {
        "endpoint": "https://login.example/introspect",
        "client_id": "orders",
        "client_secret_env": "ORDERS_SECRET",
    },
}


@pytest.mark.parametrize("token", ["op_abc", GOOD], ids=["opaque", "a JWT"])
def test_an_issuer_that_would_be_asked_is_not(token: str, monkeypatch) -> None:
    monkeypatch.setenv("ORDERS_SECRET", "q3Zr8VnXw1Lk5TfYc0Hs7PjDe2Gm9BuAo4RiKt6W")
    asked = authz(OPAQUE).serving.settings
    caller = by_token(asked, token, NOW)
    assert caller.steps[-1].came == "unchecked"
    found = explain(asked, "GET", "/me", caller, NOW)
    assert found.decision.reason == "introspection_unavailable"
    assert explain(asked, "GET", "/open", caller, NOW).decision.allowed
    assert by_token(asked, "other", NOW).rejected == "unknown_prefix"


def test_claims_are_filled_in() -> None:
    caller = by_claims(SETTINGS, {"roles": ["viewer"]}, NOW)
    assert caller.principal is not None
    assert caller.principal.subject == "somebody"
    assert caller.principal.roles == frozenset({"viewer"})
    assert caller.steps[1] == ("signature", "unchecked", "claims have none")


def test_claims_that_no_token_may_have() -> None:
    assert by_claims(SETTINGS, {"iss": "https://else"}, NOW).rejected == "unknown_issuer"
    assert by_claims(SETTINGS, {"aud": "else"}, NOW).rejected == "wrong_audience"
    two = authz(
        ISSUER.policy_issuer(grants=["*"]), OTHER.policy_issuer(grants=["viewer"])
    ).serving.settings
    assert by_claims(two, {}, NOW).rejected == "unknown_issuer"
    found = by_claims(two, {"iss": OTHER.issuer, "roles": ["editor", "viewer"]}, NOW)
    assert found.principal is not None
    assert found.principal.roles == {"viewer"}


def test_roles_are_expanded() -> None:
    caller = by_roles(SETTINGS, ["editor"], ["s"], ["p"])
    principal = caller.principal
    assert principal is not None
    assert principal.roles == frozenset({"editor", "viewer"})
    assert principal.scopes == frozenset({"s"})
    assert principal.permissions == frozenset({"read", "p"})
    assert principal.expires_at == inf


def test_a_handshake_and_a_method_that_is_none() -> None:
    caller = by_roles(SETTINGS, ["viewer"])
    assert explain(SETTINGS, "WS", "/feed", caller, NOW).decision.allowed
    found = explain(SETTINGS, "G\xc9T", "/feed", caller, NOW)
    assert (found.decision.reason, found.steps[0].name) == ("method_ambiguous", "method")


def test_anonymous_callers_and_paths_that_could_be_two() -> None:
    found = explain(SETTINGS, "GET", "/me", ANONYMOUS, NOW)
    assert (found.decision.reason, found.rules[0].outcome) == ("no_credentials", "not met")
    for path in ("//x", "/a/+1"):
        found = explain(SETTINGS, "GET", path, ANONYMOUS, NOW)
        assert (found.decision.reason, found.rules) == ("path_ambiguous", ())
