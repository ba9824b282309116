"""What `module:app` on the command line stands for: an app, the guard before it, and its policy."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple

from authz_middleware import frameworks
from authz_middleware.asgi import ASGIAuthzMiddleware
from authz_middleware.cli.policies import Mistake
from authz_middleware.errors import PolicyError
from authz_middleware.policy.routes import RouteTable
from authz_middleware.runtime.authz import NOT_ASKED, Authz
from authz_middleware.runtime.guarded import Guarded
from authz_middleware.wsgi import WSGIAuthzMiddleware

__all__ = ["Target", "find_target", "routes_of"]

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

    authz: Authz
    guarded: Guarded


def find_target(text: str, policy: str | None) -> Target:
    """Import `module:app` and find its guard, or take `policy` where it has none.

    Raises click.ClickException with what is wrong.
    """
    app = find_app(text)
    try:
        if policy is not None:
            return Target(Authz.from_file(policy, loaders=NOT_ASKED), Guarded(app))
        return _guard(app) or _of_django(app)
    except PolicyError as error:
        raise Mistake(str(error)) from error


def routes_of(text: str) -> RouteTable:
    """Import `module:app`, guarded or not, and return its routes.

    Raises click.ClickException with what is wrong.
    """
    app = find_app(text)
    found = _guard(app)
    return (found.guarded if found else Guarded(app)).routes()


def find_app(text: str) -> Any:
    """Import `module:app`, or call the factory `module:create_app()`.

    Raises click.ClickException with what is wrong.
    """
    name, colon, path = text.partition(":")
    if not colon or not name or not path:
        raise Mistake(f"`{text}` names no app; write `module:app`, as in `shop.main:app`")
    sys.path.insert(0, str(Path.cwd()))  # as servers do
    try:
        found: Any = import_module(name)
        for part in path.removesuffix("()").split("."):
            found = getattr(found, part)
        return found() if path.endswith("()") else found
    except PolicyError as error:
        raise Mistake(str(error)) from error
    except Exception as error:
        raise Mistake(f"`{text}` cannot be imported: {type(error).__name__}: {error}") from error


def _guard(app: object) -> Target | None:
    for each in _within(app):
        if isinstance(each, (ASGIAuthzMiddleware, WSGIAuthzMiddleware)):
            if each.authz is None:
                raise Mistake("the policy of the app cannot be loaded; the log says why")
            return Target(each.authz, each.guarded)
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


def _of_django(app: object) -> Target:
    found = frameworks.find(app)
    if found is None or found.module != "django":
        raise Mistake("no guard stands before this app: wrap it, or name the policy with --policy")
    configuration: Any = import_module("authz_middleware.django.configuration")
    return Target(configuration.configured(), Guarded(app))
