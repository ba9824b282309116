"""An app in both worlds that writes down what a server hands to it, one line of JSON a request."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

VARIABLE = "ADVERSARIAL_DUMP"

_SCOPE = ("type", "method", "path", "root_path")
_ENVIRON = ("REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "RAW_URI", "REQUEST_URI")


def _write(facts: dict[str, Any]) -> None:
    with Path(os.environ[VARIABLE]).open("ab", buffering=0) as file:
        file.write(json.dumps(facts, sort_keys=True).encode() + b"\n")


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        for step in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{step}.complete"})
        return
    facts = {name: scope[name] for name in _SCOPE if name in scope}
    raw = scope.get("raw_path")
    facts["raw_path"] = None if raw is None else raw.decode("latin-1")
    facts["query_string"] = bytes(scope.get("query_string") or b"").decode("latin-1")
    facts["headers"] = [
        [name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]
    ]
    _write(facts)
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1000})
        return
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    kept = {name: environ[name] for name in _ENVIRON if name in environ}
    kept |= {name: value for name, value in environ.items() if name.startswith("HTTP_")}
    _write(kept)
    start_response("204 No Content", [])
    return [b""]
