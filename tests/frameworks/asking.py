"""What the tests of routes share: a policy, its callers, one request, and a table to compare."""

from __future__ import annotations

from typing import Any

from authz_middleware import Authz
from authz_middleware.testing import DevelopmentIssuer
from tests.adapters.exchange import Sent, at_once, call_asgi, call_wsgi, environ_for, scope_for

ISSUER = DevelopmentIssuer(audience="x")
RULES: dict[str, Any] = {
    "/items/<int:id>": ["viewer"],
    "GET /admin/users": ["admin"],
    "DELETE /items/<int:id>": ["admin"],
}
Headers = list[tuple[str, str]]


def authz(routes: dict[str, Any], **more: Any) -> Authz:
    return Authz.from_mapping({"issuers": [ISSUER.policy_issuer()], "routes": routes, **more})


def bearer(*roles: str) -> Headers:
    return [("Authorization", f"Bearer {ISSUER.mint('ann', roles=list(roles), lifetime=3600)}")]


def ask(app: Any, method: str, path: str | bytes, headers: Headers, **extra: Any) -> Sent:
    return call_wsgi(app, {**environ_for(method, path, headers), **extra})


def ask_asgi(app: Any, method: str, path: str, headers: Headers, **extra: Any) -> Sent:
    return call_asgi(app, scope_of(method, path, headers, **extra), run=at_once)


def scope_of(method: str, path: str, headers: Headers, **extra: Any) -> dict[str, Any]:
    kind = "websocket" if method == "WS" else "http"
    more = {"client": ("127.0.0.1", 5), "server": ("127.0.0.1", 80), "subprotocols": []}
    return scope_for("GET" if method == "WS" else method, path, headers, kind, **more, **extra)


def table(app: Any) -> list[tuple[str, str, str, tuple[str, ...]]]:
    """Methods, path, kind and kinds of segments of every route, in a fixed order."""
    binding = authz({"/**": ["a"]}).bind(app)
    assert all(route.guarded_inside for route in binding.table.routes)
    assert len({route.taken for route in binding.table.routes}) == len(binding.table.routes)
    return sorted(
        (
            "|".join(sorted(set(each.methods or ["any"]) - each.automatic)),
            each.text,
            each.kind,
            tuple(type(segment).__name__ for segment in each.segments),
        )
        for each in binding.table.routes
    )


def rewriting(app: Any, **changes: str) -> Any:
    """A WSGI middleware inside of the guard that hands on another request."""

    def rewrite(environ: Any, start_response: Any) -> Any:
        return app({**environ, **changes}, start_response)

    rewrite.app = app  # type: ignore[attr-defined]
    return rewrite
