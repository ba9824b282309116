"""Werkzeug: the rules of a URL map, in our words, and the rule that a request takes.

Also what its `DispatcherMiddleware` mounts, each by the module of its own framework.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.routing import Map, MapAdapter, Rule
from werkzeug.routing import converters as known

from authz_middleware import frameworks
from authz_middleware.frameworks.inside import look_again_wsgi
from authz_middleware.frameworks.mounts import below, named_below, watch
from authz_middleware.frameworks.patterns import ignores_case
from authz_middleware.policy.canonical import from_wsgi
from authz_middleware.policy.converters import Kind
from authz_middleware.policy.routes import NO_ROUTE, UNSEEN, Resolved, Route, RouteKind, Taken
from authz_middleware.policy.segments import AnyOf, Exact, PathTail, Plain, Segment, Typed

__all__ = ["between", "install", "key", "matched", "prepare", "resolve", "routes", "rule_routes"]

_KINDS: Mapping[type[known.BaseConverter], Kind] = {
    known.IntegerConverter: "int",
    known.FloatConverter: "float",
    known.UUIDConverter: "uuid",
}


def prepare(app: Map | DispatcherMiddleware) -> None:
    """Prepare whatever is mounted."""
    for _, mounted in _mounts(app):
        frameworks.prepare(mounted)


def between(app: Map | DispatcherMiddleware) -> Iterator[str]:
    """Yield what stands around, and inside of, what is mounted."""
    for _, mounted in _mounts(app):
        yield from frameworks.see(mounted).unseen()


def routes(app: Map | DispatcherMiddleware) -> Iterable[Route]:
    """Yield the rules of a map that is handed over as such, or the routes of what is mounted."""
    if isinstance(app, Map):
        yield from rule_routes(app, str)
        return
    for mount, mounted in _mounts(app):
        for route in frameworks.see(mounted).routes():
            yield below(_as_text(mount), route)


def resolve(app: Map | DispatcherMiddleware, environ: Mapping[str, Any]) -> Taken | Resolved:
    """Say which rule a request takes."""
    if isinstance(app, Map):
        taken = matched(app.bind_to_environ(dict(environ)))
        # Which subdomain is asked for depends on the server's name, which only the app knows.
        named = not app.host_matching and any(rule.subdomain for rule in app.iter_rules())
        return UNSEEN if named and taken is NO_ROUTE else taken
    mount, mounted, rest = _dispatched(app, environ)
    within = {**environ, "PATH_INFO": rest, "SCRIPT_NAME": environ.get("SCRIPT_NAME", "") + mount}
    taken = frameworks.see(mounted).resolve(within)
    return taken if isinstance(taken, Resolved) else named_below(_as_text(mount), taken)


def install(app: Map | DispatcherMiddleware) -> frozenset[Taken]:
    """Install in whatever is mounted; a map has no hook. What is mounted later is not known."""
    if isinstance(app, DispatcherMiddleware):
        watch(app, _late)
    return frozenset(
        named_below(_as_text(mount), taken)
        for mount, mounted in _mounts(app)
        for taken in frameworks.see(mounted).install()
    )


def _late(prefix: str, app: Any) -> Any:
    def look(environ: Any, start_response: Any) -> Any:
        look_again_wsgi(environ, ("mounted late", prefix), late=True)
        return app(environ, start_response)

    return look


# --- Maps ---


def key(rule: Rule) -> Hashable:
    """Return what names a rule among those of its map; rules themselves cannot be hashed."""
    methods = None if rule.methods is None else frozenset(rule.methods)
    return rule.rule, rule.endpoint, methods, rule.host or rule.subdomain, rule.websocket


def matched(adapter: MapAdapter) -> Taken | Resolved:
    """Return the rule that the adapter's request takes; a redirect runs no handler."""
    try:
        rule, _ = adapter.match(return_rule=True)
    except HTTPException:
        return NO_ROUTE
    return "", key(rule)


def rule_routes(url_map: Map, endpoint: Callable[[Any], str]) -> Iterator[Route]:
    """Yield the rules of `url_map`; `endpoint` tells where to look for what one stands for."""
    for rule in url_map.iter_rules():
        if rule.build_only:
            continue
        methods = None if rule.methods is None else frozenset(rule.methods)
        answered = getattr(rule, "provide_automatic_options", False)  # Flask's
        yield Route(
            ("", key(rule)),
            rule.rule,
            tuple(_segments(rule)),
            frozenset({"WS"}) if rule.websocket else methods,
            endpoint(rule.endpoint),
            kind=_kind(rule),
            automatic=frozenset({"OPTIONS"}) if answered else frozenset(),
            host=(rule.host if url_map.host_matching else rule.subdomain) or "",
            exact=not any(ignores_case(each.regex) for each in rule._converters.values()),  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        )


def _kind(rule: Rule) -> RouteKind:
    if rule.redirect_to is not None:
        return "redirect"
    # By this name Flask and Quart serve the files of an app, or of a blueprint.
    name = rule.endpoint
    return "static" if isinstance(name, str) and name.split(".")[-1] == "static" else "handler"


def _segments(rule: Rule) -> Iterator[Segment]:
    """Yield what a rule takes, segment by segment.

    What Werkzeug itself has made of the rule is in `_trace`: texts, slashes apart, and names of
    variables, behind a `|` those of the path.
    """
    pieces: list[tuple[bool, str]] = []
    trace: list[tuple[bool, str]] = rule._trace  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    for piece in (*trace[trace.index((False, "|")) + 1 :], (False, "/")):
        if piece != (False, "/"):
            pieces.append(piece)
        elif pieces:
            yield _segment(rule, pieces)
            pieces = []


def _segment(rule: Rule, pieces: list[tuple[bool, str]]) -> Segment:
    text = "".join(f"<{piece}>" if variable else piece for variable, piece in pieces)
    known_to: Mapping[str, known.BaseConverter] = rule._converters  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    converters = [known_to[piece] for variable, piece in pieces if variable]
    if not converters:
        return Exact(text)
    if not all(converter.part_isolating for converter in converters):
        return PathTail(text)
    converter = converters[0]
    if len(pieces) == 1 and type(converter) in _KINDS:
        return Typed(_KINDS[type(converter)], text)
    if len(pieces) == 1 and type(converter) is known.AnyConverter:
        return AnyOf(tuple(sorted(converter.items)), text)
    return Plain(text)


# --- DispatcherMiddleware ---


def _mounts(app: Map | DispatcherMiddleware) -> Iterator[tuple[str, Any]]:
    if isinstance(app, DispatcherMiddleware):
        yield from app.mounts.items()
        yield "", app.app


def _as_text(mount: str) -> str:
    """Return how a path that begins with the mount reads: it is written as PATH_INFO is."""
    text = from_wsgi(mount)
    return mount if text is None else text


def _dispatched(app: DispatcherMiddleware, environ: Mapping[str, Any]) -> tuple[str, Any, str]:
    """Return the mount that a request goes to, what is mounted there, and the path left for it."""
    path = environ.get("PATH_INFO", "")
    script, rest = path, ""
    while "/" in script:
        if script in app.mounts:
            return script, app.mounts[script], rest
        script, _, last = script.rpartition("/")
        rest = f"/{last}{rest}"
    return ("", app.app, path) if script not in app.mounts else (script, app.mounts[script], rest)
