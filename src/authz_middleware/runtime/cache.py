"""Tokens that were verified before, by a keyed digest (RFC 9700 §4.9.3: no token text is kept)."""

from __future__ import annotations

import secrets
from hashlib import blake2b
from threading import Lock

from authz_middleware.engine import CachedToken

__all__ = ["VerifiedTokens"]

MAX_ENTRIES = 10_000
"""About as many callers as one process serves within a token's life; some 2 KiB each."""


class VerifiedTokens:
    """A bounded map from token digest to what verification found; the oldest entry goes first.

    One belongs to one compiled policy, so no entry can outlive or cross a configuration. The
    digest key is made per process and instance: a digest says nothing to anyone else.
    """

    __slots__ = ("_entries", "_key", "_lock", "_max")

    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        self._key = secrets.token_bytes(32)
        self._entries: dict[bytes, CachedToken] = {}
        self._lock = Lock()
        self._max = max_entries

    def digest(self, token: str) -> bytes:
        """Return the key under which `token` is known here."""
        return blake2b(token.encode("ascii"), key=self._key, digest_size=32).digest()

    def get(self, digest: bytes) -> CachedToken | None:
        """Return what is known of a token; whether it still holds is the caller's to check."""
        return self._entries.get(digest)

    def put(self, digest: bytes, entry: CachedToken) -> None:
        """Remember a verified token."""
        with self._lock:
            self._entries.pop(digest, None)
            while len(self._entries) >= self._max:
                del self._entries[next(iter(self._entries))]
            self._entries[digest] = entry

    def __len__(self) -> int:
        return len(self._entries)
