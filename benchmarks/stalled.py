"""A key server on loopback that says nothing until it is told to."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

__all__ = ["Stalled", "stalled"]

PATIENCE = 30.0
POLL = 0.01


class Stalled:
    """`asked` is set when somebody waits for the keys; set `answer` to let it go."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.asked = Event()
        self.answer = Event()


@contextmanager
def stalled(jwks: Mapping[str, Any]) -> Generator[Stalled]:
    """Serve `jwks`, once it may be answered, until the block ends."""
    body = json.dumps(jwks).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.set()
            state.answer.wait(PATIENCE)
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            del format, args

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state = Stalled(f"http://127.0.0.1:{server.server_port}/jwks.json")
        thread = Thread(target=server.serve_forever, args=(POLL,), name="stalled key server")
        thread.start()
        try:
            yield state
        finally:
            state.answer.set()
            server.shutdown()
            thread.join()
