"""One file of a policy, or the mapping that stands for it: its values, and where they stand."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from authz_middleware.document import environment, inside, json_text, toml_text
from authz_middleware.document.files import Files
from authz_middleware.document.parsed import Parsed, Refused
from authz_middleware.document.paths import KeyPath, Lines, Position, dotted, quoted
from authz_middleware.document.values import checked, kind
from authz_middleware.errors import PolicyError, Problem

__all__ = ["MAX_BYTES", "Part", "Unread", "source_of"]

MAX_BYTES = 8 * 1024 * 1024
"""Largest policy file. Real ones are a few kilobytes; this stops a wrong path early."""


SCHEMA = "$schema"
"""The key by which a JSON file names its schema."""


class Unread(Exception):
    """A file that could not even be read: what is wrong with it, and what to do."""

    def __init__(self, what: str, fix: str) -> None:
        self.what, self.fix = what, fix
        super().__init__(what)


def _yaml(text: str) -> Parsed:
    try:
        from authz_middleware.document import yaml_text  # noqa: PLC0415 - needs an extra
    except ModuleNotFoundError:
        raise Refused(
            None,
            "reading YAML needs PyYAML, which is not installed",
            'run `pip install "authz-middleware[yaml]"`, or write the policy in TOML',
        ) from None
    return yaml_text.parse(text)


_PARSERS: Mapping[str, Callable[[str], Parsed]] = {
    ".toml": toml_text.parse,
    ".json": json_text.parse,
    ".yaml": _yaml,
    ".yml": _yaml,
}


@dataclass(frozen=True, slots=True)
class Part:
    """The values of one file (dicts, lists and TOML's scalars) and where they stand.

    `source` is the file as the user named it, or `<mapping>`. `directory` is what relative files
    in it are resolved against. References to the environment (`${NAME}`) are replaced.
    """

    root: Mapping[str, Any] = field(repr=False)
    source: str
    directory: Path
    positions: Mapping[KeyPath, Position] = field(repr=False)
    suffix: str = ""  # ".toml", ".json", ".yaml", ".yml"; "" for a mapping
    text: str = field(default="", repr=False)
    texts: Mapping[KeyPath, int] = field(default_factory=dict[KeyPath, int], repr=False)
    file: Path | None = None  # as it was named; None for a mapping

    @classmethod
    def read(cls, file: Path, files: Files) -> Part:
        """Read one file, and note it. Raises Unread, or PolicyError with every mistake in it."""
        files.note(file)
        source = source_of(file)
        suffix = file.suffix.lower()
        parse = _PARSERS.get(suffix)
        if parse is None:
            raise Unread(
                "a policy file is TOML, JSON or YAML", "name it .toml, .json, .yaml or .yml"
            )
        try:
            text = _text(file)
            parsed = parse(text)
            if suffix == ".json":
                parsed = _without_schema(parsed)
        except Refused as refused:
            raise PolicyError([refused.problem(source)]) from None
        part = cls._checked(
            parsed.root, source, file.absolute().parent, parsed.positions, suffix, parsed.problems
        )
        return replace(part, text=text, texts=parsed.texts, file=file)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Part:
        """Take a mapping of the same shape, deep-copied. Raises PolicyError."""
        if not isinstance(mapping, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise PolicyError([_no_mapping(kind(mapping))])
        return cls._checked(mapping, "<mapping>", Path.cwd(), {}, "", ())

    @classmethod
    def _checked(
        cls,
        root: Mapping[Any, Any],
        source: str,
        directory: Path,
        positions: Mapping[KeyPath, Position],
        suffix: str,
        refusals: tuple[Refused, ...],
    ) -> Part:
        # Sorted by place in the end; problems of the same place keep the order of their finding.
        found: dict[Problem, Position] = {}
        bare = cls({}, source, directory, positions, suffix)
        for refused in refusals:
            found[refused.problem(source)] = refused.position or (0, 0)

        def complain(path: KeyPath, what: str, fix: str) -> None:
            found[Problem(bare.where(path), what, fix)] = bare.position(path) or (0, 0)

        copy = checked(root, complain)
        if not found:
            copy, positions = environment.expanded(copy, positions, os.environ, complain)
        if found:
            raise PolicyError(sorted(found, key=found.__getitem__))
        return cls(copy, source, directory, positions, suffix)

    def position(self, path: KeyPath) -> Position | None:
        """Line and column of the key at `path`, or of the nearest table around it."""
        for length in range(len(path), 0, -1):
            if (known := self.positions.get(path[:length])) is not None:
                return known
        return None

    def inside(self, path: KeyPath, value: str, index: int) -> Position | None:
        """Line and column of one character of the string at `path`, else of its key.

        `value` is that string, and `index` may be its length.
        """
        start = self.texts.get(path)
        if start is not None:
            offsets = inside.characters(self.text, start, self.suffix, value)
            if offsets is not None:
                return Lines(self.text).at(offsets[index])
        return self.position(path)

    def where(self, path: KeyPath) -> str:
        """The place of `path` for people: `authz.toml:12:1`, or the dotted path in a mapping."""
        return self.called(path, self.position(path))

    def called(self, path: KeyPath, position: Position | None) -> str:
        """What people are told of a place: `position` in a file, `path` in a mapping."""
        if not self.suffix:
            return dotted(path)
        return ":".join(map(str, (self.source, *(position or ()))))

    def example(self, name: str, value: Any) -> str:
        """How this file would write `value` (strings, numbers, booleans, lists) at `name`."""
        literal = json.dumps(value, ensure_ascii=False) if self.suffix else repr(value)
        return self.written(name, literal)

    def written(self, name: str, literal: str) -> str:
        """How this file puts a value, already in its syntax, at `name`."""
        match self.suffix:
            case ".toml":
                return f"{quoted(name)} = {literal}"
            case ".json":
                return f"{json.dumps(name, ensure_ascii=False)}: {literal}"
            case ".yaml" | ".yml":
                return f"{quoted(name)}: {literal}"
            case _:
                return f"{name!r}: {literal}"


def _without_schema(parsed: Parsed) -> Parsed:
    """JSON has no comments: there `$schema` tells an editor where the schema of the file is."""
    if not isinstance(parsed.root.get(SCHEMA), str):
        return parsed
    return replace(
        parsed, root={name: each for name, each in parsed.root.items() if name != SCHEMA}
    )


def _no_mapping(kind: str) -> Problem:
    what = f"a policy is a mapping, not {kind}"
    return Problem("<mapping>", what, "give a dict, or the path of a file")


def source_of(file: Path) -> str:
    """The path as given; an absolute one below the working directory is shortened."""
    if file.is_absolute() and file.is_relative_to(Path.cwd()):
        return str(file.relative_to(Path.cwd()))
    return str(file)


def _text(file: Path) -> str:
    try:
        # Looked at before it is opened: to open a pipe would wait for its writer.
        mode = file.stat().st_mode
        if stat.S_ISDIR(mode):
            raise Unread("this is a directory", "give the policy file in it")
        if not stat.S_ISREG(mode):
            raise Unread("this is not a regular file", "give the path of a policy file")
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise Unread("there is no such file", f"it was looked for at {file.absolute()}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        what = f"the file cannot be read: {reason}"
        raise Unread(what, "check its path and permissions") from None
    if len(data) > MAX_BYTES:
        raise Unread(f"the file is larger than {MAX_BYTES} bytes", "give the path of a policy file")
    if not data.strip():
        raise Unread("the file is empty", "write a policy in it")
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        what = "the file starts with a byte order mark"
        raise Refused((1, 1), what, "save it as UTF-8 without one")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        raise Refused(
            Lines(before).at(len(before)), "the file is not UTF-8", "save it as UTF-8"
        ) from None
