"""The kinds of values that can be told before a condition runs; most attributes are of any kind."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "ANY",
    "BOOLEAN",
    "DOUBLE",
    "DURATION",
    "INT",
    "LIST",
    "MAP",
    "TEXT",
    "TEXTS",
    "TIME",
    "Kind",
    "comparable",
    "common",
    "ordered",
]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind, in the words of messages. `item` is the kind of a list's items."""

    name: str
    item: Kind | None = None

    def __str__(self) -> str:
        return self.name


ANY = Kind("a value of any kind")
BOOLEAN = Kind("a boolean")
INT = Kind("a whole number")
DOUBLE = Kind("a number with a point")
TEXT = Kind("a text")
TIME = Kind("a time")
DURATION = Kind("a duration")
LIST = Kind("a list", ANY)
TEXTS = Kind("a list", TEXT)
MAP = Kind("a table")

_NUMBERS = frozenset((INT, DOUBLE))
_ORDERED = frozenset((INT, DOUBLE, TEXT, TIME, DURATION))


def comparable(left: Kind, right: Kind) -> bool:
    """Whether the two could ever be equal."""
    if ANY in (left, right) or left.name == right.name:
        return True
    return {left, right} <= _NUMBERS


def ordered(left: Kind, right: Kind) -> bool:
    """Whether one could be less than the other."""
    return comparable(left, right) and {left, right} <= {ANY, *_ORDERED}


def common(left: Kind, right: Kind) -> Kind:
    """The kind of what is either the one or the other."""
    if left == right:
        return left
    return LIST if left.name == right.name else ANY
