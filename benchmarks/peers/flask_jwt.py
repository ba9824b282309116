"""Flask-JWT-Extended with `jwt_required`."""

from __future__ import annotations

from flask import Flask, abort
from flask_jwt_extended import JWTManager, get_jwt, jwt_required

from benchmarks.material import AUDIENCE, ISSUER, Signer
from benchmarks.peers import ROLE, WsgiPeer

__all__ = ["build"]

PATH = "/api/resource12/<int:id>"


def read(id: int) -> dict[str, int]:
    """Return one resource."""
    return {"id": id}


def read_protected(id: int) -> dict[str, int]:
    """Return one resource to those who may see it."""
    if ROLE not in get_jwt()["roles"]:
        abort(403)
    return {"id": id}


def build(signer: Signer) -> WsgiPeer:
    """Make both apps."""
    bare, protected = Flask("bare"), Flask("protected")
    bare.get(PATH)(read)
    protected.config.update(
        JWT_ALGORITHM=signer.algorithm,
        JWT_PUBLIC_KEY=signer.key,
        JWT_DECODE_AUDIENCE=AUDIENCE,
        JWT_DECODE_ISSUER=ISSUER,
    )
    JWTManager(protected)
    protected.get(PATH)(jwt_required()(read_protected))
    return WsgiPeer("Flask-JWT-Extended", "flask-jwt-extended", bare, protected)
