"""Whether a protected handler ran, by what ran when it should, and when it certainly did not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from types import CodeType
from typing import NamedTuple

from authz_middleware.testing.attack.driving import Answered, is_own

__all__ = ["Evidence", "Observed"]


class Observed(NamedTuple):
    """What one request made the app do."""

    answer: Answered
    ran: frozenset[CodeType]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What tells the handler of a protected request from everything else.

    `marks` are the functions that run for the plain request, and for none of the requests that do
    not reach its handler: the application's own functions if there are any. Without any, as where
    one function serves both, only the answer can tell.
    """

    plain: Answered
    marks: frozenset[CodeType]
    own: bool  # whether the marks are the application's own functions
    others: frozenset[Answered] = field(repr=False)

    @classmethod
    def of(cls, plain: Observed, others: Iterable[Observed]) -> Evidence:
        """Compare what the plain request did with what other requests did."""
        known = list(others)
        only = plain.ran.difference(*(each.ran for each in known))
        own = frozenset(filter(is_own, only))
        return cls(plain.answer, own or only, bool(own), frozenset(each.answer for each in known))

    @property
    def proves(self) -> bool:
        """Whether the handler can be told from the rest."""
        return self.own or self._answer_tells

    @property
    def _answer_tells(self) -> bool:
        return self.plain not in self.others and self.plain.status not in {0, 403, 404, 405}

    def of_leak(self, observed: Observed) -> str:
        """Say how `observed` shows that the handler ran; "" if it does not."""
        if self.own:
            ran = self.marks & observed.ran
            names = ", ".join(sorted(f"{code.co_qualname}()" for code in ran))
            return f"{names} ran" if ran else ""
        if self._answer_tells and observed.answer == self.plain:
            return f"the answer is that of the plain request ({self.plain.status})"
        if self._answer_tells and self.marks and self.marks <= observed.ran:
            return "the same functions ran as for the plain request"
        return ""
