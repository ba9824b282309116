"""Bottle: its routes, what it mounts, and the look between router and callback.

The look stands around the router's `match`: a plugin is not asked where a route skips it, as those
of mounted WSGI apps do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from bottle import HTTPError, HTTPResponse, Router  # type: ignore[import-untyped]  # no types

from authz_middleware import frameworks
from authz_middleware.effects import Routed
from authz_middleware.errors import AccessDenied
from authz_middleware.frameworks.endpoints import where
from authz_middleware.frameworks.inside import look_again, mount_of
from authz_middleware.frameworks.mounts import below, named_below
from authz_middleware.frameworks.patterns import Piece, ignores_case, segments_of, taken_by
from authz_middleware.policy.canonical import from_wsgi
from authz_middleware.policy.routes import NO_ROUTE, UNSEEN, Resolved, Route, Taken
from authz_middleware.policy.segments import DoubleStar, PathTail, Segment, Typed

__all__ = ["between", "install", "refusal", "resolve", "routes"]

_Key: TypeAlias = tuple[str, str]

_ANY: Final = ("ANY", "PROXY")
"""Bottle's names for whatever method is asked."""

_literal = re.compile(r"(?:/[\w.~-]+)+", re.ASCII).fullmatch


def between(app: Any) -> Iterator[str]:
    """Yield what stands around, and inside of, the apps that are mounted as WSGI."""
    for mounted in _followed(app).values():
        yield from frameworks.see(mounted).unseen()


def routes(app: Any) -> Iterable[Route]:
    """Yield the app's routes, those merged into it, and those of the apps mounted as WSGI."""
    if not _is_known(app):
        yield Route(("", ("", "")), "/**", (DoubleStar(),), None, where(app.router), kind="opaque")
        return
    for prefix, mounted in _followed(app).items():
        for route in frameworks.see(mounted).routes():
            yield below(prefix, route)
    # Of routes that are written alike Bottle keeps the last.
    for key, route in {_key(each): each for each in app.routes}.items():
        prefix, mounted = _mounted(route)
        if mounted is None:
            yield _route(app.router, key, route)
        elif not _is_followed(prefix, mounted):
            segments = (*_segments(app.router, prefix), DoubleStar())
            name = where(mounted)
            yield Route(("", key), route.rule, segments, _methods(key), name, kind="opaque")


def resolve(app: Any, environ: Mapping[str, Any]) -> Taken | Resolved:
    """Say which route Bottle's router would match."""
    if not _is_known(app):
        return UNSEEN
    path = _decoded(environ.get("PATH_INFO", ""))
    asked = {"REQUEST_METHOD": environ.get("REQUEST_METHOD", ""), "PATH_INFO": path}
    try:
        route, _ = _search(app)(asked)
    except HTTPResponse:  # 404, 405, and 400 for a number that is none
        return NO_ROUTE
    prefix, mounted = _mounted(route)
    if not _is_followed(prefix, mounted):
        return "", _key(route)
    script = environ.get("SCRIPT_NAME", "") + prefix
    rest = path[len(prefix) :].encode().decode("latin-1")
    taken = frameworks.see(mounted).resolve({**environ, "SCRIPT_NAME": script, "PATH_INFO": rest})
    return taken if isinstance(taken, Resolved) else named_below(prefix, taken)


def install(app: Any) -> frozenset[Taken]:
    """Put the look around the router's `match`, and install in whatever is mounted."""
    search: Any = app.router.match
    if not isinstance(search, _Look):
        app.router.match = search = _Look(app, search)
    search.learn({_key(route): route for route in app.routes} if _is_known(app) else None)
    own = {("", key) for key in search.known or {("", "")}}
    inside = {
        named_below(prefix, taken)
        for prefix, mounted in _followed(app).items()
        for taken in frameworks.see(mounted).install()
    }
    return frozenset(own | inside)


class _Look:
    """The router's `match`, and then the look at what it has found."""

    def __init__(self, app: Any, search: Callable[..., Any]) -> None:
        self._app = app
        self.search = search
        self.known: dict[_Key, Any] | None = None  # or what was there at the start
        self._asked: dict[Any, tuple[_Key | None, bool]] = {}  # by route

    def learn(self, known: dict[_Key, Any] | None) -> None:
        """Take these routes, by their keys, for what was there at the start."""
        self.known, self._asked = known, {}

    def __call__(self, environ: Any) -> Any:
        found = self.search(environ)
        route = found[0]
        if route not in self._asked:
            prefix, mounted = _mounted(route)
            # What is followed looks for itself, if it was there when the looks were put in.
            followed = _is_followed(prefix, mounted) and self._knows(route)
            self._asked[route] = None if followed else _key(route), mounted is not None
        key, is_opaque = self._asked[route]
        if key is not None:
            late = self.known is not None and not (
                self._knows(route) if is_opaque else key in self.known
            )
            self._look(environ, key, is_opaque, late)
        return found

    def _knows(self, route: Any) -> bool:
        return self.known is not None and self.known.get(_key(route)) is route

    def _look(self, environ: Any, key: _Key, is_opaque: bool, late: bool) -> None:
        path = environ.get("PATH_INFO") or "/"
        mount = mount_of(environ, path)
        if is_opaque and not path.isascii():
            # Bottle hands the decoded path on, where the next app takes it for bytes in disguise.
            path = from_wsgi(path) or ""
        method = environ.get("REQUEST_METHOD", "")
        try:
            look_again(environ, Routed((mount, key), "http", method, mount + path, late))
        except AccessDenied as denied:
            # Of anything but a response Bottle writes a traceback.
            raise refusal(self._app, denied) from denied


def refusal(app: Any, denied: AccessDenied) -> Any:
    """Return what Bottle sends; the body may be the app's own page for the status."""
    answer = denied.answer
    if answer.status not in app.error_handler:
        body: Any = answer.body  # a renderer's need not be text
        return HTTPResponse(body, answer.status, list(answer.headers))
    # `@app.error(403)` makes the body; the challenge stays.
    headers = [field for field in answer.headers if not field[0].startswith("content-")]
    return HTTPError(answer.status, exception=denied, headers=headers)


def _is_known(app: Any) -> bool:
    # By name: Bottle has no types.
    own = getattr(app.router.__class__, "match", None)
    return isinstance(app.router, Router) and own is getattr(Router, "match", None)


def _search(app: Any) -> Callable[..., Any]:
    search: Any = app.router.match
    return search.search if isinstance(search, _Look) else search


def _decoded(path: str) -> str:
    return path.encode("latin-1", "ignore").decode("utf-8", "ignore")  # as Bottle does


def _key(route: Any) -> _Key:
    return route.rule, route.method


def _methods(key: _Key) -> frozenset[str] | None:
    method = key[1]
    if method in _ANY:
        return None
    return frozenset({method, "HEAD"} if method == "GET" else {method})


# --- Mounts ---


def _mounted(route: Any) -> tuple[str, Any]:
    """Return the prefix and the app of a route that hands on to a WSGI app."""
    prefix = route.config.get("mountpoint.prefix", "")
    return "/" + prefix.strip("/"), route.config.get("mountpoint.target")


def _is_followed(prefix: str, mounted: Any) -> bool:
    """Whether it is an app that we know, behind a prefix that is always the same."""
    return mounted is not None and bool(_literal(prefix)) and frameworks.find(mounted) is not None


def _followed(app: Any) -> Mapping[str, Any]:
    found = map(_mounted, app.routes)
    return {prefix: mounted for prefix, mounted in found if _is_followed(prefix, mounted)}


# --- Rules ---


def _route(router: Any, key: _Key, route: Any) -> Route:
    return Route(
        ("", key),
        route.rule,
        tuple(_segments(router, route.rule)),
        _methods(key),
        where(route.callback),
        exact=not ignores_case(route.rule),
    )


def _segments(router: Any, rule: str) -> Iterator[Segment]:
    tokens: Any = getattr(router, "_itertokens", None)
    if tokens is None:
        yield PathTail(rule)
        return
    pieces: list[Piece] = []
    for text, mode, conf in tokens(rule):
        if mode:
            pieces.append(_variable(router, text or "", mode, conf))
        elif text:
            pieces.append(text)
    yield from segments_of(pieces)


def _variable(router: Any, name: str, mode: str, conf: str | None) -> Segment:
    made = router.filters[router.default_filter if mode == "default" else mode](conf)
    pattern, convert = made[0], made[1]
    if pattern == r"-?[\d.]+" and convert is float:
        return Typed("float", name)
    return taken_by(pattern, name)
