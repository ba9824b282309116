"""Typed readers over a document that collect every problem instead of stopping at the first."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final, cast, overload

from authz_middleware.document.paths import KeyPath, dotted, quoted
from authz_middleware.document.reading import Document, Place
from authz_middleware.document.values import kind
from authz_middleware.errors import PolicyError, Problem

__all__ = ["Report", "Section"]


class Report:
    """The problems found in one document so far."""

    __slots__ = ("_found", "document")

    def __init__(self, document: Document) -> None:
        self.document: Final = document
        self._found: dict[Problem, Place] = {}  # as a set that keeps its order

    def error(self, path: KeyPath, what: str, fix: str) -> None:
        """Note a problem at `path`. The same problem twice counts once."""
        self._add(path, self.document.place(path), what, fix)

    def error_inside(self, path: KeyPath, value: str, index: int, what: str, fix: str) -> None:
        """Note a problem at one character of the string at `path`, which is `value`."""
        place = self.document.inside(path, value, index)
        if place == self.document.place(path):  # not known better than that
            what = f"{what} (character {index + 1} of `{dotted(path[-1:])}`)"
        self._add(path, place, what, fix)

    def _add(self, path: KeyPath, place: Place, what: str, fix: str) -> None:
        # What has no place in the text, since it is missing there, is told at its start, and first.
        told = place if place.line else Place(place.part, 1, 1)
        self._found.setdefault(Problem(self.document.called(path, told), what, fix), place)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All problems in the order of the text; in the order of their finding for a mapping."""
        return tuple(sorted(self._found, key=self._found.__getitem__))

    def raise_if_any(self) -> None:
        """Raise PolicyError with all problems, if there is one."""
        if self._found:
            raise PolicyError(self.problems)


class Section:
    """One table of a document. A value of the wrong type is reported and reads as the default."""

    __slots__ = ("document", "mapping", "path", "report")

    def __init__(
        self, document: Document, report: Report, path: KeyPath, mapping: Mapping[str, Any]
    ) -> None:
        self.document: Final = document
        self.report: Final = report
        self.path: Final = path
        self.mapping: Final = mapping

    @classmethod
    def top(cls, report: Report) -> Section:
        """The top level of the report's document."""
        return cls(report.document, report, (), report.document.root)

    @property
    def title(self) -> str:
        """What messages call this table."""
        return f"`{dotted(self.path)}`" if self.path else "the top level"

    def __contains__(self, name: str) -> bool:
        return name in self.mapping

    def __iter__(self) -> Iterator[str]:
        return iter(self.mapping)

    def where(self, name: str | None = None) -> str:
        """The place of a key, or of the table itself."""
        return self.document.where(self._at(name))

    def error(self, name: str | None, what: str, fix: str) -> None:
        """Report a problem at a key, or at the table itself."""
        self.report.error(self._at(name), what, fix)

    def error_inside(self, name: str, value: str, index: int, what: str, fix: str) -> None:
        """Report a problem at one character of the string under a key, which is `value`."""
        self.report.error_inside(self._at(name), value, index, what, fix)

    def raw(self, name: str) -> Any:
        """The value as it stands, or None."""
        return self.mapping.get(name)

    @overload
    def text(self, name: str, default: str, *, example: str = ...) -> str: ...
    @overload
    def text(self, name: str, default: None = None, *, example: str = ...) -> str | None: ...
    def text(self, name: str, default: str | None = None, *, example: str = "…") -> str | None:
        """A string that is not empty."""
        value = self.mapping.get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            self._wrong(name, "a string", example)
            return default
        if not value:
            self.error(name, f"`{quoted(name)}` is empty", self._write(name, example))
            return default
        return value

    def texts(
        self,
        name: str,
        *,
        one_or_many: bool = False,
        allow_empty: bool = False,
        example: tuple[str, ...] = ("…",),
    ) -> tuple[str, ...] | None:
        """A list of strings; None if there is none. A repeated or an empty string is reported.

        `one_or_many` also takes one string alone; `allow_empty` lets an empty string stand.
        """
        value = self.mapping.get(name)
        if value is None:
            return None
        if one_or_many and isinstance(value, str):
            value = [value]
            single = True
        elif isinstance(value, list):
            single = False
        else:
            wanted = "a string or a list of strings" if one_or_many else "a list of strings"
            # One string where a list belongs is the common slip: show it the way out.
            shown = [value] if isinstance(value, str) and value else list(example)
            self._wrong(name, wanted, shown)
            return None
        place = (*self.path, name)
        return self.strings(
            (
                (place, f"`{quoted(name)}`", item)
                if single
                else ((*place, index), f"`{quoted(name)}[{index}]`", item)
                for index, item in enumerate(cast("list[Any]", value))
            ),
            allow_empty=allow_empty,
        )

    def strings(
        self, items: Iterable[tuple[KeyPath, str, Any]], *, allow_empty: bool = False
    ) -> tuple[str, ...]:
        """Read strings, each with its place and what messages call it, as `texts` does."""
        seen: dict[str, None] = {}
        for path, called, item in items:
            if not isinstance(item, str):
                self.report.error(
                    path, f"{called} must be a string, not {kind(item)}", "write it in quotes"
                )
            elif not item and not allow_empty:
                self.report.error(path, f"{called} is an empty string", "leave it out")
            elif item in seen:
                self.report.error(path, f'{called} repeats "{item}"', "leave one of them out")
            else:
                seen[item] = None
        return tuple(seen)

    @overload
    def number(
        self, name: str, default: float, *, unit: str = ..., example: float | None = ...
    ) -> float: ...
    @overload
    def number(
        self, name: str, default: None = None, *, unit: str = ..., example: float | None = ...
    ) -> float | None: ...
    def number(
        self,
        name: str,
        default: float | None = None,
        *,
        unit: str = "",
        example: float | None = None,
    ) -> float | None:
        """An integer or a float (never a boolean). `unit` is for the message: "seconds"."""
        value = self.mapping.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            shown = example if example is not None else default
            self._wrong(name, f"a number of {unit}" if unit else "a number", shown or 30)
            return default
        return value

    def flag(self, name: str) -> bool:
        """A boolean that is false where it is not written."""
        value = self.mapping.get(name, False)
        if not isinstance(value, bool):
            self._wrong(name, "true or false", example=True)
            return True
        return value

    def table(self, name: str) -> Section | None:
        """A table, or None if there is none."""
        value = self.mapping.get(name)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            self._wrong(name, "a table", literal="{ … }")
            return None
        return self._below(name, cast("Mapping[str, Any]", value))

    def tables(self, name: str) -> list[Section]:
        """A list of tables; empty if there is none."""
        value = self.mapping.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            self._wrong(name, "a list of tables", literal="[{ … }]")
            return []
        found: list[Section] = []
        for index, item in enumerate(cast("list[Any]", value)):
            if isinstance(item, Mapping):
                found.append(self._below(name, cast("Mapping[str, Any]", item), index))
            else:
                self.report.error(
                    (*self.path, name, index),
                    f"`{quoted(name)}[{index}]` must be a table, not {kind(item)}",
                    f"write `[[{quoted(name)}]]` above its keys, or `{{ … }}` around them",
                )
        return found

    def only(
        self,
        known: Collection[str],
        planned: Collection[str] = (),
        *,
        misplaced: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        """Report every key that is not `known`; `planned` ones as not supported yet.

        Of a `misplaced` one is said what is wrong, and what to write instead.
        """
        for name in self.mapping:
            if name in known:
                continue
            if misplaced and name in misplaced:
                self.error(name, *misplaced[name])
                continue
            if name in planned:
                self.error(
                    name, f"`{quoted(name)}` is not supported in this version", "leave it out"
                )
                continue
            near = difflib.get_close_matches(name, sorted(known), n=1)
            if near:
                fix = f"did you mean `{near[0]}`?"
            else:
                fix = "known keys: " + ", ".join(f"`{quoted(key)}`" for key in sorted(known))
            self.error(name, f"`{quoted(name)}` is not a key of {self.title}", fix)

    def _at(self, name: str | None) -> KeyPath:
        return self.path if name is None else (*self.path, name)

    def _below(self, name: str, mapping: Mapping[str, Any], *index: int) -> Section:
        return Section(self.document, self.report, (*self.path, name, *index), mapping)

    def example(self, name: str, value: Any) -> str:
        """How the file of this table would write `value` at `name`."""
        return self.document.part(self._at(name)).example(name, value)

    def beside(self, file: str) -> str:
        """The path of a file that this table names: as it stands, or beside an included file."""
        directory = self.document.part(self.path).directory
        return file if directory == self.document.directory else str(directory / file)

    def _write(self, name: str, example: Any) -> str:
        return f"write `{self.example(name, example)}`"

    def _wrong(self, name: str, wanted: str, example: Any = None, *, literal: str = "") -> None:
        what = f"`{quoted(name)}` must be {wanted}, not {kind(self.mapping[name])}"
        if literal:
            self.error(
                name, what, f"write `{self.document.part(self._at(name)).written(name, literal)}`"
            )
        else:
            self.error(name, what, self._write(name, example))
