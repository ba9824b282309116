"""Texts and values that mean harm: a condition never does worse than be refused or in error."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import UTC, datetime
from time import thread_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.policy.conditions import (
    Condition,
    ConditionError,
    Rejected,
    compile_condition,
)
from authz_middleware.policy.conditions.faults import Mistake
from authz_middleware.policy.conditions.parsing import MAX_HEIGHT
from tests.policy.conditions.asking import REQUEST, condition

WORDS = st.sampled_from(
    [
        "subject.id",
        "subject.claims.x",
        "resource.x",
        "context.time",
        "x",
        "'a'",
        "1",
        "1.5",
        "[",
        "]",
        "(",
        ")",
        "{",
        "}",
        ".",
        ",",
        ":",
        "?",
        "!",
        "-",
        "+",
        "*",
        "==",
        "!=",
        "<",
        "&&",
        "||",
        " in ",
        "exists(x, ",
        ".all(x, ",
        ".map(x, ",
        "size(",
        "has(",
        "cidr(",
        ".matches('",
        "duration('",
        ".getHours('",
        "timestamp('",
        "true",
        "null",
        "\\",
        "'",
        '"',
        "\x00",
        "�",
        "//",
        "\n",
    ]
)


@given(st.one_of(st.text(max_size=200), st.lists(WORDS, max_size=30).map("".join)))
def test_any_text_is_a_condition_or_mistakes(text):
    outcome: object = None
    mistakes: tuple[Mistake, ...] = ()
    try:
        outcome = compile_condition(text, params={"x": "int"}).evaluate(REQUEST)
    except Rejected as rejected:
        mistakes = rejected.mistakes
    assert isinstance(outcome, bool | ConditionError) is not bool(mistakes)
    assert all(each.what and 0 <= each.at <= len(text) for each in mistakes)


VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(),
        st.just("\ud800"),
        st.binary(),
        st.datetimes(),
        st.datetimes(timezones=st.just(UTC)),
        st.timedeltas(),
        st.uuids(),
        st.decimals(),
        st.complex_numbers(),
        st.just(datetime.max.replace(tzinfo=UTC)),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.one_of(st.text(), st.integers(), st.none()), inner, max_size=4),
        st.dictionaries(st.sampled_from(["a", "b", "\ud800", ""]), inner, max_size=4),
    ),
    max_leaves=20,
)

ASKED = [
    condition(text)
    for text in (
        "resource.x == 1",
        "resource.x != 'a' && resource.x.y",
        "resource.x.exists(i, i == resource.y || i.a == 1)",
        "resource.x.map(i, i)[0] == resource.y",
        "resource.x in resource.y",
        "resource.x + resource.y == resource.x",
        "resource.x * resource.y < resource.x - resource.y",
        "-resource.x > resource.x % resource.y",
        "size(resource.x) > 1",
        "int(resource.x) == 1 || double(resource.x) == 1.0 || string(resource.x) == ''",
        "timestamp(resource.x) < context.time",
        "resource.x.getHours('Europe/Vienna') == 1 || resource.x.getFullYear() > 9999",
        "context.time - resource.x < duration('1h')",
        "cidr('10.0.0.0/8').containsIP(resource.x)",
        "resource.x.matches('^a+$') || resource.x.startsWith(resource.y)",
        "has(resource.x.a) && resource.x.a.exists(k, has(k.b))",
        "resource.x[resource.y] == 1",
        "resource.x",
        "!resource.x",
        "resource.x ? resource.y : !resource.y",
    )
]


@given(st.sampled_from(ASKED), VALUES, VALUES)
def test_any_value_has_an_outcome(asked, x, y):
    found = asked.evaluate(REQUEST._replace(resource={"x": x, "y": y}))
    assert isinstance(found, bool | ConditionError)


@given(st.floats())
def test_any_time_has_an_outcome(time):
    found = condition("context.time.getHours() >= 0").evaluate(REQUEST._replace(time=time))
    assert found is True or isinstance(found, ConditionError)


@pytest.mark.parametrize(
    "text",
    [
        "resource.x.exists(a, resource.x.exists(b, a == b && a == 'no'))",
        "resource.x.filter(a, a == 'no').exists(b, b == 'no')",
        "resource.x.map(a, resource.x.map(b, a + b)) == []",
        "resource.x.exists(a, a.matches('^(a|b|ab)*c$'))",
        "resource.x.map(a, a + a + a + a + a + a)[0] == 'no'",
        "'no' in resource.x",
    ],
)
@pytest.mark.parametrize("entries", [100, 200, 10_000, 1_000_000])
def test_long_lists_cost_a_bounded_time(text, entries):
    asked = condition(text)
    inputs = REQUEST._replace(resource={"x": ["ab" * 20] * entries})
    began = thread_time()
    found = asked.evaluate(inputs)
    # Of work, which no pause of the machine adds to: some 10 ms; what is not bounded takes seconds.
    assert thread_time() - began < 1
    assert found is False or isinstance(found, ConditionError)


@pytest.mark.parametrize(
    ("opened", "inside", "closed"),
    [
        ("(1 + ", "resource.n", ")"),
        ("(", "resource.n", " + 1)"),
        ("[", "resource.n", "][0]"),
        ("(resource.n == 2 ? 1 : ", "resource.n", ")"),
        ("size({'a': ", "resource.n", "})"),
        ("!", "(resource.n == 1)", ""),
    ],
)
def test_the_deepest_condition_fits_into_a_small_stack(opened, inside, closed):
    """A stack that overflows would end the process: this test would never return."""
    deepest: Condition | None = None
    for times in range(1, MAX_HEIGHT + 1):
        text = opened * times + inside + closed * times
        with suppress(Rejected):
            deepest = compile_condition(text if opened == "!" else f"{text} == 1")
    assert deepest is not None
    found: list[object] = []

    def run() -> None:
        again = compile_condition(deepest.text)
        found.append(again.evaluate(REQUEST._replace(resource={"n": 1})))

    before = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert len(found) == 1


def test_threads_share_a_condition_and_nothing_else():
    asked = condition("resource.x == subject.id && size(resource.list) == 3")
    wrong: list[str] = []

    def run(name: str) -> None:
        subject = REQUEST.subject
        assert subject is not None
        mine = REQUEST._replace(resource={"x": subject.subject, "list": [name] * 3})
        other = REQUEST._replace(resource={"x": name, "list": [name] * 3})
        found = {(asked.evaluate(mine), asked.evaluate(other)) for _ in range(300)}
        if found != {(True, False)}:
            wrong.append(name)

    names = [f"t{number}" for number in range(8)]
    threads = [threading.Thread(target=run, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
