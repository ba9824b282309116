"""Sends a request exactly as written: no client that tidies the path up first."""

from __future__ import annotations

import base64
import json
import os
from http.client import HTTPConnection, HTTPException
from typing import NamedTuple

__all__ = ["Received", "Unanswered", "send"]

TIMEOUT = 10.0  # seconds

# What articles are made of; sent with every method that may have a body.
BODY = json.dumps({"title": "Harbour opens again"}).encode()


class Unanswered(Exception):
    """The server gave no answer."""


class Received(NamedTuple):
    """What came back."""

    status: int
    challenge: str | None
    id: str | None  # of a refusal: finds its line in the decision log


def send(port: int, method: str, target: str, authorization: str | None = None) -> Received:
    """Send one request to loopback and read the answer; "WS" sends a WebSocket handshake."""
    connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    try:
        connection.putrequest("GET" if method == "WS" else method, target)
        if authorization is not None:
            connection.putheader("Authorization", authorization)
        if method == "WS":
            connection.putheader("Connection", "Upgrade")
            connection.putheader("Upgrade", "websocket")
            connection.putheader("Sec-WebSocket-Version", "13")
            connection.putheader("Sec-WebSocket-Key", base64.b64encode(os.urandom(16)).decode())
        body = BODY if method in ("POST", "PUT", "PATCH") else None
        if body is not None:
            connection.putheader("Content-Type", "application/json")
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        data = b"" if response.status == 101 else response.read()
        return Received(response.status, response.getheader("WWW-Authenticate"), _id(data))
    except (OSError, HTTPException) as error:
        raise Unanswered(f"{method} {target}: {error!r}") from error
    finally:
        connection.close()


def _id(body: bytes) -> str | None:
    """Return the id that a refusal of ours carries (RFC 9457 §3.1.5)."""
    try:
        problem = json.loads(body)
    except ValueError:
        return None
    instance = problem.get("instance") if isinstance(problem, dict) else None
    return instance.removeprefix("urn:uuid:") if isinstance(instance, str) else None
