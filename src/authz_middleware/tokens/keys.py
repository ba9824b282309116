"""Key material in, `KeySet` out: JWK sets, PEM files, secrets.

The kind of each is declared by who calls, never guessed from the content: a public key must
not be taken for an HMAC secret (RFC 8725 §2.1; CVE-2022-29217, CVE-2026-34950).
"""

from __future__ import annotations

from typing import Any, Final, cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from authz_middleware.tokens import jwk, weak_secrets
from authz_middleware.tokens.key_set import KeyBroken, KeySet, KeysUnusable, VerificationKey
from authz_middleware.tokens.signature import algorithms_for

__all__ = ["KeySet", "KeysUnusable", "VerificationKey", "from_jwks", "from_pem", "from_secret"]

# They go to the log, and a set of rubbish has as many as it likes.
MAX_NOTES: Final = 8


CERTIFICATE: Final = b"-----BEGIN CERTIFICATE-----"
"""What the PEM text of a certificate begins with (RFC 7468 §5)."""


def from_jwks(document: object) -> KeySet:
    """Return the usable keys of a JWK set (RFC 7517 §5), or raise KeysUnusable.

    Keys that we cannot use are left out and the rest works, so that an issuer may add a new
    type. A secret in a key set is no secret, and is left out too.
    """
    listed = cast("dict[str, Any]", document).get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise KeysUnusable("is not an object with a list of `keys`")
    entries = cast("list[Any]", listed)
    if not entries:
        raise KeysUnusable("holds no keys")
    objects = [cast("dict[str, Any]", entry) for entry in entries if isinstance(entry, dict)]
    # With both kinds in one set, the token's `alg` would say what a key is (RFC 8725 §2.1).
    if len({members.get("kty") == "oct" for members in objects}) > 1:
        raise KeysUnusable("mixes secrets (`oct`) with public keys")
    keys: list[VerificationKey] = []
    notes: list[str] = []
    broken: set[str] = set()
    for index, entry in enumerate(entries):
        try:
            keys.append(_entry(entry))
        except KeysUnusable as unusable:
            notes.append(f"key {index} {unusable.reason}")
            if isinstance(unusable, KeyBroken) and isinstance(entry.get("kid"), str):
                broken.add(entry["kid"])
        else:
            if not jwk.PRIVATE_MEMBERS.isdisjoint(entry):
                notes.append(f"key {index} shows its private half; only the public half is used")
    if len(notes) > MAX_NOTES:
        notes[MAX_NOTES:] = [f"and {len(notes) - MAX_NOTES} more"]
    if not keys:
        raise KeysUnusable("holds no usable key: " + "; ".join(notes))
    return KeySet(tuple(keys), frozenset(broken), tuple(notes))


def _entry(entry: object) -> VerificationKey:
    if not isinstance(entry, dict):
        raise KeysUnusable("is not an object")
    members = cast("dict[str, Any]", entry)
    if members.get("kty") == "oct":
        raise KeysUnusable("is a secret, and a key set is no place for one")
    return jwk.read(members)


def from_pem(data: bytes) -> KeySet:
    """Return the one public key of a PEM text (a key or a certificate), or raise KeysUnusable.

    Of a certificate only the key is used: its dates and its issuer say nothing about tokens.
    """
    blocks = data.count(b"-----BEGIN ")
    if b"PRIVATE KEY-----" in data:
        raise KeysUnusable("holds a private key; give the public key only")
    if blocks != 1:
        raise KeysUnusable(f"holds {blocks} PEM blocks; give one public key or certificate")
    try:
        if CERTIFICATE in data:
            key: object = x509.load_pem_x509_certificate(data).public_key()
        else:
            key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise KeysUnusable("is not a PEM public key or certificate") from None
    if not isinstance(
        key, (RSAPublicKey, EllipticCurvePublicKey, Ed25519PublicKey, Ed448PublicKey)
    ):
        raise KeysUnusable("is a key of a type that verifies no tokens")
    algorithms = algorithms_for(jwk.sound(key))
    if not algorithms:
        raise KeysUnusable("is too short (RSA needs 2048 bits) or on an unknown curve")
    return KeySet((VerificationKey(None, algorithms, key),))


def from_secret(secret: bytes) -> KeySet:
    """Return the key set of one shared secret, or raise KeysUnusable if it is a weak one."""
    reason = weak_secrets.weakness(secret)
    if reason is not None:
        raise KeysUnusable(reason)
    return KeySet((VerificationKey(None, algorithms_for(secret), secret),))
