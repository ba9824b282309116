"""Calls an app in this process with a path as a server would hand it over, untidied."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, unquote_to_bytes
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"

BODY = json.dumps({"title": "Harbour opens again"}).encode()


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self):
        return json.loads(self.body)


def call_wsgi(app, method: str, target: str, authorization: str | None = None) -> Answer:
    environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(target).decode("latin-1"),
        "QUERY_STRING": "",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(BODY)),
        "wsgi.input": io.BytesIO(BODY),
    }
    setup_testing_defaults(environ)
    if authorization is not None:
        environ["HTTP_AUTHORIZATION"] = authorization
    heads: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status, headers, exc_info=None):
        heads[:] = [(status, headers)]
        return lambda data: None

    chunks: Any = validator(app)(environ, start_response)
    try:
        body = b"".join(chunks)
    finally:
        chunks.close()
    status, headers = heads[0]
    return Answer(int(status[:3]), {name.lower(): value for name, value in headers}, body)


def call_asgi(app, method: str, target: str, authorization: str | None = None) -> Answer:
    return asyncio.run(_call_asgi(app, method, target, authorization))


async def _call_asgi(app, method: str, target: str, authorization: str | None) -> Answer:
    websocket = method == "WS"
    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")]
    if authorization is not None:
        headers.append((b"authorization", authorization.encode()))
    scope: dict[str, Any] = {
        "type": "websocket" if websocket else "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "ws" if websocket else "http",
        "path": unquote(target),
        "raw_path": target.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}},
    } | ({} if websocket else {"method": method})
    inbox = (
        [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "1"}]
        if websocket
        else [{"type": "http.request", "body": BODY}]
    )
    sent: list[dict] = []
    finished = asyncio.Event()

    async def receive():
        if inbox:
            return inbox.pop(0)
        if not websocket:
            await finished.wait()  # whoever listens for a disconnect hears it after the answer
        return {"type": "websocket.disconnect" if websocket else "http.disconnect", "code": 1000}

    async def send(message):
        sent.append(message)
        if message["type"].endswith(".body") and not message.get("more_body"):
            finished.set()

    await app(scope, receive, send)
    first = sent[0]
    if first["type"] == "websocket.accept":
        texts = [message["text"] for message in sent if message["type"] == "websocket.send"]
        return Answer(101, {}, "\n".join(texts).encode())
    return Answer(
        first["status"],
        {name.decode().lower(): value.decode() for name, value in first["headers"]},
        b"".join(message.get("body", b"") for message in sent[1:]),
    )
