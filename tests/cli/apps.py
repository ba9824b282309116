"""Apps that the command is run on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Flask
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from authz_middleware import ASGIAuthzMiddleware, PolicyError, WSGIAuthzMiddleware

POLICY: dict[str, Any] = {
    "issuers": [{"issuer": "https://login.example.com", "audience": ["orders-api"]}],
    "roles": {"viewer": [], "editor": {"inherits": ["viewer"]}},
    "routes": {
        "GET /health": "public",
        "GET /items/<int:id>": ["viewer"],
        "/files/**": {"roles": ["viewer"], "scopes": ["files"]},
        "/files/secret": "deny",
        "/static/**": "public",
    },
}


def bare() -> Any:
    app = Flask("shop")
    for path in ("/health", "/items/<int:id>", "/files/<path:name>"):
        app.add_url_rule(path, path, lambda **_: "x")
    return app


def shop() -> Any:
    app = bare()
    app.wsgi_app = WSGIAuthzMiddleware(app.wsgi_app, POLICY)
    return app


def trusting() -> Any:
    rules = {"/health": {"when": "'x-plan' in context.headers"}, "/**": "deny"}
    app = bare()
    app.wsgi_app = WSGIAuthzMiddleware(app.wsgi_app, {**POLICY, "routes": rules})
    return app


def gappy() -> Any:
    app = shop()
    app.add_url_rule("/late/<name>", "late", lambda name: name)
    return app


def broken() -> Any:
    raise PolicyError([])


class Kept:
    app = shop()


unguarded = bare()
wrapped = WSGIAuthzMiddleware(bare(), POLICY)


def mounted() -> Any:
    """A Starlette app with a mount, files, a WebSocket and what cannot be seen."""

    async def page(request: Request) -> Response:
        return Response()

    async def feed(websocket: WebSocket) -> None:
        await websocket.close()

    async def other(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("an audit calls no handler")

    app = Starlette(
        routes=[
            Route("/health", page),
            Mount("/api", routes=[Route("/items/{id:int}", page, methods=["GET", "PUT"])]),
            Mount("/files", StaticFiles(directory=Path(__file__).parent)),
            WebSocketRoute("/feed", feed),
            Mount("/other", other),
        ]
    )
    rules = {
        "/health": "public",
        "GET /api/items/<int:id>": ["viewer"],
        "/files/**": ["editor"],
        "WS /feed": "authenticated",
        "/gone": ["viewer"],
    }
    app.add_middleware(ASGIAuthzMiddleware, config={**POLICY, "routes": rules})
    return app


HOSTILE = "/a\n  guarded: nobody\x1b[2J\u202e'\"<b>`|,=HYPERLINK()"
"""A route whose text tries to be more than one line, and to steer what shows it."""


def hostile() -> Any:
    app = Flask("shop", static_folder=None)
    for number, path in enumerate((HOSTILE, "/" + "x" * 10_000, "/\u05e9\u05dc\u05d5\u05dd")):
        app.add_url_rule(path, str(number), lambda: "x")
    app.wsgi_app = WSGIAuthzMiddleware(app.wsgi_app, {**POLICY, "routes": {"/**": ["viewer"]}})  # type: ignore[method-assign]
    return app


def first_wins() -> Any:
    async def page(request: Request) -> Response:
        return Response()

    app = Starlette(routes=[Route("/users/{name}", page), Route("/users/me", page)])
    rules = {"/users/me": ["viewer"], "/users/{name}": ["editor"]}
    app.add_middleware(ASGIAuthzMiddleware, config={**POLICY, "routes": rules})
    return app
