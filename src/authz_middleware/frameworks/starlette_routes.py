"""Starlette's and FastAPI's route tables, and the second look before every route's handler.

Their routers take the first route that is declared and fits. Each route's `handle` is what stands
between the router and the handler, so it is there that we look again.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.routing import BaseRoute, Host, Match, Mount, Route, Router, WebSocketRoute
from starlette.staticfiles import StaticFiles

from authz_middleware.effects import Routed
from authz_middleware.frameworks.endpoints import where
from authz_middleware.frameworks.inside import look_again
from authz_middleware.policy.routes import NO_ROUTE, UNSEEN, Resolved, RouteKind, Taken
from authz_middleware.policy.routes import Route as Seen
from authz_middleware.policy.segments import Exact, PathTail, Plain, Segment, Typed

__all__ = ["install", "resolve", "routes"]

Scope = MutableMapping[str, Any]
Handle = Callable[[Scope, Any, Any], Awaitable[None]]

_MAX_DEPTH: Final = 32
"""Mounts inside of mounts; more are a cycle."""

_OURS: Final = "_authz_middleware_handle"
"""Marks what has our look before it."""

_PARAMETER = re.compile(
    r"\{([a-zA-Z_][a-zA-Z0-9_]*)(?::([a-zA-Z_][a-zA-Z0-9_]*))?\}"
)  # Starlette's
_WITHIN_A_SEGMENT: Final = frozenset({"str", "int", "float", "uuid"})


class _Key:
    """Names a route by its identity, since routes cannot be hashed; and keeps it alive."""

    __slots__ = ("route",)

    def __init__(self, route: object) -> None:
        self.route = route

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.route is other.route

    def __hash__(self) -> int:
        return id(self.route)

    def __repr__(self) -> str:
        return repr(self.route)


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A route at which the walk ends, and the object whose `handle` the router calls for it."""

    route: Any
    text: str
    segments: tuple[Segment, ...]
    methods: frozenset[str] | None
    endpoint: str
    kind: RouteKind
    host: str

    @property
    def taken(self) -> Taken:
        return "", _Key(self.route)


def routes(app: object) -> Iterator[Seen]:
    """Yield every route below `app`, mounts and hosts followed."""
    for leaf in _leaves(app):
        yield Seen(
            leaf.taken,
            leaf.text,
            leaf.segments,
            leaf.methods,
            leaf.endpoint,
            kind=leaf.kind,
            host=leaf.host,
        )


def install(app: object) -> frozenset[Taken]:
    """Have every route look again before it handles, also those that are added later."""
    guarded = {leaf.taken for leaf in _leaves(app) if _guard(leaf.route)}
    for router in _routers(app):
        _watch(router)
    return frozenset(guarded)


def resolve(app: object, scope: MutableMapping[str, Any]) -> Taken | Resolved:
    """Say which route the routers would take."""
    router = _router(app)
    if scope.get("type") not in ("http", "websocket"):
        return NO_ROUTE
    if router is None:
        return UNSEEN
    return _resolved(router, {**scope, "path_params": {}}, _MAX_DEPTH)


# --- The walk ---


def _router(app: Any) -> Any:
    """Return the router of an app, or the one that `app` is or stands before; None if unknown."""
    for _ in range(_MAX_DEPTH):
        if isinstance(app, Router):
            return app
        app = getattr(app, "router", None) or getattr(app, "app", None)
        if app is None:
            return None
    return None


def _routers(app: object) -> Iterator[Router]:
    pending: list[Any] = [_router(app)]
    seen: set[int] = set()
    while pending:
        router = pending.pop()
        if router is None or id(router) in seen:
            continue
        seen.add(id(router))
        yield router
        for node in router.routes:
            if isinstance(node, (Mount, Host)):
                pending.append(_router(node.app))
            elif hasattr(node, "original_router"):  # FastAPI's node for an included router
                pending.append(node.original_router)


def _leaves(app: object) -> Iterator[_Leaf]:
    router = _router(app)
    if router is not None:
        yield from _below(router, "", (), "", _MAX_DEPTH)


def _below(
    router: Any, text: str, segments: tuple[Segment, ...], host: str, depth: int
) -> Iterator[_Leaf]:
    for node in router.routes:
        yield from _node(node, text, segments, host, depth)
    for node in getattr(router, "_low_priority_routes", ()):  # files that FastAPI serves last
        yield _opaque(node, text, segments, host)
    default = getattr(router.default, "__func__", router.default)
    if default is not Router.not_found:
        yield _opaque(router.default, text, segments, host)


def _node(
    node: Any, text: str, segments: tuple[Segment, ...], host: str, depth: int
) -> Iterator[_Leaf]:
    if depth == 0:
        yield _opaque(node, text, segments, host)
    elif isinstance(node, (Mount, Host)):
        yield from _mounted(node, text, segments, host, depth)
    elif isinstance(node, WebSocketRoute):
        yield _leaf(node, node, text, segments, host, frozenset({"WS"}))
    elif isinstance(node, Route):
        yield _leaf(node, node, text, segments, host, _methods(node))
    elif hasattr(node, "effective_route_contexts"):
        for context in node.effective_route_contexts():
            handled = context.starlette_route
            if handled is not None:
                yield from _node(handled, text, segments, host, depth - 1)
            elif isinstance(context.original_route, Route):
                original = context.original_route
                yield _leaf(original, context, text, segments, host, _methods(context))
            else:
                yield _opaque(context.original_route, text, segments, host)
    else:
        yield _opaque(node, text, segments, host)


def _mounted(
    node: Any, text: str, segments: tuple[Segment, ...], host: str, depth: int
) -> Iterator[_Leaf]:
    if isinstance(node, Host):
        host = node.host
    else:
        text, segments = text + node.path, (*segments, *_segments(node.path))
    app = node.app
    if isinstance(app, StaticFiles):
        below = (*segments, PathTail("path"))
        yield _Leaf(node, f"{text}/**", below, None, where(app), "static", host)
    elif (router := _router(app)) is not None:
        yield from _below(router, text, segments, host, depth - 1)
    else:
        yield _opaque(node, text, segments, host, app)


def _leaf(
    route: Any,
    described: Any,
    text: str,
    segments: tuple[Segment, ...],
    host: str,
    methods: frozenset[str] | None,
) -> _Leaf:
    path = described.path
    whole = (*segments, *_segments(path))
    return _Leaf(route, text + path, whole, methods, where(route.endpoint), "handler", host)


def _opaque(
    node: Any, text: str, segments: tuple[Segment, ...], host: str, app: Any = None
) -> _Leaf:
    below = (*segments, PathTail("path"))
    return _Leaf(node, f"{text}/**", below, None, where(app or node), "opaque", host)


def _methods(route: Any) -> frozenset[str] | None:
    return frozenset(route.methods) if route.methods else None


def _segments(path: str) -> Iterator[Segment]:
    for piece in path.split("/"):
        if piece:
            yield _segment(piece)


def _segment(piece: str) -> Segment:
    found: list[tuple[str, str]] = _PARAMETER.findall(piece)
    if not found:
        return Exact(piece)
    kinds = [kind or "str" for _, kind in found]
    if not _WITHIN_A_SEGMENT.issuperset(kinds):
        return PathTail(piece)  # `path`, or a converter of the app's own
    if _PARAMETER.fullmatch(piece):
        match kinds[0]:
            case "int" | "float" | "uuid" as kind:
                return Typed(kind, piece)
            case _:
                return Plain(piece)
    return Plain(piece)


# --- The look ---


def _guard(route: Any) -> bool:
    """Put the look before a route's handler, once; say whether it stands there."""
    if not isinstance(route, BaseRoute):
        return False
    handle: Handle = route.handle
    if getattr(handle, _OURS, False):
        return True
    taken: Taken = ("", _Key(route))

    async def look(scope: Scope, receive: Any, send: Any) -> None:
        kind = scope["type"]
        method = "GET" if kind == "websocket" else scope["method"]
        methods = getattr(route, "methods", None)
        if not methods or kind == "websocket" or method in methods:  # else it answers 405
            look_again(scope, Routed(taken, kind, method, scope["path"]))
        await handle(scope, receive, send)

    setattr(look, _OURS, True)
    try:
        route.handle = look  # type: ignore[method-assign]
    except AttributeError:  # a class of the app's own that allows no attributes
        return False
    return True


def _watch(router: Any) -> None:
    """Guard what is added to a router after the start: it has no rule, so `default` decides."""
    stack: Handle = router.middleware_stack
    if getattr(stack, _OURS, False):
        return
    known = _version(router)

    async def watch(scope: Scope, receive: Any, send: Any) -> None:
        nonlocal known
        if (version := _version(router)) != known:
            for leaf in _leaves(router):
                _guard(leaf.route)
            known = version
        await stack(scope, receive, send)

    setattr(watch, _OURS, True)
    router.middleware_stack = watch


def _version(router: Any) -> tuple[int, int]:
    included = getattr(router, "_get_routes_version", None)  # FastAPI's: changes below count too
    return len(router.routes), included() if included is not None else 0


# --- Which route ---


def _resolved(router: Any, scope: Scope, depth: int) -> Taken | Resolved:
    partial = False
    for node in router.routes:
        match, child = node.matches(scope)
        if match is Match.FULL:
            return _within(node, {**scope, **child}, depth)
        partial = partial or match is Match.PARTIAL
    if partial:
        return NO_ROUTE  # 405
    default = getattr(router.default, "__func__", router.default)
    if getattr(router, "_low_priority_routes", ()) or default is not Router.not_found:
        return UNSEEN
    return NO_ROUTE


def _within(node: Any, scope: Scope, depth: int) -> Taken | Resolved:
    if isinstance(node, Route | WebSocketRoute):
        return "", _Key(node)
    if depth and isinstance(node, (Mount, Host)):
        router = None if isinstance(node.app, StaticFiles) else _router(node.app)
        return ("", _Key(node)) if router is None else _resolved(router, scope, depth - 1)
    found = getattr(node, "_match", None)  # FastAPI's node for an included router
    if not depth or found is None:
        return UNSEEN
    _, child, route, _ = found(scope)
    return UNSEEN if route is None else _within(route, {**scope, **child}, depth - 1)
