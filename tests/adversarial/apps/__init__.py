"""The same app in every framework, as its documentation would have it written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from authz_middleware import ASGIAuthzMiddleware, Authz, WSGIAuthzMiddleware
from tests.adversarial.apps import asgi, djangos, wsgi

__all__ = ["KINDS", "Kind"]


@dataclass(frozen=True)
class Kind:
    """One framework: how its app is made, and the rules for what only this framework has."""

    name: str
    world: str
    make: Callable[[], Any]
    routes: Mapping[str, Any] = field(default_factory=dict)
    lacks: frozenset[str] = frozenset()
    """Handlers that it has not."""
    odd: frozenset[str] = frozenset()
    """Handlers that plain requests do not run, because another route takes them first."""

    def __repr__(self) -> str:
        return self.name

    def wrap(self, app: Any, authz: Authz) -> Any:
        """Return the app with the guard around it."""
        return (ASGIAuthzMiddleware if self.world == "asgi" else WSGIAuthzMiddleware)(app, authz)


SINK = {"/sink/**": ["admin"]}
DEEP = {"/deep/**": ["admin"]}
FIRST = frozenset({"me"})
FEEDS = frozenset({"feed open", "feed admin"})

KINDS = (
    Kind("flask", "wsgi", wsgi.flask, lacks=FEEDS),
    Kind("werkzeug", "wsgi", wsgi.werkzeug, lacks=FEEDS | {"written"}),
    Kind("django", "wsgi", djangos.wsgi, lacks=FEEDS, odd=FIRST),
    Kind("falcon", "wsgi", wsgi.falcon, SINK, lacks=FEEDS),
    Kind("bottle", "wsgi", wsgi.bottle, lacks=FEEDS),
    Kind("pyramid", "wsgi", wsgi.pyramid, DEEP, lacks=FEEDS, odd=FIRST),
    Kind("quart", "asgi", asgi.quart),
    Kind("django-asgi", "asgi", djangos.asgi, lacks=FEEDS, odd=FIRST),
    Kind("starlette", "asgi", asgi.starlette, odd=FIRST),
    Kind("fastapi", "asgi", asgi.fastapi, odd=FIRST),
    Kind("litestar", "asgi", asgi.litestar, SINK),
    Kind("falcon-asgi", "asgi", asgi.falcon, SINK),
)
