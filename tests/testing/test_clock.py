"""A clock that only moves when it is told to."""

from __future__ import annotations

import pytest

from authz_middleware.testing import FrozenClock


def test_it_stands_still():
    clock = FrozenClock(100.0)
    assert [clock(), clock()] == [100.0, 100.0]


@pytest.mark.parametrize(("seconds", "after"), [(1, 101.0), (0.5, 100.5), (-60, 40.0)])
def test_it_moves_by_what_it_is_told(seconds, after):
    clock = FrozenClock(100.0)
    clock.advance(seconds)
    assert clock() == after


def test_its_repr_says_what_time_it_is():
    assert repr(FrozenClock(7.0)) == "FrozenClock(7.0)"
