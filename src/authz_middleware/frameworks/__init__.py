"""What a framework needs from us, found by the wrapped object; nothing is imported to find out."""

from __future__ import annotations

import inspect

__all__ = ["built_late", "honours_root_path", "prepare"]


def prepare(app: object) -> None:
    """Register the framework's own handler of `AccessDenied` where the app can be recognised.

    `app` is what was wrapped: the application object, or a bound method of it such as Flask's
    `app.wsgi_app`.
    """
    owner = getattr(app, "__self__", app)
    if _is_a(owner, "flask.app"):
        from authz_middleware.frameworks import flask  # noqa: PLC0415 - only where it is used

        flask.prepare(owner)


def honours_root_path(app: object) -> bool:
    """Whether the app may cut the ASGI `root_path` off the path it routes on; Falcon never does."""
    return not any(base.__module__.partition(".")[0] == "falcon" for base in type(app).__mro__)


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


def _is_a(owner: object, module: str) -> bool:
    return any(base.__module__ == module for base in type(owner).__mro__)
