"""What each text parser returns or raises, before a file name is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from authz_middleware.document.paths import KeyPath, Position, dotted, quoted
from authz_middleware.errors import Problem

__all__ = ["Parsed", "Refused", "repeated"]


class Refused(Exception):
    """A text that is no policy: at which position, what is wrong, and what to write instead."""

    def __init__(self, position: Position | None, what: str, fix: str) -> None:
        self.position = position
        self.what = what
        self.fix = fix
        super().__init__(what)

    def problem(self, source: str) -> Problem:
        """The same, in the file that `source` names."""
        return Problem(":".join(map(str, (source, *(self.position or ())))), self.what, self.fix)


def repeated(position: Position, path: KeyPath) -> Refused:
    """The key at `path` stands a second time, at `position`."""
    *table, name = path
    where = f"`{dotted(tuple(table))}`" if table else "the top level"
    return Refused(position, f"`{quoted(str(name))}` stands twice in {where}", "keep one of them")


@dataclass(frozen=True, slots=True)
class Parsed:
    """The values of a text, where its keys stand, and mistakes that did not stop the parser.

    `texts` tells at which offset each string begins, quotes included, where that is known.
    """

    root: Mapping[Any, Any]
    positions: Mapping[KeyPath, Position]
    problems: tuple[Refused, ...] = ()
    texts: Mapping[KeyPath, int] = field(default_factory=dict[KeyPath, int])
