"""FastAPI's security dependency with PyJWT."""

from __future__ import annotations

from typing import Annotated, Any

import jwt
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from benchmarks.material import AUDIENCE, ISSUER, Signer
from benchmarks.peers import ROLE, AsgiPeer

__all__ = ["build"]

BEARER = HTTPBearer()
PATH = "/api/resource12/{id}"


def build(signer: Signer) -> AsgiPeer:
    """Make both apps."""

    # Async, as the manual advises for what does not wait: a plain function would go to a thread.
    async def caller(
        credentials: Annotated[HTTPAuthorizationCredentials, Depends(BEARER)],
    ) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                credentials.credentials,
                signer.key,
                algorithms=[signer.algorithm],
                audience=AUDIENCE,
                issuer=ISSUER,
            )
        except jwt.InvalidTokenError:
            raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"}) from None
        if ROLE not in claims["roles"]:
            raise HTTPException(403)
        return claims

    async def read(id: int) -> dict[str, int]:
        return {"id": id}

    async def read_protected(
        id: int,
        _claims: dict[str, Any] = Depends(caller),  # noqa: B008 - how it is written
    ) -> dict[str, int]:
        return {"id": id}

    bare, protected = FastAPI(), FastAPI()
    bare.get(PATH)(read)
    protected.get(PATH)(read_protected)
    return AsgiPeer("FastAPI Depends + PyJWT", "fastapi", bare, protected)
