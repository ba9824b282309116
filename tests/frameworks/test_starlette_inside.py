"""What is done to a request, or to the routes, between the guard and Starlette's handlers."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from authz_middleware import ASGIAuthzMiddleware
from tests.frameworks.installed import installed
from tests.frameworks.test_starlette_routes import ask, authz, bearer, feed, foreign, plain, table

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


# --- What FastAPI has beside ---


def fronted(folder: Any, *, included: bool) -> Any:
    for name in ("secret", "public/x", "public/ui/secret"):
        (folder / f"{name}.txt").parent.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.txt").write_text(name)
    app = fastapi.FastAPI(openapi_url=None)
    router = fastapi.APIRouter() if included else app
    if not hasattr(router, "frontend"):
        pytest.skip("this FastAPI serves no frontend")
    router.frontend("/ui", directory=folder)
    if included:
        app.include_router(router, prefix="/v1")
    return app


@pytest.mark.parametrize("included", [False, True])
def test_a_frontend_is_listed_and_looked_at(included: bool, tmp_path: Any) -> None:
    prefix = "/v1" if included else ""
    rules = {f"{prefix}/ui/**": ["admin"], f"{prefix}/ui/public/**": ["viewer"]}
    app = fronted(tmp_path, included=included)
    assert table(app) == [("GET|HEAD", f"{prefix}/ui/**", "static", "", SEGMENTS[included])]
    policy = authz(rules, strict=True)
    for base in (app, fronted(tmp_path, included=included)):
        guarded = ASGIAuthzMiddleware(Changing(base, forwarded), policy, routes_of=base)
        public = f"{prefix}/ui/public/x.txt"
        secret = f"{prefix}/ui/public{prefix}/ui/secret.txt"
        forged = [("X-Forwarded-Prefix", f"{prefix}/ui/public")]
        assert ask(guarded, "GET", public, bearer("viewer")) == (200, b"public/x")
        assert ask(guarded, "GET", f"{prefix}/ui/secret.txt", bearer("viewer"))[0] == 403
        assert ask(guarded, "GET", secret, bearer("viewer") + forged)[0] == 403
        assert ask(guarded, "GET", secret, bearer("viewer", "admin") + forged)[1] == b"secret"
        assert ask(base, "GET", public)[0] == 500


SEGMENTS = {False: "Exact PathTail", True: "Exact Exact PathTail"}


def test_a_frontend_that_is_added_later_has_no_rule(tmp_path: Any) -> None:
    app = fronted(tmp_path, included=False)
    guarded = ASGIAuthzMiddleware(app, authz({"/**": ["viewer"]}))
    assert ask(guarded, "GET", "/ui/secret.txt", bearer("viewer"))[0] == 200
    app.frontend("/more", directory=tmp_path)
    assert ask(guarded, "GET", "/more/secret.txt", bearer("viewer"))[0] == 403
    assert ask(guarded, "GET", "/ui/secret.txt", bearer("viewer"))[0] == 200


def test_a_router_that_is_included_twice_is_two_routes() -> None:
    app, router = fastapi.FastAPI(openapi_url=None), fastapi.APIRouter()
    router.add_api_route("/{name}", lambda name: name)
    app.include_router(router, prefix="/v1")
    app.include_router(router, prefix="/v2")
    app.add_api_route("/v1/special", lambda: "shadowed")
    rules = {"/v1/**": ["admin"], "/v2/**": ["viewer"], "/v1/special": ["viewer"]}
    guarded = ASGIAuthzMiddleware(app, authz(rules))
    assert ask(guarded, "GET", "/v2/x", bearer("viewer"))[0] == 200
    # The first declared takes it, which was written for others.
    assert ask(guarded, "GET", "/v1/special", bearer("viewer"))[0] == 403
    assert ask(guarded, "GET", "/v1/special", bearer("viewer", "admin")) == (200, b'"special"')


def test_a_late_route_of_an_included_router_leaves_the_others_alone() -> None:
    app, router = fastapi.FastAPI(openapi_url=None), fastapi.APIRouter()
    router.add_route("/a", plain)
    router.mount("/m", routing.Router([routing.Route("/x", plain)]))
    app.include_router(router, prefix="/v1")
    guarded = ASGIAuthzMiddleware(app, authz({"/**": ["viewer"]}))
    before = [ask(guarded, "GET", path, bearer("viewer"))[0] for path in ("/v1/a", "/v1/m/x")]
    router.add_route("/late", plain)
    paths = ("/v1/a", "/v1/m/x", "/v1/late")
    after = [ask(guarded, "GET", path, bearer("viewer"))[0] for path in paths]
    # Older versions of FastAPI copy what they include, and leave mounts out.
    assert before in ([200, 200], [200, 404])
    assert after in ([*before, 403], [*before, 404])


def test_a_route_class_of_the_apps_own() -> None:
    class Timed(fastapi.routing.APIRoute):  # type: ignore[misc]
        def get_route_handler(self) -> Any:
            handle = super().get_route_handler()

            async def timed(request: Any) -> Any:
                return await handle(request)

            return timed

    router = fastapi.APIRouter(route_class=Timed)
    router.add_api_route("/{name}", lambda name: name)
    app = fastapi.FastAPI(openapi_url=None)
    app.include_router(router, prefix="/v1")
    app.router.add_websocket_route("/feed", feed)
    assert table(app) == [
        ("GET", "/v1/{name}", "handler", "", "Exact Plain"),
        ("WS", "/feed", "handler", "", "Exact"),
    ]
    rules = {"/v1/<x>": ["admin"], "/v1/me": ["viewer"], "WS /feed": ["viewer"]}
    rewritten = Changing(app, lambda _scope: {"path": "/v1/x"})
    guarded = ASGIAuthzMiddleware(rewritten, authz(rules))
    assert ask(guarded, "GET", "/v1/me", bearer("viewer"))[0] == 403
    assert ask(guarded, "GET", "/v1/me", bearer("viewer", "admin")) == (200, b'"x"')


# --- What cannot be seen ---


class Everywhere(routing.Route):  # type: ignore[misc]
    def matches(self, scope: Any) -> Any:
        return routing.Match.FULL, {"endpoint": self.endpoint, "path_params": {}}


class AnyMethod(routing.Route):  # type: ignore[misc]
    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


def with_a_regex_of_its_own() -> Any:
    route = routing.Route("/a", plain)
    route.path_regex = re.compile(".*")
    return route


def with_matches_of_its_own() -> Any:
    route = routing.Route("/a", plain)
    route.matches = lambda scope: (routing.Match.FULL, {})
    return route


@pytest.mark.parametrize(
    "make",
    [lambda: Everywhere("/a", plain), with_a_regex_of_its_own, with_matches_of_its_own],
    ids=["class", "regex", "attribute"],
)
def test_a_route_that_matches_as_it_likes_cannot_be_seen(make: Callable[[], Any]) -> None:
    app = applications.Starlette(routes=[make()])
    assert table(app) == [("any", "/**", "opaque", "", "PathTail")]
    guarded = ASGIAuthzMiddleware(app, authz({"/a": ["viewer"], "/b": ["admin"]}))
    assert ask(guarded, "GET", "/b", bearer("viewer"))[0] == 403
    assert ask(guarded, "GET", "/a", bearer("viewer"))[0] == 200
    rewritten = ASGIAuthzMiddleware(
        Changing(applications.Starlette(routes=[make()]), lambda _scope: {"path": "/b"}),
        authz({"/a": ["viewer"], "/b": ["admin"]}),
    )
    assert ask(rewritten, "GET", "/a", bearer("viewer"))[0] == 403


def test_a_handle_of_its_own_is_looked_at_for_every_method() -> None:
    app = applications.Starlette(routes=[AnyMethod("/a", plain, methods=["GET"])])
    policy = authz({"GET /a": ["viewer"], "DELETE /b": ["viewer"], "DELETE /a": ["admin"]})
    guarded = ASGIAuthzMiddleware(Changing(app, lambda _scope: {"path": "/a"}), policy)
    assert ask(guarded, "DELETE", "/b", bearer("viewer"))[0] == 403
    assert ask(guarded, "DELETE", "/b", bearer("viewer", "admin"))[0] == 200


# --- What stands between ---


def test_middlewares_inside_are_gaps_unless_they_are_starlettes_own() -> None:
    async def dispatch(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    base: Any = installed("starlette.middleware.base").BaseHTTPMiddleware
    gzip: Any = installed("starlette.middleware.gzip").GZipMiddleware
    middleware: Any = installed("starlette.middleware").Middleware
    changing = middleware(Changing, change=lambda _scope: {})
    router = routing.Router([routing.Route("/x", plain)], middleware=[changing])
    sub = applications.Starlette(routes=[routing.Mount("/r", router)])
    sub.add_middleware(base, dispatch=dispatch)
    app = applications.Starlette(routes=[routing.Mount("/t", sub, middleware=[changing])])
    app.add_middleware(gzip)
    app.add_middleware(Changing, change=lambda _scope: {})
    here = __name__
    named = f"{here}:test_middlewares_inside_are_gaps_unless_they_are_starlettes_own"
    found = authz({"/**": ["viewer"]}).bind(app).table.between
    assert found == (f"{here}:Changing", f"{named}.<locals>.dispatch")
    guarded = ASGIAuthzMiddleware(app, authz({"/t/r/x": ["viewer"]}, strict=True))
    assert ask(guarded, "GET", "/t/r/x", bearer("viewer"))[0] == 503
    vouched = ASGIAuthzMiddleware(app, authz({"/t/r/x": ["viewer"]}, strict=True), routes_of=app)
    assert ask(vouched, "GET", "/t/r/x", bearer("viewer"))[0] == 200


def test_what_a_middleware_inside_answers_is_not_left_to_the_app() -> None:
    class Answering(Changing):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await (lost if scope["path"] == "/metrics" else self.app)(scope, receive, send)

    app = applications.Starlette(routes=[routing.Route("/a", plain)])
    app.add_middleware(Answering, change=forwarded)
    guarded = ASGIAuthzMiddleware(app, authz({"/a": ["viewer"]}, unmatched="app"))
    assert ask(guarded, "GET", "/metrics")[0] == 401


# --- Other ways to a handler ---


def other_ways() -> tuple[Any, dict[str, Callable[[Any], Any]]]:
    """An app whose `/go` asks for `/admin/x` in a way that the test chooses."""
    sub = applications.Starlette(routes=[routing.Route("/x", plain)])
    admin = routing.Route("/admin/x", plain)
    ways: dict[str, Callable[[Any], Any]] = {
        "app": lambda scope: app(scope, *rest),
        "router": lambda scope: app.router(scope, *rest),
        "routing": lambda scope: app.router.app(scope, *rest),
        "route": lambda scope: admin(scope, *rest),
        "handle": lambda scope: admin.handle(scope, *rest),
        "mounted app": lambda scope: sub({**scope, "path": "/x"}, *rest),
        "mounted router": lambda scope: sub.router({**scope, "path": "/x"}, *rest),
        "mount": lambda scope: mount.handle({**scope, "path": "/t/x", "root_path": "/t"}, *rest),
    }
    chosen: list[str] = []
    rest: list[Any] = []

    async def go(scope: Any, receive: Any, send: Any) -> None:
        rest[:] = receive, send
        await ways[chosen[0]]({**scope, "path": "/admin/x", "root_path": ""})

    mount = routing.Mount("/t", sub)
    app = applications.Starlette(routes=[routing.Mount("/go", go), admin, mount])
    app.state.chosen = chosen
    return app, ways


@pytest.mark.parametrize("way", other_ways()[1])
@pytest.mark.parametrize("deep", [False, True])
def test_another_way_to_a_handler_opens_nothing(way: str, deep: bool) -> None:
    app, _ = other_ways()
    app.state.chosen.append(way)
    policy = authz({"/go/**": ["viewer"], "/**": ["admin"]})
    path = "/go/x/y" if deep else "/go"
    guarded = ASGIAuthzMiddleware(app, policy)
    assert ask(guarded, "GET", path + "/", bearer("viewer"))[0] == 403
    if "mounted" not in way:  # nobody knows where that was mounted
        assert ask(guarded, "GET", path + "/", bearer("admin", "viewer"))[0] == 200


def test_a_request_that_is_edited_in_place_opens_nothing() -> None:
    async def dispatch(request: Any, call_next: Any) -> Any:
        request.scope["path"] = "/admin"
        request.scope["raw_path"] = b"/a"
        return await call_next(request)

    base: Any = installed("starlette.middleware.base").BaseHTTPMiddleware
    app = applications.Starlette(
        routes=[routing.Route("/a", plain), routing.Route("/admin", plain)]
    )
    app.add_middleware(base, dispatch=dispatch)
    guarded = ASGIAuthzMiddleware(app, authz({"/a": ["viewer"], "/admin": ["admin"]}))
    assert ask(guarded, "GET", "/a", bearer("viewer"))[0] == 403
    assert ask(guarded, "GET", "/a", bearer("viewer", "admin"))[0] == 200


def test_a_prefix_that_is_forged_within_a_mount_opens_nothing() -> None:
    inner = applications.Starlette(routes=[routing.Route("/{p:path}", plain)])
    inner.add_middleware(
        Changing, change=lambda scope: {"root_path": scope["root_path"] + "/public"}
    )
    outer = applications.Starlette(routes=[routing.Mount("/o", inner)])
    app = applications.Starlette(routes=[routing.Mount("/t", outer)])
    rules = {"/t/o/**": ["admin"], "/t/o/public/**": ["viewer"]}
    guarded = ASGIAuthzMiddleware(app, authz(rules))
    assert ask(guarded, "GET", "/t/o/public/secret", bearer("viewer"))[0] == 403
    assert ask(guarded, "GET", "/t/o/public/secret", bearer("viewer", "admin"))[0] == 200


def test_the_router_that_serves_is_the_one_that_is_looked_at() -> None:
    app = applications.Starlette(routes=[routing.Route("/admin", plain)])
    app.middleware_stack = app.build_middleware_stack()
    app.router = routing.Router([routing.Route("/other", plain)])
    assert [each[1] for each in table(app)] == ["/admin"]


@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize(
    "late",
    [foreign, routing.Router([routing.Route("/x", plain)]), None],
    ids=["foreign", "router", "its own router"],
)
def test_what_is_put_behind_a_mount_later_has_no_rule(late: Any, started: bool) -> None:
    sub = applications.Starlette(routes=[routing.Route("/x", plain)])
    mount = routing.Mount("/t", sub)
    app = applications.Starlette(routes=[mount])
    policy = authz({"/**": ["viewer"]})
    guarded = ASGIAuthzMiddleware(app, policy)
    if started:
        assert ask(guarded, "GET", "/t/x", bearer("viewer"))[0] == 200
    else:
        guarded.guarded.binding(policy.serving)
    if late is None:
        sub.router = routing.Router([routing.Route("/x", plain)])
    else:
        mount.app = late
    # An app that has built its middleware goes on with the router that it had.
    expected = 200 if late is None and started else 403
    assert ask(guarded, "GET", "/t/x", bearer("viewer"))[0] == expected


def test_an_app_that_is_mounted_in_itself_ends() -> None:
    router = routing.Router([routing.Route("/x", plain)])
    router.routes += [routing.Mount("/a", router), routing.Mount("/b", router)]
    guarded = ASGIAuthzMiddleware(router, authz({"/**": ["viewer"]}))
    assert ask(guarded, "GET", "/x", bearer("viewer"))[0] == 200
    assert ask(guarded, "GET", "/a/x", bearer("viewer"))[0] == 403


def test_a_converter_by_a_known_name_may_take_a_slash(monkeypatch: pytest.MonkeyPatch) -> None:
    convertors: Any = installed("starlette.convertors")

    class Wide(convertors.StringConvertor):  # type: ignore[misc]
        regex = ".*"

    monkeypatch.setitem(convertors.CONVERTOR_TYPES, "int", Wide())
    app = applications.Starlette(routes=[routing.Route("/a/{x:int}", plain)])
    assert table(app)[0][4] == "Exact PathTail"
