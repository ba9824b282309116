"""Quart's routes, the route that a request takes, and the look between router and view."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authz_middleware import ASGIAuthzMiddleware, Authz, PolicyError, current_access
from authz_middleware.frameworks import see
from authz_middleware.policy.routes import NO_ROUTE, UNSEEN
from tests.adapters.exchange import Sent
from tests.frameworks.apps import KINDS, call
from tests.frameworks.asking import RULES, Headers, authz, bearer, scope_of, table
from tests.frameworks.installed import installed
from tests.frameworks.laws import Declared, World, check, worlds

quart: Any = installed("quart")
dispatcher: Any = installed("hypercorn.middleware.dispatcher")
KIND = KINDS["quart"]
NOBODY = [("Authorization", "Bearer no.to.ken")]


def ask(app: Any, method: str, path: str, headers: Headers, **extra: Any) -> Sent:
    return call(KIND, app, method, path, headers, **extra).sent


def build(routes: Sequence[Declared], ran: list[str]) -> Any:
    app = quart.Quart("law", static_folder=None)

    def view(name: str) -> Any:
        async def run(**_: Any) -> str:
            ran.append(name)
            return name

        return run

    for route in routes:
        app.add_url_rule(route.text, route.name, view(route.name), methods=list(route.methods))
    return app


@given(worlds())
@settings(max_examples=40, deadline=None, derandomize=True)
def test_what_runs_was_allowed_twice(world: World) -> None:
    check(world, build, ASGIAuthzMiddleware, ask)


# --- The table ---


class Item(installed("quart.views").MethodView):  # type: ignore[misc]
    async def get(self, id: int) -> str:
        return str(id)

    async def delete(self, id: int) -> str:
        return str(id)


async def users() -> str:
    access = current_access()
    assert access is not None
    assert access.principal is not None
    return access.principal.subject


async def feed() -> None:
    await quart.websocket.send("welcome")


async def any_at_all() -> str:
    return "any"


def named(name: str, **_: str) -> str:
    return name


def shop() -> Any:
    app = quart.Quart("shop", static_folder="static")
    app.add_url_rule("/items/<int:id>", view_func=Item.as_view("item"))
    app.add_url_rule("/<any(en, de):lang>/<name>.html", "page", named)
    app.add_url_rule("/files/<path:name>/meta", "meta", named)
    app.add_url_rule("/any", "any", any_at_all, methods=["get", "report"])
    app.add_websocket("/feed", "feed", feed)
    blueprint = quart.Blueprint("admin", "admin", static_folder="static")
    blueprint.add_url_rule("/users", "users", users)
    blueprint.add_websocket("/feed", "feed", feed)
    app.register_blueprint(blueprint, url_prefix="/admin")
    return app


SHOP = [
    ("DELETE|GET|HEAD", "/items/<int:id>", "handler", ("Exact", "Typed")),
    ("GET|HEAD", "/<any(en, de):lang>/<name>.html", "handler", ("AnyOf", "Plain")),
    ("GET|HEAD", "/admin/static/<path:filename>", "static", ("Exact", "Exact", "PathTail")),
    ("GET|HEAD", "/admin/users", "handler", ("Exact", "Exact")),
    ("GET|HEAD", "/files/<path:name>/meta", "handler", ("Exact", "PathTail", "Exact")),
    ("GET|HEAD", "/static/<path:filename>", "static", ("Exact", "PathTail")),
    ("GET|HEAD|REPORT", "/any", "handler", ("Exact",)),
    ("WS", "/admin/feed", "handler", ("Exact", "Exact")),
    ("WS", "/feed", "handler", ("Exact",)),
]


def test_the_table() -> None:
    assert table(shop()) == SHOP


def test_what_a_view_is_called() -> None:
    routes = authz({"/**": ["a"]}).bind(shop()).table.routes
    names = {(route.text, "WS" in (route.methods or ())): route.endpoint for route in routes}
    assert names["/items/<int:id>", False] == f"{__name__}:Item"
    assert names["/feed", True] == f"{__name__}:feed"


# --- What a request takes ---

PARTS = "items 1 +1 en x.html files meta any feed admin users static svc".split()  # noqa: SIM905
PATHS = st.one_of(
    st.sampled_from(["", "*", "items/1", "http://h/items/1", "//items/1", ":/any", "/svcany"]),
    st.lists(
        st.sampled_from([*PARTS, ""]),
        max_size=4,
    ).map(lambda parts: "/" + "/".join(parts)),
)


@given(PATHS, st.sampled_from(["GET", "HEAD", "OPTIONS", "DELETE", "report", "WS"]), st.booleans())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_it_resolves_as_quart_does(path: str, method: str, rooted: bool) -> None:
    app = shop()
    ran: list[Any] = []

    async def note() -> str:
        connection = quart.websocket if method == "WS" else quart.request
        if connection.url_rule is not None:
            ran.append((connection.url_rule.rule, connection.url_rule.endpoint))
        return ""

    app.before_request(note)
    app.before_websocket_funcs.setdefault(None, []).append(note)
    extra = {"root_path": "/svc"} if rooted else {}
    scope = scope_of(method, path, [("Host", "localhost")], **extra)
    before = repr(scope)
    try:
        ask(app, method, path, [], **extra)
    except IndexError:
        with pytest.raises(IndexError):
            see(app).resolve(scope)
        return
    taken: Any = see(app).resolve(scope)
    assert repr(scope) == before
    assert ran == ([] if taken is NO_ROUTE else [taken[1][:2]])
    if taken is not NO_ROUTE:
        assert taken in {route.taken for route in see(app).routes()}


def test_hosts_are_told_apart() -> None:
    app = quart.Quart("hosts", host_matching=True, static_folder=None)
    for host in ("a", "b"):
        app.add_url_rule("/x", host, any_at_all, host=host)
    routes = {route.host: route.taken for route in see(app).routes()}
    for host in ("a", "b"):
        assert see(app).resolve(scope_of("GET", "/x", [("Host", host)])) == routes[host]
    assert see(app).resolve(scope_of("GET", "/x", [("Host", "c")])) is NO_ROUTE


def test_a_connection_class_of_ones_own_cannot_be_seen_through() -> None:
    class Own:
        def __init__(self, app: Any, scope: Any) -> None: ...

    app = shop()
    app.asgi_http_class = app.asgi_websocket_class = Own
    for method in ("GET", "WS"):
        assert see(app).resolve(scope_of(method, "/feed", [])) is UNSEEN


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
        {"method": "DELETE"},
        {"path": "/any"},
        {"path": "admin/users"},
        {"path": "x:///admin/users"},
        {"path": "/svc/admin/users", "root_path": "/svc"},
    ],
    ids=["path", "method", "no-rule", "no-slash", "absolute", "root-path"],
)
def test_an_inner_middleware_that_rewrites_opens_nothing(changes: dict[str, str]) -> None:
    guarded = ASGIAuthzMiddleware(rewriting(shop(), **changes), authz(RULES))
    refused = ask(guarded, "GET", "/items/1", bearer("viewer"))
    plain = ask(ASGIAuthzMiddleware(shop(), authz(RULES)), "GET", "/admin/users", bearer("viewer"))
    assert (refused.status, plain.status) == (403, 403)
    assert refused.headers == [*plain.headers[:1], *refused.headers[1:]]
    assert [name for name, _ in refused.headers] == [name for name, _ in plain.headers]
    may = changes.get("path") != "/any" and "root_path" not in changes
    assert (ask(guarded, "GET", "/items/1", bearer("viewer", "admin")).status == 200) == may


def test_an_inner_middleware_that_makes_another_host_opens_nothing() -> None:
    app = quart.Quart("hosts", host_matching=True, static_folder=None)
    app.add_url_rule("/<name>", "public", named, host="public")
    app.add_url_rule("/x", "admin", any_at_all, host="admin")
    inner = rewriting(app, headers=[(b"host", b"admin")], path="/x")
    rules = authz({"/<name>": "public", "/x": ["admin"]})
    guarded = ASGIAuthzMiddleware(inner, rules)
    assert ask(guarded, "GET", "/y", []).status == 401
    assert ask(guarded, "GET", "/y", bearer("admin")).status == 200


def test_a_websocket_that_is_led_elsewhere_is_refused() -> None:
    rules = authz({"WS /feed": "public", "WS /admin/feed": ["admin"]})
    guarded = ASGIAuthzMiddleware(rewriting(shop(), path="/admin/feed"), rules)
    plain = ASGIAuthzMiddleware(shop(), rules)
    for roles, status in (["admin"], 101), (["viewer"], 403):
        assert ask(guarded, "WS", "/feed", bearer(*roles)).status == status
        assert ask(plain, "WS", "/admin/feed", bearer(*roles)).status == status
    assert ask(plain, "WS", "/feed", []).status == 101
    assert ask(guarded, "WS", "/feed", []).status == ask(plain, "WS", "/admin/feed", []).status


def test_a_websocket_route_over_http_is_no_way_in() -> None:
    """Quart takes the scheme for the kind of request."""
    rules = authz({"WS /feed": ["viewer"], "GET /feed": "deny"})
    guarded = ASGIAuthzMiddleware(rewriting(shop(), scheme="ws"), rules)
    assert ask(guarded, "GET", "/feed", bearer("viewer")).status == 403
    assert ask(guarded, "WS", "/feed", bearer("viewer")).status == 101


def override(app: Any) -> None:
    """Take the method from a field: of the request before it is routed."""

    def own(method: str, *args: Any, **kwargs: Any) -> Any:
        return quart.Request(args[3].get("X-Method", method), *args, **kwargs)

    app.request_class = own


def override_late(app: Any) -> None:
    """The same, behind the router; a `MethodView` goes by it."""

    @app.before_request
    async def change() -> None:
        quart.request.method = quart.request.headers.get("X-Method", quart.request.method)


def another_rule(app: Any) -> None:
    """Choose another route behind the router."""

    @app.before_request
    async def change() -> None:
        if "X-Method" in quart.request.headers:
            rules = app.url_map.iter_rules()
            quart.request.url_rule = next(rule for rule in rules if "admin/users" in rule.rule)
            quart.request.view_args = {}


@pytest.mark.parametrize("change", [override, override_late, another_rule])
def test_what_the_app_makes_of_a_request_itself_opens_nothing(change: Any) -> None:
    app = shop()
    change(app)
    guarded = ASGIAuthzMiddleware(app, authz(RULES))
    field = [("X-Method", "DELETE")]
    assert ask(guarded, "GET", "/items/1", bearer("viewer")).body == b"1"
    assert ask(guarded, "GET", "/items/1", bearer("viewer") + field).status == 403
    assert ask(guarded, "GET", "/items/1", bearer("viewer", "admin") + field).status == 200


def test_a_websocket_that_is_led_to_another_view_behind_the_router_is_refused() -> None:
    app = shop()

    async def change() -> None:
        rules = app.url_map.iter_rules()
        quart.websocket.url_rule = next(rule for rule in rules if rule.rule == "/admin/feed")

    app.before_websocket_funcs.setdefault(None, []).append(change)
    guarded = ASGIAuthzMiddleware(app, authz({"WS /feed": "public", "WS /admin/feed": ["admin"]}))
    for roles, status in (["admin"], 101), (["viewer"], 403):
        assert ask(guarded, "WS", "/feed", bearer(*roles)).status == status


@pytest.mark.parametrize(
    ("asked", "changes", "rules"),
    [
        ("GET", {"scheme": "ws"}, {"GET /feed": "public", "WS /feed": ["admin"]}),
        ("WS", {"scheme": "http"}, {"WS /any": "public", "GET /any": ["admin"]}),
    ],
)
def test_a_view_for_another_kind_of_request_is_no_way_in(
    asked: str, changes: dict[str, str], rules: dict[str, Any]
) -> None:
    guarded = ASGIAuthzMiddleware(rewriting(shop(), **changes), authz(rules))
    path = next(iter(rules)).split()[1]
    for headers in [], bearer("viewer"):
        assert ask(guarded, asked, path, headers).status in (401, 403)


def test_a_catch_all_error_handler_cannot_hide_the_refusal() -> None:
    app = shop()

    async def well(_: Exception) -> tuple[str, int]:
        return "all is well", 200

    app.register_error_handler(Exception, well)
    app.register_error_handler(403, well)
    guarded = ASGIAuthzMiddleware(rewriting(app, path="/admin/users"), authz(RULES))
    refused = ask(guarded, "GET", "/items/1", bearer("viewer"))
    assert refused.status == 403
    assert b"urn:uuid:" in refused.body


def test_a_view_without_a_guard_before_it_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    app = shop()
    ASGIAuthzMiddleware(app, authz(RULES)).authz.bind(app)  # type: ignore[union-attr]
    assert ask(app, "GET", "/items/1", bearer("viewer")).status == 500
    assert "by another way than through the guard" in caplog.text
    assert ask(app, "WS", "/feed", bearer("viewer")).status == 403
    assert ask(app, "GET", "/nowhere", []).status == 404  # Quart's own answers run no view
    assert ask(app, "POST", "/items/1", []).status == 405


def test_what_is_dispatched_by_hand_needs_a_guard_too() -> None:
    app = shop()
    authz(RULES).bind(app)

    async def by_hand() -> Any:
        async with app.test_request_context("/items/1") as context:
            return await app.preprocess_request(context)

    with pytest.raises(Exception, match="unguarded"):
        asyncio.run(by_hand())


def test_a_question_that_a_view_asks_of_its_own_app_is_the_callers() -> None:
    app = shop()

    async def ask_inside(path: str) -> str:
        return str((await app.test_client().get(f"/{path}")).status_code)

    async def copied(path: str) -> str:
        inside = quart.copy_current_request_context(ask_inside)
        return str(await asyncio.create_task(inside(path)))

    app.add_url_rule("/inside/<path:path>", "inside", ask_inside)
    app.add_url_rule("/copied/<path:path>", "copied", copied)
    rules = {**RULES, "/inside/**": ["viewer"], "/copied/**": ["viewer"]}
    guarded = ASGIAuthzMiddleware(app, authz(rules))
    for way in ("inside", "copied"):
        for path, roles, status in [
            ("items/1", ["viewer"], b"200"),
            ("admin/users", ["viewer"], b"403"),
            ("admin/users", ["viewer", "admin"], b"200"),
        ]:
            assert ask(guarded, "GET", f"/{way}/{path}", bearer(*roles)).body == status


def test_a_route_that_is_added_later_has_no_rule(caplog: pytest.LogCaptureFixture) -> None:
    app = quart.Quart("late")
    guarded = ASGIAuthzMiddleware(app, authz({"/**": ["viewer"]}))
    assert ask(guarded, "GET", "/late", bearer("viewer")).status == 404
    rule = app.url_rule_class("/late", endpoint="late", methods=["GET"])
    app.url_map.add(rule)  # Quart itself would refuse by now
    app.view_functions["late"] = any_at_all
    caplog.clear()
    for _ in range(2):
        assert ask(guarded, "GET", "/late", bearer("viewer")).status == 403
    assert caplog.text.count("a route that was added after the start has no rule") == 1


def test_the_look_is_put_there_once_and_first() -> None:
    app = shop()

    @app.before_request
    async def own() -> None:
        ran.append("own")

    ran: list[str] = []
    see(app).table()
    dispatch = app.dispatch_request, app.dispatch_websocket
    see(app).table()
    assert dispatch == (app.dispatch_request, app.dispatch_websocket)
    assert len(app.before_request_funcs[None]) == 2
    assert len(app.before_websocket_funcs[None]) == 1
    assert ask(app, "GET", "/items/1", bearer("viewer")).status == 500
    assert ran == []


# --- Below a prefix ---


@pytest.mark.parametrize("prefix", ["", "/svc", "/svc/é"])
def test_below_a_prefix(prefix: str) -> None:
    guarded = ASGIAuthzMiddleware(shop(), authz(RULES))
    for path, roles, status in [
        ("/items/1", ["viewer"], 200),
        ("/items/1", ["admin"], 403),
        ("/admin/users", ["viewer"], 403),
        ("/admin/users", ["admin"], 200),
    ]:
        sent = ask(guarded, "GET", prefix + path, bearer(*roles), root_path=prefix)
        assert sent.status == status
    if prefix:  # a server that leaves the path alone
        assert ask(guarded, "GET", "/items/1", bearer("viewer"), root_path=prefix).status == 404


# --- Hypercorn's dispatcher ---


def opaque(scope: Any, receive: Any, send: Any) -> Any:
    raise NotImplementedError


def test_what_a_dispatcher_mounts() -> None:
    async def foreign(scope: Any, receive: Any, send: Any) -> None:
        raise NotImplementedError

    inner = dispatcher.DispatcherMiddleware({"/deep": shop(), "/": shop()})
    app = dispatcher.DispatcherMiddleware(
        {"/shop": inner, "/foreign": foreign, "/guess": rewriting(shop()), "": shop()}
    )
    routes = authz({"/**": ["a"]}).bind(app).table.routes
    rows = [
        (
            "|".join(sorted(set(each.methods or ["any"]) - each.automatic)),
            each.text,
            each.kind,
            tuple(type(segment).__name__ for segment in each.segments),
        )
        for each in routes
    ]
    for mount in ("", "/shop", "/shop/deep"):
        for methods, text, kind, segments in SHOP:
            assert (methods, mount + text, kind, (*["Exact"] * mount.count("/"), *segments)) in rows
    for mount in ("/foreign", "/guess"):
        assert ("any", f"{mount}/**", "opaque", ("Exact", "DoubleStar")) in rows
    assert len(rows) == len({each.taken for each in routes}) == 3 * len(SHOP) + 2
    assert all(each.guarded_inside == (each.kind != "opaque") for each in routes)


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_look_behind_a_dispatcher(slash: str) -> None:
    mounted = dispatcher.DispatcherMiddleware({f"/shop{slash}": shop(), slash: shop()})
    rules = {"/items/<int:id>": ["viewer"], "GET /shop/items/<int:id>": ["buyer"]}
    guarded = ASGIAuthzMiddleware(mounted, authz(rules))
    for path, role in (("/items/1", "viewer"), ("/shop/items/1", "buyer")):
        for held in ("viewer", "buyer"):
            status = ask(guarded, "GET", path, bearer(held)).status
            assert status == (200 if held == role else 403)


@pytest.mark.parametrize("late", ["foreign", "known", "in the place of another", "by another hand"])
def test_what_a_dispatcher_mounts_later_has_no_rule(late: str) -> None:
    async def foreign(scope: Any, receive: Any, send: Any) -> None:
        await quart_shop(scope, receive, send)

    quart_shop = shop()
    held: dict[str, Any] = {"/shop": shop()}
    app = dispatcher.DispatcherMiddleware(held)
    rules = {"/shop/items/<int:id>": ["viewer"], "/late/items/<int:id>": ["viewer"]}
    guarded = ASGIAuthzMiddleware(app, authz({**rules, "WS /late/feed": ["viewer"]}))
    assert ask(guarded, "GET", "/shop/items/1", bearer("viewer")).status == 200
    prefix = "/shop" if late == "in the place of another" else "/late"
    (held if late == "by another hand" else app.mounts)[prefix] = (
        foreign if late == "foreign" else shop()
    )
    assert ask(guarded, "GET", f"{prefix}/items/1", bearer("viewer", "admin")).status == 403
    assert ask(guarded, "WS", f"{prefix}/feed", bearer("viewer", "admin")).status == 403
    again = ASGIAuthzMiddleware(app, authz({f"{prefix}/items/<int:id>": ["viewer"]}))
    assert ask(again, "GET", f"{prefix}/items/1", bearer("viewer")).status == 200


def test_a_late_route_beside_a_foreign_app_has_no_rule() -> None:
    inner = shop()
    app = dispatcher.DispatcherMiddleware({"/shop": inner, "": rewriting(shop())})
    guarded = ASGIAuthzMiddleware(app, authz({"/**": ["viewer"]}))
    assert ask(guarded, "GET", "/shop/items/1", bearer("viewer")).status == 200
    assert ask(guarded, "GET", "/items/1", bearer("viewer")).status == 200
    inner.url_map.add(inner.url_rule_class("/late", endpoint="any"))
    assert ask(guarded, "GET", "/shop/late", bearer("viewer")).status == 403


def test_a_mount_without_a_boundary_must_be_allowed_twice() -> None:
    """The dispatcher gives `/shopping` to what is mounted at `/shop`, and Quart serves `/ping`."""
    app = quart.Quart("ping", static_folder=None)
    app.add_url_rule("/ping", "ping", any_at_all)
    mounted = dispatcher.DispatcherMiddleware({"/shop": app})
    rules = {"/shop/ping": ["admin"], "/shopping": "public"}
    guarded = ASGIAuthzMiddleware(mounted, authz(rules))
    assert ask(mounted, "GET", "/shopping", []).body == b"any"
    assert ask(guarded, "GET", "/shopping", []).status == 401
    assert ask(guarded, "GET", "/shopping", bearer("viewer")).status == 403
    assert ask(guarded, "GET", "/shopping", bearer("admin")).status == 200


def test_a_foreign_mount_without_a_boundary_is_ambiguous() -> None:
    ran: list[str] = []

    async def foreign(scope: Any, receive: Any, send: Any) -> None:
        ran.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    mounted = dispatcher.DispatcherMiddleware({"/a": foreign, "/quart": shop()})
    guarded = ASGIAuthzMiddleware(mounted, authz({"/**": "public"}))
    assert ask(guarded, "GET", "/admin", []).status == 400
    assert ask(guarded, "GET", "/a/dmin", []).status == 200
    assert ask(guarded, "GET", "/b", []).status == 404
    assert ran == ["/a/dmin"]


def test_resolving_through_a_dispatcher() -> None:
    app = dispatcher.DispatcherMiddleware({"/shop": shop(), "/foreign": opaque})
    assert see(app).resolve(scope_of("GET", "/foreign/x", [])) is UNSEEN
    assert see(app).resolve(scope_of("GET", "/nowhere", [])) is NO_ROUTE
    assert see(app).resolve(scope_of("GET", "/shop/nowhere", [])) is NO_ROUTE
    taken: Any = see(app).resolve(scope_of("GET", "/shop/any", []))
    assert (taken[0], taken[1][0]) == ("/shop", "/any")


# --- Gaps ---


def test_a_strict_policy_with_a_gap_serves_nothing(caplog: pytest.LogCaptureFixture) -> None:
    strict = authz(RULES, strict=True)
    guarded = ASGIAuthzMiddleware(shop(), strict)
    for _ in range(2):
        assert ask(guarded, "GET", "/items/1", bearer("viewer")).status == 503
    assert caplog.text.count("the policy cannot be served") == 1
    assert f"/any ({__name__}:any_at_all): no rule covers it" in caplog.text
    with pytest.raises(PolicyError, match="no rule covers it"):
        strict.bind(shop())


def start(app: Any) -> str:
    """What a server is told when the app starts."""
    told: list[str] = []

    async def run() -> None:
        incoming = ["lifespan.startup", "lifespan.shutdown"]

        async def receive() -> Any:
            return {"type": incoming.pop(0)}

        async def send(message: Any) -> None:
            told.append(message["type"])

        await app({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send)

    asyncio.run(run())
    return told[0]


@pytest.mark.parametrize("rules", [RULES, {"/**": ["viewer"]}], ids=["gap", "no-gap"])
def test_a_strict_policy_is_checked_at_the_start(rules: dict[str, Any]) -> None:
    app = KIND.wrap(shop(), authz(rules, strict=True))
    expected = "failed" if rules is RULES else "complete"
    assert start(app) == f"lifespan.startup.{expected}"


def test_a_strict_policy_without_a_gap_serves(caplog: pytest.LogCaptureFixture) -> None:
    guarded = ASGIAuthzMiddleware(shop(), authz({"/**": ["viewer"]}, strict=True))
    with caplog.at_level(logging.WARNING):
        assert ask(guarded, "GET", "/items/1", bearer("viewer")).status == 200
        assert ask(guarded, "WS", "/feed", bearer("viewer")).status == 101
    assert [each for each in caplog.records if each.name != "asyncio"] == []


@pytest.mark.parametrize("headers", [[], bearer("viewer"), NOBODY])
def test_what_nobody_knows_is_left_to_the_app(headers: Headers) -> None:
    guarded = ASGIAuthzMiddleware(shop(), authz(RULES, unmatched="app"))
    assert ask(guarded, "GET", "/nowhere", headers).status == 404
    assert b"urn:uuid:" not in ask(guarded, "GET", "/nowhere", headers).body
    for path in ("/any", "/static/x.css"):  # the app would take it
        assert ask(guarded, "GET", path, headers).status in (401, 403)
    assert ask(guarded, "WS", "/feed", headers).status in (401, 403)
    assert ask(guarded, "POST", "/items/1", []).status == 401  # a rule takes it
    assert ask(guarded, "GET", "//nowhere", headers).status == 400


def test_a_route_behind_what_is_left_to_the_app_stays_closed() -> None:
    app = shop()
    left: Authz = authz(RULES, unmatched="app")
    guarded = ASGIAuthzMiddleware(rewriting(app, path="/any"), left, routes_of=app)
    assert ask(guarded, "GET", "/nowhere", []).status == 401
    assert ask(guarded, "GET", "/nowhere", bearer("viewer", "admin")).status == 403
