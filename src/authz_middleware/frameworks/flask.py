"""Flask: its routes, the second look before every view, and `AccessDenied` answered by the app."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from authz_middleware.errors import AccessDenied
from authz_middleware.frameworks.endpoints import where
from authz_middleware.frameworks.inside import look_again_wsgi
from authz_middleware.frameworks.werkzeug import key, matched, rule_routes
from authz_middleware.policy.routes import NO_ROUTE, Resolved, Route, Taken
from authz_middleware.policy.segments import DoubleStar

__all__ = ["install", "prepare", "resolve", "routes"]

_DISPATCHING: Final = ("full_dispatch_request", "dispatch_request")
"""What calls the view of the rule that was matched, and nothing else, in an app of Flask's own."""


def prepare(app: Any) -> None:
    """Register a handler, unless the app brings one of its own."""
    handlers = app.error_handler_spec[None][None]
    handlers.setdefault(AccessDenied, _answer)


def _answer(denied: AccessDenied) -> Response:
    answer = denied.answer
    return Response(answer.body, answer.status, answer.headers)


def routes(app: Flask) -> Iterable[Route]:
    """Yield the rules of the app's URL map, with the view that each endpoint stands for."""
    yield from rule_routes(app.url_map, lambda name: where(app.view_functions.get(name), name))
    for name in _DISPATCHING:
        own: Any = getattr(app, name)
        own = own.dispatch if isinstance(own, _Look) else own
        if getattr(own, "__func__", own) is not getattr(Flask, name):
            yield Route(("", name), "/**", (DoubleStar(),), None, where(own), kind="opaque")


def resolve(app: Flask, environ: Mapping[str, Any]) -> Taken | Resolved:
    """Say which rule Flask would match."""
    copied = app.request_class(dict(environ), populate_request=False)
    try:
        adapter = app.create_url_adapter(copied)
    except HTTPException:  # such as for a host that is not trusted: no view is called
        return NO_ROUTE
    return NO_ROUTE if adapter is None else matched(adapter)


def install(app: Flask) -> frozenset[Taken]:
    """Have the view looked at before any function that the app has registered, and behind them."""
    look: Any = app.dispatch_request
    if not isinstance(look, _Look):
        look = _Look(app)
        app.before_request_funcs.setdefault(None, []).insert(0, look.look)
        app.dispatch_request = look  # type: ignore[method-assign]
    look.known = frozenset(map(key, app.url_map.iter_rules()))
    return frozenset(("", each) for each in look.known)


class _Look:
    """Stands where Flask calls the view; what it has looked at before is not looked at twice."""

    def __init__(self, app: Flask) -> None:
        self.dispatch = app.dispatch_request
        self.known: frozenset[Any] = frozenset()
        self._app = app
        own = getattr(app.create_url_adapter, "__func__", None) is not Flask.create_url_adapter
        self._routes_differently = own

    def __call__(self, *context: Any) -> Any:
        self.look()
        return self.dispatch(*context)

    def look(self) -> None:
        # Not the proxy, whose every use looks for the request again.
        asked: Any = cast("Any", request)._get_current_object()  # noqa: SLF001
        rule, method = asked.url_rule, asked.method
        if rule is None:  # Flask answers itself: 404, 405, or a redirect
            return
        looked: Any = getattr(asked, "_authz_looked", None)
        if looked is not None and looked[0] is rule and looked[1] == method:
            return
        adapter = self._app.create_url_adapter(asked) if self._routes_differently else None
        name = key(rule)
        look_again_wsgi(
            asked.environ,
            name,
            method=method,
            path="" if adapter is None else f"/{adapter.path_info.lstrip('/')}",
            late=name not in self.known,
        )
        asked._authz_looked = rule, method  # noqa: SLF001 - ours
