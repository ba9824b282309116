"""All peers that check tokens."""

from __future__ import annotations

from functools import cache

from benchmarks.material import signer
from benchmarks.peers import Peer, drf_jwt, fastapi_jwt, flask_jwt, litestar_jwt, starlette_jwt

__all__ = ["peers"]


@cache
def peers() -> list[Peer]:
    """Make every peer, to take the RS256 tokens; once a process: Django's settings are global."""
    modules = (starlette_jwt, fastapi_jwt, litestar_jwt, flask_jwt, drf_jwt)
    return [module.build(signer("RS256")) for module in modules]
