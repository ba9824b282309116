"""Regular expressions: what they mean is RE2's meaning, and what they cost is bounded."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.policy.conditions import evaluator
from authz_middleware.policy.conditions.faults import Mistake
from authz_middleware.policy.conditions.parts import written
from authz_middleware.policy.conditions.patterns import MAX_PATTERN, translated


@pytest.mark.parametrize(
    ("pattern", "engine"),
    [
        ("^abc$", "^abc$"),
        (r"\d+", "[0-9]+"),
        (r"\D", "[^0-9]"),
        (r"[\d\w-]", "[0-90-9A-Za-z_-]"),
        (r"\s", r"[\t\n\f\r ]"),
        (r"\bx", r"(?-u:\b)x"),
        (r"a\.b\n", r"a\.b\n"),
        (r"\@\ \_", r"@\ _"),
        ("(?:a|b){2,3}?", "(?:a|b){2,3}?"),
        ("a{2,}", "a{2,}"),
        ("[^]a]", None),
    ],
)
def test_is_written_out(pattern, engine):
    found = translated(pattern)
    if engine is not None:
        assert found == engine


@pytest.mark.parametrize(
    ("pattern", "at", "what"),
    [
        ("a" * (MAX_PATTERN + 1), 0, "longer than"),
        ("a\\", 1, "ends with a backslash"),
        (r"\p{L}", 0, "not supported"),
        (r"(a)\1", 3, "not supported"),
        (r"[\D]", 1, "not supported in regular expressions here"),
        (r"[\b]", 1, "not supported in regular expressions here"),
        ("(?i)a", 0, "only"),
        ("(?P<n>a)", 0, "only"),
        ("(?=a)", 0, "only"),
        ("[a[b]]", 2, "has to be escaped"),
        ("[[:alpha:]]", 1, "has to be escaped"),
        ("[a&&b]", 2, "has to be escaped"),
        ("a{1001}", 1, "multiply"),
        ("(a{40}){40}", 7, "multiply"),
        ("a{9999}", 1, "multiply"),
    ],
)
def test_is_refused(pattern, at, what):
    found = translated(pattern)
    assert isinstance(found, Mistake)
    assert found.at == at
    assert what in found.what


@given(
    st.text(alphabet="ab01 \\dwsDWS[]()^$.*+?{},-|_é٣", max_size=12),
    st.text(alphabet="ab01 _é٣", max_size=6),
)
def test_means_the_same_as_pythons_in_ascii(pattern, text):
    engine = translated(pattern)
    if isinstance(engine, Mistake) or not evaluator.compiles(f'"".matches({written(engine)})'):
        return
    try:
        expected = re.search(pattern.replace("$", r"\Z"), text, re.ASCII)
    except re.error:  # Python is stricter with some quantifiers
        return
    if re.search(r"[*+?}][+]|\{,", pattern):  # possessive to Python alone; `{,n}` too
        return
    run = evaluator.program(f"v0.matches({written(engine)})")
    assert evaluator.run(run, {"v0": text}) is (expected is not None)
