"""Hostile strings wherever text comes in, through both adapters: an outcome, never an exception."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from authz_middleware import ASGIAuthzMiddleware, Authz, PolicyError, WSGIAuthzMiddleware
from authz_middleware.testing import FrozenClock
from tests.adapters import exchange
from tests.adapters.exchange import (
    WORLDS,
    Recorder,
    Sent,
    at_once,
    call_asgi,
    call_wsgi,
    environ_for,
    scope_for,
)
from tests.tokens.minting import ISSUER, NOW, jwk, mint

pytestmark = [pytest.mark.conformance, pytest.mark.slow]

BOTH = pytest.mark.parametrize("world", WORLDS)
CLOCK = FrozenClock(NOW)
CHALLENGE = re.compile(r'Bearer [a-z_]+="[ !#-\[\]-~]*"(, [a-z_]+="[ !#-\[\]-~]*")*')


@pytest.fixture(scope="module")
def strings(vectors: Path) -> list[str]:
    found = json.loads((vectors / "naughty_strings" / "blns.json").read_text("utf-8"))
    assert len(found) == 515
    return found


def policy(**members: Any) -> dict[str, Any]:
    routes: dict[str, Any] = {
        "GET /health": "public",
        "GET /me": "authenticated",
        "/admin/**": ["admin"],
    }
    routes |= {"GET /scoped": {"scopes": ["pay"]}, "GET /files/<path:name>": "authenticated"}
    return {"realm": "orders", "issuers": [table()], "routes": routes} | members


def table(**members: Any) -> dict[str, Any]:
    keys: dict[str, Any] = (
        {} if "jwks_uri" in members else {"jwks": {"keys": [jwk("ES256", kid="a")]}}
    )
    return {"issuer": ISSUER, "audience": ["orders"]} | keys | members


AUTHZ = Authz.from_mapping(policy(), clock=CLOCK)


def ask(world: str, authz: Authz, method: str, path: str, headers: Any = ()) -> Sent:
    return exchange.ask(world, authz, method, path, headers, run=at_once)


def as_field(text: str) -> str:
    """Text as a client sends it in a field: the bytes of UTF-8."""
    return text.encode("utf-8").decode("latin-1")


def bearer(token: str) -> list[tuple[str, str]]:
    return [("Authorization", f"Bearer {token}")]


def sound(sent: Sent) -> Sent:
    """A refusal whose fields are ours alone, whatever the caller wrote."""
    challenge = sent.header("www-authenticate")
    assert challenge is None or CHALLENGE.fullmatch(challenge)
    for name, value in sent.headers:
        assert value.isascii() or sent.status == 200, name
        assert value.isprintable() or sent.status == 200, name
    return sent


@BOTH
def test_as_token(world: str, strings: list[str]) -> None:
    for text in strings:
        for value in (f"Bearer {text}", f"bearer  {text}.{text}.{text}", text):
            sent = sound(ask(world, AUTHZ, "GET", "/me", [("Authorization", as_field(value))]))
            assert sent.status in (400, 401)
            assert len(text) < 12 or text.encode() not in sent.body


@BOTH
def test_as_any_other_field(world: str, strings: list[str]) -> None:
    """Whatever they say, a viewer is a viewer."""
    names = ("Host", "Origin", "Accept", "Upgrade", "X-Forwarded-For", "Forwarded", "Cookie")
    token = bearer(mint(roles=["viewer"]))
    for text in strings:
        headers = [*token, *((name, as_field(text)) for name in names)]
        assert sound(ask(world, AUTHZ, "GET", "/admin", headers)).status == 403
        assert ask(world, AUTHZ, "GET", "/health", headers[1:]).access.principal is None


@BOTH
def test_as_header_of_a_token(world: str, strings: list[str]) -> None:
    """P11, S08: no key, no type and no algorithm is called so; the rest nobody reads."""
    for text in strings:
        for member in ("kid", "typ", "alg"):
            token = mint({member: text})
            assert sound(ask(world, AUTHZ, "GET", "/me", bearer(token))).status == 401
        unread = {"jku": text, "x5u": text, "x5t": text, "x5c": [text], "cty": f"x/{text}"}
        token = mint({"kid": "a", **unread})
        assert ask(world, AUTHZ, "GET", "/me", bearer(token)).status == 200


@BOTH
def test_as_claims(world: str, strings: list[str]) -> None:
    for text in strings:
        claims: dict[str, Any] = {"sub": text, "scope": text, "roles": [text], "act": {"sub": text}}
        token = mint(**claims, other={text: text})
        sent = sound(ask(world, AUTHZ, "GET", "/me", bearer(token)))
        if not text:
            assert sent.status == 401  # a subject has a name
            continue
        principal = sent.access.principal
        assert (principal.subject, principal.roles) == (text, {text})
        assert principal.scopes == set(text.split(" ")) - {""}
        assert principal.claims["other"][text] == text
        assert sound(ask(world, AUTHZ, "GET", "/admin", bearer(token))).status == 403
        assert sound(ask(world, AUTHZ, "GET", "/scoped", bearer(token))).status == 403
        for name in ("iss", "aud", "exp", "nbf", "iat"):
            wrong: dict[str, Any] = {name: text}
            refused = ask(world, AUTHZ, "GET", "/me", bearer(mint(**wrong)))
            assert sound(refused).status == 401


@BOTH
def test_as_path_and_method(world: str, strings: list[str]) -> None:
    for text in strings:
        for path in (text, f"/{text}", f"/files/{text}", f"/health/{text}", f"/health{text}"):
            status = sound(ask(world, AUTHZ, "GET", path)).status
            # The one public rule opens its own path, with or without the slash, and nothing else.
            assert status in ((200,) if path in ("/health", "/health/") else (400, 401))
        assert sound(ask(world, AUTHZ, text, "/me")).status in (400, 401)


@BOTH
def test_as_prefix_and_query(world: str, strings: list[str]) -> None:
    recorder = Recorder()
    for text in strings:
        if world == "wsgi":
            environ = environ_for("GET", "/me", QUERY_STRING=as_field(text))
            environ["SCRIPT_NAME"] = as_field(text)
            app: Any = WSGIAuthzMiddleware(recorder.wsgi, AUTHZ)
            sent = call_wsgi(app, environ, validated=False)
        else:
            scope = scope_for("GET", "/me", query_string=text.encode(), root_path=text)
            sent = call_asgi(ASGIAuthzMiddleware(recorder.asgi, AUTHZ), scope, run=at_once)
        assert sound(sent).status in (400, 401)
    assert recorder.seen == []


def everywhere(text: str) -> dict[str, Any]:
    """A policy with the text at every place: each is looked at, whatever is wrong with another."""
    listed = ("audience", "algorithms", "token_types", "required_claims", "grants")
    issuers: list[dict[str, Any]] = [
        table(claims={"roles": text, "scopes": [text]}, role_map={text: text}),
        table(issuer=text, **{name: [text] for name in listed}),
        *({"issuer": text, name: text} for name in ("jwks_uri", "jwks_file", "jwks")),
        *({"issuer": text, name: text} for name in ("public_key_file", "secret_env")),
    ]
    routes = {text: text, f"GET /{text}": [text], f"{text} /x": {"scopes": [text], text: text}}
    tops = ("realm", "resource", "problem_base", "default", "preflight", "remote_user")
    test = {"as": {"subject": text, "roles": [text]}, "allow": [text], "deny": [f"GET {text}"]}
    roles = {text: {"inherits": [text], "permissions": [text]}}
    members = dict.fromkeys(tops, text) | {"roles": roles, "tests": [test], text: text}
    return policy(**members | {"issuers": issuers, "routes": routes})


def answering(text: str) -> Iterator[dict[str, Any]]:
    """Policies with the text at one place of which an answer may speak."""
    yield policy(realm=text)
    yield policy(resource=f"https://api.example.com/{text}")
    yield policy(routes={"GET /": {"scopes": [text]}})


def test_in_a_policy(strings: list[str]) -> None:
    """B16, H07, H08: it is refused at load, or what comes of it is sound."""
    loaded = refused = 0
    for text in strings:
        with pytest.raises(PolicyError):
            Authz.from_mapping(everywhere(text), clock=CLOCK)
        for document in answering(text):
            try:
                authz = Authz.from_mapping(document, clock=CLOCK)
            except PolicyError:
                refused += 1
                continue
            loaded += 1
            sound(ask("wsgi", authz, "GET", "/"))
            sound(ask("asgi", authz, "GET", "/", bearer(mint(scope="x"))))
    assert min(loaded, refused) > 400
