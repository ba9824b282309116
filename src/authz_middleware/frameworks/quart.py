"""Quart: `AccessDenied` is answered by the app's own error handling, also in a WebSocket."""

from __future__ import annotations

from typing import Any

from quart import Response, has_websocket_context, websocket

from authz_middleware.errors import AccessDenied

__all__ = ["prepare"]

_POLICY_VIOLATION = 1008  # RFC 6455 §7.4.1


def prepare(app: Any) -> None:
    """Register a handler, unless the app brings one of its own."""
    handlers = app.error_handler_spec[None][None]
    handlers.setdefault(AccessDenied, _answer)


async def _answer(denied: AccessDenied) -> Response | None:
    if has_websocket_context():
        # Of a close before the handshake is accepted the adapter makes the refusal.
        await websocket.close(_POLICY_VIOLATION)
        return None
    answer = denied.answer
    return Response(answer.body, answer.status, dict(answer.headers))
