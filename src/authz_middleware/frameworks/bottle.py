"""Bottle: `AccessDenied` is answered by a plugin, or by the app's own page for the status."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from authz_middleware.errors import AccessDenied
from authz_middleware.frameworks.bottle_routes import between, install, refusal, resolve, routes

__all__ = ["between", "install", "prepare", "resolve", "routes"]


def prepare(app: Any) -> None:
    """Install the plugin outside of all others, in the app and in those that are merged into it."""
    for owner in {app, *(route.app for route in app.routes)}:
        if not any(isinstance(plugin, _Denials) for plugin in owner.plugins):
            owner.plugins.insert(0, _Denials(app))
            owner.reset()
            app.reset()


class _Denials:
    """A plugin (API 2): what a route, or a plugin inside of this one, raises becomes a response."""

    name = "authz_middleware"
    api = 2

    def __init__(self, app: Any) -> None:
        self._app = app

    def apply(self, callback: Callable[..., Any], _route: object) -> Callable[..., Any]:
        @wraps(callback)
        def called(*args: Any, **kwargs: Any) -> Any:
            try:
                return callback(*args, **kwargs)
            except AccessDenied as denied:
                return refusal(self._app, denied)

        return called
