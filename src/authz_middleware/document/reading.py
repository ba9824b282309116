"""Reading a policy document: a file and what it includes, or a mapping, as one tree of values."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from authz_middleware.document.files import Files
from authz_middleware.document.including import Origin, united
from authz_middleware.document.part import Part, Unread, source_of
from authz_middleware.document.paths import KeyPath, Position
from authz_middleware.errors import PolicyError, Problem

__all__ = ["Document", "Place"]


class Place(NamedTuple):
    """Where something stands: in which of the files, line and column; 0 where that is unknown.

    Places are in the order in which mistakes are told.
    """

    part: int
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Document:
    """A policy as written: its values, and where they stand in the files that it is made of.

    The first of `parts` is the policy file itself, or the mapping. `origins` tells where what is
    not from there is from. In `files` is noted what was looked at.
    """

    root: Mapping[str, Any] = field(repr=False)
    parts: tuple[Part, ...]
    origins: Mapping[KeyPath, Origin] = field(repr=False)
    files: Files = field(default_factory=Files, repr=False, compare=False)

    @classmethod
    def read(cls, path: str | os.PathLike[str], files: Files | None = None) -> Document:
        """Read the policy file at `path`. Raises PolicyError with every mistake of the text.

        What is looked at is noted in `files`, also if it is no policy.
        """
        file = Path(path)
        files = files or Files()
        try:
            main = Part.read(file, files)
        except Unread as unread:
            # What Python said of it stands in `what`: no second traceback in front of ours.
            raise PolicyError([Problem(source_of(file), unread.what, unread.fix)]) from None
        return cls(*united(main, files), files)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Document:
        """Take a policy from a mapping of the same shape, deep-copied. Raises PolicyError."""
        files = Files()
        return cls(*united(Part.from_mapping(mapping), files), files)

    @property
    def source(self) -> str:
        """The policy file as the user named it, or `<mapping>`."""
        return self.parts[0].source

    @property
    def directory(self) -> Path:
        """Where the policy file is; the working directory for a mapping."""
        return self.parts[0].directory

    @property
    def file(self) -> Path | None:
        """The policy file, absolute; None for a mapping."""
        main = self.parts[0]
        return main.directory / main.file.name if main.file else None

    def part(self, path: KeyPath) -> Part:
        """The file that the value at `path` is from."""
        return self.parts[self._origin(path).part]

    def place(self, path: KeyPath) -> Place:
        """Where the key at `path`, or the nearest table around it, stands."""
        index, there = self._origin(path)
        return _place(index, self.parts[index].position(there))

    def inside(self, path: KeyPath, value: str, index: int) -> Place:
        """Where one character of the string at `path` stands, else its key.

        `value` is that string, and `index` may be its length.
        """
        number, there = self._origin(path)
        return _place(number, self.parts[number].inside(there, value, index))

    def where(self, path: KeyPath) -> str:
        """The place of `path` for people: `authz.toml:12:1`, or the dotted path in a mapping."""
        return self.called(path, self.place(path))

    def called(self, path: KeyPath, place: Place) -> str:
        """What people are told of a place: the place in a file, `path` in a mapping."""
        position = (place.line, place.column) if place.line else None
        return self.parts[place.part].called(path, position)

    def _origin(self, path: KeyPath) -> Origin:
        found = self.origins.get(path[:2]) or self.origins.get(path[:1])
        return (
            Origin(0, path)
            if found is None
            else Origin(found.part, found.path + path[len(found.path) :])
        )


def _place(index: int, position: Position | None) -> Place:
    return Place(index, *(position or (0, 0)))
