"""The compact serialization of a signed JWT: text in, unverified parts out.

RFC 7515 §3.1, §5.2, §7.1; RFC 7519 §7.2; RFC 8725 §3.10. Refused here: anything but three
canonical base64url segments, encrypted tokens, extensions (`crit`), unencoded payloads
(RFC 7797), nested tokens. `jku`, `jwk`, `x5u`, `x5c` and `x5t` are carried along and never read:
a token does not choose its own key.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple, cast

from authz_middleware.tokens import base64url, media_types, strict_json
from authz_middleware.tokens.rejection import Rejected

__all__ = ["MAX_TOKEN_LENGTH", "Signed", "Unverified", "decode", "parse"]

# Servers stop a header line at 8 to 64 KiB (gunicorn 8,190, uvicorn's h11 65,536, nginx 8k).
MAX_TOKEN_LENGTH = 16 * 1024

# Header members that change what is signed or how it is read; understood by nobody here.
# `crit` may only name extensions and we have none (RFC 7515 §4.1.11); `b64` is RFC 7797 §7;
# the rest belong to encryption (RFC 7516 §4.1, RFC 7518 §4).
_REFUSED_MEMBERS = ("crit", "b64", "zip", "enc", "epk", "p2c")


# An issuer's tokens share a few short headers, each read once.
_MAX_HEADERS = 128
_MAX_HEADER_LENGTH = 512


class Signed(NamedTuple):
    """A JWS whose signature nobody has checked; the payload may be any bytes."""

    header: Mapping[str, Any]
    payload: bytes
    signing_input: bytes
    signature: bytes

    def __repr__(self) -> str:
        """Nothing of the token (RFC 9700 §4.9.3: error trackers show local variables)."""
        return "Signed()"


class Unverified(NamedTuple):
    """A JWT whose signature and claims nobody has checked."""

    header: Mapping[str, Any]
    payload: dict[str, Any]
    signing_input: bytes
    signature: bytes

    def __repr__(self) -> str:
        """Nothing of the token."""
        return "Unverified()"


def parse(token: str) -> Unverified:
    """Return the parts of the JWT `token`, or raise Rejected."""
    signed = decode(token)
    payload = strict_json.loads(signed.payload)
    if not isinstance(payload, dict):
        raise Rejected("payload_not_an_object")
    claims = cast("dict[str, Any]", payload)
    return Unverified(signed.header, claims, signed.signing_input, signed.signature)


def decode(token: str) -> Signed:
    """Return the parts of the compact JWS `token`, whatever its payload is, or raise Rejected."""
    if len(token) > MAX_TOKEN_LENGTH:
        raise Rejected("too_long")
    data = token.encode("ascii") if token.isascii() else b""
    # RFC 8725bis §3.14: a character outside this alphabet means that it is no compact token. What
    # is left of three segments without it is two dots.
    if data.translate(None, base64url.ALPHABET) != b"..":
        raise Rejected("not_a_jwt")
    first, second, third = data.split(b".")
    try:
        payload = base64url.decode_alphabet(second)
        signature = base64url.decode_alphabet(third)
        header = (_known_header if len(first) <= _MAX_HEADER_LENGTH else _header)(first)
    except ValueError:
        raise Rejected("not_base64url") from None
    return Signed(header, payload, data[: -len(third) - 1], signature)


def _header(segment: bytes) -> Mapping[str, Any]:
    value = strict_json.loads(base64url.decode_alphabet(segment))
    if not isinstance(value, dict):
        raise Rejected("header_not_an_object")
    header = cast("dict[str, Any]", value)
    for name in _REFUSED_MEMBERS:
        if name in header:
            raise Rejected(f"header_not_allowed:{name}")
    if "alg" not in header:
        raise Rejected("missing_header:alg")
    for name in ("alg", "kid", "typ", "cty"):
        if name in header and not isinstance(header[name], str):
            raise Rejected(f"bad_header:{name}")
    # An empty type is no type, and must not pass for an absent one.
    if header.get("typ") == "":
        raise Rejected("bad_header:typ")
    # RFC 7519 §5.2: a nested token. What is inside was signed by somebody else.
    if media_types.normalise(header.get("cty", "")) == "jwt":
        raise Rejected("nested_token")
    return MappingProxyType(header)


_known_header = lru_cache(_MAX_HEADERS)(_header)
