"""Django REST framework with simplejwt, stateless: no user is fetched from a database."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.urls import path

from benchmarks.material import AUDIENCE, ISSUER, Signer
from benchmarks.peers import ROLE, WsgiPeer

__all__ = ["build"]

OPEN = "open"
CLOSED = "closed"


class HasRole:
    """A permission of the framework: the token has the role."""

    def has_permission(self, request: Any, _view: Any) -> bool:
        """Say whether the caller may pass."""
        return request.auth is not None and ROLE in request.auth["roles"]


class Routes:
    """The routes of the project; a process has one set of settings, so both apps are in it."""

    urlpatterns: ClassVar[list[Any]] = []


def build(signer: Signer) -> WsgiPeer:
    """Make both apps: two routes of one project, since a process has one set of settings."""
    settings.configure(
        SECRET_KEY=f"{id(signer)} signs nothing here",
        ROOT_URLCONF=Routes,
        ALLOWED_HOSTS=["*"],
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "rest_framework"],
        REST_FRAMEWORK={
            "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
            "DEFAULT_AUTHENTICATION_CLASSES": [],
            "DEFAULT_PERMISSION_CLASSES": [],
        },
        SIMPLE_JWT={
            "ALGORITHM": signer.algorithm,
            "VERIFYING_KEY": signer.key,
            "AUDIENCE": AUDIENCE,
            "ISSUER": ISSUER,
        },
        LOGGING_CONFIG=None,
    )
    logging.getLogger("django.request").setLevel(logging.ERROR)  # not of what `check` provokes
    django.setup()
    # Both read the settings when they are imported.
    from rest_framework import decorators, response  # noqa: PLC0415
    from rest_framework_simplejwt import authentication  # noqa: PLC0415

    def read(_request: Any, id: int) -> Any:
        return response.Response({"id": id})

    def read_protected(_request: Any, id: int) -> Any:
        return response.Response({"id": id})

    protect = decorators.authentication_classes([authentication.JWTStatelessUserAuthentication])
    required: list[Any] = [HasRole]  # it need not inherit from theirs
    permit = decorators.permission_classes(required)
    get = decorators.api_view(["GET"])
    rest = "/api/resource12/<int:id>"
    Routes.urlpatterns = [
        path(OPEN + rest, get(read)),
        path(CLOSED + rest, get(protect(permit(read_protected)))),
    ]
    return WsgiPeer(
        "Django REST framework + simplejwt",
        "djangorestframework-simplejwt",
        _below(OPEN),
        _below(CLOSED),
    )


def _below(prefix: str) -> Any:
    """Return the project with all paths below a prefix."""
    handler = WSGIHandler()

    def app(environ: Any, start_response: Any) -> Any:
        environ["PATH_INFO"] = f"/{prefix}{environ['PATH_INFO']}"
        return handler(environ, start_response)

    return app
