"""Signatures and MACs: the algorithms we know, the keys they take, and the only door to PyJWT.

RFC 7518 §3, RFC 8037 §3.1, RFC 8812 §3, RFC 9864. A key and an algorithm that do not belong
together verify nothing, whoever asks (RFC 8725 §3.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final, TypeAlias, cast

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWS

__all__ = ["ALGORITHMS", "EC_CURVES", "Algorithm", "Key", "algorithms_for", "verify"]

Key: TypeAlias = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey | bytes
"""A public key, or the bytes of a shared secret. Never text: a type is declared, not guessed."""

# JWK curve names (RFC 7518 §6.2.1.1, RFC 8812 §3.1) by the names of SEC 2.
EC_CURVES: Final = {
    "secp256r1": "P-256",
    "secp384r1": "P-384",
    "secp521r1": "P-521",
    "secp256k1": "secp256k1",
}


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One JWS algorithm and what a key must be to serve it."""

    name: str
    kty: str  # "RSA", "EC", "OKP" or "oct"
    curves: frozenset[str] = frozenset()
    minimum: int = 0  # RSA: bits of the modulus; oct: bytes of the secret

    @property
    def symmetric(self) -> bool:
        return self.kty == "oct"

    def fits(self, key: Key) -> bool:
        """Whether `key` may verify this algorithm."""
        kty, curve, size = _shape(key)
        return (
            kty == self.kty and size >= self.minimum and (not self.curves or curve in self.curves)
        )


def _shape(key: Key) -> tuple[str, str, int]:
    family = _family(type(key))
    if family == "oct":
        return family, "", len(cast("bytes", key))
    if family == "RSA":
        return family, "", cast("RSAPublicKey", key).key_size
    if family == "EC":
        return family, EC_CURVES.get(cast("EllipticCurvePublicKey", key).curve.name, ""), 0
    return "OKP", family, 0


@cache  # the few types of keys there are; to ask an abstract class takes longer than all the rest
def _family(kind: type[Key]) -> str:
    """What a key is by its type: "oct", "RSA", "EC", or the one curve that it can be on."""
    if issubclass(kind, bytes):
        return "oct"
    if issubclass(kind, RSAPublicKey):
        return "RSA"
    if issubclass(kind, EllipticCurvePublicKey):
        return "EC"
    return "Ed25519" if issubclass(kind, Ed25519PublicKey) else "Ed448"


# "none" is not here, so it cannot be switched on (RFC 7518 §3.6); nor is PyJWT's ES521, which
# no registry knows.
ALGORITHMS: Final = {
    algorithm.name: algorithm
    for algorithm in (
        # RFC 7518 §3.2: a secret at least as long as the hash.
        Algorithm("HS256", "oct", minimum=32),
        Algorithm("HS384", "oct", minimum=48),
        Algorithm("HS512", "oct", minimum=64),
        # RFC 7518 §3.3, §3.5: a modulus of 2048 bits or more.
        Algorithm("RS256", "RSA", minimum=2048),
        Algorithm("RS384", "RSA", minimum=2048),
        Algorithm("RS512", "RSA", minimum=2048),
        Algorithm("PS256", "RSA", minimum=2048),
        Algorithm("PS384", "RSA", minimum=2048),
        Algorithm("PS512", "RSA", minimum=2048),
        Algorithm("ES256", "EC", curves=frozenset({"P-256"})),
        Algorithm("ES384", "EC", curves=frozenset({"P-384"})),
        Algorithm("ES512", "EC", curves=frozenset({"P-521"})),
        Algorithm("ES256K", "EC", curves=frozenset({"secp256k1"})),
        # RFC 9864 names the curve in the algorithm and deprecates EdDSA, still the common name.
        Algorithm("EdDSA", "OKP", curves=frozenset({"Ed25519", "Ed448"})),
        Algorithm("Ed25519", "OKP", curves=frozenset({"Ed25519"})),
        Algorithm("Ed448", "OKP", curves=frozenset({"Ed448"})),
    )
}

# An instance of our own: `jwt.register_algorithm` elsewhere in the process changes another one.
_JWS = PyJWS()
_VERIFIERS: Final = {
    name: _JWS.get_algorithm_by_name("EdDSA" if algorithm.kty == "OKP" else name)
    for name, algorithm in ALGORITHMS.items()
}


def algorithms_for(key: Key) -> frozenset[str]:
    """Every algorithm that `key` may serve."""
    return frozenset(name for name, algorithm in ALGORITHMS.items() if algorithm.fits(key))


def verify(algorithm: str, key: Key, signing_input: bytes, signature: bytes) -> bool:
    """Whether `signature` over `signing_input` is good. A bad one is False, never an exception."""
    known = ALGORITHMS.get(algorithm)
    if known is None or not known.fits(key):
        return False
    return _VERIFIERS[algorithm].verify(signing_input, key, signature)
