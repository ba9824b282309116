"""Starlette's AuthenticationMiddleware with a backend over PyJWT, and `requires`."""

from __future__ import annotations

import jwt
from starlette.applications import Starlette
from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
    BaseUser,
    SimpleUser,
    requires,
)
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from benchmarks.material import AUDIENCE, ISSUER, Signer
from benchmarks.peers import ROLE, AsgiPeer

__all__ = ["build"]


class Backend(AuthenticationBackend):
    """Reads the bearer token."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser] | None:
        """Return the caller; None without a token."""
        scheme, _, token = conn.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        try:
            claims = jwt.decode(
                token,
                self._signer.key,
                algorithms=[self._signer.algorithm],
                audience=AUDIENCE,
                issuer=ISSUER,
            )
        except jwt.InvalidTokenError as error:
            raise AuthenticationError("invalid token") from error
        return AuthCredentials(claims["roles"]), SimpleUser(claims["sub"])


async def read(request: Request) -> JSONResponse:
    """Return one resource."""
    return JSONResponse({"id": request.path_params["id"]})


@requires(ROLE)
async def read_protected(request: Request) -> JSONResponse:
    """Return one resource to those who may see it."""
    return JSONResponse({"id": request.path_params["id"]})


def build(signer: Signer) -> AsgiPeer:
    """Make both apps."""
    path = "/api/resource12/{id:int}"
    return AsgiPeer(
        "Starlette AuthenticationMiddleware + PyJWT",
        "starlette",
        Starlette(routes=[Route(path, read)]),
        Starlette(
            routes=[Route(path, read_protected)],
            middleware=[Middleware(AuthenticationMiddleware, backend=Backend(signer))],
        ),
    )
