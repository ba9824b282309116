"""A small HTTP server for a decision point: one request a connection, and nobody holds a thread.

It is the standard library's, with the limits that it lacks: a connection has so many seconds in
all, so many are served at a time, and fields that stand twice are not one of the two.
"""

from __future__ import annotations

import io
import socket
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from socketserver import TCPServer, ThreadingMixIn
from threading import BoundedSemaphore, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, cast
from wsgiref.handlers import SimpleHandler
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

__all__ = ["serving"]

MAX_SECONDS: Final = 30.0
"""For one connection, from its beginning until it has sent all of its request."""

MAX_CONNECTIONS: Final = 64
"""That are served at a time; others wait in the queue of the operating system."""

MAX_UNREAD: Final = 4 * 1024 * 1024
"""Bytes that are read and thrown away so that a refusal reaches who still sends."""

MAX_LINE: Final = 65536
"""Bytes of the line that begins a request."""

POLL_SECONDS: Final = 0.05


@contextmanager
def serving(app_at: Callable[[int], WSGIApplication], host: str, port: int) -> Generator[int]:
    """Serve on `host` while the block runs the app that is made for the port; yields that.

    Raises OSError.
    """
    kind = _Server6 if ":" in host else _Server
    server = kind((host, port), _Handler)
    bound = int(server.server_address[1])
    try:
        server.app = app_at(bound)
    except BaseException:
        server.server_close()
        raise
    thread = Thread(
        target=server.serve_forever, args=(POLL_SECONDS,), name="decision-point", daemon=True
    )
    thread.start()
    try:
        yield bound
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128
    app: WSGIApplication

    def __init__(self, address: tuple[str, int], handler: type[WSGIRequestHandler]) -> None:
        self._free: Final = BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__(address, handler)

    def server_bind(self) -> None:
        # Not HTTPServer's: it asks the name service who we are, and may wait for it.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._free.acquire()
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that went away or took too long is no news, and of anything else the text may
        # hold what it sent.
        del request, client_address
        kind = sys.exc_info()[0]
        if kind is not None and not issubclass(kind, OSError):
            sys.stderr.write(f"a connection failed: {kind.__name__}\n")


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Within(io.RawIOBase):
    """A socket that is read until a moment, however little comes each time."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self._connection: Final = connection
        self._until: Final = monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        left = self._until - monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)


class _Handler(WSGIRequestHandler):
    def setup(self) -> None:
        super().setup()
        self.rfile = io.BufferedReader(_Within(self.connection, MAX_SECONDS))

    def get_environ(self) -> WSGIEnvironment:
        environ = super().get_environ()
        # Of two lengths or types the first is not meant more than the second (RFC 9112 §6.3).
        for key, name in (("CONTENT_LENGTH", "content-length"), ("CONTENT_TYPE", "content-type")):
            if values := self.headers.get_all(name):
                environ[key] = ", ".join(values)
        return environ

    def handle(self) -> None:
        try:
            self._answer()
        finally:
            self._read_the_rest()

    def _answer(self) -> None:
        self.raw_requestline = self.rfile.readline(MAX_LINE + 1)
        if len(self.raw_requestline) > MAX_LINE:
            self.send_error(414)
        elif self.parse_request():
            environ = self.get_environ()
            handler = _Answer(self.rfile, self.wfile, sys.stderr, environ, multithread=True)
            handler.run(cast("_Server", self.server).app)

    def parse_request(self) -> bool:
        found = super().parse_request()
        if found and self.request_version == "HTTP/0.9":  # a line alone
            self.send_error(505)
            return False
        return found

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        del message, explain  # they hold what was sent
        phrase = HTTPStatus(code).phrase
        head = f"HTTP/1.1 {code} {phrase}\r\nConnection: close\r\nContent-Type: text/plain\r\n"
        self.wfile.write(f"{head}Content-Length: {len(phrase)}\r\n\r\n{phrase}".encode("ascii"))

    def _read_the_rest(self) -> None:
        """A connection that is closed with something unread takes the answer with it (TCP)."""
        with suppress(OSError):
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_WR)
            left = MAX_UNREAD
            while left > 0 and (more := self.rfile.read1(min(left, MAX_LINE))):
                left -= len(more)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - their name
        del format, args  # the decision log tells what was asked


class _Answer(SimpleHandler):
    server_software = None
    http_version = "1.1"

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.origin_server = True

    def send_preamble(self) -> None:
        super().send_preamble()
        self._write(b"Connection: close\r\n")

    def log_exception(self, exc_info: Any) -> None:
        del exc_info  # a client that goes away; what the app raises it answers itself
