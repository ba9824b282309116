"""What a laxer reader would take a path for: letter case and compatibility forms ignored.

Paths are case-sensitive here and in every framework by default. An app, a proxy or a file system
that is not would take `/Admin` for `/admin`. A rule that opens a path to everybody must not open
it for such a reader when another rule protects what that reader sees.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice, product
from unicodedata import normalize

from authz_middleware.policy.template import Template

__all__ = ["Spellings", "fold"]

MAX_SPELLINGS = 64
"""Paths that one path is taken for at most; a policy rarely spells one word in two ways."""


def fold(text: str) -> str:
    """Return `text` as a reader without regard to case sees it; upper case first, for U+0131."""
    return normalize("NFKC", text).upper().casefold()


class Spellings:
    """The literal texts of a policy, found by how they look to a lax reader."""

    __slots__ = ("_known",)

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

    def of(self, path: str) -> Iterator[str]:
        """Yield the other paths, with the policy's own words, that `path` may be taken for."""
        segments = path.split("/")
        choices = [
            (segment, *(text for text in self._known.get(fold(segment), ()) if text != segment))
            for segment in segments
        ]
        if any(len(each) > 1 for each in choices):
            spellings = product(*choices)
            next(spellings)  # the path itself
            for spelling in islice(spellings, MAX_SPELLINGS):
                yield "/".join(spelling)
