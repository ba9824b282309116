"""Shared secrets for HMAC: which ones are too weak to be one.

RFC 7518 §3.2 (length), RFC 8725 §3.5 (never something a human would remember). A token shows
its own MAC, so whoever holds one can try secrets offline, billions a second.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Final

__all__ = ["MIN_LENGTH", "weakness"]

MIN_LENGTH: Final = 32  # HS256's, the shortest there is

# A random secret of 32 bytes shows about 150 bits by its letters alone, one written in hex 110.
_MIN_BITS: Final = 96.0

# Secrets in public texts that are long enough to pass otherwise: jwt.io's samples, the keys of
# RFC 7515 A.1 and RFC 7520 §3.5 (as they are written there), and Auth0's old sample.
_PUBLISHED: Final = frozenset(
    {
        b"a-string-secret-at-least-256-bits-long",
        b"a-valid-string-secret-that-is-at-least-384-bits-long",
        b"a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
        b"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
        b"hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg",
        b"GQDstcKsx0NHjPOuXOYg5MbeJ1XT0uFiwDVvVBrk",
    }
)
# What frameworks put where a secret should go (`django-insecure-…`, `changeme…`).
_PLACEHOLDER = re.compile(
    rb"insecure|change[-_ ]?(?:me|this|it)|replace[-_ ]?(?:me|this)|your[-_ ]", re.IGNORECASE
)
# Words or numbers with something between them: a passphrase, a title, a host name.
_WORDS = re.compile(rb"(?:[A-Za-z]?[a-z]+|[0-9]+)(?:[ _.,-]+(?:[A-Za-z]?[a-z]+|[0-9]+))+[.!?]?")


def weakness(secret: bytes) -> str | None:
    """Say why `secret` must not be used, or None. The text shows nothing of the secret."""
    if len(secret) < MIN_LENGTH:
        return f"has {len(secret)} bytes and needs at least {MIN_LENGTH}"
    if secret in _PUBLISHED or _PLACEHOLDER.search(secret):
        return "is published, or a placeholder that should have been replaced"
    if secret.lstrip().startswith(b"-----BEGIN"):
        # A public key as an HMAC secret is how everybody signs tokens (CVE-2022-29217).
        return "is a PEM key or certificate"
    if (secret + secret).find(secret, 1) < len(secret):
        return "repeats itself"
    if _WORDS.fullmatch(secret) or _bits(secret) < _MIN_BITS:
        return "can be guessed"
    return None


def _bits(secret: bytes) -> float:
    """Shannon's entropy of the bytes as they are distributed: an upper bound for simple text."""
    total = len(secret)
    return sum(n * math.log2(total / n) for n in Counter(secret).values())
