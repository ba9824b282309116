"""The work that nobody can save on a new token: one verification by `cryptography`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from time import process_time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from jwt.utils import base64url_decode

from benchmarks.material import AUDIENCE, ISSUER, Signer
from benchmarks.timing import Batch

__all__ = ["decode_batch", "raw_batch"]


def raw_batch(signer: Signer, tokens: Sequence[str]) -> Batch:
    """Verify the signatures of `tokens`, taken apart beforehand; a bad one raises."""
    checks = [_check(signer.key, token) for token in tokens]
    return partial(_timed, checks)


def decode_batch(signer: Signer, tokens: Sequence[str]) -> Batch:
    """Give `tokens` to `jwt.decode`, with what it needs to check audience and issuer."""
    decode = partial(
        jwt.decode,
        key=signer.key,
        algorithms=[signer.algorithm],
        audience=AUDIENCE,
        issuer=ISSUER,
    )
    return partial(_timed, [partial(decode, token) for token in tokens])


def _check(key: Any, token: str) -> Callable[[], object]:
    text, _, last = token.rpartition(".")
    signed, signature = text.encode(), base64url_decode(last)
    match key:
        case RSAPublicKey():
            return partial(key.verify, signature, signed, PKCS1v15(), SHA256())
        case EllipticCurvePublicKey():
            half = len(signature) // 2
            numbers = [int.from_bytes(each) for each in (signature[:half], signature[half:])]
            return partial(key.verify, encode_dss_signature(*numbers), signed, ECDSA(SHA256()))
        case Ed25519PublicKey():
            return partial(key.verify, signature, signed)
        case _:
            return partial(_authenticate, key, signature, signed)


def _authenticate(secret: bytes, code: bytes, signed: bytes) -> None:
    mac = HMAC(secret, SHA256())
    mac.update(signed)
    mac.verify(code)


def _timed(checks: Sequence[Callable[[], object]], calls: int) -> float:
    turns = [checks[each % len(checks)] for each in range(calls)]
    began = process_time()
    for check in turns:
        check()
    return process_time() - began
