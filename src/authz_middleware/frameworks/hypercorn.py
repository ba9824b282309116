"""Hypercorn's dispatcher, which mounts Quart apps: what is mounted, each by its own module.

An app gets its path whole, and the mount behind `root_path`; so only apps that cut that off as it
comes are followed. The others are opaque.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal

from authz_middleware import frameworks
from authz_middleware.effects import Routed
from authz_middleware.frameworks import Seen
from authz_middleware.frameworks.inside import look_again
from authz_middleware.frameworks.mounts import below, named_below, watch
from authz_middleware.policy.routes import NO_ROUTE, Resolved, Route, Taken

__all__ = ["install", "prepare", "resolve", "routes"]

_FOLLOWED: Final = ("hypercorn", "litestar", "quart")


def prepare(app: Any) -> None:
    """Prepare whatever is mounted."""
    for mounted in app.mounts.values():
        frameworks.prepare(mounted)


def routes(app: Any) -> Iterable[Route]:
    """Yield the routes of what is mounted."""
    for mount, seen in _mounts(app):
        for route in seen.routes():
            yield below(mount.removesuffix("/"), route)


def resolve(app: Any, scope: Mapping[str, Any]) -> Taken | Resolved:
    """Say which route is taken of the first mount that the path begins with."""
    for mount, seen in _mounts(app):
        if not scope["path"].startswith(mount):
            continue
        place = mount.removesuffix("/")
        if scope["path"][len(place) : len(place) + 1] not in ("", "/"):
            # `/shopping` for what is mounted at `/shop`: some apps would serve `/ping`.
            raise ValueError(f"{scope['path']!a} is dispatched to {mount!a}, but is not below it")
        taken = seen.resolve({**scope, "root_path": scope.get("root_path", "") + mount})
        return taken if isinstance(taken, Resolved) else named_below(place, taken)
    return NO_ROUTE


def install(app: Any) -> frozenset[Taken]:
    """Install in whatever is mounted. What is mounted later is not known."""
    watch(app, _late)
    return frozenset(
        named_below(mount.removesuffix("/"), taken)
        for mount, seen in _mounts(app)
        for taken in seen.install()
    )


def _late(prefix: str, app: Any) -> Any:
    async def look(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] in ("http", "websocket"):
            kind: Literal["http", "websocket"] = scope["type"]
            method = scope.get("method", "GET")
            taken = "mounted late", prefix
            look_again(scope, Routed(taken, kind, method, scope["path"] or "/", late=True))
        await app(scope, receive, send)

    return look


def _mounts(app: Any) -> Iterator[tuple[str, Seen]]:
    for mount, mounted in app.mounts.items():
        found, seen = frameworks.find(mounted), frameworks.see(mounted)
        followed = found is not None and found.module in _FOLLOWED and not seen.between
        yield mount, seen if followed else seen._replace(framework=None)
