"""Litestar: what its router makes of the routes of an app, and the look before every handler.

The look is a guard, the first of every handler: it runs behind all middleware, for HTTP,
WebSockets and mounts, and handlers that are registered later have it from the app.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from litestar.exceptions import HTTPException
from litestar.handlers import ASGIRouteHandler, HTTPRouteHandler
from litestar.handlers.base import BaseRouteHandler
from litestar.routes import ASGIRoute, HTTPRoute
from litestar.utils import normalize_path

from authz_middleware.frameworks.endpoints import where
from authz_middleware.frameworks.inside import look_again_asgi
from authz_middleware.policy.converters import Kind
from authz_middleware.policy.routes import NO_ROUTE, UNSEEN, Resolved, Route, RouteKind, Taken
from authz_middleware.policy.segments import DoubleStar, Exact, PathTail, Plain, Segment, Typed

__all__ = ["install", "resolve", "routes"]

_KINDS: Final[Mapping[type[Any], Kind]] = {int: "int", float: "float", UUID: "uuid"}


def routes(app: Any) -> Iterable[Route]:
    """Yield one route for each handler of each of its paths that Litestar's router keeps.

    Of two that differ in their parameters alone, it is the one that was registered last. Behind
    where some route takes the rest of the path none is ever reached.
    """
    tails = {
        begun for route in app.routes for begun, component in _begun(route) if _is_tail(component)
    }
    served: dict[tuple[Hashable, str | None], tuple[Any, Any]] = {}
    for route in app.routes:
        if any(begun in tails for begun, _ in [*_begun(route)][:-1]):
            continue
        place = _place(route)
        for handler in _handlers(route):
            for method in _methods(handler):
                served[place, method] = route, handler
    rows: dict[Hashable, tuple[Any, Any, set[str | None], set[str]]] = {}
    for (_, method), (route, handler) in served.items():
        automatic = _is_automatic(handler)
        owner = _first(route) if automatic else handler
        row = rows.setdefault(_key(route, owner), (route, owner, set(), set()))
        row[2].add(method)
        if automatic:
            row[3].add(str(method))
    for key, (route, handler, methods, answered) in rows.items():
        yield Route(
            ("", key),
            route.path,
            tuple(_segments(route, tails)),
            None if None in methods else frozenset(map(str, methods)),
            where(handler.fn),
            kind=_kind(handler),
            automatic=frozenset(answered),
        )


def resolve(app: Any, scope: Mapping[str, Any]) -> Taken | Resolved:
    """Say which handler the router would choose."""
    choose = getattr(app.asgi_router, "handle_routing", None)
    if choose is None:
        return UNSEEN
    path = scope["path"]
    if root_path := scope.get("root_path", ""):
        path = path.split(root_path, maxsplit=1)[-1]
    path = normalize_path(path)
    try:
        found = choose(path=path, method=scope.get("method"))
    except (HTTPException, KeyError):  # it answers 404, 405, 400, or fails before any handler
        return NO_ROUTE
    _, handler, rest, _, template = found
    if _is_mount(handler):
        cut = path if rest == path else path.removesuffix(rest.removesuffix("/"))
        return "", ("mount", cut)
    if _is_automatic(handler):
        handler = next(_first(route) for route in app.routes if handler in _handlers(route))
    return "", _named(handler, template)


def install(app: Any) -> frozenset[Taken]:
    """Make the look the first guard of the app and of each handler; say which have it."""
    look = next((guard for guard in app.guards if isinstance(guard, _Look)), None)
    if look is None:
        look = _Look(app)
        app.guards.insert(0, look)  # for what is registered later
    for route in app.routes:
        for handler in _handlers(route):
            guards = handler.resolve_guards()
            if look not in guards:
                guards.insert(0, look)
    own = [
        (_key(route, handler), handler)
        for route in app.routes
        for handler in _handlers(route)
        if not _is_automatic(handler)
    ]
    look.learn(frozenset(key for key, _ in own))
    return frozenset(("", key) for key, handler in own if look.is_before(handler))


class _Look:
    """The guard; one for each app."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._mounts: dict[int, list[str]] = {}
        self._places: set[tuple[int, Hashable]] = set()  # functions, and what names their handlers
        self._listed = 0  # how many routes the app had when it was looked up what is where
        self.known: frozenset[Hashable] = frozenset()
        """The keys of all that was there when the policy was bound."""

    def learn(self, known: frozenset[Hashable]) -> None:
        """Take these keys for what was there when the policy was bound."""
        self.known, self._listed = known, 0

    def is_before(self, handler: Any) -> bool:
        """Whether it guards this handler, which says where it is mounted."""
        name = "authorize_connection"
        own = getattr(handler.__class__, name) is getattr(BaseRouteHandler, name)
        known = not _is_mount(handler) or len(self._mounted(handler)) == 1
        return own and known and self in handler.resolve_guards()

    async def __call__(self, connection: Any, handler: Any) -> None:
        scope = connection.scope
        path: str = scope["path"]
        if _is_mount(handler):
            self._look_at_mount(scope, path, handler)
        elif not _is_automatic(handler):
            named = _named(handler, scope["path_template"])
            self._list()
            if (id(handler.fn), named) not in self._places:
                # Somebody has called it in the place of what the router has chosen.
                named = "elsewhere", named
            self._look(scope, named, path)

    def _look(self, scope: Mapping[str, Any], key: Hashable, path: str) -> None:
        look_again_asgi(scope, key, path, late=key not in self.known)

    def _look_at_mount(self, scope: Mapping[str, Any], path: str, handler: Any) -> None:
        """Look at the whole of the path, of which the mount has been cut off.

        Where it was cut off without a boundary, as `/shop` off `/shopping`, the app that is mounted
        may serve it as if there were one: then both must be allowed.
        """
        mounts = self._mounted(handler)
        if len(mounts) != 1:
            # Nothing tells which. The router is asked from outside where that was so at the start;
            # of what was mounted once more since, none is known.
            if sum(("mount", mount) in self.known for mount in mounts) < 2:
                self._look(scope, ("mount", None), path)
            return
        mount = mounts[0].removesuffix("/")
        key = "mount", mounts[0]
        # Where a handler stood in its place before, a mount gets its own path whole.
        rest = "" if path == mounts[0] else path.removesuffix("/")
        if rest and not rest.startswith("/") and mount:
            self._look(scope, key, mount + rest)
        rest = rest.removeprefix("/")
        self._look(scope, key, f"{mount}/{rest}" if rest else mount or "/")

    def _mounted(self, handler: Any) -> list[str]:
        self._list()
        return self._mounts.get(id(handler.fn), [])

    def _list(self) -> None:
        """Look up what is where, if something was registered since."""
        if self._listed == len(self._app.routes):
            return
        self._listed, self._mounts = len(self._app.routes), {}
        for route in self._app.routes:
            if isinstance(route, ASGIRoute):
                self._mounts.setdefault(id(route.route_handler.fn), []).append(route.path)
        self._places = {
            (id(handler.fn), _key(route, handler))
            for route in self._app.routes
            for handler in _handlers(route)
        }


# --- What names a handler where it stands ---


@lru_cache(maxsize=4096)
def _shape(path: str) -> str:
    """Return a path without what its parameters are called; the router tells no more apart."""
    return "/".join("{}" if each[:1] == "{" else each for each in path.split("/"))


def _named(handler: Any, template: str) -> Hashable:
    shape = _shape(template)
    if isinstance(handler, HTTPRouteHandler):
        return shape, frozenset(handler.http_methods)
    return shape, "asgi" if isinstance(handler, ASGIRouteHandler) else "websocket"


def _key(route: Any, handler: Any) -> Hashable:
    return ("mount", route.path) if _is_mount(handler) else _named(handler, route.path_format)


def _place(route: Any) -> Hashable:
    return _is_mount(next(iter(_handlers(route)))), _shape(route.path_format)


def _handlers(route: Any) -> list[Any]:
    return route.route_handlers if isinstance(route, HTTPRoute) else [route.route_handler]


def _first(route: Any) -> Any:
    """Return the handler that stands for what Litestar answers itself on a route."""
    return next(handler for handler in _handlers(route) if not _is_automatic(handler))


def _methods(handler: Any) -> Iterator[str | None]:
    if isinstance(handler, HTTPRouteHandler):
        yield from handler.http_methods
    else:
        yield None if isinstance(handler, ASGIRouteHandler) else "WS"


def _is_mount(handler: Any) -> bool:
    return isinstance(handler, ASGIRouteHandler) and handler.is_mount


def _is_automatic(handler: Any) -> bool:
    """Whether it is Litestar's own answer to OPTIONS."""
    return getattr(handler.fn, "__module__", "") == "litestar.routes.http"


# --- What a route takes ---


def _kind(handler: Any) -> RouteKind:
    module = getattr(handler.fn, "__module__", "") or ""
    if getattr(handler, "is_static", False) or module.startswith("litestar.static_files"):
        return "static"
    return "opaque" if _is_mount(handler) else "handler"


def _begun(route: Any) -> Iterator[tuple[str, Any]]:
    """Yield each component of a route's path, and the shape of the path as far as that."""
    begun = ""
    for component in route.path_components:
        begun += f"/{component}" if isinstance(component, str) else "/{}"
        yield begun, component


def _is_tail(component: Any) -> bool:
    return not isinstance(component, str) and component.type is Path


def _segments(route: Any, tails: set[str]) -> Iterator[Segment]:
    """Yield what a route takes; `tails` are where some route takes the rest of the path.

    In one place the router knows one kind of parameter: beside one that takes the rest, so do all.
    """
    for begun, component in _begun(route):
        if isinstance(component, str):
            yield Exact(component)
        elif begun in tails:
            yield PathTail(component.name)
        elif component.type in _KINDS:
            yield Typed(_KINDS[component.type], component.name)
        else:
            yield Plain(component.name)
    if _is_mount(next(iter(_handlers(route)))):
        # What begins with the mount without a boundary is taken too. It is decided as what is
        # below, beside its own rule; to take it in here would make every path one of this route.
        yield DoubleStar()
