"""An issuer for tests and demonstrations: a key pair made on the spot, tokens on demand.

RFC 9068 (access tokens), RFC 7517 (the key set), RFC 8414 (the discovery document), RFC 7662
(introspection). Never use it for anything that matters: whoever holds the object can be anyone.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from base64 import b64encode
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from jwt import InvalidTokenError, PyJWS, get_unverified_header

from authz_middleware.testing.keys import ALGORITHMS, DevelopmentKey, PrivateKey, public_jwk
from authz_middleware.testing.page import MintingPage
from authz_middleware.testing.server import Answer, serving

__all__ = ["DevelopmentIssuer"]

EXPIRED_SINCE = 3600.0
"""Seconds; more than any leeway that a policy may allow."""

CLIENT = "development"
"""The client that may ask about tokens."""

METADATA = (
    # OpenID Connect appends the well-known part to the issuer, RFC 8414 §3.1 puts it in front.
    "{path}/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server{path}",
)


class DevelopmentIssuer:
    """Mints access tokens that a policy with its `policy_issuer()` accepts.

    `issuer` is the identifier that tokens carry as `iss`, `audience` what they carry as `aud`.
    `algorithm` is one of ES256, ES384, ES512, EdDSA, RS256-512 and PS256-512. `clock` returns
    seconds since the epoch. Nothing is fetched or served unless `serve` is called.

    With `key_file` the key is the one in that PEM file, which is made if it is not there, readable
    by its owner alone; `algorithm` must be one that it serves. Such a key is named so that a policy
    believes it for an issuer on this machine alone. Raises OSError or ValueError if the file cannot
    be used.
    """

    def __init__(
        self,
        issuer: str = "http://127.0.0.1:8799",
        audience: str | Sequence[str] = "development",
        *,
        algorithm: str = "ES256",
        clock: Callable[[], float] = time.time,
        key_file: str | os.PathLike[str] | None = None,
    ) -> None:
        if algorithm not in ALGORITHMS:
            raise ValueError(f"no key for {algorithm!r}; choose one of {', '.join(ALGORITHMS)}")
        self.issuer = issuer
        self.audience = audience if isinstance(audience, str) else tuple(audience)
        self.algorithm = algorithm
        self.clock = clock
        self.outage = False
        """While it is set, `serve` answers everything with 503."""
        self._file = None if key_file is None else Path(key_file)
        self._keys: list[DevelopmentKey] = []  # all that are published; the last one signs
        if self._file is not None and self._file.exists():
            self._keys.append(DevelopmentKey.read(self._file, algorithm))
        else:
            self.rotate()
        self._opaque: dict[str, dict[str, Any]] = {}
        self._revoked: set[str] = set()
        self._secret = secrets.token_urlsafe(32)

    def __repr__(self) -> str:
        return f"DevelopmentIssuer({self.issuer!r}, {self.audience!r}, {self.algorithm})"

    @property
    def kid(self) -> str:
        """The name of the key that signs."""
        return self._keys[-1].kid

    def rotate(self) -> None:
        """Sign with a new key from now on. The ones before it stay published."""
        key = DevelopmentKey.make(self.algorithm, named=self._file is not None)
        if self._file is not None:
            key.write(self._file)
        self._keys.append(key)

    # Tokens.

    def mint(
        self,
        /,
        subject: str = "ann",
        *,
        roles: Iterable[str] | None = None,
        lifetime: float = 300,
        headers: Mapping[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """Return a signed access token (RFC 9068 §2) for `subject`, good for `lifetime` seconds.

        `headers` and `claims` are added to what such a token has, or take its place; None leaves
        one out: `mint(exp=None)`, `mint(headers={"kid": None})`.
        """
        key = self._keys[-1]  # once: another thread may rotate
        named = {"kid": key.kid, **(headers or {})}
        return self._sign(key.private, self._claims(subject, roles, lifetime, claims), named)

    def expired(
        self, subject: str = "ann", *, roles: Iterable[str] | None = None, **claims: Any
    ) -> str:
        """Return a token that was good until an hour ago."""
        then = int(self.clock() - EXPIRED_SINCE)
        times: dict[str, Any] = {"iat": then - 300, "exp": then}
        return self.mint(subject, roles=roles, **(times | claims))

    def for_audience(
        self,
        audience: str | Sequence[str],
        subject: str = "ann",
        *,
        roles: Iterable[str] | None = None,
        **claims: Any,
    ) -> str:
        """Return a token that was made for another service."""
        claims["aud"] = audience if isinstance(audience, str) else list(audience)
        return self.mint(subject, roles=roles, **claims)

    def signed_by_another_key(
        self, subject: str = "ann", *, roles: Iterable[str] | None = None, **claims: Any
    ) -> str:
        """Return a token that names our key but was signed by another of its kind: a forgery."""
        key = DevelopmentKey.make(self.algorithm).private
        return self._sign(key, self._claims(subject, roles, 300, claims), None)

    def mint_opaque(
        self,
        subject: str = "ann",
        *,
        roles: Iterable[str] | None = None,
        lifetime: float = 300,
        prefix: str = "",
        **claims: Any,
    ) -> str:
        """Return a random token that holds nothing; its claims are what `introspect` tells."""
        token = prefix + secrets.token_urlsafe(32)
        self._opaque[token] = self._claims(subject, roles, lifetime, claims)
        return token

    def revoke(self, token: str) -> None:
        """Have `introspect` say from now on that `token` is not active."""
        self._revoked.add(token)

    def introspect(self, token: str) -> dict[str, Any]:
        """Return what the introspection endpoint says of `token` (RFC 7662 §2.2)."""
        claims = self._opaque.get(token) or self._signed(token)
        if claims is None or token in self._revoked:
            return {"active": False}
        expires_at = claims.get("exp")
        if isinstance(expires_at, (int, float)) and expires_at <= self.clock():
            return {"active": False}
        return {"active": True, "token_type": "Bearer", **claims}

    def _signed(self, token: str) -> dict[str, Any] | None:
        """The claims of a token that `mint` signed."""
        try:
            payload = PyJWS().decode(token, self._named(token).public_key(), [self.algorithm])
        except (InvalidTokenError, LookupError):
            return None
        claims: dict[str, Any] = json.loads(payload)  # noqa: TID251 - our own text
        return claims

    def _named(self, token: str) -> PrivateKey:
        """The key that `token` names. Raises LookupError or InvalidTokenError."""
        return {key.kid: key.private for key in self._keys}[
            get_unverified_header(token).get("kid", self.kid)
        ]

    def _claims(
        self,
        subject: str,
        roles: Iterable[str] | None,
        lifetime: float,
        claims: Mapping[str, Any],
    ) -> dict[str, Any]:
        now = int(self.clock())
        usual = {
            "iss": self.issuer,
            "sub": subject,
            "aud": self.audience,
            "iat": now,
            "exp": int(now + lifetime),
            "jti": uuid4().hex,
            "client_id": "development",
            "roles": None if roles is None else list(roles),
        }
        return _without_none(usual | dict(claims))

    def _sign(
        self, key: PrivateKey, claims: Mapping[str, Any], headers: Mapping[str, Any] | None
    ) -> str:
        header = {"typ": "at+jwt", "alg": self.algorithm, "kid": self.kid} | dict(headers or {})
        # PyJWT puts "JWT" where no type is given, and nothing where it is empty.
        header["typ"] = header["typ"] or ""
        payload = json.dumps(claims, separators=(",", ":")).encode()
        # Not `jwt.encode`: it refuses to sign claims that a verifier should be tested with.
        return PyJWS().encode(payload, key, self.algorithm, _without_none(header))

    # What a verifier may know.

    @property
    def jwks(self) -> dict[str, Any]:
        """The public key set (RFC 7517 §5)."""
        shown = [
            {**public_jwk(key.private), "kid": key.kid, "use": "sig", "alg": self.algorithm}
            for key in self._keys
        ]
        return {"keys": shown}

    @property
    def jwks_uri(self) -> str:
        """Where `serve` answers with the key set."""
        return f"{self.issuer.rstrip('/')}/jwks.json"

    @property
    def introspection_endpoint(self) -> str:
        """Where `serve` answers about tokens, to the client of `policy_issuer(opaque=True)`."""
        return f"{self.issuer.rstrip('/')}/introspect"

    @property
    def discovery(self) -> dict[str, Any]:
        """The metadata document (RFC 8414 §2, OpenID Connect Discovery §3)."""
        return {
            "issuer": self.issuer,
            "jwks_uri": self.jwks_uri,
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [self.algorithm],
            "introspection_endpoint": self.introspection_endpoint,
            "introspection_endpoint_auth_methods_supported": ["client_secret_basic"],
        }

    def policy_issuer(self, *, opaque: bool = False, **overrides: Any) -> dict[str, Any]:
        """Return an entry for a policy's `[[issuers]]`, its key inline: no network is needed.

        With `opaque` it is one that asks us about each token: for `mint_opaque`, while `serve`
        runs. The secret that this takes is put into the environment of this process.

        Overrides take the place of entries, and None leaves one out: with `jwks=None` the keys
        are found by discovery.
        """
        audience = [self.audience] if isinstance(self.audience, str) else list(self.audience)
        table: dict[str, Any] = {"issuer": self.issuer, "audience": audience}
        if opaque:
            variable = f"DEVELOPMENT_ISSUER_{self.kid}"
            os.environ[variable] = self._secret
            table["introspection"] = {
                "endpoint": self.introspection_endpoint,
                "client_id": CLIENT,
                "client_secret_env": variable,
            }
        else:
            table |= {"algorithms": [self.algorithm], "jwks": self.jwks}
        return deepcopy(_without_none(table | overrides))

    @contextmanager
    def serve(
        self, port: int | None = None, *, switches: bool = False
    ) -> Generator[DevelopmentIssuer]:
        """Answer discovery, key and introspection requests on 127.0.0.1 until the block ends.

        `port` is the one in `issuer` by default. With another one, or 0 for any that is free, the
        issuer's identifier becomes `http://127.0.0.1:PORT` with the path it had, and stays so.

        With `switches` there is a page at `/` where anybody on this machine may mint tokens, rotate
        the key, and have an outage.
        """
        parts = urlsplit(self.issuer)
        if port is None:
            if parts.scheme != "http" or parts.hostname != "127.0.0.1" or parts.port is None:
                raise ValueError(
                    f"{self.issuer} is not served here: name it http://127.0.0.1:PORT, or give"
                    " serve() a port"
                )
            port = parts.port
        page = self._page() if switches else None
        with serving(self._documents, self._posted, port, page) as bound:
            if bound != parts.port or parts.hostname != "127.0.0.1":
                self.issuer = f"http://127.0.0.1:{bound}{parts.path}"
            yield self

    def _page(self) -> MintingPage:
        return MintingPage(self.mint, self.rotate, self._fail)

    def _fail(self, outage: bool | None) -> bool:
        if outage is not None:
            self.outage = outage
        return self.outage

    def _posted(self, path: str, authorization: str, body: bytes) -> Answer | None:
        if self.outage:
            return 503, {"error": "temporarily_unavailable"}
        if path != urlsplit(self.introspection_endpoint).path:
            return None
        pair = b64encode(f"{CLIENT}:{self._secret}".encode()).decode()
        if authorization != f"Basic {pair}":
            return 401, {"error": "invalid_client"}
        tokens = parse_qs(body.decode("latin-1")).get("token", [])
        if len(tokens) != 1:
            return 400, {"error": "invalid_request"}
        return 200, self.introspect(tokens[0])

    def _documents(self) -> Mapping[str, Mapping[str, Any]] | None:
        if self.outage:
            return None
        path = urlsplit(self.issuer).path.rstrip("/")
        documents: dict[str, Mapping[str, Any]] = {
            template.format(path=path): self.discovery for template in METADATA
        }
        documents[urlsplit(self.jwks_uri).path] = self.jwks
        return documents


def _without_none(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: member for name, member in members.items() if member is not None}
