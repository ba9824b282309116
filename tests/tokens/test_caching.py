"""RFC 9111: what a document says about how long it is good for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.tokens import caching

LIFETIMES = [
    ("", None),
    ("public", None),
    ("s-maxage=60, stale-while-revalidate=30", None),  # for shared caches, for others
    ("max-age=600", 600),
    ("public, max-age=600, must-revalidate", 600),
    ("Public, MAX-AGE=600", 600),
    ('max-age="600"', 600),
    ("max-age = 600", 600),
    ("max-age=0", 0),
    ("max-age=007", 7),
    ("no-store", 0),
    ("no-cache", 0),
    ('no-cache="set-cookie", max-age=600', 0),
    ("max-age=600, no-store", 0),  # the most restrictive
    ("max-age=600, max-age=60", 60),
    ("max-age", 0),  # invalid is stale
    ("max-age=", 0),
    ("max-age=-1", 0),
    ("max-age=1.5", 0),
    ("max-age=1e9", 0),
    ("max-age=\u0663", 0),
    ("max-age=600;x", 0),
    ("xmax-age=600", None),
    ("max-agex=600", None),
    ("max-age=99999999999", 2**31),
    (f"max-age={'9' * 100_000}", 2**31),
    (f"max-age={'0' * 100_000}7", 7),
    (",,,=,", None),
]


@pytest.mark.parametrize(("field", "seconds"), LIFETIMES, ids=lambda value: repr(value)[:40])
def test_lifetime(field: str, seconds: float | None) -> None:
    assert caching.lifetime(field) == seconds


AGES = [
    ("", 0),
    ("0", 1),  # a copy, of less than a second
    ("90", 91),
    (" 90 ", 91),
    ("90, 5000", 91),  # the first member
    ("-1", 0),
    ("soon", 0),
    ("1.5", 0),
    ("9" * 100_000, 2**31 + 1),
]


@pytest.mark.parametrize(("field", "seconds"), AGES, ids=lambda value: repr(value)[:40])
def test_age(field: str, seconds: float) -> None:
    assert caching.age(field) == seconds


@given(st.text())
def test_whatever_is_sent_is_a_bounded_number(field: str) -> None:
    assert 0 <= (caching.lifetime(field) or 0) <= 2**31
    assert 0 <= caching.age(field) <= 2**31 + 1
