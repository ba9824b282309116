"""What an attribute may be: converted exactly, or unusable with a reason that does not show it."""

from __future__ import annotations

import enum
import math
import uuid
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType

import pytest

from authz_middleware.facts import Claims
from authz_middleware.policy.conditions.values import (
    MAX_DEPTH,
    MAX_TEXT,
    MAX_VALUES,
    MISSING,
    Limits,
    Unusable,
    converted,
    getter,
)
from tests.policy.conditions.asking import REQUEST


class Word(str):
    __slots__ = ()


class Colour(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ("ä", "ä"),
        (True, True),
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
        (1.5, 1.5),
        (2.0**53 - 1, 2.0**53 - 1),
        (Word("x"), "x"),
        (Colour.RED, "red"),
        (Level.LOW, 1),
        (None, MISSING),
        ([1, None, [None]], [1, []]),
        ((1, 2), [1, 2]),
        ({"a": None, "b": {"c": None}}, {"b": {}}),
        (frozenset({"b", "a"}), ["a", "b"]),
        (Claims({"a": (1,)}), {"a": [1]}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (uuid.UUID(int=1), str(uuid.UUID(int=1))),
        (timedelta(1), timedelta(1)),
        (
            datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))),
            datetime(2026, 1, 1, tzinfo=UTC),
        ),
        (nested(MAX_DEPTH), nested(MAX_DEPTH)),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_is_converted(value, plain):
    found = converted(value, Limits())
    assert found == plain
    assert type(found) is type(plain)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (2.0**53, "a number with a point of 2**53 or more, which is not exact"),
        (-(2.0**53), "a number with a point of 2**53 or more, which is not exact"),
        (2**63, "an integer beyond 64 bits"),
        (-(2**63) - 1, "an integer beyond 64 bits"),
        ([2**64], "an integer beyond 64 bits"),
        (math.nan, "a number that is not finite"),
        ({"a": math.inf}, "a number that is not finite"),
        (Decimal(1), "a Python Decimal"),
        (date(2026, 1, 1), "a Python date"),
        (b"x", "a Python bytes"),
        (object(), "a Python object"),
        (datetime(2026, 1, 1), "a time without a time zone"),  # noqa: DTZ001
        (datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))), "a time out of range"),
        ("\ud800", "a text with half of a surrogate pair"),
        ({"\ud800": 1}, "a text with half of a surrogate pair"),
        ("x" * (MAX_TEXT + 1), f"a text of more than {MAX_TEXT} characters"),
        ({1: "x"}, "a table with keys that are not texts"),
        (nested(MAX_DEPTH + 1), f"values nested deeper than {MAX_DEPTH}"),
        ([[0] * 6000, [0] * 6000], f"more than {MAX_VALUES} values"),
        ([0] * (MAX_VALUES + 1), f"a list or a table of more than {MAX_VALUES} entries"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_is_unusable(value, why):
    with pytest.raises(Unusable) as raised:
        converted(value, Limits())
    assert str(raised.value) == why


def test_what_contains_itself_is_unusable():
    value: list[object] = []
    value.append(value)
    with pytest.raises(Unusable):
        converted(value, Limits())


@pytest.mark.parametrize(
    ("path", "presence", "value"),
    [
        (("subject", "claims", "tenant"), False, "acme"),
        (("subject", "claims", "note"), False, MISSING),
        (("subject", "claims", "note"), True, False),
        (("subject", "claims", "tenant"), True, True),
        (("subject", "claims", "x", "y"), True, MISSING),
        (("subject", "id"), True, True),
        (("resource", "owner"), False, "ann"),
        (("resource", "x", "y"), False, MISSING),
        (("resource", "params", "id"), False, 7),
        (("context", "headers", "x"), True, False),
        (("action", "name"), False, "PUT"),
    ],
)
def test_is_found(path, presence, value):
    assert getter(path, presence=presence)(REQUEST) == value


@pytest.mark.parametrize("presence", [False, True])
def test_what_is_no_table_has_no_attributes(presence):
    with pytest.raises(Unusable):
        getter(("resource", "owner", "name"), presence=presence)(REQUEST)
