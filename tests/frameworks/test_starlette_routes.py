"""The routes of Starlette and FastAPI, the route taken, and the look before its handler."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given, settings

from authz_middleware import ASGIAuthzMiddleware, Authz, current_access
from tests.frameworks.apps import talk
from tests.frameworks.installed import installed
from tests.frameworks.laws import ISSUER, Declared, World, check, worlds

installed("starlette")
routing: Any = installed("starlette.routing")
applications: Any = installed("starlette.applications")
responses: Any = installed("starlette.responses")
staticfiles: Any = installed("starlette.staticfiles")
fastapi: Any = installed("fastapi")

Fields = list[tuple[str, str]]


def authz(routes: dict[str, Any], **more: Any) -> Authz:
    return Authz.from_mapping({"issuers": [ISSUER.policy_issuer()], "routes": routes, **more})


def bearer(*roles: str) -> Fields:
    return [("Authorization", f"Bearer {ISSUER.mint('ann', roles=list(roles), lifetime=7200)}")]


def ask(app: Any, method: str, path: str, headers: Fields = [], **scope: Any) -> tuple[int, bytes]:  # noqa: B006
    """Send a request; the status, and the body. 101 is an accepted WebSocket."""
    first, *rest = talk(app, method, path, headers, **scope)
    if first["type"] == "websocket.accept":
        return 101, b""
    if first["type"] == "websocket.close":
        return 403, b""
    return first["status"], b"".join(each.get("body", b"") for each in rest)


# --- The law ---


def starlette_app(routes: Sequence[Declared], ran: list[str]) -> Any:
    def handler(name: str) -> Any:
        async def run(_request: Any) -> Any:
            ran.append(name)
            return responses.PlainTextResponse(name)

        return run

    return applications.Starlette(
        routes=[
            routing.Route(_spelled(each.text), handler(each.name), methods=list(each.methods))
            for each in routes
        ]
    )


def fastapi_app(routes: Sequence[Declared], ran: list[str]) -> Any:
    """Every second route is in an included router."""
    app, router = fastapi.FastAPI(openapi_url=None), fastapi.APIRouter()

    def handler(name: str) -> Any:
        async def run() -> str:
            ran.append(name)
            return name

        return run

    for number, each in enumerate(routes):
        path, where = _spelled(each.text), (app, router)[number % 2]
        where.add_api_route(path, handler(each.name), methods=list(each.methods))
    if len(routes) > 1:
        app.include_router(router)
    return app


def _spelled(text: str) -> str:
    """Write a path as Starlette does."""
    pieces = []
    for piece in text.split("/"):
        kind, colon, name = piece.strip("<>").partition(":")
        spelled = f"{name}:{kind}" if colon else kind
        pieces.append(f"{{{spelled}}}" if piece.startswith("<") else piece)
    return "/".join(pieces)


BUILT = {"starlette": starlette_app, "fastapi": fastapi_app}


@pytest.mark.parametrize("name", BUILT)
@given(world=worlds())
@settings(max_examples=40, deadline=None, derandomize=True)
def test_what_runs_was_allowed_twice(name: str, world: World) -> None:
    check(world, BUILT[name], ASGIAuthzMiddleware, ask)


@pytest.mark.parametrize("name", BUILT)
def test_the_first_declared_needs_both(name: str) -> None:
    ran: list[str] = []
    both = [Declared("any", "/users/<name>", ("GET",)), Declared("me", "/users/me", ("GET",))]
    policy = authz({"/users/me": ["viewer"], "/users/<name>": ["admin"]})
    app = ASGIAuthzMiddleware(BUILT[name](both, ran), policy)
    assert ask(app, "GET", "/users/me", bearer("viewer"))[0] == 403
    assert ask(app, "GET", "/users/me", bearer("viewer", "admin"))[0] == 200
    assert ran == ["any"]


# --- The table ---


async def plain(_request: Any) -> Any:
    access = current_access()
    assert access is not None
    return responses.PlainTextResponse(str(access.principal and access.principal.subject))


async def feed(websocket: Any) -> None:
    await websocket.accept()
    await websocket.close()


async def foreign(scope: Any, receive: Any, send: Any) -> None:
    await responses.PlainTextResponse("foreign")(scope, receive, send)


class Endpoint(installed("starlette.endpoints").HTTPEndpoint):  # type: ignore[misc]
    async def get(self, request: Any) -> Any:
        return await plain(request)


def shop(folder: Any) -> Any:
    sub = applications.Starlette(routes=[routing.Route("/b/{x:int}", plain)])
    return applications.Starlette(
        routes=[
            routing.Route("/a", plain, methods=["GET", "POST"]),
            routing.Route("/class", Endpoint),
            routing.Route("/{name}.json", plain),
            routing.Route("/files/{rest:path}", plain),
            routing.WebSocketRoute("/feed", feed),
            routing.Mount("/static", staticfiles.StaticFiles(directory=folder)),
            routing.Mount("/foreign", foreign),
            routing.Mount("/t/{tenant}", sub),
            routing.Host("admin.example.com", routing.Router([routing.Route("/a", plain)])),
        ]
    )


SHOP = [
    ("any", "/class", "handler", "", "Exact"),
    ("GET|HEAD", "/a", "handler", "admin.example.com", "Exact"),
    ("GET|HEAD", "/files/{rest:path}", "handler", "", "Exact PathTail"),
    ("GET|HEAD", "/t/{tenant}/b/{x:int}", "handler", "", "Exact Plain Exact Typed"),
    ("GET|HEAD", "/{name}.json", "handler", "", "Plain"),
    ("GET|HEAD|POST", "/a", "handler", "", "Exact"),
    ("WS", "/feed", "handler", "", "Exact"),
    ("any", "/foreign/**", "opaque", "", "Exact PathTail"),
    ("any", "/static/**", "static", "", "Exact PathTail"),
]


def table(app: Any) -> list[tuple[str, str, str, str, str]]:
    return sorted(
        (
            "|".join(sorted(each.methods or ["any"])),
            each.text,
            each.kind,
            each.host,
            " ".join(type(segment).__name__ for segment in each.segments),
        )
        for each in authz({"/**": ["a"]}).bind(app).table.routes
    )


@pytest.mark.parametrize("around", [lambda app: app, lambda app: app.router], ids=["app", "router"])
def test_the_table(around: Callable[[Any], Any], tmp_path: Any) -> None:
    assert table(around(shop(tmp_path))) == sorted(SHOP)


def test_everything_is_guarded_inside(tmp_path: Any) -> None:
    routes = authz({"/**": ["a"]}).bind(shop(tmp_path)).table.routes
    assert all(each.guarded_inside for each in routes)
    named = {each.text: each.endpoint for each in routes}
    assert named["/class"] == f"{__name__}:Endpoint"
    assert named["/foreign/**"] == f"{__name__}:foreign"


def test_fastapi_included_and_mounted() -> None:
    app, inner, outer = fastapi.FastAPI(openapi_url=None), fastapi.APIRouter(), fastapi.APIRouter()
    inner.add_api_route("/x/{id:int}", lambda id: id, methods=["PUT"])
    inner.add_api_websocket_route("/ws", feed)
    outer.include_router(inner, prefix="/inner")
    app.include_router(outer, prefix="/outer")
    app.mount("/sub", starlette_app([Declared("r", "/a", ("GET",))], []))
    assert table(app) == [
        ("GET|HEAD", "/sub/a", "handler", "", "Exact Exact"),
        ("PUT", "/outer/inner/x/{id:int}", "handler", "", "Exact Exact Exact Typed"),
        ("WS", "/outer/inner/ws", "handler", "", "Exact Exact Exact"),
    ]


def test_fastapi_brings_routes_of_its_own() -> None:
    texts = [each[1] for each in table(fastapi.FastAPI())]
    assert texts == ["/docs", "/docs/oauth2-redirect", "/openapi.json", "/redoc"]


def test_a_default_of_the_apps_own_cannot_be_seen() -> None:
    assert table(routing.Router(default=foreign)) == [("any", "/**", "opaque", "", "PathTail")]


class Odd(routing.BaseRoute):  # type: ignore[misc]
    def matches(self, scope: Any) -> Any:
        return routing.Match.FULL, {}

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        await foreign(scope, receive, send)


def test_a_kind_of_route_that_nobody_knows_cannot_be_seen() -> None:
    app = applications.Starlette(routes=[Odd()])
    assert table(app) == [("any", "/**", "opaque", "", "PathTail")]
    guarded = ASGIAuthzMiddleware(app, authz({"/a": ["viewer"]}, unmatched="app"))
    assert ask(guarded, "GET", "/a", bearer("viewer")) == (200, b"foreign")
    assert ask(guarded, "GET", "/b", bearer("viewer"))[0] == 403


# --- The look ---

RULES = {
    "/a": ["viewer"],
    "/class": ["admin"],
    "/t/<tenant>/b/<int:x>": ["admin"],
    "/foreign/**": ["admin"],
    "/static/**": ["admin"],
    "GET /files/**": ["viewer"],
    "WS /feed": ["viewer"],
}


class Rewriting:
    """A middleware of the app's own, between the guard and the router."""

    def __init__(self, app: Any, **changes: Any) -> None:
        self.app = app
        self.changes = changes

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app({**scope, **self.changes}, receive, send)


@pytest.mark.parametrize(
    "changes",
    [
        {"path": "/class"},
        {"path": "/t/acme/b/1"},
        {"path": "/foreign/x"},
        {"path": "/static/x"},
        {"path": "/x.json"},
        {"path": "/a\n"},
        {"path": "/x/class", "root_path": "/x"},
        {"root_path": "/a", "path": "/a/class"},
        {"headers": [(b"host", b"admin.example.com")]},
    ],
    ids=str,
)
@pytest.mark.parametrize("added", [False, True], ids=["wrapped", "added"])
def test_what_is_rewritten_opens_nothing(changes: Any, added: bool, tmp_path: Any) -> None:
    app = shop(tmp_path)
    policy = authz({**RULES, "/a": ["viewer"]})
    if added:
        app.add_middleware(Rewriting, **changes)
        app.add_middleware(ASGIAuthzMiddleware, config=policy)
    else:
        app = ASGIAuthzMiddleware(Rewriting(app, **changes), policy)
    status, body = ask(app, "GET", "/a", bearer("viewer"))
    # The host's route has the same path, so that its rule is the same.
    assert status == (
        200 if "headers" in changes else 400 if changes.get("path") == "/a\n" else 403
    )
    assert b"ann" in body or b"urn:uuid:" in body


def test_another_method_opens_nothing(tmp_path: Any) -> None:
    policy = authz({"GET /a": ["viewer"], "POST /a": ["admin"]})
    app = ASGIAuthzMiddleware(Rewriting(shop(tmp_path), method="POST"), policy)
    assert ask(app, "GET", "/a", bearer("viewer"))[0] == 403
    assert ask(app, "GET", "/a", bearer("viewer", "admin"))[0] == 200


def test_a_handler_of_every_exception_cannot_hide_the_refusal(tmp_path: Any) -> None:
    async def fine(_request: Any, _error: Exception) -> Any:
        return responses.PlainTextResponse("fine")

    app = shop(tmp_path)
    app.add_exception_handler(Exception, fine)
    app.add_exception_handler(installed("authz_middleware").AccessDenied, fine)
    app = ASGIAuthzMiddleware(Rewriting(app, path="/class"), authz(RULES))
    status, body = ask(app, "GET", "/a", bearer("viewer"))
    assert status == 403
    assert b"urn:uuid:" in body


def test_a_handshake_is_looked_at(tmp_path: Any) -> None:
    app = ASGIAuthzMiddleware(shop(tmp_path), authz({**RULES, "WS /other": ["viewer"]}))
    assert ask(app, "WS", "/feed", bearer("viewer"))[0] == 101
    assert ask(app, "WS", "/feed", bearer("admin"))[0] == 403
    policy = authz({"WS /other": ["viewer"], "WS /feed": ["admin"]})
    rewritten = ASGIAuthzMiddleware(Rewriting(shop(tmp_path), path="/feed"), policy)
    assert ask(rewritten, "WS", "/other", bearer("viewer"))[0] == 403
    assert ask(rewritten, "WS", "/other", bearer("viewer", "admin"))[0] == 101


def test_without_a_guard_before_it_no_handler_runs(tmp_path: Any) -> None:
    app = shop(tmp_path)
    assert ask(ASGIAuthzMiddleware(app, authz(RULES)), "GET", "/a", bearer("viewer"))[0] == 200
    assert ask(app, "GET", "/a")[0] == 500
    assert ask(app, "GET", "/nowhere")[0] == 404
    assert ask(app, "PUT", "/a")[0] == 405


@pytest.mark.parametrize("name", BUILT)
def test_a_route_that_is_added_later_has_no_rule(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    ran: list[str] = []
    app = BUILT[name]([Declared("a", "/a", ("GET",)), Declared("b", "/b", ("GET",))], ran)
    guarded = ASGIAuthzMiddleware(app, authz({"/**": ["viewer"]}))
    assert ask(guarded, "GET", "/late", bearer("viewer"))[0] == 404
    app.add_route("/late", plain)
    for _ in range(2):
        assert ask(guarded, "GET", "/late", bearer("viewer"))[0] == 403
    assert caplog.text.count("a route that was added after the start has no rule") == 1
    assert ask(guarded, "GET", "/b", bearer("viewer"))[0] == 200


@pytest.mark.parametrize("prefix_in_path", [False, True], ids=["left alone", "put in front"])
def test_below_a_prefix(prefix_in_path: bool, tmp_path: Any) -> None:
    app = ASGIAuthzMiddleware(shop(tmp_path), authz(RULES))
    front = "/svc" if prefix_in_path else ""
    routes = [("/a", "viewer"), ("/class", "admin")]
    if prefix_in_path:  # else Starlette itself finds no mount
        routes.append(("/t/acme/b/1", "admin"))
    for path, role in routes:
        for held in ("viewer", "admin"):
            status, _ = ask(app, "GET", front + path, bearer(held), root_path="/svc")
            assert status == (200 if held == role else 403), (path, held)


# --- The start ---


def start(app: Any) -> list[str]:
    """Say what a server hears when it starts the app."""
    said: list[str] = []

    async def run() -> None:
        incoming = [{"type": "lifespan.shutdown"}, {"type": "lifespan.startup"}]

        async def receive() -> Any:
            return incoming.pop()

        async def send(message: Any) -> None:
            said.append(message["type"] + ": " + message.get("message", ""))

        await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)

    asyncio.run(run())
    return said


def test_a_strict_policy_with_a_gap_fails_the_start(tmp_path: Any) -> None:
    app = ASGIAuthzMiddleware(shop(tmp_path), authz(RULES, strict=True))
    first, *_ = start(app)
    assert first.startswith("lifespan.startup.failed: /foreign/** (")
    assert "/{name}.json (tests.frameworks.test_starlette_routes:plain): no rule covers it" in first
    assert ask(app, "GET", "/a", bearer("viewer"))[0] == 503


def test_a_strict_policy_without_a_gap_starts() -> None:
    app = starlette_app([Declared("a", "/a", ("GET",))], [])
    guarded = ASGIAuthzMiddleware(app, authz({"/a": ["viewer"]}, strict=True))
    assert start(guarded)[0] == "lifespan.startup.complete: "
    assert ask(guarded, "GET", "/a", bearer("viewer"))[0] == 200


def test_routes_that_the_start_of_the_app_adds_are_there() -> None:
    @asynccontextmanager
    async def lifespan(app: Any) -> Any:
        app.add_route("/a", plain)
        yield

    app = applications.Starlette(lifespan=lifespan)
    guarded = ASGIAuthzMiddleware(app, authz({"/a": ["viewer"]}, strict=True))
    assert start(guarded)[0] == "lifespan.startup.complete: "
    assert ask(guarded, "GET", "/a", bearer("viewer")) == (200, b"ann")


@pytest.mark.parametrize("headers", [[], bearer("viewer")])
def test_what_nobody_knows_is_left_to_the_app(headers: Fields, tmp_path: Any) -> None:
    app = ASGIAuthzMiddleware(shop(tmp_path), authz({"/a": ["viewer"]}, unmatched="app"))
    assert ask(app, "GET", "/nowhere", headers) == (404, b"Not Found")
    assert ask(app, "POST", "/class/", headers)[0] in (401, 403)  # Starlette's own redirect
    for path in ("/class", "/x.json", "/static/x", "/foreign/x", "/t/acme/b/1"):
        assert ask(app, "GET", path, headers)[0] in (401, 403)
    assert ask(app, "WS", "/nowhere", headers)[0] == 403
