"""HTTP/1.1 as written: bytes to a socket, answers one after the other on the same connection."""

from __future__ import annotations

import io
import json
import socket
import struct
from collections.abc import Generator
from contextlib import contextmanager, suppress
from http.client import HTTPException, HTTPResponse
from select import select
from typing import NamedTuple

TIMEOUT = 20.0  # seconds

BROKEN = (OSError, HTTPException)
"""What a connection raises that the server has closed."""


class Answer(NamedTuple):
    """One response."""

    status: int
    headers: dict[str, str]  # names in lower case; several lines are joined by a comma
    body: bytes
    closes: bool

    @property
    def problem(self) -> dict:
        """Our refusal's document; empty if this is an answer of somebody else."""
        ours = self.headers.get("content-type") == "application/problem+json"
        problem = json.loads(self.body) if ours and self.body else {}
        return problem if problem.get("instance", "").startswith("urn:uuid:") else {}


class Connection:
    """One connection to a server on loopback."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
        self.file = _Unclosed(socket.SocketIO(self.socket, "r"))

    def send(
        self, method: str, target: str, *fields: str, body: bytes = b"", host: str = "localhost"
    ) -> None:
        """Send one request; `fields` are whole lines."""
        lines = (f"{method} {target} HTTP/1.1", f"Host: {host}", *fields, "", "")
        self.socket.sendall("\r\n".join(lines).encode("latin-1") + body)

    def head(self, method: str = "GET") -> HTTPResponse:
        """Read a response up to its body."""
        response = HTTPResponse(self, method=method)  # type: ignore[arg-type]
        response.begin()
        return response

    def answer(self, method: str = "GET") -> Answer:
        """Read a whole response."""
        response = self.head(method)
        headers: dict[str, str] = {}
        for written, value in response.getheaders():
            name = written.lower()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        body = b"" if response.status == 101 else response.read()
        return Answer(response.status, headers, body, response.will_close)

    def ask(self, method: str, target: str, *fields: str, body: bytes = b"") -> Answer:
        """Send one request and read its response."""
        self.send(method, target, *fields, body=body)
        return self.answer(method)

    def interim(self) -> bool:
        """Whether the next thing that comes is a 100."""
        return self.file.peek(12)[:12].endswith(b" 100")

    def at_end(self) -> bool:
        """Whether the server has closed; waits for that or for data."""
        try:
            return self.file.peek(1) == b""
        except OSError:
            return True

    def reset(self) -> None:
        """Leave without a goodbye, as a client does whose network is gone."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        self.file.really_close()
        self.socket.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What `HTTPResponse` reads from: it would close, and forget, what came too early."""
        return self.file


class _Unclosed(io.BufferedReader):
    def close(self) -> None:
        """The connection is closed by its owner."""

    def flush(self) -> None:
        """Nothing is written here; a response that outlives its connection asks all the same."""

    def really_close(self) -> None:
        super().close()


def ask(port: int, method: str, target: str, *fields: str, body: bytes = b"") -> Answer:
    """Send one request on a connection of its own."""
    with Connection(port) as connection:
        return connection.ask(method, target, *fields, body=body)


HANDSHAKE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==",
)
"""The fields of a WebSocket handshake."""


class Channel:
    """What a handler connects to: the test says when to go on and hears what happened."""

    def __init__(self, listener: socket.socket) -> None:
        self.port = listener.getsockname()[1]
        self._listener = listener

    def accept(self) -> Channel:
        """Wait until the handler has come here."""
        self._socket, _ = self._listener.accept()
        self._socket.settimeout(TIMEOUT)
        self._file = self._socket.makefile("rb")
        return self

    def go(self) -> None:
        """Let the handler make one more chunk; no matter if it has ended."""
        with suppress(OSError):
            self._socket.sendall(b".")

    def go_until_heard(self) -> str:
        """Let the handler make chunks until it says something; return that."""
        for _ in range(1000):
            self.go()
            if select([self._socket], [], [], 0.02)[0]:
                return self.heard()
        raise TimeoutError("the handler goes on and on")

    def finish(self) -> None:
        """Let the handler end."""
        self._socket.shutdown(socket.SHUT_WR)

    def heard(self) -> str:
        """Return the next line that the handler says; "" if it has ended without one."""
        return self._file.readline().decode().strip()

    def close(self) -> None:
        self._listener.close()
        if hasattr(self, "_file"):
            self._file.close()
            self._socket.close()


@contextmanager
def channel() -> Generator[Channel]:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(TIMEOUT)
    made = Channel(listener)
    try:
        yield made
    finally:
        made.close()
