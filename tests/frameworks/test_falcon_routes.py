"""Falcon's routes, sinks and static routes, and the look between router and responder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from authz_middleware import (
    AccessDenied,
    ASGIAuthzMiddleware,
    Authz,
    WSGIAuthzMiddleware,
    current_access,
)
from authz_middleware.frameworks import see
from authz_middleware.policy.routes import NO_ROUTE, UNSEEN
from tests.adapters.exchange import call_asgi, call_wsgi, environ_for
from tests.frameworks.asking import (
    RULES,
    Headers,
    ask,
    ask_asgi,
    authz,
    bearer,
    rewriting,
    scope_of,
    table,
)
from tests.frameworks.installed import installed
from tests.frameworks.laws import Declared, World, check, worlds

falcon: Any = installed("falcon")
falcon_asgi: Any = installed("falcon.asgi")
routing: Any = installed("falcon.routing")


class Falcon:
    """Both kinds of app, made and asked alike."""

    def __init__(self, asgi: bool) -> None:
        self.asgi = asgi
        self.ask: Callable[..., Any] = ask_asgi if asgi else ask

    def app(self, **options: Any) -> Any:
        return (falcon_asgi.App if self.asgi else falcon.App)(**options)

    def responder(self, run: Callable[[], str]) -> Callable[..., Any]:
        def plain(req: Any, resp: Any, **_: Any) -> None:
            resp.text = run()

        async def waiting(req: Any, resp: Any, **_: Any) -> None:
            resp.text = run()

        return waiting if self.asgi else plain

    def resource(self, run: Callable[[], str], *methods: str, base: type = object) -> Any:
        responder = staticmethod(self.responder(run))
        return type("Resource", (base,), {f"on_{each.lower()}": responder for each in methods})()

    def middleware(self, change: Callable[[Any], None]) -> Any:
        def process_request(_self: Any, req: Any, resp: Any) -> None:
            change(req)

        async def waiting(_self: Any, req: Any, resp: Any) -> None:
            change(req)

        return type("Change", (), {"process_request": waiting if self.asgi else process_request})()

    def wrap(self, app: Any, policy: Authz, **options: Any) -> Any:
        return (ASGIAuthzMiddleware if self.asgi else WSGIAuthzMiddleware)(app, policy, **options)

    def request(self, method: str, path: str, headers: Headers | None = None) -> dict[str, Any]:
        return (scope_of if self.asgi else environ_for)(method, path, headers or [])


BOTH = [pytest.param(Falcon(False), id="wsgi"), pytest.param(Falcon(True), id="asgi")]
both = pytest.mark.parametrize("kind", BOTH)


def name() -> str:
    access = current_access()
    assert access is not None
    return access.principal.subject if access.principal else "nobody"


def shop(kind: Falcon, **options: Any) -> Any:
    app = kind.app(**options)
    app.add_route("/items/{id:int}", kind.resource(name, "GET", "DELETE"))
    app.add_route("/admin/users", kind.resource(name, "GET"))
    app.add_route("/any", kind.resource(name, "GET", "OPTIONS"))
    app.add_route("/pages/{page}.{format}/raw", kind.resource(name, "GET"))
    app.add_route("/dates/{day:dt}/{id:uuid}/{part:float}", kind.resource(name, "GET"))
    app.add_route("/files/{rest:path}", kind.resource(name, "GET"))
    app.add_route("/items/", kind.resource(name, "GET_LIST"), suffix="list")
    return app


SHOP = [
    ("DELETE|GET", "/items/{id:int}", "handler", ("Exact", "Typed")),
    ("GET", "/admin/users", "handler", ("Exact", "Exact")),
    (
        "GET",
        "/dates/{day:dt}/{id:uuid}/{part:float}",
        "handler",
        ("Exact", "Plain", *["Typed"] * 2),
    ),
    ("GET", "/files/{rest:path}", "handler", ("Exact", "PathTail")),
    ("GET", "/items/", "handler", ("Exact",)),
    ("GET", "/pages/{page}.{format}/raw", "handler", ("Exact", "Plain", "Exact")),
    ("GET|OPTIONS", "/any", "handler", ("Exact",)),
]


# --- The law ---


def build(kind: Falcon, routes: Sequence[Declared], ran: list[str]) -> Any:
    app = kind.app()
    for route in routes:
        text = route.text
        for old, new in (("<int:", "<:int"), ("<path:", "<:path")):
            head, found, tail = text.partition(old)
            while found:
                key, _, rest = tail.partition(">")
                text = f"{head}{{{key}{new[1:]}}}{rest}"
                head, found, tail = text.partition(old)
        text = text.replace("<", "{").replace(">", "}")

        def run(name: str = route.name) -> str:
            ran.append(name)
            return name

        try:
            app.add_route(text, kind.resource(run, *route.methods))
        except ValueError:  # Falcon takes no two routes that differ in a parameter alone
            assume(False)
    return app


@both
def test_what_runs_was_allowed_twice(kind: Falcon) -> None:
    @given(worlds())
    def law(world: World) -> None:
        check(world, lambda routes, ran: build(kind, routes, ran), kind.wrap, kind.ask)

    law()


@both
def test_a_parameter_that_is_nothing_is_ruled_like_one_that_is_something(kind: Falcon) -> None:
    app = kind.app()
    app.add_route("/items/{id}", kind.resource(name, "GET"))
    guarded = kind.wrap(app, authz({"/items": ["viewer"], "/items/{id}": ["admin"]}))
    for roles, status in (["viewer"], 403), (["admin"], 403), (["admin", "viewer"], 200):
        assert kind.ask(guarded, "GET", "/items/", bearer(*roles)).status == status


# --- The table ---


@both
def test_the_table(kind: Falcon) -> None:
    assert table(shop(kind)) == SHOP


def test_websockets() -> None:
    class Feed:
        async def on_websocket(self, req: Any, ws: Any) -> None:
            await ws.accept()

    app = falcon_asgi.App()
    app.add_route("/feed", Feed())
    assert table(app) == [("WS", "/feed", "handler", ("Exact",))]
    guarded = ASGIAuthzMiddleware(app, authz({"WS /feed": ["viewer"]}))
    for roles, status in (["viewer"], 101), ([], 403):
        assert call_asgi(guarded, scope_of("WS", "/feed", bearer(*roles))).status == status


@both
def test_sinks_and_static_routes(kind: Falcon, tmp_path: Path) -> None:
    app = kind.app()
    sink = kind.responder(name)
    for pattern in ("/old", "/api/v1/", r"/(?P<lang>\w+)/docs", "/"):
        app.add_sink(sink, pattern)
    app.add_static_route("/static/files", str(tmp_path))
    assert table(app) == [
        ("any", r"/(?P<lang>\w+)/docs", "opaque", ("DoubleStar",)),
        ("any", "/*", "opaque", ("DoubleStar",)),
        ("any", "/api/v1/*", "opaque", ("Exact", "Exact", "DoubleStar")),
        ("any", "/old*", "opaque", ("Plain", "DoubleStar")),
        ("any", "/static/files/{file}", "static", ("Exact", "Exact", "PathTail")),
    ]


@pytest.mark.skipif(
    not hasattr(routing.CompiledRouterOptions, "default_to_on_request")
    and "default_to_on_request" not in routing.CompiledRouterOptions.__slots__,
    reason="this Falcon has no default responders",
)
@both
def test_a_default_responder_takes_all_methods(kind: Falcon) -> None:
    app = kind.app()
    app.router_options.default_to_on_request = True
    app.add_route("/all", kind.resource(name, "REQUEST"))
    [route] = authz({"/**": ["a"]}).bind(app).table.routes
    assert {"GET", "PATCH", "PROPFIND"} <= (route.methods or set())
    assert route.automatic == {"OPTIONS"}


def test_a_static_route_that_does_not_say_what_it_takes_is_opaque() -> None:
    class Files:
        def __init__(self, *_: Any, **__: Any) -> None:
            pass

        def match(self, path: str) -> bool:
            return path == "/files/odd"

        def __call__(self, req: Any, resp: Any) -> None:
            resp.text = name()

    app = type("App", (falcon.App,), {"_STATIC_ROUTE_TYPE": Files})()
    app.add_static_route("/files", "/")
    assert table(app) == [("any", "/**", "opaque", ("DoubleStar",))]
    guarded = WSGIAuthzMiddleware(app, authz({"/files/odd": ["viewer"]}))
    assert ask(guarded, "GET", "/files/odd", bearer("viewer")).status == 200


@both
def test_a_converter_of_ones_own(kind: Falcon) -> None:
    class Odd(routing.BaseConverter):  # type: ignore[misc]
        def convert(self, value: str) -> str:
            return value

    class Tail(Odd):
        CONSUME_MULTIPLE_SEGMENTS = True

    app = kind.app()
    app.router_options.converters["odd"] = Odd
    app.router_options.converters["tail"] = Tail
    app.add_route("/a/{x:odd}", kind.resource(name, "GET"))
    app.add_route("/b/{x:tail}", kind.resource(name, "GET"))
    kinds = [segments for *_, segments in table(app)]
    assert kinds == [("Exact", "Plain"), ("Exact", "PathTail")]


class Alien(routing.CompiledRouter):  # type: ignore[misc]
    """A router whose routes nobody sees."""

    def find(self, uri: str, req: Any = None) -> Any:
        return super().find(uri.replace("/alias", "/admin"), req)


@both
def test_a_router_of_ones_own_is_opaque(kind: Falcon) -> None:
    app = shop(kind, router=Alien())
    assert table(app) == [("any", "/**", "opaque", ("DoubleStar",))]
    assert see(app).resolve(kind.request("GET", "/any")) is UNSEEN
    guarded = kind.wrap(app, authz({**RULES, "/alias/users": ["viewer"]}))
    assert kind.ask(guarded, "GET", "/items/1", bearer("viewer")).status == 200
    assert kind.ask(guarded, "GET", "/admin/users", bearer("viewer")).status == 403
    # What it does with a path is its own affair; the rule of the path holds.
    assert kind.ask(guarded, "GET", "/alias/users", bearer("viewer")).status == 200


# --- What a request takes ---


@pytest.mark.parametrize("method", ["GET", "DELETE", "OPTIONS", "POST", "TRACE", "HEAD"])
@pytest.mark.parametrize("strip", [True, False])
@both
def test_it_resolves_as_falcon_does(kind: Falcon, strip: bool, method: str, tmp_path: Path) -> None:
    ran: list[Any] = []
    app = shop(kind)
    app.req_options.strip_url_path_trailing_slash = strip
    app.add_sink(kind.responder(name), "/sink")
    app.add_static_route("/static", str(tmp_path))
    guarded = kind.wrap(app, authz({"/**": "public"}))
    kind.ask(guarded, "GET", "/", [])
    look = app._router_search

    def recording(path: str, req: Any = None) -> Any:
        found = look.search(path, req=req)
        ran.append(found and found[3])
        return found

    app._router_search = recording
    paths = ["/", "/items/1", "/items/x", "/items/1/", "/items", "/items/", "/any", "/any/"]
    paths += [
        "/files",
        "/files/",
        "/files/a/b",
        "/nowhere",
        "/pages/a.b/raw",
        "/sinks",
        "/static/x",
    ]
    for path in paths:
        app._router_search = recording
        status = kind.ask(guarded, method, path, []).status
        app._router_search = look
        taken = see(app).resolve(kind.request(method, path))
        if ran[-1] is None:
            sinks = {"/sinks": "sink", "/static/x": "static"}
            assert taken is NO_ROUTE if path not in sinks else taken[1][0] == sinks[path]  # type: ignore[index]
        else:
            assert taken == (NO_ROUTE if status in (400, 405) else ("", ("route", ran[-1])))


@both
def test_a_request_class_of_ones_own_may_see_another_path(kind: Falcon) -> None:
    base = falcon_asgi.Request if kind.asgi else falcon.Request
    app = kind.app(request_type=type("Own", (base,), {}))
    assert see(app).resolve(kind.request("GET", "/")) is UNSEEN


def test_a_path_that_is_no_text_resolves_to_nothing_that_is_seen() -> None:
    assert see(falcon.App()).resolve({"PATH_INFO": "/\xff", "REQUEST_METHOD": "GET"}) is UNSEEN


# --- The second look ---


def test_a_websocket_that_is_led_elsewhere_is_refused() -> None:
    class Elsewhere:
        async def process_request_ws(self, req: Any, ws: Any) -> None:
            req.path = "/admin/feed"

    class Feed:
        async def on_websocket(self, req: Any, ws: Any) -> None:
            await ws.accept()

    app = falcon_asgi.App(middleware=[Elsewhere()])
    app.add_route("/admin/feed", Feed())
    guarded = ASGIAuthzMiddleware(app, authz({"WS /feed": "public", "WS /admin/feed": ["admin"]}))
    for roles, status in (["admin"], 101), (["viewer"], 403):
        assert call_asgi(guarded, scope_of("WS", "/feed", bearer(*roles))).status == status


def test_a_websocket_is_not_to_be_had_by_a_method_of_that_name() -> None:
    """Falcon keeps the responder for WebSockets beside those for methods."""
    ran: list[str] = []

    class Feed:
        async def on_websocket(self, req: Any, ws: Any) -> None:
            ran.append("ws")

    app = falcon_asgi.App(middleware=[Falcon(True).middleware(by("WEBSOCKET"))])
    app.add_route("/feed", Feed())
    guarded = ASGIAuthzMiddleware(app, authz({"/feed": "public", "WS /feed": ["admin"]}))
    for roles in ["viewer"], ["admin"]:
        ask_asgi(guarded, "GET", "/feed", bearer(*roles))
        assert ran == ["ws"] * ("admin" in roles)


def to(path: str) -> Callable[[Any], None]:
    def change(req: Any) -> None:
        req.path = path

    return change


def by(method: str) -> Callable[[Any], None]:
    def change(req: Any) -> None:
        req.method = method

    return change


@pytest.mark.parametrize(
    "change", [to("/admin/users"), by("DELETE"), to("/any"), to("//admin/users")], ids=range(4)
)
@both
def test_a_middleware_that_rewrites_opens_nothing(
    kind: Falcon, change: Callable[[Any], None]
) -> None:
    guarded = kind.wrap(shop(kind, middleware=[kind.middleware(change)]), authz(RULES))
    refused = kind.ask(guarded, "GET", "/items/1", bearer("viewer"))
    plain = kind.ask(kind.wrap(shop(kind), authz(RULES)), "GET", "/admin/users", bearer("viewer"))
    assert refused.status == (400 if change.__closure__[0].cell_contents[:2] == "//" else 403)  # type: ignore[index]
    assert plain.status == 403
    assert {name for name, _ in plain.headers} >= {name for name, _ in refused.headers}


@both
def test_what_is_rewritten_to_what_the_caller_may_runs(kind: Falcon) -> None:
    app = shop(kind, middleware=[kind.middleware(to("/admin/users"))])
    guarded = kind.wrap(app, authz(RULES))
    assert kind.ask(guarded, "GET", "/items/1", bearer("viewer", "admin")).body == b"ann"


def test_a_middleware_outside_of_falcon_that_rewrites_opens_nothing() -> None:
    guarded = WSGIAuthzMiddleware(
        rewriting(shop(Falcon(False)), PATH_INFO="/admin/users"), authz(RULES)
    )
    assert ask(guarded, "GET", "/items/1", bearer("viewer")).status == 403


@pytest.mark.parametrize("root_path", ["", "/svc"])
def test_a_scope_that_is_rewritten_opens_nothing(root_path: str) -> None:
    app = shop(Falcon(True))

    async def rewrite(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "path": "/admin/users", "root_path": root_path}, receive, send)

    rewrite.app = app  # type: ignore[attr-defined]
    guarded = ASGIAuthzMiddleware(rewrite, authz(RULES))
    assert ask_asgi(guarded, "GET", "/items/1", bearer("viewer")).status == 403


@both
def test_a_resource_that_is_false_is_looked_at(kind: Falcon) -> None:
    app = kind.app(middleware=[kind.middleware(to("/empty"))])
    app.add_route("/empty", kind.resource(name, "GET", base=list))
    guarded = kind.wrap(app, authz({"/empty": ["admin"], "/open": "public"}))
    assert kind.ask(guarded, "GET", "/open", []).status == 401
    assert kind.ask(guarded, "GET", "/open", bearer("admin")).status == 200


@both
def test_static_routes_and_sinks_are_looked_at(kind: Falcon, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    rules = {"/static/**": ["admin"], "/sink/**": ["admin"], "/open": "public"}
    for path in ("/static/secret", "/sink/x"):
        app = kind.app(middleware=[kind.middleware(to(path))])
        app.add_static_route("/static", str(tmp_path))
        app.add_sink(kind.responder(name), "/sink")
        guarded = kind.wrap(app, authz(rules))
        assert kind.ask(guarded, "GET", "/open", []).status == 401
        entitled = kind.request("GET", "/open", bearer("admin"))
        assert (call_asgi if kind.asgi else call_wsgi)(guarded, entitled).status == 200


@both
def test_what_follows_a_sink_without_a_boundary_is_allowed_below_it_too(kind: Falcon) -> None:
    app = kind.app()
    app.add_sink(kind.responder(name), "/files")
    guarded = kind.wrap(app, authz({"/files/**": ["admin"], "/**": ["viewer"]}))
    for path, roles, status in [
        ("/files/x", ["admin"], 200),
        ("/files", ["admin"], 200),
        ("/files/x", ["viewer"], 403),
        ("/filesystem", ["viewer"], 403),
        ("/filesystem", ["admin"], 403),
        ("/filesystem", ["admin", "viewer"], 200),
    ]:
        assert kind.ask(guarded, "GET", path, bearer(*roles)).status == status


@both
def test_a_catch_all_error_handler_cannot_hide_the_refusal(kind: Falcon) -> None:
    def well(req: Any, resp: Any, error: Any, params: Any, **_: Any) -> None:
        resp.status, resp.text = 200, "all is well"

    async def waiting(*arguments: Any, **named: Any) -> None:
        well(*arguments, **named)

    app = shop(kind, middleware=[kind.middleware(to("/admin/users"))])
    app.add_error_handler(AccessDenied, waiting if kind.asgi else well)
    guarded = kind.wrap(app, authz(RULES))
    refused = kind.ask(guarded, "GET", "/items/1", bearer("viewer"))
    assert refused.status == 403
    assert b"urn:uuid:" in refused.body


@both
def test_a_responder_without_a_guard_before_it_is_refused(
    kind: Falcon, caplog: pytest.LogCaptureFixture
) -> None:
    app = shop(kind)
    kind.wrap(app, authz(RULES)).authz.bind(app)
    assert kind.ask(app, "GET", "/items/1", bearer("viewer")).status == 500
    assert "by another way than through the guard" in caplog.text
    assert kind.ask(app, "GET", "/nowhere", []).status == 404  # Falcon's own answers run nothing
    assert kind.ask(app, "POST", "/items/1", []).status == 405


@both
def test_a_route_that_is_added_later_has_no_rule(
    kind: Falcon, caplog: pytest.LogCaptureFixture
) -> None:
    app = shop(kind)
    guarded = kind.wrap(app, authz({"/**": ["viewer"]}))
    assert kind.ask(guarded, "GET", "/late", bearer("viewer")).status == 404
    app.add_route("/late", kind.resource(name, "GET"))
    caplog.clear()
    for _ in range(2):
        assert kind.ask(guarded, "GET", "/late", bearer("viewer")).status == 403
    assert caplog.text.count("a route that was added after the start has no rule") == 1


@both
def test_a_late_route_beside_a_sink_has_no_rule(kind: Falcon) -> None:
    """It is no part of what a sink hides, though the sink takes its path too."""
    app = shop(kind)
    app.add_sink(kind.responder(name), "/")
    guarded = kind.wrap(app, authz({"/**": ["viewer"]}))
    assert kind.ask(guarded, "GET", "/late", bearer("viewer")).status == 200
    app.add_route("/late", kind.resource(name, "GET"))
    assert kind.ask(guarded, "GET", "/late", bearer("viewer")).status == 403
    assert kind.ask(guarded, "GET", "/later", bearer("viewer")).status == 200


@both
def test_the_look_is_put_there_once(kind: Falcon) -> None:
    app = shop(kind)
    for _ in range(2):
        see(app).table()
    assert app._router_search.search == app._router.find


@both
def test_another_falcon_is_left_alone(kind: Falcon) -> None:
    """One without the parts that we know: nothing is guarded inside, and all of it is opaque."""
    app = type("Other", (), {"__module__": "falcon.app"})()
    seen = see(app).table()
    assert [(each.kind, each.guarded_inside) for each in seen.routes] == [("opaque", False)]


# --- Mounts ---


@pytest.mark.parametrize("prefix", ["", "/svc"])
@pytest.mark.parametrize("strip", [True, False])
def test_an_app_that_is_mounted_below_a_prefix(prefix: str, strip: bool) -> None:
    kind = Falcon(False)
    outer, inner = shop(kind), shop(kind)
    for app in (outer, inner):
        app.req_options.strip_url_path_trailing_slash = strip
    rules = {"/items/<int:id>": ["viewer"], "GET /shop/items/<int:id>": ["buyer"]}
    mounted = DispatcherMiddleware(outer, {"/shop": inner})
    guarded = WSGIAuthzMiddleware(mounted, authz(rules))
    for path, role in (("/items/1", "viewer"), ("/shop/items/1", "buyer")):
        for held in ("viewer", "buyer"):
            for slash in ["", "/"] if strip else [""]:
                sent = ask(guarded, "GET", path + slash, bearer(held), SCRIPT_NAME=prefix)
                assert sent.status == (200 if held == role else 403)


@pytest.mark.parametrize(
    ("path", "status"), [("/items/1", 200), ("/svc/items/1", 403), ("/admin/users", 403)]
)
def test_root_path_decides_nothing(path: str, status: int) -> None:
    guarded = ASGIAuthzMiddleware(shop(Falcon(True)), authz(RULES))
    sent = ask_asgi(guarded, "GET", path, bearer("viewer"), root_path="/svc")
    assert sent.status == status


def test_a_prefix_that_is_cut_off_inside_falcon_is_no_mount() -> None:
    """`/svc/admin` is not ruled like `/admin`, though `root_path` would say so."""
    kind = Falcon(True)
    app = kind.app(middleware=[kind.middleware(to("/admin"))])
    app.add_route("/admin", kind.resource(name, "GET"))
    guarded = kind.wrap(app, authz({"/admin": ["admin"], "/svc/admin": "public"}))
    assert ask_asgi(guarded, "GET", "/svc/admin", [], root_path="/svc").status == 401


# --- Gaps ---


@both
def test_a_strict_policy_with_a_sink_serves_nothing(kind: Falcon) -> None:
    app = shop(kind)
    everything = authz({"/**": ["viewer"]}, strict=True)
    assert kind.ask(kind.wrap(app, everything), "GET", "/items/1", bearer("viewer")).status == 200
    app.add_sink(kind.responder(name), "/sink")
    assert kind.ask(kind.wrap(app, everything), "GET", "/items/1", bearer("viewer")).status == 503


@pytest.mark.parametrize("headers", [[], bearer("viewer"), [("Authorization", "Bearer no.to.ken")]])
@both
def test_what_nobody_knows_is_left_to_the_app(kind: Falcon, headers: Headers) -> None:
    guarded = kind.wrap(shop(kind), authz(RULES, unmatched="app"))
    assert kind.ask(guarded, "GET", "/nowhere", headers).status == 404
    assert kind.ask(guarded, "POST", "/any", headers).status in (401, 403)  # Falcon's 405
    assert kind.ask(guarded, "GET", "/any", headers).status in (401, 403)
    assert kind.ask(guarded, "OPTIONS", "/files/x", headers).status in (401, 403)
