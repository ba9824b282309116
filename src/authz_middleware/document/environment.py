"""`${NAME}` in a policy: what differs from stage to stage comes from the environment.

A reference is replaced after the text was parsed and inside strings only, so a variable's value is
text and never structure: it cannot add a key, a rule or a table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, cast

from authz_middleware.document.paths import KeyPath, Position, dotted, quoted

__all__ = ["VARIABLE", "expanded"]

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""The name of an environment variable."""

# `$${` stands for the characters `${`. What follows `${` up to a brace should be a name.
_REFERENCE = re.compile(r"\$\$\{|\$\{([^{}]*)(\}?)")

Complain = Callable[[KeyPath, str, str], None]
Positions = Mapping[KeyPath, Position]


def expanded(
    root: Mapping[str, Any], positions: Positions, environ: Mapping[str, str], complain: Complain
) -> tuple[dict[str, Any], Positions]:
    """Return `root` with every reference in its keys and values replaced, and where keys stand.

    `complain` is called for a variable that is not set or empty: neither is a value that anybody
    chose. `root` is a tree of dicts and lists, not too deep.
    """
    expansion = _Expansion(environ, complain)
    copy = expansion.table((), root)
    if not expansion.renamed:
        return copy, positions
    return copy, {expansion.moved(path): place for path, place in positions.items()}


class _Expansion:
    """One walk over a document."""

    def __init__(self, environ: Mapping[str, str], complain: Complain) -> None:
        self._environ = environ
        self._complain = complain
        self.renamed: dict[KeyPath, str] = {}  # the path of a key as written -> what it became

    def table(self, path: KeyPath, table: Mapping[str, Any]) -> dict[str, Any]:
        copy: dict[str, Any] = {}
        for key, value in table.items():
            at = (*path, key)
            name = self._text(at, key)
            if name != key:
                self.renamed[at] = name
            if name in copy or (name != key and name in table):
                around = f"`{dotted(path)}`" if path else "the top level"
                self._complain(at, f"`{quoted(name)}` stands twice in {around}", "keep one of them")
            copy[name] = self._value(at, value)
        return copy

    def moved(self, path: KeyPath) -> KeyPath:
        """The path under which the value at `path` is found now."""
        steps = enumerate(path, start=1)
        return tuple(self.renamed.get(path[:length], step) for length, step in steps)

    def _value(self, path: KeyPath, value: Any) -> Any:
        match value:
            case str():
                return self._text(path, value)
            case dict():
                return self.table(path, cast("dict[str, Any]", value))
            case list():
                items = cast("list[Any]", value)
                return [self._value((*path, index), item) for index, item in enumerate(items)]
            case _:
                return value

    def _text(self, path: KeyPath, text: str) -> str:
        if "${" not in text:
            return text
        return _REFERENCE.sub(lambda found: self._replacement(path, found), text)

    def _replacement(self, path: KeyPath, found: re.Match[str]) -> str:
        name, end = found.groups()
        if name is None:
            return "${"
        if not end or not VARIABLE.fullmatch(name):
            what = f"{quoted(found[0])} names no environment variable"
            self._complain(path, what, "write `${NAME}`, or `$${` for the characters `${`")
            return found[0]
        value = self._environ.get(name, "")
        if not value:
            what = f"the environment variable {name} is not set, or empty"
            self._complain(path, what, f"set {name} before the server starts")
        elif not _is_text(value):
            what = f"the environment variable {name} is not UTF-8"
            self._complain(path, what, f"set {name} to text")
        return value


def _is_text(value: str) -> bool:
    try:
        value.encode()  # what is not UTF-8 reaches Python as halves of surrogate pairs
    except UnicodeEncodeError:
        return False
    return True
