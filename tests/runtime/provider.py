"""An identity provider on loopback that answers as a test tells it to, and counts."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

Behaviour = Callable[[BaseHTTPRequestHandler], None]

JWKS = "/jwks"
INTROSPECT = "/introspect"
APPENDED = "/.well-known/openid-configuration"


def answer(body: Any = b"", status: int = 200, **headers: str) -> Behaviour:
    """Return a behaviour that sends one complete answer; what is not bytes is sent as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("content-length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return send


def raw(*chunks: bytes) -> Behaviour:
    """Return a behaviour that sends these bytes and hangs up."""

    def send(handler: BaseHTTPRequestHandler) -> None:
        for chunk in chunks:
            handler.wfile.write(chunk)

    return send


def gated(gate: Event, reached: Event, then: Behaviour) -> Behaviour:
    """Return a behaviour that says it was reached and hangs until the gate opens."""

    def send(handler: BaseHTTPRequestHandler) -> None:
        reached.set()
        assert gate.wait(30)
        then(handler)

    return send


def said(**members: Any) -> Behaviour:
    """Return a behaviour that sends this introspection answer."""
    return answer(members, content_type="application/json")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what some of these tests are about."""


class Provider:
    """What stands where (`at`), and what was asked for, in order (`asked`)."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.at: dict[str, Behaviour] = {}
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.stopping = Event()
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked.append(self.path)
                provider.headers.append(
                    {name.lower(): value for name, value in self.headers.items()}
                )
                provider.at.get(self.path, answer(status=404))(self)

            def do_POST(self) -> None:
                self.posted = self.rfile.read(int(self.headers["content-length"]))
                provider.bodies.append(self.posted)
                self.do_GET()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is called
                """Say nothing."""

        self._server = _Server(("127.0.0.1", 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.origin = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_port}"

    def publish(self, *keys: dict[str, Any]) -> None:
        """Put a key set at JWKS."""
        self.at[JWKS] = answer({"keys": list(keys)})

    def fetched(self, path: str = JWKS) -> int:
        """How often this was asked for."""
        return self.asked.count(path)

    @contextmanager
    def running(self) -> Iterator[Provider]:
        thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            self.stopping.set()
            self._server.shutdown()
            thread.join()
            self._server.server_close()


class Clock:
    """The time is what the test says."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
