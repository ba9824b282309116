"""A Django project for a test, and requests to it as servers and Django's own clients send them."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

import django
from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.test import AsyncClient, Client
from django.test.utils import override_settings
from django.urls import re_path
from django.utils.decorators import sync_and_async_middleware

from authz_middleware import current_access
from tests.adapters.exchange import (
    PLAIN_METHODS,
    Sent,
    call_asgi,
    call_wsgi,
    environ_for,
    scope_for,
)

OURS = "authz_middleware.django.AuthzMiddleware"

HANDLERS = ("wsgi", "asgi")
WORLDS = (*HANDLERS, "Client", "AsyncClient")
VIEWS = ("sync view", "async view")

Headers = Iterable[tuple[str, str]]
Body = Callable[[Any], Any]


class Project(override_settings):
    """Settings with one view, which answers every path and keeps the requests that it saw.

    What `body` returns is the view's response, unless it is None.
    """

    def __init__(
        self,
        config: Any,
        body: Body = lambda request: None,
        *,
        view: str = "sync view",
        middleware: Iterable[Any] = (),
        before: Iterable[Any] = (),
        **options: Any,
    ) -> None:
        self.seen: list[Any] = []

        def respond(request: Any) -> Any:
            self.seen.append(request)
            return body(request)

        def hello() -> HttpResponse:
            return HttpResponse("hello", content_type="text/plain")

        def sync_view(request: Any) -> Any:
            return respond(request) or hello()

        async def async_view(request: Any) -> Any:
            response = respond(request)
            if inspect.isawaitable(response):
                response = await response
            return response or hello()

        chosen = sync_view if view == "sync view" else async_view
        # Django takes any hashable object with the right attribute for a module of URLs.
        urls = type("Urls", (), {"urlpatterns": [re_path(r"(?s)^.*\Z", chosen)]})
        super().__init__(
            AUTHZ_CONFIG=config,
            MIDDLEWARE=[*map(named, before), OURS, *map(named, middleware)],
            ROOT_URLCONF=options.pop("ROOT_URLCONF", urls),
            **options,
        )

    def __enter__(self) -> Project:  # type: ignore[override]
        super().__enter__()
        return self


def is_current(access: Any) -> bool:
    """Whether `access` is the one of the request being served."""
    return current_access() is access


def named(middleware: Any) -> str:
    """The path under which Django imports a middleware of a test."""
    if isinstance(middleware, str):
        return middleware
    name = f"middleware_{id(middleware)}"
    globals()[name] = middleware
    return f"{__name__}.{name}"


def changing(change: Callable[[Any], object]) -> Any:
    """A middleware that does something to each request."""

    @sync_and_async_middleware
    def factory(get_response: Any) -> Any:
        async def async_middleware(request: Any) -> Any:
            change(request)
            return await get_response(request)

        def middleware(request: Any) -> Any:
            change(request)
            return get_response(request)

        return async_middleware if iscoroutinefunction(get_response) else middleware

    return factory


def rewriting(path: str | None = None, method: str | None = None) -> Any:
    """A middleware that makes another request of each."""

    def change(request: Any) -> None:
        if path is not None:
            request.path_info = path
        if method is not None:
            request.method = method

    return changing(change)


def patient(app: Any) -> Any:
    """An ASGI app whose `receive` waits for the end of the answer, as a server's does."""

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        finished = asyncio.Event()
        asked = False

        async def patient_receive() -> Any:
            nonlocal asked
            if not asked:
                asked = True
                return await receive()
            await finished.wait()
            return {"type": "http.disconnect"}

        async def watched_send(message: Any) -> None:
            await send(message)
            if message["type"].endswith(".body") and not message.get("more_body"):
                finished.set()

        await app(scope, patient_receive, watched_send)

    return outer


def send_wsgi(app: Any, method: str, path: str | bytes, headers: Headers, **extra: Any) -> Sent:
    environ = environ_for(method, path, headers, **extra)
    plain = method in PLAIN_METHODS and environ["PATH_INFO"].startswith("/")
    return call_wsgi(app, environ, validated=plain)


def send_asgi(app: Any, method: str, path: str | bytes, headers: Headers, **extra: Any) -> Sent:
    return call_asgi(patient(app), scope_for(method, path, headers, **extra))


def ask(world: str, method: str, path: str, headers: Headers = (), **extra: Any) -> Sent:
    """Send one request to the project of the settings in force."""
    if world == "wsgi":
        return send_wsgi(WSGIHandler(), method, path, headers, **extra)
    if world == "asgi":
        return send_asgi(ASGIHandler(), method, path, headers, **extra)
    if world == "Client":
        response = Client().generic(method, quote(path), headers=dict(headers), **extra)
        body = b"".join(response) if response.streaming else response.content
    else:
        response, body = asyncio.run(_ask_async(method, path, headers, extra))
    return Sent(response.status_code, list(response.items()), body)


async def _ask_async(method: str, path: str, headers: Headers, extra: Any) -> Any:
    response: Any = await AsyncClient().generic(method, quote(path), headers=dict(headers), **extra)
    if not response.streaming:
        return response, response.content
    return response, b"".join([chunk async for chunk in response])


def configure() -> None:
    """Make Django usable in this process: once, with nothing in it."""
    if not settings.configured:
        settings.configure(
            ALLOWED_HOSTS=["*"],
            LOGGING_CONFIG=None,
            SECRET_KEY="of the tests",
            MIDDLEWARE=[],
            WSGI_APPLICATION=None,
            USE_TZ=True,
        )
        django.setup()
