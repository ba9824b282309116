"""Litestar: who answers `AccessDenied`, and the caller in the habits of its users."""

from __future__ import annotations

from typing import Any

import pytest

from authz_middleware import AccessDenied, ASGIAuthzMiddleware, Principal, current_access
from tests.frameworks.apps import KINDS, call, litestar_app, talk, who, write
from tests.frameworks.installed import installed

litestar = installed("litestar")
di = installed("litestar.di")
KIND = KINDS["litestar"]


def injected(kind: Any) -> Any:
    """The annotation of an argument that is a dependency; older versions take the bare type."""
    return di.NamedDependency[kind] if hasattr(di, "NamedDependency") else kind


def own(request: Any, denied: AccessDenied) -> Any:
    return litestar.Response(f"no: {denied.decision.missing[0]}", status_code=403)


def view(function: Any, path: str, **arguments: Any) -> Any:
    return litestar.get(path, **arguments)(function)


def app_of(*handlers: Any, **arguments: Any) -> Any:
    return litestar.Litestar(handlers, logging_config=None, **arguments)


@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_the_apps_own_handler_wins(first, authz, callers):
    app = litestar_app(exception_handlers={AccessDenied: own} if first else {})
    KIND.wrap(app, authz)
    if not first:
        app.exception_handlers[AccessDenied] = own
    sent = call(KIND, app, "GET", "/write", callers["viewer"]).sent
    assert (sent.status, sent.body) == (403, b"no: article:write")


def test_a_handlers_own_handler_wins(authz, callers):
    def guarded() -> str:
        return write()

    app = app_of(view(guarded, "/me", exception_handlers={AccessDenied: own}, sync_to_thread=False))
    sent = call(KIND, KIND.wrap(app, authz), "GET", "/me", callers["viewer"]).sent
    assert sent.body == b"no: article:write"


def test_an_app_that_catches_everything_still_refuses(authz, callers):
    def broke(request: Any, error: Exception) -> Any:
        return litestar.Response("something broke", status_code=500)

    app = KIND.wrap(litestar_app(exception_handlers={Exception: broke}), authz)
    del app.exception_handlers[AccessDenied]
    assert call(KIND, app, "GET", "/write", callers["viewer"]).sent.status == 403


@pytest.mark.parametrize("where", ["guards", "before_request", "dependencies"])
def test_where_else_it_may_be_asked(where, authz, callers):
    def ask(connection: Any, handler: Any) -> None:
        write()

    def ask_first(request: Any) -> None:
        write()

    def dependency() -> str:
        return write()

    asked: dict[str, Any] = {
        "guards": [ask],
        "before_request": ask_first,
        "dependencies": {"asked": di.Provide(dependency, sync_to_thread=False)},
    }

    async def me() -> str:
        return who()

    async def me_asked(asked: str) -> str:
        return who()

    me.__annotations__ = {"return": str}
    me_asked.__annotations__ = {"asked": injected(str), "return": str}
    function = me_asked if where == "dependencies" else me
    app = KIND.wrap(app_of(view(function, "/me"), **{where: asked[where]}), authz)
    assert call(KIND, app, "GET", "/me", callers["viewer"]).sent.status == 403
    assert call(KIND, app, "GET", "/me", callers["editor"]).sent.body == b"bob"


def principal() -> Principal | None:
    access = current_access()
    return access.principal if access else None


@pytest.mark.parametrize("threads", [True, False])
def test_a_dependency_gives_the_principal(threads, authz, callers):
    seen: list[Any] = []

    async def me(principal: Principal, request: Any) -> str:
        seen.extend((principal, request.scope["authz"].principal))
        return principal.subject

    me.__annotations__ = {
        "principal": injected(Principal),
        "request": litestar.Request,
        "return": str,
    }
    principal.__annotations__ = {"return": Principal}
    provided = {"principal": di.Provide(principal, sync_to_thread=threads)}
    app = KIND.wrap(app_of(view(me, "/me"), dependencies=provided), authz)
    assert call(KIND, app, "GET", "/me", callers["viewer"]).sent.body == b"ann"
    assert seen[0] is seen[1]


def test_its_own_client(authz, callers):
    app = KIND.wrap(litestar_app(), authz)
    with installed("litestar.testing").TestClient(app) as client:
        assert client.get("/write", headers=dict(callers["viewer"])).status_code == 403
        assert client.get("/write", headers=dict(callers["editor"])).text == "written"
        with client.websocket_connect("/feed", headers=dict(callers["viewer"])) as socket:
            assert socket.receive_text() == "ann"


def test_wrapped_around_the_whole_app(authz, callers):
    app = ASGIAuthzMiddleware(litestar_app(), authz)
    assert call(KIND, app, "GET", "/write", callers["viewer"]).sent.status == 403


def test_what_is_registered_later_is_behind_us(authz, callers):
    app = KIND.wrap(app_of(), authz)

    async def me() -> str:
        return write()

    me.__annotations__ = {"return": str}
    app.register(view(me, "/me"))
    assert call(KIND, app, "GET", "/me").sent.status == 401
    assert call(KIND, app, "GET", "/me", callers["viewer"]).sent.status == 403


def test_a_prefix_anywhere_is_a_reading(authz, callers):
    """path-confusion: Litestar cuts the first `root_path` that it finds, wherever it is."""
    app = KIND.wrap(litestar_app(), authz)
    for path, status in (("/svc/me", 200), ("/public/svc/me", 403), ("/svcme", 400)):
        start = talk(app, "GET", path, callers["viewer"], root_path="/svc")[0]
        assert start["status"] == status, path


def test_a_mount_is_closed_where_no_rule_is(authz, callers):
    """path-confusion: what is mounted at `/me` also answers `/menu`, with any method."""

    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        await litestar.response.base.ASGIResponse(body=b"mounted")(scope, receive, send)

    mounted.__annotations__ = {
        "scope": litestar.types.Scope,
        "receive": litestar.types.Receive,
        "send": litestar.types.Send,
        "return": None,
    }
    app = app_of(litestar.handlers.asgi("/me", is_mount=True, copy_scope=True)(mounted))
    assert call(KIND, app, "DELETE", "/menu").sent.body == b"mounted"
    KIND.wrap(app, authz)
    assert call(KIND, app, "GET", "/me", callers["editor"]).sent.body == b"mounted"
    for method, path in (("GET", "/menu"), ("DELETE", "/me"), ("GET", "/me/nu")):
        assert call(KIND, app, method, path, callers["editor"]).sent.status == 403


def test_a_logging_configuration_of_another_kind_is_left_alone(authz, callers):
    app = litestar_app()
    app.logging_config = object()
    prepare = installed("authz_middleware.frameworks.litestar").prepare
    prepare(app)
    assert AccessDenied in app.exception_handlers
