"""A circuit breaker: who failed so often in a row is left alone for a while, then tried once.

It belongs to one process. Whoever is let through says how it went, once; of what was begun before
the last change it no longer counts.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Final

from authz_middleware.runtime.forks import renew_in_child

__all__ = ["Breaker"]


class Breaker:
    """Opens after `failures` in a row, for `pause` seconds. `clock` returns seconds."""

    def __init__(self, failures: int, pause: float, clock: Callable[[], float]) -> None:
        self._limit: Final = failures
        self._pause: Final = pause
        self._clock: Final = clock
        self.renew()
        renew_in_child(self)

    def renew(self) -> None:
        """Begin anew, closed."""
        self._lock = Lock()
        self._failed = 0  # in a row
        self._open_since: float | None = None
        self._probed = False  # whether somebody tries it
        self._turn = 0  # how often it was opened, closed or tried

    def enter(self) -> int | None:
        """Return the turn to report for, or None if it is not to be asked now."""
        with self._lock:
            since = self._open_since
            if since is None:
                return self._turn
            # A time in the future means that the clock was set back: waiting could take for ever.
            if self._probed or since <= self._clock() < since + self._pause:
                return None
            self._probed = True
            self._turn += 1
            return self._turn

    def stands(self, turn: int) -> bool:
        """Whether what was begun in this turn still counts."""
        return turn == self._turn

    def report(self, turn: int, *, failed: bool | None) -> bool:
        """Say how it went; None if that cannot be told. Returns whether this opens it."""
        with self._lock:
            if turn != self._turn:
                return False
            if failed is None:
                self._probed = False
                return False
            if not failed:
                self._failed = 0
                if self._open_since is not None:
                    self._turn += 1
                self._open_since, self._probed = None, False
                return False
            self._failed += 1
            if self._failed < self._limit and self._open_since is None:
                return False
            self._turn += 1
            self._open_since, self._probed = self._clock(), False
            return True
