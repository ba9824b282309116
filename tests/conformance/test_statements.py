"""Every statement of the standards is held by a test that names it, or given up with a reason."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "conformance.md"

ID = re.compile(r"\b([A-Z])(\d\d)(?:-(?:\1)?(\d\d))?\b")
# At the start of a case's name: `"S03 H02 two algs": ...`, `id="K07 the same kid"`.
LEADING = re.compile(r"(?:[A-Z]\d\d,? )+")


def statements() -> dict[str, str]:
    groups = tomllib.loads((TESTS / "conformance" / "statements.toml").read_text())
    return {id: text for group in groups.values() for id, text in group.items()}


def ids(text: str) -> Iterator[str]:
    """The ids in `text`; a range such as J02-J04 is all of its members."""
    for letter, first, last in ID.findall(text):
        for number in range(int(first), int(last or first) + 1):
            yield f"{letter}{number:02}"


def named(source: str) -> Iterator[str]:
    """The ids that the tests of a module name, in a docstring or at the start of a case's name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if node.name.lower().startswith("test"):
                yield from ids(ast.get_docstring(node) or "")
                for letter, number in re.findall(r"_([a-z])(\d\d)(?=_)", node.name):
                    yield letter.upper() + number
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            leading = LEADING.match(node.value)
            yield from ids(leading[0] if leading else "")


def claimed() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for module in sorted(TESTS.rglob("test_*.py")):
        for id in set(named(module.read_text("utf-8"))):
            found.setdefault(id, []).append(module.relative_to(TESTS).as_posix())
    return found


def given_up() -> dict[str, str]:
    """The reasons on the page, by id."""
    text = PAGE.read_text("utf-8")
    section = text.split("\n## Statements without a test\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| ([A-Z]\d\d(?:, [A-Z]\d\d)*) \| (.+) \| (.+) \|$", section, re.MULTILINE)
    return {id: reason for listed, _, reason in rows for id in listed.split(", ")}


def test_every_statement_is_held_or_given_up() -> None:
    assert statements().keys() - claimed().keys() - given_up().keys() == set()


def test_no_test_names_a_statement_that_is_not_there() -> None:
    """A slip of the pen would look like a statement that is held."""
    letters = {id[0] for id in statements()}
    unknown = {id: where for id, where in claimed().items() if id[0] in letters}
    assert {id: unknown[id] for id in unknown.keys() - statements().keys()} == {}


def test_nothing_is_given_up_that_is_not_there_or_is_held() -> None:
    assert given_up().keys() - statements().keys() == set()
    assert given_up().keys() & claimed().keys() == set()
