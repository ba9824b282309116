"""Apps that `authz attack` is run on."""

from __future__ import annotations

import sys
from typing import Any

from flask import Flask
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from authz_middleware import WSGIAuthzMiddleware

POLICY: dict[str, Any] = {
    "issuers": [{"issuer": "https://login.example.com", "audience": ["orders-api"]}],
    "roles": {"viewer": [], "admin": {"inherits": ["viewer"]}},
    "routes": {"GET /": "public", "GET /admin/users": ["admin"], "/admin/**": "deny"},
}


def home() -> str:
    return "Welcome"


def users() -> str:
    return "ann, bob"


def made() -> Any:
    app = Flask("shop", static_folder=None)
    app.add_url_rule("/", "home", home)
    app.add_url_rule("/admin/users", "users", users)
    return app


def shop() -> Any:
    app = made()
    app.wsgi_app = WSGIAuthzMiddleware(app.wsgi_app, POLICY)
    return app


def users_page() -> list[bytes]:
    sys.stdout.write("what a handler prints is no part of a document\n")
    return [b"ann, bob"]


def trusting(environ: Any, start_response: Any) -> list[bytes]:
    """Take the path from a field, as some do behind a proxy."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    path = environ.get("HTTP_X_REWRITE_URL", environ["PATH_INFO"])
    return users_page() if path == "/admin/users" else [b"Welcome"]


async def answer(request: Any) -> PlainTextResponse:
    return PlainTextResponse("Welcome")


async def answer_users(request: Any) -> PlainTextResponse:
    return PlainTextResponse("ann, bob")


leaky = WSGIAuthzMiddleware(trusting, POLICY)
bare = made()
bare_asgi = Starlette(routes=[Route("/", answer), Route("/admin/users", answer_users)])
