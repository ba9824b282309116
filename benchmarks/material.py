"""What every contender gets alike: one policy, one request, tokens of one issuer."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import count, islice
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import jwt

from authz_middleware.testing import DevelopmentIssuer

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

__all__ = [
    "ALGORITHMS",
    "AUDIENCE",
    "ISSUER",
    "RULES",
    "Request",
    "Signer",
    "policy",
    "route_keys",
    "signer",
]

ISSUER = "https://login.example.com"
AUDIENCE = "orders-api"
DAY = 86_400
RULES = 100

ALGORITHMS = ("RS256", "ES256", "EdDSA", "HS256")

SECRET_NAME = "BENCHMARK_SECRET"
ROLES: Mapping[str, Any] = {
    "viewer": ["order:read"],
    "editor": {"inherits": ["viewer"], "permissions": ["order:write"]},
    "admin": {"inherits": ["editor"], "permissions": ["user:*"]},
}

# One token serves all: with the claims that each peer insists on (`token_type` and `user_id` for
# simplejwt, `type` for Flask-JWT-Extended) it has the same length everywhere.
CLAIMS: Mapping[str, Any] = {
    "scope": "orders profile email",
    "name": "Ann Archer",
    "email": "ann@example.com",
    "tenant": "eu-1",
    "token_type": "access",
    "type": "access",
    "user_id": 4711,
}


@dataclass(frozen=True, slots=True)
class Request:
    """A GET with the header fields that a client commonly sends."""

    path: str
    token: str | None

    @property
    def _fields(self) -> list[tuple[str, str]]:
        fields = [
            ("host", "orders.example.com"),
            ("user-agent", "python-httpx/0.28.1"),
            ("accept", "application/json"),
            ("accept-encoding", "gzip, deflate, br"),
            ("x-forwarded-for", "203.0.113.7"),
            ("x-request-id", "5f0c7b0e-5bd7-4e0c-9a2e-0c1f1f6f0b7a"),
            ("connection", "keep-alive"),
        ]
        return (
            fields if self.token is None else [*fields, ("authorization", f"Bearer {self.token}")]
        )

    def scope(self) -> dict[str, Any]:
        """Return it as an ASGI server gives it."""
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "server": ("127.0.0.1", 8000),
            "client": ("127.0.0.1", 50_000),
            "scheme": "http",
            "method": "GET",
            "root_path": "",
            "path": self.path,
            "raw_path": self.path.encode(),
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in self._fields],
        }

    def environ(self) -> WSGIEnvironment:
        """Return it as a WSGI server gives it."""
        return {
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": "",
            "PATH_INFO": self.path,
            "RAW_URI": self.path,
            "QUERY_STRING": "",
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "8000",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in self._fields},
        }

    def bearing(self, token: str | None) -> Request:
        """Return the same request with another token."""
        return replace(self, token=token)


# Tokens.


@dataclass(frozen=True, slots=True, eq=False)
class Signer:
    """One issuer with one key of one algorithm."""

    algorithm: str
    key: Any  # what a verifier holds: a public key, or the bytes of the secret
    issuer: dict[str, Any]  # its entry in a policy
    sign: Callable[[dict[str, Any]], str]
    forge: Callable[[dict[str, Any]], str]  # the same with another key of the same name

    def mint(self, subject: str = "ann", role: str = "editor") -> str:
        """Return a token, good for a day."""
        return self.sign({**CLAIMS, "sub": subject, "roles": [role]})

    def distinct(self, number: int) -> list[str]:
        """Return so many different tokens."""
        return [self.mint(f"user-{each}") for each in range(number)]


@cache
def signer(algorithm: str) -> Signer:
    """Return the issuer that signs with `algorithm`."""
    if algorithm == "HS256":
        return _with_secret()
    issuer = DevelopmentIssuer(ISSUER, AUDIENCE, algorithm=algorithm)
    key = jwt.PyJWK(issuer.jwks["keys"][0]).key
    return Signer(
        algorithm,
        key,
        issuer.policy_issuer(),
        lambda claims: issuer.mint(lifetime=DAY, **claims),
        lambda claims: issuer.signed_by_another_key(**claims),
    )


def _with_secret() -> Signer:
    secret = os.environ.setdefault(SECRET_NAME, uuid4().hex + uuid4().hex)
    kid = uuid4().hex

    def sign(claims: dict[str, Any], key: str = secret) -> str:
        now = int(time.time())
        usual = {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + DAY, "jti": uuid4().hex}
        header = {"typ": "at+jwt", "kid": kid}
        return jwt.encode({**usual, **claims}, key, "HS256", headers=header)

    issuer = {
        "issuer": ISSUER,
        "audience": [AUDIENCE],
        "algorithms": ["HS256"],
        "secret_env": SECRET_NAME,
    }
    return Signer("HS256", secret.encode(), issuer, sign, lambda claims: sign(claims, secret[::-1]))


# Policies.


def route_keys() -> Iterator[tuple[str, list[str]]]:
    """Yield route keys without end: four for each resource, two templates with two methods each."""
    for number in count():
        yield f"GET /api/resource{number}", ["viewer"]
        yield f"GET /api/resource{number}/<int:id>", ["viewer"]
        yield f"POST /api/resource{number}", ["editor"]
        yield f"PUT /api/resource{number}/<int:id>", ["editor"]


def policy(issuers: Iterable[Mapping[str, Any]], rules: int = RULES) -> dict[str, Any]:
    """Return a policy of so many rules."""
    return {
        "realm": "orders",
        "issuers": [dict(issuer) for issuer in issuers],
        "roles": dict(ROLES),
        "routes": dict(islice(route_keys(), rules)),
    }
