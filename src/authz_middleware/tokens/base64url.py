"""Base64url as JOSE means it: no padding, no foreign characters, one spelling per value.

RFC 7515 §2 and §5.2; RFC 4648 §3.5. A second spelling of the same bytes would be a second
token with the same signature, and so a way around anything that remembers tokens by text.
"""

from __future__ import annotations

from binascii import a2b_base64
from typing import Final

__all__ = ["ALPHABET", "decode", "decode_alphabet"]

ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_TO_BASE64: Final = bytes.maketrans(b"-_", b"+/")

# By the characters after the last whole group of four: the padding that is left out, and the
# characters that may stand last, whose unused bits are zero (RFC 4648 §3.5).
_ENDS: Final = {2: (b"==", b"AQgw"), 3: (b"=", b"AEIMQUYcgkosw048")}


def decode(text: str) -> bytes:
    """Return the bytes that `text` spells; raise ValueError unless it is their one spelling."""
    # The standard library skips characters it does not know, so they are refused first.
    data = text.encode("utf-8", "surrogatepass")
    if data.translate(None, ALPHABET):
        raise ValueError("a character outside the base64url alphabet")
    return decode_alphabet(data)


def decode_alphabet(text: bytes) -> bytes:
    """Return the same for a `text` that is known to hold nothing but the alphabet."""
    data = text.translate(_TO_BASE64)
    rest = len(data) % 4
    if not rest:
        return a2b_base64(data)
    if rest == 1:
        raise ValueError("a length that no bytes have")
    padding, last = _ENDS[rest]
    if text[-1] not in last:
        raise ValueError("unused bits that are not zero")
    return a2b_base64(data + padding)
