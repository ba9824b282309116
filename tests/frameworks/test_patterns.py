"""Regular expressions in routes: what they take is never less than they match."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.frameworks.patterns import Piece, segments_of, taken_by
from authz_middleware.policy.converters import loose, strict
from authz_middleware.policy.segments import AnyOf, Exact, PathTail, Plain, Typed

PATTERNS = {
    r"\d+": Typed("int", "x"),
    "[0-9]+": Typed("int", "x"),
    r"-?\d{4}": Typed("int", "x"),
    r"\d{0,4}": PathTail("x"),
    "en|de": AnyOf(("de", "en"), "x"),
    "[^/]+": Plain("x"),
    "[^/.]+": Plain("x"),
    "[a-zA-Z0-9_-]+": Plain("x"),
    r"[\w.-]+\.html": Plain("x"),
    "(?:a|b)": Plain("x"),
    "[a-z]*": PathTail("x"),
    "(?:ab)?": PathTail("x"),
    ".+": PathTail("x"),
    ".+?": PathTail("x"),
    r"\S+": PathTail("x"),
    r"\W": PathTail("x"),
    r"\x2f": PathTail("x"),
    r"\57": PathTail("x"),
    "a/b": PathTail("x"),
    "[+-9]+": PathTail("x"),
    "[.-9]": PathTail("x"),
    "[!-~]": PathTail("x"),
    "[A-z]": PathTail("x"),
    "[^a]": PathTail("x"),
    "[^.-/]": PathTail("x"),
    r"[^\d]": PathTail("x"),
    r"[\w/]+": PathTail("x"),
    "(?P=y)+": PathTail("x"),
    "(": PathTail("x"),
}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_what_a_pattern_takes(pattern: str) -> None:
    assert taken_by(pattern, "x") == PATTERNS[pattern]


PARTS = [
    *(r"[0-9]", r"\d", r"\w", r"\s", r"\S", r"\W", r"\D", r"\.", r"\/", r"\x2f", r"\57", ".", "a"),
    *("/", "[a-z]", "[^/]", "[^a]", "[^/a]", "[^.-/]", "[+-9]", "[ -~]", "[a/]", r"[\W]", r"[^\w]"),
    *("(?:a|/)", "(?:a|b)", "(?=/)", "(?!a)", "|", "-", "%", "@", "[,-.]", "[,-0]", "[%-]"),
]


@given(
    st.lists(st.tuples(st.sampled_from(PARTS), st.sampled_from(["", "+", "*", "?", "{2}"])))
    .map(lambda parts: "".join(map("".join, parts)))
    .filter(lambda text: text != ""),
    st.text(st.sampled_from("ab/1.-+%, \N{ARABIC-INDIC DIGIT ONE}"), max_size=4),
)
def test_it_takes_no_less_than_the_pattern_matches(pattern: str, text: str) -> None:
    try:
        matched = re.fullmatch(pattern, text)
    except re.error:
        return
    if matched is None:
        return
    match taken_by(pattern, "x"):
        case Plain():
            assert text
            assert "/" not in text
        case AnyOf(values):
            assert text in values
        case Typed(kind):
            assert strict(kind, text) or loose(kind, text)
        case taken:
            assert isinstance(taken, PathTail)


def test_a_part_of_a_segment_is_the_whole() -> None:
    typed = Typed("int", "n")
    pieces: list[Piece] = [
        "/a/",
        Plain("x"),
        ".html/",
        typed,
        "/b",
        PathTail("y"),
        "c/",
        typed,
        typed,
        "/",
    ]
    assert [*segments_of(pieces)] == [
        Exact("a"),
        Plain("<x>.html"),
        typed,
        PathTail("b<y>c"),
        Plain("<n><n>"),
    ]
