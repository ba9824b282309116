"""Flask: its routes, the second look before every view, and `AccessDenied` answered by the app."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flask import Flask, Response, request

from authz_middleware.errors import AccessDenied
from authz_middleware.frameworks.endpoints import where
from authz_middleware.frameworks.inside import look_again_wsgi
from authz_middleware.frameworks.werkzeug import key, matched, rule_routes
from authz_middleware.policy.routes import NO_ROUTE, Resolved, Route, Taken

__all__ = ["install", "prepare", "resolve", "routes"]


def prepare(app: Any) -> None:
    """Register a handler, unless the app brings one of its own."""
    handlers = app.error_handler_spec[None][None]
    handlers.setdefault(AccessDenied, _answer)


def _answer(denied: AccessDenied) -> Response:
    answer = denied.answer
    return Response(answer.body, answer.status, answer.headers)


def routes(app: Flask) -> Iterable[Route]:
    """Yield the rules of the app's URL map, with the view that each endpoint stands for."""
    return rule_routes(app.url_map, lambda name: where(app.view_functions.get(name), name))


def resolve(app: Flask, environ: Mapping[str, Any]) -> Taken | Resolved:
    """Say which rule Flask would match."""
    copied = app.request_class(dict(environ), populate_request=False)
    adapter = app.create_url_adapter(copied)
    return NO_ROUTE if adapter is None else matched(adapter)


def install(app: Flask) -> frozenset[Taken]:
    """Have the view looked at before the functions run that the app has registered itself."""
    functions = app.before_request_funcs.setdefault(None, [])
    if _look not in functions:
        functions.insert(0, _look)
    return frozenset(("", key(rule)) for rule in app.url_map.iter_rules())


def _look() -> None:
    if request.url_rule is not None:  # else Flask answers itself: 404, 405, or a redirect
        look_again_wsgi(request.environ, key(request.url_rule))
