"""Our parser beside the evaluator's: what one takes and the other does not, and what each makes of
it. Every difference is named here.
"""

from __future__ import annotations

from typing import Any

import cel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.policy.conditions import ConditionError, Rejected, compile_condition
from authz_middleware.policy.conditions.faults import Unreadable
from authz_middleware.policy.conditions.parsing import MAX_HEIGHT, parse
from tests.policy.conditions.asking import REQUEST

NARROWER = (
    "unsigned numbers are not supported",
    "bytes are not supported",
    "messages are not supported",
    f"the condition is nested deeper than {MAX_HEIGHT}",
    # A dot in front of a name is CEL's way out of a container, which we do not have.
    "here stands `.` instead of",
    "here stands `,` instead of a value",  # `[,]` and `{,}`
)
"""What the evaluator's parser takes and ours does not."""

LATER = ("invalid argument to has() macro", "argument must be a simple name")
"""What the evaluator's parser refuses, and ours leaves to the check of names that follows it."""


def of_evaluator(text: str) -> str:
    """What the evaluator's parser says, "" if it takes the text."""
    try:
        cel.compile(text)
    except ValueError as error:
        return str(error)
    return ""


def of_ours(text: str) -> str:
    try:
        parse(text)
    except Unreadable as error:
        return error.mistake.what
    return ""


def agree(text: str) -> None:
    theirs, ours = of_evaluator(text), of_ours(text)
    if ours:
        assert theirs or ours.startswith(NARROWER), f"{text!a}: only we refuse it: {ours}"
    elif theirs:
        assert any(each in theirs for each in LATER), f"{text!a}: only we take it: {theirs}"


PIECES = st.sampled_from(
    [
        *"()[]{}.,:?!-+*/%<>",
        "==",
        "!=",
        "<=",
        ">=",
        "&&",
        "||",
        "in",
        " ",
        "\n",
        "\t",
        "//",
        "`",
        "a",
        "b",
        "x1",
        "_",
        "true",
        "false",
        "null",
        "size",
        "has",
        "all",
        "map",
        "if",
        "package",
        "0",
        "1",
        "12",
        "0x1F",
        "1.5",
        ".5",
        "1e3",
        "1u",
        "1.",
        "9223372036854775808",
        "1e400",
        "''",
        '""',
        "'a'",
        '"b"',
        "r'\\'",
        "b'x'",
        "'''q'''",
        '"""q"""',
        "'\\n'",
        "'\\x41'",
        "'\\u00e4'",
        "'\\U0001F600'",
        "'\\777'",
        "'\\101'",
        "'\\q'",
        "'\\ud800'",
        "'ä'",
        "#",
        "=",
        "a.b",
        "a[0]",
        "f(x)",
        "a.all(x, x)",
        "[1, 2]",
        "{'a': 1}",
        "has(a.b)",
        "\u2028",
        "ä",
    ]
)


@given(st.lists(PIECES, max_size=12).map("".join))
def test_pieces_of_conditions(text):
    agree(text)


@given(st.lists(PIECES, max_size=8).map(" ".join))
def test_pieces_with_space_between(text):
    agree(text)


@given(st.text(max_size=20).filter(lambda text: text.isprintable() or text.isascii()))
def test_any_text(text):
    agree(text)


@pytest.mark.parametrize(
    "text",
    [
        "!-1",
        "!- 1",
        "--1",
        "- -1",
        "1--1",
        "1 - -1",
        "-1.5 .x",
        "-a.b",
        "!!a",
        "-!a",
        "!a.b[0](1)",
        "a.b.c{}",
        "a ? b : c ? d : e",
        "a ? b ? c : d : e",
        "(a ? b : c) ? d : e",
        "a == b == c",
        "a < b in c",
        "a && b || c && d",
        "[,]",
        "{,}",
        "[1,,2]",
        "f(,)",
        "f()()",
        "a.f()",
        "a.f().g[0].h",
        "1 .a",
        "1.a",
        "'a' 'b'",
        "'''a'b'''",
        "''''",
        "'''a",
        "r'a\\'",
        "r'''a\\'''",
        "R'a'",
        "'a\nb'",
        "'''a\nb'''",
        "// only a comment",
        "a // x\n&& b",
        "a.package",
        "a.in",
        "a.true",
        "a.if()",
        "if",
        "x.`y`",
        "a.?b",
        "a[?b]",
        "{?'a': 1}",
        ".a",
        "1in[1]",
        "a in[1]",
        "0x",
        "0xg",
        "00012",
        "1e",
        "1.e3",
        "1_0",
        "\ufeffa",
        "a\u00a0&& b",
        "a\x0c&& b",
        "a\x0b&& b",
    ],
)
def test_corners(text):
    agree(text)


# What both make of it

VALUES: dict[str, dict[str, Any]] = {
    "subject": {
        "id": "ann",
        "roles": ["editor", "viewer"],
        "claims": {"level": 3, "tenant": "acme"},
    },
    "resource": {"owner": "ann", "pages": 12, "rate": 0.5, "list": [1, 2, 3], "table": {"a": 1}},
}
INPUTS = REQUEST._replace(resource=VALUES["resource"])

NUMBERS = st.one_of(
    st.integers(-(2**63), 2**63 - 1).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(["resource.pages", "subject.claims.level", "resource.rate", "resource.gone"]),
)
TEXTS = st.one_of(
    st.sampled_from(["subject.id", "resource.owner", "subject.claims.tenant", "subject.claims.no"]),
    st.text(alphabet="anbc\\'\"ä\n", max_size=3).map(
        lambda text: "'" + "".join(f"\\U{ord(each):08x}" for each in text) + "'"
    ),
    st.sampled_from(["'ann'", '"acme"', "'''a'''", "r'ann'"]),
)
LISTS = st.sampled_from(
    ["subject.roles", "resource.list", "resource.table", "['ann', 'x']", "[1, 2]"]
)
ANYTHING = st.one_of(NUMBERS, TEXTS, LISTS)
ARITHMETIC = st.tuples(NUMBERS, st.sampled_from("+-*/%"), NUMBERS).map(" ".join)
ATOMS = st.one_of(
    st.tuples(ANYTHING, st.sampled_from(["==", "!="]), ANYTHING).map(" ".join),
    st.tuples(NUMBERS, st.sampled_from(["<", "<=", ">", ">="]), NUMBERS).map(" ".join),
    st.tuples(ARITHMETIC, st.sampled_from(["==", "<", ">="]), NUMBERS).map(" ".join),
    st.tuples(TEXTS, st.sampled_from(["<", ">="]), TEXTS).map(" ".join),
    st.tuples(ANYTHING, LISTS).map(" in ".join),
    st.tuples(TEXTS, st.sampled_from(["startsWith", "endsWith", "contains"]), TEXTS).map(
        lambda parts: f"{parts[0]}.{parts[1]}({parts[2]})"
    ),
    st.tuples(
        LISTS,
        st.sampled_from(["all", "exists", "exists_one"]),
        st.sampled_from(["==", "<"]),
        ANYTHING,
    ).map(lambda parts: f"{parts[0]}.{parts[1]}(x, x {parts[2]} {parts[3]})"),
    st.tuples(LISTS, NUMBERS).map(lambda parts: f"{parts[0]}.filter(x, x == {parts[1]}) == [1]"),
    st.sampled_from(
        ["has(resource.owner)", "has(resource.gone)", "resource.list.map(x, x + 1) == [2, 3, 4]"]
    ),
)
CONDITIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=4).map(" && ".join),
        st.lists(inner, min_size=2, max_size=4).map(lambda each: f"({' || '.join(each)})"),
        inner.map(lambda each: f"!({each})"),
        st.tuples(inner, inner, inner).map(lambda each: f"({each[0]} ? {each[1]} : {each[2]})"),
    ),
    max_leaves=6,
)


@given(CONDITIONS)
def test_one_outcome(text):
    try:
        ours = compile_condition(text).evaluate(INPUTS)
    except Rejected:
        return  # what our check of kinds refuses is in test_mistakes
    try:
        theirs = cel.evaluate(text, VALUES)
    except (ValueError, TypeError, RuntimeError, ArithmeticError, LookupError):
        theirs = None
    if isinstance(theirs, bool):
        assert ours is theirs
    else:
        assert isinstance(ours, ConditionError)
