"""`must_check`: a response that starts before the handler has asked is not sent."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Any

import pytest

from authz_middleware import AccessDenied, ASGIAuthzMiddleware, Authz, WSGIAuthzMiddleware
from tests.adapters.exchange import (
    WORLDS,
    ask,
    call_asgi,
    call_wsgi,
    environ_for,
    exchange,
    scope_for,
)

WRITE = "article:write"


@pytest.fixture(scope="module")
def authz(policy, clock) -> Authz:
    routes = {
        "GET /free": ["viewer"],
        "GET /checked": {"roles": ["viewer"], "must_check": WRITE},
        "HEAD|GET /alone": {"must_check": WRITE},
        "WS /checked": {"must_check": WRITE},
    }
    routes["GET /alone"] = routes.pop("HEAD|GET /alone")
    return Authz.from_mapping({**policy, "routes": routes}, clock=clock)


@pytest.fixture(scope="module")
def editor(issuer):
    return [("Authorization", f"Bearer {issuer.mint('ed', roles=['editor'])}")]


@pytest.fixture(scope="module")
def viewer(issuer):
    return [("Authorization", f"Bearer {issuer.mint('vi', roles=['viewer'])}")]


def swallow(access: Any, permission: str) -> None:
    """Ask, and go on as if the answer had been yes."""
    with suppress(AccessDenied):
        access.require(permission)


ASKED = {
    "nothing": (lambda access: None, 500),
    "another permission": (lambda access: access.require("article:read"), 500),
    "another permission, denied": (lambda access: swallow(access, "user:delete"), 500),
    "who calls": (lambda access: access.require_principal(), 500),
    "a pattern": (lambda access: access.allows("article:*"), 500),
    "by require": (lambda access: access.require(WRITE), 200),
    "by allows": (lambda access: access.allows(WRITE), 200),
}


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("path", ["/checked", "/alone"])
@pytest.mark.parametrize(("during", "status"), ASKED.values(), ids=ASKED)
def test_what_the_handler_asked(world, path, during, status, authz, editor, caplog):
    with caplog.at_level(logging.INFO, "authz_middleware"):
        sent = ask(world, authz, "GET", path, editor, during=during)
    assert sent.status == status
    assert sent.called
    assert (b"hello" in sent.body) is (status == 200)
    errors = [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR]
    assert len(errors) == (status == 500)
    if errors:
        assert f"refused 'GET' '{path}': unchecked missing=['article:write']" in errors[0]
        assert f"rule=GET {path} (" in errors[0]


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/checked"), ("HEAD", "/checked"), ("HEAD", "/alone")]
)
def test_a_denial_is_a_denial(world, method, path, authz, viewer):
    sent = ask(world, authz, method, path, viewer, during=lambda access: access.require(WRITE))
    assert sent.status == 403
    assert sent.header("cache-control") == "no-store"


@pytest.mark.parametrize("world", WORLDS)
def test_without_the_key_nobody_has_to_ask(world, authz, viewer):
    assert ask(world, authz, "GET", "/free", viewer).status == 200


@pytest.mark.parametrize("world", WORLDS)
def test_who_does_not_meet_the_rule_does_not_get_that_far(world, authz, issuer):
    nobody = [("Authorization", f"Bearer {issuer.mint('no', roles=[])}")]
    assert ask(world, authz, "GET", "/checked", nobody).status == 403
    assert ask(world, authz, "GET", "/alone").status == 401


FORGOTTEN = {
    "a condition that absence meets": ("!has(resource.locked) || resource.locked == false", {}),
    "a condition that reads a list": ("!('locked' in resource.tags)", {"tags": ["x"]}),
    "a condition that reads the object beside": ("subject.id == 'ed' || resource.open", {}),
}


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize(("when", "handed"), FORGOTTEN.values(), ids=FORGOTTEN)
def test_whoever_hands_over_no_object_has_not_asked(world, when, handed, policy, clock, editor):
    """What a condition reads of an object is not absent from it for want of one."""
    routes = {"GET /x/<int:id>": {"must_check": WRITE}}
    permissions = {WRITE: {"when": when}}
    authz = Authz.from_mapping(
        {**policy, "routes": routes, "permissions": permissions}, clock=clock
    )
    seen: list[Any] = []

    def forgets(access: Any) -> None:
        seen.append(access.allows(WRITE))

    def insists(access: Any) -> None:
        with pytest.raises(AccessDenied) as denied:
            access.require(WRITE)
        seen.append(denied.value.decision)
        raise denied.value

    def hands_over(access: Any) -> None:
        access.require(WRITE, resource=handed)

    def asks_twice(access: Any) -> None:
        forgets(access)
        hands_over(access)

    expected = {forgets: 500, insists: 403, hands_over: 200, asks_twice: 200}
    for during, status in expected.items():
        assert ask(world, authz, "GET", "/x/1", editor, during=during).status == status
    assert (seen[0], seen[2]) == (False, False)
    assert (seen[1].reason, seen[1].detail) == ("condition_error", "no object was handed over")


@pytest.mark.parametrize("world", WORLDS)
def test_a_condition_without_an_object_needs_none(world, policy, clock, editor):
    routes = {"GET /x/<int:id>": {"must_check": WRITE}}
    permissions = {WRITE: {"when": "resource.params.id == 1"}}
    authz = Authz.from_mapping(
        {**policy, "routes": routes, "permissions": permissions}, clock=clock
    )
    for path, status in (("/x/1", 200), ("/x/2", 403)):
        sent = ask(world, authz, "GET", path, editor, during=lambda access: access.require(WRITE))
        assert sent.status == status


def test_an_observer_is_told(policy, clock, editor):
    told: list[Any] = []

    class Observer:
        def observe(self, event: Any) -> None:
            told.append(event)

    routes = {"GET /x": {"must_check": WRITE}}
    authz = Authz.from_mapping({**policy, "routes": routes}, clock=clock, observers=[Observer()])
    sent = ask("wsgi", authz, "GET", "/x", editor)
    event = told[-1]
    assert (event.decision.reason, event.decision.missing) == ("unchecked", (WRITE,))
    assert event.decision.nearest_miss == "the handler must ask about permission article:write"
    assert event.id.encode() in sent.body


# How a WSGI app starts


def at_return(start: Any, access: Any) -> Any:
    start("200 OK", [])
    return [b"secret"]


def while_it_is_made(start: Any, access: Any) -> Any:
    start("200 OK", [])
    yield b"secret"


def by_write(start: Any, access: Any) -> Any:
    write = start("200 OK", [])
    write(b"secret")
    write(b"secret")
    return [b"secret"]


def asks_before_the_body(start: Any, access: Any) -> Any:
    start("200 OK", [])
    yield b""
    access.allows(WRITE)
    yield b"secret"


def asks_before_it_writes(start: Any, access: Any) -> Any:
    write = start("200 OK", [])
    access.allows(WRITE)
    write(b"sec")
    write(b"ret")
    return []


def asks_too_late(start: Any, access: Any) -> Any:
    start("200 OK", [])
    yield b"secret"
    access.allows(WRITE)


def has_no_body(start: Any, access: Any) -> Any:
    start("204 No Content", [])
    return iter(())


def is_found_nowhere(start: Any, access: Any) -> Any:
    start("404 Not Found", [])
    return [b"secret"]


def starts_again(start: Any, access: Any) -> Any:
    start("200 OK", [])
    start("404 Not Found", [], (ValueError, ValueError(), None))
    access.allows(WRITE)
    return [b"gone"]


def has_an_odd_status(start: Any, access: Any) -> Any:
    start("OK", [])
    return [b"secret"]


def a_file(start: Any, access: Any) -> Any:
    start("200 OK", [])
    return FileWrapper()


class FileWrapper:
    closed = 0

    def __iter__(self) -> Any:
        return iter([b"secret"])

    def close(self) -> None:
        type(self).closed += 1


def is_a_list_of_its_own(start: Any, access: Any) -> Any:
    class Lazy(list[bytes]):
        def __iter__(self) -> Any:
            access.require(WRITE)
            yield b"secret"

    start("200 OK", [])
    return Lazy([b"never sent"])


STARTS = {
    is_a_list_of_its_own: (200, b"secret"),
    at_return: (500, None),
    while_it_is_made: (500, None),
    by_write: (500, None),
    asks_before_the_body: (200, b"secret"),
    asks_before_it_writes: (200, b"secret"),
    asks_too_late: (500, None),
    has_no_body: (500, None),
    is_found_nowhere: (500, None),
    starts_again: (404, b"gone"),
    has_an_odd_status: (500, None),
    a_file: (500, None),
}


@pytest.mark.parametrize(
    ("app", "expected"), STARTS.items(), ids=[each.__name__ for each in STARTS]
)
def test_how_a_wsgi_response_starts(app, expected, authz, editor):
    def wsgi(environ: Any, start_response: Any) -> Any:
        return app(start_response, environ["authz"])

    environ = environ_for("GET", "/checked", editor)
    environ["wsgi.file_wrapper"] = FileWrapper
    FileWrapper.closed = 0
    sent = call_wsgi(WSGIAuthzMiddleware(wsgi, authz), environ, validated=False)
    status, body = expected
    assert sent.status == status
    assert b"secret" not in sent.body or status == 200
    assert body is None or sent.body == body
    assert FileWrapper.closed == (app is a_file)


def _starting(started: list[Any]) -> Any:
    return lambda *args: started.append(args)


def test_a_file_that_was_asked_about_is_the_servers_to_send(authz, editor):
    def wsgi(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        environ["authz"].allows(WRITE)
        return FileWrapper()

    environ = environ_for("GET", "/checked", editor)
    environ["wsgi.file_wrapper"] = FileWrapper
    started: list[Any] = []
    body = WSGIAuthzMiddleware(wsgi, authz)(environ, _starting(started))
    assert isinstance(body, FileWrapper)
    assert started == [("200 OK", [])]


def test_starting_twice_is_a_mistake_also_while_the_head_is_held_back(authz, editor):
    def wsgi(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        start_response("200 OK", [])
        raise NotImplementedError

    with pytest.raises(AssertionError, match="twice"):
        call_wsgi(
            WSGIAuthzMiddleware(wsgi, authz),
            environ_for("GET", "/checked", editor),
            validated=False,
        )


def test_an_error_of_the_app_stays_one(authz, editor):
    def wsgi(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        yield b""
        raise ZeroDivisionError

    started: list[Any] = []
    body = WSGIAuthzMiddleware(wsgi, authz)(
        environ_for("GET", "/checked", editor), _starting(started)
    )
    with pytest.raises(ZeroDivisionError):
        list(body)
    assert started == []


# WebSockets, and ASGI


SOCKETS = {
    "accepts": ("websocket.accept", None, 500),
    "accepts, having asked": ("websocket.accept", WRITE, 101),
    "speaks at once": ("websocket.send", None, 500),
    "answers without a start": ("websocket.http.response.body", None, 500),
    "closes": ("websocket.close", None, 403),
    "answers": ("websocket.http.response.start", None, 500),
    "answers, having asked": ("websocket.http.response.start", WRITE, 404),
}


@pytest.mark.parametrize(("kind", "asks", "status"), SOCKETS.values(), ids=SOCKETS)
@pytest.mark.parametrize("offered", [True, False], ids=["denial response", "none"])
def test_how_a_handshake_is_answered(kind, asks, status, offered, authz, editor):
    if kind.startswith("websocket.http.response") and not offered:
        pytest.skip("the app may not answer so")

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if asks:
            scope["authz"].require(asks)
        what = (
            {"text": "secret"}
            if kind.endswith(("send", "body"))
            else {"status": 404, "headers": []}
        )
        await send({"type": kind, **what})
        if kind.endswith("start"):
            await send({"type": "websocket.http.response.body", "body": b"secret"})
        elif kind.endswith("accept"):
            await send({"type": "websocket.send", "text": "secret"})

    extensions: dict[str, Any] = {"websocket.http.response": {}} if offered else {}
    scope = scope_for("GET", "/checked", editor, "websocket", extensions=extensions)

    messages = asyncio.run(exchange(ASGIAuthzMiddleware(asgi, authz), scope))
    expected = 403 if status == 500 and not offered else status
    assert call_asgi(ASGIAuthzMiddleware(asgi, authz), dict(scope)).status == expected
    assert ("secret" in str(messages)) is (asks is not None)


def test_what_follows_the_start_is_not_sent_either(authz, editor):
    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        scope["authz"].allows(WRITE)  # too late
        await send({"type": "http.response.body", "body": b"secret"})

    sent = call_asgi(ASGIAuthzMiddleware(asgi, authz), scope_for("GET", "/checked", editor))
    assert sent.status == 500
    assert b"secret" not in sent.body


HINT = {"type": "http.response.early_hint", "links": [b"</secret>"]}
BODY = {"type": "http.response.body", "body": b"secret"}
FILE = {"type": "http.response.pathsend", "path": "/secret"}


def answering(first: dict[str, Any], asked: bool, authz: Authz, editor: Any) -> list[Any]:
    """What the server gets if an app begins with this message."""

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        if asked:
            scope["authz"].require(WRITE)
        await send(dict(first))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    scope = scope_for("GET", "/checked", editor)
    return asyncio.run(exchange(ASGIAuthzMiddleware(asgi, authz), scope))


@pytest.mark.parametrize("first", [HINT, BODY, FILE], ids=["hint", "body", "file"])
def test_nothing_goes_before_the_question(first, authz, editor):
    assert answering(first, True, authz, editor)[0] == first
    messages = answering(first, False, authz, editor)
    assert (messages[0]["type"], messages[0]["status"]) == ("http.response.start", 500)
    assert "secret" not in str(messages)


def test_a_hint_is_no_start(authz, viewer):
    """A denial after it is our refusal still."""

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        await send(dict(HINT))
        scope["authz"].require(WRITE)

    scope = scope_for("GET", "/free", viewer)
    messages = asyncio.run(exchange(ASGIAuthzMiddleware(asgi, authz), scope))
    assert [each["type"] for each in messages[:2]] == [HINT["type"], "http.response.start"]
    assert messages[1]["status"] == 403
