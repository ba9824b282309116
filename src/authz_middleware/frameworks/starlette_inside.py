"""The second look of Starlette and FastAPI: before every handler, mount and default.

A route's `handle` is what stands between the router and the handler, so it is there that we look.
What the routers have routed on is what `root_path` leaves of the path, and each mount puts what it
has matched behind `root_path`. So that is followed from router to router, and nothing but a mount
counts as one: a prefix that some middleware takes from a header is cut off, as the router does.
"""

from __future__ import annotations

from operator import is_
from typing import Any, Final, Literal, NamedTuple

from starlette._utils import get_route_path
from starlette.routing import BaseRoute, Host, Mount, Router

from authz_middleware.effects import Routed
from authz_middleware.frameworks.inside import UNREADABLE, look_again
from authz_middleware.frameworks.starlette_layers import Before, Handle, Scope, behind, is_own
from authz_middleware.frameworks.starlette_nodes import (
    Branch,
    Entry,
    Front,
    Key,
    Leaf,
    default_of,
    text_of,
    walk,
)
from authz_middleware.policy.routes import RouteKind, Taken

__all__ = ["PLACE", "install"]

PLACE: Final = "authz_middleware.starlette"
"""The key of the scope under which it is said how far a request has come."""


class _Place(NamedTuple):
    """Which mounts and hosts a request has passed, and what of the path they have taken."""

    names: tuple[str, ...] = ()
    path: str = ""
    root_path: str = ""  # as the router found it
    to: Router | None = None  # on the way to this one


_OUTSIDE: Final = _Place()


def install(app: object) -> frozenset[Taken]:
    """Have every route look again before it handles, also those that are added later."""
    guarded: set[Taken] = set()
    for found in walk(app):
        match found:
            case Leaf():
                if _put(_LOOKS[found.kind], found):
                    guarded.add(found.taken)
            case Branch():
                _put(_MountLook, found)
            case Entry(router, None):
                _watch(router)
            case Entry(router):
                _before_default(router)
            case Front(context):
                _before_front(context)
    return frozenset(guarded)


def _put(kind: type[_Look], found: Leaf | Branch) -> bool:
    """Put a look before a node, once; say whether it stands there."""
    node = found.node
    if isinstance(node, Router):
        return _before_default(node)
    if not isinstance(node, BaseRoute):
        return False
    handle: Any = node.handle
    if isinstance(handle, Before):
        if handle.node is node:
            return True
        # In a copy that FastAPI has made of a route with a look: that one's is not ours.
        function = getattr(handle.inner, "__func__", None)
        handle = function.__get__(node) if function else handle.inner
    if isinstance(node, (Mount, Host)) and is_own(node, "matches"):
        kind = _MountLook
    try:
        node.handle = kind(node, handle, found.declared, found.text)
    except AttributeError:  # a class of the app's own that allows no attributes
        return False
    return True


def _before_default(router: Router) -> bool:
    default = default_of(router)
    if default is not None and not isinstance(router.default, Before):
        router.default = _OpaqueLook(router, default, default, "")
    return True


def _before_front(context: Any) -> None:
    # It may have been made of the group's `handle` before the look stood there.
    if not isinstance(context.app, Before):
        group = context.original_route
        context.app = _FrontLook(group, context.app, group, "")


class _Look(Before):
    """Stands before the `handle` of a route."""

    __slots__ = ("declared", "text")

    def __init__(self, node: Any, inner: Handle, declared: Any, text: str) -> None:
        super().__init__(node, inner)
        self.declared = declared
        self.text = text

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        context = _included(scope, self.declared)
        if not self._answers_405(scope, context):
            place = _place(scope)
            text = self.text if context is None else context.path
            _ask(scope, (place.names, text, Key(self.declared)), _routed(scope, place))
        await self.inner(scope, receive, send)

    def _answers_405(self, scope: Scope, context: Any) -> bool:
        """Whether the framework itself will; what the app makes of it is the app's."""
        if scope["type"] != "http" or _serves(self.node, scope["method"]):  # the common case
            return False
        if context is not None and _serves(context, scope["method"]):
            return False
        return is_own(self.node, "handle")


def _serves(node: object, method: str) -> bool:
    methods = getattr(node, "methods", None)
    return not methods or method in methods


class _OpaqueLook(_Look):
    """Stands before what routes on nobody knows what: it may look at all of the path."""

    __slots__ = ()

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        place = _place(scope)
        taken = (place.names, self.text, Key(self.declared))
        for path in {_routed(scope, place), scope["path"]}:
            _ask(scope, taken, path)
        await self.inner(scope, receive, send)


class _FrontLook(_Look):
    """Stands before a group of folders that FastAPI serves files from."""

    __slots__ = ()

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        context = _included(scope, self.node)
        prefix = "" if context is None else context.frontend_prefix
        _, _, route = self.node._match(scope, prefix=prefix)  # noqa: SLF001 - it tells nobody else
        if route is not None:  # else it answers 404
            place = _place(scope)
            taken = place.names, prefix + route.path.rstrip("/"), Key(route)
            _ask(scope, taken, _routed(scope, place))
        await self.inner(scope, receive, send)


class _MountLook(_Look):
    """Stands before a mount or a host. What is behind it may have changed since the start."""

    __slots__ = ()

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        place = _place(scope)
        names = (*place.names, text_of(self.node))
        end = behind(self.node.app)
        if isinstance(end, Router):
            if not isinstance(end.app, Before):
                install(end)
            scope[PLACE] = _Place(names, place.path + _mounted(scope, place), to=end)
        else:
            taken = names, "", Key(self.declared)
            paths = {_routed(scope, place)}
            if end is None:
                paths.add(scope["path"])
            for path in paths:
                _ask(scope, taken, path)
        await self.inner(scope, receive, send)


_LOOKS: Final[dict[RouteKind, type[_Look]]] = {
    "handler": _Look,
    "static": _FrontLook,
    "opaque": _OpaqueLook,
}
"""What stands before which kind of route, unless it is a mount."""


def _ask(scope: Scope, taken: Taken, path: str) -> None:
    kind: Literal["http", "websocket"] = scope["type"]
    method = "GET" if kind == "websocket" else scope["method"]
    # Whatever looks was listed, if it was there at the start: what nobody knows is late.
    look_again(scope, Routed(taken, kind, method, path or "/", late=True))


def _place(scope: Scope) -> _Place:
    place = scope.get(PLACE)
    return place if isinstance(place, _Place) else _Place(root_path=scope.get("root_path", ""))


def _mounted(scope: Scope, place: _Place) -> str:
    """What a mount has cut off the path, by putting it behind `root_path`."""
    root_path: str = scope.get("root_path", "")
    if not root_path.startswith(place.root_path):
        return UNREADABLE
    return root_path[len(place.root_path) :]


def _routed(scope: Scope, place: _Place) -> str:
    """The path that the routers have routed on, mounts and all."""
    return place.path + _mounted(scope, place) + get_route_path(scope)


def _included(scope: Scope, route: object) -> Any:
    """What FastAPI makes of a route of an included router, for this request."""
    context: Any = scope.get("fastapi", {}).get("effective_route_context")
    if context is None or context.starlette_route is not None:  # that one has its own look
        return None
    return context if context.original_route is route else None


# --- What is added later ---


class _Watch(Before):
    """Stands before a router's routing, and sees what was added to it, or put in its place."""

    __slots__ = ("known",)

    def __init__(self, node: Router, inner: Handle) -> None:
        super().__init__(node, inner)
        self.known = _held(node)

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if not _are_same(_held(self.node), self.known):
            install(self.node)
            self.known = _held(self.node)
        place = scope.get(PLACE)
        if not isinstance(place, _Place) or place.to is not self.node:  # nobody has mounted it
            place = _OUTSIDE
        scope[PLACE] = _Place(place.names, place.path, scope.get("root_path", ""))
        await self.inner(scope, receive, send)


def _watch(router: Any) -> None:
    _before_default(router)
    routing: Any = router.app
    if isinstance(routing, Before):
        return
    watch = _Watch(router, routing)
    router.app = watch
    # What a router has of middleware stands around it, and knows it by what it was.
    if router.middleware_stack == routing:
        router.middleware_stack = watch
        return
    layer: Any = router.middleware_stack
    while (inner := getattr(layer, "app", None)) is not None:
        if inner == routing:
            layer.app = watch
            return
        layer = inner
    router.middleware_stack = _Watch(router, router.middleware_stack)


def _are_same(one: tuple[int, list[object]], other: tuple[int, list[object]]) -> bool:
    """By identity: routes that are equal may have other handlers."""
    (version, held), (known, were) = one, other
    return version == known and len(held) == len(were) and all(map(is_, held, were))


def _held(router: Any) -> tuple[int, list[object]]:
    """All that a router chooses from, and FastAPI's count of what was added below it."""
    version = getattr(router, "_get_routes_version", None)
    fronts = getattr(router, "_low_priority_routes", ())
    return version() if version else 0, [router.default, *router.routes, *fronts]
