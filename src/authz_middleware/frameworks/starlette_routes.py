"""Starlette's and FastAPI's route tables, and which route their routers take for a request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from starlette.routing import Host, Match, Mount, Route, Router, WebSocketRoute

from authz_middleware.frameworks.starlette_layers import (
    Scope,
    behind,
    is_own,
    unknown,
    unknown_within,
)
from authz_middleware.frameworks.starlette_nodes import (
    Branch,
    Entry,
    Key,
    Leaf,
    default_of,
    text_of,
    walk,
)
from authz_middleware.policy.routes import NO_ROUTE, UNSEEN, Resolved, Taken
from authz_middleware.policy.routes import Route as Seen

__all__ = ["between", "resolve", "routes"]

_MAX_DEPTH: Final = 32
"""Mounts inside of mounts; more are a cycle."""


def routes(app: object) -> Iterator[Seen]:
    """Yield every route below `app`, mounts and hosts followed."""
    for leaf in walk(app):
        if isinstance(leaf, Leaf):
            tail = "/**" if leaf.kind != "handler" else ""
            yield Seen(
                leaf.taken,
                leaf.at.path + leaf.text + tail,
                leaf.segments,
                leaf.methods,
                leaf.endpoint,
                kind=leaf.kind,
                host=leaf.at.host,
            )


def between(app: object) -> Iterator[str]:
    """Yield the names of middlewares inside of `app` that may do anything."""
    yield from unknown(app)
    for found in walk(app):
        if isinstance(found, Entry) and found.included is None:
            yield from unknown_within(found.router)
        elif isinstance(found, Branch):
            yield from unknown(found.node.app)


def resolve(app: object, scope: Scope) -> Taken | Resolved:
    """Say which route the routers would take."""
    router = behind(app)
    if scope.get("type") not in ("http", "websocket"):
        return NO_ROUTE
    if not isinstance(router, Router):
        return UNSEEN
    return _resolved(router, {**scope, "path_params": {}}, ())


def _resolved(router: Any, scope: Scope, place: tuple[str, ...]) -> Taken | Resolved:
    partial = False
    for node in router.routes:
        match, child = node.matches(scope)
        if match is Match.FULL:
            return _within(node, node, {**scope, **child}, place)
        partial = partial or match is Match.PARTIAL
    if partial:
        return NO_ROUTE  # 405
    if getattr(router, "_low_priority_routes", ()) or default_of(router) is not None:
        return UNSEEN
    return NO_ROUTE


def _within(node: Any, declared: Any, scope: Scope, place: tuple[str, ...]) -> Taken | Resolved:
    if not is_own(node, "matches"):
        return UNSEEN
    if isinstance(node, Route | WebSocketRoute):
        return place, node.path, Key(declared)
    if isinstance(node, (Mount, Host)):
        place = (*place, text_of(node))
        end = behind(node.app)
        if not isinstance(end, Router):
            return place, "", Key(declared)
        return UNSEEN if len(place) > _MAX_DEPTH else _resolved(end, scope, place)
    found = getattr(node, "_match", None)  # FastAPI's node for an included router
    if found is None:
        return UNSEEN
    _, child, route, context = found(scope)
    if route is None:
        return UNSEEN
    if context is None:
        return _within(route, route, {**scope, **child}, place)
    if context.starlette_route is None:
        return (place, context.path, Key(route)) if is_own(route, "matches") else UNSEEN
    return _within(route, context.original_route, {**scope, **child}, place)
