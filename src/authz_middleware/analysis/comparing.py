"""What another policy gives and takes, the issuers that are believed included."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from authz_middleware.analysis.rights import rights_of
from authz_middleware.document import Document
from authz_middleware.policy.changes import Changed, Side, changes
from authz_middleware.progress import Progress, untold
from authz_middleware.runtime import settings
from authz_middleware.runtime.settings import Settings

__all__ = ["Comparison", "IssuerChange", "compare"]


@dataclass(frozen=True, slots=True)
class IssuerChange:
    """An issuer that is believed for more or less. `widened` if its tokens may bring more."""

    issuer: str
    what: str
    widened: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every right that differs, and every issuer."""

    rights: tuple[Changed, ...]
    issuers: tuple[IssuerChange, ...]

    @property
    def widened(self) -> bool:
        """Whether anybody may do more, or might: what nobody can tell counts as given."""
        return any(each.gained is not False for each in self.rights) or any(
            each.widened for each in self.issuers
        )


def compare(old: Document, new: Document, *, progress: Progress = untold) -> Comparison:
    """Compile both and return what differs. Raises `PolicyError` for a policy with mistakes."""
    before, after = settings.load(old), settings.load(new)
    found = changes(
        Side(before.policy, rights_of(before)),
        Side(after.policy, rights_of(after)),
        progress=progress,
    )
    return Comparison(tuple(found), tuple(_issuers(before, after)))


def _issuers(before: Settings, after: Settings) -> Iterator[IssuerChange]:
    for name in sorted({*before.issuers, *after.issuers}):
        old, new = before.issuers.get(name), after.issuers.get(name)
        if old is None:
            yield IssuerChange(name, "its tokens are believed", widened=True)
        elif new is None:
            yield IssuerChange(name, "its tokens are believed no more", widened=False)
        elif old != new:
            what = "other keys, audiences or claims of its tokens: read its table"
            # Whether another key or another claim is more or less, no file tells.
            yield IssuerChange(name, what, widened=True)
