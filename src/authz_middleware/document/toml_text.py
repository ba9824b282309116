"""TOML: `tomllib` parses; a scanner of ours then finds where each key and list item stands.

The scanner walks text that `tomllib` has already accepted, so it knows tokens and nesting but
checks nothing. Where it meets what it does not know it stops: positions are then missing, and
messages fall back to the nearest known table. No value is ever taken from it. Of a text that
`tomllib` refused it tells one thing more, which key stands twice.
"""

from __future__ import annotations

import re
import tomllib
from contextlib import suppress

from authz_middleware.document.parsed import Parsed, Refused, repeated
from authz_middleware.document.paths import MAX_DEPTH, KeyPath, Lines, Position

__all__ = ["parse", "positions"]

FIX = 'write TOML 1.0: `key = "text"`, `[table]`'
SMALLER = "write a number that a policy can mean"


def parse(text: str) -> Parsed:
    """The values of a TOML text and where they stand. Raises Refused."""
    try:
        root = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _refused(error, text) from None
    except RecursionError:
        what = f"the lists and tables are nested deeper than {MAX_DEPTH}"
        raise Refused((1, 1), what, "take some of them away") from None
    except ValueError:  # from int(), which caps the number of digits
        raise Refused((1, 1), "an integer does not fit into 64 bits", SMALLER) from None
    scanner = _scanned(text)
    return Parsed(root, scanner.positions(), texts=scanner.texts)


# The text of the error tells the place in every Python; attributes only from 3.14 on.
_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)\Z")


def _refused(error: tomllib.TOMLDecodeError, text: str) -> Refused:
    message = str(error)
    place = _PLACE.search(message)
    if place is None:
        return Refused((1, 1), f"this is not TOML: {message}", FIX)
    what = f"this is not TOML: {message[: place.start()]}"
    if place[1] is None:
        position = Lines(text).at(len(text))
        what += " at the end of the file"
    else:
        position = int(place[1]), int(place[2])
    # Of a repeated key `tomllib` tells only where its value ends. What stands before the place of
    # the error is valid, but for the statement at fault: a key repeated there is that fault.
    twice = _repeated(text)
    if twice is not None and twice.position is not None and twice.position < position:
        return twice
    return Refused(position, what, FIX)


def _repeated(text: str) -> Refused | None:
    """The first key or table that stands twice, as far as the text is known."""
    scanner = _scanned(text)
    if scanner.repeated is None:
        return None
    path, offset = scanner.repeated
    return repeated(Lines(text).at(offset), path)


def positions(text: str) -> dict[KeyPath, Position]:
    """Line and column of every key and list item of a valid TOML text."""
    return _scanned(text).positions()


def _scanned(text: str) -> _Scanner:
    scanner = _Scanner(text)
    with suppress(_Unknown):  # what was found until there is still right
        scanner.document()
    return scanner


class _Unknown(Exception):
    """The text goes on in a way this scanner does not know."""


_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_DOT = re.compile(r"[ \t]*\.[ \t]*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_SPACE = re.compile(r"[ \t]*")
_SCALAR = re.compile(
    r'''
      """(?:[^\\]|\\.)*?"""(?:"{0,2})   # up to two quotes may stand before the closing three
    | \'\'\'.*?\'\'\'(?:'{0,2})
    | "(?:[^"\\\n]|\\.)*"
    | '[^'\n]*'
    | \d{4}-\d\d-\d\d[ ]\d\d:[^\s,\]}\#]*    # the one scalar with a space inside
    | [^\s,\[\]{}\#"'=]+
    ''',
    re.DOTALL | re.VERBOSE,
)


class _Scanner:
    __slots__ = ("_at", "_defined", "_lengths", "_text", "offsets", "repeated", "texts")

    def __init__(self, text: str) -> None:
        self.offsets: dict[KeyPath, int] = {}
        self.repeated: tuple[KeyPath, int] | None = None  # the first one
        self.texts: dict[KeyPath, int] = {}  # where each string begins
        self._defined: set[KeyPath] = set()  # keys with a value, and tables with a header
        self._text = text
        self._at = 0
        self._lengths: dict[KeyPath, int] = {}  # of each [[array of tables]] so far

    def positions(self) -> dict[KeyPath, Position]:
        lines = Lines(self._text)
        return {path: lines.at(offset) for path, offset in self.offsets.items()}

    def document(self) -> None:
        table: KeyPath = ()
        while self._blank() < len(self._text):
            if self._take("[["):
                table = self._header(array=True)
            elif self._take("["):
                table = self._header(array=False)
            else:
                self._pair(table, 0)

    def _header(self, *, array: bool) -> KeyPath:
        self._match(_SPACE)
        path: KeyPath = ()
        parts = self._key()
        for name, offset in parts[:-1]:
            path = (*path, name)
            self.offsets.setdefault(path, offset)
            if path in self._lengths:
                path = (*path, self._lengths[path] - 1)  # below the element opened last
        name, offset = parts[-1]
        path = (*path, name)
        if array:
            self.offsets.setdefault(path, offset)
            self._lengths[path] = self._lengths.get(path, 0) + 1
            path = (*path, self._lengths[path] - 1)
        # The table's own header says more than one below it, which may have come first.
        self.offsets[path] = offset
        self._define(path, offset)
        self._match(_SPACE)
        self._expect("]]" if array else "]")
        return path

    def _pair(self, table: KeyPath, depth: int) -> None:
        path = table
        parts = self._key()
        for name, offset in parts:
            path = (*path, name)
            self.offsets.setdefault(path, offset)
        self._define(path, parts[-1][1])
        self._match(_SPACE)
        self._expect("=")
        self._match(_SPACE)
        self._value(path, depth)

    def _define(self, path: KeyPath, offset: int) -> None:
        if path in self._defined and self.repeated is None:
            self.repeated = path, offset
        self._defined.add(path)

    def _key(self) -> list[tuple[str, int]]:
        """The parts of a dotted key, each with its offset; stands behind the last one."""
        parts: list[tuple[str, int]] = []
        while len(parts) <= MAX_DEPTH:
            offset = self._at
            parts.append((_plain(self._match(_KEY)), offset))
            dot = _DOT.match(self._text, self._at)
            if dot is None:
                return parts
            self._at = dot.end()
        raise _Unknown

    def _value(self, path: KeyPath, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise _Unknown
        if self._take("["):
            index = 0
            while not self._closed("]"):
                self.offsets[(*path, index)] = self._at
                self._value((*path, index), depth + 1)
                index += 1
        elif self._take("{"):
            while not self._closed("}"):
                self._pair(path, depth + 1)
        else:
            if self._text.startswith(('"', "'"), self._at):
                self.texts[path] = self._at
            self._match(_SCALAR)

    def _closed(self, mark: str) -> bool:
        """Go to the next element; True if there is none and the bracket is closed."""
        self._blank()
        if self._take(","):
            self._blank()
        return self._take(mark)

    def _blank(self) -> int:
        """Skip white space, line ends and comments; returns where the next token starts."""
        self._match(_BLANK)
        return self._at

    def _take(self, mark: str) -> bool:
        taken = self._text.startswith(mark, self._at)
        if taken:
            self._at += len(mark)
        return taken

    def _expect(self, mark: str) -> None:
        if not self._take(mark):
            raise _Unknown

    def _match(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise _Unknown
        self._at = found.end()
        return found[0]


def _plain(key: str) -> str:
    """A key without its quotes and escapes."""
    if key.startswith('"') and "\\" in key:
        try:
            # tomllib knows the escapes of its version: ask it instead of listing them again.
            return next(iter(tomllib.loads(f"{key} = 0")))
        except tomllib.TOMLDecodeError:
            raise _Unknown from None
    return key[1:-1] if key.startswith(('"', "'")) else key
