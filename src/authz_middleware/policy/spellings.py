"""What a laxer reader would take a path for: letter case and compatibility forms ignored.

Paths are case-sensitive here and in every framework by default. An app, a proxy or a file system
that is not would take `/Admin` for `/admin`. A rule that opens a path to everybody must not open
it for such a reader when another rule protects what that reader sees; and where the app may be such
a reader, that rule has its say too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from math import prod

from authz_middleware.policy.canonical import fold
from authz_middleware.policy.template import Template

__all__ = ["Spellings"]

MAX_SPELLINGS = 64
"""Paths that one path is taken for at most; a policy rarely spells one word in two ways."""


class Spellings:
    """The literal texts of a policy, found by how they look to a lax reader."""

    __slots__ = ("_known", "_plain")

    def __init__(self, templates: Iterable[Template]) -> None:
        known: dict[str, set[str]] = {}
        for template in templates:
            for kind, *texts in template.shape:
                if kind in ("literal", "any"):
                    for text in texts:
                        known.setdefault(fold(text), set()).add(text)
        self._known: Mapping[str, tuple[str, ...]] = {
            folded: tuple(sorted(texts)) for folded, texts in known.items()
        }
        self._plain = all(texts == {folded} for folded, texts in known.items())

    def is_plain(self, path: str) -> bool:
        """Whether policy and path are in lower case throughout: nothing need be looked up."""
        return self._plain and path.isascii() and path == path.lower()

    def of(self, path: str) -> list[str] | None:
        """Return the other paths, in the policy's own words, that `path` may be taken for.

        None if they are too many to look at: nobody writes such a path by accident.
        """
        choices = [
            (segment, *(text for text in self._known.get(fold(segment), ()) if text != segment))
            for segment in path.split("/")
        ]
        count = prod(map(len, choices))
        if count == 1:
            return []
        if count > MAX_SPELLINGS:
            return None
        return ["/".join(spelling) for spelling in product(*choices)][1:]  # but for itself
