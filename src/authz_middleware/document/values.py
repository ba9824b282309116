"""What a policy may hold: the values that TOML has, whatever the document was written in."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from typing import Any, cast

from authz_middleware.document.paths import MAX_DEPTH, KeyPath, dotted

__all__ = ["INTEGER_BEYOND", "checked", "kind"]

INTEGER_BEYOND = 2**63
"""The first integer that TOML need not hold (64 bit, signed)."""

Complain = Callable[[KeyPath, str, str], None]

_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (str, "a string"),
    (bool, "a boolean"),  # before int, of which it is a subclass
    ((int, float), "a number"),
    (datetime, "a date with a time"),  # before date, of which it is a subclass
    (date, "a date"),
    (time, "a time"),
    ((list, tuple), "a list"),
    (Mapping, "a table"),
    (type(None), "null"),
)

_ALLOWED = "a policy holds strings, numbers, booleans, dates, times, lists and tables"


def kind(value: object) -> str:
    """What `value` is, in the words of a policy's author. Never the value: it may be a secret."""
    for types, name in _KINDS:
        if isinstance(value, types):
            return name
    return f"a Python {type(value).__name__}"


def checked(mapping: Mapping[Any, Any], complain: Complain) -> dict[str, Any]:
    """A deep copy of `mapping` in dicts and lists; complains of all that no policy may hold."""
    return _Copy(complain).table((), mapping)


class _Copy:
    """One walk over a document: it copies, and complains at the path of what is no policy's."""

    __slots__ = ("_complain", "_open")

    def __init__(self, complain: Complain) -> None:
        self._complain = complain
        self._open: set[int] = set()  # the containers around the value: one met again is a cycle

    def table(self, path: KeyPath, mapping: Mapping[Any, Any]) -> dict[str, Any]:
        copy: dict[str, Any] = {}
        if self._enter(path, mapping):
            for key, value in mapping.items():
                if not isinstance(key, str):
                    what = f"a key of {_name(path)} is {kind(key)}"
                    self._complain(path, what, "keys are strings: write it in quotes")
                    continue
                # A subclass (an enum member) could compare as it likes: keep the plain text.
                name = str.__str__(key)
                self._text((*path, name), name)
                copy[name] = self._value((*path, name), value)
            self._open.discard(id(mapping))
        return copy

    def _items(self, path: KeyPath, items: list[Any] | tuple[Any, ...]) -> list[Any]:
        copy: list[Any] = []
        if self._enter(path, items):
            copy += [self._value((*path, index), item) for index, item in enumerate(items)]
            self._open.discard(id(items))
        return copy

    def _value(self, path: KeyPath, value: Any) -> Any:
        """The copy of one value; None for a refused one, which nobody will see."""
        match value:
            case str():
                return self._text(path, value)
            case bool() | date() | time():  # a datetime is a date
                return value
            case int():
                if -INTEGER_BEYOND <= value < INTEGER_BEYOND:
                    return int(value)
                self._complain(
                    path, f"{_name(path)} does not fit into 64 bits", "write a smaller number"
                )
            case float():
                if math.isfinite(value):
                    return float(value)
                self._complain(
                    path, f"{_name(path)} is not a finite number", "write a number, or leave it out"
                )
            case list() | tuple():
                return self._items(path, cast("list[Any]", value))
            case Mapping():
                return self.table(path, cast("Mapping[Any, Any]", value))
            case None:
                self._complain(path, f"{_name(path)} is null", "leave it out")
            case _:
                self._complain(path, f"{_name(path)} is {kind(value)}", _ALLOWED)
        return None

    def _text(self, path: KeyPath, text: str) -> str:
        try:
            text.encode()
        except UnicodeEncodeError:
            self._complain(
                path, f"{_name(path)} holds half of a surrogate pair", "write whole characters"
            )
        return str.__str__(text)

    def _enter(self, path: KeyPath, container: object) -> bool:
        if id(container) in self._open:
            self._complain(path, f"{_name(path)} contains itself", "write out what it should hold")
            return False
        if len(path) >= MAX_DEPTH:
            what = f"{_name(path[:4])} is nested deeper than {MAX_DEPTH}"
            self._complain(path[:4], what, "take some of the lists and tables away")
            return False
        self._open.add(id(container))
        return True


def _name(path: KeyPath) -> str:
    return f"`{dotted(path)}`" if path else "the top level"
