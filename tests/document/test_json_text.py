"""JSON: places of keys and items, and the laxness of `json` taken back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.document import json_text
from authz_middleware.document.parsed import Refused
from authz_middleware.document.paths import MAX_DEPTH


@pytest.mark.parametrize(
    ("text", "path", "position"),
    [
        pytest.param('{"a": 1}', ("a",), (1, 2), id="key"),
        pytest.param('{\n "é\\"": {}, "b": 1}', ("b",), (2, 13), id="columns are characters"),
        pytest.param('{"\\u0061": 1}', ("a",), (1, 2), id="escaped key"),
        pytest.param('{"a": [[], 1.5e3, "]"]}', ("a", 2), (1, 19), id="item"),
        pytest.param('{"a": [[1]]}', ("a", 0, 0), (1, 9), id="item of an item"),
        pytest.param('{"a": [{"b": true}]}', ("a", 0, "b"), (1, 9), id="key in an item"),
        pytest.param('{"a":null,\r\n"b":NaN}', ("b",), (2, 1), id="after null, CRLF"),
    ],
)
def test_a_key_has_the_place_where_it_is_written(text, path, position):
    assert json_text.parse(text).positions[path] == position


@pytest.mark.parametrize(
    ("text", "position", "what"),
    [
        pytest.param('{"a" 1}', (1, 6), "this is not JSON", id="no colon"),
        pytest.param("", (1, 1), "this is not JSON", id="empty file"),
        pytest.param("[]", (1, 1), "the top level must be an object", id="list at the top"),
        pytest.param("[" * 100_000, (1, 1), "nested deeper", id="deep"),
    ],
)
def test_what_is_no_policy_is_refused(text, position, what):
    with pytest.raises(Refused, match=what) as refused:
        json_text.parse(text)
    assert refused.value.position == position


@pytest.mark.parametrize(
    ("text", "position", "what"),
    [
        pytest.param('{"a": 1, "a": 1}', (1, 10), "`a` stands twice in the top level", id="top"),
        pytest.param('{"a": [{"b": 1,\n"\\u0062": 2}]}', (2, 1), "`b` stands twice", id="escaped"),
    ],
)
def test_a_repeated_name_is_a_problem(text, position, what):
    (problem,) = json_text.parse(text).problems
    assert problem.position == position
    assert problem.what.startswith(what)


def test_an_endless_integer_is_left_to_the_check_of_values():
    assert json_text.parse('{"a": ' + "9" * 9999 + "}").root["a"] >= 2**63


def test_depth_is_bounded_before_the_stack_is():
    text = '{"a": ' + "[" * (MAX_DEPTH * 2) + "]" * (MAX_DEPTH * 2) + "}"
    assert ("a", 0, 0) in json_text.parse(text).positions


values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(
    st.dictionaries(st.text(), values, max_size=4),
    st.booleans(),
    st.sampled_from([None, 0, 1]),
)
def test_every_recorded_place_holds_its_key(mapping, ascii_only, indent):
    text = json.dumps(mapping, ensure_ascii=ascii_only, indent=indent)
    parsed = json_text.parse(text)
    assert not parsed.problems
    rows = text.split("\n")

    def check(value, path):
        for step, member in value.items() if isinstance(value, dict) else enumerate(value):
            line, column = parsed.positions[(*path, step)]
            here = rows[line - 1][column - 1 :]
            shown = step if isinstance(value, dict) else member
            if not isinstance(shown, (list, dict)):
                assert here.startswith(json.dumps(shown, ensure_ascii=ascii_only))
            if isinstance(member, (list, dict)):
                check(member, (*path, step))

    check(mapping, ())
