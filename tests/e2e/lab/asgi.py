"""The laboratory as an ASGI app, before the newsroom in FastAPI; wrapped at the end, once."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import suppress
from urllib.parse import parse_qs

from authz_middleware import ASGIAuthzMiddleware, current_access
from examples.fastapi_app.app import app as newsroom
from examples.fastapi_app.app import authz

CHUNK = 64 * 1024
LARGE = 4 * 1024 * 1024


def caller() -> str | None:
    access = current_access()
    return access.principal.subject if access and access.principal else None


async def channel(scope):
    """Connect to the test, which says when to go on and hears what happened."""
    port = int(parse_qs(scope["query_string"])[b"channel"][0])
    return await asyncio.open_connection("127.0.0.1", port)


async def answer(send, body: bytes, media_type: bytes = b"application/json") -> None:
    headers = [(b"content-type", media_type), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def who(scope, receive, send):
    said = {
        "subject": caller(),
        "pid": os.getpid(),
        "root": scope.get("root_path", ""),
        "path": scope["path"],
    }
    await answer(send, json.dumps(said).encode())


async def stream(scope, receive, send):
    """A first line, then a chunk each time the test says so; tells the test of its end."""
    reader, writer = await channel(scope)
    end = "closed"
    gone = asyncio.create_task(disconnected(receive))
    try:
        headers = [(b"content-type", b"text/plain")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        chunk = f"{caller()}\n".encode()
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
        while await first(reader.read(1), gone):
            chunk = f"{caller()}\n".encode().rjust(CHUNK, b".")
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    except asyncio.CancelledError:
        end = "cancelled"
        raise
    except OSError:  # ASGI "Send": what a server of spec 2.4 raises for a client that is gone
        end = "closed"
    finally:
        gone.cancel()
        writer.write(f"{end} {caller()}\n".encode())
        writer.close()


async def disconnected(receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def first(said, gone) -> bytes:
    """Return what the test says, or nothing if the client has gone."""
    said = asyncio.ensure_future(said)
    await asyncio.wait({said, gone}, return_when=asyncio.FIRST_COMPLETED)
    if gone.done():
        said.cancel()
        with suppress(asyncio.CancelledError):
            await said
        return b""
    return await said


async def upload(scope, receive, send):
    """Tell the test of the first part while the second is still to come."""
    _, writer = await channel(scope)
    received, told, more = 0, False, True
    while more:
        message = await receive()
        received += len(message.get("body", b""))
        more = message.get("more_body", False)
        if received >= CHUNK and not told:
            told = True
            writer.write(f"{received}\n".encode())
            await writer.drain()
    writer.close()
    await answer(send, json.dumps({"subject": caller(), "size": received}).encode())


async def large(scope, receive, send):
    await answer(send, b"x" * LARGE, b"application/octet-stream")


async def require(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
    scope["authz"].require("article:publish")
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})
    else:
        await who(scope, receive, send)


async def require_later(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    await receive()
    scope["authz"].require("article:publish")
    await send({"type": "websocket.send", "text": "allowed"})
    await receive()


async def echo(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": f"{caller()}: {message['text']}"})


ROUTES = {
    ("http", "/lab/open"): who,
    ("http", "/lab/who"): who,
    ("http", "/lab/both"): who,
    ("http", "/lab/stream"): stream,
    ("http", "/lab/upload"): upload,
    ("http", "/lab/large"): large,
    ("http", "/lab/require"): require,
    ("websocket", "/lab/require"): require,
    ("websocket", "/lab/require-later"): require_later,
    ("websocket", "/lab/echo"): echo,
}


async def laboratory(scope, receive, send):
    """Route on the path below `root_path`, as Starlette does."""
    path, root = scope.get("path", ""), scope.get("root_path", "")
    if root and path.startswith(root + "/"):
        path = path.removeprefix(root)
    handler = ROUTES.get((scope["type"], path), newsroom)
    await handler(scope, receive, send)


newsroom.user_middleware.clear()  # as it was before it was wrapped
app = ASGIAuthzMiddleware(laboratory, authz)
