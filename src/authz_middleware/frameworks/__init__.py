"""What a framework needs from us, found by the wrapped object; nothing is imported to find out.

Each framework has one module here. It is imported only where an object of that framework is
wrapped, and its `prepare` gets that object.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from typing import Final, NamedTuple

__all__ = ["Found", "built_late", "find", "honours_root_path", "prepare"]

_MODULES: Final = {
    "bottle": "bottle",
    "django.core.handlers.asgi": "django",
    "django.core.handlers.wsgi": "django",
    "falcon.app": "falcon",
    "flask.app": "flask",
    "litestar.app": "litestar",
    "pyramid.router": "pyramid",
    "quart.app": "quart",
}
"""Where a framework defines its application class -> our module for it."""

_MAX_LAYERS: Final = 32
"""Middlewares that are looked through; a chain that is longer is a cycle."""


class Found(NamedTuple):
    """An application object of a framework that we know, and the name of our module for it."""

    app: object
    module: str


def find(app: object) -> Found | None:
    """Return the framework's object that `app` is, is a bound method of, or stands around."""
    for layer in _layers(app):
        for base in type(layer).__mro__:
            if module := _MODULES.get(base.__module__):
                return Found(layer, module)
    return None


def prepare(app: object) -> None:
    """Register the framework's own handler of `AccessDenied` where the app can be recognised."""
    if found := find(app):
        import_module(f"{__name__}.{found.module}").prepare(found.app)


def honours_root_path(app: object) -> bool:
    """Whether the app may cut the ASGI `root_path` off the path it routes on; Falcon never does."""
    return not any(
        base.__module__.partition(".")[0] == "falcon"
        for layer in _layers(app)
        for base in type(layer).__mro__
    )


def built_late() -> bool:
    """Whether a framework is building its middleware now, after the server has started.

    Starlette does so at the first message, inside a server that takes an exception there for an
    app without lifespan support, and goes on to serve.
    """
    frame = inspect.currentframe()
    for _ in range(8):  # this function, our own constructor, and those of subclasses
        if frame is None:
            break
        if frame.f_code.co_name == "build_middleware_stack":
            return True
        frame = frame.f_back
    return False


def _layers(app: object) -> Iterator[object]:
    """`app`, and what it stands around: middlewares keep what they wrap under `app`."""
    for _ in range(_MAX_LAYERS):
        if app is None:
            return
        app = getattr(app, "__self__", app)  # such as Flask's `app.wsgi_app`
        yield app
        app = getattr(app, "app", None)
