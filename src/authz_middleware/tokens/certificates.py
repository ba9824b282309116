"""The certificates that keys of a policy came in: what `authz check` says of them.

Tokens are verified with the keys alone (RFC 7517 §4.7 lets an `x5c` be ignored): no date of a
certificate ever refuses one. But whoever keeps a key in an old certificate may keep an old key.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from authz_middleware.tokens import jwk
from authz_middleware.tokens.key_set import KeysUnusable
from authz_middleware.tokens.keys import CERTIFICATE

__all__ = ["Certified", "Concern", "concerns", "of_jwks", "of_pem"]

SOON: Final = timedelta(days=30)
"""How long before the end of a certificate that is said."""


class Certified(NamedTuple):
    """A certificate, unread: `data` is PEM or DER, `beside` the members of the JWK it is in."""

    name: str
    data: bytes | None  # None: what stands there is no base64
    beside: dict[str, Any] | None = None


class Concern(NamedTuple):
    """What is odd about a certificate, and whether it is only its dates."""

    what: str
    dates: bool


def of_pem(data: bytes) -> tuple[Certified, ...]:
    """Return the certificate of a PEM file, if it is one."""
    return (Certified("its certificate", data),) if CERTIFICATE in data else ()


def of_jwks(document: object) -> tuple[Certified, ...]:
    """Return the first certificate of each key of a JWK set: the one that holds the key."""
    listed = cast("dict[str, Any]", document).get("keys") if isinstance(document, dict) else None
    found: list[Certified] = []
    for index, entry in enumerate(cast("list[Any]", listed) if isinstance(listed, list) else ()):
        members = cast("dict[str, Any]", entry) if isinstance(entry, dict) else {}
        if "x5c" in members:
            name = f"the certificate (`x5c`) of key {index}"
            found.append(Certified(name, _first(members["x5c"]), members))
    return tuple(found)


def _first(chain: object) -> bytes | None:
    texts = cast("list[object]", chain) if isinstance(chain, list) else []
    text = texts[0] if texts else None
    try:
        return b64decode(text, validate=True) if isinstance(text, str) else None
    except ValueError:
        return None


def concerns(certified: Certified, now: float) -> Iterator[Concern]:
    """Yield what is odd about a certificate at `now` (seconds since the epoch)."""
    name, data, beside = certified
    try:
        if data is None:
            raise ValueError
        load = x509.load_pem_x509_certificate if beside is None else x509.load_der_x509_certificate
        certificate = load(data)
        held = certificate.public_key()
        begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
        yield Concern(f"{name} cannot be read", dates=False)
        return
    if beside is not None and not _is_key_of(held, beside):
        yield Concern(f"{name} holds another key (RFC 7517 §4.7)", dates=False)
    today = datetime.fromtimestamp(now, UTC)
    if end < today:
        yield Concern(f"{name} ended on {end:%Y-%m-%d}", dates=True)
    elif begin > today:
        yield Concern(f"{name} begins on {begin:%Y-%m-%d}", dates=True)
    elif end - today < SOON:
        yield Concern(f"{name} ends on {end:%Y-%m-%d}", dates=True)


def _is_key_of(held: Any, members: dict[str, Any]) -> bool:
    try:
        key: Any = jwk.read({name: members[name] for name in members if name in _OF_KEY}).key
    except KeysUnusable:
        return True  # that is said of the key itself
    own, other = (
        each.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) for each in (key, held)
    )
    return bool(own == other)


# RFC 7518 §6, RFC 8037 §2: what a public key is made of.
_OF_KEY: Final = frozenset({"kty", "n", "e", "crv", "x", "y"})
