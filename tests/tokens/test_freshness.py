from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.tokens import freshness
from authz_middleware.tokens.freshness import (
    COOLDOWN,
    REFRESH_AFTER,
    RETRY_AFTER,
    STALE_LIMIT,
    KeyView,
    State,
    due,
    failed,
    succeeded,
    view,
)
from authz_middleware.tokens.keys import KeySet, from_jwks
from tests.tokens.minting import jwk

T = 1000.0


def keys(kid: str = "a") -> KeySet:
    return from_jwks({"keys": [jwk("ES256", kid=kid)]})


A = keys()
FRESH = succeeded(State(), A, T)


def test_nothing_fetched_yet_may_be_fetched_at_once() -> None:
    assert view(State(), T) == KeyView(None, fetchable=True, failing=False)
    assert due(State(), T)


TIMES = [
    pytest.param(FRESH, 0, A, False, False, id="just fetched: D09 no fetch for an unknown kid"),
    pytest.param(FRESH, COOLDOWN - 1, A, False, False, id="within the cooldown"),
    pytest.param(FRESH, COOLDOWN, A, True, False, id="after the cooldown"),
    pytest.param(FRESH, REFRESH_AFTER - 1, A, True, False, id="still fresh"),
    pytest.param(FRESH, REFRESH_AFTER, A, True, True, id="old: refresh in the background"),
    pytest.param(FRESH, STALE_LIMIT, A, True, True, id="D10 kept up to the limit"),
    pytest.param(FRESH, STALE_LIMIT + 1, None, True, True, id="D10 then gone"),
    pytest.param(FRESH, -500, A, True, True, id="a clock set back blocks nothing"),
]


@pytest.mark.parametrize(("state", "age", "held", "fetchable", "wanted"), TIMES)
def test_over_time(
    state: State, age: float, held: KeySet | None, fetchable: bool, wanted: bool
) -> None:
    assert view(state, T + age) == KeyView(held, fetchable, failing=False)
    assert due(state, T + age) is wanted


def test_a_failure_keeps_the_last_good_set_and_is_retried_soon() -> None:
    """D10, D11."""
    later = T + REFRESH_AFTER
    state = failed(FRESH, later)
    assert view(state, later) == KeyView(A, fetchable=False, failing=True)
    assert view(state, later + RETRY_AFTER) == KeyView(A, fetchable=True, failing=True)
    assert not due(state, later + RETRY_AFTER)  # in the background the cooldown is early enough
    assert due(state, later + COOLDOWN)


def test_a_failure_without_keys_accepts_nothing() -> None:
    """CVE-2026-31837: no fallback set, ever."""
    state = failed(State(), T)
    assert view(state, T + 1) == KeyView(None, fetchable=False, failing=True)


def test_a_new_set_replaces_the_old_one() -> None:
    """D09: removed keys stop working."""
    b = keys("b")
    state = succeeded(failed(FRESH, T + 400), b, T + 500)
    assert view(state, T + 500) == KeyView(b, fetchable=False, failing=False)


def test_an_equal_set_stays_the_same_object() -> None:
    assert succeeded(FRESH, keys(), T + 400).keys is A


def test_a_clock_set_back_does_not_keep_keys_for_ever() -> None:
    back = T - 10 * STALE_LIMIT
    state = failed(FRESH, back)
    assert view(state, back).keys is A
    assert view(state, back + STALE_LIMIT + 1).keys is None


times = st.floats(min_value=0, max_value=1e7)


@given(times, times, st.booleans())
def test_waiting_is_bounded_whatever_the_clock_did(then: float, now: float, bad: bool) -> None:
    state = failed(FRESH, then) if bad else succeeded(FRESH, A, then)
    assert view(state, now).fetchable or now - then < COOLDOWN
    assert view(state, max(now, then) + COOLDOWN).fetchable
    assert freshness.COOLDOWN < freshness.REFRESH_AFTER < freshness.STALE_LIMIT
