"""What holds in every framework: who is let in, who calls, and one refusal, whoever makes it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from authz_middleware import Authz, Body, Refusal, current_access, frameworks
from tests.adapters.exchange import Sent
from tests.frameworks.apps import KINDS, BrokenError, Kind, call, talk

MODES = [(name, mode) for name, kind in KINDS.items() for mode in kind.modes]
SOCKETS = [(name, mode) for name, mode in MODES if KINDS[name].asgi]
ID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def same(one: Sent, other: Sent) -> None:
    """Byte for byte, but for the id; names of fields have no case (RFC 9110, section 5.1)."""
    assert ID.sub(b"ID", one.body) == ID.sub(b"ID", other.body)
    assert one.status == other.status
    assert sorted((name.lower(), value) for name, value in one.headers) == sorted(other.headers)


STATUSES = {
    "public": {"absent": 200, "invalid": 200, "malformed": 200, "viewer": 200, "editor": 200},
    "me": {"absent": 401, "invalid": 401, "malformed": 400, "viewer": 200, "editor": 200},
    "outer": {"absent": 401, "invalid": 401, "malformed": 400, "viewer": 403, "editor": 200},
    "write": {"absent": 401, "invalid": 401, "malformed": 400, "viewer": 403, "editor": 200},
    "open": {"absent": 401, "invalid": 401, "malformed": 400, "viewer": 403, "editor": 200},
    "nowhere": {"absent": 401, "invalid": 401, "malformed": 400, "viewer": 403, "editor": 403},
}


@pytest.mark.parametrize(("name", "mode"), MODES)
def test_who_is_let_in(name, mode, authz, callers):
    kind = KINDS[name]
    app = kind.wrapped(authz, mode)
    for path, expected in STATUSES.items():
        got = {
            who: call(kind, app, "GET", f"/{path}", fields).sent for who, fields in callers.items()
        }
        assert {who: sent.status for who, sent in got.items()} == expected, path
        if path == "public":
            assert [sent.body for sent in got.values()] == [b"nobody"] * 3 + [b"ann", b"bob"]


@pytest.mark.parametrize("who", ["absent", "invalid", "malformed", "viewer"])
@pytest.mark.parametrize(("name", "mode"), MODES)
def test_require_is_the_refusal_from_outside(name, mode, who, authz, callers, quiet):
    kind = KINDS[name]
    app = kind.wrapped(authz, mode)
    for accept in ([], [("Accept", "text/plain")]):
        fields = [*callers[who], *accept]
        outer = call(kind, app, "GET", "/outer", fields).sent
        inner = call(kind, app, "GET", "/open", fields)
        same(inner.sent, outer)
        quiet(inner.errors)


@pytest.mark.parametrize(("name", "mode"), MODES)
def test_require_is_quiet_in_an_app_that_is_only_named(name, mode, authz, callers, quiet):
    kind = KINDS[name]
    app = kind.make(**kind.modes[mode])
    guarded = kind.guard(hidden(app, asgi=kind.asgi), authz, routes_of=app)
    outer = call(kind, guarded, "GET", "/outer", callers["viewer"]).sent
    inner = call(kind, guarded, "GET", "/write", callers["viewer"])
    same(inner.sent, outer)
    quiet(inner.errors)
    if kind.asgi:
        assert call(kind, guarded, "WS", "/feed/write", callers["viewer"]).sent.status == 403
        quiet("")


def hidden(app: Any, *, asgi: bool) -> Any:
    """A middleware that does not say what it wraps."""

    async def pass_on(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    def answer(environ: Any, start_response: Any) -> Any:
        return app(environ, start_response)

    return pass_on if asgi else answer


@pytest.mark.parametrize("media_type", ["text/html", "text/plain; charset=latin-1", "image/png"])
@pytest.mark.parametrize("name", KINDS)
def test_a_body_of_the_apps_own_arrives_as_it_is(name, media_type, policy, callers):
    class Renderer:
        def render(self, refusal: Refusal) -> Body:
            return Body(media_type, b"\xff\xfe\x00")

    kind = KINDS[name]
    app = kind.wrapped(Authz.from_mapping(policy, renderer=Renderer()))
    outer = call(kind, app, "GET", "/outer", callers["viewer"]).sent
    inner = call(kind, app, "GET", "/write", callers["viewer"]).sent
    assert inner.body == b"\xff\xfe\x00"
    same(inner, outer)


@pytest.mark.parametrize(("name", "mode"), [each for each in MODES if KINDS[each[0]].head])
def test_require_under_head_has_no_body(name, mode, authz, callers):
    kind = KINDS[name]
    app = kind.wrapped(authz, mode)
    outer = call(kind, app, "HEAD", "/outer", callers["viewer"]).sent
    inner = call(kind, app, "HEAD", "/write", callers["viewer"]).sent
    if not kind.strips:
        inner.body = b""  # the server leaves it out
    same(inner, outer)


@pytest.mark.parametrize(("name", "mode"), MODES)
def test_without_our_handler_it_is_the_same_refusal(name, mode, authz, callers, monkeypatch):
    """The safety net: whatever the framework makes of the exception."""
    monkeypatch.setattr(frameworks, "prepare", lambda *_: None)
    kind = KINDS[name]
    app = kind.wrapped(authz, mode)
    outer = call(kind, app, "GET", "/outer", callers["viewer"]).sent
    same(call(kind, app, "GET", "/write", callers["viewer"]).sent, outer)
    if kind.asgi:
        outer = call(kind, app, "WS", "/feed/outer", callers["viewer"]).sent
        same(call(kind, app, "WS", "/feed/write", callers["viewer"]).sent, outer)


@pytest.mark.parametrize(("name", "mode"), MODES)
def test_an_error_of_the_app_stays_its_own(name, mode, authz, callers):
    kind = KINDS[name]
    app = kind.wrapped(authz, mode)
    sent = None
    try:
        sent = call(kind, app, "GET", "/broken", callers["viewer"]).sent
    except* BrokenError:  # alone, or in the group of Quart's tasks
        pass
    if sent is not None:
        assert sent.status == 500
        assert sent.header("www-authenticate") is None


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("path", ["/me", "/sync", "/stream"])
def test_who_calls(path, name, authz, callers):
    kind = KINDS[name]
    app = kind.wrapped(authz)
    for who, subject in (("viewer", b"ann"), ("editor", b"bob")):
        body = call(kind, app, "GET", path, callers[who]).sent.body
        assert body == subject * (3 if path == "/stream" else 1)
    assert current_access() is None


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if not kind.asgi])
def test_require_before_the_first_chunk(name, authz, callers, quiet):
    kind = KINDS[name]
    app = kind.wrapped(authz)
    outer = call(kind, app, "GET", "/outer", callers["viewer"]).sent
    inner = call(kind, app, "GET", "/late", callers["viewer"])
    same(inner.sent, outer)
    quiet(inner.errors)
    assert call(kind, app, "GET", "/late", callers["editor"]).sent.body == b"written"


@pytest.mark.parametrize("who", ["absent", "invalid", "malformed", "viewer"])
@pytest.mark.parametrize(("name", "mode"), SOCKETS)
class TestWebSocket:
    def test_the_handshake(self, name, mode, who, authz, callers, quiet):
        kind = KINDS[name]
        app = kind.wrapped(authz, mode)
        outer = call(kind, app, "WS", "/feed/outer", callers[who]).sent
        assert outer.status == STATUSES["outer"][who]
        if who == "viewer":
            inner = call(kind, app, "WS", "/feed/write", callers[who])
            same(inner.sent, outer)
            quiet("")

    def test_without_the_extension_it_is_closed(self, name, mode, who, authz, callers):
        kind = KINDS[name]
        app = kind.wrapped(authz, mode)
        for path in ("/feed/outer", "/feed/write"):
            [message] = talk(app, "WS", path, callers[who], extensions={})
            assert message["type"] == "websocket.close"
            assert message["code"] == 1008


@pytest.mark.parametrize(("name", "mode"), SOCKETS)
def test_websocket_knows_the_caller(name, mode, authz, callers):
    app = KINDS[name].wrapped(authz, mode)
    accept, text, *_ = talk(app, "WS", "/feed", callers["viewer"])
    assert (accept["type"], text.get("text")) == ("websocket.accept", "ann")


@pytest.mark.parametrize(("name", "mode"), SOCKETS)
def test_require_ends_an_accepted_websocket(name, mode, authz, callers, quiet):
    kind: Kind = KINDS[name]
    app = kind.wrapped(authz, mode)
    accept, close = talk(app, "WS", "/feed/late", callers["viewer"])
    assert accept["type"] == "websocket.accept"
    assert (close["type"], close["code"]) == ("websocket.close", 1008)
    quiet("")
    closed: list[Any] = talk(app, "WS", "/feed/late", callers["editor"])
    assert all(message.get("code", 1000) == 1000 for message in closed)
