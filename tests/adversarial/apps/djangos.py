"""The app in Django, under WSGI and ASGI. `ROOT_URLCONF` must be this module while it runs."""

from __future__ import annotations

from typing import Any

from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.urls import include, path, re_path

from tests.adversarial.routes import ran, ran_tail
from tests.django.projects import configure


def wsgi() -> Any:
    configure()
    return WSGIHandler()


def asgi() -> Any:
    configure()
    return ASGIHandler()


def _view(handler: Any) -> Any:
    def view(request: HttpRequest, **values: Any) -> HttpResponse:
        return HttpResponse(handler(**values))

    return view


def _users(request: HttpRequest) -> HttpResponse:
    return HttpResponse(ran("written" if request.method == "POST" else "admin"))


urlpatterns = [
    path("public", _view(lambda: ran("public"))),
    path("pages/<path:rest>", _view(ran_tail)),
    re_path(r"^items/(?P<id>[0-9]+)$", _view(lambda id: ran("item"))),
    path("admin/users", _users),
    path("files/<path:rest>", _view(lambda rest: ran_tail(rest, private="private"))),
    path("users/<name>", _view(lambda name: ran("user"))),
    path("users/me", _view(lambda: ran("me"))),
    path(
        "sub/",
        include(
            [
                path("open", _view(lambda: ran("sub open"))),
                path("admin", _view(lambda: ran("sub admin"))),
            ]
        ),
    ),
]
