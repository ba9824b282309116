"""What is done to a request, or to the routes, between the guard and Starlette's handlers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from authz_middleware import ASGIAuthzMiddleware
from tests.frameworks.installed import installed
from tests.frameworks.test_starlette_routes import ask, authz, bearer, foreign, plain

routing: Any = installed("starlette.routing")
applications: Any = installed("starlette.applications")
responses: Any = installed("starlette.responses")
fastapi: Any = installed("fastapi")


class Changing:
    """A middleware of the app's own that hands on another scope."""

    def __init__(self, app: Any, change: Callable[[Any], dict[str, Any]]) -> None:
        self.app = app
        self.change = change

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        change = self.change(scope) if scope["type"] != "lifespan" else {}
        await self.app({**scope, **change}, receive, send)


def forwarded(scope: Any) -> dict[str, Any]:
    """Take the prefix from a header, as behind a proxy."""
    fields = {name.lower(): value for name, value in scope["headers"]}
    return {"root_path": fields.get(b"x-forwarded-prefix", b"").decode()}


FILES = {"/files/<path:p>": ["admin"], "/files/public/**": ["viewer"]}
FORGED = [("X-Forwarded-Prefix", "/files/public")]


def starlette_files() -> Any:
    return applications.Starlette(routes=[routing.Route("/files/{p:path}", plain)])


def starlette_mount() -> Any:
    return applications.Starlette(routes=[routing.Mount("/files", foreign)])


def starlette_sub() -> Any:
    sub = applications.Starlette(routes=[routing.Route("/{p:path}", plain)])
    return applications.Starlette(routes=[routing.Mount("/files", sub)])


def starlette_host() -> Any:
    inner = routing.Router([routing.Route("/files/{p:path}", plain)])
    return applications.Starlette(routes=[routing.Host("{any}", inner)])


def fastapi_files() -> Any:
    app = fastapi.FastAPI(openapi_url=None)
    app.add_api_route("/files/{p:path}", lambda p: p)
    return app


def fastapi_included() -> Any:
    app, router = fastapi.FastAPI(openapi_url=None), fastapi.APIRouter()
    router.add_api_route("/{p:path}", lambda p: p)
    app.include_router(router, prefix="/files")
    return app


def fastapi_included_mount() -> Any:
    app, router = fastapi.FastAPI(openapi_url=None), fastapi.APIRouter()
    router.mount("/", foreign)
    app.include_router(router, prefix="/files")
    return app


SHOPS = [
    starlette_files,
    starlette_mount,
    starlette_sub,
    starlette_host,
    fastapi_files,
    fastapi_included,
]


@pytest.mark.parametrize("make", SHOPS)
@pytest.mark.parametrize("added", [False, True], ids=["wrapped", "added"])
def test_a_forged_prefix_opens_nothing(make: Callable[[], Any], added: bool) -> None:
    app, policy = make(), authz(FILES)
    if added:
        app.add_middleware(Changing, change=forwarded)
        app.add_middleware(ASGIAuthzMiddleware, config=policy)
    else:
        app = ASGIAuthzMiddleware(Changing(app, forwarded), policy)
    path = "/files/public/files/secret"
    viewer = [("host", "x"), *bearer("viewer")]
    assert ask(app, "GET", "/files/public/x", viewer)[0] == 200
    assert ask(app, "GET", path, viewer)[0] == 200
    assert ask(app, "GET", path, viewer + FORGED)[0] == 403
    both = [("host", "x"), *bearer("viewer", "admin")]
    assert ask(app, "GET", path, both + FORGED)[0] == 200


async def lost(scope: Any, receive: Any, send: Any) -> None:
    await responses.PlainTextResponse("the default")(scope, receive, send)


def test_a_default_of_the_apps_own_is_looked_at() -> None:
    router = routing.Router([routing.Route("/a", plain)], default=lost)
    policy = authz({"/a": ["viewer"], "/secret": ["admin"]})
    app = ASGIAuthzMiddleware(Changing(router, lambda _scope: {"path": "/secret"}), policy)
    assert ask(app, "GET", "/a", bearer("viewer"))[0] == 403
    assert ask(app, "GET", "/a", bearer("viewer", "admin")) == (200, b"the default")


def replaced(app: Any) -> None:
    app.router.routes[0] = routing.Route("/a", plain)


def assigned(app: Any) -> None:
    app.router.routes = [routing.Route("/a", plain)]


def swapped_for_an_equal(app: Any) -> None:
    app.router.routes[0] = routing.Route("/a", app.router.routes[0].endpoint)


def new_default(app: Any) -> None:
    app.router.routes = []
    app.router.default = lost


def mounted(app: Any) -> None:
    app.router.routes = [routing.Mount("/", routing.Router([routing.Route("/a", plain)]))]


def mounted_foreign(app: Any) -> None:
    app.router.routes[:] = [routing.Mount("/a", foreign), routing.Mount("/", foreign)]


LATE = [replaced, assigned, swapped_for_an_equal, new_default, mounted, mounted_foreign]


@pytest.mark.parametrize("change", LATE)
def test_what_changes_after_the_start_has_no_rule(
    change: Callable[[Any], None], caplog: pytest.LogCaptureFixture
) -> None:
    app = applications.Starlette(routes=[routing.Route("/a", plain)])
    guarded = ASGIAuthzMiddleware(app, authz({"/**": ["viewer"]}))
    assert ask(guarded, "GET", "/a", bearer("viewer"))[0] == 200
    change(app)
    for _ in range(2):
        assert ask(guarded, "GET", "/a", bearer("viewer"))[0] == 403
    assert caplog.text.count("a route that was added after the start has no rule") == 1
