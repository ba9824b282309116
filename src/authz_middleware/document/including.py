"""`include`: a policy in several files, united so that no order and no file wins over another.

What is named in a table (`[routes]`, `[roles]`, …) and what stands in a list of tables
(`[[issuers]]`, `[[tests]]`) may come from any file; the same name in two files is a mistake. All
else stands in the policy file itself: whoever reads that file has read it all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from glob import glob
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from authz_middleware.document.files import Files
from authz_middleware.document.part import Part, Unread
from authz_middleware.document.paths import KeyPath, dotted, quoted
from authz_middleware.document.values import kind
from authz_middleware.errors import PolicyError, Problem

__all__ = ["INCLUDE", "MAX_FILES", "Origin", "United", "united"]

INCLUDE: Final = "include"

MAX_FILES: Final = 500
"""Files of one policy. Whoever has more has named a directory of something else."""

_MAGIC = re.compile(r"[*?\[]")


class Origin(NamedTuple):
    """Which of the files a value comes from, and its path there."""

    part: int
    path: KeyPath


class United(NamedTuple):
    """Several files as one policy.

    `origins` tells of each name or item of a table that is not from the first file where it is
    from.
    """

    root: Mapping[str, Any]
    parts: tuple[Part, ...]
    origins: Mapping[KeyPath, Origin]


def united(main: Part, files: Files) -> United:
    """Read what `main` includes. Raises PolicyError with every mistake of every file.

    What is looked at is noted in `files`: also the directories in which a pattern looks for some.
    """
    union = _Union(main, files)
    if union.problems:
        raise PolicyError(tuple(union.problems))
    return United(union.root, tuple(union.parts), union.origins)


class _Union:
    """One reading of a policy file and of all that it includes."""

    def __init__(self, main: Part, files: Files) -> None:
        self._noted = files
        self.root: dict[str, Any] = {}
        self.parts: list[Part] = []
        self.origins: dict[KeyPath, Origin] = {}
        self.problems: dict[Problem, None] = {}  # as a set that keeps its order: file after file
        self._files = 1  # also those that could not be read
        self._included: dict[str, str] = {}  # the real path of a file -> where it was included
        self._open: list[tuple[str, str]] = []  # the real paths and names of the files around it
        self._read(main)

    def _read(self, part: Part) -> None:
        index = len(self.parts)
        self.parts.append(part)
        for name, value in part.root.items():
            if name != INCLUDE:
                self._unite(index, name, value)
        # A mapping has no path of its own, and nobody can include it.
        self._open.append((os.path.realpath(part.file) if part.file else "", part.source))
        for path, file in self._named(index):
            self._include(index, path, file)
        self._open.pop()

    # Values

    def _unite(self, index: int, name: str, value: Any) -> None:
        at = (name,)
        if index == 0:
            self.root[name] = _copied(value)
            return
        if not _is_table(value) and not _is_tables(value):
            what = f"`{quoted(name)}` is {kind(value)}: an included file holds nothing but tables"
            self._error(index, at, what, f"write it in {self._main}, without an `include`")
            return
        if name not in self.root:
            self.root[name] = {} if _is_table(value) else []
            self.origins[at] = Origin(index, at)
        known = self.root[name]
        if _is_table(value) and _is_table(known):
            for key, each in value.items():
                if key in known:
                    what = f"`{dotted((name, key))}` stands at {self._where((name, key))} too"
                    self._error(index, (name, key), what, "keep one of the two")
                else:
                    known[key] = each
                    self.origins[name, key] = Origin(index, (name, key))
        elif _is_tables(value) and _is_tables(known):
            for number, each in enumerate(value):
                self.origins[name, len(known)] = Origin(index, (name, number))
                known.append(each)
        else:
            self._error(
                index,
                at,
                f"`{quoted(name)}` is {kind(value)} here, and {kind(known)} at {self._where(at)}",
                f"write it as it stands in {self._main}"
                if at not in self.origins
                else "write both in one way",
            )

    @property
    def _main(self) -> str:
        main = self.parts[0]
        return main.source if main.file else "the mapping"

    def _where(self, path: KeyPath) -> str:
        """Where what is united already stands."""
        index, there = self.origins.get(path, Origin(0, path))
        return self.parts[index].where(there)

    # Files

    def _named(self, index: int) -> Iterator[tuple[KeyPath, Path]]:
        """Each file that the part's `include` names, with the place of its entry."""
        part = self.parts[index]
        value = part.root.get(INCLUDE, [])
        if not isinstance(value, list):
            shown = [value] if isinstance(value, str) and value else ["roles.toml"]
            fix = f"write `{part.example(INCLUDE, shown)}`"
            self._error(
                index, (INCLUDE,), f"`include` must be a list of strings, not {kind(value)}", fix
            )
            return
        for number, pattern in enumerate(cast("list[object]", value)):
            path = (INCLUDE, number)
            if not isinstance(pattern, str) or not pattern:
                what = f"`include[{number}]` is {kind(pattern) if pattern else 'empty'}"
                self._error(index, path, what, 'name a file: "roles.toml", "routes/*.toml"')
                continue
            for file in self._found(index, path, pattern):
                yield path, file

    def _found(self, index: int, path: KeyPath, pattern: str) -> list[Path]:
        """The files that one entry names."""
        part = self.parts[index]
        base = part.file.parent if part.file else Path()
        if "\0" in pattern:
            self._error(index, path, "this is not a file name", "write it without the NUL")
            return []
        if not _MAGIC.search(pattern):
            files = [base / pattern]
        elif "**" in pattern:
            what = "`**` is not a pattern here: it would take in whatever lies below"
            self._error(index, path, what, 'write one pattern for each directory: "routes/*.toml"')
            return []
        else:
            directory = base / _fixed(pattern)
            self._noted.note(directory)
            # As in a shell, `*` leaves out what begins with a dot: what editors leave behind.
            # (Path.glob does not.)
            files = [base / each for each in sorted(glob(pattern, root_dir=base))]  # noqa: PTH207
            if not files:
                what = f"`{pattern}` matches no file in {directory.absolute()}"
                self._error(index, path, what, "put a file there, or leave it out")
        files = [Path(os.path.normpath(file)) for file in files]
        return [file for file in files if self._stays(index, path, file, pattern)]

    def _stays(self, index: int, path: KeyPath, file: Path, pattern: str) -> bool:
        """Whether the file is where the text of the policy says: no link leads elsewhere."""
        base = os.path.realpath(self.parts[index].directory)
        named = os.path.normpath(Path(base) / _fixed(pattern))
        real = Path(os.path.realpath(file))
        if real.is_relative_to(base) or real.is_relative_to(named):
            return True
        what = f"{file} is a symbolic link that leads out of its directory, to {real}"
        self._error(index, path, what, "write the path that it leads to, if that is what you mean")
        return False

    def _include(self, index: int, path: KeyPath, file: Path) -> None:
        real = os.path.realpath(file)
        around = [each for each, _ in self._open]
        if real in around:
            chain = [source for _, source in self._open[around.index(real) :]]
            what = f"files include each other in a circle: {' -> '.join([*chain, chain[0]])}"
            self._error(index, path, what, "a file leaves out itself, and those that include it")
            return
        if real in self._included:
            what = f"{file} is included twice: {self._included[real]} names it too"
            self._error(index, path, what, "name it once")
            return
        if self._files >= MAX_FILES:
            what = f"these would be more than {MAX_FILES} files"
            self._error(index, path, what, "name only policy files")
            return
        self._files += 1
        self._included[real] = self.parts[index].where(path)
        try:
            part = Part.read(file, self._noted)
        except Unread as unread:
            self._error(index, path, f"{file}: {unread.what}", unread.fix)
        except PolicyError as error:
            self.problems.update(dict.fromkeys(error.problems))
        else:
            self._read(part)

    def _error(self, index: int, path: KeyPath, what: str, fix: str) -> None:
        self.problems[Problem(self.parts[index].where(path), what, fix)] = None


def _fixed(pattern: str) -> Path:
    """The directory that a pattern names without any doubt."""
    fixed: list[str] = []
    for step in Path(pattern).parts[:-1]:
        if _MAGIC.search(step):
            break
        fixed.append(step)
    return Path(*fixed)


def _copied(value: Any) -> Any:
    """A container of its own, to which the tables of other files can be added."""
    if isinstance(value, dict):
        return dict(cast("dict[str, Any]", value))
    return list(cast("list[Any]", value)) if isinstance(value, list) else value


def _is_table(value: object) -> bool:
    return isinstance(value, dict)


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_table, cast("list[object]", value)))
