"""A mistake in the text of a condition: at which offset, what is wrong, what to write instead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

__all__ = ["Mistake", "Mistakes", "Unreadable", "nearest"]


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake. `at` counts the characters of the condition from 0."""

    at: int
    what: str
    fix: str  # what to write instead: nobody may leave it out


class Unreadable(Exception):
    """The text stops being a condition; what follows cannot be read."""

    def __init__(self, at: int, what: str, fix: str) -> None:
        self.mistake = Mistake(at, what, fix)
        super().__init__(what)


class Mistakes:
    """The mistakes found so far. One place is reported once: what follows from it is noise."""

    __slots__ = ("_found",)

    def __init__(self) -> None:
        self._found: dict[int, Mistake] = {}

    def add(self, at: int, what: str, fix: str) -> None:
        """Note a mistake."""
        self._found.setdefault(at, Mistake(at, what, fix))

    @property
    def found(self) -> tuple[Mistake, ...]:
        """All of them, in the order of the text."""
        return tuple(self._found[at] for at in sorted(self._found))


def nearest(name: str, known: Iterable[str], call: str = "") -> str:
    """What to write instead of `name`: the known name most like it, else all of them.

    There is one at least.
    """
    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    if near:
        return f"did you mean `{near[0]}{call}`?"
    return "known: " + ", ".join(f"`{each}{call}`" for each in names)
