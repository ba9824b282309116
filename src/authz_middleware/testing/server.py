"""A quiet HTTP server on loopback that answers with a few JSON documents, and to forms."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from threading import Thread
from typing import Any, Protocol
from urllib.parse import parse_qsl

__all__ = ["Answer", "Page", "serving"]

Answer = tuple[int, Mapping[str, Any]]
"""The status, and a JSON object."""

Documents = Callable[[], Mapping[str, Mapping[str, Any]] | None]
"""None is an outage."""
Post = Callable[[str, str, bytes], Answer | None]
"""Answers a path, an Authorization field ("" for none) and a body; None: there is no such path."""


class Page(Protocol):
    """What stands at `/`: HTML, and what its forms do."""

    def show(self, fields: Mapping[str, str]) -> str: ...


MAX_BODY = 64 * 1024

POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
"""For browsers: nothing is loaded, nothing runs, and nobody frames the page (CSP 3)."""

POLL_SECONDS = 0.02
"""How soon the server notices that it should stop."""


@contextmanager
def serving(
    documents: Documents, post: Post, port: int, page: Page | None = None
) -> Generator[int]:
    """Serve `documents` (by path) on 127.0.0.1 while the block runs; yields the port."""
    server = _Server(("127.0.0.1", port), _handler(documents, post, page))
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


def _handler(documents: Documents, post: Post, page: Page | None) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 5  # seconds a client may take to say what it wants

        def do_GET(self) -> None:
            if page is not None and self.path == "/":
                self._show(page, {})
                return
            known = documents()
            if known is None:
                self._send((503, {"error": "temporarily_unavailable"}))
                return
            document = known.get(self.path)
            self._send(None if document is None else (200, document))

        def do_POST(self) -> None:
            length = self.headers.get("content-length", "")
            # Longer ones are too many digits for `int`, too.
            if not length.isdecimal() or len(length) > len(str(MAX_BODY)) or int(length) > MAX_BODY:
                self.send_error(413)
                return
            body = self.rfile.read(int(length))
            if page is not None and self.path == "/":
                self._show(page, dict(parse_qsl(body.decode("latin-1"))))
                return
            self._send(post(self.path, self.headers.get("authorization", ""), body))

        def _show(self, page: Page, fields: Mapping[str, str]) -> None:
            # A page elsewhere must neither press our buttons (its Origin tells, RFC 6454 §7) nor
            # read what we show under a name of its own that leads here (its Host tells).
            host, origin = self.headers.get("host", ""), self.headers.get("origin")
            if host.partition(":")[0] not in ("127.0.0.1", "localhost"):
                self.send_error(421)
            elif origin is not None and origin != f"http://{host}":
                self.send_error(403)
            else:
                self._write(200, "text/html; charset=utf-8", page.show(fields).encode())

        def _send(self, answer: Answer | None) -> None:
            if answer is None:
                self.send_error(404)
            else:
                self._write(answer[0], "application/json", json.dumps(answer[1]).encode())

        def _write(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(body)))
            self.send_header("cache-control", "no-store")
            self.send_header("content-security-policy", POLICY)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - their name
            del format, args  # tests have their own output

    return Handler
