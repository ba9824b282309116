"""Requirements inside requirements, step-up and `forbid`, through both adapters."""

from __future__ import annotations

import asyncio
import logging

import pytest

from authz_middleware import ASGIAuthzMiddleware, Authz
from tests.adapters.exchange import NO_APP, WORLDS, Sent, ask, call_asgi, scope_for

BOTH = pytest.mark.parametrize("world", WORLDS)
PLAIN = 'Bearer realm="orders"'
INSUFFICIENT = f'{PLAIN}, error="insufficient_scope"'
STEP_UP = f'{PLAIN}, error="insufficient_user_authentication"'


@pytest.fixture(scope="module")
def authz(policy, clock) -> Authz:
    mapping = {
        **policy,
        "resource": "https://api.example.com",
        "preflight": "pass",
        "roles": {**policy["roles"], "banned": []},
        "routes": {
            **policy["routes"],
            "POST /pay": {"scopes": ["pay"], "acr": ["urn:mfa", "urn:otp"], "max_age": 300},
            "GET /either": {"any": [["admin"], {"roles": ["viewer"], "scopes": ["audit"]}]},
            "GET /but": {"not": ["banned"]},
            "/deploy/**": ["admin"],
            "WS /deploy": "public",
        },
        "forbid": {
            "freeze": {"methods": ["POST", "WS"], "path": "/deploy/**"},
            "banned": {"path": "/health", "roles": ["banned"]},
            "metadata": {"path": "/.well-known/**"},
        },
    }
    return Authz.from_mapping(mapping, clock=clock)


def bearer(token: str) -> list[tuple[str, str]]:
    return [("Authorization", f"Bearer {token}")]


def answer(sent: Sent) -> tuple[int, str | None]:
    challenge = sent.header("www-authenticate")
    if challenge is not None:
        challenge, _, metadata = challenge.partition(", resource_metadata=")
        assert metadata == '"https://api.example.com/.well-known/oauth-protected-resource"'
    assert sent.called == (sent.status == 200)
    return sent.status, challenge


@BOTH
@pytest.mark.parametrize(
    ("claims", "status", "challenge"),
    [
        ({"scope": "pay", "acr": "urn:otp", "auth_time": -300}, 200, None),
        ({"scope": "pay", "acr": "urn:otp", "auth_time": -331}, 401, True),
        ({"scope": "pay", "acr": "urn:pwd", "auth_time": 0}, 401, True),
        ({"scope": "pay"}, 401, True),
        ({"acr": "urn:mfa", "auth_time": 0}, 403, f'{INSUFFICIENT}, scope="pay"'),
        ({}, 403, f'{INSUFFICIENT}, scope="pay"'),  # scopes first
    ],
)
def test_step_up(world, claims, status, challenge, authz, issuer, clock):
    """U01-U06: both in one challenge, and only for a token that is good."""
    if "auth_time" in claims:
        claims = {**claims, "auth_time": clock() + claims["auth_time"]}
    if challenge is True:
        challenge = f'{STEP_UP}, acr_values="urn:mfa urn:otp", max_age="300"'
    sent = ask(world, authz, "POST", "/pay", bearer(issuer.mint(**claims)))
    assert answer(sent) == (status, challenge)
    bad = ask(world, authz, "POST", "/pay", bearer(issuer.expired(**claims)))
    assert answer(bad) == (401, f'{PLAIN}, error="invalid_token"')


@BOTH
@pytest.mark.parametrize(
    ("path", "roles", "scope", "expected"),
    [
        ("/either", ["admin"], "", (200, None)),
        ("/either", ["viewer"], "audit", (200, None)),
        ("/either", ["viewer"], "", (403, f'{INSUFFICIENT}, scope="audit"')),
        ("/either", [], "audit", (403, INSUFFICIENT)),  # no scope would help
        ("/but", ["viewer"], "", (200, None)),
        ("/but", ["banned"], "", (403, INSUFFICIENT)),
    ],
)
def test_any_and_not(world, path, roles, scope, expected, authz, issuer):
    token = issuer.mint(roles=roles, scope=scope)
    assert answer(ask(world, authz, "GET", path, bearer(token))) == expected


@BOTH
@pytest.mark.parametrize(
    ("method", "path", "who", "expected"),
    [
        ("POST", "/deploy/x", None, (403, None)),
        ("POST", "/deploy/x", "admin", (403, None)),
        ("POST", "/Deploy/x", "admin", (403, None)),
        ("POST", "/deploy//x", "admin", (400, None)),
        ("GET", "/deploy/x", "admin", (200, None)),
        ("GET", "/deploy/x", None, (401, PLAIN)),
        ("GET", "/health", None, (200, None)),
        ("HEAD", "/health", "banned", (403, INSUFFICIENT)),
        ("GET", "/health", "banned", (403, INSUFFICIENT)),
        ("GET", "/health", "viewer", (200, None)),
    ],
)
def test_what_is_forbidden(world, method, path, who, expected, authz, issuer):
    headers = bearer(issuer.mint(roles=[who])) if who else []
    assert answer(ask(world, authz, method, path, headers)) == expected


@BOTH
def test_what_a_forbid_leaves_alone(world, authz, issuer):
    """The metadata document is no route of the app, and `require` asks about an object."""
    document = ask(world, authz, "GET", "/.well-known/oauth-protected-resource")
    assert document.status == 200
    assert ask(world, authz, "GET", "/.well-known/other").status == 403

    def asks(access):
        access.require("article:read")

    token = issuer.mint(roles=["viewer"])
    assert ask(world, authz, "GET", "/health", bearer(token), during=asks).status == 200


@BOTH
@pytest.mark.parametrize(("wanted", "status"), [("GET", 200), ("POST", 401)])
def test_a_preflight_for_what_is_forbidden(world, wanted, status, authz):
    headers = [("Origin", "https://shop.example"), ("Access-Control-Request-Method", wanted)]
    assert ask(world, authz, "OPTIONS", "/deploy/x", headers).status == status


@pytest.mark.parametrize("extensions", [{}, {"websocket.http.response": {}}])
def test_a_handshake_that_is_forbidden(extensions, authz):
    scope = scope_for("GET", "/deploy", kind="websocket", extensions=extensions)
    app = ASGIAuthzMiddleware(NO_APP, authz)
    assert call_asgi(app, scope, run=asyncio.run).status == 403


@BOTH
def test_the_log_names_the_nearest_miss_and_no_secret(world, authz, issuer, caplog):
    token = issuer.mint("ann", roles=["viewer"], email="top-secret")
    with caplog.at_level(logging.INFO, "authz_middleware"):
        ask(world, authz, "GET", "/either", bearer(token))
        ask(world, authz, "POST", "/deploy", bearer(token))
    first, second = (line for line in caplog.messages if line.startswith("refused"))
    assert "scope_missing missing=['audit'] nearest='needs the scope `audit`; has none'" in first
    assert "forbidden nearest='forbidden to everybody' rule=forbid.freeze (" in second
    assert "top-secret" not in caplog.text
    assert token not in caplog.text
