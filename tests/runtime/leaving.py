"""Ends while a name service hangs; run by `test_outages`."""

from __future__ import annotations

import socket
import sys
from threading import Event

from authz_middleware import Authz


def hang(*args: object, **kwargs: object) -> None:
    reached.set()
    Event().wait()


reached = Event()
socket.getaddrinfo = hang  # type: ignore[assignment]
authz = Authz.from_mapping({"issuers": [{"issuer": "https://x.example", "audience": ["x"]}]})
ready = authz.warm(0.01).ready
sys.stdout.write(f"{reached.wait(30)} {ready}\n")
