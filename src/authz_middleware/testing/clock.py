"""A clock that stands still until it is told to move."""

from __future__ import annotations

__all__ = ["FrozenClock"]


class FrozenClock:
    """A clock for `clock=` arguments; `now` is in seconds since the epoch."""

    __slots__ = ("now",)

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return what time it is, in seconds since the epoch."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass; a negative number turns the clock back, as real ones may be."""
        self.now += seconds

    def __repr__(self) -> str:
        return f"FrozenClock({self.now!r})"
