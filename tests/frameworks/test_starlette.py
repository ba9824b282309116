"""Starlette and FastAPI: added late, wrapped outside, and a bad policy that never serves."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, Router, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocket

from authz_middleware import (
    Access,
    AccessDenied,
    ASGIAuthzMiddleware,
    Authz,
    AuthzError,
    PolicyError,
    current_access,
)
from authz_middleware.testing import DevelopmentIssuer
from tests.adapters.exchange import call_asgi, exchange, scope_for

BAD = {"routes": {"GET /write": "pulbic"}}


def caller() -> Access:
    access = current_access()
    assert access is not None
    return access


@pytest.fixture(scope="module")
def issuer():
    return DevelopmentIssuer("https://login.example.com", "orders-api")


@pytest.fixture(scope="module")
def policy(issuer):
    return {
        "issuers": [issuer.policy_issuer()],
        "roles": {"editor": ["article:write"]},
        "routes": {"GET /write": "authenticated", "WS /feed": "authenticated"},
    }


async def write(request):
    caller().require("article:write")
    return PlainTextResponse("written")


async def feed(websocket: WebSocket):
    caller().require("article:write")
    await websocket.accept()


def starlette() -> Starlette:
    return Starlette(routes=[Route("/write", write), WebSocketRoute("/feed", feed)])


def fastapi() -> FastAPI:
    app = FastAPI()

    @app.get("/write")
    def synchronous():  # runs in a worker thread, with the context copied
        caller().require("article:write")
        return "written"

    app.websocket("/feed")(feed)
    return app


@pytest.mark.parametrize("make", [starlette, fastapi])
@pytest.mark.parametrize("added", [True, False], ids=["add_middleware", "wrapped"])
class TestRequire:
    def app(self, make, added, policy):
        return around(make(), policy, added=added)

    @pytest.mark.parametrize(("roles", "status"), [([], 403), (["editor"], 200)])
    def test_http(self, roles, status, make, added, policy, issuer):
        headers = [("Authorization", f"Bearer {issuer.mint('ann', roles=roles)}")]
        sent = call_asgi(self.app(make, added, policy), scope_for("GET", "/write", headers))
        assert sent.status == status
        if status == 403:
            assert 'error="insufficient_scope"' in str(sent.header("www-authenticate"))

    @pytest.mark.parametrize(("roles", "status"), [([], 403), (["editor"], 101)])
    def test_websocket(self, roles, status, make, added, policy, issuer):
        headers = [("Authorization", f"Bearer {issuer.mint('ann', roles=roles)}")]
        scope = scope_for("GET", "/feed", headers, kind="websocket")
        sent = call_asgi(self.app(make, added, policy), scope)
        assert sent.status == status


class TestCors:
    """DESIGN section 3, "Browsers": outside of us, and warned about when seen inside."""

    def wrapped(self, order: str, policy) -> Any:
        app = starlette()
        if order == "inside":
            app.add_middleware(CORSMiddleware, allow_origins=["*"])
        app.add_middleware(ASGIAuthzMiddleware, config=policy)
        if order == "outside":
            app.add_middleware(CORSMiddleware, allow_origins=["*"])
        call_asgi(app, scope_for("GET", "/write"))  # builds the middleware
        return app

    @pytest.mark.parametrize(("order", "warnings"), [("inside", 1), ("outside", 0)])
    def test_added(self, order, warnings, policy, caplog):
        self.wrapped(order, policy)
        assert caplog.text.count("CORSMiddleware answers CORS inside of the guard") == warnings

    def test_wrapped_around_an_app_that_answers_it(self, policy, caplog):
        app = starlette()
        app.add_middleware(CORSMiddleware, allow_origins=["*"])
        ASGIAuthzMiddleware(app, policy)
        assert "CORSMiddleware answers CORS inside of the guard" in caplog.text


class TestBadPolicy:
    @pytest.mark.parametrize("make", [starlette, fastapi])
    def test_wrapping_raises_at_once(self, make):
        with pytest.raises(PolicyError):
            ASGIAuthzMiddleware(make(), BAD)

    @pytest.mark.parametrize("make", [starlette, fastapi])
    def test_built_late_it_fails_the_start(self, make):
        app = make()
        app.add_middleware(ASGIAuthzMiddleware, config=BAD)
        scope = {"type": "lifespan", "state": {}}
        [message] = asyncio.run(exchange(app, scope, {"type": "lifespan.startup"}))
        assert message["type"] == "lifespan.startup.failed"
        assert "pulbic" in message["message"]

    @pytest.mark.parametrize("make", [starlette, fastapi])
    @pytest.mark.parametrize("kind", ["http", "websocket"])
    def test_without_a_lifespan_every_request_is_503(self, kind, make):
        app = make()
        app.add_middleware(ASGIAuthzMiddleware, config=BAD)
        for _ in range(2):
            sent = call_asgi(app, scope_for("GET", "/write", kind=kind))
            assert sent.status == 503
            assert sent.header("retry-after")
            assert b"pulbic" not in sent.body

    @pytest.mark.parametrize("make", [Starlette, FastAPI])
    def test_named_in_the_constructor_it_fails_the_start(self, make):
        app = make(middleware=[Middleware(ASGIAuthzMiddleware, config=BAD)])
        scope = {"type": "lifespan", "state": {}}
        [message] = asyncio.run(exchange(app, scope, {"type": "lifespan.startup"}))
        assert message["type"] == "lifespan.startup.failed"
        assert call_asgi(app, scope_for("GET", "/write")).status == 503

    def test_a_mount_or_a_route_is_made_at_once(self):
        bad = [Middleware(ASGIAuthzMiddleware, config=BAD)]
        for make in (
            lambda: Mount("/a", routes=[], middleware=bad),
            lambda: Router(middleware=bad),
            lambda: Route("/a", write, middleware=bad),
        ):
            with pytest.raises(PolicyError):
                make()

    @pytest.mark.parametrize("make", [starlette, fastapi])
    def test_a_mounted_app_builds_at_its_first_request_and_answers_503(self, make):
        inner = make()
        inner.add_middleware(ASGIAuthzMiddleware, config=BAD)
        app = Starlette(routes=[Mount("/v2", app=inner), Route("/up", up)])
        for _ in range(2):
            assert call_asgi(app, scope_for("GET", "/v2/write")).status == 503
        assert call_asgi(app, scope_for("GET", "/up")).status == 200

    def test_a_subclass_is_recognised_too(self):
        class Ours(ASGIAuthzMiddleware):
            def __init__(self, app):
                super().__init__(app, BAD)

        app = starlette()
        app.add_middleware(Ours)
        assert call_asgi(app, scope_for("GET", "/write")).status == 503


async def up(request):
    return PlainTextResponse("up")


def around(app, config, *, added) -> Any:
    """The app with us inside of it, or outside."""
    if not added:
        return ASGIAuthzMiddleware(app, config)
    app.add_middleware(ASGIAuthzMiddleware, config=config)
    return app


def bearer(issuer, *roles, **claims):
    return [("Authorization", f"Bearer {issuer.mint('ann', roles=list(roles), **claims)}")]


class Recording:
    """A middleware that keeps how each answer began, or what was raised through it."""

    def __init__(self, app, seen):
        self.app = app
        self.seen = seen

    async def __call__(self, scope, receive, send):
        async def relay(message):
            self.seen.append(message.get("status"))
            await send(message)

        try:
            await self.app(scope, receive, relay)
        except Exception as error:
            self.seen.append(type(error).__name__)
            raise


class TestHandler:
    """A denied `require` is the app's own 403, for whatever stands between the app and us."""

    @pytest.mark.parametrize("make", [starlette, fastapi])
    def test_inside_of_other_middleware(self, make, policy, issuer):
        app = make()
        seen: list[object] = []
        app.add_middleware(Recording, seen=seen)
        app.add_middleware(ASGIAuthzMiddleware, config=policy)
        sent = call_asgi(app, scope_for("GET", "/write", bearer(issuer)))
        assert sent.status == 403
        assert seen == [403, None]

    @pytest.mark.parametrize("make", [starlette, fastapi])
    def test_no_server_error_is_made_of_it(self, make, policy, issuer):
        seen: list[object] = []
        app = ASGIAuthzMiddleware(Recording(make(), seen), policy)
        sent = call_asgi(app, scope_for("GET", "/write", bearer(issuer)))
        assert sent.status == 403
        assert seen == [403, None]

    def test_a_websocket_is_refused_by_the_adapter(self, policy, issuer):
        seen: list[object] = []
        app = ASGIAuthzMiddleware(Recording(starlette(), seen), policy)
        scope = scope_for("GET", "/feed", bearer(issuer), "websocket")
        assert call_asgi(app, scope).status == 403
        assert seen == ["AccessDenied"]

    def test_a_websocket_without_denial_responses_is_closed(self, policy, issuer):
        app = ASGIAuthzMiddleware(starlette(), policy)
        scope = scope_for("GET", "/feed", bearer(issuer), "websocket", extensions={})
        messages = asyncio.run(exchange(app, scope))
        assert messages == [{"type": "websocket.close", "code": 1008, "reason": ""}]

    @pytest.mark.parametrize("added", [True, False], ids=["add_middleware", "wrapped"])
    @pytest.mark.parametrize("error", [AccessDenied, AuthzError])
    def test_the_apps_own_is_kept(self, error, added, policy, issuer):
        async def own(request, denied):
            return PlainTextResponse("mine", 418)

        app = starlette()
        app.add_exception_handler(error, own)
        outer = around(app, policy, added=added)
        assert call_asgi(outer, scope_for("GET", "/write", bearer(issuer))).status == 418

    def test_one_that_is_registered_later_wins(self, policy, issuer):
        app = starlette()
        outer = ASGIAuthzMiddleware(app, policy)
        app.add_exception_handler(AccessDenied, lambda request, denied: PlainTextResponse("mine"))
        assert call_asgi(outer, scope_for("GET", "/write", bearer(issuer))).body == b"mine"

    @pytest.mark.parametrize("debug", [True, False])
    def test_a_handler_of_every_exception_does_not_get_it(self, debug, policy, issuer):
        def broken(request, error):
            return PlainTextResponse("something broke", 500)

        app = Starlette(
            debug,
            routes=[Route("/write", write, methods=["GET"])],
            exception_handlers={Exception: broken},
        )
        sent = call_asgi(
            ASGIAuthzMiddleware(app, policy), scope_for("GET", "/write", bearer(issuer))
        )
        assert (sent.status, sent.header("content-type")) == (403, "application/problem+json")

    def test_head_has_no_body(self, policy, issuer):
        app = ASGIAuthzMiddleware(starlette(), policy)
        sent = call_asgi(app, scope_for("HEAD", "/write", bearer(issuer)))
        assert (sent.status, sent.body) == (403, b"")
        assert int(str(sent.header("content-length"))) > 0

    def test_an_app_that_has_served_already_still_refuses(self, policy, issuer):
        app = starlette()
        call_asgi(app, scope_for("GET", "/nowhere"))  # its middleware is built now
        outer = ASGIAuthzMiddleware(app, policy)
        assert call_asgi(outer, scope_for("GET", "/write", bearer(issuer))).status == 403

    def test_several_apps_share_one_authz(self, policy, issuer):
        authz = Authz.from_mapping(policy)
        apps = [ASGIAuthzMiddleware(make(), authz) for make in (starlette, fastapi, starlette)]
        for app in apps:
            assert call_asgi(app, scope_for("GET", "/write", bearer(issuer))).status == 403
            assert (
                call_asgi(app, scope_for("GET", "/write", bearer(issuer, "editor"))).status == 200
            )


class Dispatching(BaseHTTPMiddleware):
    """What Starlette's own documentation shows; runs the app in a task of its own."""

    async def dispatch(self, request, call_next):
        response = await call_next(request)
        response.headers["x-between"] = str(current_access() is not None)
        return response


ORDERS: dict[str, tuple[Any, ...]] = {
    "behind": ("ours", Dispatching),
    "before": (Dispatching, "ours"),
    "both": (Dispatching, "ours", Dispatching),
    "gzip behind": ("ours", GZipMiddleware),
    "gzip before": (GZipMiddleware, "ours"),
}


class TestNeighbours:
    """What stands before and behind us keeps working, and so do we."""

    @pytest.fixture
    def policy(self, issuer):
        return {"issuers": [issuer.policy_issuer()], "routes": {"/**": ["viewer"]}}

    @pytest.fixture
    def seen(self):
        return []

    @pytest.fixture
    def routes(self, seen):
        def subject():
            seen.append(caller().require_principal().subject)
            return "x"

        async def whole(request):
            return PlainTextResponse(subject() * 2000, background=BackgroundTask(subject))

        def synchronous(request):
            return PlainTextResponse(subject() * 2000)

        async def stream(request):
            async def chunks():
                for _ in range(3):
                    yield subject() * 1000

            return StreamingResponse(chunks(), background=BackgroundTask(subject))

        async def socket(websocket):
            await websocket.accept()
            await websocket.send_text(subject())
            await websocket.close()

        return [
            Route("/whole", whole),
            Route("/sync", synchronous),
            Route("/stream", stream),
            WebSocketRoute("/socket", socket),
        ]

    @pytest.fixture(params=ORDERS.values(), ids=list(ORDERS))
    def client(self, request, routes, policy):
        middleware = [
            Middleware(ASGIAuthzMiddleware, config=policy) if each == "ours" else Middleware(each)
            for each in request.param
        ]
        return TestClient(Starlette(routes=routes, middleware=middleware))

    @pytest.mark.parametrize(
        ("path", "times", "length"), [("/whole", 2, 2000), ("/sync", 1, 2000), ("/stream", 4, 3000)]
    )
    def test_http(self, path, times, length, client, seen, issuer):
        response = client.get(path, headers=dict(bearer(issuer, "viewer")))
        assert (response.status_code, response.text) == (200, "x" * length)
        assert seen == ["ann"] * times
        assert current_access() is None
        assert client.get(path, headers=dict(bearer(issuer))).status_code == 403
        assert client.get(path).status_code == 401
        assert seen == ["ann"] * times

    def test_websocket(self, client, seen, issuer):
        with client.websocket_connect("/socket", headers=dict(bearer(issuer, "viewer"))) as socket:
            assert socket.receive_text() == "x"
        assert seen == ["ann"]
        with pytest.raises(WebSocketDenialResponse) as denied:
            client.websocket_connect("/socket", headers=dict(bearer(issuer))).__enter__()
        assert denied.value.status_code == 403

    def test_cors_outside_answers_preflights_and_marks_refusals(self, routes, policy, issuer):
        cors = Middleware(CORSMiddleware, allow_origins=["https://app.example.com"])
        ours = Middleware(ASGIAuthzMiddleware, config=policy)
        client = TestClient(Starlette(routes=routes, middleware=[cors, ours]))
        origin = {"Origin": "https://app.example.com"}
        asked = client.options("/whole", headers=origin | {"Access-Control-Request-Method": "GET"})
        assert asked.status_code == 200
        refused = client.get("/whole", headers=origin)
        assert refused.status_code == 401
        assert refused.headers["access-control-allow-origin"] == "https://app.example.com"

    def test_a_denied_require_in_a_neighbour(self, routes, policy, issuer):
        class Asking(BaseHTTPMiddleware):
            async def dispatch(self, request, call_next):
                caller().require("article:write")
                return await call_next(request)

        app = Starlette(routes=routes, middleware=[Middleware(Asking)])
        wrapped = ASGIAuthzMiddleware(app, policy)
        sent = call_asgi(wrapped, scope_for("GET", "/whole", bearer(issuer, "viewer")))
        assert sent.status == 403

    def test_an_asgi_transport(self, routes, policy, issuer):
        async def ask():
            transport = httpx2.ASGITransport(ASGIAuthzMiddleware(Starlette(routes=routes), policy))
            async with httpx2.AsyncClient(transport=transport, base_url="http://x") as client:
                yes = await client.get("/whole", headers=bearer(issuer, "viewer"))
                no = await client.get("/whole", headers=bearer(issuer))
                return yes.status_code, no.status_code

        assert asyncio.run(ask()) == (200, 403)


class TestLifespan:
    @pytest.mark.parametrize("added", [True, False], ids=["add_middleware", "wrapped"])
    def test_state_reaches_the_endpoints_untouched(self, added, policy):
        @contextlib.asynccontextmanager
        async def lifespan(app):
            events.append("up")
            yield {"pool": pool}
            events.append("down")

        async def use(request):
            return PlainTextResponse(str(request.state.pool is pool))

        pool = object()
        events: list[str] = []
        config = policy | {"routes": {"/use": "public"}}
        app = Starlette(routes=[Route("/use", use)], lifespan=lifespan)
        outer = around(app, config, added=added)
        with TestClient(outer) as client:
            assert events == ["up"]
            assert client.get("/use").text == "True"
        assert events == ["up", "down"]


class TestMounts:
    """Rules are for the whole path around an app, and below its mount around a mounted one."""

    def inner(self):
        return Starlette(routes=[Route("/who", who), Route("/", who)])

    @pytest.mark.parametrize("path", ["/v2/who", "/v2/deep/who"])
    def test_mounts_in_mounts(self, path, policy, issuer):
        routes = {"/v2/who": ["editor"], "/v2/deep/who": ["auditor"], "/who": "public"}
        roles = {"/v2/who": "editor", "/v2/deep/who": "auditor"}
        deep = Starlette(routes=[Mount("/deep", app=self.inner()), Route("/who", who)])
        app = Starlette(routes=[Mount("/v2", app=deep)])
        config = {"issuers": policy["issuers"], "routes": routes}
        wrapped = ASGIAuthzMiddleware(app, config)
        for role in roles.values():
            sent = call_asgi(wrapped, scope_for("GET", path, bearer(issuer, role)))
            assert sent.status == (200 if role == roles[path] else 403)
        assert call_asgi(wrapped, scope_for("GET", path)).status == 401

    @pytest.mark.parametrize("make", [starlette, fastapi])
    @pytest.mark.parametrize("debug", [True, False])
    @pytest.mark.parametrize("added", [True, False], ids=["add_middleware", "wrapped"])
    def test_a_denied_require_in_a_mounted_app(self, added, debug, make, policy, issuer):
        """It has error handling of its own, and we never saw it."""
        inner = make()
        inner.debug = debug
        routes = {"GET /v2/write": "authenticated", "WS /v2/feed": "authenticated"}
        app = Starlette(debug, routes=[Mount("/v2", app=inner)])
        outer = around(app, policy | {"routes": routes}, added=added)
        sent = call_asgi(outer, scope_for("GET", "/v2/write", bearer(issuer)))
        assert (sent.status, sent.header("content-type")) == (403, "application/problem+json")
        scope = scope_for("GET", "/v2/feed", bearer(issuer), "websocket")
        assert call_asgi(outer, scope).status == 403

    def test_around_a_mounted_app_alone(self, policy, issuer):
        routes = {"/who": ["editor"], "/": "public"}
        config = {"issuers": policy["issuers"], "routes": routes}
        inner = self.inner()
        inner.add_middleware(ASGIAuthzMiddleware, config=config)
        app = Starlette(routes=[Mount("/v2", app=inner), Route("/who", up)])
        assert call_asgi(app, scope_for("GET", "/who")).body == b"up"
        assert call_asgi(app, scope_for("GET", "/v2/who")).status == 401
        assert call_asgi(app, scope_for("GET", "/v2/")).body == b"nobody"
        sent = call_asgi(app, scope_for("GET", "/v2/who", bearer(issuer, "editor")))
        assert sent.body == b"ann"
        # Behind a server's own prefix as well, whether it puts that in front or not.
        for path in ("/svc/v2/who", "/v2/who"):
            scope = scope_for("GET", path, bearer(issuer), root_path="/svc")
            assert call_asgi(app, scope).status in (403, 404)
        scope = scope_for("GET", "/svc/v2/who", bearer(issuer, "editor"), root_path="/svc")
        assert call_asgi(app, scope).body == b"ann"

    @pytest.mark.filterwarnings("ignore:The `root_path` parameter is deprecated")
    @pytest.mark.parametrize("added", [True, False], ids=["add_middleware", "wrapped"])
    @pytest.mark.parametrize("root_path", ["", "/other"])
    def test_an_app_with_a_root_path_of_its_own(self, root_path, added, policy, issuer):
        """It cuts that prefix, not the server's: a loose rule must not decide what is below."""
        app = FastAPI(root_path="/api")
        app.add_api_route("/admin/users", lambda: "secret")
        routes = {"/**": "authenticated", "/admin/**": ["admin"]}
        config = {"issuers": policy["issuers"], "routes": routes}
        outer = around(app, config, added=added)
        for path in ("/admin/users", "/api/admin/users"):
            scope = scope_for("GET", path, bearer(issuer), root_path=root_path)
            assert call_asgi(outer, scope).status == 403
            scope = scope_for("GET", path, bearer(issuer, "admin"), root_path=root_path)
            assert call_asgi(outer, scope).body == b'"secret"'


async def who(request):
    access = current_access()
    assert access is not None
    return PlainTextResponse(access.principal.subject if access.principal else "nobody")
