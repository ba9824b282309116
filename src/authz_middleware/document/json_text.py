"""JSON (RFC 8259): `json` parses; a scanner of ours finds positions and repeated names.

`json` is laxer than a policy can bear: it lets the last of two equal names win and takes NaN.
Repeated names are found by the scanner (RFC 8259 §4); NaN, Infinity and null by the check of
values that every document passes.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any, cast

from authz_middleware.document.parsed import Parsed, Refused, repeated
from authz_middleware.document.paths import MAX_DEPTH, KeyPath, Lines, Position
from authz_middleware.document.values import INTEGER_BEYOND

__all__ = ["parse"]

FIX = 'write JSON, without comments and without a comma before a bracket: `{"key": "text"}`'


def parse(text: str) -> Parsed:
    """The values of a JSON text and where they stand. Raises Refused."""
    try:
        root: Any = json.loads(text, parse_int=_integer)
    except json.JSONDecodeError as error:
        place = error.lineno, error.colno
        raise Refused(place, f"this is not JSON: {error.msg}", FIX) from None
    except RecursionError:
        what = f"the lists and tables are nested deeper than {MAX_DEPTH}"
        raise Refused((1, 1), what, "take some of them away") from None
    if not isinstance(root, dict):
        raise Refused((1, 1), "the top level must be an object", "write `{ … }` around it")
    scanner = _Scanner(text)
    scanner.document()
    root = cast("dict[str, Any]", root)
    return Parsed(root, scanner.positions, tuple(scanner.problems), scanner.texts)


def _integer(digits: str) -> int:
    # int() raises beyond some thousand digits, without a place; the check of values has one.
    return int(digits) if len(digits) <= len(str(-INTEGER_BEYOND)) else INTEGER_BEYOND


_TOKEN = re.compile(
    r'[ \t\r\n]*("[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|[^ \t\r\n{}\[\],:"]+)', re.DOTALL
)


class _Scanner:
    """Walks a text that `json` has accepted, so it checks nothing but the names."""

    __slots__ = ("_lexemes", "_lines", "_offset", "positions", "problems", "texts")

    def __init__(self, text: str) -> None:
        self.positions: dict[KeyPath, Position] = {}
        self.problems: list[Refused] = []
        self.texts: dict[KeyPath, int] = {}  # where each string begins
        self._offset = 0  # of the lexeme that was read last
        self._lines = Lines(text)
        self._lexemes = _TOKEN.finditer(text)

    def document(self) -> None:
        # Too deep: the check of values refuses the document; its outer positions are known.
        with suppress(_TooDeep):
            self._value((), self._next()[0])

    def _next(self) -> tuple[str, Position]:
        found = next(self._lexemes)
        self._offset = found.start(1)
        return found[1], self._lines.at(self._offset)

    def _value(self, path: KeyPath, lexeme: str) -> None:
        if len(path) > MAX_DEPTH:
            raise _TooDeep
        if lexeme == "{":
            self._object(path)
        elif lexeme == "[":
            self._array(path)
        elif lexeme.startswith('"'):
            self.texts[path] = self._offset

    def _object(self, path: KeyPath) -> None:
        seen: set[str] = set()
        lexeme, position = self._next()
        while lexeme != "}":
            name: str = json.loads(lexeme)
            at = (*path, name)
            if name in seen:
                self.problems.append(repeated(position, at))
            else:
                self.positions[at] = position
                seen.add(name)
            self._next()  # the colon
            self._value(at, self._next()[0])
            lexeme, position = self._next()
            if lexeme == ",":
                lexeme, position = self._next()

    def _array(self, path: KeyPath) -> None:
        index = 0
        lexeme, position = self._next()
        while lexeme != "]":
            self.positions[(*path, index)] = position
            self._value((*path, index), lexeme)
            index += 1
            lexeme, position = self._next()
            if lexeme == ",":
                lexeme, position = self._next()


class _TooDeep(Exception):
    """The text is nested deeper than any policy may be."""
