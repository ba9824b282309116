"""What Starlette's and FastAPI's routers hold: every node below an app, and where it is.

Only what is sure is told: a route whose class, or whose own attributes, decide otherwise than the
framework which paths it takes is opaque.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from starlette import convertors
from starlette.routing import (
    PARAM_REGEX,
    Host,
    Mount,
    Route,
    Router,
    WebSocketRoute,
    compile_path,
)
from starlette.staticfiles import StaticFiles

from authz_middleware.frameworks.endpoints import where
from authz_middleware.frameworks.starlette_layers import Before, behind, is_own
from authz_middleware.policy.routes import RouteKind, Taken
from authz_middleware.policy.segments import Exact, PathTail, Plain, Segment, Typed

__all__ = [
    "Branch",
    "Entry",
    "Front",
    "Key",
    "Leaf",
    "Node",
    "default_of",
    "text_of",
    "walk",
]

_KINDS: Final[dict[type, Literal["str", "int", "float", "uuid"]]] = {
    convertors.StringConvertor: "str",
    convertors.IntegerConvertor: "int",
    convertors.FloatConvertor: "float",
    convertors.UUIDConvertor: "uuid",
}
"""Converters that take no slash. By their class: their names can be given to others."""


class Key:
    """Names a route by its identity, since routes cannot be hashed; and keeps it alive."""

    __slots__ = ("route",)

    def __init__(self, route: object) -> None:
        self.route = route

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and self.route is other.route

    def __hash__(self) -> int:
        return id(self.route)

    def __repr__(self) -> str:
        return repr(self.route)


class Below(NamedTuple):
    """Where the walk has come to.

    `place` names the mounts and hosts that were passed, as they are written; `routers` by identity
    the routers.
    """

    place: tuple[str, ...] = ()
    path: str = ""
    segments: tuple[Segment, ...] = ()
    host: str = ""
    routers: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Leaf:
    """A route at which the walk ends: `node` is called for it, `declared` is what the app has.

    `text` is its path below `at`, as written.
    """

    at: Below
    node: Any
    declared: Any
    text: str
    segments: tuple[Segment, ...]
    methods: frozenset[str] | None
    endpoint: str
    kind: RouteKind

    @property
    def taken(self) -> Taken:
        """What names it, since the same route may be in several places."""
        return self.at.place, self.text, Key(self.declared)


class Branch(NamedTuple):
    """A mount or a host, behind which a router is found."""

    node: Any
    declared: Any
    text: str = ""  # its own router gives the routes theirs


class Front(NamedTuple):
    """Files of a router that FastAPI includes: `app` is called for them."""

    context: Any


class Entry(NamedTuple):
    """A router that requests enter; or one that FastAPI includes, whose parent asks it."""

    router: Router
    included: Any = None


Node: TypeAlias = Leaf | Branch | Entry | Front


def walk(app: object) -> Iterator[Node]:
    """Yield every route, mount and router below `app`."""
    router = behind(app)
    if isinstance(router, Router):
        yield from _router(router, Below())


def text_of(node: Any) -> str:
    """Return what names a mount or a host in the place that it makes."""
    return f"//{node.host}" if isinstance(node, Host) else node.path


def default_of(router: Router) -> Any:
    """Return what a router calls where no route matches; None if that is Starlette's 404."""
    default: Any = router.default
    if isinstance(default, Before):
        default = default.inner
    return None if getattr(default, "__func__", default) is Router.not_found else default


def _router(router: Router, at: Below) -> Iterator[Node]:
    yield Entry(router)
    at = at._replace(routers=at.routers | {id(router)})
    for node in router.routes:
        yield from _node(node, node, at)
    yield from _fronts(router, at)
    default = default_of(router)
    if default is not None:
        yield _opaque(router, default, at, default)


def _node(node: Any, declared: Any, at: Below) -> Iterator[Node]:
    if _is_included(node):
        yield from _included(node, at)
    elif isinstance(node, (Mount, Host)) and _is_plain(node):
        yield from _mounted(node, declared, at)
    elif isinstance(node, Route | WebSocketRoute) and _is_plain(node):
        yield _leaf(node, declared, node, at)
    else:
        yield _opaque(node, declared, at)


def _included(node: Any, at: Below) -> Iterator[Node]:
    yield Entry(node.original_router, node)
    for context in node.effective_route_contexts():
        original, handled = context.original_route, context.starlette_route
        if handled is not None:
            yield from _node(handled, original, at)
        elif isinstance(original, Route) and _is_plain(original, context):
            yield _leaf(original, original, context, at)
        else:
            yield _opaque(original, original, at)


def _mounted(node: Any, declared: Any, at: Below) -> Iterator[Node]:
    text = text_of(node)
    below = at._replace(place=(*at.place, text))
    if isinstance(node, Host):
        below = below._replace(host=node.host)
    else:
        segments = (*at.segments, *_segments(node))
        below = below._replace(path=at.path + node.path, segments=segments)
    end = behind(node.app)
    if isinstance(end, Router) and id(end) not in at.routers:
        yield Branch(node, declared)
        yield from _router(end, below)
    else:
        kind: RouteKind = "static" if isinstance(end, StaticFiles) else "opaque"
        segments = (*below.segments, PathTail("path"))
        yield Leaf(below, node, declared, "", segments, None, where(end or node.app), kind)


def _fronts(router: Any, at: Below) -> Iterator[Node]:
    """Files that FastAPI serves where no route matches."""
    for group in getattr(router, "_low_priority_routes", ()):
        yield from _front(group, "", at)
    for node in router.routes:
        if _is_included(node) and hasattr(node, "effective_low_priority_routes"):
            for context in node.effective_low_priority_routes():
                yield Front(context)
                yield from _front(context.original_route, context.frontend_prefix, at)


def _front(group: Any, prefix: str, at: Below) -> Iterator[Leaf]:
    if not hasattr(group, "_match") or not is_own(group, "matches", "handle"):
        yield _opaque(group, group, at)
        return
    for route in group.routes:
        text: str = prefix + route.path.rstrip("/")
        folders = map(Exact, filter(None, text.split("/")))
        segments = (*at.segments, *folders, PathTail("path"))
        methods, endpoint = frozenset[str](route.methods), where(route.app)
        yield Leaf(at, group, route, text, segments, methods, endpoint, "static")


def _is_included(node: Any) -> bool:
    """Whether this is FastAPI's node for an included router."""
    return hasattr(node, "effective_route_contexts") and is_own(node, "matches", "handle")


def _is_plain(node: Any, context: Any = None) -> bool:
    """Whether a node takes the paths that it is written with, and no others."""
    described = node if context is None else context
    of_host = isinstance(node, Host)
    text: str = described.host if of_host else described.path
    regex = described.host_regex if of_host else described.path_regex
    written = f"{text}/{{path:path}}" if isinstance(node, Mount) else text
    return is_own(node, "matches") and regex == compile_path(written)[0]


def _leaf(node: Any, declared: Any, described: Any, at: Below) -> Leaf:
    methods: frozenset[str] | None = frozenset({"WS"})
    if not isinstance(node, WebSocketRoute):
        named: set[str] = described.methods
        methods = frozenset(named) if named else None
    segments = (*at.segments, *_segments(described))
    text, endpoint = described.path, where(described.endpoint)
    return Leaf(at, node, declared, text, segments, methods, endpoint, "handler")


def _opaque(node: Any, declared: Any, at: Below, shown: Any = None) -> Leaf:
    segments = (*at.segments, PathTail("path"))
    return Leaf(at, node, declared, "", segments, None, where(shown or node), "opaque")


def _segments(described: Any) -> Iterator[Segment]:
    for piece in described.path.split("/"):
        if piece:
            yield _segment(piece, described.param_convertors)


def _segment(piece: str, convertors: dict[str, object]) -> Segment:
    found: list[tuple[str, str]] = PARAM_REGEX.findall(piece)
    if not found:
        return Exact(piece)
    kinds = [_KINDS.get(type(convertors.get(name))) for name, _ in found]
    if None in kinds:
        return PathTail(piece)  # `path`, or a converter of the app's own
    match kinds[0] if PARAM_REGEX.fullmatch(piece) else None:
        case "int" | "float" | "uuid" as kind:
            return Typed(kind, piece)
        case _:
            return Plain(piece)
