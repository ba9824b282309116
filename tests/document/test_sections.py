"""Typed readers: a wrong value is reported at its place and reads as the default."""

from __future__ import annotations

import pytest

from authz_middleware.document import Document, Report, Section
from authz_middleware.errors import PolicyError


def section(mapping) -> Section:
    return Section.top(Report(Document.from_mapping(mapping)))


def problems(of: Section) -> list[str]:
    return [str(problem) for problem in of.report.problems]


@pytest.fixture
def toml(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def read(text: str) -> Section:
        (tmp_path / "authz.toml").write_text(text)
        return Section.top(Report(Document.read("authz.toml")))

    return read


READERS = {
    "text": lambda s: s.text("k"),
    "text with default": lambda s: s.text("k", "d", example="e"),
    "texts": lambda s: s.texts("k"),
    "texts with example": lambda s: s.texts("k", example=("a", "b")),
    "texts that may be empty": lambda s: s.texts("k", allow_empty=True),
    "one or many": lambda s: s.texts("k", one_or_many=True),
    "number": lambda s: s.number("k"),
    "seconds": lambda s: s.number("k", 5, unit="seconds"),
    "number with example": lambda s: s.number("k", example=0.5),
    "table": lambda s: s.table("k"),
    "tables": lambda s: s.tables("k"),
    "raw": lambda s: s.raw("k"),
}


@pytest.mark.parametrize(
    ("reader", "value", "read"),
    [
        ("text", "x", "x"),
        ("texts", ["x", "y"], ("x", "y")),
        ("texts", [], ()),
        ("texts that may be empty", ["x", ""], ("x", "")),
        ("one or many", "x", ("x",)),
        ("one or many", ["x"], ("x",)),
        ("number", 0, 0),
        ("number", 1.5, 1.5),
        ("tables", [], []),
        ("raw", [1], [1]),
    ],
)
def test_a_right_value_is_read(reader, value, read):
    top = section({"k": value})
    assert READERS[reader](top) == read
    assert not problems(top)


@pytest.mark.parametrize(
    ("reader", "read"),
    [
        ("text", None),
        ("text with default", "d"),
        ("texts", None),
        ("number", None),
        ("seconds", 5),
        ("table", None),
        ("tables", []),
        ("raw", None),
    ],
)
def test_an_absent_value_reads_as_the_default(reader, read):
    top = section({})
    assert READERS[reader](top) == read
    assert not problems(top)


@pytest.mark.parametrize(
    ("reader", "value", "read", "problem"),
    [
        ("text", "1", None, '`k` must be a string, not a number; write `k = "…"`'),
        ("text with default", "[]", "d", '`k` must be a string, not a list; write `k = "e"`'),
        ("text", '""', None, '`k` is empty; write `k = "…"`'),
        (
            "texts",
            '"x"',
            None,
            '`k` must be a list of strings, not a string; write `k = ["x"]`',
        ),
        (
            "texts with example",
            "1",
            None,
            '`k` must be a list of strings, not a number; write `k = ["a", "b"]`',
        ),
        (
            "one or many",
            "{}",
            None,
            '`k` must be a string or a list of strings, not a table; write `k = ["…"]`',
        ),
        ("one or many", '""', (), "`k` is an empty string; leave it out"),
        ("seconds", '"x"', 5, "`k` must be a number of seconds, not a string; write `k = 5`"),
        ("number", "true", None, "`k` must be a number, not a boolean; write `k = 30`"),
        ("number with example", "[]", None, "`k` must be a number, not a list; write `k = 0.5`"),
        ("table", "1979-05-27", None, "`k` must be a table, not a date; write `k = { … }`"),
        ("tables", "{}", [], "`k` must be a list of tables, not a table; write `k = [{ … }]`"),
        ("tables", "07:32:00", [], "`k` must be a list of tables, not a time"),
        ("text", "1979-05-27T07:32:00", None, "`k` must be a string, not a date with a time"),
    ],
)
def test_a_wrong_value_is_reported_and_reads_as_the_default(toml, reader, value, read, problem):
    top = toml(f"# policy\nk = {value}")
    assert READERS[reader](top) == read
    (found,) = problems(top)
    assert found.startswith(f"authz.toml:2:1: {problem}")


def test_wrong_items_are_reported_each_at_its_place(toml):
    top = toml('k = [\n"a",\n1,\n"",\n"a"]')
    assert top.texts("k") == ("a",)
    assert problems(top) == [
        "authz.toml:3:1: `k[1]` must be a string, not a number; write it in quotes",
        "authz.toml:4:1: `k[2]` is an empty string; leave it out",
        'authz.toml:5:1: `k[3]` repeats "a"; leave one of them out',
    ]


def test_tables_are_sections_of_their_own(toml):
    top = toml("[[issuers]]\nissuer = 1\n[[issuers]]\n[issuers.claims]\nroles = 2")
    first, second = top.tables("issuers")
    assert (first.path, second.title) == (("issuers", 0), "`issuers[1]`")
    first.text("issuer")
    claims = second.table("claims")
    assert claims is not None
    assert "roles" in claims
    assert list(claims) == ["roles"]
    claims.text("roles")
    assert claims.where() == "authz.toml:4:10"
    assert claims.where("roles") == "authz.toml:5:1"
    assert [p.split(": ")[0] for p in problems(top)] == ["authz.toml:2:1", "authz.toml:5:1"]


def test_an_item_that_is_no_table_is_reported():
    top = section({"issuers": [{}, "x"]})
    assert [found.path for found in top.tables("issuers")] == [("issuers", 0)]
    (problem,) = problems(top)
    assert problem.startswith(
        "issuers[1]: `issuers[1]` must be a table, not a string; write `[[iss"
    )


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        pytest.param("roles", None, id="known"),
        pytest.param("when", "`when` is not supported in this version; leave it out", id="planned"),
        pytest.param("pdp", "it is asked elsewhere; write it there", id="misplaced"),
        pytest.param(
            "rolles",
            '`rolles` is not a key of `routes."GET /me"`; did you mean `roles`?',
            id="near",
        ),
        pytest.param(
            "x y",
            '`"x y"` is not a key of `routes."GET /me"`; known keys: `roles`, `scopes`',
            id="far",
        ),
    ],
)
def test_only_known_keys_are_let_through(name, problem):
    routes = section({"routes": {"GET /me": {name: 1}}}).table("routes")
    assert routes is not None
    rule = routes.table("GET /me")
    assert rule is not None
    misplaced = {"pdp": ("it is asked elsewhere", "write it there")}
    rule.only({"scopes", "roles"}, planned={"when"}, misplaced=misplaced)
    shown = '"x y"' if " " in name else name
    where = f'routes."GET /me".{shown}'
    assert problems(rule) == ([f"{where}: {problem}"] if problem else [])


def test_an_unknown_key_of_the_top_level_is_named_so():
    top = section({"rolls": 1})
    top.only({"roles"})
    assert problems(top) == ["rolls: `rolls` is not a key of the top level; did you mean `roles`?"]


def test_a_report_tells_each_problem_once_in_the_order_of_the_text(toml):
    top = toml("a = 1\nb = 2")
    top.report.raise_if_any()
    top.error("b", "second", "")
    top.error("a", "first", "write `a = 3`")
    top.error("b", "second", "")
    top.error(None, "of the whole", "")
    with pytest.raises(PolicyError) as raised:
        top.report.raise_if_any()
    assert str(raised.value).splitlines() == [
        "authz.toml:1:1: of the whole",
        "authz.toml:1:1: first; write `a = 3`",
        "authz.toml:2:1: second",
    ]


def test_problems_of_a_mapping_keep_the_order_of_their_finding():
    top = section({})
    top.error("b", "one", "")
    top.error("a", "two", "")
    assert problems(top) == ["b: one", "a: two"]
