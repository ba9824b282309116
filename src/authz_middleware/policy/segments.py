"""The kinds of segments a path template is made of, and how specific each is.

`rank` is smaller for the more specific kind. `shape` says which texts a segment takes, without
the name under which the app gets them. `name` is None where there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from authz_middleware.policy.converters import Kind

__all__ = ["AnyOf", "DoubleStar", "Exact", "PathTail", "Plain", "Segment", "Typed"]


@dataclass(frozen=True, slots=True)
class Exact:
    """This text and no other."""

    text: str
    rank: ClassVar[int] = 0
    name: ClassVar[None] = None

    @property
    def shape(self) -> tuple[str, ...]:
        return ("literal", self.text)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One of `values`, in the order written."""

    values: tuple[str, ...]
    name: str
    rank: ClassVar[int] = 1

    @property
    def shape(self) -> tuple[str, ...]:
        return ("any", *sorted(self.values))


@dataclass(frozen=True, slots=True)
class Typed:
    """A segment that the converter of this kind takes."""

    kind: Kind
    name: str
    rank: ClassVar[int] = 2

    @property
    def shape(self) -> tuple[str, ...]:
        return (self.kind,)


@dataclass(frozen=True, slots=True)
class Plain:
    """Any one segment."""

    name: str
    rank: ClassVar[int] = 3

    @property
    def shape(self) -> tuple[str, ...]:
        return ("plain",)


@dataclass(frozen=True, slots=True)
class PathTail:
    """All remaining segments, possibly none; only at the end."""

    name: str
    rank: ClassVar[int] = 4

    @property
    def shape(self) -> tuple[str, ...]:
        return ("path",)


@dataclass(frozen=True, slots=True)
class DoubleStar:
    """All remaining segments, possibly none, without a name; only at the end."""

    rank: ClassVar[int] = 5
    name: ClassVar[None] = None

    @property
    def shape(self) -> tuple[str, ...]:
        return ("**",)


Segment: TypeAlias = Exact | AnyOf | Typed | Plain | PathTail | DoubleStar
