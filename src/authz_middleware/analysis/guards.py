"""The guard that stands before an app: its policy, and the routes that it is laid against."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any, Final, NamedTuple

from authz_middleware import frameworks
from authz_middleware.asgi import ASGIAuthzMiddleware
from authz_middleware.document import Document
from authz_middleware.errors import PolicyError, Problem
from authz_middleware.policy.routes import RouteTable
from authz_middleware.runtime.authz import NOT_ASKED, Authz
from authz_middleware.runtime.guarded import Guarded
from authz_middleware.runtime.serving import Serving
from authz_middleware.wsgi import WSGIAuthzMiddleware

__all__ = ["Target", "routes_of", "target_of"]

# Under which attribute frameworks and middlewares keep what answers for them.
_KEPT: Final = (
    "__self__",
    "app",
    "application",
    "asgi_app",
    "asgi_handler",
    "middleware_stack",
    "wsgi_app",
)
_MAX_OBJECTS: Final = 200


class Target(NamedTuple):
    """An app whose routes are asked for, and the policy that they are laid against."""

    serving: Serving
    guarded: Guarded


def target_of(app: object, document: Document | None = None) -> Target:
    """Return `app` and the policy of its guard, or `document` laid against it instead.

    Raises PolicyError if there is no policy that can be served.
    """
    if document is not None:
        return Target(Authz(document, loaders=NOT_ASKED).serving, _guarded(app))
    found = _guard(app)
    if found is not None:
        if found.authz is None:
            what = "the policy of its guard cannot be loaded; the log says why"
            raise PolicyError([Problem("app", what)])
        return Target(found.authz.serving, found.guarded)
    if _is_django(app):
        configuration: Any = import_module("authz_middleware.django.configuration")
        return Target(configuration.configured().serving, Guarded(app))
    raise PolicyError([Problem("app", "no guard stands before it", "wrap it, or name a policy")])


def routes_of(app: object) -> RouteTable:
    """Return the routes of `app`, guarded or not."""
    return _guarded(app).routes()


def _guarded(app: object) -> Guarded:
    found = _guard(app)
    return Guarded(app) if found is None else found.guarded


def _guard(app: object) -> ASGIAuthzMiddleware | WSGIAuthzMiddleware | None:
    for each in _within(app):
        if isinstance(each, (ASGIAuthzMiddleware, WSGIAuthzMiddleware)):
            return each
    return None


def _within(app: object) -> Iterator[object]:
    """Yield `app` and whatever it keeps that may be a guard."""
    pending: list[object] = [app]
    seen: list[object] = []
    while pending and len(seen) < _MAX_OBJECTS:
        each = pending.pop(0)
        if each is None or any(each is other for other in seen):
            continue
        seen.append(each)
        yield each
        pending.extend(getattr(each, name, None) for name in _KEPT)
        # Starlette builds its middleware at the first request.
        if getattr(each, "user_middleware", None) and getattr(each, "middleware_stack", 0) is None:
            pending.append(each.build_middleware_stack())  # type: ignore[attr-defined]


def _is_django(app: object) -> bool:
    found = frameworks.find(app)
    return found is not None and found.module == "django"
