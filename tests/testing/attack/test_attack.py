from __future__ import annotations

import asyncio
import shlex
import sys
import threading
from math import inf
from typing import Any

import pytest

from authz_middleware import ASGIAuthzMiddleware, Authz, WSGIAuthzMiddleware
from authz_middleware.effects import Admit, Refuse
from authz_middleware.facts import Authorization, Principal, RequestFacts
from authz_middleware.testing import AttackReport, attack
from authz_middleware.testing.attack.callers import Presumed
from tests.frameworks.installed import installed
from tests.runtime.decider import deciding

POLICY: dict[str, Any] = {
    "issuers": [{"issuer": "https://login.example.com", "audience": ["orders-api"]}],
    "roles": {"viewer": ["article:read"], "admin": {"inherits": ["viewer"]}},
    "routes": {
        "GET /public": "public",
        "GET /items/<int:id>": ["viewer"],
        "/admin/**": ["admin"],
    },
}


def public() -> bytes:
    return b"public"


def item() -> bytes:
    return b"item"


def admin() -> bytes:
    return b"admin"


HANDLERS = {"/public": public, "/items/1": item, "/admin/users": admin, "/admin": admin}


def wsgi(environ: Any, start_response: Any) -> list[bytes]:
    handler = HANDLERS.get(environ["PATH_INFO"])
    start_response("200 OK" if handler else "404 Not Found", [])
    return [handler() if handler else b"nothing here"]


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        return
    handler = HANDLERS.get(scope["path"])
    body = handler() if handler else b"nothing here"
    status = 200 if handler else 404
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": body})


class Rewriting:
    """An inner middleware that lets a field say what the path is."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, environ: Any, start_response: Any) -> Any:
        path = environ.get("HTTP_X_REWRITE_URL", environ["PATH_INFO"])
        return self.app({**environ, "PATH_INFO": path}, start_response)


class RewritingASGI:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            path = dict(scope["headers"]).get(b"x-rewrite-url", scope["path"].encode()).decode()
            scope = {**scope, "path": path}
        await self.app(scope, receive, send)


WORLDS = {
    "wsgi": (wsgi, WSGIAuthzMiddleware, Rewriting),
    "asgi": (asgi, ASGIAuthzMiddleware, RewritingASGI),
}


@pytest.fixture(params=WORLDS)
def world(request) -> Any:
    return WORLDS[request.param]


def consistent(report: AttackReport) -> bool:
    return (
        report.sent == report.refused + report.passed + report.leaked
        and report.sent == sum(report.kinds.values())
        and len(report.leaks) <= report.leaked
    )


def test_a_guarded_app_leaks_nothing(world):
    app, middleware, _ = world
    report = attack(middleware(app, POLICY))
    assert report.ok, str(report)
    assert report.proven[:2] == ("GET /items/1", "GET /admin")
    assert report.leaks == ()
    assert report.refused > 10_000
    assert report.passed > 0  # what asks for /public and means another path by a field
    assert consistent(report)
    assert "0 leaked" in str(report)


@pytest.mark.parametrize("on_failure", ["unavailable", "deny"])
def test_no_decision_point_is_asked(world, on_failure):
    """An attack sends thousands of requests, and none of them is somebody's."""
    app, middleware, rewriting = world
    with deciding() as decider:
        pdp = {"orders": {"url": decider.url, "on_failure": on_failure}}
        routes = {**POLICY["routes"], "/admin/<path:rest>": {"pdp": "orders"}}
        del routes["/admin/**"]
        for each in (app, rewriting(app)):
            guard = middleware(each, {**POLICY, "pdp": pdp, "routes": routes})
            assert attack(guard, ["GET /admin/users"]).refused > 1000
        assert decider.asked == []


def test_what_an_inner_middleware_opens_is_found(world):
    app, middleware, rewriting = world
    report = attack(middleware(rewriting(app), POLICY), ["GET /admin/users"])
    assert not report.ok
    assert consistent(report)
    found = {(each.kind, each.request.split(" | ")[-1], each.caller) for each in report.leaks}
    assert found == {("headers", "X-Rewrite-URL: /admin/users", "anonymous")}
    (leak,) = (each for each in report.leaks if each.request.startswith("GET /public "))
    assert leak.protected == "GET /admin/users"
    assert leak.rule is not None
    assert leak.rule.key == "GET /public"
    assert leak.why == "admin() ran"
    assert b"GET /public HTTP/1.1\r\n" in leak.raw
    assert "X-Rewrite-URL: /admin/users" in shlex.split(leak.curl)
    text = str(report)
    assert "LEAK   GET /admin/users as anonymous, let in by GET /public" in text
    assert leak.curl in text


class Beside:
    """A guard of the app's own that asks ours only for paths that begin as the rules do."""

    def __init__(self, guarded: Any, bare: Any) -> None:
        self.guarded = guarded
        self.bare = bare

    def __call__(self, environ: Any, start_response: Any) -> Any:
        inside = environ["PATH_INFO"].startswith(("/admin", "/items"))
        return (self.guarded if inside else self.bare)(environ, start_response)


def folding(environ: Any, start_response: Any) -> Any:
    return wsgi({**environ, "PATH_INFO": "/" + environ["PATH_INFO"].lstrip("/")}, start_response)


def test_what_goes_past_the_guard_is_found():
    report = attack(Beside(WSGIAuthzMiddleware(folding, POLICY), folding), ["/admin/users"])
    assert "//admin/users" in {each.request.split()[1] for each in report.leaks}
    assert all(each.rule is None for each in report.leaks)
    assert "past the guard: no decision was made" in str(report)
    assert consistent(report)


def test_callers_who_hold_something_else_are_tried():
    routes = {"GET /a": {"scopes": ["pay"], "permissions": ["x:y"]}, "GET /b": ["viewer"]}

    def trusting(environ: Any, start_response: Any) -> Any:
        # A field opens /a for whoever may use /b.
        path = environ.get("HTTP_X_REWRITE_URL", environ["PATH_INFO"])
        start_response("200 OK", [])
        return [secret() if path == "/a" else item() if path == "/b" else b""]

    def secret() -> bytes:
        return b"a"

    app = WSGIAuthzMiddleware(trusting, {**POLICY, "roles": {"viewer": ["x:y"]}, "routes": routes})
    report = attack(app, ["GET /a"])
    assert report.leaks == ()  # nothing is let in at /public, /x or /
    routes["/x"] = ["viewer"]
    app = WSGIAuthzMiddleware(trusting, {**POLICY, "roles": {"viewer": ["x:y"]}, "routes": routes})
    report = attack(app, ["GET /a"])
    assert {each.caller for each in report.leaks} == {"a caller with roles viewer; permissions x:y"}
    assert "$TOKEN" in report.leaks[0].curl
    assert b"Authorization: Bearer $TOKEN\r\n" in report.leaks[0].raw


def test_an_issuer_that_is_not_accepted():
    issuers = [
        {"issuer": f"https://{name}.example.com", "audience": ["a"], "grants": ["viewer"]}
        for name in ("one", "two")
    ]
    requirement = {"issuers": ["https://two.example.com"]}
    policy = {"issuers": issuers, "roles": {"viewer": []}, "routes": {"/admin": requirement}}
    report = attack(WSGIAuthzMiddleware(wsgi, policy))
    assert report.ok, str(report)


def one_for_all(environ: Any, start_response: Any) -> list[bytes]:
    path = environ["PATH_INFO"].rstrip("/")
    start_response("200 OK", [])
    return [b"secret" if path == "/admin/users" else b"page " + path.encode("latin-1")]


def test_one_function_for_all_is_judged_by_its_answers():
    assert attack(WSGIAuthzMiddleware(one_for_all, POLICY), ["/admin/users"]).ok
    report = attack(WSGIAuthzMiddleware(Rewriting(one_for_all), POLICY), ["/admin/users"])
    assert report.leaks
    assert report.leaks[0].why == "the answer is that of the plain request (200)"


def test_what_cannot_be_told_is_said():
    def same(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"always the same"]

    report = attack(WSGIAuthzMiddleware(same, POLICY), ["/admin/users"])
    assert report.unproven == ("GET /admin/users",)
    assert not report.ok
    assert "UNPROVEN  GET /admin/users" in str(report)


def test_a_route_that_the_app_has_not_is_said():
    routes = {**POLICY["routes"], "GET /missing": ["admin"], "/nowhere/**": "deny"}
    report = attack(WSGIAuthzMiddleware(wsgi, {**POLICY, "routes": routes}))
    assert report.unproven == ("GET /missing",)


def test_what_nobody_may_do_is_attacked_too():
    routes = {"GET /admin/users": "deny", "GET /public": "public"}
    app = WSGIAuthzMiddleware(Rewriting(wsgi), {**POLICY, "routes": routes})
    report = attack(app)
    assert report.proven == ("GET /admin/users",)
    assert report.leaks


def test_what_the_second_look_refuses_is_refused():
    """An inner middleware rewrites the path; the hook behind Flask's router asks again."""
    flask = installed("flask")
    app = flask.Flask("attacked")
    app.add_url_rule("/public", "public", lambda: "public")
    app.add_url_rule("/admin/users", "users", lambda: "ann")
    bare = app.wsgi_app
    routes = {"GET /public": "public", "GET /admin/users": "deny"}
    guard = WSGIAuthzMiddleware(bare, {**POLICY, "routes": routes})
    guard.app = Rewriting(bare)
    app.wsgi_app = guard
    report = attack(app)
    assert report.proven == ("GET /admin/users",)
    assert report.leaks == ()
    guard.app = Rewriting(one_for_all)  # no hook
    assert attack(app).leaks


def test_websockets():
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "websocket":
            return
        await receive()
        if scope["path"].lstrip("/") == "feed":
            await feed(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def feed(receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await receive()
        await send({"type": "websocket.send", "text": "news"})
        while (await receive())["type"] != "websocket.disconnect":
            pass

    policy = {**POLICY, "routes": {"WS /feed": ["viewer"]}}
    report = attack(ASGIAuthzMiddleware(app, policy))
    assert report.ok, str(report)
    assert report.proven == ("WS /feed",)
    beside = ASGIAuthzMiddleware(app, policy)

    async def leaky(scope: Any, receive: Any, send: Any) -> None:
        inside = scope["path"].startswith("/feed") or scope["type"] == "lifespan"
        await (beside if inside else app)(scope, receive, send)

    report = attack(leaky, ["WS /feed"])
    assert "//feed" in {each.request.split()[1] for each in report.leaks}
    assert "Sec-WebSocket-Key" in report.leaks[0].curl


def test_the_app_is_started_and_stopped_and_gets_its_state():
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            seen.append((await receive())["type"])
            scope["state"]["pool"] = "open"
            await send({"type": "lifespan.startup.complete"})
            seen.append((await receive())["type"])
            await send({"type": "lifespan.shutdown.complete"})
            return
        assert scope["state"] == {"pool": "open"}
        await asgi(scope, receive, send)

    assert attack(ASGIAuthzMiddleware(app, POLICY), ["/admin/users"]).ok
    assert seen == ["lifespan.startup", "lifespan.shutdown"]


def test_an_app_that_does_not_start():
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(RuntimeError, match="no database"):
        attack(ASGIAuthzMiddleware(app, POLICY))


def test_endless_answers_and_errors_do_not_stop_it():
    def endless(environ: Any, start_response: Any) -> Any:
        handler = HANDLERS.get(environ["PATH_INFO"])
        start_response("200 OK", [])(b"written")
        while True:
            yield handler() if handler else b"."

    assert attack(WSGIAuthzMiddleware(endless, POLICY), ["/admin/users"]).ok

    async def endless_asgi(scope: Any, receive: Any, send: Any) -> None:
        if handler := HANDLERS.get(scope.get("path", "")):
            handler()
            await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": b".", "more_body": True})

    assert attack(ASGIAuthzMiddleware(endless_asgi, POLICY), ["/admin/users"]).ok

    def failing(environ: Any, start_response: Any) -> Any:
        if handler := HANDLERS.get(environ["PATH_INFO"]):
            handler()
        raise LookupError

    assert attack(WSGIAuthzMiddleware(failing, POLICY), ["/admin/users"]).ok


def test_it_runs_where_an_event_loop_runs_already():
    async def inside() -> AttackReport:
        return attack(ASGIAuthzMiddleware(asgi, POLICY), ["/admin/users"])

    assert asyncio.run(inside()).ok


def test_handlers_on_other_threads_are_seen():
    async def threaded(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and (handler := HANDLERS.get(scope["path"])):
            await asyncio.to_thread(handler)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    report = attack(ASGIAuthzMiddleware(RewritingASGI(threaded), POLICY), ["/admin/users"])
    assert report.leaks
    assert report.leaks[0].why == "admin() ran"


def test_everything_is_as_before_afterwards():
    authz = Authz.from_mapping(POLICY)
    serving = authz.serving
    profiles = sys.getprofile(), threading.getprofile()
    attack(WSGIAuthzMiddleware(wsgi, authz), ["/admin/users"])
    assert authz.serving is serving
    assert (sys.getprofile(), threading.getprofile()) == profiles


def test_its_callers_are_nobody_afterwards():
    tokens: list[str] = []

    class Watching(WSGIAuthzMiddleware):
        def __call__(self, environ: Any, start_response: Any) -> Any:
            tokens.append(environ.get("HTTP_AUTHORIZATION", ""))
            return super().__call__(environ, start_response)

    app = Watching(wsgi, POLICY)
    attack(app, ["/admin/users"])
    statuses: list[str] = []
    for token in set(tokens) - {""}:
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/admin", "HTTP_AUTHORIZATION": token}
        app(environ, lambda status, headers, exc_info=None: statuses.append(status))
    assert len(statuses) >= 2
    assert {status[:3] for status in statuses} == {"401"}


# What is not an attack.


@pytest.mark.parametrize(
    ("request_line", "message"),
    [
        ("GET /public", "everybody"),
        ("GET //admin", "two ways"),
        ("admin", "does not name a path"),
    ],
)
def test_requests_that_say_nothing(request_line, message):
    with pytest.raises(ValueError, match=message):
        attack(WSGIAuthzMiddleware(wsgi, POLICY), [request_line])


def test_an_app_without_a_guard():
    with pytest.raises(ValueError, match="none is found in the app"):
        attack(wsgi)
    with pytest.raises(ValueError, match="is not guarded by"):
        attack(wsgi, authz=Authz.from_mapping(POLICY))


def test_which_guard_must_be_clear():
    one, two = (WSGIAuthzMiddleware(wsgi, POLICY) for _ in range(2))

    def either(environ: Any, start_response: Any) -> Any:
        return (one if environ["PATH_INFO"] < "/b" else two)(environ, start_response)

    with pytest.raises(ValueError, match="several are found"):
        attack(either)
    assert attack(either, ["/admin/users"], authz=one.authz).ok


def test_a_guard_that_is_built_at_the_first_request():
    responses = installed("starlette.responses")

    async def users(_request: Any) -> Any:
        return responses.PlainTextResponse("in")

    app = installed("starlette.applications").Starlette()
    app.routes.append(installed("starlette.routing").Route("/admin/users", users))
    app.add_middleware(ASGIAuthzMiddleware, config=POLICY)
    report = attack(app, ["/admin/users"])
    assert report.ok, report
    assert report.proven == ("GET /admin/users",)


class Slotted:
    __slots__ = ("inner", "unset")

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.inner(environ, start_response)


def test_the_guard_is_found_wherever_an_app_keeps_it():
    guarded = WSGIAuthzMiddleware(wsgi, POLICY)
    assert attack(Slotted({"stack": [guarded]}["stack"][0]), ["/admin/users"]).ok
    assert attack(guarded.__call__, ["/admin/users"]).ok

    def closure(environ: Any, start_response: Any) -> Any:
        return later(environ, start_response) if later else []

    later: Any = guarded
    assert attack(closure, ["/admin/users"]).ok


def test_whoever_attacks_is_the_caller_that_is_presumed():
    serving = Presumed(Authz.from_mapping(POLICY).serving)
    viewer = frozenset({"viewer"})
    caller = serving.caller(Principal(subject="x", issuer="", roles=viewer, expires_at=inf))
    credentials = Authorization([caller.authorization.encode()])
    for path, expected in (("/items/1", Admit), ("/admin", Refuse)):
        facts = RequestFacts("http", "GET", path, "")
        for decide in (serving.outcome, serving.begin):
            outcome = decide(facts, credentials)
            assert isinstance(outcome, expected)
            assert outcome.principal is not None
