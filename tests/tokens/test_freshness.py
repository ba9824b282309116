from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.facts import KeyReadiness
from authz_middleware.tokens import freshness
from authz_middleware.tokens.freshness import (
    COOLDOWN,
    MAX_AGE,
    MIN_REFRESH,
    OVERDUE,
    REFRESH_AFTER,
    RETRY_AFTER,
    STALE_LIMIT,
    KeyView,
    Limits,
    State,
)
from authz_middleware.tokens.keys import KeySet, from_jwks
from tests.tokens.minting import jwk

T = 1_000_000.0
LIMITS = Limits()


def keys(kid: str = "a") -> KeySet:
    return from_jwks({"keys": [jwk("ES256", kid=kid)]})


def view(state: State, now: float) -> KeyView:
    return freshness.view(state, now, LIMITS)


def due(state: State, now: float) -> bool:
    return freshness.due(state, now)


def succeeded(
    state: State, found: KeySet, now: float, lifetime: float | None = None, jitter: float = 1.0
) -> State:
    started = freshness.started(state, now, joined=True)
    return freshness.succeeded(
        started, found, now, LIMITS, as_of=now - 1, lifetime=lifetime, jitter=jitter
    )


A, OTHER = keys(), keys("b")
FRESH = succeeded(State(), A, T)
FAILED = freshness.failed(FRESH, T + REFRESH_AFTER)
REFRESH_AT = 0.9 * REFRESH_AFTER  # with all of the jitter


def test_nothing_fetched_yet_may_be_fetched_at_once() -> None:
    assert view(State(), T) == KeyView(None, fetchable=True, as_of=-inf)
    assert due(State(), T)


TIMES = [
    pytest.param(0, A, False, False, id="just fetched: D09 no fetch for an unknown kid"),
    pytest.param(COOLDOWN - 1, A, False, False, id="within the cooldown"),
    pytest.param(COOLDOWN, A, True, False, id="after the cooldown"),
    pytest.param(REFRESH_AT - 1, A, True, False, id="still fresh"),
    pytest.param(REFRESH_AT, A, True, True, id="ahead of its end: refresh in the background"),
    pytest.param(MAX_AGE, A, True, True, id="old: requests go on"),
    pytest.param(MAX_AGE + 1, None, True, True, id="too old to be used without asking"),
]


@pytest.mark.parametrize(("age", "held", "fetchable", "wanted"), TIMES)
def test_over_time(age: float, held: KeySet | None, fetchable: bool, wanted: bool) -> None:
    assert view(FRESH, T + age) == KeyView(held, fetchable, as_of=T - 1)
    assert due(FRESH, T + age) is wanted


@pytest.mark.parametrize(
    ("age", "held"), [(MAX_AGE + 1, A), (STALE_LIMIT, A), (STALE_LIMIT + 1, None)]
)
def test_through_an_outage_up_to_the_limit(age: float, held: KeySet | None) -> None:
    """D10."""
    state = freshness.failed(FRESH, T + age - 1)
    assert view(state, T + age).keys is held


def test_a_failure_keeps_the_last_good_set_and_is_retried_soon() -> None:
    """D10, D11."""
    later = T + REFRESH_AFTER
    assert view(FAILED, later) == KeyView(A, fetchable=True, as_of=T - 1)
    assert not due(FAILED, later + RETRY_AFTER - 1)
    assert due(FAILED, later + RETRY_AFTER)


def test_a_fetch_by_itself_does_not_spend_the_one_for_unknown_kids() -> None:
    """D09: or every refresh would hide a rotation for as long as the cooldown."""
    ahead = freshness.started(FRESH, T + REFRESH_AFTER, joined=False)
    for landed in (
        freshness.failed(ahead, T + REFRESH_AFTER),
        freshness.succeeded(ahead, A, T + REFRESH_AFTER, LIMITS, as_of=T, lifetime=None, jitter=0),
    ):
        assert view(landed, T + REFRESH_AFTER).fetchable
        asked = freshness.started(landed, T + REFRESH_AFTER, joined=True)
        for again in (freshness.failed(asked, T + REFRESH_AFTER + 1), succeeded(asked, A, T + 301)):
            assert not view(again, T + REFRESH_AFTER + COOLDOWN - 1).fetchable
            assert view(again, T + REFRESH_AFTER + COOLDOWN + 1).fetchable


def test_a_fetch_that_landed_just_before_a_request_could_join_it_is_spent_too() -> None:
    """Else one flood of unknown kids would make us fetch twice in a cooldown."""
    ahead = freshness.started(FRESH, T + REFRESH_AFTER, joined=False)
    spent = freshness.joined(freshness.failed(ahead, T + REFRESH_AFTER))
    assert not spent.joined
    assert not view(spent, T + REFRESH_AFTER + COOLDOWN - 1).fetchable
    assert view(spent, T + REFRESH_AFTER + COOLDOWN).fetchable


def test_an_old_failure_says_nothing_about_the_provider_now() -> None:
    """On a service that was idle, a key that was withdrawn meanwhile must not work once more."""
    assert view(FAILED, T + REFRESH_AFTER + MAX_AGE - 1).keys is A
    assert view(FAILED, T + REFRESH_AFTER + MAX_AGE) == KeyView(None, True, as_of=T - 1)


def test_a_failure_without_keys_accepts_nothing() -> None:
    """CVE-2026-31837: no fallback set, ever."""
    state = freshness.failed(State(), T)
    assert view(state, T + 1) == KeyView(None, fetchable=False, as_of=-inf)
    assert not due(state, T + 1)
    assert due(state, T + RETRY_AFTER)


def test_a_new_set_replaces_the_old_one() -> None:
    """D09: removed keys stop working."""
    b = keys("b")
    state = succeeded(FAILED, b, T + 500)
    assert view(state, T + 500) == KeyView(b, fetchable=False, as_of=T + 499)


def test_an_equal_set_stays_the_same_object() -> None:
    assert succeeded(FRESH, keys(), T + 400).keys is A


# The provider's word, within bounds

SAID = [
    pytest.param(None, REFRESH_AFTER, id="nothing"),
    pytest.param(600, 600, id="ten minutes"),
    pytest.param(0, MIN_REFRESH, id="never"),
    pytest.param(-5000, MIN_REFRESH, id="over already"),
    pytest.param(2.0**31, MAX_AGE, id="for ever"),
]


@pytest.mark.parametrize(("lifetime", "seconds"), SAID)
@pytest.mark.parametrize(("jitter", "share"), [(0.0, 0.8), (0.5, 0.85), (1.0, 0.9)])
def test_cache_control_within_bounds(
    lifetime: float | None, seconds: float, jitter: float, share: float
) -> None:
    """RFC 9111 §4.2; ahead of its end, and not by all at once."""
    state = succeeded(State(), A, T, lifetime, jitter)
    assert not due(state, T + seconds * share - 0.01)
    assert due(state, T + seconds * share + 0.01)


def test_the_bounds_of_the_operator() -> None:
    limits = Limits(max_age=100, stale_limit=200)
    state = freshness.succeeded(State(), A, T, limits, as_of=T, lifetime=1000, jitter=0)
    assert freshness.due(state, T + 80)
    assert freshness.view(state, T + 100, limits).keys is A
    assert freshness.view(state, T + 101, limits).keys is None
    state = freshness.failed(state, T + 199)
    assert freshness.view(state, T + 200, limits).keys is A
    assert freshness.view(state, T + 201, limits).keys is None


# A fetch in flight


def test_requests_join_the_fetch_in_flight() -> None:
    state = freshness.started(FRESH, T + 100, joined=True)
    assert not due(state, T + 5000)  # there is one already
    assert view(state, T + 100) == KeyView(A, fetchable=True, as_of=T - 1)
    assert view(state, T + 100 + OVERDUE - 0.1).fetchable


def test_nobody_waits_for_a_fetch_that_hangs() -> None:
    hanging = freshness.started(State(), T, joined=True)
    assert view(hanging, T + OVERDUE) == KeyView(None, fetchable=False, as_of=-inf)
    # Nor is the set at hand held back for it.
    old = freshness.started(FRESH, T + MAX_AGE + 1, joined=True)
    assert view(old, T + MAX_AGE + 1) == KeyView(None, fetchable=True, as_of=T - 1)
    assert view(old, T + MAX_AGE + 1 + OVERDUE) == KeyView(A, fetchable=False, as_of=T - 1)


def test_one_request_at_a_time_waits_for_a_provider_that_fails() -> None:
    now = T + REFRESH_AFTER
    assert view(FAILED, now).fetchable
    ahead = freshness.started(FAILED, now, joined=False)
    assert view(ahead, now).fetchable
    assert not view(freshness.joined(ahead), now).fetchable
    assert not view(freshness.started(FAILED, now, joined=True), now).fetchable
    # It landed: the next one may.
    assert not freshness.failed(freshness.joined(ahead), now).joined
    assert not succeeded(freshness.joined(ahead), A, now).joined


def test_a_flight_of_the_parent_is_given_up_after_a_fork() -> None:
    state = freshness.started(FRESH, T + 100, joined=False)
    assert freshness.abandoned(state) == FRESH


# A clock that is set back


def test_a_clock_set_back_blocks_nothing() -> None:
    # What was published before what cannot be said, so no key is held to be none.
    assert view(FRESH, T - 500) == KeyView(A, fetchable=True, as_of=-inf)
    assert due(FRESH, T - 500)
    assert not view(freshness.started(FRESH, T, joined=True), T - 500).fetchable


def test_a_thread_that_looked_at_the_clock_a_moment_ago() -> None:
    """Another one has started a fetch since, or landed it."""
    assert view(freshness.started(State(), T, joined=True), T - 0.1).fetchable
    assert not view(freshness.failed(State(), T), T - 0.1).fetchable
    assert not due(freshness.failed(State(), T), T - 0.1)
    assert view(FRESH, T - 0.1) == KeyView(A, fetchable=False, as_of=T - 1)
    assert not due(FRESH, T - 0.1)


def test_a_clock_set_back_does_not_keep_keys_for_ever() -> None:
    back = T - 5 * STALE_LIMIT
    state = freshness.failed(FRESH, back)
    assert view(state, back).keys is A
    assert view(freshness.failed(state, back + STALE_LIMIT), back + STALE_LIMIT + 1).keys is None


def test_a_clock_set_back_makes_no_set_younger_when_it_has_caught_up() -> None:
    """The set is of before; a token of meanwhile may have a key that was published since."""
    state = freshness.failed(FRESH, T - 500)
    assert view(state, T + 1).as_of == -inf
    assert view(freshness.failed(FRESH, T + 500), T + 501).as_of == T - 1


# What operators see

READY = [
    pytest.param(State(), T, (False, "none"), id="never fetched"),
    pytest.param(freshness.failed(State(), T), T, (False, "failed"), id="never got"),
    pytest.param(
        freshness.started(State(), T, joined=True), T + OVERDUE, (False, "failed"), id="hangs"
    ),
    pytest.param(FRESH, T + 7, (True, "succeeded", 7, T + STALE_LIMIT), id="good"),
    pytest.param(
        FRESH, T + MAX_AGE + 7, (True, "succeeded", MAX_AGE + 7, T + STALE_LIMIT), id="idle"
    ),
    pytest.param(
        FAILED, T + 400, (True, "failed", 400, T + STALE_LIMIT), id="in an outage: still serving"
    ),
    pytest.param(
        FAILED,
        T + STALE_LIMIT + 1,
        (False, "failed", STALE_LIMIT + 1, T + STALE_LIMIT),
        id="after the limit",
    ),
    pytest.param(FRESH, T - 9, (True, "succeeded", 0, T + STALE_LIMIT), id="a clock set back"),
    pytest.param(
        freshness.restored(A, T), T + 9, (True, "none", 9, T + STALE_LIMIT), id="from a file"
    ),
]


@pytest.mark.parametrize(("state", "now", "expected"), READY)
def test_readiness(state: State, now: float, expected: tuple) -> None:
    assert freshness.readiness("x", state, now, LIMITS) == KeyReadiness("x", *expected)


def test_a_set_from_a_file_is_as_old_as_it_says() -> None:
    state = freshness.restored(A, T)
    assert due(state, T + 1)
    assert view(state, T + MAX_AGE).keys is A
    assert view(state, T + MAX_AGE + 1) == KeyView(None, True, as_of=-inf)  # ask first
    asked = freshness.failed(state, T + MAX_AGE + 2)
    assert view(asked, T + MAX_AGE + 2).keys is A
    late = freshness.failed(state, T + STALE_LIMIT + 1)
    assert view(late, T + STALE_LIMIT + 1).keys is None


# Laws, over any history

times = st.floats(min_value=0, max_value=1e6)
events = st.lists(
    st.tuples(st.sampled_from(["start", "join", "good", "bad"]), times, st.booleans()), max_size=12
)


def history(steps: list[tuple[str, float, bool]]) -> State:
    """A state as the runtime could have made it: only what is in flight lands."""
    state = State()
    for event, now, waits in steps:
        if event == "start" and state.started_at is None:
            state = freshness.started(state, now, joined=waits)
        elif state.started_at is not None and event == "join":
            state = freshness.joined(state)
        elif state.started_at is not None and event == "good":
            state = succeeded(state, A, now, lifetime=now % 4000)
        elif state.started_at is not None and event == "bad":
            state = freshness.failed(state, now)
    return state


@given(events, times)
def test_without_keys_a_request_may_wait_or_the_provider_is_failing(
    steps: list[tuple[str, float, bool]], now: float
) -> None:
    """Nobody is answered 503 while all is well."""
    state = history(steps)
    found = view(state, now)
    if found.keys is None and not found.fetchable:
        assert state.failed or state.started_at is not None


@given(events, times)
def test_a_pause_ends_whatever_the_clock_did(
    steps: list[tuple[str, float, bool]], now: float
) -> None:
    state = history(steps)
    if state.started_at is None:
        assert view(state, max(now, state.attempted_at, state.asked_at) + COOLDOWN).fetchable
        assert due(state, max(now, state.attempted_at, state.fetched_at) + MAX_AGE)


@given(events, times)
def test_keys_are_never_older_than_the_limit(
    steps: list[tuple[str, float, bool]], now: float
) -> None:
    state = history(steps)
    if view(state, now).keys is not None:
        assert now - state.fetched_at <= STALE_LIMIT


moments = st.lists(
    st.tuples(st.sampled_from(["start", "join", "good", "bad"]), st.floats(0, 5000), st.booleans()),
    max_size=8,
)


@given(moments, st.floats(-100, 9000))
def test_what_is_quiet_is_what_would_be_seen(
    steps: list[tuple[str, float, bool]], now: float
) -> None:
    state = history(steps)
    assert not freshness.is_quiet(state, OTHER, now, LIMITS)
    if freshness.is_quiet(state, A, now, LIMITS):
        assert view(state, now).keys is A
        assert not due(state, now)


def test_the_common_case_is_quiet() -> None:
    state = succeeded(State(), A, T)
    assert freshness.is_quiet(state, A, T, LIMITS)
    assert freshness.is_quiet(state, A, T + 0.8 * REFRESH_AFTER - 1, LIMITS)
    assert not freshness.is_quiet(state, A, T - 1, LIMITS)
    assert not freshness.is_quiet(state, A, T + REFRESH_AFTER, LIMITS)
    assert not freshness.is_quiet(state, OTHER, T, LIMITS)
    shorter = Limits(max_age=60.0)  # after a reload
    assert not freshness.is_quiet(state, A, T + 61, shorter)
    assert not freshness.is_quiet(freshness.started(state, T, joined=False), A, T, LIMITS)
    assert not freshness.is_quiet(freshness.failed(state, T), A, T, LIMITS)


def test_the_figures_fit_each_other() -> None:
    assert RETRY_AFTER < OVERDUE < COOLDOWN < 0.8 * MIN_REFRESH < REFRESH_AFTER < MAX_AGE
    assert MAX_AGE < STALE_LIMIT
