"""What others do with the same token: one module each, an app bare and the same app protected.

Each is set up as its manual says, with one static public key, parsed beforehand: none reads PEM
text for each request. Each checks signature, expiry, audience and issuer, and that the caller has a
role. What it adds is the difference between its two apps.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.calling import AsgiApp, Loop, asgi_batch, asgi_status, wsgi_batch, wsgi_status
from benchmarks.material import CLAIMS, Request, Signer
from benchmarks.timing import Batch

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

__all__ = ["PATH", "ROLE", "AsgiPeer", "Peer", "Wrong", "WsgiPeer", "check"]

PATH = "/api/resource12/7"
ROLE = "editor"


@dataclass(frozen=True, slots=True)
class AsgiPeer:
    """An ASGI app without and with protection."""

    name: str
    package: str
    bare: AsgiApp
    protected: AsgiApp

    def batches(self, loop: Loop, requests: Sequence[Request]) -> tuple[Batch, Batch]:
        """Return the batches of both apps, the bare one first."""
        return (
            asgi_batch(loop, lambda: self.bare, requests),
            asgi_batch(loop, lambda: self.protected, requests),
        )

    def statuses(self, loop: Loop, request: Request) -> tuple[int, int]:
        """Return what both apps answer, the bare one first."""
        return asgi_status(loop, self.bare, request), asgi_status(loop, self.protected, request)


@dataclass(frozen=True, slots=True)
class WsgiPeer:
    """A WSGI app without and with protection."""

    name: str
    package: str
    bare: WSGIApplication
    protected: WSGIApplication

    def batches(self, _loop: Loop, requests: Sequence[Request]) -> tuple[Batch, Batch]:
        """Return the batches of both apps, the bare one first."""
        return (
            wsgi_batch(lambda: self.bare, requests),
            wsgi_batch(lambda: self.protected, requests),
        )

    def statuses(self, _loop: Loop, request: Request) -> tuple[int, int]:
        """Return what both apps answer, the bare one first."""
        return wsgi_status(self.bare, request), wsgi_status(self.protected, request)


Peer = AsgiPeer | WsgiPeer


class Wrong(Exception):
    """What is to be measured does not do what it should."""


def check(peer: Peer, loop: Loop, signer: Signer) -> None:
    """Raise `Wrong` unless a good token gets 200 and every other is refused."""
    request = Request(PATH, None)
    expired = signer.sign({**CLAIMS, "sub": "ann", "roles": [ROLE], "exp": 1_600_000_300})
    refused = range(400, 500)  # Starlette says 400 to a bad token, Flask-JWT-Extended 422
    cases: list[tuple[str, str | None, Container[int]]] = [
        ("a good token", signer.mint(role=ROLE), {200}),
        ("no token", None, refused),
        ("what is no token", "x", refused),
        ("a forged token", signer.forge({**CLAIMS, "roles": [ROLE]}), refused),
        ("an expired token", expired, refused),
        ("a token without the role", signer.mint(role="nobody"), refused),
    ]
    for what, token, expected in cases:
        bare, protected = peer.statuses(loop, request.bearing(token))
        if bare != 200 or protected not in expected:
            raise Wrong(f"{peer.name}: {what} gets {bare} bare, {protected} protected")
