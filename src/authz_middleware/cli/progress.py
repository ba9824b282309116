"""A line on the terminal that says how far long work has come, and goes when it is done."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Final, TextIO, TypeVar

__all__ = ["Told"]

Step = TypeVar("Step")

LONG: Final = 1.0  # seconds: what is done sooner needs no words
AGAIN: Final = 0.2  # seconds between two words

ERASE: Final = "\r\x1b[K"


class Told:
    """`Progress` on standard error, where that is a terminal and somebody reads the output.

    A program that reads (`quiet`) is told nothing, and neither is a file or a pipe.
    """

    def __init__(
        self,
        what: str,
        *,
        quiet: bool = False,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what = what
        self._stream = stream or sys.stderr
        self._quiet = quiet or not self._stream.isatty()
        self._clock = clock
        self._next = clock() + LONG
        self._shown = False

    def __call__(self, steps: Iterable[Step], /) -> Iterable[Step]:
        """Hand on each of `steps`; without a length they are counted."""
        return steps if self._quiet else self._told(steps)

    def _told(self, steps: Iterable[Step]) -> Iterator[Step]:
        total = len(steps) if isinstance(steps, Sized) else None
        try:
            for done, step in enumerate(steps, start=1):
                yield step
                if (now := self._clock()) >= self._next:
                    self._next = now + AGAIN
                    self._show(f"{done * 100 // total} %" if total else f"{done:,}")
        finally:
            self._clear()

    def _show(self, far: str) -> None:
        self._shown = True
        self._stream.write(f"{ERASE}{self._what} ... {far}")
        self._stream.flush()

    def _clear(self) -> None:
        if self._shown:
            self._shown = False
            self._stream.write(ERASE)
            self._stream.flush()
