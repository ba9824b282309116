"""Litestar's routes, the handler that a request takes, and the look between the two."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authz_middleware import ASGIAuthzMiddleware, PolicyError, current_access
from authz_middleware.asgi import facts_of
from authz_middleware.frameworks import see
from authz_middleware.policy.routes import NO_ROUTE, UNSEEN
from tests.adapters.exchange import Sent
from tests.frameworks.apps import KINDS, call
from tests.frameworks.asking import RULES, Headers, authz, bearer, scope_of
from tests.frameworks.installed import installed
from tests.frameworks.laws import Declared, World, check, worlds

litestar: Any = installed("litestar")
handlers: Any = installed("litestar.handlers")
KIND = KINDS["litestar"]
NOBODY = [("Authorization", "Bearer no.to.ken")]


def ask(app: Any, method: str, path: str, headers: Headers, **extra: Any) -> Sent:
    return call(KIND, app, method, path, headers, **extra).sent


def app_of(*found: Any, **arguments: Any) -> Any:
    return litestar.Litestar(
        found, **{"logging_config": None, "openapi_config": None, "debug": False, **arguments}
    )


def handler(
    path: str | list[str],
    run: Callable[[Any], str],
    methods: Sequence[str] = ("GET",),
    **more: Any,
) -> Any:
    async def handle(request: Any) -> str:
        return run(request)

    handle.__annotations__ = {"request": litestar.Request, "return": str}
    return litestar.route(path, http_method=list(methods), status_code=200, **more)(handle)


def mount(path: str | list[str], ran: list[str], name: str = "mount", **more: Any) -> Any:
    """What is mounted at `path`, and writes down which path it gets."""

    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        ran.append(f"{name} {scope['path']}")
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close", "code": 1000})
            return
        await litestar.response.base.ASGIResponse(body=b"mounted")(scope, receive, send)

    types = litestar.types
    mounted.__annotations__ = {
        "scope": types.Scope,
        "receive": types.Receive,
        "send": types.Send,
        "return": None,
    }
    return handlers.asgi(path, **{"is_mount": True, "copy_scope": True, **more})(mounted)


def written(text: str) -> str:
    """A path of Werkzeug's as Litestar writes it."""
    parts = []
    for part in text.split("/"):
        kind, _, name = part.strip("<>").rpartition(":")
        parts.append(f"{{{name}:{kind or 'str'}}}" if part[:1] == "<" else part)
    return "/".join(parts)


def build(routes: Sequence[Declared], ran: list[str]) -> Any:
    """An app of these routes; Litestar keeps the last of those that differ in names alone."""
    found = []
    for route in routes:

        def run(_: Any, name: str = route.name) -> str:
            ran.append(name)
            return name

        found.append(handler(written(route.text), run, route.methods))
    return app_of(*found)


def places(text: str) -> list[str]:
    """The beginnings of a path, without what its parameters are called and take."""
    parts = ["{}" if part[:1] == "<" else part for part in text.split("/")[1:]]
    return ["/".join(parts[: end + 1]) for end in range(len(parts))]


def kept(routes: Sequence[Declared]) -> Iterator[Declared]:
    """What Litestar's router keeps: in each place one kind of parameter, the last of all handlers.

    A parameter for the rest of the path makes one of all others in its place, and nothing that is
    declared behind it is ever found.
    """
    tails = {places(route.text)[-1] for route in routes if "<path:" in route.text}
    for number, route in enumerate(routes):
        *before, place = places(route.text)
        if any(each in tails for each in before):
            continue
        later = [each for each in routes[number + 1 :] if places(each.text)[-1] == place]
        methods = [each for each in route.methods if not any(each in one.methods for one in later)]
        text = route.text
        if place in tails:
            start, _, name = text.rpartition("/")
            text = f"{start}/<path:{name.strip('<>').rpartition(':')[2]}>"
        yield Declared(route.name, text, tuple(methods))


@given(worlds())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_what_runs_was_allowed_twice(world: World) -> None:
    routed = replace(world, routes=tuple(kept(world.routes)))
    check(routed, lambda _, ran: build(world.routes, ran), ASGIAuthzMiddleware, ask)


# --- The table ---


def caller(_: Any = None) -> str:
    access = current_access()
    assert access is not None
    return access.principal.subject if access.principal else "nobody"


async def feed(socket: Any) -> None:
    await socket.accept()
    await socket.send_text(caller())
    await socket.close()


feed.__annotations__ = {"socket": litestar.WebSocket, "return": None}


class Admin(litestar.Controller):  # type: ignore[misc]
    path = "/admin"
    users = handler("/users", lambda _: caller())


def shop(*more: Any, **arguments: Any) -> Any:
    inner = litestar.Router("/deep/{shop:uuid}", route_handlers=[handler("/{day:date}/x", caller)])
    return app_of(
        handler("/items/{id:int}", caller),
        handler("/items/{number:int}", caller, ["DELETE"]),
        handler("/any", caller, ["GET", "HEAD", "OPTIONS"]),
        handler("/prices/{price:float}/{of:str}", caller),
        handler("/files/{rest:path}", caller),
        handler(["/one/{a:str}", "/two"], caller),
        litestar.websocket("/feed")(feed),
        litestar.websocket("/admin/feed")(feed),
        Admin,
        litestar.Router("/in", route_handlers=[inner]),
        *more,
        **arguments,
    )


Row = tuple[str, str, str, tuple[str, ...]]
SHOP: list[Row] = [
    ("DELETE", "/items/{number:int}", "handler", ("Exact", "Typed")),
    ("GET", "/admin/users", "handler", ("Exact", "Exact")),
    ("GET", "/files/{rest:path}", "handler", ("Exact", "PathTail")),
    (
        "GET",
        "/in/deep/{shop:uuid}/{day:date}/x",
        "handler",
        (*["Exact"] * 2, "Typed", "Plain", "Exact"),
    ),
    ("GET", "/items/{id:int}", "handler", ("Exact", "Typed")),
    ("GET", "/one/{a:str}", "handler", ("Exact", "Plain")),
    ("GET", "/prices/{price:float}/{of:str}", "handler", ("Exact", "Typed", "Plain")),
    ("GET", "/two", "handler", ("Exact",)),
    ("GET|HEAD|OPTIONS", "/any", "handler", ("Exact",)),
    ("WS", "/admin/feed", "handler", ("Exact", "Exact")),
    ("WS", "/feed", "handler", ("Exact",)),
]


def table(app: Any) -> list[Row]:
    routes = authz({"/**": ["a"]}).bind(app).table.routes
    assert len({route.taken for route in routes}) == len(routes)
    return sorted(
        (
            "|".join(sorted(set(each.methods or ["any"]) - each.automatic)),
            each.text,
            each.kind,
            tuple(type(segment).__name__ for segment in each.segments),
        )
        for each in routes
    )


def test_the_table() -> None:
    assert table(shop()) == SHOP


def test_every_handler_is_guarded_inside_and_named() -> None:
    routes = authz({"/**": ["a"]}).bind(shop()).table.routes
    assert all(route.guarded_inside for route in routes)
    names = {route.text: route.endpoint for route in routes}
    assert names["/feed"] == f"{__name__}:feed"
    assert names["/admin/users"] == f"{__name__}:handler.<locals>.handle"


def test_litestar_answers_options_itself() -> None:
    routes = authz({"/**": ["a"]}).bind(shop()).table.routes
    assert {(route.text, "OPTIONS" in route.automatic) for route in routes} >= {
        ("/any", False),
        ("/two", True),
        ("/feed", False),
    }
    both = [route for route in routes if "OPTIONS" in route.automatic and "items" in route.text]
    assert len(both) == 1


def test_mounts_static_files_and_the_schema(tmp_path: Path) -> None:
    static = installed("litestar.static_files")
    app = litestar.Litestar(
        [
            mount("/mounted/x", []),
            mount("/", []),
            mount("/exact", [], is_mount=False),
            static.create_static_files_router("/static", [tmp_path]),
        ],
        logging_config=None,
    )
    rows = table(app)
    assert ("any", "/mounted/x", "opaque", ("Exact", "Exact", "DoubleStar")) in rows
    assert ("any", "/", "opaque", ("DoubleStar",)) in rows
    assert ("any", "/exact", "handler", ("Exact",)) in rows
    assert ("GET", "/static/{file_path:path}", "static", ("Exact", "PathTail")) in rows
    assert ("GET", "/schema/openapi.json", "handler", ("Exact", "Exact")) in rows


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_static_files_of_the_old_kind(tmp_path: Path) -> None:
    static = installed("litestar.static_files")
    (tmp_path / "secret").write_text("secret")
    app = app_of(static_files_config=[static.StaticFilesConfig("/static", [tmp_path])])
    assert table(app) == [("any", "/static", "static", ("Exact", "DoubleStar"))]
    guarded = ASGIAuthzMiddleware(app, authz({"/static/**": ["admin"], "/**": ["viewer"]}))
    for path in ("/static/secret", "/staticsecret"):
        assert ask(guarded, "GET", path, bearer("viewer")).status == 403
    assert ask(guarded, "GET", "/static/secret", bearer("admin")).body == b"secret"


def test_beside_a_parameter_for_the_rest_others_take_it_too() -> None:
    """Litestar's router knows one kind of parameter in one place."""
    app = app_of(
        handler("/x/{name:str}", lambda request: request.path_params["name"]),
        handler("/x/{rest:path}", caller, ["POST"]),
    )
    assert ask(app, "GET", "/x/a/b", []).body == b"/a/b"
    assert [segments for *_, segments in table(app)] == [("Exact", "PathTail")] * 2
    guarded = ASGIAuthzMiddleware(app, authz({"/x/<name>": "public", "/x/**": ["admin"]}))
    assert ask(guarded, "GET", "/x/a/b", []).status == 401


def test_of_two_routes_of_one_place_the_last_is_there() -> None:
    app = app_of(
        handler("/x/{a:int}", lambda _: "a", ["GET", "POST"]), handler("/x/{b:str}", lambda _: "b")
    )
    assert table(app) == [
        ("GET", "/x/{b:str}", "handler", ("Exact", "Plain")),
        ("POST", "/x/{a:int}", "handler", ("Exact", "Typed")),
    ]
    guarded = ASGIAuthzMiddleware(app, authz({"/x/**": ["viewer"]}))
    assert ask(guarded, "GET", "/x/1", bearer("viewer")).body == b"b"
    assert ask(guarded, "POST", "/x/1", bearer("viewer")).body == b"a"


# --- What a request takes ---


@pytest.fixture(scope="module")
def recorded() -> tuple[Any, list[Any]]:
    """An app of all kinds of routes whose handlers write down what they are."""
    ran: list[Any] = []

    def note(name: str) -> Callable[[Any], str]:
        def run(request: Any) -> str:
            ran.append(name)
            return name

        return run

    async def listening(socket: Any) -> None:
        ran.append("ws")
        await socket.accept()
        await socket.close()

    listening.__annotations__ = feed.__annotations__
    app = app_of(
        handler("/", note("root")),
        handler("/a", note("a"), ["GET", "POST"]),
        handler("/a/{x:int}", note("int")),
        handler("/a/{y:str}", note("str"), ["POST"]),
        handler("/a/b/{z:str}", note("b")),
        handler("/rest/{z:path}", note("rest")),
        litestar.websocket("/ws")(listening),
        mount("/m", ran),
        mount("/m/deep", ran, "deep"),
        mount("/exact", ran, "exact", is_mount=False),
    )
    return app, ran


NAMES = {"root": "/", "a": "/a", "int": "/a/{}", "str": "/a/{}", "b": "/a/b/{}", "ws": "/ws"}
NAMES |= {"rest": "/rest/{}", "mount": "/m", "deep": "/m/deep", "exact": "/exact"}

PATHS = st.one_of(
    st.sampled_from(
        ["", "*", "a", "//a", "/a//1/", "/mx", "/m/deepx", "/mdeep", "/x/svc/a", "/svca"]
    ),
    st.lists(
        st.sampled_from(["a", "b", "1", "+1", "x", "rest", "ws", "m", "deep", "exact", "svc", ""]),
        max_size=4,
    ).map(lambda parts: "/" + "/".join(parts)),
)


@given(PATHS, st.sampled_from(["GET", "HEAD", "OPTIONS", "POST", "WS"]), st.booleans())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_it_resolves_as_litestar_does(recorded: Any, path: str, method: str, rooted: bool) -> None:
    app, ran = recorded
    ran.clear()
    extra = {"root_path": "/svc"} if rooted else {}
    scope = scope_of(method, path, [], **extra)
    before = repr(scope)
    taken: Any = see(app).resolve(scope)
    assert repr(scope) == before
    status = ask(app, method, path, [], **extra).status
    if taken is NO_ROUTE:
        assert ran == []
        return
    assert taken in {route.taken for route in see(app).routes()}
    key = taken[1][1] if taken[1][0] == "mount" else taken[1][0]
    if ran:
        assert key == NAMES[ran[0].split()[0]]
    else:
        assert (method, status) == ("OPTIONS", 204)


def test_another_litestar_cannot_be_seen_through() -> None:
    app = shop()
    seen = see(app)

    class Router:
        pass

    app.asgi_router = Router()
    assert seen.resolve(scope_of("GET", "/any", [])) is UNSEEN


# --- The second look ---


def rewriting(app: Any, **changes: Any) -> Any:
    """A middleware inside of the guard that hands on another request."""

    async def rewrite(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, **changes} if scope["type"] != "lifespan" else scope, receive, send)

    rewrite.app = app  # type: ignore[attr-defined]
    return rewrite


@pytest.mark.parametrize(
    "changes",
    [
        {"path": "/admin/users"},
        {"path": "//admin//users/"},
        {"path": "admin/users"},
        {"method": "DELETE"},
        {"path": "/any"},
        {"path": "/x/svc/admin/users", "root_path": "/svc"},
    ],
    ids=["path", "slashes", "no-slash", "method", "no-rule", "root-path"],
)
def test_an_inner_middleware_that_rewrites_opens_nothing(changes: dict[str, str]) -> None:
    guarded = ASGIAuthzMiddleware(rewriting(shop(), **changes), authz(RULES))
    refused = ask(guarded, "GET", "/items/1", bearer("viewer"))
    plain = ask(ASGIAuthzMiddleware(shop(), authz(RULES)), "GET", "/admin/users", bearer("viewer"))
    assert (refused.status, plain.status) == (403, 403)
    assert [name for name, _ in refused.headers] == [name for name, _ in plain.headers]
    may = changes.get("path") != "/any" and "root_path" not in changes
    assert (ask(guarded, "GET", "/items/1", bearer("viewer", "admin")).status == 200) == may


def test_a_middleware_of_litestars_that_rewrites_opens_nothing() -> None:
    """It runs behind the router, which has chosen the route but not its method."""
    ran: list[str] = []

    def override(app: Any) -> Any:
        async def middleware(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "method": "DELETE"}, receive, send)

        return middleware

    app = app_of(
        handler("/items/{id:int}", caller),
        handler("/items/{id:int}", lambda _: str(ran.append("gone")), ["DELETE"]),  # type: ignore[func-returns-value]
        middleware=[override],
    )
    guarded = ASGIAuthzMiddleware(app, authz(RULES))
    assert ask(guarded, "GET", "/items/1", bearer("viewer")).status == 403
    assert ran == []
    assert ask(guarded, "GET", "/items/1", bearer("viewer", "admin")).status == 200
    assert ran == ["gone"]


@pytest.mark.parametrize("kind", ["function", "controller"])
def test_a_handler_that_is_called_in_the_place_of_another_has_no_rule(kind: str) -> None:
    """Litestar's own middlewares know the app, and so every route, by the scope."""
    ran: list[str] = []

    def admin(request: Any) -> str:
        ran.append("admin")
        return "admin"

    async def method(self: Any) -> str:
        return admin(None)

    method.__annotations__ = {"return": str}
    body = {"path": "/admin", "get": litestar.get()(method)}
    controller = type("Admin", (litestar.Controller,), body)

    class Straight:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if any(name.lower() == b"x-straight" for name, _ in scope["headers"]):
                (route,) = [each for each in scope["app"].routes if each.path == "/admin"]
                await route.handle(scope, receive, send)
            else:
                await self.app(scope, receive, send)

    def make() -> Any:
        found = controller if kind == "controller" else handler("/admin", admin)
        return app_of(handler("/public", lambda _: "public"), found, middleware=[Straight])

    assert ask(make(), "GET", "/public", [("X-Straight", "1")]).body == b"admin"
    ran.clear()
    rules = {"/public": "public", "/admin": ["admin"]}
    guarded = ASGIAuthzMiddleware(make(), authz(rules))
    assert ask(guarded, "GET", "/public", []).body == b"public"
    for headers, status in ([], 401), (bearer("admin"), 403):
        assert ask(guarded, "GET", "/public", [*headers, ("X-Straight", "1")]).status == status
    assert ran == []
    assert ask(guarded, "GET", "/admin", bearer("admin")).body == b"admin"


def test_a_websocket_that_is_led_elsewhere_is_refused() -> None:
    rules = authz({"WS /feed": "public", "WS /admin/feed": ["admin"]})
    guarded = ASGIAuthzMiddleware(rewriting(shop(), path="/admin/feed"), rules)
    plain = ASGIAuthzMiddleware(shop(), rules)
    for roles, status in (["admin"], 101), (["viewer"], 403):
        assert ask(guarded, "WS", "/feed", bearer(*roles)).status == status
        assert ask(plain, "WS", "/admin/feed", bearer(*roles)).status == status
    assert ask(plain, "WS", "/feed", []).status == 101
    assert ask(guarded, "WS", "/feed", []).status == ask(plain, "WS", "/admin/feed", []).status


@pytest.mark.parametrize("changes", [{"path": "/x"}, {"path": "/x", "method": "GET"}])
def test_a_handler_for_http_is_not_to_be_had_as_a_websocket(changes: dict[str, str]) -> None:
    """Litestar chooses by the method that stands in the scope, and not by its type."""
    ran: list[str] = []
    found = handler("/x", lambda _: str(ran.append("x"))), handler("/open", caller)  # type: ignore[func-returns-value]
    rules = {"GET /x": ["admin"], "WS /x": "public", "/open": "public"}
    for asked, handed_on in ("GET", "websocket"), ("WS", "http"), ("WS", "websocket"):
        inner = rewriting(app_of(*found), type=handed_on, **changes)
        guarded = ASGIAuthzMiddleware(inner, authz(rules))
        for headers in [], bearer("viewer"):
            with suppress(Exception):  # whatever Litestar makes of such a request
                ask(guarded, asked, "/open", headers)
    assert ran == []


def test_a_catch_all_exception_handler_cannot_hide_the_refusal() -> None:
    def well(request: Any, error: Exception) -> Any:
        return litestar.Response("all is well", status_code=200)

    app = shop()
    app.exception_handlers[Exception] = well
    guarded = ASGIAuthzMiddleware(rewriting(app, path="/admin/users"), authz(RULES))
    app.exception_handlers.clear()
    app.exception_handlers[Exception] = well
    refused = ask(guarded, "GET", "/items/1", bearer("viewer"))
    assert refused.status == 403
    assert b"urn:uuid:" in refused.body


def test_the_look_comes_before_all_guards_and_what_is_cached() -> None:
    ran: list[str] = []

    def own(connection: Any, handler: Any) -> None:
        ran.append("own")

    app = app_of(handler("/x", caller, cache=60), handler("/open", caller), guards=[own])
    guarded = ASGIAuthzMiddleware(
        rewriting(app, path="/x"), authz({"/x": ["a"], "/open": "public"})
    )
    assert ask(guarded, "GET", "/open", bearer("a")).body == b"ann"
    ran.clear()
    for _ in range(2):
        assert ask(guarded, "GET", "/open", []).status == 401
    assert ran == []


def test_a_handler_without_a_guard_before_it_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    ran: list[str] = []
    app = shop(mount("/m", ran))
    ASGIAuthzMiddleware(app, authz(RULES)).authz.bind(app)  # type: ignore[union-attr]
    assert ask(app, "GET", "/items/1", bearer("viewer")).status == 500
    assert "by another way than through the guard" in caplog.text
    assert ask(app, "WS", "/feed", bearer("viewer")).status == 403
    assert ask(app, "GET", "/m/x", []).status == 500
    assert ran == []
    assert ask(app, "GET", "/nowhere", []).status == 404  # Litestar's own answers run no handler
    assert ask(app, "POST", "/items/1", []).status == 405
    assert ask(app, "OPTIONS", "/items/1", []).status == 204


def test_a_question_that_a_handler_asks_of_its_own_app_is_the_callers() -> None:
    async def inside(request: Any) -> str:
        path = request.path_params["path"]
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        await app(scope_of("GET", path, []), receive, send)
        return str(sent[0]["status"])

    inside.__annotations__ = {"request": litestar.Request, "return": str}
    app = shop(litestar.get("/inside/{path:path}")(inside))
    guarded = ASGIAuthzMiddleware(app, authz({**RULES, "/inside/**": ["viewer"]}))
    for path, roles, status in [
        ("items/1", ["viewer"], b"200"),
        ("admin/users", ["viewer"], b"403"),
        ("admin/users", ["viewer", "admin"], b"200"),
    ]:
        assert ask(guarded, "GET", f"/inside/{path}", bearer(*roles)).body == status


def late(ran: list[str]) -> Iterator[tuple[Any, str, str]]:
    async def listening(socket: Any) -> None:
        ran.append("ws")

    listening.__annotations__ = feed.__annotations__
    yield handler("/late", lambda _: str(ran.append("late")), ["GET"]), "GET", "/late"  # type: ignore[func-returns-value]
    yield handler("/items/{id:int}", lambda _: str(ran.append("put")), ["PUT"]), "PUT", "/items/1"  # type: ignore[func-returns-value]
    yield litestar.websocket("/late/ws")(listening), "WS", "/late/ws"
    yield mount("/late/m", ran), "GET", "/late/m/x"
    yield mount("/late/exact", ran, is_mount=False), "GET", "/late/exact"


@pytest.mark.parametrize("number", range(5), ids=["new", "method", "websocket", "mount", "asgi"])
def test_a_route_that_is_added_later_has_no_rule(
    number: int, caplog: pytest.LogCaptureFixture
) -> None:
    ran: list[str] = []
    added, method, path = [*late(ran)][number]
    app = shop(mount("/m", ran))
    guarded = ASGIAuthzMiddleware(app, authz({"/**": ["viewer"]}))
    assert ask(guarded, "GET", "/late", bearer("viewer")).status == 404
    app.register(added)
    caplog.clear()
    for _ in range(2):
        assert ask(guarded, method, path, bearer("viewer")).status == 403
    assert ran == []
    assert caplog.text.count("a route that was added after the start has no rule") == 1
    assert ask(guarded, "GET", "/items/1", bearer("viewer")).body == b"ann"


@pytest.mark.parametrize(("place", "path"), [("/late", "/late/x"), ("/", "/late")])
def test_a_route_that_is_added_below_a_mount_has_no_rule(place: str, path: str) -> None:
    """What cannot be seen may take that path; a handler of the app's own is no part of it."""
    ran: list[str] = []
    app = shop(mount(place, ran))
    guarded = ASGIAuthzMiddleware(app, authz({"/**": ["viewer"]}))
    assert ask(guarded, "GET", "/admin/users", bearer("viewer")).status != 503  # it is bound now
    app.register(handler(path, caller))
    assert ask(guarded, "GET", path, bearer("viewer")).status == 403


def test_what_is_mounted_once_more_has_no_rule() -> None:
    """Nothing tells then which of the two it is, so the one that was known is refused as well."""
    ran: list[str] = []
    mounted = mount("/m", ran)
    app = shop(mounted)
    guarded = ASGIAuthzMiddleware(app, authz({"/**": ["viewer"]}))
    assert ask(guarded, "GET", "/m/x", bearer("viewer")).status == 200
    app.register(handlers.asgi("/late", is_mount=True, copy_scope=True)(mounted.fn))
    for path in ("/late/x", "/m/x"):
        assert ask(guarded, "GET", path, bearer("viewer")).status == 403
    assert len(ran) == 1


def test_the_look_is_put_there_once() -> None:
    app = shop()
    for _ in range(2):
        see(app).table()
    assert len(app.guards) == 1
    for route in app.routes:
        for each in getattr(route, "route_handlers", None) or [route.route_handler]:
            assert each.resolve_guards() == app.guards


def test_a_handler_that_authorizes_in_its_own_way_is_asked_for_outside() -> None:
    class Own(handlers.HTTPRouteHandler):  # type: ignore[misc]
        async def authorize_connection(self, connection: Any) -> None: ...

    async def handle() -> str:
        return caller()

    handle.__annotations__ = {"return": str}
    app = app_of(Own("/x/{name:str}", http_method="GET")(handle), handler("/x/y", caller))
    guarded = ASGIAuthzMiddleware(app, authz({"/x/**": ["viewer"]}))
    assert ask(guarded, "GET", "/x/1", bearer("viewer")).status == 200
    inside = {each.text: each.guarded_inside for each in see(app).table().routes}
    assert inside == {"/x/{name:str}": False, "/x/y": True}
    for path, outside in (("/x/1", True), ("/x/y", False), ("/x/y/z", False)):
        scope = scope_of("GET", path, [])
        assert (guarded.guarded.asked(facts_of(scope, "")[0], scope) is not None) == outside


# --- Mounts ---


MOUNTED = {
    "/m/admin": ["admin"],
    "/m/**": ["member"],
    "/madmin": ["guest"],
    "/m": ["member"],
}


@pytest.mark.parametrize(
    ("path", "roles", "gets"),
    [
        ("/m", ["member"], "/"),
        ("/m/", ["member"], "/"),
        ("/m/x", ["member"], "/x/"),
        ("/m/m", ["member"], "/m/"),
        ("/m/x/y/", ["member"], "/x/y/"),
        ("/m/admin", ["admin"], "/admin/"),
        ("/m/admin", ["member"], None),
        ("/madmin", ["guest"], None),
        ("/madmin", ["guest", "member"], None),
        ("/madmin", ["guest", "admin"], None),
        ("/madmin", ["guest", "admin", "member"], "admin/"),
        ("/madmin", ["admin", "member"], None),
        ("/m/x", ["guest"], None),
    ],
)
@pytest.mark.parametrize("prefix", ["", "/svc"])
@pytest.mark.parametrize("method", ["GET", "TRACE", "WS"])
def test_what_is_mounted(
    path: str, roles: list[str], gets: str | None, prefix: str, method: str
) -> None:
    """path-confusion: what is mounted at `/m` is also given `/madmin`."""
    ran: list[str] = []
    guarded = ASGIAuthzMiddleware(app_of(mount("/m", ran)), authz(MOUNTED))
    sent = ask(guarded, method, prefix + path, bearer(*roles), root_path=prefix)
    assert ran == ([f"mount {gets}"] if gets else [])
    assert sent.status == (403 if gets is None else 101 if method == "WS" else 200)


def test_what_is_mounted_at_the_root() -> None:
    ran: list[str] = []
    guarded = ASGIAuthzMiddleware(
        app_of(mount("/", ran)), authz({"/admin": ["admin"], "/<name>": ["viewer"], "/": "public"})
    )
    for path, roles, status in [
        ("/", [], 200),
        ("/x", ["viewer"], 200),
        ("/admin", ["viewer"], 403),
        ("/admin", ["admin"], 200),
    ]:
        assert ask(guarded, "GET", path, bearer(*roles) if roles else []).status == status
    assert len(ran) == 3


@pytest.mark.parametrize("changes", [{"path": "/m/admin"}, {"path": "/madmin"}, {"path": "//m"}])
def test_what_is_mounted_is_looked_at_inside(changes: dict[str, str]) -> None:
    ran: list[str] = []
    app = app_of(mount("/m", ran), handler("/open", caller))
    guarded = ASGIAuthzMiddleware(rewriting(app, **changes), authz({**MOUNTED, "/open": "public"}))
    assert ask(guarded, "GET", "/open", []).status == 401
    assert ask(guarded, "GET", "/open", bearer("guest")).status == 403
    assert ran == []
    assert ask(guarded, "GET", "/open", bearer("guest", "admin", "member")).status == 200


def test_what_is_mounted_twice_is_asked_for_outside() -> None:
    ran: list[str] = []
    app = app_of(mount(["/a", "/b"], ran))
    guarded = ASGIAuthzMiddleware(
        app, authz({"/a/**": ["a"], "/b/**": ["b"], "/ax": "public", "/bx": "public"})
    )
    assert not any(route.guarded_inside for route in see(app).table().routes)
    for path, role, status in [
        ("/a/x", "a", 200),
        ("/a/x", "b", 403),
        ("/b/x", "b", 200),
        ("/ax", "a", 200),
        ("/ax", "b", 403),
        ("/bx", "a", 403),
    ]:
        assert ask(guarded, "GET", path, bearer(role)).status == status


def test_a_mount_in_the_place_of_a_handler() -> None:
    """Litestar gives it its own path whole then."""
    ran: list[str] = []
    app = app_of(handler("/m", caller), mount("/m", ran))
    guarded = ASGIAuthzMiddleware(app, authz({"/m": ["a"], "/m/m": "deny", "/m/<x>": ["a"]}))
    for path in ("/m", "/m/x"):
        assert ask(guarded, "GET", path, bearer("a")).status == 200
    assert ran == ["mount /m", "mount /x/"]


# --- Below a prefix ---


@pytest.mark.parametrize("prefix", ["", "/svc"])
@pytest.mark.parametrize("kept", [True, False], ids=["in-the-path", "not-in-the-path"])
def test_below_a_prefix(prefix: str, kept: bool) -> None:
    guarded = KIND.wrap(shop(), authz(RULES))
    for path, roles, status in [
        ("/items/1", ["viewer"], 200),
        ("/items/1/", ["viewer"], 200),
        ("/items/1", ["admin"], 403),
        ("/admin/users", ["viewer"], 403),
        ("/admin/users", ["admin"], 200),
    ]:
        sent = ask(guarded, "GET", prefix * kept + path, bearer(*roles), root_path=prefix)
        assert sent.status == status


def test_an_app_that_is_mounted_below_a_prefix() -> None:
    dispatcher = installed("hypercorn.middleware.dispatcher")
    mounted = dispatcher.DispatcherMiddleware({"/shop": shop(), "": shop()})
    rules = {"/items/<int:id>": ["viewer"], "GET /shop/items/<int:id>": ["buyer"]}
    guarded = ASGIAuthzMiddleware(mounted, authz(rules))
    for path, role in (("/items/1", "viewer"), ("/shop/items/1", "buyer")):
        for held in ("viewer", "buyer"):
            status = ask(guarded, "GET", path, bearer(held)).status
            assert status == (200 if held == role else 403)


# --- Gaps ---


@pytest.mark.parametrize("around", [KIND.wrap, ASGIAuthzMiddleware], ids=["inside", "around"])
@pytest.mark.parametrize("cors", [False, True])
def test_a_strict_policy_without_a_gap_serves(
    around: Any, cors: bool, caplog: pytest.LogCaptureFixture
) -> None:
    config = installed("litestar.config.cors").CORSConfig(allow_origins=["https://a"])
    app = around(
        shop(cors_config=config if cors else None), authz({"/**": ["viewer"]}, strict=True)
    )
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        assert ask(app, "GET", "/items/1", bearer("viewer")).status == 200
        assert ask(app, "WS", "/feed", bearer("viewer")).status == 101
    assert [each for each in caplog.records if each.name != "asyncio"] == []


def test_a_strict_policy_with_a_gap_serves_nothing(caplog: pytest.LogCaptureFixture) -> None:
    strict = authz(RULES, strict=True)
    guarded = ASGIAuthzMiddleware(shop(), strict)
    for _ in range(2):
        assert ask(guarded, "GET", "/items/1", bearer("viewer")).status == 503
    assert caplog.text.count("the policy cannot be served") == 1
    assert "/two (" in caplog.text
    with pytest.raises(PolicyError, match="no rule covers it"):
        strict.bind(shop())


def test_a_strict_policy_with_a_mount_serves_nothing() -> None:
    guarded = ASGIAuthzMiddleware(shop(mount("/m", [])), authz({"/**": ["viewer"]}, strict=True))
    assert ask(guarded, "GET", "/items/1", bearer("viewer")).status == 503


def test_a_strict_policy_is_checked_at_the_start() -> None:
    async def start(app: Any) -> str:
        told: list[str] = []
        incoming = ["lifespan.startup", "lifespan.shutdown"]

        async def receive() -> Any:
            return {"type": incoming.pop(0)}

        async def send(message: Any) -> None:
            told.append(message["type"])

        await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)
        return told[0]

    for rules, told in (RULES, "failed"), ({"/**": ["viewer"]}, "complete"):
        guarded = ASGIAuthzMiddleware(shop(), authz(rules, strict=True))
        assert asyncio.run(start(guarded)) == f"lifespan.startup.{told}"


@pytest.mark.parametrize("headers", [[], bearer("viewer"), NOBODY])
def test_what_nobody_knows_is_left_to_the_app(headers: Headers) -> None:
    guarded = ASGIAuthzMiddleware(shop(), authz(RULES, unmatched="app"))
    assert ask(guarded, "GET", "/nowhere", headers).status == 404
    assert b"urn:uuid:" not in ask(guarded, "GET", "/nowhere", headers).body
    assert ask(guarded, "WS", "/nowhere", headers).status == 403
    for method, path in (("GET", "/any"), ("GET", "/two/"), ("WS", "/feed"), ("OPTIONS", "/two")):
        assert ask(guarded, method, path, headers).status in (401, 403)
    assert ask(guarded, "POST", "/items/1", []).status == 401  # a rule takes it
    assert ask(guarded, "GET", "//nowhere", headers).status == 400
