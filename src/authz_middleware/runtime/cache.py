"""Tokens that were verified before, by a keyed digest (RFC 9700 §4.9.3: no token text is kept)."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from hashlib import blake2b
from sys import getsizeof
from typing import Final, cast

from authz_middleware.effects import CachedToken
from authz_middleware.runtime.bounded import Bounded
from authz_middleware.runtime.forks import renew_in_child

__all__ = ["MAX_BYTES", "MAX_ENTRIES", "VerifiedTokens", "weigh"]

MAX_ENTRIES: Final = 10_000
"""About as many callers as one process serves within a token's life."""

MAX_BYTES: Final = 32 * 1024 * 1024
"""As `weigh` counts them: 3 to 4 KiB are usual for one token."""

_OVERHEAD: Final = 1024
"""Bytes of one entry without what its claims take: measured, and rounded up."""


_ATOMS: Final = frozenset({str, int, float, bool, type(None)})


class VerifiedTokens(Bounded[CachedToken]):
    """A bounded map from token digest to what verification found.

    One belongs to one compiled policy, so no entry can outlive or cross a configuration. The
    digest key is made per instance and process: a digest says nothing to anyone else. Whether an
    entry still holds is for whoever gets it to check.
    """

    __slots__ = ("_key",)

    def __init__(self, max_entries: int = MAX_ENTRIES, max_bytes: int = MAX_BYTES) -> None:
        super().__init__(max_entries, max_bytes, weigh)
        renew_in_child(self)

    def renew(self) -> None:
        """Forget everything, the key of the digests included."""
        super().renew()
        self._key = secrets.token_bytes(32)

    def digest(self, token: bytes) -> bytes:
        """Return the key under which `token` is known here."""
        return blake2b(token, key=self._key, digest_size=32).digest()


def weigh(entry: CachedToken) -> int:
    """Return about how many bytes `entry` keeps alive.

    The claims count with all that is in them. Names of roles and permissions are the policy's or
    stand in the claims, so of those sets only the tables count.
    """
    principal = entry.verified.principal
    tables = (principal.roles, principal.permissions)
    return (
        _OVERHEAD
        + sum(map(getsizeof, tables))
        + _deep(principal.subject)
        + _deep(principal.scopes)
        + _deep(principal.claims)
    )


def _deep(value: object) -> int:
    """`getsizeof` with what is inside; claims nest no deeper than the JSON reader lets them."""
    size = getsizeof(value)
    if isinstance(value, dict):
        members = cast("dict[str, object]", value)
        inside = members.values()
        size += sum(map(getsizeof, members)) + sum(map(getsizeof, inside))
        if not _ATOMS.issuperset(map(type, inside)):
            size += sum([_deep(e) - getsizeof(e) for e in inside if type(e) not in _ATOMS])
    elif isinstance(value, (tuple, frozenset)):
        size += sum(map(_deep, cast("Iterable[object]", value)))
    return size
