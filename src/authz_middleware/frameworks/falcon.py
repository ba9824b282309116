"""Falcon, WSGI and ASGI: `AccessDenied` is answered by an error handler of the app."""

from __future__ import annotations

from typing import Any

import falcon
from falcon.asgi import App, Request, Response, WebSocket

from authz_middleware.errors import AccessDenied
from authz_middleware.frameworks.falcon_routes import install, resolve, routes

__all__ = ["install", "prepare", "resolve", "routes"]

_POLICY_VIOLATION = 1008  # RFC 6455 §7.4.1


def prepare(app: Any) -> None:
    """Register a handler, unless the app brings one of its own."""
    if AccessDenied in app._error_handlers:  # noqa: SLF001 - nothing public tells
        return
    app.add_error_handler(AccessDenied, _answer_async if isinstance(app, App) else _answer)


def _answer(
    _request: falcon.Request, response: falcon.Response, denied: AccessDenied, _params: object
) -> None:
    answer = denied.answer
    response.status = answer.status
    response.set_headers(answer.headers)
    response.stream = None  # what was prepared before the question was asked
    response.data = answer.body


async def _answer_async(
    request: Request,
    response: Response,  # None in a WebSocket
    denied: AccessDenied,
    params: object,
    ws: WebSocket | None = None,
) -> None:
    if ws is not None:
        # Of a close before the handshake is accepted the adapter makes the refusal.
        await ws.close(_POLICY_VIOLATION)
        return
    response.sse = None
    _answer(request, response, denied, params)
