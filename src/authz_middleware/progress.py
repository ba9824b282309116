"""How far long work has come: what a loop goes through, for who waits to be told as it goes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

__all__ = ["Progress", "untold"]

Step = TypeVar("Step")


class Progress(Protocol):
    """Hands on each of `steps`, and may tell how many are done."""

    def __call__(self, steps: Sequence[Step], /) -> Iterable[Step]:
        """Return the steps, in their order."""
        ...


def untold(steps: Sequence[Step], /) -> Iterable[Step]:
    """Tell nobody."""
    return steps
