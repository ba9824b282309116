"""Falcon, WSGI and ASGI: who answers `AccessDenied`, and the caller in the habits of its users."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

from authz_middleware import AccessDenied, current_access
from tests.frameworks.apps import KINDS, call, talk, who, write
from tests.frameworks.installed import installed

falcon = installed("falcon")
installed("falcon.asgi")
testing = installed("falcon.testing")
NAMES = ["falcon", "falcon-asgi"]


def both(function: Any) -> Any:
    """`function` for WSGI, and the same as a coroutine function for ASGI."""

    async def asynchronous(*arguments: Any) -> None:
        function(*arguments)

    return {"falcon": function, "falcon-asgi": asynchronous}


def app_of(name: str, resource: Any) -> Any:
    app = falcon.App() if name == "falcon" else falcon.asgi.App()
    app.add_route("/me", resource)
    return app


def resource_of(name: str, on_get: Any) -> Any:
    """A resource of which `on_get(request, response)` answers a GET."""
    function = both(on_get)[name]
    if name == "falcon":

        class Resource:
            def on_get(self, request: Any, response: Any) -> None:
                function(request, response)

        return Resource()

    class Asynchronous:
        async def on_get(self, request: Any, response: Any) -> None:
            await function(request, response)

    return Asynchronous()


@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("name", NAMES)
def test_the_apps_own_handler_wins(name, first, authz, callers):
    def own(request: Any, response: Any, denied: AccessDenied, params: Any) -> None:
        response.status = denied.answer.status
        response.text = f"no: {denied.decision.missing[0]}"

    kind = KINDS[name]
    app = kind.make()
    if first:
        app.add_error_handler(AccessDenied, both(own)[name])
    wrapped = kind.wrap(app, authz)
    if not first:
        app.add_error_handler(AccessDenied, both(own)[name])
    sent = call(kind, wrapped, "GET", "/write", callers["viewer"]).sent
    assert (sent.status, sent.body) == (403, b"no: article:write")


@pytest.mark.parametrize("name", NAMES)
def test_an_app_that_catches_everything_still_refuses(name, authz, callers):
    def own(request: Any, response: Any, error: Exception, params: Any) -> None:
        response.status = 500

    kind = KINDS[name]
    app = kind.make()
    wrapped = kind.wrap(app, authz)
    app._error_handlers.clear()
    app.add_error_handler(Exception, both(own)[name])
    assert call(kind, wrapped, "GET", "/write", callers["viewer"]).sent.status == 403


@pytest.mark.parametrize("name", NAMES)
def test_what_a_responder_had_begun_is_dropped(name, authz, callers):
    def begun(request: Any, response: Any) -> None:
        response.content_type = "text/csv"
        if name == "falcon":
            response.set_stream(iter([b"secret"]), 6)
        response.text = "secret"
        write()

    kind = KINDS[name]
    wrapped = kind.wrap(app_of(name, resource_of(name, begun)), authz)
    sent = call(kind, wrapped, "GET", "/me", callers["viewer"]).sent
    assert sent.status == 403
    assert sent.header("content-type") == "application/problem+json"
    assert sent.header("content-length") == str(len(sent.body))
    assert b"secret" not in sent.body


@pytest.mark.parametrize("name", NAMES)
def test_a_hook(name, authz, callers):
    def ask(request: Any, response: Any, resource: Any, params: Any) -> None:
        write()

    def me(request: Any, response: Any) -> None:
        response.text = who()

    kind = KINDS[name]
    resource = resource_of(name, me)
    hooked = falcon.before(both(ask)[name])(type(resource))()
    wrapped = kind.wrap(app_of(name, hooked), authz)
    assert call(kind, wrapped, "GET", "/me", callers["viewer"]).sent.status == 403
    assert call(kind, wrapped, "GET", "/me", callers["editor"]).sent.body == b"bob"


def test_a_middleware(authz, callers):
    class Ask:
        def process_request(self, request: Any, response: Any) -> None:
            write()

    kind = KINDS["falcon"]
    app = kind.make()
    app.add_middleware(Ask())
    wrapped = kind.wrap(app, authz)
    assert call(kind, wrapped, "GET", "/me", callers["viewer"]).sent.status == 403
    assert call(kind, wrapped, "GET", "/me", callers["editor"]).sent.body == b"bob"


@pytest.mark.parametrize("name", NAMES)
def test_environ_and_scope(name, authz, callers):
    def me(request: Any, response: Any) -> None:
        held = request.env if name == "falcon" else request.scope
        response.text = held["authz"].principal.subject

    kind = KINDS[name]
    wrapped = kind.wrap(app_of(name, resource_of(name, me)), authz)
    assert call(kind, wrapped, "GET", "/me", callers["viewer"]).sent.body == b"ann"


def test_its_own_thread_pool_does_not_know_the_caller(authz, callers):
    """`falcon.sync_to_async` copies no context; `asyncio.to_thread` does, and functions take it.

    Where Python lets threads inherit, its thread keeps the context of whoever it was begun by.
    """
    inherits = getattr(sys.flags, "thread_inherit_context", False)

    class Me:
        async def on_get(self, request: Any, response: Any) -> None:
            lost = await falcon.sync_to_async(current_access)
            kept = await asyncio.to_thread(current_access)
            here = current_access()
            response.media = [lost is (here if inherits else None), kept is here is not None]

    kind = KINDS["falcon-asgi"]
    wrapped = kind.wrap(app_of("falcon-asgi", Me()), authz)
    assert call(kind, wrapped, "GET", "/me", callers["viewer"]).sent.body == b"[true, true]"


@pytest.mark.parametrize("name", NAMES)
def test_its_own_client(name, authz, callers):
    kind = KINDS[name]
    client = testing.TestClient(kind.wrapped(authz))
    assert client.simulate_get("/write", headers=callers["viewer"]).status_code == 403
    assert client.simulate_get("/write", headers=callers["editor"]).text == "written"


def test_events_that_were_prepared_are_not_sent(authz, callers):
    class Me:
        async def on_get(self, request: Any, response: Any) -> None:
            async def events() -> Any:
                yield falcon.asgi.SSEvent(text="secret")

            response.sse = events()
            write()

    kind = KINDS["falcon-asgi"]
    wrapped = kind.wrap(app_of("falcon-asgi", Me()), authz)
    sent = call(kind, wrapped, "GET", "/me", callers["viewer"]).sent
    assert sent.status == 403
    assert b"secret" not in sent.body


def test_the_whole_path_is_matched_below_a_prefix(authz, callers):
    """path-confusion: Falcon routes on `path` and ignores `root_path`."""
    app = KINDS["falcon-asgi"].wrapped(authz)
    for path, status in (("/me", 200), ("/svc/me", 403), ("/svc/public", 403)):
        start = talk(app, "GET", path, callers["viewer"], root_path="/svc")[0]
        assert start["status"] == status, path


def test_a_sink_is_closed_where_no_rule_is(authz, callers):
    """path-confusion: a sink at `/me` also answers `/menu`, with any method."""

    def sink(request: Any, response: Any) -> None:
        response.text = "sunk"

    kind = KINDS["falcon"]
    app = falcon.App()
    app.add_sink(sink, "/me")
    assert call(kind, app, "DELETE", "/menu").sent.body == b"sunk"
    wrapped = kind.wrap(app, authz)
    assert call(kind, wrapped, "GET", "/me", callers["editor"]).sent.body == b"sunk"
    for method, path in (("GET", "/menu"), ("DELETE", "/me"), ("GET", "/me/nu")):
        assert call(kind, wrapped, method, path, callers["editor"]).sent.status == 403
