"""A quiet HTTP server on loopback that answers with a few JSON documents, and to forms."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from threading import Thread
from typing import Any

__all__ = ["Answer", "serving"]

Answer = tuple[int, Mapping[str, Any]]
"""The status, and a JSON object."""

Documents = Callable[[], Mapping[str, Mapping[str, Any]]]
Post = Callable[[str, str, bytes], Answer | None]
"""Answers a path, an Authorization field ("" for none) and a body; None: there is no such path."""

MAX_BODY = 64 * 1024

POLL_SECONDS = 0.02
"""How soon the server notices that it should stop."""


@contextmanager
def serving(documents: Documents, post: Post, port: int) -> Generator[int]:
    """Serve `documents` (by path) on 127.0.0.1 while the block runs; yields the port."""
    server = _Server(("127.0.0.1", port), _handler(documents, post))
    thread = Thread(
        target=server.serve_forever, args=(POLL_SECONDS,), name="development-issuer", daemon=True
    )
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    def server_bind(self) -> None:
        # Not HTTPServer's: it asks the name service who we are, and may wait for it.
        TCPServer.server_bind(self)


def _handler(documents: Documents, post: Post) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 5  # seconds a client may take to say what it wants

        def do_GET(self) -> None:
            document = documents().get(self.path)
            self._send(None if document is None else (200, document))

        def do_POST(self) -> None:
            length = self.headers.get("content-length", "")
            if not length.isdecimal() or int(length) > MAX_BODY:
                self.send_error(413)
                return
            body = self.rfile.read(int(length))
            self._send(post(self.path, self.headers.get("authorization", ""), body))

        def _send(self, answer: Answer | None) -> None:
            if answer is None:
                self.send_error(404)
                return
            body = json.dumps(answer[1]).encode()
            self.send_response(answer[0])
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - their name
            del format, args  # tests have their own output

    return Handler
