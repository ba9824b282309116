"""Base64url as JOSE means it: no padding, no foreign characters, one spelling per value.

RFC 7515 §2 and §5.2; RFC 4648 §3.5. A second spelling of the same bytes would be a second
token with the same signature, and so a way around anything that remembers tokens by text.
"""

from __future__ import annotations

import base64
import re

__all__ = ["decode"]

_ALPHABET = re.compile(r"[A-Za-z0-9_-]*")


def decode(text: str) -> bytes:
    """Return the bytes that `text` spells; raise ValueError unless it is their one spelling."""
    # The standard library skips characters it does not know, so they are refused first.
    if not _ALPHABET.fullmatch(text):
        raise ValueError("a character outside the base64url alphabet")
    if len(text) % 4 == 1:
        raise ValueError("a length that no bytes have")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii") != text:
        raise ValueError("unused bits that are not zero")
    return data
