"""Tokens that were verified before, by a keyed digest (RFC 9700 §4.9.3: no token text is kept)."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from hashlib import blake2b
from itertools import filterfalse
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


_EMPTY: Final = getsizeof("")

# In C: most of what claims hold are texts.
_is_text: Final = str.__instancecheck__
_only_texts = cast("Callable[[Iterable[object]], Iterator[str]]", partial(filter, _is_text))
_no_texts = cast("Callable[[Iterable[object]], Iterator[object]]", partial(filterfalse, _is_text))


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
    stand in the claims, so of those sets only the tables count. It is too little where a policy
    reads them from one text, such as `scope`: what that is split into may take as much again.
    """
    principal = entry.verified.principal
    tables = (principal.roles, principal.permissions, principal.scopes)
    return (
        _OVERHEAD
        + sum(map(getsizeof, tables))
        + _texts([principal.subject, *principal.scopes])
        + _deep(principal.claims)
    )


def _deep(value: object) -> int:
    """`getsizeof` with what is inside; claims nest no deeper than the JSON reader lets them."""
    size = getsizeof(value)
    if isinstance(value, dict):
        members = cast("dict[str, object]", value)
        return size + _texts(members) + _together(members.values())
    if isinstance(value, (tuple, frozenset)):
        return size + _together(cast("Collection[object]", value))
    return size


def _texts(texts: Collection[str]) -> int:
    """Weigh texts as one, where they take a byte for each character."""
    text = "".join(texts)
    return len(text) + _EMPTY * len(texts) if text.isascii() else sum(map(getsizeof, texts))


def _together(values: Collection[object]) -> int:
    """Weigh values, most of which are texts, with what is inside."""
    texts = [*_only_texts(values)]
    if len(texts) == len(values):
        return _texts(texts)
    return _texts(texts) + sum(map(_deep, _no_texts(values)))
