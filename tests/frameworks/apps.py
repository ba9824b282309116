"""One small app, written in every framework: the same routes, the same answers.

| Route | What the handler does |
| --- | --- |
| `GET /public`, `GET /me`, `GET /sync` | says who calls; `/sync` from a plain function |
| `GET /outer` | the same; the policy asks for the permission, before the app |
| `GET /write`, `GET /open` | asks `require`; `/open` is public |
| `GET /broken` | raises an error of its own |
| `GET /stream` | says who calls, chunk by chunk |
| `WS /feed` | accepts, and says who calls |
| `WS /feed/write`, `WS /feed/late` | asks `require` before, and after, it accepts |
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from authz_middleware import ASGIAuthzMiddleware, Authz, WSGIAuthzMiddleware, current_access
from tests.adapters.exchange import Sent, call_wsgi, environ_for, scope_for
from tests.frameworks.installed import installed

ROUTES: Mapping[str, Any] = {
    "GET /public": "public",
    "GET /open": "public",
    "GET /outer": {"permissions": ["article:write"]},
    "WS /feed/outer": {"permissions": ["article:write"]},
    **{
        f"GET /{name}": "authenticated"
        for name in ("me", "sync", "write", "broken", "stream", "late")
    },
    **{f"WS /feed{name}": "authenticated" for name in ("", "/write", "/late")},
}


class BrokenError(Exception):
    """A mistake of the app."""


def who() -> str:
    access = current_access()
    assert access is not None
    return access.principal.subject if access.principal else "nobody"


def write() -> str:
    access = current_access()
    assert access is not None
    access.require("article:write")
    return "written"


def broken() -> str:
    raise BrokenError


# Where a GET leads in every app; "stream" is each framework's own.
HANDLERS: Mapping[str, Callable[[], str]] = {
    "public": who,
    "me": who,
    "outer": who,
    "write": write,
    "open": write,
    "broken": broken,
}


def chunks() -> Iterator[bytes]:
    for _ in range(3):
        yield who().encode()


def late() -> Iterator[bytes]:
    """Asks before the first chunk, when a WSGI response has not begun."""
    yield write().encode()


def flask_app(**config: Any) -> Any:
    flask = installed("flask")
    app = flask.Flask("app")
    app.config.update(config)
    for name, handler in {**HANDLERS, "sync": who}.items():
        app.add_url_rule(f"/{name}", name, handler)
    app.add_url_rule("/stream", "stream", lambda: flask.Response(chunks()))
    app.add_url_rule("/late", "late", lambda: flask.Response(late()))
    return app


def quart_app(**config: Any) -> Any:
    quart = installed("quart")
    app = quart.Quart("app")
    app.config.update(config)

    def asynchronous(handler: Callable[[], str]) -> Callable[[], Awaitable[str]]:
        async def view() -> str:
            return handler()

        return view

    for name, handler in HANDLERS.items():
        app.add_url_rule(f"/{name}", name, asynchronous(handler))
    app.add_url_rule("/sync", "sync", who)

    async def stream() -> Any:
        async def body() -> Any:
            for chunk in chunks():
                yield chunk

        return quart.Response(body())

    app.add_url_rule("/stream", "stream", stream)

    async def feed() -> None:
        await quart.websocket.send(who())

    async def feed_write() -> None:
        write()
        await quart.websocket.accept()

    async def feed_late() -> None:
        await quart.websocket.accept()
        write()

    app.add_websocket("/feed", "feed", feed)
    app.add_websocket("/feed/write", "feed_write", feed_write)
    app.add_websocket("/feed/late", "feed_late", feed_late)
    return app


def litestar_app(*, logs: bool = True, **arguments: Any) -> Any:
    litestar = installed("litestar")
    stream_response = installed("litestar.response").Stream

    def asynchronous(name: str, handler: Callable[[], str]) -> Any:
        async def view() -> str:
            return handler()

        view.__annotations__ = {"return": str}
        return litestar.get(f"/{name}", name=name)(view)

    def sync() -> str:
        return who()

    async def stream() -> Any:
        return stream_response(chunks())

    async def feed(socket: Any) -> None:
        await socket.accept()
        await socket.send_text(who())

    async def feed_write(socket: Any) -> None:
        write()
        await socket.accept()

    async def feed_late(socket: Any) -> None:
        await socket.accept()
        write()

    # Litestar reads annotations as objects.
    sync.__annotations__ = {"return": str}
    stream.__annotations__ = {"return": stream_response}
    for websocket in (feed, feed_write, feed_late):
        websocket.__annotations__ = {"socket": litestar.WebSocket, "return": None}
    handlers = [
        *(asynchronous(name, handler) for name, handler in HANDLERS.items()),
        litestar.get("/sync", sync_to_thread=True)(sync),
        litestar.get("/stream")(stream),
        litestar.websocket("/feed")(feed),
        litestar.websocket("/feed/write")(feed_write),
        litestar.websocket("/feed/late")(feed_late),
    ]
    # Litestar's own default sets up the root logger, for the whole process.
    logging_config = installed("litestar.logging").LoggingConfig(
        configure_root_logger=False,
        loggers={"litestar": {"level": "INFO", "handlers": [], "propagate": True}},
        log_exceptions="always",
    )
    arguments["logging_config"] = logging_config if logs else None
    return litestar.Litestar(handlers, **arguments)


def falcon_app() -> Any:
    falcon = installed("falcon")

    class Text:
        def __init__(self, handler: Callable[[], str]) -> None:
            self.handler = handler

        def on_get(self, request: Any, response: Any) -> None:
            response.text = self.handler()

    class Stream:
        def __init__(self, body: Callable[[], Iterator[bytes]]) -> None:
            self.body = body

        def on_get(self, request: Any, response: Any) -> None:
            response.stream = self.body()

    app = falcon.App()
    for name, handler in {**HANDLERS, "sync": who}.items():
        app.add_route(f"/{name}", Text(handler))
    app.add_route("/stream", Stream(chunks))
    app.add_route("/late", Stream(late))
    return app


def falcon_asgi_app() -> Any:
    asgi = installed("falcon.asgi")

    class Text:
        def __init__(self, handler: Callable[[], str]) -> None:
            self.handler = handler

        async def on_get(self, request: Any, response: Any) -> None:
            response.text = self.handler()

    class Sync:
        async def on_get(self, request: Any, response: Any) -> None:
            response.text = await asyncio.to_thread(who)

    class Stream:
        async def on_get(self, request: Any, response: Any) -> None:
            async def body() -> Any:
                for chunk in chunks():
                    yield chunk

            response.stream = body()

    class Feed:
        async def on_websocket(self, request: Any, socket: Any) -> None:
            await socket.accept()
            await socket.send_text(who())

        async def on_websocket_write(self, request: Any, socket: Any) -> None:
            write()
            await socket.accept()

        async def on_websocket_late(self, request: Any, socket: Any) -> None:
            await socket.accept()
            write()

    app = asgi.App()
    for name, handler in HANDLERS.items():
        app.add_route(f"/{name}", Text(handler))
    app.add_route("/sync", Sync())
    app.add_route("/stream", Stream())
    app.add_route("/feed", Feed())
    app.add_route("/feed/write", Feed(), suffix="write")
    app.add_route("/feed/late", Feed(), suffix="late")
    return app


def bottle_app(**config: Any) -> Any:
    app = installed("bottle").Bottle()
    app.config.update(config)
    for name, handler in {**HANDLERS, "sync": who, "stream": chunks, "late": late}.items():
        app.route(f"/{name}", callback=handler)
    return app


def pyramid_app(**settings: Any) -> Any:
    config = installed("pyramid.config").Configurator(settings=settings)
    response = installed("pyramid.response").Response

    def text(handler: Callable[[], str]) -> Callable[[Any], Any]:
        return lambda request: response(handler())

    views = {name: text(handler) for name, handler in {**HANDLERS, "sync": who}.items()}
    views["stream"] = lambda request: response(app_iter=chunks())
    views["late"] = lambda request: response(app_iter=late())
    for name, view in views.items():
        config.add_route(name, f"/{name}")
        config.add_view(view, route_name=name)
    return config.make_wsgi_app()


@dataclass(frozen=True)
class Kind:
    """One framework: how an app is made, and how its users wrap it."""

    make: Callable[..., Any]
    asgi: bool = False
    attribute: str = ""  # what is replaced in the app; without it the app itself is wrapped
    modes: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"plain": {}})
    head: bool = True  # whether HEAD runs the handler of GET
    strips: bool = True  # whether the framework leaves out the body of an answer to HEAD

    def wrapped(self, authz: Authz | Mapping[str, Any], mode: str = "plain") -> Any:
        app = self.make(**self.modes[mode])
        return self.wrap(app, authz)

    def wrap(self, app: Any, authz: Authz | Mapping[str, Any]) -> Any:
        if not self.attribute:
            return self.guard(app, authz)
        setattr(app, self.attribute, self.guard(getattr(app, self.attribute), authz))
        return app

    def guard(self, app: Any, authz: Authz | Mapping[str, Any], **more: Any) -> Any:
        return (ASGIAuthzMiddleware if self.asgi else WSGIAuthzMiddleware)(app, authz, **more)


FLASK_MODES: Mapping[str, Mapping[str, Any]] = {
    "plain": {},
    "debug": {"DEBUG": True},
    "testing": {"TESTING": True},
    "propagating": {"PROPAGATE_EXCEPTIONS": True},
}

KINDS: Mapping[str, Kind] = {
    "flask": Kind(flask_app, attribute="wsgi_app", modes=FLASK_MODES),
    "quart": Kind(quart_app, asgi=True, attribute="asgi_app", modes=FLASK_MODES, strips=False),
    "litestar": Kind(
        litestar_app,
        asgi=True,
        attribute="asgi_handler",
        modes={"plain": {}, "debug": {"debug": True}, "unlogged": {"logs": False}},
        head=False,
    ),
    "falcon": Kind(falcon_app, head=False),
    "falcon-asgi": Kind(falcon_asgi_app, asgi=True, head=False),
    "bottle": Kind(bottle_app, modes={"plain": {}, "propagating": {"catchall": False}}),
    "pyramid": Kind(pyramid_app, modes={"plain": {}, "debug": {"pyramid.debug_all": True}}),
}


@dataclass
class Call:
    """What a request led to: the answer, and what the app wrote to its server's error stream."""

    sent: Sent
    errors: str = ""


def call(
    kind: Kind,
    app: Any,
    method: str,
    path: str,
    headers: Iterable[tuple[str, str]] = (),
    **extra: Any,
) -> Call:
    """Send one request, as a server does; `WS` is a handshake. `extra` is for the scope."""
    headers = [("Host", "localhost"), *headers]
    if not kind.asgi:
        environ = environ_for(method, path, headers)
        errors: io.StringIO = environ["wsgi.errors"]
        return Call(call_wsgi(app, environ), errors.getvalue())
    messages = talk(app, method, path, headers, **extra)
    first = messages[0]
    if first["type"].startswith("websocket") and first["type"].endswith(("accept", "close")):
        return Call(Sent(101 if first["type"].endswith("accept") else 403, [], b""))
    fields = [(name.decode(), value.decode("latin-1")) for name, value in first["headers"]]
    body = b"".join(message.get("body", b"") for message in messages[1:])
    return Call(Sent(first["status"], fields, body))


def talk(
    app: Any,
    method: str,
    path: str,
    headers: Iterable[tuple[str, str]] = (),
    **extra: Any,
) -> list[Any]:
    """The messages that an ASGI app sends to a client that says no more than it must."""
    websocket = method == "WS"
    scope = scope_for(
        method,
        path,
        headers,
        "websocket" if websocket else "http",
        client=("127.0.0.1", 50000),
        server=("127.0.0.1", 80),
        subprotocols=[],
        raw_path=path.encode(),
    )
    request = {"type": "http.request", "body": b"", "more_body": False}
    incoming = [{"type": "websocket.connect"} if websocket else request]
    sent: list[Any] = []

    async def served() -> None:
        finished = asyncio.Event()

        async def receive() -> Any:
            if incoming:
                return incoming.pop()
            await finished.wait()  # until then the client is still there
            return {"type": f"{scope['type']}.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)
            if message["type"].endswith(("close", "body")) and not message.get("more_body"):
                finished.set()

        await asyncio.wait_for(app({**scope, **extra}, receive, send), 10)

    asyncio.run(served())
    return sent
