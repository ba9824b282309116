from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.tokens.marks import NO_MARK, Mark, borne
from authz_middleware.tokens.presets import PRESETS

CASES: dict[str, tuple[Mark, dict[str, Any], bool]] = {
    "no mark": (NO_MARK, {}, True),
    "a value": (Mark(values=((("a",), frozenset("x")),)), {"a": "x"}, True),
    "another value": (Mark(values=((("a",), frozenset("x")),)), {"a": "y"}, False),
    "in a list": (Mark(values=((("a",), frozenset("x")),)), {"a": ["x"]}, False),
    "unhashable": (Mark(values=((("a",), frozenset("x")),)), {"a": {}}, False),
    "below": (Mark(values=((("a", "b"), frozenset("x")),)), {"a": {"b": "x"}}, True),
    "not below": (Mark(values=((("a", "b"), frozenset("x")),)), {"a": "x"}, False),
    "first group": (Mark(one_of=((("a",),), (("b",), ("c",)))), {"a": "x"}, True),
    "second group": (Mark(one_of=((("a",),), (("b",), ("c",)))), {"b": ["x"], "c": "y"}, True),
    "half a group": (Mark(one_of=((("a",),), (("b",), ("c",)))), {"b": "x"}, False),
    "there, but empty": (Mark(one_of=((("a",),),)), {"a": ""}, False),
    "an empty list": (Mark(one_of=((("a",),),)), {"a": []}, False),
    "a list with nothing": (Mark(one_of=((("a",),),)), {"a": [""]}, False),
    "null": (Mark(one_of=((("a",),),)), {"a": None}, False),
    "absent": (Mark(absent=("a",)), {"b": 1}, True),
    "there as null": (Mark(absent=("a",)), {"a": None}, False),
    "for others": (Mark(clients=("a",)), {"a": "x", "aud": "y"}, True),
    "for its client": (Mark(clients=("a",)), {"a": "x", "aud": "x"}, False),
    "for its client too": (Mark(clients=("a",)), {"a": "x", "aud": ["y", "x"]}, False),
    "no client": (Mark(clients=("a",)), {}, True),
}


@pytest.mark.parametrize(("mark", "payload", "expected"), CASES.values(), ids=CASES)
def test_marks(mark: Mark, payload: dict[str, Any], expected: bool) -> None:
    assert borne(mark, payload) is expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
NAMES = st.sampled_from(
    "aud typ azp appid client_id cid scp roles token_use repository run_id".split()  # noqa: SIM905
)


@given(st.dictionaries(NAMES, JSON), st.sampled_from(sorted(PRESETS)), JSON)
def test_hostile_claims_are_answered(payload: dict[str, Any], name: str, nonce: object) -> None:
    mark = PRESETS[name].mark
    passes = borne(mark, payload)
    with_nonce = borne(mark, payload | {"nonce": nonce})
    assert with_nonce is (passes and "nonce" not in mark.absent)


@given(st.dictionaries(st.sampled_from(["sub", "aud", "sid", "email", "roles", "groups"]), JSON))
def test_what_id_tokens_say_is_nobodys_mark(payload: dict[str, Any]) -> None:
    for name in PRESETS.keys() - {"google"}:
        assert not borne(PRESETS[name].mark, payload), name
