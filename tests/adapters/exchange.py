"""One request, sent through both adapters, so that every behaviour is tested from one table."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any
from wsgiref.validate import validator

from authz_middleware import ASGIAuthzMiddleware, Authz, WSGIAuthzMiddleware

NO_APP: Any = None
"""Wrapped where no request may reach an app: calling it would be a TypeError."""

WORLDS = ("wsgi", "asgi")
PLAIN_METHODS = ("GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE")


@dataclass
class Sent:
    """What a client sees."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    access: Any = None  # what the app was handed, if it was called

    @property
    def called(self) -> bool:
        return self.access is not None

    def header(self, name: str) -> str | None:
        values = [value for key, value in self.headers if key.lower() == name]
        assert len(values) < 2, f"{name} was sent twice"
        return values[0] if values else None


@dataclass
class Recorder:
    """An app in both worlds that answers 200 and keeps what it was handed."""

    seen: list[Any] = field(default_factory=list)
    during: Callable[[Any], None] = lambda access: None

    def wsgi(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.seen.append(environ["authz"])
        self.during(environ["authz"])
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else b"hello"]

    async def asgi(self, scope: Any, receive: Any, send: Any) -> None:
        self.seen.append(scope["authz"])
        self.during(scope["authz"])
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close", "code": 1000})
            return
        body = b"" if scope["method"] == "HEAD" else b"hello"
        headers = [(b"content-type", b"text/plain")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def environ_for(
    method: str,
    path: str | bytes,
    headers: Iterable[tuple[str, str]] = (),
    **extra: Any,
) -> dict[str, Any]:
    """An environ as a server makes it: path bytes in disguise, repeated fields joined."""
    raw = path if isinstance(path, bytes) else path.encode("utf-8", "surrogatepass")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": raw.decode("latin-1"),
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in headers:
        key = f"HTTP_{name.upper().replace('-', '_')}"
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    return {**environ, **extra}


def scope_for(
    method: str,
    path: str | bytes,
    headers: Iterable[tuple[str, str]] = (),
    kind: str = "http",
    **extra: Any,
) -> dict[str, Any]:
    """A scope as a server makes it: bytes that are not UTF-8 become U+FFFD, fields stay apart."""
    text = path.decode("utf-8", "replace") if isinstance(path, bytes) else path
    scope: dict[str, Any] = {
        "type": kind,
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "ws" if kind == "websocket" else "http",
        "path": text,
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
        "extensions": {"websocket.http.response": {}} if kind == "websocket" else {},
    }
    if kind == "http":
        scope["method"] = method
    return {**scope, **extra}


def validated(app: Any) -> Any:
    """Put `wsgiref.validate` between our middleware and `app`.

    It wants text under every key without a dot, and our key, "authz", has none: so that one is
    taken out on the way in and put back behind it. All else must pass.
    """

    def outer(environ: dict[str, Any], start_response: Any) -> Any:
        access = environ.pop("authz")

        def inner(environ: dict[str, Any], start_response: Any) -> Any:
            environ["authz"] = access
            return app(environ, start_response)

        return validator(inner)(environ, start_response)

    return outer


def ignore(*_: object) -> Any:
    """A `start_response` of a server that does not care."""


def call_wsgi(app: Any, environ: dict[str, Any], *, validated: bool = True) -> Sent:
    """Run a WSGI app as a server does; `wsgiref.validate` watches."""
    started: list[Any] = []

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        if started:
            assert exc_info, "start_response was called twice without exc_info"
        started[:] = [status, headers]
        return written.append

    written: list[bytes] = []
    body = (validator(app) if validated else app)(environ, start_response)
    try:
        chunks = list(body)
    finally:
        if hasattr(body, "close"):
            body.close()
    status, headers = started
    return Sent(int(status[:3]), list(headers), b"".join([*written, *chunks]))


async def exchange(app: Any, scope: dict[str, Any], *received: Any) -> list[Any]:
    """Run an ASGI app and return what it sent."""
    connect: Any = {"type": "websocket.connect"}
    request: Any = {"type": "http.request", "body": b"", "more_body": False}
    incoming = [connect if scope["type"] == "websocket" else request, *received]
    sent: list[Any] = []

    async def receive() -> Any:
        return incoming.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


def at_once(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that waits for nothing, without an event loop: for very many requests."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    coroutine.close()
    raise AssertionError("it waited")


def call_asgi(app: Any, scope: dict[str, Any], *received: Any, run: Any = asyncio.run) -> Sent:
    """Run an ASGI app as a server does and read its messages as a client would."""
    messages = run(exchange(app, scope, *received))
    first = messages[0]
    if first["type"] == "websocket.accept":
        return Sent(101, [], b"")
    if first["type"] == "websocket.close":
        return Sent(403, [], b"")  # ASGI: what the server answers
    headers = [(name.decode(), value.decode("latin-1")) for name, value in first["headers"]]
    assert all(message["type"].endswith("response.body") for message in messages[1:])
    return Sent(first["status"], headers, b"".join(m.get("body", b"") for m in messages[1:]))


def ask(
    world: str,
    authz: Authz,
    method: str,
    path: str | bytes,
    headers: Iterable[tuple[str, str]] = (),
    *,
    during: Callable[[Any], None] = lambda access: None,
    run: Any = asyncio.run,
    **extra: Any,
) -> Sent:
    """Send one request to a wrapped `Recorder`; method "WS" is a handshake (ASGI only).

    `extra` goes into the environ or the scope as it is.
    """
    headers = list(headers)
    recorder = Recorder(during=during)
    if world == "wsgi":
        environ = environ_for(method, path, headers, **extra)
        # The validator itself objects to requests that real servers do pass on.
        plain = method in PLAIN_METHODS and environ["PATH_INFO"].startswith("/")
        app = validated(recorder.wsgi) if plain else recorder.wsgi
        sent = call_wsgi(WSGIAuthzMiddleware(app, authz), environ, validated=plain)
    else:
        kind = "websocket" if method == "WS" else "http"
        scope = scope_for(method, path, headers, kind, **extra)
        sent = call_asgi(ASGIAuthzMiddleware(recorder.asgi, authz), scope, run=run)
    assert len(recorder.seen) < 2
    sent.access = recorder.seen[0] if recorder.seen else None
    return sent
