"""Pyramid: its routes, and the look between router and view.

What traversal finds hangs on the app's own objects, so no template says which paths lead there: it
is one opaque route. The look judges the path, and the plain path of the view that was found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO
from typing import Any, Final, cast

from pyramid import traversal  # type: ignore[import-untyped]
from pyramid.events import ContextFound  # type: ignore[import-untyped]  # Pyramid has no types
from pyramid.interfaces import (  # type: ignore[import-untyped]
    VH_ROOT_KEY,
    IExceptionResponse,
    IRequest,
    IRoutesMapper,
    IViewClassifier,
)
from pyramid.predicates import RequestMethodPredicate  # type: ignore[import-untyped]
from pyramid.static import static_view  # type: ignore[import-untyped]
from pyramid.urldispatch import (  # type: ignore[import-untyped]
    old_route_re,
    route_re,
    star_at_end,
)
from webob.exc import WSGIHTTPException  # type: ignore[import-untyped]

from authz_middleware.frameworks.endpoints import where
from authz_middleware.frameworks.inside import UNREADABLE, look_again, look_again_wsgi
from authz_middleware.frameworks.patterns import Piece, ignores_case, segments_of, taken_by
from authz_middleware.policy.routes import NO_ROUTE, UNSEEN, Resolved, Route, RouteKind, Taken
from authz_middleware.policy.segments import DoubleStar, PathTail, Plain, Segment

__all__ = ["install", "resolve", "routes"]

_TRAVERSAL: Final = ("traversal", "")

_VIEW_SELECTOR: Final = "@@"


def routes(app: Any) -> Iterable[Route]:
    """Yield the app's routes in the order in which they are tried, then what traversal finds."""
    views = _views(app.registry)
    for route in _mapped(app.registry):
        yield _route(route, views.get(route.name, []))
    if _traverses(app.registry):
        yield Route(("", _TRAVERSAL), "/**", (DoubleStar(),), None, "traversal", kind="opaque")


def resolve(app: Any, environ: Mapping[str, Any]) -> Taken | Resolved:
    """Say which route the mapper would take; whether traversal finds a view is the app's secret."""
    if app.routes_mapper is not None:
        # Predicates may read the body, which is not ours to give away.
        copied = {**environ, "wsgi.input": BytesIO(), "CONTENT_LENGTH": "0"}
        with app.request_context(copied) as request:
            route = app.routes_mapper(request)["route"]
        if route is not None:
            return "", _key(route)
    return UNSEEN if _traverses(app.registry) else NO_ROUTE


def install(app: Any) -> frozenset[Taken]:
    """Subscribe to what comes before each view, behind the app's own subscribers."""
    registry = app.registry
    handlers = (each.handler for each in registry.registeredHandlers())
    look = next((each for each in handlers if isinstance(each, _Look)), None)
    if look is None:
        look = _Look(registry)
        registry.registerHandler(look, (ContextFound,))
    look.known = {_TRAVERSAL, *map(_key, _mapped(registry))}
    return frozenset(("", key) for key in look.known)


class _Look:
    """Subscribes to the end of Pyramid's search: the view is what comes next."""

    def __init__(self, registry: Any) -> None:
        self.known: set[tuple[str, str]] = set()
        self._registry = registry
        self._traverses = False

    def __call__(self, event: Any) -> None:
        request = event.request
        route = getattr(request, "matched_route", None)
        if route is None and not self._finds():
            return  # Pyramid's 404
        key = _TRAVERSAL if route is None else _key(route)
        # Both are what a class of requests may make of them.
        method, path = request.method, request.path_info or "/"
        asked = look_again_wsgi(
            request.environ, key, method=method, path=path, late=key not in self.known
        )
        if route is None or "traverse" in (request.matchdict or ()):
            mount = asked.path.removesuffix(path)
            if VH_ROOT_KEY in request.environ:  # by somebody inside: from a client it is a 400
                for found in _paths_below_root(request, path):
                    look_again(request.environ, asked._replace(path=mount + found))
                return
            plain = _path_of_view(request, path)
            if plain is not None and plain != path:
                look_again(request.environ, asked._replace(path=mount + plain))

    def _finds(self) -> bool:
        """Whether there is a view without a route by now; nobody tells of those added late."""
        self._traverses = self._traverses or _traverses(self._registry)
        return self._traverses


def _path_of_view(request: Any, path: str) -> str | None:
    """Return the path by which traversal finds the same view when nothing more is asked of it.

    That is without `@@` and without the subpath. None where the path does not end as traversal has
    gone, so that nobody but the app knows what is plain.
    """
    traversed, name, subpath = [*request.traversed], request.view_name, [*request.subpath]
    segments = [each for each in path.split("/") if each]
    plain = [*traversed, name] if name else traversed
    for found in ([*traversed, _VIEW_SELECTOR + name], plain):
        gone = [*found, *subpath]
        if segments[-len(gone) :] == gone or not gone:
            above = segments[: len(segments) - len(gone)]
            return "/" + "/".join([*above, *plain])
    return None


def _paths_below_root(request: Any, path: str) -> Iterator[str]:
    """Yield the path by which traversal has gone from a virtual root, and the view's plain one.

    Of what it has traversed it tells too much then, so that is found by what it has left.
    """
    above, rest = "", path
    if "traverse" in (request.matchdict or ()):
        gone = request.matchdict["traverse"]
        # One that is a text is put behind the root as it is, without a slash.
        rest = gone if isinstance(gone, str) else "/" + "/".join(gone)
        above = path.removesuffix(rest).removesuffix("/")
        if not path.endswith(rest):  # a pattern that ends otherwise, or `traverse=`
            yield UNREADABLE
    paths: Any = traversal
    root: str = paths.decode_path_info(request.environ[VH_ROOT_KEY])
    segments: list[str] = [*paths.split_path_info(root + (rest or "/"))]
    yield "/".join([above, *segments]) or "/"
    end = len(segments) - len(request.subpath)
    name = request.view_name
    if segments[:end][-1:] in ([name], [_VIEW_SELECTOR + name]):
        segments[end - 1 :] = [name] if name else []
    yield "/".join([above, *segments]) or "/"


# --- Routes ---


def _mapped(registry: Any) -> Iterable[Any]:
    mapper = registry.queryUtility(IRoutesMapper)
    return () if mapper is None else mapper.get_routes()


def _key(route: Any) -> tuple[str, str]:
    return route.name, route.pattern


def _route(route: Any, views: list[Any]) -> Route:
    """A route with what is known of its views; where nothing is, it takes any method."""
    methods = _methods(each for each in route.predicates)
    for_views = _methods_of(views)
    if methods is not None and for_views is not None:
        methods &= for_views
    return Route(
        ("", _key(route)),
        "/" + route.pattern.removeprefix("/"),
        tuple(_segments(route.pattern)),
        for_views if methods is None else methods,
        _endpoint(route, views),
        kind=_kind(views),
        exact=not ignores_case(route.pattern),
    )


def _views(registry: Any) -> Mapping[str, list[Any]]:
    """What the configuration has recorded of the views, by the names of their routes."""
    found: dict[str, list[Any]] = {}
    for each in registry.introspector.get_category("views") or ():
        view = each["introspectable"]
        if view.get("route_name"):
            found.setdefault(view["route_name"], []).append(view)
    return found


def _methods(predicates: Iterable[Any]) -> frozenset[str] | None:
    for each in predicates:
        if type(each) is RequestMethodPredicate:
            return frozenset(map(str, cast("tuple[object, ...]", each.val)))
    return None


def _methods_of(views: list[Any]) -> frozenset[str] | None:
    """The methods that the views ask for, if each does."""
    methods: set[str] = set()
    for view in views:
        asked: Any = view.get("request_methods")
        if isinstance(asked, str):
            methods.add(asked)
        elif isinstance(asked, (tuple, list)):
            methods.update(map(str, cast("tuple[object, ...]", asked)))
        else:
            return None  # any, or `not_(...)`
    if "GET" in methods:
        methods.add("HEAD")
    return frozenset(methods) or None


def _endpoint(route: Any, views: list[Any]) -> str:
    names = dict.fromkeys(_where(view) for view in views)
    return ", ".join(names) or route.name


def _where(view: Any) -> str:
    found, attr = where(view.get("callable"), view.title), view.get("attr")
    return f"{found}.{attr}" if attr else found


def _kind(views: list[Any]) -> RouteKind:
    made_by = [view.get("callable") for view in views]
    if any(getattr(each, "__globals__", {}).get("__name__") == "pyramid.wsgi" for each in made_by):
        return "opaque"  # `wsgiapp` and `wsgiapp2`
    is_static = bool(made_by) and all(isinstance(each, static_view) for each in made_by)
    return "static" if is_static else "handler"


def _segments(pattern: str) -> Iterator[Segment]:
    """Yield what a pattern takes, read as Pyramid reads it."""
    if old_route_re.search(pattern) and not route_re.search(pattern):
        pattern = old_route_re.sub(lambda found: f"{{{found.group(0)[1:]}}}", pattern)
    pattern = "/" + pattern.removeprefix("/")
    star = star_at_end.search(pattern)
    pieces: list[Piece] = []
    for piece in route_re.split(pattern[: star.start()] if star else pattern):
        name, separator, expression = piece[1:-1].partition(":")
        if not route_re.fullmatch(piece):
            pieces.append(piece)
        else:
            pieces.append(taken_by(expression, name) if separator else Plain(name))
    if star:
        pieces.append(PathTail(star.group(1)))
    yield from segments_of(pieces)


# --- Traversal ---


def _traverses(registry: Any) -> bool:
    """Whether a view may be found without a route: one that is for no exception."""
    requests: Any = IRequest
    return any(
        len(each.required) == 3
        and each.required[0] is IViewClassifier
        and bool(requests.isOrExtends(each.required[1]))
        and not _is_error(each.required[2])
        for each in registry.registeredAdapters()
    )


def _is_error(context: Any) -> bool:
    made_for = getattr(context, "inherit", None)
    return context.isOrExtends(IExceptionResponse) or (
        # WebOb's have a base that is no exception itself.
        isinstance(made_for, type) and issubclass(made_for, (BaseException, WSGIHTTPException))
    )
