"""Flask: `AccessDenied` is answered by the app's own error handling."""

from __future__ import annotations

from typing import Any

from flask import Response

from authz_middleware.errors import AccessDenied

__all__ = ["prepare"]


def prepare(app: Any) -> None:
    """Register a handler, unless the app brings one of its own."""
    handlers = app.error_handler_spec[None][None]
    handlers.setdefault(AccessDenied, _answer)


def _answer(denied: AccessDenied) -> Response:
    answer = denied.answer
    return Response(answer.body, answer.status, answer.headers)
