"""What the servers serve: the examples as they are and unwrapped, and apps that do nothing.

A server imports this module by name; `AUTHZ_CONFIG` names the policy of the examples, and
`AUTHZ_EMPTY_CONFIG` that of the empty apps.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

from authz_middleware import ASGIAuthzMiddleware, WSGIAuthzMiddleware
from benchmarks.calling import bare_asgi, bare_wsgi

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

__all__ = ["made"]

CONFIG = "AUTHZ_EMPTY_CONFIG"


def fastapi(*, wrapped: bool) -> Any:
    """Return the example; bare, without the middleware that its last line adds."""
    from examples.fastapi_app.app import app  # noqa: PLC0415 - it reads its policy when imported

    (ours,) = app.user_middleware
    if not wrapped:
        app.user_middleware.remove(ours)
    return app


def flask(*, wrapped: bool) -> Any:
    """Return the example; bare, without the middleware that its last line adds."""
    from examples.flask_app.app import app  # noqa: PLC0415 - it reads its policy when imported

    if not wrapped:
        del vars(app)["wsgi_app"]  # it hides the method of the class
    return app


async def _asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    else:
        await bare_asgi(scope, receive, send)


def empty_asgi(*, wrapped: bool) -> Any:
    """Return an ASGI app that does nothing."""
    return ASGIAuthzMiddleware(_asgi, os.environ[CONFIG]) if wrapped else _asgi


def empty_wsgi(*, wrapped: bool) -> WSGIApplication:
    """Return a WSGI app that does nothing."""
    return WSGIAuthzMiddleware(bare_wsgi, os.environ[CONFIG]) if wrapped else bare_wsgi


APPS = {"fastapi": fastapi, "flask": flask, "empty_asgi": empty_asgi, "empty_wsgi": empty_wsgi}


@cache  # servers ask more than once
def made(name: str) -> Any:
    """Return the app that `fastapi_bare`, `empty_wsgi_wrapped` and so on stand for."""
    app, _, state = name.rpartition("_")
    if app not in APPS or state not in ("bare", "wrapped"):
        raise AttributeError(name)
    return APPS[app](wrapped=state == "wrapped")


def __getattr__(name: str) -> Any:
    """Make an app when a server asks for it: one process serves one."""
    return made(name)
