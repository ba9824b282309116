"""TOML: every key and list item has its place, whatever way it is written."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.document import toml_text
from authz_middleware.document.parsed import Refused
from authz_middleware.document.paths import MAX_DEPTH, KeyPath, dotted


def paths(value, path: KeyPath = ()):
    """The path of every key and item below `value`."""
    members = value.items() if isinstance(value, dict) else enumerate(value)
    for step, member in members:
        yield (*path, step)
        if isinstance(member, (dict, list)):
            yield from paths(member, (*path, step))


@pytest.mark.parametrize(
    ("text", "path", "position"),
    [
        pytest.param("a = 1", ("a",), (1, 1), id="bare key"),
        pytest.param("# é\n  a=1", ("a",), (2, 3), id="after comment and indent"),
        pytest.param('"GET /é" = 1', ("GET /é",), (1, 1), id="quoted key"),
        pytest.param('"\\u0041\\"" = 1', ('A"',), (1, 1), id="escaped key"),
        pytest.param("'a\\b' = 1", ("a\\b",), (1, 1), id="literal key"),
        pytest.param('é = "x"'.replace("é", '"é"') + "\nb = 1", ("b",), (2, 1), id="characters"),
        pytest.param("a . b = 1", ("a", "b"), (1, 5), id="dotted key"),
        pytest.param("a.b = 1\na.c = 2", ("a",), (1, 1), id="dotted parent: the first one"),
        pytest.param("[ a ]\nb = 1", ("a",), (1, 3), id="table header"),
        pytest.param("[a.b]\n[a]", ("a",), (2, 2), id="own header after a child's"),
        pytest.param("[a]\n[a.b]\nc = 1", ("a", "b", "c"), (3, 1), id="child table"),
        pytest.param("[[a]]\n[[a]]\nb = 1", ("a",), (1, 3), id="array of tables: the first"),
        pytest.param("[[a]]\n[[a]]\nb = 1", ("a", 1), (2, 3), id="array of tables: an element"),
        pytest.param("[[a]]\n[[a]]\nb = 1", ("a", 1, "b"), (3, 1), id="key of an element"),
        pytest.param("[[a]]\n[a.b]\nc = 1", ("a", 0, "b", "c"), (3, 1), id="table of an element"),
        pytest.param("[[a]]\n[[a.b]]\n[[a.b]]", ("a", 0, "b", 1), (3, 5), id="nested arrays"),
        pytest.param("a = [\n 1, # ]\n\n 2,\n]", ("a", 1), (4, 2), id="multi-line list"),
        pytest.param("a = [[], [1]]", ("a", 1, 0), (1, 11), id="list in a list"),
        pytest.param("a = { b = 1, c.d = 2 }", ("a", "c", "d"), (1, 16), id="inline table"),
        pytest.param("a = {}\nb = 1", ("b",), (2, 1), id="empty inline table"),
        pytest.param('a = "#\\"]"\nb = 1', ("b",), (2, 1), id="after a basic string"),
        pytest.param("a = '\\'\nb = 1", ("b",), (2, 1), id="after a literal string"),
        pytest.param('a = """\nc = 1\n"""""\nb = 1', ("b",), (4, 1), id="after long string"),
        pytest.param('a = """\\""" """\nb = 1', ("b",), (2, 1), id="escaped quote in it"),
        pytest.param("a = '''\n'c'''''\nb = 1", ("b",), (3, 1), id="after long literal"),
        pytest.param('a = [""]\nb = 1', ("b",), (2, 1), id="after an empty string"),
        pytest.param("a = [1979-05-27 07:32:00, 1]", ("a", 1), (1, 27), id="date with a space"),
        pytest.param("a = 1979-05-27 # 0\nb = 07:32:00", ("b",), (2, 1), id="date and comment"),
        pytest.param("a = 1\r\nb = [\r\n1]\r\n", ("b", 0), (3, 1), id="CRLF"),
    ],
)
def test_a_key_has_the_place_where_it_is_written(text, path, position):
    found = toml_text.parse(text)
    assert found.positions[path] == position
    assert set(found.positions) == set(paths(found.root))


@pytest.mark.parametrize(
    ("text", "position", "what"),
    [
        pytest.param("a = 1\nb == 2", (2, 4), "this is not TOML: Invalid value", id="in a line"),
        pytest.param("a =", (1, 4), "this is not TOML: Invalid value at the end", id="at the end"),
        pytest.param("a = 1\nb = x\na = 2", (2, 5), "Invalid value", id="before a repeated key"),
        pytest.param("a = 1\na.b = 2", (2, 8), "Cannot overwrite a value", id="key below a value"),
        pytest.param("a = " + "9" * 5000, (1, 1), "64 bits", id="more digits than int() takes"),
        pytest.param("a = " + "[" * 5000 + "]" * 5000, (1, 1), "nested deeper", id="deep"),
    ],
)
def test_what_tomllib_refuses_is_told_with_its_place(text, position, what):
    with pytest.raises(Refused) as refused:
        toml_text.parse(text)
    assert refused.value.position == position
    assert what in refused.value.what


@pytest.mark.parametrize(
    ("text", "position", "what"),
    [
        pytest.param("a = 1\na = 2", (2, 1), "`a` stands twice in the top level", id="key"),
        pytest.param("a = 1\r\n'a' = 2", (2, 1), "`a` stands twice in the top", id="quoted"),
        pytest.param("a.b = 1\na . b = 2", (2, 5), "`b` stands twice in `a`", id="dotted"),
        pytest.param(
            '[r]\n"GET /" = []\nb = []\n"GET /" = [1,\n2]',
            (4, 1),
            '`"GET /"` stands twice in `r`',
            id="in a table",
        ),
        pytest.param("[[a]]\nb=1\n[[a]]\nb=1\nb=2", (5, 1), "twice in `a[1]`", id="in an element"),
        pytest.param("a = { b = 1, b = 2 }", (1, 14), "twice in `a`", id="in an inline table"),
        pytest.param("[a]\n[b]\n[a]", (3, 2), "`a` stands twice in the top level", id="table"),
        pytest.param("a = 1\n[a]\n", (2, 2), "`a` stands twice in the top", id="key and table"),
        pytest.param("a = 1\na = 2\nb = 1\nb = 2", (2, 1), "`a` stands", id="the first of two"),
        pytest.param("a = 1\na = ", (2, 1), "`a` stands twice", id="and without a value"),
    ],
)
def test_a_repeated_key_is_named_at_its_second_place(text, position, what):
    with pytest.raises(Refused) as refused:
        toml_text.parse(text)
    assert refused.value.position == position
    assert what in refused.value.what
    assert refused.value.fix == "keep one of them"


def test_an_error_without_a_place_is_told_at_the_start(monkeypatch):
    class Odd(tomllib.TOMLDecodeError):
        def __init__(self):
            ValueError.__init__(self, "odd")

    def refuse(text):
        raise Odd

    monkeypatch.setattr(tomllib, "loads", refuse)
    with pytest.raises(Refused, match="this is not TOML: odd") as refused:
        toml_text.parse("a = 1")
    assert refused.value.position == (1, 1)


@pytest.mark.parametrize(
    "after",
    [
        pytest.param("?", id="no key"),
        pytest.param("b 1", id="no equals sign"),
        pytest.param("b =", id="no value"),
        pytest.param("b = [1", id="open list"),
        pytest.param("b = {c = 1", id="open table"),
        pytest.param("[b", id="open header"),
        pytest.param("[[b]", id="open array header"),
        pytest.param('"\\q" = 1', id="unknown escape"),
        pytest.param('"', id="open key"),
        pytest.param('b = "', id="open string"),
        pytest.param("b = " + "[" * 5000, id="deep"),
        pytest.param(".".join("b" * 5000) + " = 1", id="long dotted key"),
    ],
)
def test_the_scanner_stops_at_what_it_does_not_know(after):
    assert toml_text.positions(f"a = 1\n{after}")[("a",)] == (1, 1)


@given(st.text(alphabet=st.sampled_from("ab.=[]{},\"'\\#\n\r 1-:é") | st.characters()))
def test_the_scanner_never_fails(text):
    toml_text.positions(text)


names = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
scalars = st.integers(-9, 9) | st.booleans() | names | st.dates()
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


class Writer:
    """Writes a mapping as TOML, choosing among the ways to write each part."""

    def __init__(self, data) -> None:
        self.data = data
        self.out: list[str] = []

    def pick(self, *ways):
        return self.data.draw(st.sampled_from(ways))

    def gap(self) -> str:
        return self.pick("", "\n", "# c ] } \" '\n", "  ")

    def string(self, text: str) -> str:
        escaped = "".join(f"\\U{ord(c):08x}" if c < " " or c in '"\\\x7f' else c for c in text)
        ways = [f'"{escaped}"']
        if text.isprintable() and "'" not in text:
            ways.append(f"'{text}'")
        return self.pick(*ways)

    def key(self, name: str) -> str:
        bare = name.isascii() and name.isalnum()
        return self.pick(name, self.string(name)) if bare else self.string(name)

    def value(self, value) -> str:
        match value:
            case bool():
                return str(value).lower()
            case str():
                body = self.string(value)
                return self.pick(body, f'""{body}""' if body[0] == '"' and value else body)
            case list():
                items = (f"{self.gap()}{self.value(item)}{self.gap()}," for item in value)
                return f"[{''.join(items)}{self.gap()}]"
            case dict():
                pairs = (f" {self.key(k)} = {self.value(v)} " for k, v in value.items())
                return "{" + ",".join(pairs) + "}"
            case _:
                return str(value)

    def table(self, table, path: tuple[str, ...] = ()) -> None:
        later = []
        for name, value in table.items():
            tables = isinstance(value, list) and value and all(type(v) is dict for v in value)
            if isinstance(value, dict) and self.pick(True, False):
                later.append((name, [value], "[", "]"))
            elif tables and self.pick(True, False):
                later.append((name, value, "[[", "]]"))
            elif isinstance(value, dict) and value and self.pick(True, False):
                first = self.key(name)
                for inner, member in value.items():
                    self.out.append(f"{first} . {self.key(inner)} = {self.value(member)}\n")
            else:
                self.out.append(f"{self.gap()}{self.key(name)} = {self.value(value)} # c\n")
        for name, tables, start, end in later:
            for element in tables:
                header = ".".join(self.key(step) for step in (*path, name))
                self.out.append(f"{start} {header} {end}\n")
                self.table(element, (*path, name))


@given(st.dictionaries(names, values, max_size=4), st.data())
def test_every_recorded_place_holds_its_key(mapping, data):
    writer = Writer(data)
    writer.table(mapping)
    text = "".join(writer.out)
    parsed = toml_text.parse(text)
    assert toml_text._repeated(text) is None
    assert parsed.root == mapping
    assert set(parsed.positions) == set(paths(mapping))
    rows = text.split("\n")
    for path, (line, column) in parsed.positions.items():
        here = "\n".join((rows[line - 1][column - 1 :], *rows[line:]))
        key = path[-1]
        if isinstance(key, str):
            assert here.startswith((key, '"', "'")), dotted(path)
            spelled = toml_text._KEY.match(here)
            assert spelled is not None
            assert toml_text._plain(spelled[0]) == key


def test_depth_is_bounded_before_the_stack_is():
    text = "a = " + "[" * (MAX_DEPTH * 2) + "]" * (MAX_DEPTH * 2)
    assert ("a", 0, 0) in toml_text.parse(text).positions
