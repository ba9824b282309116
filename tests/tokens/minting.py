"""Keys and tokens for these tests, made with PyJWT's primitives and nothing of ours."""

from __future__ import annotations

import base64
import json
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from jwt import PyJWS

from authz_middleware.tokens.issuers import Discovery, Issuer

NOW = 1_700_000_000.0
ISSUER = "https://login.example.com"
SECRET = bytes(range(3, 255, 3))[:64]
CLAIMS: dict[str, Any] = {"iss": ISSUER, "aud": "orders", "sub": "ann", "exp": NOW + 60}

_CURVES: dict[str, ec.EllipticCurve] = {
    "ES256": ec.SECP256R1(),
    "ES384": ec.SECP384R1(),
    "ES512": ec.SECP521R1(),
    "ES256K": ec.SECP256K1(),
}
_CRV = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "ES256K": "secp256k1"}


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def uint(value: int, width: int | None = None) -> str:
    return b64(value.to_bytes(width or (value.bit_length() + 7) // 8))


def private_key(algorithm: str, number: int = 0) -> Any:
    """Return one key for `algorithm`; another `number` is another key."""
    return _made(algorithm, number)


@cache
def _made(algorithm: str, number: int) -> Any:
    if algorithm.startswith("HS"):
        return SECRET[number:] + SECRET[:number]
    if algorithm[:2] in ("RS", "PS"):
        return _rsa(number, 2048)
    if algorithm == "Ed448":
        return ed448.Ed448PrivateKey.generate()
    if algorithm.startswith("Ed"):
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(_CURVES[algorithm])


@cache
def _rsa(number: int, bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def weak_rsa() -> rsa.RSAPrivateKey:
    return _rsa(0, 1024)


def public_key(algorithm: str, number: int = 0) -> Any:
    key = private_key(algorithm, number)
    return key if isinstance(key, bytes) else key.public_key()


def jwk(algorithm: str, number: int = 0, **members: object) -> dict[str, Any]:
    """Return the public JWK without `alg` and `kid`; a member given as None is left out."""
    key = public_key(algorithm, number)
    if isinstance(key, bytes):
        made: dict[str, Any] = {"kty": "oct", "k": b64(key)}
    elif isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        made = {"kty": "RSA", "n": uint(numbers.n), "e": uint(numbers.e)}
    elif isinstance(key, ec.EllipticCurvePublicKey):
        width = (key.curve.key_size + 7) // 8
        point = key.public_numbers()
        made = {"kty": "EC", "crv": _CRV[algorithm]}
        made |= {"x": uint(point.x, width), "y": uint(point.y, width)}
    else:
        crv = "Ed448" if algorithm == "Ed448" else "Ed25519"
        made = {"kty": "OKP", "crv": crv, "x": b64(key.public_bytes_raw())}
    made |= members
    return {name: value for name, value in made.items() if value is not None}


def pem(algorithm: str, number: int = 0) -> bytes:
    return public_key(algorithm, number).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def sign(algorithm: str, message: bytes, key: Any) -> bytes:
    name = "EdDSA" if algorithm.startswith("Ed") else algorithm
    return PyJWS().get_algorithm_by_name(name).sign(message, key)


def raw(header: bytes, payload: bytes, algorithm: str = "ES256", key: Any = None) -> str:
    """Sign header and payload as they are given."""
    text = f"{b64(header)}.{b64(payload)}"
    signature = sign(algorithm, text.encode(), private_key(algorithm) if key is None else key)
    return f"{text}.{b64(signature)}"


def mint(
    header: dict[str, Any] | None = None,
    *,
    algorithm: str = "ES256",
    key: Any = None,
    **claims: object,
) -> str:
    """Return a token that is good unless told otherwise; a claim given as `...` is left out."""
    payload = {name: value for name, value in (CLAIMS | claims).items() if value is not ...}
    head = {"alg": algorithm, "typ": "at+jwt"} | (header or {})
    head = {name: value for name, value in head.items() if value is not ...}
    return raw(json.dumps(head).encode(), json.dumps(payload).encode(), algorithm, key)


def issuer(**fields: Any) -> Issuer:
    return Issuer(
        **{
            "issuer": ISSUER,
            "audience": frozenset({"orders"}),
            "source": Discovery(ISSUER),
            "leeway": 0.0,
            **fields,
        }
    )
