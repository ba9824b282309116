"""Apps that the command is run on."""

from __future__ import annotations

from typing import Any

from flask import Flask

from authz_middleware import PolicyError, WSGIAuthzMiddleware

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
