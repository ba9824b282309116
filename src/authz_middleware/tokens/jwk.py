"""One JSON Web Key: from its members to a key that verifies signatures, and nothing else.

RFC 7517 §4, RFC 7518 §6, RFC 8037 §2, RFC 8812 §3.1. Private members are never read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers

from authz_middleware.tokens import base64url, roca
from authz_middleware.tokens.key_set import KeyBroken, KeysUnusable, VerificationKey
from authz_middleware.tokens.signature import EC_CURVES, Key, algorithms_for

__all__ = ["PRIVATE_MEMBERS", "read", "sound"]

# RFC 7518 §6.2.2, §6.3.2; RFC 8037 §2. (`k` is a secret too, but of another type.)
PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth"})

# OpenSSL checks no signature with a larger modulus; a larger exponent only costs time.
_MAX_MODULUS_BITS: Final = 16384
_MAX_EXPONENT_BITS: Final = 64

_CURVES: Final[Mapping[str, ec.EllipticCurve]] = {
    EC_CURVES[curve.name]: curve
    for curve in (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1(), ec.SECP256K1())
}


def read(members: Mapping[str, Any]) -> VerificationKey:
    """Return the key, or raise KeysUnusable (it is of no use to us), or KeyBroken (it is wrong)."""
    kid = _optional_text(members, "kid")
    pinned = _optional_text(members, "alg")
    # RFC 7517 §4.2-3: a key for encryption, or one that only signs, verifies nothing.
    if _optional_text(members, "use") not in (None, "sig"):
        raise KeysUnusable("is not for signatures (`use`)")
    if "key_ops" in members:
        operations = members["key_ops"]
        if not isinstance(operations, list) or "verify" not in operations:
            raise KeysUnusable("is not for verifying (`key_ops`)")
    key = sound(_key(members))
    algorithms = algorithms_for(key)
    if pinned is not None:
        # RFC 8725 §3.1: one key, one algorithm. A pin that does not fit leaves nothing.
        algorithms &= {pinned}
    if not algorithms:
        raise KeysUnusable("is too short, or its `alg` is not one we verify with this type of key")
    return VerificationKey(kid, algorithms, key, _optional_text(members, "issuer"))


def sound(key: Key) -> Key:
    """Return `key`, unless it is one whose signatures prove nothing or cost too much."""
    if isinstance(key, RSAPublicKey):
        numbers = key.public_numbers()
        if key.key_size > _MAX_MODULUS_BITS or numbers.e.bit_length() > _MAX_EXPONENT_BITS:
            raise KeysUnusable("has an RSA modulus or exponent of absurd size")
        if roca.is_roca(numbers.n):
            raise KeysUnusable("is an RSA key of the broken ROCA kind (CVE-2017-15361)")
    return key


def _key(members: Mapping[str, Any]) -> Key:
    kty = members.get("kty")
    try:
        if kty == "RSA":
            return RSAPublicNumbers(e=_uint(members, "e"), n=_uint(members, "n")).public_key()
        if kty == "EC":
            return _ec_key(members)
        if kty == "OKP":
            return _okp_key(members)
        if kty == "oct":
            return _octets(members, "k")
    except (ValueError, UnsupportedAlgorithm):
        # Even and tiny exponents, points off the curve, keys of the wrong length.
        raise KeyBroken("has values that make no key") from None
    raise KeysUnusable("is of an unknown type (`kty`)")


def _ec_key(members: Mapping[str, Any]) -> ec.EllipticCurvePublicKey:
    curve = _CURVES.get(_text(members, "crv"))
    if curve is None:
        raise KeysUnusable("is on an unknown curve (`crv`)")
    # RFC 7518 §6.2.1.2: both coordinates at the full width of the field, leading zeros included.
    width = (curve.key_size + 7) // 8
    x, y = _octets(members, "x"), _octets(members, "y")
    if len(x) != width or len(y) != width:
        raise KeyBroken("has coordinates of the wrong length")
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), curve)
    return numbers.public_key()


def _okp_key(members: Mapping[str, Any]) -> Ed25519PublicKey | Ed448PublicKey:
    # X25519 and X448 are for key agreement and verify nothing (RFC 8037 §3.2).
    match _text(members, "crv"):
        case "Ed25519":
            return Ed25519PublicKey.from_public_bytes(_octets(members, "x"))
        case "Ed448":
            return Ed448PublicKey.from_public_bytes(_octets(members, "x"))
        case _:
            raise KeysUnusable("is on an unknown curve (`crv`)")


def _uint(members: Mapping[str, Any], name: str) -> int:
    octets = _octets(members, name)
    # RFC 7518 §2, Base64urlUInt: the fewest octets that hold the value.
    if octets.startswith(b"\0"):
        raise KeyBroken(f"has a leading zero octet in `{name}`")
    return int.from_bytes(octets)


def _octets(members: Mapping[str, Any], name: str) -> bytes:
    try:
        return base64url.decode(_text(members, name))
    except ValueError:
        raise KeyBroken(f"has a `{name}` that is not base64url without padding") from None


def _text(members: Mapping[str, Any], name: str) -> str:
    value = _optional_text(members, name)
    if value is None:
        raise KeyBroken(f"lacks `{name}`")
    return value


def _optional_text(members: Mapping[str, Any], name: str) -> str | None:
    if name not in members:
        return None
    value = members[name]
    if not isinstance(value, str):
        raise KeyBroken(f"has a `{name}` that is not a string")
    return value
