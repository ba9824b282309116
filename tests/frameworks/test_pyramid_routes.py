"""Pyramid's routes, what traversal finds, and the look between router and view."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from authz_middleware import AccessDenied, WSGIAuthzMiddleware, current_access
from authz_middleware.frameworks import see
from authz_middleware.policy.routes import NO_ROUTE, UNSEEN
from tests.adapters.exchange import environ_for
from tests.frameworks.asking import RULES, Headers, ask, authz, bearer, rewriting, table
from tests.frameworks.installed import installed
from tests.frameworks.laws import Declared, World, check, worlds

Configurator = installed("pyramid.config").Configurator
Request = installed("pyramid.request").Request
ContextFound = installed("pyramid.events").ContextFound
Response = installed("pyramid.response").Response
not_: Any = installed("pyramid.config").not_
wsgiapp2: Any = installed("pyramid.wsgi").wsgiapp2


def view(request: Any) -> Any:
    access = current_access()
    assert access is not None
    return Response(access.principal.subject if access.principal else "nobody")


class Pages:
    def __init__(self, request: Any) -> None:
        self.request = request

    def show(self) -> Any:
        return view(self.request)


def shop(**options: Any) -> Any:
    config = Configurator(**options)
    config.add_route("item", r"/items/{id:\d+}", request_method=("GET", "DELETE"))
    config.add_view(view, route_name="item")
    config.add_route("users", "admin/users")
    config.add_view(view, route_name="users", request_method="GET")
    config.add_view(view, route_name="users", request_method=("POST", "PUT"))
    config.add_route("any", "/any", pregenerator=lambda request, elements, kw: (elements, kw))
    config.add_view(Pages, attr="show", route_name="any")
    return config


SHOP = [
    ("DELETE|GET|HEAD", r"/items/{id:\d+}", "handler", ("Exact", "Typed")),
    ("GET|HEAD|POST|PUT", "/admin/users", "handler", ("Exact", "Exact")),
    ("any", "/any", "handler", ("Exact",)),
]


# --- The law ---


def build(routes: Sequence[Declared], ran: list[str]) -> Any:
    config = Configurator()
    for route in routes:
        text, _, tail = route.text.partition("<path:")
        head, *rest = text.split("<int:")
        text = head + "".join("{" + each.replace(">", r":\d+}", 1) for each in rest)
        text = text.replace("<", "{").replace(">", "}")

        def handle(request: Any, name: str = route.name) -> Any:
            ran.append(name)
            return Response(name)

        star = f"*{tail.strip('>')}" if tail else ""
        config.add_route(route.name, text + star, request_method=route.methods)
        config.add_view(handle, route_name=route.name)
    return config.make_wsgi_app()


@given(worlds())
def test_what_runs_was_allowed_twice(world: World) -> None:
    check(world, build, WSGIAuthzMiddleware, ask)


# --- The table ---


@pytest.mark.parametrize("introspection", [True, False])
def test_the_table(introspection: bool) -> None:
    routes = table(shop(introspection=introspection).make_wsgi_app())
    if not introspection:  # what is known of the views alone is not known
        routes = [each for each in routes if each[1] != "/admin/users"]
        assert routes == [each for each in SHOP if each[1] != "/admin/users"]
    else:
        assert routes == SHOP


def test_views_are_named() -> None:
    routes = authz({"/**": ["a"]}).bind(shop().make_wsgi_app()).table.routes
    assert {route.text: route.endpoint for route in routes} == {
        r"/items/{id:\d+}": f"{__name__}:view",
        "/admin/users": f"{__name__}:view",
        "/any": f"{__name__}:Pages.show",
    }


PATTERNS = {
    "/": (),
    "a/:b/c": ("Exact", "Plain", "Exact"),
    "/a/{b}.{c}": ("Exact", "Plain"),
    "/a/{b:.*}/c": ("Exact", "PathTail", "Exact"),
    "/a/*b": ("Exact", "PathTail"),
    "/a*b": ("PathTail",),
    "/{a:en|de}/{b:[0-9]{4}}": ("AnyOf", "Typed"),
    "/a/{b:[a-z]*}": ("Exact", "PathTail"),
    "/a//b/": ("Exact", "Exact"),
}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns(pattern: str) -> None:
    config = Configurator()
    config.add_route("x", pattern)
    [(*_, segments)] = table(config.make_wsgi_app())
    assert segments == PATTERNS[pattern]


@pytest.mark.parametrize(
    ("route", "views", "methods"),
    [
        (None, [None], None),
        ("GET", [None], "GET HEAD"),
        (("GET", "POST"), ["POST"], "POST"),
        (None, ["GET", "PUT"], "GET HEAD PUT"),
        (None, ["GET", None], None),
        (None, [not_("GET")], None),
        (None, [], None),
    ],
)
def test_methods(route: Any, views: list[Any], methods: str | None) -> None:
    config = Configurator()
    config.add_route("x", "/x", **({"request_method": route} if route else {}))
    for each in views:
        config.add_view(view, route_name="x", **({"request_method": each} if each else {}))
    [found] = authz({"/**": ["a"]}).bind(config.make_wsgi_app()).table.routes
    assert found.methods == (None if methods is None else set(methods.split()))


def foreign(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode("latin-1")]


def test_what_is_mounted_and_files(tmp_path: Path) -> None:
    config = shop()
    config.add_static_view("static", str(tmp_path))
    config.add_route("mount", "/mount/*subpath")
    config.add_view(wsgiapp2(foreign), route_name="mount")
    assert [each for each in table(config.make_wsgi_app()) if each not in SHOP] == [
        ("any", "/mount/*subpath", "opaque", ("Exact", "PathTail")),
        ("any", "/static/*subpath", "static", ("Exact", "PathTail")),
    ]


class Oops(Exception):
    """An error of the app."""


@pytest.mark.parametrize("traverses", [True, False])
def test_views_without_a_route_are_opaque(traverses: bool) -> None:
    config = shop()
    config.add_view(view, context=Oops)
    config.add_exception_view(view, context=ValueError)
    config.add_notfound_view(view, append_slash=True)
    config.add_forbidden_view(view)
    if traverses:
        config.add_view(view, name="found", context=dict)
    opaque = ("any", "/**", "opaque", ("DoubleStar",))
    assert (opaque in table(config.make_wsgi_app())) == traverses


# --- What a request takes ---


def test_it_resolves_as_pyramid_does() -> None:
    config = shop()
    config.add_route("guess", "/{guess}", request_param="yes")
    config.add_view(view, route_name="guess")
    app = config.make_wsgi_app()
    taken: list[Any] = []
    app.registry.registerHandler(
        lambda event: taken.append(event.request.matched_route), (ContextFound,)
    )
    for path in ("/", "/items/1", "/items/x", "/items/1/", "/admin/users", "/any", "/nowhere"):
        for method in ("GET", "DELETE", "POST"):
            for query in ("", "yes=1"):
                environ = environ_for(method, path, QUERY_STRING=query)
                found = see(app).resolve(environ)
                assert environ.keys() == environ_for(method, path).keys()
                with pytest.MonkeyPatch.context() as patched:
                    patched.setattr(f"{__name__}.current_access", lambda: Nobody)
                    ask(app, method, path, [], QUERY_STRING=query)
                route = taken.pop()
                assert found == (NO_ROUTE if route is None else ("", (route.name, route.pattern)))


class Nobody:
    principal = None


def test_a_predicate_does_not_eat_the_body() -> None:
    config = Configurator()
    config.add_route("x", "/x", request_param="a=1")
    body = BytesIO(b"a=1")
    environ = environ_for("POST", "/x", CONTENT_TYPE="application/x-www-form-urlencoded")
    see(config.make_wsgi_app()).resolve({**environ, "wsgi.input": body, "CONTENT_LENGTH": "3"})
    assert body.read() == b"a=1"


def test_what_traversal_finds_is_the_apps_secret() -> None:
    config = shop()
    config.add_view(view, name="x")
    app = config.make_wsgi_app()
    assert see(app).resolve(environ_for("GET", "/nowhere")) is UNSEEN
    without = Configurator()
    assert see(without.make_wsgi_app()).resolve(environ_for("GET", "/nowhere")) is NO_ROUTE


# --- The second look ---


@pytest.mark.parametrize(
    "changes",
    [{"PATH_INFO": "/admin/users"}, {"REQUEST_METHOD": "DELETE"}, {"PATH_INFO": "/any"}],
    ids=["path", "method", "no-rule"],
)
def test_an_inner_middleware_that_rewrites_opens_nothing(changes: dict[str, str]) -> None:
    inner = rewriting(shop().make_wsgi_app(), **changes)
    guarded = WSGIAuthzMiddleware(inner, authz(RULES))
    refused = ask(guarded, "GET", "/items/1", bearer("viewer"))
    alone = WSGIAuthzMiddleware(shop().make_wsgi_app(), authz(RULES))
    plain = ask(alone, "GET", "/admin/users", bearer("viewer"))
    assert (refused.status, plain.status) == (403, 403)
    assert {name for name, _ in refused.headers} == {name for name, _ in plain.headers}
    may = changes.get("PATH_INFO") != "/any"
    assert (ask(guarded, "GET", "/items/1", bearer("viewer", "admin")).status == 200) == may


def tween(handler: Any, registry: Any) -> Any:
    def rewrite(request: Any) -> Any:
        request.path_info = "/admin/users"
        return handler(request)

    return rewrite


def subscriber(event: Any) -> None:
    event.request.path_info = "/admin/users"


def late_method(event: Any) -> None:
    event.request.method = "DELETE"


LEADING: dict[str, Callable[[Any], None]] = {
    "tween": lambda config: config.add_tween(f"{__name__}.tween"),
    "new request": lambda config: config.add_subscriber(subscriber, "pyramid.events.NewRequest"),
    "before traversal": lambda config: config.add_subscriber(
        subscriber, "pyramid.events.BeforeTraversal"
    ),
    "context found": lambda config: config.add_subscriber(late_method, ContextFound),
}


@pytest.mark.parametrize("way", LEADING)
def test_what_rewrites_inside_of_pyramid_opens_nothing(way: str) -> None:
    config = shop()
    LEADING[way](config)
    guarded = WSGIAuthzMiddleware(config.make_wsgi_app(), authz(RULES))
    assert ask(guarded, "GET", "/items/1", bearer("viewer")).status == 403
    assert ask(guarded, "GET", "/items/1", bearer("viewer", "admin")).status == 200


def test_a_subscriber_that_comes_later_is_still_before_the_look() -> None:
    app = shop().make_wsgi_app()
    guarded = WSGIAuthzMiddleware(app, authz(RULES))
    assert ask(guarded, "GET", "/items/1", bearer("viewer")).status == 200
    app.registry.registerHandler(late_method, [installed("pyramid.interfaces").IContextFound])
    assert ask(guarded, "GET", "/items/1", bearer("viewer")).status == 403


def test_an_exception_view_for_all_cannot_hide_the_refusal() -> None:
    config = shop()
    config.add_exception_view(lambda error, request: Response("all is well"), context=AccessDenied)
    config.add_tween(f"{__name__}.tween")
    guarded = WSGIAuthzMiddleware(config.make_wsgi_app(), authz(RULES))
    refused = ask(guarded, "GET", "/items/1", bearer("viewer"))
    assert refused.status == 403
    assert b"urn:uuid:" in refused.body


def test_a_view_without_a_guard_before_it_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    config = shop()
    config.include("authz_middleware.frameworks.pyramid")
    app = config.make_wsgi_app()
    authz(RULES).bind(app)
    assert ask(app, "GET", "/items/1", bearer("viewer")).status == 500
    assert "by another way than through the guard" in caplog.text


@pytest.mark.parametrize("use_tweens", [True, False])
def test_a_sub_request_is_the_callers(use_tweens: bool) -> None:
    config = shop()

    def inside(request: Any) -> Any:
        inner = type(request).blank("/" + request.matchdict["path"])
        try:
            return Response(
                f"{request.invoke_subrequest(inner, use_tweens=use_tweens).status_code}"
            )
        except AccessDenied as denied:
            return Response(f"{denied.answer.status}")

    config.add_route("inside", "/inside/{path:.+}")
    config.add_view(inside, route_name="inside")
    app = config.make_wsgi_app()
    guarded = WSGIAuthzMiddleware(app, authz({**RULES, "/inside/**": ["viewer"]}))
    for path, roles, status in [
        ("items/1", ["viewer"], b"200"),
        ("admin/users", ["viewer"], b"403"),
        ("admin/users", ["viewer", "admin"], b"200"),
    ]:
        assert ask(guarded, "GET", f"/inside/{path}", bearer(*roles)).body == status


def test_a_route_that_is_added_later_has_no_rule(caplog: pytest.LogCaptureFixture) -> None:
    config = shop(autocommit=True)
    guarded = WSGIAuthzMiddleware(config.make_wsgi_app(), authz({"/**": ["viewer"]}))
    assert ask(guarded, "GET", "/any", bearer("viewer")).status == 200
    config.add_route("late", "/late")
    config.add_view(view, route_name="late")
    config.add_view(view, name="found")
    caplog.clear()
    for path in ("/late", "/found"):
        for _ in range(2):
            assert ask(guarded, "GET", path, bearer("viewer")).status == 403
    assert caplog.text.count("a route that was added after the start has no rule") == 2


def test_the_look_is_put_there_once() -> None:
    app = shop().make_wsgi_app()
    before = len([*app.registry.registeredHandlers()])
    for _ in range(2):
        see(app).table()
    assert len([*app.registry.registeredHandlers()]) == before + 1


# --- Traversal ---


class Tree(dict[str, Any]):
    """A resource with others below it."""


def tree(request: Any) -> Tree:
    return Tree(area=Tree(door=Tree()))


def traversed(*names: str, root: Any = tree, **route: Any) -> Any:
    config = Configurator(root_factory=root)
    if route:
        config.add_route("hybrid", factory=root, **route)
    for name in names:
        config.add_view(view, name=name, **({"route_name": "hybrid"} if route else {}))
    return config


SECRET = {"/secret": ["admin"], "/area/secret": ["admin"], "/area": ["admin"], "/**": "public"}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/open", 200),
        ("/open/and/more", 200),
        ("/@@open", 200),
        ("/secret", 401),
        ("/secret/and/more", 401),
        ("/@@secret", 401),
        ("/@@secret/and/more", 401),
        ("/area", 401),
        ("/area/", 401),
        ("/area/@@", 401),
        ("/area/@@/more", 401),
        ("/area/secret", 401),
        ("/area/@@secret/more", 401),
        ("/area/door", 200),
        ("/area/door/secret", 200),
        ("/area/open", 200),
    ],
)
@pytest.mark.parametrize("prefix", ["", "/svc"])
def test_what_traversal_finds_is_judged_by_its_plain_path(
    path: str, status: int, prefix: str
) -> None:
    app = traversed("", "open", "secret").make_wsgi_app()
    guarded = WSGIAuthzMiddleware(app, authz(SECRET))
    assert ask(guarded, "GET", path, [], SCRIPT_NAME=prefix).status == status
    assert ask(guarded, "GET", path, bearer("admin"), SCRIPT_NAME=prefix).status == 200


def test_below_a_mount_as_well() -> None:
    app = traversed("", "open", "secret").make_wsgi_app()
    mounted = DispatcherMiddleware(shop().make_wsgi_app(), {"/tree": app})
    guarded = WSGIAuthzMiddleware(mounted, authz({"/tree/secret": ["admin"], "/**": "public"}))
    for path, status in [
        ("/tree", 200),
        ("/tree/open/x", 200),
        ("/tree/@@secret", 401),
        ("/tree/secret/x", 401),
    ]:
        assert ask(guarded, "GET", path, []).status == status


@pytest.mark.parametrize(
    ("pattern", "path", "status"),
    [
        ("/t/*traverse", "/t/open/x", 200),
        ("/t/*traverse", "/t/@@secret", 401),
        ("/t/*traverse", "/t/secret/x", 401),
        ("/t/{traverse}", "/t/@@secret", 401),
        ("/t/{traverse:.*}", "/t/secret/x", 401),
    ],
)
def test_traversal_below_a_route(pattern: str, path: str, status: int) -> None:
    app = traversed("", "open", "secret", pattern=pattern).make_wsgi_app()
    guarded = WSGIAuthzMiddleware(app, authz({"/t/secret": ["admin"], "/**": "public"}))
    assert ask(guarded, "GET", path, []).status == status
    assert ask(guarded, "GET", path, bearer("admin")).status == 200


@pytest.mark.parametrize(
    ("root", "path", "status"),
    [
        ("/secret", "/open", 401),
        ("/secret", "/", 401),
        ("/secret/", "/open", 401),
        ("/@@secret", "/open", 401),
        ("/area", "/", 401),
        ("/area", "/secret", 401),
        ("/area", "/secret/and/more", 401),
        ("/area", "/@@secret", 401),
        ("/area/secret", "/open", 401),
        ("/open/../secret", "/open", 401),
        ("/area", "/open", 200),
        ("/area/door", "/open", 200),
        ("/", "/open", 200),
        ("", "/open/and/more", 200),
    ],
)
def test_a_virtual_root_that_is_put_in_inside_is_looked_at(
    root: str, path: str, status: int
) -> None:
    app = traversed("", "open", "secret").make_wsgi_app()
    inside = rewriting(app, HTTP_X_VHM_ROOT=root)
    guarded = WSGIAuthzMiddleware(inside, authz({**SECRET, "/area/secret/**": ["admin"]}))
    # What a path like that would ask without a virtual root, an outsider never gets past.
    headers = [] if path not in SECRET else bearer("admin")
    status = status if path not in SECRET else 200
    assert ask(guarded, "GET", path, headers).status == status
    assert ask(guarded, "GET", path, bearer("admin")).status == 200


@pytest.mark.parametrize(
    ("pattern", "root", "path", "status"),
    [
        ("/t/*traverse", "/secret", "/t/open", 401),
        ("/t/*traverse", "/secret", "/t/", 401),
        ("/t/{traverse:.*}", "/sec", "/t/ret", 401),
        ("/t/{traverse:.*}", "/secret", "/t/", 401),
        ("/t/*traverse", "/area", "/t/open", 200),
        ("/t/{traverse}/end", "/area", "/t/open/end", 400),
    ],
)
def test_a_virtual_root_below_a_route_is_looked_at(
    pattern: str, root: str, path: str, status: int
) -> None:
    app = traversed("", "open", "secret", pattern=pattern).make_wsgi_app()
    inside = rewriting(app, HTTP_X_VHM_ROOT=root)
    guarded = WSGIAuthzMiddleware(inside, authz({"/t/secret": ["admin"], "/**": "public"}))
    assert ask(guarded, "GET", path, []).status == status
    assert ask(guarded, "GET", path, bearer("admin")).status == (200 if status == 401 else status)


@pytest.mark.parametrize("to", ["/area/{id}", "/area/door/{id}/and/more"])
def test_traversal_that_goes_where_no_path_says_leaves_it_to_the_route(to: str) -> None:
    app = traversed("open", "secret", pattern="/t/{id}", traverse=to).make_wsgi_app()
    guarded = WSGIAuthzMiddleware(app, authz({"/t/**": ["viewer"], "/area/**": ["admin"]}))
    assert ask(guarded, "GET", "/t/secret", bearer("viewer")).status == 200
    assert ask(guarded, "GET", "/t/secret", bearer("admin")).status == 403


def test_a_late_route_beside_traversal_has_no_rule() -> None:
    made = traversed("open")
    made.add_route("item", "/item")
    app = made.make_wsgi_app()
    guarded = WSGIAuthzMiddleware(app, authz({"/**": ["viewer"]}))
    assert ask(guarded, "GET", "/open", bearer("viewer")).status == 200
    config = Configurator(registry=app.registry, autocommit=True)
    config.add_route("late", "/late")
    config.add_view(lambda _: Response("late"), route_name="late")
    assert ask(guarded, "GET", "/late", bearer("viewer")).status == 403


class Telling(Request):  # type: ignore[misc, valid-type]
    """A request whose fields say what it is."""

    @property
    def method(self) -> str:
        return str(self.environ.get("HTTP_X_METHOD", self.environ["REQUEST_METHOD"]))

    @property
    def path_info(self) -> str:
        return str(self.environ.get("HTTP_X_PATH", self.environ["PATH_INFO"]))


@pytest.mark.parametrize(
    ("header", "ran"),
    [("X-Method", b"DELETE"), ("X-Path", b"/secret")],
)
def test_what_a_class_of_requests_says_is_looked_at(header: str, ran: bytes) -> None:
    config = traversed("secret")
    config.set_request_factory(Telling)
    config.add_route("item", "/item")
    for method in ("GET", "DELETE"):
        config.add_view(
            lambda request: Response(request.method), route_name="item", request_method=method
        )
    rules = {"GET /item": ["viewer"], "DELETE /item": ["admin"], "/secret": ["admin"]}
    guarded = WSGIAuthzMiddleware(config.make_wsgi_app(), authz(rules))
    said = (header, ran.decode())
    assert ask(guarded, "GET", "/item", bearer("viewer")).body == b"GET"
    assert ask(guarded, "GET", "/item", [*bearer("viewer"), said]).status == 403
    assert ask(guarded, "GET", "/item", [*bearer("viewer", "admin"), said]).status == 200


def test_a_pattern_may_ignore_letter_case() -> None:
    config = Configurator()
    config.add_route("loose", "/{name:(?i:admin)}")
    config.add_view(view, route_name="loose")
    rules = authz({"/<name>": ["viewer"], "/admin": ["admin"]})
    guarded = WSGIAuthzMiddleware(config.make_wsgi_app(), rules)
    assert ask(guarded, "GET", "/ADMIN", bearer("viewer")).status == 403
    assert ask(guarded, "GET", "/ADMIN", bearer("viewer", "admin")).status == 200


# --- Mounts and gaps ---


@pytest.mark.parametrize("prefix", ["", "/svc"])
def test_a_mounted_app_below_a_prefix(prefix: str) -> None:
    shops = shop().make_wsgi_app(), shop().make_wsgi_app()
    dispatched = DispatcherMiddleware(shops[0], {"/shop": shops[1]})
    rules = {"/items/<int:id>": ["viewer"], "GET /shop/items/<int:id>": ["buyer"]}
    guarded = WSGIAuthzMiddleware(dispatched, authz(rules))
    for path, role in (("/items/1", "viewer"), ("/shop/items/1", "buyer")):
        for held in ("viewer", "buyer"):
            status = ask(guarded, "GET", path, bearer(held), SCRIPT_NAME=prefix).status
            assert status == (200 if held == role else 403)


def test_a_strict_policy_with_traversal_serves_nothing() -> None:
    everything = authz({"/**": ["viewer"]}, strict=True)
    guarded = WSGIAuthzMiddleware(shop().make_wsgi_app(), everything)
    assert ask(guarded, "GET", "/items/1", bearer("viewer")).status == 200
    guarded = WSGIAuthzMiddleware(traversed("").make_wsgi_app(), everything)
    assert ask(guarded, "GET", "/", bearer("viewer")).status == 503


@pytest.mark.parametrize("headers", [[], bearer("viewer"), [("Authorization", "Bearer no.to.ken")]])
def test_what_nobody_knows_is_left_to_the_app(headers: Headers) -> None:
    guarded = WSGIAuthzMiddleware(shop().make_wsgi_app(), authz(RULES, unmatched="app"))
    assert ask(guarded, "GET", "/nowhere", headers).status == 404
    assert ask(guarded, "GET", "/any", headers).status in (401, 403)
    guarded = WSGIAuthzMiddleware(traversed("x").make_wsgi_app(), authz(RULES, unmatched="app"))
    assert ask(guarded, "GET", "/x", headers).status in (401, 403)
