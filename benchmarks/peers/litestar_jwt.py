"""Litestar's JWTAuth with a guard."""

from __future__ import annotations

from typing import Any, cast

from litestar import Litestar, get
from litestar.connection import ASGIConnection
from litestar.exceptions import PermissionDeniedException
from litestar.handlers import BaseRouteHandler
from litestar.security.jwt import JWTAuth, Token

from benchmarks.material import AUDIENCE, ISSUER, Signer
from benchmarks.peers import ROLE, AsgiPeer

__all__ = ["build"]

Connection = ASGIConnection[Any, Any, Any, Any]


async def caller(token: Token, _connection: Connection) -> Token:
    """Return the user: the token itself, so that nothing is fetched."""
    return token


def has_role(connection: Connection, _handler: BaseRouteHandler) -> None:
    """Raise unless the token has the role."""
    if ROLE not in connection.user.extras["roles"]:
        raise PermissionDeniedException


def build(signer: Signer) -> AsgiPeer:
    """Make both apps."""
    # Annotated as text: Litestar takes it for the public key too, and hands it to PyJWT as it is.
    key = cast("str", signer.key)
    auth = JWTAuth[Token](
        retrieve_user_handler=caller,
        token_secret=key,
        algorithm=signer.algorithm,
        accepted_audiences=[AUDIENCE],
        accepted_issuers=[ISSUER],
    )

    @get("/api/resource12/{id:int}", guards=[has_role])
    async def read_protected(id: int) -> dict[str, int]:
        return {"id": id}

    @get("/api/resource12/{id:int}")
    async def read(id: int) -> dict[str, int]:
        return {"id": id}

    # It would set up the logging of the whole process.
    bare = Litestar([read], openapi_config=None, logging_config=None)
    protected = Litestar(
        [read_protected], openapi_config=None, logging_config=None, on_app_init=[auth.on_app_init]
    )
    return AsgiPeer("Litestar JWTAuth", "litestar", bare, protected)
