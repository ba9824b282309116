"""URL maps that are handed over, and what `DispatcherMiddleware` mounts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.routing import BaseConverter, Map, Rule
from werkzeug.wrappers import Response

from authz_middleware import Authz, WSGIAuthzMiddleware
from tests.adapters.exchange import Sent, call_wsgi, environ_for
from tests.frameworks import asking
from tests.frameworks.installed import installed
from tests.frameworks.laws import ISSUER, Declared, World, check, worlds

flask: Any = installed("flask")


def ask(app: Any, method: str, path: str, headers: list[tuple[str, str]], **extra: Any) -> Sent:
    return call_wsgi(app, {**environ_for(method, path, headers), **extra})


class App:
    """The smallest app that Werkzeug's router can have."""

    def __init__(self, url_map: Map, ran: list[str]) -> None:
        self.url_map = url_map
        self.ran = ran

    def __call__(self, environ: Any, start_response: Any) -> Any:
        try:
            name, _ = self.url_map.bind_to_environ(environ).match()
        except HTTPException as error:
            return error(environ, start_response)
        self.ran.append(name)
        return Response(name)(environ, start_response)


def build(routes: Sequence[Declared], ran: list[str]) -> App:
    rules = [Rule(each.text, endpoint=each.name, methods=each.methods) for each in routes]
    return App(Map(rules), ran)


def wrap(app: Any, authz: Authz) -> Any:
    return WSGIAuthzMiddleware(app, authz, routes_of=app.url_map)


@given(worlds())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_what_runs_was_allowed_twice(world: World) -> None:
    """A map has no hook: its router is asked from outside."""
    check(world, build, wrap, ask)


class Unsure(BaseConverter):
    regex = "[^z]+?"
    part_isolating = False


class Digits(BaseConverter):
    regex = r"\d+"


RULES = {
    "/": ((), ["GET"]),
    "/a/": (("Exact",), ["GET"]),
    "/a//b": (("Exact", "Exact"), ["GET"]),
    "/<x>": (("Plain",), ["GET"]),
    "/<int(signed=True):x>": (("Typed",), ["GET"]),
    "/<uuid:x>/<float:y>": (("Typed", "Typed"), ["GET"]),
    "/v<int:x>": (("Plain",), ["GET"]),
    "/<x>.<y>": (("Plain",), ["GET"]),
    "/<digits:x>": (("Plain",), ["GET"]),
    "/<unsure:x>": (("PathTail",), ["GET"]),
    "/v<path:x>": (("PathTail",), ["GET"]),
    "/<path:x>/b": (("PathTail", "Exact"), ["GET"]),
    "/<string(length=2):x>": (("Plain",), ["GET"]),
    "/<any('a b', c):x>": (("AnyOf",), ["GET"]),
}


@pytest.mark.parametrize("text", RULES)
def test_the_segments_of_a_rule(text: str) -> None:
    rule = Rule(text, endpoint="x", methods=["GET"])
    known = Map([rule], converters={"unsure": Unsure, "digits": Digits})
    (route,) = authz({"/**": ["a"]}).bind(known).table.routes
    assert tuple(type(segment).__name__ for segment in route.segments) == RULES[text][0]
    assert route.methods == frozenset({"GET", "HEAD"})
    assert not route.guarded_inside


def test_rules_that_are_told_apart() -> None:
    known = Map(
        [
            Rule("/a", endpoint="get", methods=["GET"]),
            Rule("/a", endpoint="any"),
            Rule("/a", endpoint="admin", subdomain="admin"),
            Rule("/ws", endpoint="ws", websocket=True),
            Rule("/built", endpoint="built", build_only=True),
        ]
    )
    routes = authz({"/**": ["a"]}).bind(known).table.routes
    assert [(each.endpoint, each.host, each.methods) for each in routes] == [
        ("get", "", {"GET", "HEAD"}),
        ("any", "", None),
        ("admin", "admin", None),
        ("ws", "", {"WS"}),
    ]
    assert len({each.taken for each in routes}) == 4


def authz(routes: dict[str, Any], **more: Any) -> Authz:
    return Authz.from_mapping({"issuers": [ISSUER.policy_issuer()], "routes": routes, **more})


# --- What is mounted ---


def mounted() -> tuple[list[str], Any]:
    """Three apps; what Werkzeug itself would give to each is what they write down."""
    ran: list[str] = []
    apps = [App(Map([Rule("/<path:p>", endpoint=f"app{n}")]), ran) for n in range(3)]
    inner = DispatcherMiddleware(apps[1], {"/deep": apps[2].url_map})  # type: ignore[dict-item]
    seen = DispatcherMiddleware(apps[0].url_map, {"/in": inner, "/in/x": apps[1].url_map})  # type: ignore[arg-type, dict-item]
    return ran, seen


@pytest.mark.parametrize(
    ("path", "mount"),
    [
        ("/a", ""),
        ("/in/deep/a", "/in/deep"),
        ("/in/x/a", "/in/x"),
        ("/inx/a", ""),
        ("/in/xy", None),  # an app that is not known
    ],
)
def test_resolving_through_mounts(path: str, mount: str | None) -> None:
    _, app = mounted()
    guard = WSGIAuthzMiddleware(lambda *_: [], authz({"/**": ["a"]}), routes_of=app)
    guard.guarded.laid(guard.authz.serving)  # the routes are read by then
    taken: Any = guard.guarded.resolve(environ_for("GET", path, []))
    if mount is None:
        assert taken.value == "cannot see"
    else:
        assert taken[0] == mount
        routes = guard.guarded.laid(guard.authz.serving).table.routes
        assert taken in {each.taken for each in routes}


class Lax:
    """A middleware that answers one path itself, whatever its case."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"].lower() == "/admin":
            return Response("secret")(environ, start_response)
        return self.app(environ, start_response)


def bottled(app: Any) -> Any:
    bottle = installed("bottle")
    outer = bottle.Bottle()
    outer.mount("/api/", app)
    return outer


@pytest.mark.parametrize(
    "mounted",
    [lambda app: DispatcherMiddleware(flask.Flask("main"), {"/api": app}), bottled],
    ids=["a dispatcher", "Bottle"],
)
def test_what_stands_around_a_mounted_app_is_seen(mounted: Any) -> None:
    app = flask.Flask("api", static_folder=None)
    app.add_url_rule("/<x>", "x", lambda x: x)
    rules = {"/api/admin": ["admin"], "GET /api/<x>": ["viewer"], "/static/**": "public"}
    lax = WSGIAuthzMiddleware(mounted(Lax(app)), asking.authz(rules))
    plain = WSGIAuthzMiddleware(mounted(app), asking.authz(rules))
    assert ask(plain, "GET", "/api/x", asking.bearer("viewer")).body == b"x"
    assert ask(lax, "GET", "/api/x", asking.bearer("viewer")).body == b"x"
    assert ask(lax, "GET", "/api/Admin", asking.bearer("viewer")).status == 403
    strict = WSGIAuthzMiddleware(mounted(Lax(app)), asking.authz(rules, strict=True))
    assert ask(strict, "GET", "/api/x", asking.bearer("viewer")).status == 503


def test_a_map_with_subdomains_does_not_say_that_there_is_no_route() -> None:
    """The app binds it to a name of its own, which nobody else knows."""
    ran: list[str] = []
    url_map = Map([Rule("/x", endpoint="x", subdomain="api"), Rule("/y", endpoint="y")])

    def app(environ: Any, start_response: Any) -> Any:
        name, _ = url_map.bind_to_environ(environ, server_name="example.com").match()
        ran.append(name)
        return Response(name)(environ, start_response)

    guarded = WSGIAuthzMiddleware(app, authz({"/y": "public"}, unmatched="app"), routes_of=url_map)
    host = {"HTTP_HOST": "api.example.com"}
    assert ask(guarded, "GET", "/x", [], **host).status == 401
    assert ran == []
