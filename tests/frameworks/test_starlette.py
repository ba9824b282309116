"""Starlette and FastAPI: added late, wrapped outside, and a bad policy that never serves."""

from __future__ import annotations

import asyncio

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from authz_middleware import Access, ASGIAuthzMiddleware, PolicyError, current_access
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
        app = make()
        if not added:
            return ASGIAuthzMiddleware(app, policy)
        app.add_middleware(ASGIAuthzMiddleware, config=policy)
        return app

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

    def test_a_subclass_is_recognised_too(self):
        class Ours(ASGIAuthzMiddleware):
            def __init__(self, app):
                super().__init__(app, BAD)

        app = starlette()
        app.add_middleware(Ours)
        assert call_asgi(app, scope_for("GET", "/write")).status == 503
