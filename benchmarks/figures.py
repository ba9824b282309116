"""What a run finds: figures with their units, and the bars that some of them are held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Bar", "Figure", "Group", "Series", "missed"]

Series = Literal["", "hot", "cold"]


@dataclass(frozen=True, slots=True)
class Bar:
    """A limit that a figure keeps or misses."""

    sense: Literal["at most", "at least"]
    limit: float

    def kept_by(self, value: float) -> bool:
        """Whether `value` is on the right side; what is not a number is not."""
        return value <= self.limit if self.sense == "at most" else value >= self.limit


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value. With a `series` it is a bar of the chart, under its label."""

    label: str
    value: float
    unit: str  # "µs", "x", "s", "B", "req/s", ... or "" for a bare number
    bar: Bar | None = None
    note: str = ""
    series: Series = ""
    ours: bool = False

    @property
    def kept(self) -> bool | None:
        """Whether the bar is kept; None without one."""
        return None if self.bar is None else self.bar.kept_by(self.value)


@dataclass(frozen=True, slots=True)
class Group:
    """The figures of one question, and what a reader must know of how they came about."""

    name: str
    title: str
    figures: Sequence[Figure]
    notes: Sequence[str] = field(default=())


def missed(groups: Sequence[Group]) -> list[Figure]:
    """Every figure that misses its bar."""
    return [figure for group in groups for figure in group.figures if figure.kept is False]
