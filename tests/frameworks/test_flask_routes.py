"""Flask's routes, the route that a request takes, and the look between router and view."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from authz_middleware import Authz, PolicyError, WSGIAuthzMiddleware, current_access
from authz_middleware.testing import DevelopmentIssuer
from tests.adapters.exchange import Sent, call_wsgi, environ_for
from tests.frameworks.installed import installed
from tests.frameworks.laws import Declared, World, check, worlds

flask: Any = installed("flask")
ISSUER = DevelopmentIssuer(audience="x")


def policy(routes: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"issuers": [ISSUER.policy_issuer()], "routes": routes, **more}


def authz(routes: dict[str, Any], **more: Any) -> Authz:
    return Authz.from_mapping(policy(routes, **more))


def bearer(*roles: str) -> list[tuple[str, str]]:
    return [("Authorization", f"Bearer {ISSUER.mint('ann', roles=list(roles))}")]


def ask(app: Any, method: str, path: str, headers: list[tuple[str, str]], **extra: Any) -> Sent:
    return call_wsgi(app, {**environ_for(method, path, headers), **extra})


def build(routes: Sequence[Declared], ran: list[str]) -> Any:
    app = flask.Flask("law", static_folder=None)

    def view(name: str) -> Any:
        def run(**_: Any) -> str:
            ran.append(name)
            return name

        return run

    for route in routes:
        app.add_url_rule(route.text, route.name, view(route.name), methods=list(route.methods))
    return app


@given(worlds())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_what_runs_was_allowed_twice(world: World) -> None:
    check(world, build, WSGIAuthzMiddleware, ask)


# --- The table ---


class Item(installed("flask.views").MethodView):  # type: ignore[misc]
    def get(self, id: int) -> str:
        return str(id)

    def delete(self, id: int) -> str:
        return str(id)


def shop() -> Any:
    app = flask.Flask("shop", static_folder="static")
    app.add_url_rule("/items/<int:id>", view_func=Item.as_view("item"))
    app.add_url_rule("/old", endpoint="old", redirect_to="items/1")
    app.add_url_rule("/<any(en, de):lang>/<name>.html", "page", lambda lang, name: name)
    app.add_url_rule("/files/<path:name>/meta", "meta", lambda name: name)
    app.add_url_rule("/any", "any", lambda: "any", methods=["get", "report"])
    blueprint = flask.Blueprint("admin", "admin", static_folder="static")
    blueprint.add_url_rule("/users", "users", lambda: current_access().principal.subject)  # type: ignore[union-attr]
    app.register_blueprint(blueprint, url_prefix="/admin")
    return app


def table(app: Any) -> list[tuple[str, str, str, tuple[str, ...]]]:
    binding = authz({"/**": ["a"]}).bind(app)
    return [
        (
            "|".join(sorted(set(each.methods or ["any"]) - each.automatic)),
            each.text,
            each.kind,
            tuple(type(segment).__name__ for segment in each.segments),
        )
        for each in sorted(binding.table.routes, key=lambda each: each.text)
    ]


SHOP = [
    ("GET|HEAD", "/<any(en, de):lang>/<name>.html", "handler", ("AnyOf", "Plain")),
    ("GET|HEAD", "/admin/static/<path:filename>", "static", ("Exact", "Exact", "PathTail")),
    ("GET|HEAD", "/admin/users", "handler", ("Exact", "Exact")),
    ("GET|HEAD|REPORT", "/any", "handler", ("Exact",)),
    ("GET|HEAD", "/files/<path:name>/meta", "handler", ("Exact", "PathTail", "Exact")),
    ("DELETE|GET|HEAD", "/items/<int:id>", "handler", ("Exact", "Typed")),
    ("GET|HEAD", "/old", "redirect", ("Exact",)),
    ("GET|HEAD", "/static/<path:filename>", "static", ("Exact", "PathTail")),
]


def test_the_table() -> None:
    assert table(shop()) == SHOP


def test_every_view_is_guarded_inside_and_named() -> None:
    routes = authz({"/**": ["a"]}).bind(shop()).table.routes
    assert all(route.guarded_inside for route in routes)
    names = {route.text: route.endpoint for route in routes}
    assert names["/items/<int:id>"] == f"{__name__}:Item"
    assert names["/any"] == f"{__name__}:shop.<locals>.<lambda>"


def test_what_a_dispatcher_mounts() -> None:
    def foreign(environ: Any, start_response: Any) -> Any:
        raise NotImplementedError

    inner = DispatcherMiddleware(shop(), {"/deep": shop()})
    app = DispatcherMiddleware(
        shop(), {"/shop": inner, "/foreign": foreign, "/proxied": ProxyFix(shop())}
    )
    routes = table(app)
    for mount in ("", "/shop", "/shop/deep", "/proxied"):
        depth = ("Exact",) * mount.count("/")
        for methods, text, kind, segments in SHOP:
            assert (methods, mount + text, kind, (*depth, *segments)) in routes
    assert ("any", "/foreign/**", "opaque", ("Exact", "DoubleStar")) in routes
    assert len(routes) == 4 * len(SHOP) + 1


@pytest.mark.parametrize("late", ["foreign", "known", "in the place of another", "by another hand"])
def test_what_a_dispatcher_mounts_later_has_no_rule(
    late: str, caplog: pytest.LogCaptureFixture
) -> None:
    def foreign(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"foreign"]

    held: dict[str, Any] = {"/shop": shop()}
    app = DispatcherMiddleware(shop(), held)
    rules = {"/shop/items/<int:id>": ["viewer"], "/late/items/<int:id>": ["viewer"]}
    guarded = WSGIAuthzMiddleware(app, authz({**rules, "/items/<int:id>": ["viewer"]}))
    for path in ("/items/1", "/shop/items/1"):
        assert ask(guarded, "GET", path, bearer("viewer")).status == 200
    prefix = "/shop" if late == "in the place of another" else "/late"
    (held if late == "by another hand" else app.mounts)[prefix] = (
        foreign if late == "foreign" else shop()
    )
    for path, status in (("/items/1", 200), (f"{prefix}/items/1", 403)):
        assert ask(guarded, "GET", path, bearer("viewer", "admin")).status == status
    assert sum("mounted late" in each for each in caplog.messages) == 1
    again = WSGIAuthzMiddleware(app, authz({f"{prefix}/items/<int:id>": ["viewer"]}))
    assert ask(again, "GET", f"{prefix}/items/1", bearer("viewer")).status == 200


# --- The second look ---


def rewriting(app: Any, **changes: str) -> Any:
    def rewrite(environ: Any, start_response: Any) -> Any:
        return app({**environ, **changes}, start_response)

    rewrite.app = app  # type: ignore[attr-defined]
    return rewrite


RULES = {
    "/items/<int:id>": ["viewer"],
    "GET /admin/users": ["admin"],
    "DELETE /items/<int:id>": ["admin"],
}


@pytest.mark.parametrize(
    "changes",
    [{"PATH_INFO": "/admin/users"}, {"REQUEST_METHOD": "DELETE"}, {"PATH_INFO": "/any"}],
    ids=["path", "method", "no-rule"],
)
def test_an_inner_middleware_that_rewrites_opens_nothing(changes: dict[str, str]) -> None:
    guarded = WSGIAuthzMiddleware(rewriting(shop(), **changes), authz(RULES))
    refused = ask(guarded, "GET", "/items/1", bearer("viewer"))
    plain = ask(WSGIAuthzMiddleware(shop(), authz(RULES)), "GET", "/admin/users", bearer("viewer"))
    assert (refused.status, plain.status) == (403, 403)
    assert {name for name, _ in refused.headers} == {name for name, _ in plain.headers}
    may = "PATH_INFO" not in changes or changes["PATH_INFO"] != "/any"
    assert (ask(guarded, "GET", "/items/1", bearer("viewer", "admin")).status == 200) == may


def test_a_prefix_that_a_proxy_adds_is_no_mount() -> None:
    app = shop()
    app.wsgi_app = WSGIAuthzMiddleware(ProxyFix(app.wsgi_app, x_prefix=1), authz(RULES))
    headers = [*bearer("viewer"), ("X-Forwarded-Prefix", "/svc")]
    assert ask(app, "GET", "/items/1", headers).status == 200
    assert ask(app, "GET", "/admin/users", headers).status == 403


@pytest.mark.parametrize("prefix", ["", "/svc", "/svc/<é>".encode().decode("latin-1")])
def test_a_mounted_app_below_a_prefix(prefix: str) -> None:
    dispatched = DispatcherMiddleware(shop(), {"/shop": shop()})
    rules = {"/items/<int:id>": ["viewer"], "GET /shop/items/<int:id>": ["buyer"]}
    guarded = WSGIAuthzMiddleware(dispatched, authz(rules))
    for path, role in (("/items/1", "viewer"), ("/shop/items/1", "buyer")):
        for held in ("viewer", "buyer"):
            status = ask(guarded, "GET", path, bearer(held), SCRIPT_NAME=prefix).status
            assert status == (200 if held == role else 403)


def test_a_catch_all_error_handler_cannot_hide_the_refusal() -> None:
    app = shop()
    app.register_error_handler(Exception, lambda error: ("all is well", 200))
    guarded = WSGIAuthzMiddleware(rewriting(app, PATH_INFO="/admin/users"), authz(RULES))
    refused = ask(guarded, "GET", "/items/1", bearer("viewer"))
    assert refused.status == 403
    assert b"urn:uuid:" in refused.body


def test_a_view_without_a_guard_before_it_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    app = shop()
    authz(RULES).bind(app)
    assert ask(app, "GET", "/items/1", bearer("viewer")).status == 500
    assert "by another way than through the guard" in caplog.text
    assert ask(app, "GET", "/nowhere", []).status == 404  # Flask's own answers run no view


def test_a_question_that_a_view_asks_of_its_own_app_is_the_callers() -> None:
    app = shop()

    def ask_inside(path: str) -> str:
        return str(app.test_client().get(f"/{path}").status_code)

    app.add_url_rule("/inside/<path:path>", "inside", ask_inside)
    guarded = WSGIAuthzMiddleware(app, authz({**RULES, "/inside/**": ["viewer"]}))
    assert ask(guarded, "GET", "/inside/items/1", bearer("viewer")).body == b"200"
    assert ask(guarded, "GET", "/inside/admin/users", bearer("viewer")).body == b"403"
    assert ask(guarded, "GET", "/inside/admin/users", bearer("viewer", "admin")).body == b"200"


def test_a_route_that_is_added_later_has_no_rule(caplog: pytest.LogCaptureFixture) -> None:
    app = flask.Flask("late")
    guarded = WSGIAuthzMiddleware(app, authz({"/**": ["viewer"]}))
    assert ask(guarded, "GET", "/late", bearer("viewer")).status == 404
    rule = app.url_rule_class("/late", endpoint="late", methods=["GET"])
    rule.provide_automatic_options = False
    app.url_map.add(rule)  # Flask itself would refuse by now
    app.view_functions["late"] = lambda: "late"
    caplog.clear()
    for _ in range(2):
        assert ask(guarded, "GET", "/late", bearer("viewer")).status == 403
    assert caplog.text.count("a route that was added after the start has no rule") == 1


# --- Gaps ---


def test_a_strict_policy_with_a_gap_serves_nothing(caplog: pytest.LogCaptureFixture) -> None:
    strict = authz(RULES, strict=True)
    guarded = WSGIAuthzMiddleware(shop(), strict)
    for _ in range(2):
        assert ask(guarded, "GET", "/items/1", bearer("viewer")).status == 503
    assert caplog.text.count("the policy cannot be served") == 1
    assert f"/any ({__name__}:shop.<locals>.<lambda>): no rule covers it" in caplog.text
    with pytest.raises(PolicyError, match="no rule covers it"):
        strict.bind(shop())


def test_a_strict_policy_without_a_gap_serves(caplog: pytest.LogCaptureFixture) -> None:
    guarded = WSGIAuthzMiddleware(shop(), authz({"/**": ["viewer"]}, strict=True))
    with caplog.at_level(logging.WARNING):
        assert ask(guarded, "GET", "/items/1", bearer("viewer")).status == 200
    assert caplog.messages == []


def test_gaps_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    guarded = WSGIAuthzMiddleware(shop(), authz({"/items/<int:id>": ["viewer"], "/gone": ["x"]}))
    for _ in range(2):
        ask(guarded, "GET", "/items/1", bearer("viewer"))
    assert sum("`/gone` matches no route" in each for each in caplog.messages) == 1
    assert sum("/admin/users" in each for each in caplog.messages) == 1


@pytest.mark.parametrize("headers", [[], bearer("viewer"), [("Authorization", "Bearer no.to.ken")]])
def test_what_nobody_knows_is_left_to_the_app(headers: list[tuple[str, str]]) -> None:
    app = shop()
    guarded = WSGIAuthzMiddleware(app, authz(RULES, unmatched="app"))
    assert ask(guarded, "GET", "/nowhere", headers).status == 404
    assert b"urn:uuid:" not in ask(guarded, "GET", "/nowhere", headers).body
    for path in ("/any", "/static/x.css"):  # the app would take it
        assert ask(guarded, "GET", path, headers).status in (401, 403)
    assert ask(guarded, "POST", "/items/1", []).status == 401  # a rule takes it
    assert ask(guarded, "GET", "//nowhere", headers).status == 400


def test_a_host_that_the_app_refuses_fills_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Anybody can send one."""

    app = flask.Flask("app", static_folder=None)
    bind = app.url_map.bind_to_environ

    def picky(environ: Any, *words: Any, **named: Any) -> Any:
        if environ["HTTP_HOST"] != "localhost":  # as Werkzeug does where a host is too long
            flask.abort(400)
        return bind(environ, *words, **named)

    app.url_map.bind_to_environ = picky
    app.add_url_rule("/a", "a", lambda: "a")
    app.wsgi_app = WSGIAuthzMiddleware(
        app.wsgi_app, authz({"/a": "public"}, unmatched="app"), routes_of=app
    )
    assert ask(app, "GET", "/a", [("Host", "elsewhere")]).status == 400
    # The app may say 404 there, and nothing else.
    assert ask(app, "GET", "/nowhere", [("Host", "elsewhere")]).status == 401
    assert ask(app, "GET", "/nowhere", [("Host", "localhost")]).status == 404
    assert ask(app, "GET", "/a", [("Host", "localhost")]).status == 200
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


def test_what_is_left_to_the_app_knows_its_caller() -> None:
    app = shop()
    app.register_error_handler(404, lambda _: (repr(current_access()), 404))
    guarded = WSGIAuthzMiddleware(app, authz(RULES, unmatched="app"))
    assert b"subject='ann'" in ask(guarded, "GET", "/nowhere", bearer("viewer")).body
    invalid = ask(guarded, "GET", "/nowhere", [("Authorization", "Bearer no.to.ken")])
    assert b"invalid, None" in invalid.body


def test_a_route_behind_what_is_left_to_the_app_stays_closed() -> None:
    app = shop()
    left = authz(RULES, unmatched="app")
    guarded = WSGIAuthzMiddleware(rewriting(app, PATH_INFO="/any"), left, routes_of=app)
    assert ask(guarded, "GET", "/nowhere", []).status == 401
    assert ask(guarded, "GET", "/nowhere", bearer("viewer", "admin")).status == 403


def test_without_unmatched_it_is_refused() -> None:
    guarded = WSGIAuthzMiddleware(shop(), authz(RULES))
    assert ask(guarded, "GET", "/nowhere", []).status == 401
    assert ask(guarded, "GET", "/nowhere", bearer("viewer")).status == 403


# --- What stands in the app itself ---


class Around:
    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.app(environ, start_response)


def foreign(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode()]


@pytest.mark.parametrize("late", [True, False])
def test_a_middleware_that_was_put_into_the_app_is_seen(late: bool) -> None:
    app = shop()
    guard = WSGIAuthzMiddleware(app, authz({"/**": ["viewer"]})) if late else None
    app.wsgi_app = ProxyFix(Around(DispatcherMiddleware(app.wsgi_app, {"/foreign": foreign})))
    guard = guard or WSGIAuthzMiddleware(app, authz({"/**": ["viewer"]}))
    binding = guard.guarded.laid(guard.authz.serving)
    assert {gap.where for gap in binding.gaps} == {
        f"{__name__}:Around",
        f"/foreign/** ({'builtins:function'})",
    }
    assert "/items/<int:id>" in {route.text for route in binding.table.routes}
    assert ask(guard, "GET", "/items/1", bearer("viewer")).status == 200


def test_an_entry_of_the_apps_own_is_seen() -> None:
    def own(self: Any, environ: Any, start_response: Any) -> Any:
        return flask.Flask.wsgi_app(self, environ, start_response)

    made = type("Made", (flask.Flask,), {"wsgi_app": own})
    app = made("made", static_folder=None)
    for entry in (app, app.wsgi_app):
        guard = WSGIAuthzMiddleware(entry, authz({}))
        (gap,) = guard.guarded.laid(guard.authz.serving).gaps
        assert (gap.kind, gap.where) == ("opaque", f"{__name__}:{own.__qualname__}")


def test_an_app_that_is_named_is_meant_itself() -> None:
    app = shop()
    app.wsgi_app = WSGIAuthzMiddleware(Around(foreign), authz({"/**": ["viewer"]}), routes_of=app)
    for binding in (
        app.wsgi_app.guarded.laid(app.wsgi_app.authz.serving),
        authz({"/**": ["viewer"]}).bind(app),
    ):
        assert binding.gaps == ()
        assert len(binding.table.routes) == len(SHOP)


def test_what_is_mounted_may_ignore_letter_case() -> None:
    rules = {"/foreign/<name>": ["viewer"], "/foreign/admin": ["admin"], "/<a>/<b>": ["viewer"]}
    app = DispatcherMiddleware(shop(), {"/foreign": foreign})
    guard = WSGIAuthzMiddleware(app, authz(rules))
    assert ask(guard, "GET", "/foreign/ADMIN", bearer("viewer")).status == 403
    assert ask(guard, "GET", "/foreign/ADMIN", bearer("viewer", "admin")).status == 200
    assert ask(guard, "GET", "/foreign/other", bearer("viewer")).status == 200
    known = WSGIAuthzMiddleware(DispatcherMiddleware(shop(), {"/foreign": shop()}), authz(rules))
    assert ask(known, "GET", "/foreign/ADMIN", bearer("viewer")).status == 404


def test_a_mount_is_named_as_its_paths_read() -> None:
    """`DispatcherMiddleware` compares it with bytes in disguise."""
    app = DispatcherMiddleware(shop(), {"/caf\xc3\xa9": shop()})
    guard = WSGIAuthzMiddleware(app, authz({"/café/items/<int:id>": ["viewer"]}))
    assert ask(guard, "GET", "/café/items/1", bearer("viewer")).status == 200
    assert ask(guard, "GET", "/café/items/1", bearer("other")).status == 403


def test_a_converter_may_ignore_letter_case() -> None:
    class Loose(installed("werkzeug.routing").BaseConverter):  # type: ignore[misc]
        regex = "(?i:admin)"

    app = flask.Flask("loose", static_folder=None)
    app.url_map.converters["loose"] = Loose
    app.add_url_rule("/<loose:name>", "loose", lambda name: name)
    app.wsgi_app = WSGIAuthzMiddleware(
        app.wsgi_app, authz({"/<name>": ["viewer"], "/admin": ["admin"]})
    )
    assert ask(app, "GET", "/ADMIN", bearer("viewer")).status == 403
    assert ask(app, "GET", "/ADMIN", bearer("viewer", "admin")).status == 200


# --- What the app makes of a request behind the first look ---


class Methods(installed("flask.views").MethodView):  # type: ignore[misc]
    def get(self) -> str:
        return "get"

    def delete(self) -> str:
        return "delete"


def overriding(cls: type[Any] = flask.Flask) -> Any:
    app = cls("overriding", static_folder=None)
    app.add_url_rule("/public", "public", lambda: "public")
    app.add_url_rule("/admin", "admin", lambda: "admin")
    app.add_url_rule("/item", view_func=Methods.as_view("item"))
    app.add_url_rule("/in/<path:rest>", "in", lambda rest: rest)
    return app


def by_method(app: Any) -> None:
    @app.before_request
    def override() -> None:
        flask.request.method = flask.request.headers.get("X-Now", flask.request.method)


def by_rule(app: Any) -> None:
    @app.before_request
    def override() -> None:
        if "X-Now" in flask.request.headers:
            flask.request.routing_exception = None
            rules = app.url_map.iter_rules(flask.request.headers["X-Now"])
            flask.request.url_rule, flask.request.view_args = next(rules), {}


def by_class(app: Any) -> None:
    class Request(flask.Request):  # type: ignore[misc]
        @property
        def method(self) -> str:
            return str(self.environ.get("HTTP_X_NOW", self.environ["REQUEST_METHOD"]))

        @method.setter
        def method(self, value: str) -> None:
            """Werkzeug sets it."""

    app.request_class = Request


class Elsewhere(flask.Flask):  # type: ignore[misc]
    def create_url_adapter(self, request: Any) -> Any:
        adapter = super().create_url_adapter(request)
        if request is not None and "X-Now" in request.headers:
            adapter.path_info = request.headers["X-Now"]
        return adapter


class Silent(flask.Flask):  # type: ignore[misc]
    """It asks none of the functions that stand before a view."""

    def preprocess_request(self) -> None:
        return None


OVERRIDDEN: dict[str, Any] = {
    "GET /public": "public",
    "GET /admin": ["admin"],
    "GET /item": ["viewer"],
    "DELETE /item": ["admin"],
    "GET /in/public": "public",
    "GET /in/**": ["admin"],
}


@pytest.mark.parametrize(
    ("make", "method", "path", "now"),
    [
        (by_method, "GET", "/item", "DELETE"),
        (by_class, "GET", "/item", "DELETE"),
        (by_rule, "GET", "/public", "admin"),
        (by_rule, "GET", "/nowhere", "admin"),
        (Elsewhere, "GET", "/public", "admin"),
        (Elsewhere, "GET", "/in/public", "in/secret"),
    ],
)
def test_what_an_app_makes_of_a_request_is_looked_at(
    make: Any, method: str, path: str, now: str
) -> None:
    app = overriding(*([make] if isinstance(make, type) else []))
    if not isinstance(make, type):
        make(app)
    app.wsgi_app = WSGIAuthzMiddleware(app.wsgi_app, authz(OVERRIDDEN, unmatched="app"))
    header = [("X-Now", now)]
    assert ask(app, method, path, [*bearer("viewer"), *header]).status == 403
    if path != "/nowhere":
        assert ask(app, method, path, bearer("viewer")).status == 200
        sent = ask(app, method, path, [*bearer("viewer", "admin"), *header])
        assert (sent.status, sent.body) == (200, now.removeprefix("in/").lower().encode())


def test_a_view_is_looked_at_without_the_functions_before_it() -> None:
    app = overriding(Silent)
    app.wsgi_app = rewriting(app.wsgi_app, PATH_INFO="/admin")
    guard = WSGIAuthzMiddleware(app.wsgi_app, authz(OVERRIDDEN), routes_of=app)
    assert ask(guard, "GET", "/public", bearer("viewer")).status == 403
    assert ask(guard, "GET", "/public", bearer("admin")).body == b"admin"


@pytest.mark.parametrize("name", ["dispatch_request", "full_dispatch_request"])
def test_what_calls_views_in_a_way_of_its_own_cannot_be_seen(name: str) -> None:
    def own(self: Any) -> Any:
        return getattr(super(made, self), name)()

    made = type("Made", (flask.Flask,), {name: own})
    guard = WSGIAuthzMiddleware(overriding(made).wsgi_app, authz(OVERRIDDEN))
    for _ in range(2):  # also when our look stands there
        gaps = guard.guarded.laid(guard.authz.serving).gaps
        assert [gap.where.partition(" (")[0] for gap in gaps if gap.kind == "opaque"] == ["/**"]
    assert ask(guard, "GET", "/item", bearer("viewer")).body == b"get"
    assert ask(guard, "GET", "/item", bearer("other")).status == 403


def test_a_late_route_of_such_an_app_has_no_rule() -> None:
    made = type("Made", (flask.Flask,), {"dispatch_request": lambda _: "x"})
    app = overriding(made)
    guard = WSGIAuthzMiddleware(app.wsgi_app, authz({"/**": ["viewer"]}))
    assert ask(guard, "GET", "/item", bearer("viewer")).status == 200
    app.url_map.add(app.url_rule_class("/late", endpoint="item"))
    assert ask(guard, "GET", "/late", bearer("viewer")).status == 403
