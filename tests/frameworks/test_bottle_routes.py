"""Bottle's routes, what it mounts, and the look between router and callback."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given

from authz_middleware import WSGIAuthzMiddleware, current_access
from authz_middleware.frameworks import see
from authz_middleware.policy.routes import NO_ROUTE, UNSEEN
from tests.adapters.exchange import environ_for
from tests.frameworks.asking import RULES, Headers, ask, authz, bearer, rewriting, table
from tests.frameworks.installed import installed
from tests.frameworks.laws import Declared, World, check, worlds

bottle: Any = installed("bottle")


def name() -> str:
    access = current_access()
    assert access is not None
    return access.principal.subject if access.principal else "nobody"


def run(*_: Any, **__: Any) -> str:
    return name()


LONG = "/<lang:re:en|de>/<price:float>/<n:re:[0-9]+>/<word:re:[a-z]*>"


def shop() -> Any:
    app = bottle.Bottle()
    app.route("/items/<id:int>", ["GET", "DELETE"], run)
    app.route("/admin/users", "GET", run)
    app.route("/any", "ANY", run)
    app.route("/any/<x>.<y>", "REPORT", run)
    app.route("/files/<rest:path>/meta", "GET", run)
    app.route(
        "/<lang:re:en|de>/<price:float>/<n:re:[0-9]+>/<word:re:[a-z]*>", "POST", run, skip=True
    )
    return app


SHOP = [
    ("DELETE", "/items/<id:int>", "handler", ("Exact", "Typed")),
    ("GET|HEAD", "/admin/users", "handler", ("Exact", "Exact")),
    ("GET|HEAD", "/files/<rest:path>/meta", "handler", ("Exact", "PathTail", "Exact")),
    ("GET|HEAD", "/items/<id:int>", "handler", ("Exact", "Typed")),
    (
        "POST",
        LONG,
        "handler",
        ("AnyOf", "Typed", "Typed", "PathTail"),
    ),
    ("REPORT", "/any/<x>.<y>", "handler", ("Exact", "Plain")),
    ("any", "/any", "handler", ("Exact",)),
]


# --- The law ---


def build(routes: Sequence[Declared], ran: list[str]) -> Any:
    app = bottle.Bottle()
    for route in routes:
        text = route.text
        for kind in ("int", "path"):
            head, *rest = text.split(f"<{kind}:")
            text = head + "".join(f"<{each.replace('>', f':{kind}>', 1)}" for each in rest)

        def handle(name: str = route.name, **_: Any) -> str:
            ran.append(name)
            return name

        app.route(text, list(route.methods), handle)
    return app


@given(worlds())
def test_what_runs_was_allowed_twice(world: World) -> None:
    check(world, build, WSGIAuthzMiddleware, ask)


# --- The table ---


def test_the_table() -> None:
    assert table(shop()) == SHOP


def test_of_routes_that_are_written_alike_bottle_keeps_the_last() -> None:
    app = bottle.Bottle()
    app.route("/x/<a>", "GET", run)
    app.route("/x/<a>", "GET", lambda a: a)
    [route] = authz({"/**": ["a"]}).bind(app).table.routes
    assert route.endpoint.endswith("<lambda>")


def test_a_filter_of_ones_own() -> None:
    app = bottle.Bottle()
    app.router.add_filter("odd", lambda conf: (conf or ".*", None, None))
    app.router.add_filter("int", lambda conf: (r"[\w/]+", None, None))
    for rule in ("/a/<x:odd>", "/b/<x:odd:[a-f]+>", "/c/<x:int>", r"/d/\<x>"):
        app.route(rule, "GET", run)
    assert [each[1:] for each in table(app)] == [
        ("/a/<x:odd>", "handler", ("Exact", "PathTail")),
        ("/b/<x:odd:[a-f]+>", "handler", ("Exact", "Plain")),
        ("/c/<x:int>", "handler", ("Exact", "PathTail")),
        (r"/d/\<x>", "handler", ("Exact", "Exact")),
    ]


def foreign(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode("latin-1")]


def mount_as_wsgi(app: Any, prefix: str, mounted: Any) -> None:
    """Bottle does so where a prefix has no slash at its end, and says that it is no good idea."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        app.mount(prefix, mounted)


def test_what_is_mounted() -> None:
    app = shop()
    app.mount("/merged/", shop())
    mount_as_wsgi(app, "/mounted", shop())
    app.mount("/foreign/", foreign)
    mount_as_wsgi(app, "/odd/é", shop())
    routes = table(app)
    for mount in ("", "/merged", "/mounted"):
        depth = ("Exact",) * mount.count("/")
        for methods, text, kind, segments in SHOP:
            assert (methods, mount + text, kind, (*depth, *segments)) in routes
    opaque = ("Exact", "DoubleStar")
    assert [each for each in routes if each[2] == "opaque"] == [
        ("any", "/foreign/<:re:.*>", "opaque", opaque),
        ("any", "/odd/é", "opaque", ("Exact", *opaque)),
        ("any", "/odd/é/<:re:.*>", "opaque", ("Exact", *opaque)),
    ]


class Alien(bottle.Router):  # type: ignore[misc]
    """A router whose routes nobody sees."""

    def match(self, environ: Any) -> Any:
        return super().match({**environ, "PATH_INFO": environ["PATH_INFO"].replace("//", "/")})


def test_a_router_of_ones_own_is_opaque() -> None:
    app = bottle.Bottle()
    app.__dict__["router"] = Alien()
    app.route("/items/<id:int>", "GET", run)
    assert table(app) == [("any", "/**", "opaque", ("DoubleStar",))]
    assert see(app).resolve(environ_for("GET", "/items/1")) is UNSEEN
    guarded = WSGIAuthzMiddleware(app, authz(RULES))
    assert ask(guarded, "GET", "/items/1", bearer("viewer")).status == 200
    assert ask(guarded, "GET", "/items/1", bearer()).status == 403


def test_a_router_that_does_not_tell_its_tokens() -> None:
    class Silent(bottle.Router):  # type: ignore[misc]
        _itertokens: Any = property()  # no such attribute

        def add(self, *_: Any, **__: Any) -> None:
            pass

    app = bottle.Bottle()
    app.__dict__["router"] = Silent()
    app.route("/x", "GET", run)
    assert table(app) == [("GET|HEAD", "/x", "handler", ("PathTail",))]


# --- What a request takes ---

PATHS = [
    "/",
    "/items/1",
    "/items/-1",
    "/items/1.0",
    "/items/",
    "/any",
    "/any/a.b",
    "/files/a/b/meta",
]
PATHS += [
    "/files/a/b/meta",
    "/en/1.5/1/a",
    "/en/1.5/1/",
    "/en/.../1/",
    "/nowhere",
    "/foreign",
    "/foreign/x/y",
]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "OPTIONS"])
def test_it_resolves_as_bottle_does(method: str) -> None:
    app = shop()
    app.mount("/foreign", foreign)
    mount_as_wsgi(app, "/mounted", shop())
    taken: list[Any] = []

    @app.hook("after_request")
    def note() -> None:
        taken.append(bottle.request.environ.get("bottle.route"))

    for path in PATHS:
        ask(app, method, path, [])
        route = taken.pop()
        expected = NO_ROUTE if route is None else ("", (route.rule, route.method))
        assert see(app).resolve(environ_for(method, path)) == expected
        below = ("/mounted", (route.rule, route.method)) if route else NO_ROUTE
        if not path.startswith("/foreign"):
            assert see(app).resolve(environ_for(method, "/mounted" + path)) == below


# --- The second look ---


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
    may = changes.get("PATH_INFO") != "/any"
    assert (ask(guarded, "GET", "/items/1", bearer("viewer", "admin")).status == 200) == may


def leading(app: Any, **changes: str) -> Any:
    @app.hook("before_request")
    def rewrite() -> None:
        for key, value in changes.items():
            bottle.request[key] = value

    return app


@pytest.mark.parametrize(
    "path", ["/admin/users", "/admin/é", "/en/1.5/1/x", "/admin//users"], ids=str
)
def test_a_hook_that_rewrites_opens_nothing(path: str) -> None:
    app = shop()
    app.route("/admin/é", "GET", run)
    rules = {**RULES, "/admin/é": ["admin"], "/en/**": ["admin"]}
    leading(app, PATH_INFO=path, REQUEST_METHOD="POST" if path.startswith("/en") else "GET")
    guarded = WSGIAuthzMiddleware(app, authz(rules))
    may = {"/admin//users": 404}.get(path, 200)
    assert ask(guarded, "GET", "/items/1", bearer("viewer")).status == (403 if may == 200 else 404)
    assert ask(guarded, "GET", "/items/1", bearer("viewer", "admin")).status == may


def test_a_page_for_the_status_and_a_plugin_cannot_hide_the_refusal() -> None:
    app = leading(shop(), PATH_INFO="/admin/users")
    app.error(403, lambda error: "all is well")
    app.install(lambda callback: lambda *a, **k: bottle.HTTPResponse("all is well"))
    guarded = WSGIAuthzMiddleware(app, authz(RULES))
    refused = ask(guarded, "GET", "/items/1", bearer("viewer"))
    assert refused.status == 403
    assert b"urn:uuid:" in refused.body


def test_a_refusal_inside_is_not_reported_as_an_error() -> None:
    guarded = WSGIAuthzMiddleware(leading(shop(), PATH_INFO="/admin/users"), authz(RULES))
    environ = environ_for("GET", "/items/1", bearer("viewer"))
    assert ask(guarded, "GET", "/items/1", [], **environ).status == 403
    assert environ["wsgi.errors"].getvalue() == ""


def test_a_callback_without_a_guard_before_it_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    app = shop()
    app.error(500, lambda error: "our own page")
    authz(RULES).bind(app)
    assert ask(app, "GET", "/items/1", bearer("viewer")).status == 500
    assert "by another way than through the guard" in caplog.text
    assert ask(app, "GET", "/nowhere", []).status == 404  # Bottle's own answers run nothing
    assert ask(app, "POST", "/items/1", []).status == 405


def test_a_question_that_a_callback_asks_of_its_own_app_is_the_callers() -> None:
    app = shop()

    def inside(path: str) -> str:
        return str(ask(app, "GET", f"/{path}", []).status)

    app.route("/inside/<path:path>", "GET", inside)
    guarded = WSGIAuthzMiddleware(app, authz({**RULES, "/inside/**": ["viewer"]}))
    # The inner request binds Bottle's own request anew, so the outer answer is read at once.
    assert ask(guarded, "GET", "/inside/items/1", bearer("viewer")).body == b"200"
    assert ask(guarded, "GET", "/inside/admin/users", bearer("viewer")).body == b"403"
    assert ask(guarded, "GET", "/inside/admin/users", bearer("viewer", "admin")).body == b"200"


def test_a_route_that_is_added_later_has_no_rule(caplog: pytest.LogCaptureFixture) -> None:
    app = shop()
    guarded = WSGIAuthzMiddleware(app, authz({"/**": ["viewer"]}))
    assert ask(guarded, "GET", "/late", bearer("viewer")).status == 404
    app.route("/late", "GET", run)
    caplog.clear()
    for _ in range(2):
        assert ask(guarded, "GET", "/late", bearer("viewer")).status == 403
    assert caplog.text.count("a route that was added after the start has no rule") == 1


@pytest.mark.parametrize("prefix", ["/late", "/mounted"])
@pytest.mark.parametrize("late", ["known", "foreign"])
def test_what_is_mounted_later_has_no_rule(late: str, prefix: str) -> None:
    """Also where another app was mounted there at the start, whose routes were known."""
    app = shop()
    mount_as_wsgi(app, "/mounted", shop())
    app.mount("/foreign", foreign)
    rules = {f"{each}/**": ["viewer"] for each in ("/mounted", "/foreign", "/late")}
    guarded = WSGIAuthzMiddleware(app, authz({**rules, "/items/<int:id>": ["viewer"]}))
    for path in ("/items/1", "/mounted/items/1", "/foreign/items/1"):
        assert ask(guarded, "GET", path, bearer("viewer")).status == 200
    if late == "known":
        mount_as_wsgi(app, prefix, shop())
    else:
        app.mount(prefix, foreign)
    for path in ("/items/1", "/mounted/items/1", "/foreign/items/1", "/late/items/1"):
        expected = 404 if prefix != "/late" and path.startswith("/late") else 200
        expected = 403 if path.startswith(prefix) else expected
        assert ask(guarded, "GET", path, bearer("viewer")).status == expected, path
    again = WSGIAuthzMiddleware(app, authz(rules))
    assert ask(again, "GET", f"{prefix}/items/1", bearer("viewer")).status == 200


def test_a_late_route_beside_a_foreign_app_has_no_rule() -> None:
    app = bottle.Bottle()
    app.mount("/foreign", foreign)
    guarded = WSGIAuthzMiddleware(app, authz({"/**": ["viewer"]}))
    assert ask(guarded, "GET", "/foreign/late", bearer("viewer")).status == 200
    app.route("/foreign/late", "PROXY", run)  # what mounts are too
    assert ask(guarded, "GET", "/foreign/late", bearer("viewer")).status == 403
    assert ask(guarded, "GET", "/foreign/later", bearer("viewer")).status == 200


def test_the_look_is_put_there_once() -> None:
    app = shop()
    for _ in range(2):
        see(app).table()
    assert app.router.match.search == bottle.Router.match.__get__(app.router)


# --- Mounts ---


@pytest.mark.parametrize("prefix", ["", "/svc"])
@pytest.mark.parametrize("merged", [True, False], ids=["merged", "wsgi"])
def test_a_mounted_app_below_a_prefix(merged: bool, prefix: str) -> None:
    app = shop()
    if merged:
        app.mount("/shop/", shop())
    else:
        mount_as_wsgi(app, "/shop", shop())
    rules = {"/items/<int:id>": ["viewer"], "GET /shop/items/<int:id>": ["buyer"]}
    guarded = WSGIAuthzMiddleware(app, authz(rules))
    for path, role in (("/items/1", "viewer"), ("/shop/items/1", "buyer")):
        for held in ("viewer", "buyer"):
            status = ask(guarded, "GET", path, bearer(held), SCRIPT_NAME=prefix).status
            assert status == (200 if held == role else 403)


def test_bytes_that_a_mounted_app_drops_open_nothing() -> None:
    """Bottle hands a decoded path on, and a Bottle that is mounted drops what it cannot decode."""
    app = bottle.Bottle()
    mount_as_wsgi(app, "/shop", shop())
    rules = {"/shop/**": "public", "/shop/admin/**": ["admin"]}
    guarded = WSGIAuthzMiddleware(app, authz(rules))
    assert ask(guarded, "GET", "/shop/any", []).status == 200
    assert ask(guarded, "GET", "/shop/adm\xe9in/users", []).status == 401
    assert ask(guarded, "GET", "/shop/admin/users", bearer("admin")).status == 200


@pytest.mark.parametrize(("path", "status"), [("/x", 200), ("/\xea", 400), ("/\xc3\xa9", 401)])
def test_what_a_foreign_app_makes_of_a_path_that_is_decoded_twice(path: str, status: int) -> None:
    app = bottle.Bottle()
    app.mount("/foreign", foreign)
    rules = {"/foreign/**": "public", "/foreign/\xe9": ["admin"]}
    guarded = WSGIAuthzMiddleware(app, authz(rules))
    assert ask(guarded, "GET", "/foreign" + path, []).status == status


@pytest.mark.parametrize("rule", ["/<name:re:(?i:admin)>", "/<name:path>"])
def test_a_part_that_may_ignore_letter_case_makes_the_app_inexact(rule: str) -> None:
    app = bottle.Bottle()
    app.route(rule, "GET", run)
    rules = authz({"/<name>": ["viewer"], "/admin": ["admin"]})
    loose = "(?i" in rule
    guarded = WSGIAuthzMiddleware(app, rules)
    assert ask(guarded, "GET", "/ADMIN", bearer("viewer")).status == (403 if loose else 200)
    app.mount("/foreign/", foreign)
    guarded = WSGIAuthzMiddleware(app, rules)
    assert ask(guarded, "GET", "/ADMIN", bearer("viewer")).status == 403
    assert ask(guarded, "GET", "/ADMIN", bearer("viewer", "admin")).status == 200


# --- Gaps ---


def test_a_strict_policy_with_a_foreign_app_serves_nothing() -> None:
    app = shop()
    everything = authz({"/**": ["viewer"]}, strict=True)
    guarded = WSGIAuthzMiddleware(app, everything)
    assert ask(guarded, "GET", "/items/1", bearer("viewer")).status == 200
    app.mount("/foreign", foreign)
    guarded = WSGIAuthzMiddleware(app, everything)
    assert ask(guarded, "GET", "/items/1", bearer("viewer")).status == 503


@pytest.mark.parametrize("headers", [[], bearer("viewer"), [("Authorization", "Bearer no.to.ken")]])
def test_what_nobody_knows_is_left_to_the_app(headers: Headers) -> None:
    app = shop()
    mount_as_wsgi(app, "/mounted", shop())
    guarded = WSGIAuthzMiddleware(app, authz(RULES, unmatched="app"))
    for path in ("/nowhere", "/mounted/nowhere", "/any/x"):
        assert ask(guarded, "GET", path, headers).status == (405 if path == "/any/x" else 404) or (
            path == "/any/x"
        )
    for path in ("/any", "/mounted/any"):
        assert ask(guarded, "GET", path, headers).status in (401, 403)
