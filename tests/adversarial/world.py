"""Small apps of every framework that write down which handler ran, and how a server calls them.

A test asks three things of a request that is not the plain one. Bare, the app runs the protected
handler: else the test could not fail. Behind the guard it does not, for nobody who may not. And
the plain request of somebody who may still runs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from inspect import Parameter, Signature
from typing import Any

from authz_middleware import ASGIAuthzMiddleware, Authz, WSGIAuthzMiddleware
from authz_middleware.testing import DevelopmentIssuer
from tests.adapters.exchange import call_wsgi, environ_for
from tests.frameworks.apps import talk
from tests.frameworks.installed import installed

Fields = list[tuple[str, str]]
Make = Callable[["Ran"], Any]

ISSUER = DevelopmentIssuer("https://login.example.com", "orders-api")


class GotThrough(AssertionError):
    """Somebody who may not made a protected handler run."""


class Ran(list[str]):
    """The names of the handlers that ran, in order."""

    def of(self, name: str) -> Callable[..., str]:
        """A handler that says so when it runs."""

        def handler(*_args: Any, **_params: Any) -> str:
            self.append(name)
            return name

        handler.__name__ = name
        return handler

    def awaited(self, name: str) -> Callable[..., Any]:
        handler = self.of(name)

        async def view(*args: Any, **params: Any) -> str:
            return handler()

        view.__name__ = name
        return view


@dataclass(frozen=True)
class Arrival:
    """What a server hands over: the decoded path, and what else it builds of the request."""

    path: str | bytes
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.method} {self.path!a} {self.headers or ''} {dict(self.extra) or ''}"


def arriving(each: Arrival | str | bytes) -> Arrival:
    return each if isinstance(each, Arrival) else Arrival(each)


@dataclass(frozen=True)
class Framework:
    """How an app of a framework is made of paths in its own spelling, and how it is wrapped."""

    make: Callable[..., Any]
    asgi: bool = False
    attribute: str = ""

    def app(self, ran: Ran, *paths: str, **options: Any) -> Any:
        """An app with a handler for each path, named after its first segment."""
        return self.make(ran, paths or ("/admin", "/open"), **options)


def name_of(path: str) -> str:
    """`/admin/users/<id>` is handled by `admin`, as is all with that name in it."""
    return "admin" if "admin" in path else path.strip("/").partition("/")[0] or "root"


# --- the frameworks ------------------------------------------------------------------------------


def flask(ran: Ran, paths: Iterable[str], methods: Any = None, **options: Any) -> Any:
    app = installed("flask").Flask("app", static_folder=None)
    for number, path in enumerate(paths):
        view = ran.of(name_of(path))
        app.add_url_rule(path, f"{number}", view, methods=methods, **options)
    return app


def werkzeug(ran: Ran, paths: Iterable[str], **options: Any) -> Any:
    routing = installed("werkzeug.routing")
    response = installed("werkzeug.wrappers").Response
    exceptions = installed("werkzeug.exceptions")
    rules = [routing.Rule(path, endpoint=name_of(path), **options) for path in paths]
    url_map = routing.Map(rules)

    def app(environ: Any, start_response: Any) -> Any:
        try:
            endpoint, _ = url_map.bind_to_environ(environ).match()
        except exceptions.HTTPException as error:
            return error.get_response(environ)(environ, start_response)
        return response(ran.of(endpoint)())(environ, start_response)

    return app


def quart(ran: Ran, paths: Iterable[str], **options: Any) -> Any:
    app = installed("quart").Quart("app", static_folder=None)
    for number, path in enumerate(paths):
        app.add_url_rule(path, f"{number}", ran.awaited(name_of(path)), **options)
    return app


def with_urls(base: str, patterns: Iterable[Any]) -> Any:
    """A Django handler, by its dotted path, with URLs of its own in the place of the project's."""
    installed("tests.django.projects").configure()
    urls = type("Urls", (), {"urlpatterns": [*patterns]})
    module, _, name = base.rpartition(".")
    handler: Any = getattr(installed(module), name)

    app = handler()
    app.urls = urls
    return app


@contextmanager
def project_of(app: Any) -> Iterator[None]:
    """Django has one project for each process: that of the app below `app`, for a while."""
    while app is not None and not hasattr(app, "urls"):
        app = getattr(app, "app", None)
    if app is None:
        yield
        return
    with installed("django.test.utils").override_settings(ROOT_URLCONF=app.urls):
        yield


def django_wsgi(ran: Ran, paths: Iterable[str]) -> Any:
    path_to = installed("django.urls").path
    response = installed("django.http").HttpResponse

    def view(name: str) -> Any:
        return lambda request, **params: response(ran.of(name)())

    patterns = [path_to(path[1:], view(name_of(path))) for path in paths]
    return with_urls("django.core.handlers.wsgi.WSGIHandler", patterns)


def django_asgi(ran: Ran, paths: Iterable[str]) -> Any:
    path_to = installed("django.urls").path
    response = installed("django.http").HttpResponse

    def view(name: str) -> Any:
        async def handler(request: Any, **params: Any) -> Any:
            return response(ran.of(name)())

        return handler

    patterns = [path_to(path[1:], view(name_of(path))) for path in paths]
    return with_urls("django.core.handlers.asgi.ASGIHandler", patterns)


def starlette(ran: Ran, paths: Iterable[str], **options: Any) -> Any:
    routing = installed("starlette.routing")
    response = installed("starlette.responses").PlainTextResponse

    def endpoint(name: str) -> Any:
        async def handler(request: Any) -> Any:
            return response(ran.of(name)())

        return handler

    routes = [routing.Route(path, endpoint(name_of(path)), **options) for path in paths]
    return installed("starlette.applications").Starlette(routes=routes)


def fastapi(ran: Ran, paths: Iterable[str], types: Any = (), **options: Any) -> Any:
    app = installed("fastapi").FastAPI(openapi_url=None, **options)
    for path in paths:
        name = name_of(path)

        def handler(_name: str = name) -> str:
            return ran.of(_name)()

        # FastAPI reads the signature: `_name` would be a query parameter.
        app.add_api_route(path, _typed(handler, path, dict(types)))
    return app


def _typed(handler: Any, path: str, types: Mapping[str, Any]) -> Any:
    params = [
        Parameter(name, Parameter.KEYWORD_ONLY, annotation=kind)
        for name, kind in types.items()
        if f"{{{name}}}" in path
    ]

    async def view(**_params: Any) -> str:
        text: str = handler()
        return text

    view.__signature__ = Signature(params)  # type: ignore[attr-defined]
    return view


def litestar(ran: Ran, paths: Iterable[str], extra: Iterable[Any] = ()) -> Any:
    get = installed("litestar").get

    def handler(path: str) -> Any:
        async def view() -> str:
            return ran.of(name_of(path))()

        view.__annotations__ = {"return": str}
        return get(path)(view)

    handlers = [*map(handler, paths), *extra]
    return installed("litestar").Litestar(handlers, logging_config=None, openapi_config=None)


def falcon(ran: Ran, paths: Iterable[str], *, strip: bool = False) -> Any:
    app = installed("falcon").App()
    app.req_options.strip_url_path_trailing_slash = strip

    def responder(name: str) -> Any:
        def on_get(request: Any, response: Any, **params: Any) -> None:
            response.text = ran.of(name)()

        return type("Resource", (), {"on_get": staticmethod(on_get)})()

    for path in paths:
        app.add_route(path, responder(name_of(path)))
    return app


def falcon_asgi(ran: Ran, paths: Iterable[str], *, strip: bool = False) -> Any:
    app = installed("falcon.asgi").App()
    app.req_options.strip_url_path_trailing_slash = strip

    def responder(name: str) -> Any:
        async def on_get(request: Any, response: Any, **params: Any) -> None:
            response.text = ran.of(name)()

        return type("Resource", (), {"on_get": staticmethod(on_get)})()

    for path in paths:
        app.add_route(path, responder(name_of(path)))
    return app


def bottle(ran: Ran, paths: Iterable[str], method: str = "GET") -> Any:
    app = installed("bottle").Bottle()
    for path in paths:
        app.route(path, method, callback=ran.of(name_of(path)))
    return app


def pyramid(ran: Ran, paths: Iterable[str]) -> Any:
    config = installed("pyramid.config").Configurator()
    response = installed("pyramid.response").Response
    for number, path in enumerate(paths):
        name = name_of(path)
        config.add_route(f"{number}", path)
        config.add_view(lambda request, name=name: response(ran.of(name)()), route_name=f"{number}")
    return config.make_wsgi_app()


class _Resource(dict[str, Any]):
    """A tree of one resource."""

    def __init__(self, request: Any) -> None:
        super().__init__()


def traversal(ran: Ran, paths: Iterable[str]) -> Any:
    """Pyramid without routes: each path names a view of the root."""
    config = installed("pyramid.config").Configurator(root_factory=_Resource)
    response = installed("pyramid.response").Response
    config.add_view(lambda request: response(ran.of("root")()), name="")
    for path in paths:
        name = name_of(path)
        config.add_view(lambda request, name=name: response(ran.of(name)()), name=name)
    return config.make_wsgi_app()


FRAMEWORKS: Mapping[str, Framework] = {
    "flask": Framework(flask, attribute="wsgi_app"),
    "werkzeug": Framework(werkzeug),
    "quart": Framework(quart, asgi=True, attribute="asgi_app"),
    "django-wsgi": Framework(django_wsgi),
    "django-asgi": Framework(django_asgi, asgi=True),
    "starlette": Framework(starlette, asgi=True),
    "fastapi": Framework(fastapi, asgi=True),
    "litestar": Framework(litestar, asgi=True, attribute="asgi_handler"),
    "falcon": Framework(falcon),
    "falcon-asgi": Framework(falcon_asgi, asgi=True),
    "bottle": Framework(bottle),
    "pyramid": Framework(pyramid),
    "traversal": Framework(traversal),
}

WSGI = [name for name, each in FRAMEWORKS.items() if not each.asgi]
ASGI = [name for name, each in FRAMEWORKS.items() if each.asgi]


# --- the requests --------------------------------------------------------------------------------


@contextmanager
def silence() -> Iterator[None]:
    """Frameworks log what nobody should have asked for."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def send(app: Any, asgi: bool, arrival: Arrival, fields: Fields) -> int:
    """Send one request as a server hands it over; return the status, 0 for a closed WebSocket."""
    fields = [("Host", "localhost"), *arrival.headers, *fields]
    fields = [*dict(fields).items()]  # an arrival may name its own Host
    with silence(), project_of(app):
        if not asgi:
            environ = environ_for(arrival.method, arrival.path, fields, **arrival.extra)
            return call_wsgi(app, environ, validated=False).status
        path: Any = arrival.path
        text = path.decode("utf-8", "replace") if isinstance(path, bytes) else path
        extra = {"raw_path": None, **arrival.extra}
        fields = [(name.lower(), value) for name, value in fields]  # ASGI: as servers do
        messages = talk(app, arrival.method, text, fields, **extra)
    first = messages[0]
    return {"websocket.accept": 101, "websocket.close": 0}.get(first["type"]) or first["status"]


# --- the callers and the policies ----------------------------------------------------------------


@cache
def bearing(role: str) -> tuple[tuple[str, str], ...]:
    token = ISSUER.mint("ann", roles=[role], lifetime=3600)
    return (("Authorization", f"Bearer {token}"),)


def intruders(rest: str) -> Iterator[tuple[str, Fields]]:
    """Those who may not: without a token, with one that has expired, with another role."""
    if rest != "authenticated":
        yield "nobody", []
        yield "somebody late", [("Authorization", f"Bearer {_expired()}")]
    yield "a guest", [*bearing("guest")]


@cache
def _expired() -> str:
    return ISSUER.expired("ann", roles=["admin"])


POLICIES: dict[str, Authz] = {}


def policy(routes: Mapping[str, Any]) -> Authz:
    """One `Authz` may serve many apps."""
    if (key := str(dict(routes))) not in POLICIES:
        mapping = {"issuers": [ISSUER.policy_issuer()], "routes": dict(routes)}
        POLICIES[key] = Authz.from_mapping(mapping)
    return POLICIES[key]


ADMIN: Mapping[str, Any] = {"/admin": ["admin"], "/admin/**": ["admin"]}

# The most open policies that there are: whatever the protected rule misses, this lets in.
RESTS = ("public", "authenticated")


class Reader:
    """A middleware behind the guard, or a router of its own, that reads paths in its own way."""

    def __init__(self, app: Any, read: Callable[[str], str]) -> None:
        self.app = app
        self.read = read

    def __call__(self, first: Any, *rest: Any) -> Any:
        if "PATH_INFO" not in first:
            return self.app({**first, "path": self.read(first["path"])}, *rest)
        path = first["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        read = self.read(path).encode("utf-8").decode("latin-1")
        return self.app({**first, "PATH_INFO": read}, *rest)


def guarded(app: Any, asgi: bool, authz: Authz, attribute: str = "") -> Any:
    middleware: Any = ASGIAuthzMiddleware if asgi else WSGIAuthzMiddleware
    if not attribute:
        return middleware(app, authz)
    setattr(app, attribute, middleware(getattr(app, attribute), authz))
    return app


def holds(
    make: Make,
    arrivals: Iterable[Arrival | str | bytes],
    *,
    asgi: bool = False,
    attribute: str = "",
    routes: Mapping[str, Any] = ADMIN,
    protected: str = "admin",
    plain: Arrival | str | Iterable[Arrival] = "/admin",
    reaches: bool = True,
    rests: Iterable[str] = RESTS,
) -> None:
    """Nobody who may not makes the protected handler run; who may, does with the plain request.

    `reaches` is whether the bare app runs that handler for the arrivals.
    """
    odd = [arriving(each) for each in arrivals]
    ran = Ran()
    app = make(ran)
    for arrival in odd:
        ran.clear()
        # Quart raises at an empty path, Pyramid at one that is not UTF-8.
        with suppress(IndexError, UnicodeError):
            send(app, asgi, arrival, [])
        assert (protected in ran) is reaches, f"bare: {arrival} ran {list(ran)}"
    for rest in rests:
        ran = Ran()
        app = guarded(make(ran), asgi, policy({"/**": rest, **routes}), attribute)
        for arrival in odd:
            for who, fields in intruders(rest):
                ran.clear()
                send(app, asgi, arrival, fields)
                if protected in ran:
                    raise GotThrough(f"{who}: {arrival}, where the rest is {rest}")
        for each in [plain] if isinstance(plain, (Arrival, str)) else plain:
            ran.clear()
            send(app, asgi, arriving(each), [*bearing("admin")])
            assert ran == [protected], f"the plain request of who may: {each}"


def everywhere(
    name: str,
    arrivals: Iterable[Arrival | str | bytes],
    *,
    paths: tuple[str, ...] = (),
    options: Mapping[str, Any] | None = None,
    **expected: Any,
) -> None:
    """`holds` for a small app of the framework `name`."""
    framework = FRAMEWORKS[name]

    def make(ran: Ran) -> Any:
        return framework.app(ran, *paths, **(options or {}))

    holds(make, arrivals, asgi=framework.asgi, attribute=framework.attribute, **expected)
