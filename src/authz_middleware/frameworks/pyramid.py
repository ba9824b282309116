"""Pyramid: `AccessDenied` is answered by an exception view; `include` adds `request.authz`."""

from __future__ import annotations

from typing import Any

from pyramid.config import Configurator  # type: ignore[import-untyped]  # Pyramid has no types
from pyramid.interfaces import (  # type: ignore[import-untyped]
    IExceptionViewClassifier,
    IMultiView,
    IRequest,
    ISecuredView,
    IView,
)
from pyramid.response import Response  # type: ignore[import-untyped]
from zope.interface import implementedBy  # type: ignore[import-untyped]

from authz_middleware.access import Access
from authz_middleware.errors import AccessDenied
from authz_middleware.frameworks.pyramid_routes import install, resolve, routes

__all__ = ["includeme", "install", "prepare", "resolve", "routes"]


def includeme(config: Any) -> None:
    """`config.include("authz_middleware.frameworks.pyramid")`."""
    config.add_exception_view(_answer, context=AccessDenied)
    config.add_request_method(_access, "authz", property=True)


def prepare(app: Any) -> None:
    """Register the view in an app that is made already, unless it brings one of its own."""
    source: Any = (IExceptionViewClassifier, IRequest, implementedBy(AccessDenied))
    registered = app.registry.adapters.registered
    if not any(registered(source, kind) for kind in (IView, ISecuredView, IMultiView)):
        config: Any = Configurator(registry=app.registry, autocommit=True)
        config.add_exception_view(_answer, context=AccessDenied)


def _answer(denied: AccessDenied, _request: object) -> Any:
    answer = denied.answer
    return Response(answer.body, answer.status, list(answer.headers))


def _access(request: Any) -> Access | None:
    access: Access | None = request.environ.get("authz")
    return access
