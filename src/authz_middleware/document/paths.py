"""Where a value stands: its path of keys and indexes, and the place in the text."""

from __future__ import annotations

import json
import re
from bisect import bisect_right

__all__ = ["MAX_DEPTH", "KeyPath", "Lines", "Position", "dotted", "quoted"]

KeyPath = tuple[str | int, ...]
"""Table keys and list indexes from the top level down: `("routes", "GET /me", 0)`."""

Position = tuple[int, int]
"""Line and column, both from 1; the column counts characters."""

MAX_DEPTH = 64
"""Deepest nesting that a policy may have; it keeps every recursive reader far from the limit."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")


class Lines:
    """The line and column of each offset in a text."""

    __slots__ = ("_starts",)

    def __init__(self, text: str) -> None:
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]

    def at(self, offset: int) -> Position:
        """The place of the character at `offset`."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1


def quoted(key: str) -> str:
    """One key as TOML writes it: bare where it can be, else in double quotes."""
    if _BARE.fullmatch(key):
        return key
    # Whatever does not print (a lone surrogate, a newline) is escaped, so that logs can hold it.
    return json.dumps(key, ensure_ascii=not key.isprintable())


def dotted(path: KeyPath) -> str:
    """The path in TOML's dotted keys, with indexes: `routes."GET /me".roles[0]`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{quoted(step)}" if text else quoted(step)
    return text or "<top level>"
