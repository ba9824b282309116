"""What stands around Starlette's and FastAPI's routers: which is behind, and what is unknown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.routing import Router
from starlette.staticfiles import StaticFiles

from authz_middleware.frameworks.endpoints import where

__all__ = ["Before", "Handle", "Scope", "behind", "is_own", "unknown", "unknown_within"]

Scope = MutableMapping[str, Any]
Handle = Callable[[Scope, Any, Any], Awaitable[None]]

_MAX_LAYERS: Final = 64
"""Layers that are looked through; a chain that is longer is a cycle."""

_TRANSPARENT: Final = frozenset(
    f"starlette.middleware.{name}"
    for name in (
        "authentication",
        "body_limit",
        "cors",
        "errors",
        "exceptions",
        "gzip",
        "httpsredirect",
        "opentelemetry",
        "sessions",
        "trustedhost",
    )
)
"""They answer nothing of the app's, and change no path, method or host."""


class Before:
    """What we put before a callable of the app's: it stands for `node`, and goes on to `inner`."""

    __slots__ = ("inner", "node")

    def __init__(self, node: Any, inner: Handle) -> None:
        self.node = node
        self.inner = inner


def behind(app: object) -> Router | StaticFiles | None:
    """Return the router, or the files, that `app` is or stands around; None if unknown."""
    *_, last = _layers(app)
    return last if isinstance(last, (Router, StaticFiles)) else None


def unknown(app: object) -> Iterator[str]:
    """Yield the names of what stands before the router that `app` leads to, and may do anything."""
    if behind(app) is not None:
        for layer in _layers(app):
            if not _is_known(layer):
                yield _name(layer)


def unknown_within(router: Router) -> Iterator[str]:
    """Yield the names of what stands between a router's entry and its routing."""
    layer: Any = router.middleware_stack
    for _ in range(_MAX_LAYERS):
        if getattr(layer, "__self__", None) is router or layer is router.app:
            break
        if not _is_known(layer):
            yield _name(layer)
        if (layer := getattr(layer, "app", None)) is None:
            break


def is_own(thing: object, *names: str) -> bool:
    """Whether these methods are the framework's own, and not of a subclass or the object."""
    held = getattr(thing, "__dict__", {})
    return all(
        isinstance(held.get(name), Before | None)
        and getattr(type(thing), name).__module__.partition(".")[0] in ("fastapi", "starlette")
        for name in names
    )


def _layers(app: Any) -> Iterator[object]:
    """`app`, and what it stands around; middlewares keep what they wrap under `app`."""
    for _ in range(_MAX_LAYERS):
        yield app
        if isinstance(app, Starlette):
            yield from _within(app)
            return
        app = None if isinstance(app, (Router, StaticFiles)) else getattr(app, "app", None)
        if app is None:
            return


def _within(app: Starlette) -> Iterator[object]:
    """What an app has built; its own router, if that is not built yet or leads nowhere."""
    built = () if app.middleware_stack is None else tuple(_layers(app.middleware_stack))
    yield from built
    if not built or not isinstance(built[-1], Router):
        yield from app.user_middleware
        yield app.router


def _is_known(layer: object) -> bool:
    if isinstance(layer, Starlette):
        return is_own(layer, "__call__", "build_middleware_stack")
    if isinstance(layer, Router):
        return is_own(layer, "__call__", "app")
    module: str = getattr(_class(layer), "__module__", "")
    top = module.partition(".")[0]
    return module in _TRANSPARENT or top in ("authz_middleware", "fastapi")


def _class(layer: object) -> Any:
    kind: Any = type(layer)
    return getattr(layer, "cls", kind) if isinstance(layer, Middleware) else kind


def _name(layer: Any) -> str:
    kind = _class(layer)
    dispatch = getattr(layer, "dispatch_func", None)
    if isinstance(layer, Middleware):
        dispatch = layer.kwargs.get("dispatch")
    return where(dispatch if kind is BaseHTTPMiddleware and dispatch is not None else kind)
