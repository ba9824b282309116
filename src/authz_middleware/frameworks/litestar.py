"""Litestar: its routes, and `AccessDenied` answered by an exception handler of the app."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response

from authz_middleware.errors import AccessDenied
from authz_middleware.frameworks.litestar_routes import install, resolve, routes

__all__ = ["install", "prepare", "resolve", "routes"]


def prepare(app: Any) -> None:
    """Register a handler, unless the app brings one of its own, and log no traceback for it."""
    app.exception_handlers.setdefault(AccessDenied, _answer)
    # Not every configuration has it: the app's own class, or a release of long ago.
    silent = getattr(app.logging_config, "disable_stack_trace", None)
    if silent is not None:
        silent.add(AccessDenied)


def _answer(_request: Request[Any, Any, Any], denied: AccessDenied) -> Response[bytes]:
    answer = denied.answer
    return Response(answer.body, status_code=answer.status, headers=dict(answer.headers))
