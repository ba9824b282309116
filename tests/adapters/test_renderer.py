"""A renderer writes the body of a refusal, and nothing else of it; through both adapters."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from authz_middleware import AccessDenied, Authz, Body, Refusal
from tests.adapters.exchange import WORLDS, Sent, ask


class Ours:
    """An app's own shape; keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[Refusal] = []

    def render(self, refusal: Refusal) -> Body:
        self.told.append(refusal)
        error = {"code": refusal.error or refusal.reason, "id": refusal.id}
        return Body("application/json", json.dumps({"error": error}).encode())


class Renders:
    def __init__(self, body: Any) -> None:
        self.body = body

    def render(self, refusal: Refusal) -> Any:
        if isinstance(self.body, BaseException):
            raise self.body
        return self.body


def bearer(token: str) -> tuple[str, str]:
    return ("Authorization", f"Bearer {token}")


def rest(sent: Sent) -> dict[str, str]:
    """The head without what the body makes of it."""
    head = {name.lower(): value for name, value in sent.headers}
    return {key: head[key] for key in head if key not in ("content-type", "content-length")}


REQUESTS = [
    ("GET", "/me", None, 401, None, "no_credentials"),
    ("GET", "/me", "bad", 401, "invalid_token", "invalid_token"),
    ("GET", "/admin/x", "viewer", 403, "insufficient_scope", "role_missing"),
    ("POST", "/transfers", "viewer", 403, "insufficient_scope", "scope_missing"),
    ("GET", "/me//", "viewer", 400, None, "path_ambiguous"),
]


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize(
    ("method", "path", "who", "status", "error", "reason"), REQUESTS, ids=[r[-1] for r in REQUESTS]
)
def test_the_body_is_the_apps_and_the_head_is_ours(
    world, method, path, who, status, error, reason, policy, issuer, clock
):
    tokens = {"bad": "x", "viewer": issuer.mint("vi", roles=["viewer"])}
    headers = [bearer(tokens[who])] if who else []
    headers.append(("Accept", "text/html"))
    renderer = Ours()
    plain, sent = (
        ask(world, Authz.from_mapping(policy, clock=clock, renderer=each), method, path, headers)
        for each in (None, renderer)
    )
    [refusal] = renderer.told
    assert json.loads(sent.body) == {"error": {"code": error or reason, "id": refusal.id}}
    assert (sent.status, rest(sent)) == (status, rest(plain))
    assert sent.header("content-type") == "application/json"
    assert sent.header("content-length") == str(len(sent.body))
    told = asdict(refusal)
    assert told == {
        "status": status,
        "title": {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden"}[status],
        "error": error,
        "scopes": ("pay", "transfer") if reason == "scope_missing" else (),
        "reason": reason,
        "id": refusal.id,
        "accept": "text/html",
        "acr_values": (),
        "max_age": None,
    }


@pytest.mark.parametrize("world", WORLDS)
def test_a_denied_require_is_rendered_too(world, policy, issuer, clock):
    renderer = Ours()
    authz = Authz.from_mapping(policy, clock=clock, renderer=renderer)
    sent = ask(
        world,
        authz,
        "GET",
        "/me",
        [bearer(issuer.mint("vi"))],
        during=lambda access: access.require("article:write"),
    )
    assert (sent.status, renderer.told[0].reason) == (403, "permission_missing")
    assert json.loads(sent.body)["error"]["code"] == "insufficient_scope"


@pytest.mark.parametrize("world", WORLDS)
def test_the_answer_to_head_has_the_length_and_no_body(world, policy, clock):
    authz = Authz.from_mapping(policy, clock=clock, renderer=Renders(Body("text/html", b"<p>")))
    sent = ask(world, authz, "HEAD", "/me")
    assert (sent.status, sent.body, sent.header("content-length")) == (401, b"", "3")


@pytest.mark.parametrize("world", WORLDS)
def test_none_stands_for_our_own_body(world, policy, clock):
    authz = Authz.from_mapping(policy, clock=clock, renderer=Renders(None))
    assert ask(world, authz, "GET", "/me").header("content-type") == "application/problem+json"


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(ValueError("x"), id="raises"),
        pytest.param(RecursionError(), id="recurses"),
        pytest.param(AccessDenied.__new__(AccessDenied), id="denies"),
        pytest.param("text", id="text"),
        pytest.param(("text/html", "text"), id="text as content"),
        pytest.param(("a/b\r\nSet-Cookie: a=b", b""), id="a second field"),
        pytest.param(("text/html ", b""), id="a space at the end"),
        pytest.param((" text/html", b""), id="a space in front"),
        pytest.param(("html", b"<p>"), id="no media type"),
        pytest.param(("text/html",), id="no content"),
    ],
)
def test_a_renderer_that_fails_changes_nothing(world, body, policy, clock, caplog):
    authz = Authz.from_mapping(policy, clock=clock, renderer=Renders(body))
    sent = ask(world, authz, "GET", "/me")
    assert (sent.status, sent.called) == (401, False)
    assert sent.header("www-authenticate") == 'Bearer realm="orders"'
    assert sent.header("content-type") == "application/problem+json"
    assert sent.header("set-cookie") is None
    assert caplog.text.count("the renderer of refusals failed; our own body is sent") == 1


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize(
    "media_type", ["text/html", 'text/html; charset="utf-8"', "application/vnd.shop+json;v=1"]
)
def test_any_media_type_is_sent(world, media_type, policy, clock):
    authz = Authz.from_mapping(policy, clock=clock, renderer=Renders(Body(media_type, b"x")))
    assert ask(world, authz, "GET", "/me").header("content-type") == media_type


@pytest.mark.parametrize("world", WORLDS)
def test_whoever_stops_the_process_is_not_a_renderer_that_fails(world, policy, clock):
    authz = Authz.from_mapping(policy, clock=clock, renderer=Renders(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        ask(world, authz, "GET", "/me")
