"""YAML: the plain part of it that reads the same everywhere, from PyYAML's safe event stream.

No object is ever constructed from a tag. Aliases, merge keys and tags are refused because a
reviewer would have to expand them by eye; words and numbers that YAML 1.1 and 1.2 read
differently (`no`, `012`, `1:30`) are refused because two readers would see two policies.
Imported only when a YAML file is read: PyYAML is optional.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from authz_middleware.document.parsed import Parsed, Refused, repeated
from authz_middleware.document.paths import MAX_DEPTH, KeyPath, Lines, Position, dotted

__all__ = ["parse"]

FIX = "write `key: value`, and put texts with `: `, `#` or a bracket in quotes"


def parse(text: str) -> Parsed:
    """The values of a YAML text and where they stand. Raises Refused."""
    lines = Lines(text)
    try:
        return _Reader(yaml.SafeLoader(text), lines).document()
    except yaml.reader.ReaderError as error:
        what = f"this is not YAML: {error.reason}"
        raise Refused(lines.at(error.position), what, "save it as UTF-8 text") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        position = (1, 1) if mark is None else lines.at(mark.index)
        what = f"this is not YAML: {error.problem or error.context}"
        raise Refused(position, what, FIX) from None
    except (ValueError, OverflowError):  # from int() and chr() on numbers without bounds
        what = "this is not YAML: a number is out of range"
        raise Refused((1, 1), what, "write a smaller one, or quotes around it") from None


_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)\.[0-9]+(?:[eE][-+]?[0-9]+)?")
# Numbers for YAML 1.2's core schema; some of them are strings for YAML 1.1 (`1e3`, `0o17`).
_NUMBER_1_2 = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|0o[0-7]+|0x[0-9a-fA-F]+"
)
_TAG = "tag:yaml.org,2002:"


class _Reader:
    __slots__ = ("_lines", "_loader", "positions", "problems", "texts")

    def __init__(self, loader: Any, lines: Lines) -> None:
        self.positions: dict[KeyPath, Position] = {}
        self.problems: list[Refused] = []
        self.texts: dict[KeyPath, int] = {}  # where each string begins
        self._loader = loader  # PyYAML's own annotations say little of it
        self._lines = lines

    def document(self) -> Parsed:
        self._loader.get_event()  # the start of the stream
        if isinstance(self._loader.peek_event(), yaml.StreamEndEvent):
            return Parsed({}, {})
        self._loader.get_event()  # the start of the document
        first = self._loader.get_event()
        if not isinstance(first, yaml.MappingStartEvent):
            raise Refused(self._place(first), "the top level must be a mapping", "write `key: …`")
        root = self._value((), first)
        self._loader.get_event()  # the end of the document
        after = self._loader.get_event()
        if not isinstance(after, yaml.StreamEndEvent):
            raise Refused(
                self._place(after),
                "a second document starts here",
                "keep one: a policy is one document",
            )
        return Parsed(root, self.positions, tuple(self.problems), self.texts)

    def _value(self, path: KeyPath, event: Any) -> Any:
        if len(path) > MAX_DEPTH:
            what = f"the lists and mappings are nested deeper than {MAX_DEPTH}"
            raise Refused(self._place(event), what, "take some of them away")
        if isinstance(event, yaml.AliasEvent):
            self._problem(event, f"`*{event.anchor}` is an alias", "write the value out")
            return ""
        self._plain(event)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path)
        return self._scalar(path, event)

    def _plain(self, event: Any) -> None:
        if event.anchor is not None:
            self._problem(event, f"`&{event.anchor}` is an anchor", "leave it out")
        if event.tag is not None:
            self._problem(event, f"`{event.tag}` is a tag", "leave it out")

    def _mapping(self, path: KeyPath) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        table = f"`{dotted(path)}`" if path else "the top level"
        while not isinstance(event := self._loader.get_event(), yaml.MappingEndEvent):
            name = self._name(event, table)
            at = (*path, name)
            if name in mapping:
                self.problems.append(repeated(self._place(event), at))
            else:
                self.positions[at] = self._place(event)
            value = self._value(at, self._loader.get_event())
            mapping.setdefault(name, value)
        return mapping

    def _name(self, event: Any, table: str) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            what = f"a key of {table} is not a string"
            raise Refused(self._place(event), what, "write a word, or a text in quotes")
        self._plain(event)
        resolved = self._resolved(event)
        if resolved == "merge":
            self._problem(event, "`<<` is a merge key", "write the merged keys out")
        elif resolved != "str":
            what = f"the key `{event.value}` is not a string in every YAML version"
            self._problem(event, what, f'write it in quotes: `"{event.value}"`')
        return str(event.value)

    def _sequence(self, path: KeyPath) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := self._loader.get_event(), yaml.SequenceEndEvent):
            at = (*path, len(items))
            self.positions[at] = self._place(event)
            items.append(self._value(at, event))
        return items

    def _resolved(self, event: Any) -> str:
        if event.implicit[0] and _NUMBER_1_2.fullmatch(event.value):
            return "int" if _INTEGER.fullmatch(event.value) else "float"
        tag: str = self._loader.resolve(yaml.ScalarNode, event.value, event.implicit)
        return tag.removeprefix(_TAG)

    def _scalar(self, path: KeyPath, event: Any) -> Any:
        text: str = event.value
        match self._resolved(event):
            case "str":
                self.texts[path] = event.start_mark.index
                return text
            case "null":
                self._problem(event, f"`{dotted(path)}` is null", "leave the key out")
                return ""
            case "bool" if text in ("true", "false"):
                return text == "true"
            case "int" if _INTEGER.fullmatch(text):
                return int(text)
            case "float" if _FLOAT.fullmatch(text):
                return float(text)
            case "timestamp":
                node = yaml.ScalarNode(f"{_TAG}timestamp", text)
                try:
                    return self._loader.construct_yaml_timestamp(node)
                except ValueError as error:
                    self._problem(
                        event, f"`{dotted(path)}` is no date: {error}", "write it in quotes"
                    )
                    return ""
            case _:
                what = f"`{dotted(path)}` does not mean the same in every YAML version"
                fix = "write it in quotes; or, for a boolean, true or false"
                self._problem(event, what, fix)
                return ""

    def _problem(self, event: Any, what: str, fix: str) -> None:
        self.problems.append(Refused(self._place(event), what, fix))

    def _place(self, event: Any) -> Position:
        return self._lines.at(event.start_mark.index)
