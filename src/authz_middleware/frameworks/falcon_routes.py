"""Falcon: its routes, sinks and static routes, and the look between router and responder.

The look stands around the router's search, which both kinds of app make for each request:
`process_resource` is not called for sinks, static routes and resources that are false.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Literal

from falcon import Request
from falcon.asgi import App as AsgiApp
from falcon.asgi import Request as AsgiRequest
from falcon.routing import CompiledRouter
from falcon.routing import converters as known

from authz_middleware.effects import Routed
from authz_middleware.frameworks.endpoints import where
from authz_middleware.frameworks.inside import look_again, mount_of
from authz_middleware.frameworks.patterns import segments_of
from authz_middleware.policy.canonical import from_wsgi
from authz_middleware.policy.converters import Kind
from authz_middleware.policy.routes import NO_ROUTE, UNSEEN, Resolved, Route, Taken
from authz_middleware.policy.segments import DoubleStar, Exact, PathTail, Plain, Segment, Typed

__all__ = ["install", "resolve", "routes"]

_plain = re.compile(r"(?:/[\w-]*)+", re.ASCII).fullmatch

_KINDS: Final[Mapping[type[Any], Kind]] = {
    known.IntConverter: "int",
    known.FloatConverter: "float",
    known.UUIDConverter: "uuid",
}


def routes(app: Any) -> Iterable[Route]:
    """Yield the routes of the compiled router, then what answers where none matches."""
    router = _router(app)
    if router is None:
        yield _opaque(("router", ""), where(getattr(app, "_router", None)))
    else:
        converters = router.options.converters.data
        for node in getattr(router, "_roots", ()):
            yield from _routes(node, (), converters)
    for matcher, answering, is_sink in getattr(app, "_sink_and_static_routes", ()):
        yield _sink(matcher, answering) if is_sink else _static(matcher)


def resolve(app: Any, request: Mapping[str, Any]) -> Taken | Resolved:
    """Say which route Falcon would find, or which sink."""
    if _router(app) is None or app._request_type not in (Request, AsgiRequest):  # noqa: SLF001 - nothing public tells
        return UNSEEN
    asgi = isinstance(app, AsgiApp)
    websocket = asgi and request["type"] == "websocket"
    path = request["path"] if asgi else from_wsgi(request.get("PATH_INFO", ""))
    if path is None:
        return UNSEEN
    if app.req_options.strip_url_path_trailing_slash and len(path) > 1:
        path = path.removesuffix("/")
    method = request.get("method" if asgi else "REQUEST_METHOD", "")
    path = path or "/"
    taken, _ = _taken(app, _search(app)(path), path, "WEBSOCKET" if websocket else method)
    return NO_ROUTE if taken is None else ("", taken)


def install(app: Any) -> frozenset[Taken]:
    """Put the look around the search, if this Falcon searches as those that we know."""
    search = getattr(app, "_router_search", None)
    if search is None:
        return frozenset()
    if not isinstance(search, _Look):
        app._router_search = search = _Look(app, search)  # noqa: SLF001 - there is no public hook for all
    known = frozenset(route.taken for route in routes(app))
    search.known = known if _router(app) is not None else None
    return known


class _Look:
    """The router's search, and then the look at what it has found."""

    def __init__(self, app: Any, search: Callable[..., Any]) -> None:
        self.app = app
        self.search = search
        self.known: frozenset[Taken] | None = None  # or what was there at the start
        self._asgi = isinstance(app, AsgiApp)

    def __call__(self, path: str, req: Any = None) -> Any:
        found = self.search(path, req=req)
        websocket = req.is_websocket
        taken, matched = _taken(self.app, found, path, "WEBSOCKET" if websocket else req.method)
        if taken is None:
            return found  # 404 and 405 are Falcon's
        if self._asgi:  # Falcon routes on the whole path: whatever it is mounted under is in it
            carrier, mount = req.scope, ""
        else:
            carrier = req.env
            mount = mount_of(carrier, from_wsgi(carrier.get("PATH_INFO", "") or "/") or "")
        kind: Literal["http", "websocket"] = "websocket" if websocket else "http"
        late = self.known is not None and ("", taken) not in self.known
        asked = Routed((mount, taken), kind, req.method, mount + path, late)
        look_again(carrier, asked)
        if matched is not None and "/" not in path[matched - 1 : matched + 1] and path[matched:]:
            # `/files` is the start of `/filesystem` to a sink, which must be allowed below it too.
            look_again(carrier, asked._replace(path=f"{mount}{path[:matched]}/{path[matched:]}"))
        return found


def _router(app: Any) -> CompiledRouter | None:
    """Return the router if it is Falcon's own, and nothing else is asked in its place."""
    router = getattr(app, "_router", None)
    if not isinstance(router, CompiledRouter) or type(router).find is not CompiledRouter.find:
        return None
    return router if getattr(app, "_router_search", None) and _search(app) == router.find else None


def _search(app: Any) -> Callable[..., Any]:
    search: Any = app._router_search  # noqa: SLF001 - nothing public tells
    return search.search if isinstance(search, _Look) else search


def _taken(app: Any, found: Any, path: str, method: str) -> tuple[Any, int | None]:
    """Return what names what Falcon runs, if it is the app's, and the end of a sink's match."""
    if found is not None and found[0] is not None:
        responder = found[1].get(method)
        if responder is None or _is_refusal(responder):
            return None, None
        return ("route", found[3] if len(found) > 3 else None), None
    for matcher, _, is_sink in getattr(app, "_sink_and_static_routes", ()):
        if matched := matcher.match(path):
            if not is_sink:
                return _static_key(matcher), None
            return _sink_key(matcher), matched.end() or None
    return None, None


def _is_own(responder: Any) -> bool:
    return getattr(responder, "__module__", "") == "falcon.responders"


def _is_refusal(responder: Any) -> bool:
    """Whether it is Falcon's 405: it has no other responder of its own but that of OPTIONS."""
    return _is_own(responder) and not responder.__name__.startswith("options_")


# --- The compiled router ---


def _routes(
    node: Any, above: tuple[Segment, ...], converters: Mapping[str, type[Any]]
) -> Iterator[Route]:
    segments = (*above, *_segments(node, converters))
    if node.method_map is not None and node.resource is not None:
        yield _route(node, segments)
    for child in node.children:
        yield from _routes(child, segments, converters)


def _route(node: Any, segments: tuple[Segment, ...]) -> Route:
    served = {
        "WS" if method == "WEBSOCKET" else method: responder
        for method, responder in node.method_map.items()
        if not _is_refusal(responder)
    }
    return Route(
        ("", ("route", node.uri_template)),
        node.uri_template,
        segments,
        frozenset(served),
        where(node.resource),
        automatic=frozenset(method for method, each in served.items() if _is_own(each)),
    )


def _segments(node: Any, converters: Mapping[str, type[Any]]) -> Iterator[Segment]:
    text = node.raw_segment
    if not node.is_var:
        if text:  # else what is left behind a trailing slash
            yield Exact(text)
        return
    used: list[Any] = [converters.get(name) for _, name, _ in node.var_converter_map]
    if any(each is None or getattr(each, "CONSUME_MULTIPLE_SEGMENTS", False) for each in used):
        yield PathTail(text)
    elif used and not node.is_complex and (kind := _KINDS.get(used[0] or object)):
        yield Typed(kind, text)
    else:
        yield Plain(text)


# --- Sinks and static routes ---


def _sink(matcher: Any, sink: object) -> Route:
    """A sink takes what begins as its expression says, to wherever it says so."""
    pattern = getattr(matcher, "pattern", None)
    if not isinstance(pattern, str) or not _plain(pattern):
        return _opaque(_sink_key(matcher), where(sink), str(pattern))
    *whole, last = segments_of([f"{pattern}*"])
    begun: tuple[Segment, ...] = () if last == Exact("*") else (Plain(f"{pattern}*"),)
    return _opaque(_sink_key(matcher), where(sink), f"{pattern}*", (*whole, *begun))


def _sink_key(matcher: Any) -> tuple[str, Any]:
    return "sink", getattr(matcher, "pattern", matcher)


def _opaque(
    key: tuple[str, Any], endpoint: str, text: str = "/**", above: tuple[Segment, ...] = ()
) -> Route:
    segments = (*above, DoubleStar())
    return Route(("", key), text, segments, None, endpoint, kind="opaque")


def _static(matcher: Any) -> Route:
    prefix = getattr(matcher, "_prefix", None)
    if not isinstance(prefix, str):
        return _opaque(_static_key(matcher), where(matcher))
    segments = (*segments_of([prefix]), PathTail("file"))
    text = f"{prefix}{{file}}"
    return Route(("", _static_key(matcher)), text, segments, None, where(matcher), kind="static")


def _static_key(matcher: Any) -> tuple[str, Any]:
    return "static", getattr(matcher, "_prefix", matcher)
