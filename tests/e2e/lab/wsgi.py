"""The laboratory as a WSGI app, before the newsroom in Flask; wrapped at the end, once."""

from __future__ import annotations

import io
import json
import os
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

from authz_middleware import WSGIAuthzMiddleware, current_access
from examples.flask_app.app import app as newsroom
from examples.flask_app.app import authz

CHUNK = 64 * 1024
LARGE = 4 * 1024 * 1024


def caller() -> str | None:
    access = current_access()
    return access.principal.subject if access and access.principal else None


def channel(environ) -> socket.socket:
    """Connect to the test, which says when to go on and hears what happened."""
    port = int(parse_qs(environ["QUERY_STRING"])["channel"][0])
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def answer(start_response, body: bytes, media_type: str = "application/json") -> list[bytes]:
    start_response("200 OK", [("Content-Type", media_type), ("Content-Length", str(len(body)))])
    return [body]


def who(environ, start_response):
    said = {
        "subject": caller(),
        "pid": os.getpid(),
        "root": environ.get("SCRIPT_NAME", ""),
        "path": environ["PATH_INFO"],
    }
    return answer(start_response, json.dumps(said).encode())


class Stream:
    """A first line, then a chunk each time the test says so; tells the test of its end."""

    def __init__(self, environ) -> None:
        self.channel = channel(environ)
        self.first = True

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        line = f"{caller()}\n".encode()
        if self.first:
            self.first = False
            return line
        if not self.channel.recv(1):
            raise StopIteration
        return line.rjust(CHUNK, b".")

    def close(self) -> None:
        self.channel.sendall(f"closed {caller()}\n".encode())
        self.channel.close()


def stream(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Stream(environ)


def upload(environ, start_response):
    """Tell the test of the first part while the second is still to come."""
    body = environ["wsgi.input"]
    with channel(environ) as test:
        received = len(body.read(CHUNK))
        test.sendall(f"{received}\n".encode())
        while data := body.read(CHUNK):
            received += len(data)
    return answer(start_response, json.dumps({"subject": caller(), "size": received}).encode())


def large(environ, start_response):
    return answer(start_response, b"x" * LARGE, "application/octet-stream")


class Unread(io.FileIO):
    """A file that can be sent by the kernel alone."""

    def read(self, size: int | None = -1, /) -> bytes:
        raise AssertionError("read, not sent by sendfile")


def file(environ, start_response):
    if "wsgi.file_wrapper" not in environ:
        start_response("501 Not Implemented", [("Content-Length", "0")])
        return [b""]
    kind = Unread if environ["QUERY_STRING"] == "sendfile" else io.FileIO
    source = kind(__file__)
    start_response("200 OK", [("Content-Length", str(os.fstat(source.fileno()).st_size))])
    return environ["wsgi.file_wrapper"](source, CHUNK)


def require(environ, start_response):
    environ["authz"].require("article:publish")
    return who(environ, start_response)


ROUTES = {
    "/lab/open": who,
    "/lab/who": who,
    "/lab/both": who,
    "/lab/stream": stream,
    "/lab/upload": upload,
    "/lab/large": large,
    "/lab/file": file,
    "/lab/require": require,
}


def laboratory(environ, start_response):
    handler = ROUTES.get(environ.get("PATH_INFO", ""), inner)
    return handler(environ, start_response)


inner: Any = newsroom.wsgi_app.app  # type: ignore[attr-defined]  # as it was before it was wrapped
app = WSGIAuthzMiddleware(laboratory, authz)
