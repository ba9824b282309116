"""What a framework needs from us, found by the wrapped object; nothing is imported to find out.

Each framework has one module here. It is imported only where an object of that framework is
wrapped. Its `prepare` gets that object; its `extend`, if it has one, adds to the scope of each
request what the framework's habits expect there.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias, cast

from authz_middleware.observe.log import LOGGER

if TYPE_CHECKING:
    from authz_middleware.access import Access

__all__ = [
    "Extend",
    "Found",
    "UseOfRootPath",
    "built_late",
    "find",
    "own_root_path",
    "prepare",
    "use_of_root_path",
]

_MODULES: Final = {
    "bottle": "bottle",
    "django.core.handlers.asgi": "django",
    "django.core.handlers.wsgi": "django",
    "falcon.app": "falcon",
    "flask.app": "flask",
    "litestar.app": "litestar",
    "pyramid.router": "pyramid",
    "quart.app": "quart",
    # FastAPI's classes derive from these. The last two are what stands behind us where we are
    # added to an app, to a router, to a mount or to a route.
    "starlette.applications": "starlette",
    "starlette.middleware.exceptions": "starlette",
    "starlette.routing": "starlette",
}
"""Where a framework defines what can be wrapped -> our module for it."""

UseOfRootPath: TypeAlias = Literal["any", "kept", "kept inside"]

_MAX_LAYERS: Final = 32
"""Middlewares that are looked through; a chain that is longer is a cycle."""

Extend = Callable[[dict[str, Any], "Access"], None]
"""Adds to the copied scope of a request that is let in."""


class Found(NamedTuple):
    """An application object of a framework that we know, and the name of our module for it."""

    app: object
    module: str


def find(app: object) -> Found | None:
    """Return the framework's object that `app` is, is a bound method of, or stands around."""
    for layer in _layers(app):
        # A function is a framework's own if it is made there, as Starlette makes its endpoints.
        for each in (layer,) if inspect.isfunction(layer) else type(layer).__mro__:
            if module := _MODULES.get(each.__module__):
                return Found(layer, module)
    return None


def prepare(app: object) -> Extend | None:
    """Register the framework's own handler of `AccessDenied` where the app can be recognised.

    Return what adds to the scope of each request, or None. CORS that is seen inside is warned of.
    """
    if cors := next(_cors_inside(app), None):
        LOGGER.warning(
            "%s answers CORS inside of the guard: scripts cannot read refusals, and preflights are"
            " refused; add it after, or wrap it around, so that it is outside",
            cors,
        )
    found = find(app)
    if found is None and built_late():
        found = Found(app, "starlette")  # behind a middleware that does not say what it wraps
    if found is None:
        return None
    module = import_module(f"{__name__}.{found.module}")
    module.prepare(found.app)
    extend: Extend | None = getattr(module, "extend", None)
    return extend


def use_of_root_path(app: object) -> UseOfRootPath:
    """What becomes of the ASGI `root_path` in the path that the app routes on.

    Falcon never cuts it off. What is known of other apps, and of what stands around Falcon, is that
    any may.
    """
    for number, layer in enumerate(_layers(app)):
        if any(base.__module__.partition(".")[0] == "falcon" for base in type(layer).__mro__):
            return "kept inside" if number else "kept"
    return "any"


def own_root_path(app: object) -> Callable[[], str]:
    """Return what tells the `root_path` that the app puts in the place of the server's, or "".

    FastAPI does so where it was made with one, Django where FORCE_SCRIPT_NAME is set; both behind
    us if we stand around them.
    """
    for layer in _layers(app):
        modules = {base.__module__ for base in type(layer).__mro__}
        if "fastapi.applications" in modules:
            return lambda: getattr(layer, "root_path", "")
        if "django.core.handlers.asgi" in modules:
            own: Callable[[], str] = import_module(f"{__name__}.django").own_root_path
            return own
    return lambda: ""


def built_late() -> bool:
    """Whether a framework is building its middleware now, after the server has started.

    Starlette does so at the first message, inside a server that takes an exception there for an
    app without lifespan support, and goes on to serve.
    """
    frame = inspect.currentframe()
    for _ in range(9):  # these functions, our own constructor, and those of subclasses
        if frame is None:
            break
        if frame.f_code.co_name == "build_middleware_stack":
            return True
        frame = frame.f_back
    return False


def _cors_inside(app: object) -> Iterator[str]:
    """The names of what answers CORS in `app` or around it, as far as that can be seen."""
    for layer in _layers(app):
        added = getattr(layer, "user_middleware", None)  # Starlette's, which are not built yet
        listed = cast("list[object]", added) if isinstance(added, list) else []
        known = [type(layer), *(getattr(each, "cls", None) for each in listed)]
        yield from (
            name for each in known if "cors" in (name := getattr(each, "__name__", "")).lower()
        )


def _layers(app: object) -> Iterator[object]:
    """`app`, and what it stands around: middlewares keep what they wrap under `app`."""
    for _ in range(_MAX_LAYERS):
        if app is None:
            return
        app = getattr(app, "__self__", app)  # such as Flask's `app.wsgi_app`
        yield app
        app = getattr(app, "app", None)
