"""Quart: its routes, the second look before every view, and `AccessDenied` answered by the app.

All of it for HTTP and for WebSockets.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeAlias

from quart import Quart, Response, has_websocket_context, request, websocket
from werkzeug.exceptions import HTTPException

from authz_middleware.errors import AccessDenied
from authz_middleware.frameworks.endpoints import where
from authz_middleware.frameworks.inside import look_again_asgi
from authz_middleware.frameworks.werkzeug import key, matched, rule_routes
from authz_middleware.policy.routes import NO_ROUTE, UNSEEN, Resolved, Route, Taken

__all__ = ["install", "prepare", "resolve", "routes"]

_POLICY_VIOLATION = 1008  # RFC 6455 §7.4.1

_Function: TypeAlias = Callable[..., Awaitable[Any]]


def prepare(app: Any) -> None:
    """Register a handler, unless the app brings one of its own."""
    handlers = app.error_handler_spec[None][None]
    handlers.setdefault(AccessDenied, _answer)


async def _answer(denied: AccessDenied) -> Response | None:
    if has_websocket_context():
        # Of a close before the handshake is accepted the adapter makes the refusal.
        await websocket.close(_POLICY_VIOLATION)
        return None
    answer = denied.answer
    return Response(answer.body, answer.status, dict(answer.headers))


def routes(app: Quart) -> Iterable[Route]:
    """Yield the rules of the app's URL map, with the view that each endpoint stands for."""
    return rule_routes(app.url_map, lambda name: where(app.view_functions.get(name), name))


def resolve(app: Quart, scope: Mapping[str, Any]) -> Taken | Resolved:
    """Say which rule Quart would match.

    What Quart itself makes of a scope is asked for: it parses some paths once more, and its
    releases differ on how they cut `root_path` off.
    """
    if scope["type"] == "websocket":
        connection: Any = app.asgi_websocket_class(app, dict(scope))  # type: ignore[arg-type]
        make = getattr(connection, "_create_websocket_from_scope", None)
    else:
        connection = app.asgi_http_class(app, dict(scope))  # type: ignore[arg-type]
        make = getattr(connection, "_create_request_from_scope", None)
    if make is None:
        return UNSEEN
    try:
        adapter = app.create_url_adapter(make(None))
    except HTTPException:  # such as for a host that is not trusted
        return NO_ROUTE
    return NO_ROUTE if adapter is None else matched(adapter)


def install(app: Quart) -> frozenset[Taken]:
    """Have the view looked at before the functions run that the app has registered itself.

    And once more behind them, where the view is called: they may have made another request of it.
    """
    dispatch: Any = app.dispatch_request
    look = dispatch.look if isinstance(dispatch, _Dispatch) else _Look()
    for registered, function in (
        (app.before_request_funcs, look.at_request),
        (app.before_websocket_funcs, look.at_websocket),
    ):
        functions: list[Any] = registered.setdefault(None, [])
        if function not in functions:
            functions.insert(0, function)
    for name, function in (
        ("dispatch_request", look.at_request),
        ("dispatch_websocket", look.at_websocket),
    ):
        dispatch = getattr(app, name)
        if not isinstance(dispatch, _Dispatch):
            setattr(app, name, _Dispatch(dispatch, look, function))
    look.known = frozenset(map(key, app.url_map.iter_rules()))
    return frozenset(("", each) for each in look.known)


class _Dispatch:
    """What calls the view, and the look before it; its arguments differ with the release."""

    def __init__(self, dispatch: _Function, look: _Look, function: _Function) -> None:
        self.look = look
        self._dispatch = dispatch
        self._function = function

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        await self._function()
        return await self._dispatch(*args, **kwargs)


class _Look:
    """Looks at a request or a WebSocket; what was looked at before is not looked at twice."""

    def __init__(self) -> None:
        self.known: frozenset[Any] = frozenset()
        """The keys of all that was there when the policy was bound."""

    # Coroutine functions, since Quart runs others in threads.

    async def at_request(self) -> None:
        # By its method Quart has chosen, and a `MethodView` will; the scope's may be another.
        self._look(request, request.method)

    async def at_websocket(self) -> None:
        self._look(websocket)

    def _look(self, asked: Any, method: str | None = None) -> None:
        rule = asked.url_rule
        if rule is None:
            return  # Quart answers itself: 404, 405, or a redirect
        looked = getattr(asked, "_authz_looked", None)
        if looked is not None and looked[0] is rule and looked[1] == method:
            return
        name = key(rule)
        look_again_asgi(asked.scope, name, asked.path, method, late=name not in self.known)
        asked._authz_looked = rule, method  # noqa: SLF001 - ours
