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
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt import InvalidTokenError, PyJWS, algorithms

from authz_middleware.testing.server import Answer, serving

__all__ = ["DevelopmentIssuer"]

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | Ed25519PrivateKey

_CURVES: dict[str, ec.EllipticCurve] = {
    "ES256": ec.SECP256R1(),
    "ES384": ec.SECP384R1(),
    "ES512": ec.SECP521R1(),
}
ALGORITHMS = (*_CURVES, "EdDSA", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512")


def _make_key(algorithm: str) -> PrivateKey:
    """Make a key for an algorithm of RFC 7518 §3.1 or RFC 8037 §3.1; RSA takes the longest."""
    if curve := _CURVES.get(algorithm):
        return ec.generate_private_key(curve)
    if algorithm == "EdDSA":
        return Ed25519PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


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
    """

    def __init__(
        self,
        issuer: str = "http://127.0.0.1:8799",
        audience: str | Sequence[str] = "development",
        *,
        algorithm: str = "ES256",
        clock: Callable[[], float] = time.time,
    ) -> None:
        if algorithm not in ALGORITHMS:
            raise ValueError(f"no key for {algorithm!r}; choose one of {', '.join(ALGORITHMS)}")
        self.issuer = issuer
        self.audience = audience if isinstance(audience, str) else tuple(audience)
        self.algorithm = algorithm
        self.clock = clock
        self.kid = uuid4().hex
        self._key = _make_key(algorithm)
        self._opaque: dict[str, dict[str, Any]] = {}
        self._revoked: set[str] = set()
        self._secret = secrets.token_urlsafe(32)

    def __repr__(self) -> str:
        return f"DevelopmentIssuer({self.issuer!r}, {self.audience!r}, {self.algorithm})"

    # Tokens.

    def mint(
        self,
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
        return self._sign(self._key, self._claims(subject, roles, lifetime, claims), headers)

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
        key = _make_key(self.algorithm)
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
            payload = PyJWS().decode(token, self._key.public_key(), [self.algorithm])
        except InvalidTokenError:
            return None
        claims: dict[str, Any] = json.loads(payload)  # noqa: TID251 - our own text
        return claims

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
        public = self._key.public_key()
        if isinstance(public, rsa.RSAPublicKey):
            jwk = algorithms.RSAAlgorithm.to_jwk(public, as_dict=True)
        elif isinstance(public, ec.EllipticCurvePublicKey):
            jwk = algorithms.ECAlgorithm.to_jwk(public, as_dict=True)
        else:
            jwk = algorithms.OKPAlgorithm.to_jwk(public, as_dict=True)
        jwk = {name: jwk[name] for name in ("kty", "crv", "x", "y", "n", "e") if name in jwk}
        return {"keys": [{**jwk, "kid": self.kid, "use": "sig", "alg": self.algorithm}]}

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
    def serve(self, port: int | None = None) -> Generator[DevelopmentIssuer]:
        """Answer discovery, key and introspection requests on 127.0.0.1 until the block ends.

        `port` is the one in `issuer` by default. With another one, or 0 for any that is free, the
        issuer's identifier becomes `http://127.0.0.1:PORT` with the path it had, and stays so.
        """
        parts = urlsplit(self.issuer)
        if port is None:
            if parts.scheme != "http" or parts.hostname != "127.0.0.1" or parts.port is None:
                raise ValueError(
                    f"{self.issuer} cannot be served on 127.0.0.1: give serve() a port"
                )
            port = parts.port
        with serving(self._documents, self._posted, port) as bound:
            if bound != parts.port or parts.hostname != "127.0.0.1":
                self.issuer = f"http://127.0.0.1:{bound}{parts.path}"
            yield self

    def _posted(self, path: str, authorization: str, body: bytes) -> Answer | None:
        if path != urlsplit(self.introspection_endpoint).path:
            return None
        pair = b64encode(f"{CLIENT}:{self._secret}".encode()).decode()
        if authorization != f"Basic {pair}":
            return 401, {"error": "invalid_client"}
        tokens = parse_qs(body.decode("latin-1")).get("token", [])
        if len(tokens) != 1:
            return 400, {"error": "invalid_request"}
        return 200, self.introspect(tokens[0])

    def _documents(self) -> Mapping[str, Mapping[str, Any]]:
        path = urlsplit(self.issuer).path.rstrip("/")
        documents: dict[str, Mapping[str, Any]] = {
            template.format(path=path): self.discovery for template in METADATA
        }
        documents[urlsplit(self.jwks_uri).path] = self.jwks
        return documents


def _without_none(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: member for name, member in members.items() if member is not None}
