"""Both paths by hand, as short as they can honestly be: what the steps cost by themselves.

The same steps as ours, each in its plainest form: scan the header, look the token up by a keyed
digest, check its time, walk the path's segments, test the roles, copy the scope or write to the
environ, set the context variable. It is no middleware: a token that it was not told of is refused,
it reads paths as they come, and it explains nothing. `ColdPrototype` verifies new tokens, of one
issuer with one RS256 key; it takes whatever Python's base64 and JSON take.
"""

from __future__ import annotations

import json
import secrets
from base64 import urlsafe_b64decode
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from hashlib import blake2b
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from benchmarks.calling import AsgiApp
from benchmarks.material import AUDIENCE, ISSUER

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["AsgiPrototype", "ColdPrototype", "Known", "Prototype", "WsgiPrototype"]


class Known(NamedTuple):
    """What is remembered of a verified token."""

    expires_at: float
    roles: frozenset[str]
    claims: Mapping[str, Any]


class _Node:
    __slots__ = ("literals", "methods", "number")

    def __init__(self) -> None:
        self.literals: dict[str, _Node] = {}
        self.number: _Node | None = None
        self.methods: dict[str, frozenset[str]] = {}


_current: ContextVar[Known | None] = ContextVar("benchmarks.known", default=None)


class Prototype:
    """Rules and verified tokens."""

    def __init__(self, routes: Mapping[str, Iterable[str]]) -> None:
        self._key = secrets.token_bytes(32)
        self._tokens: dict[bytes, Known] = {}
        self._root = _Node()
        for key, roles in routes.items():
            method, _, path = key.partition(" ")
            node = self._root
            for segment in path[1:].split("/"):
                if segment == "<int:id>":
                    node.number = node.number or _Node()
                    node = node.number
                else:
                    node = node.literals.setdefault(segment, _Node())
            node.methods[method] = frozenset(roles)

    def learn(self, token: str, known: Known) -> None:
        """Remember a token that somebody has verified."""
        self._tokens[self._digest(token.encode("ascii"))] = known

    def _digest(self, token: bytes) -> bytes:
        return blake2b(token, key=self._key, digest_size=32).digest()

    def admitted(self, method: str, path: str, authorization: bytes) -> Known | int:
        """Return the caller, or the status of the refusal."""
        if authorization[:7] != b"Bearer ":
            return 401
        digest = self._digest(authorization[7:])
        known = self._tokens.get(digest) or self._verified(digest, authorization[7:])
        if known is None or time() >= known.expires_at:
            return 401
        roles = self.roles(method, path)
        if roles is None or roles.isdisjoint(known.roles):
            return 403
        return known

    def _verified(self, _digest: bytes, _token: bytes) -> Known | None:
        return None

    def roles(self, method: str, path: str) -> frozenset[str] | None:
        """Return the roles that may, or None."""
        node = self._root
        for segment in path[1:].split("/"):
            child = node.literals.get(segment)
            if child is None and node.number and segment.isascii() and segment.isdigit():
                child = node.number
            if child is None:
                return None
            node = child
        return node.methods.get(method)


class ColdPrototype(Prototype):
    """A prototype that verifies what it was not told of, and remembers it."""

    def __init__(
        self,
        routes: Mapping[str, Iterable[str]],
        key: RSAPublicKey,
        inherited: Mapping[str, frozenset[str]],
    ) -> None:
        super().__init__(routes)
        self._public_key = key
        self._inherited = inherited

    def _verified(self, digest: bytes, token: bytes) -> Known | None:
        signed, _, signature = token.rpartition(b".")
        header, _, payload = signed.partition(b".")
        try:
            claims = json.loads(_decoded(payload))
            if json.loads(_decoded(header))["alg"] != "RS256":
                return None
            self._public_key.verify(_decoded(signature), signed, PKCS1v15(), SHA256())
            if claims["iss"] != ISSUER or claims["aud"] not in (AUDIENCE, [AUDIENCE]):
                return None
            roles = frozenset(claims["roles"])
            for role in claims["roles"]:
                roles |= self._inherited.get(role, frozenset())
            known = Known(claims["exp"], roles, claims)
        except (ValueError, KeyError, TypeError, InvalidSignature):
            return None
        self._tokens[digest] = known
        return known


def _decoded(text: bytes) -> bytes:
    return urlsafe_b64decode(text + b"=" * (-len(text) % 4))


class AsgiPrototype:
    """Around an ASGI app."""

    def __init__(self, app: AsgiApp, prototype: Prototype) -> None:
        self._app = app
        self._prototype = prototype

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        authorization = b""
        for name, value in scope["headers"]:
            if name == b"authorization":
                authorization = value
        known = self._prototype.admitted(scope["method"], scope["path"], authorization)
        if isinstance(known, int):
            await send({"type": "http.response.start", "status": known, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        scope = dict(scope)
        scope["authz"] = known
        token = _current.set(known)
        try:
            await self._app(scope, receive, send)
        finally:
            _current.reset(token)


class WsgiPrototype:
    """Around a WSGI app."""

    def __init__(self, app: WSGIApplication, prototype: Prototype) -> None:
        self._app = app
        self._prototype = prototype

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        authorization = environ.get("HTTP_AUTHORIZATION", "").encode("latin-1")
        path = environ["PATH_INFO"].encode("latin-1").decode("utf-8")
        known = self._prototype.admitted(environ["REQUEST_METHOD"], path, authorization)
        if isinstance(known, int):
            start_response(f"{known} Refused", [])
            return [b""]
        environ["authz"] = known
        token = _current.set(known)
        try:
            return self._app(environ, start_response)
        finally:
            _current.reset(token)
