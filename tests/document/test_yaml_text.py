"""YAML: the plain part is read with places; what two readers may take in two ways is refused."""

from __future__ import annotations

from datetime import date, datetime, timezone

import pytest

from authz_middleware.document import yaml_text
from authz_middleware.document.parsed import Refused


@pytest.mark.parametrize(
    ("text", "root"),
    [
        pytest.param("", {}, id="empty"),
        pytest.param("# nothing\n", {}, id="only a comment"),
        pytest.param("---\na: {}\n...\n", {"a": {}}, id="with markers"),
        pytest.param("a: [b, 'no', \"1\"]\n", {"a": ["b", "no", "1"]}, id="strings"),
        pytest.param("a: [true, false]", {"a": [True, False]}, id="booleans"),
        pytest.param("a: [0, -12, 1.5, 1.0e+3]", {"a": [0, -12, 1.5, 1000.0]}, id="numbers"),
        pytest.param("a: 2001-02-03", {"a": date(2001, 2, 3)}, id="date"),
        pytest.param(
            "a: 2001-02-03T04:05:06Z",
            {"a": datetime(2001, 2, 3, 4, 5, 6, tzinfo=timezone.utc)},  # noqa: UP017
            id="date and time",
        ),
        pytest.param("a: |\n  x\n  y\n", {"a": "x\ny\n"}, id="block text"),
        pytest.param("GET /me: [x]\n'1': y\n", {"GET /me": ["x"], "1": "y"}, id="keys"),
        pytest.param("a:\n- b:\n  - c\n", {"a": [{"b": ["c"]}]}, id="nested"),
    ],
)
def test_plain_yaml_is_read(text, root):
    parsed = yaml_text.parse(text)
    assert parsed.root == root
    assert not parsed.problems


@pytest.mark.parametrize(
    ("text", "path", "position"),
    [
        pytest.param("é: 1\nb: 1", ("b",), (2, 1), id="key"),
        pytest.param("a:\n  - é\n  - b: 1", ("a", 1, "b"), (3, 5), id="key in an item"),
        pytest.param("a: [é, x]", ("a", 1), (1, 8), id="item"),
        pytest.param("'a': {\"b\": c}", ("a", "b"), (1, 7), id="flow mapping"),
    ],
)
def test_a_key_has_the_place_where_it_is_written(text, path, position):
    assert yaml_text.parse(text).positions[path] == position


@pytest.mark.parametrize(
    ("text", "position", "what"),
    [
        pytest.param("a: 1\na: 2", (2, 1), "`a` stands twice in the top level", id="repeated"),
        pytest.param("x: {a: 1, a: 2}", (1, 11), "`a` stands twice in `x`", id="repeated below"),
        pytest.param("a: &b 1", (1, 4), "`&b` is an anchor", id="anchor"),
        pytest.param("a: &b {}\n", (1, 4), "`&b` is an anchor", id="anchor of a mapping"),
        pytest.param("a: !!str 1", (1, 4), "`tag:yaml.org,2002:str` is a tag", id="tag"),
        pytest.param(
            "a: !!python/object/apply:os.getcwd []",
            (1, 4),
            "`tag:yaml.org,2002:python/object/apply:os.getcwd` is a tag",
            id="tag of an object",
        ),
        pytest.param("<<: {}", (1, 1), "`<<` is a merge key", id="merge key"),
        pytest.param("on: 1", (1, 1), "the key `on` is not a string", id="boolean as key"),
        pytest.param("1: x", (1, 1), "the key `1` is not a string", id="number as key"),
        pytest.param("~: x", (1, 1), "the key `~` is not a string", id="null as key"),
        pytest.param("1e3: x", (1, 1), "the key `1e3` is not a string", id="1.2 number as key"),
        pytest.param("a: ~", (1, 4), "`a` is null", id="null"),
        pytest.param("a:", (1, 3), "`a` is null", id="missing value"),
        pytest.param("a: no", (1, 4), "`a` does not mean the same", id="no"),
        pytest.param("a: TRUE", (1, 4), "`a` does not mean the same", id="TRUE"),
        pytest.param("a: 012", (1, 4), "`a` does not mean the same", id="octal of 1.1"),
        pytest.param("a: 0o12", (1, 4), "`a` does not mean the same", id="octal of 1.2"),
        pytest.param("a: 1_0", (1, 4), "`a` does not mean the same", id="underscore"),
        pytest.param("a: 1:30", (1, 4), "`a` does not mean the same", id="sexagesimal"),
        pytest.param("a: 1e3", (1, 4), "`a` does not mean the same", id="exponent of 1.2"),
        pytest.param("a: .inf", (1, 4), "`a` does not mean the same", id="infinity"),
        pytest.param("a: =", (1, 4), "`a` does not mean the same", id="value sign"),
        pytest.param("a: 2001-02-31", (1, 4), "`a` is no date", id="no such day"),
    ],
)
def test_what_two_readers_may_take_in_two_ways_is_a_problem(text, position, what):
    (problem,) = yaml_text.parse(text).problems
    assert problem.position == position
    assert problem.what.startswith(what)


def test_an_alias_is_a_problem_beside_its_anchor():
    first, second = yaml_text.parse("a: &x 1\nb: *x").problems
    assert first.what == "`&x` is an anchor"
    assert (second.what, second.fix) == ("`*x` is an alias", "write the value out")
    assert second.position == (2, 4)


@pytest.mark.parametrize(
    ("text", "position", "what"),
    [
        pytest.param("a: [", (1, 5), "this is not YAML", id="open list"),
        pytest.param("a: 'é", (1, 6), "this is not YAML", id="open string"),
        pytest.param("a: 1\nb: \x01", (2, 4), "this is not YAML: special char", id="control"),
        pytest.param("a: 1\n---\nb: 1", (2, 1), "a second document", id="two documents"),
        pytest.param("- a", (1, 1), "the top level must be a mapping", id="list at the top"),
        pytest.param("---\n", (2, 1), "the top level must be a mapping", id="nothing at the top"),
        pytest.param("? [a]\n: b", (1, 3), "a key of the top level is not a", id="list as key"),
        pytest.param("a: " + "[" * 999, (1, 68), "nested deeper", id="deep"),
        pytest.param('a: "\\UFFFFFFFF"', (1, 1), "out of range", id="no such character"),
        pytest.param("a: " + "9" * 5000, (1, 1), "out of range", id="too many digits"),
    ],
)
def test_what_is_no_policy_is_refused(text, position, what):
    with pytest.raises(Refused) as refused:
        yaml_text.parse(text)
    assert what in refused.value.what
    assert refused.value.position == position
