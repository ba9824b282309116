"""The circuit breaker: every way through it, in steps."""

from __future__ import annotations

from threading import Barrier, Thread

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from authz_middleware.runtime.breaker import Breaker
from authz_middleware.runtime.forks import renew
from authz_middleware.testing import FrozenClock


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(1000.0)


@pytest.fixture
def breaker(clock: FrozenClock) -> Breaker:
    return Breaker(3, 10, clock)


def went(breaker: Breaker, *, failed: bool | None) -> bool:
    """Go through, and say how it went."""
    turn = breaker.enter()
    assert turn is not None, "it is open"
    return breaker.report(turn, failed=failed)


def opened(breaker: Breaker) -> Breaker:
    assert [went(breaker, failed=True) for _ in range(3)] == [False, False, True]
    return breaker


def test_it_opens_after_so_many_failures_in_a_row(breaker: Breaker) -> None:
    for failed in (True, True, False, True, True, None):
        assert not went(breaker, failed=failed)
    assert went(breaker, failed=True)
    assert breaker.enter() is None


def test_after_the_pause_one_tries_it(breaker: Breaker, clock: FrozenClock) -> None:
    opened(breaker)
    clock.advance(9.9)
    assert breaker.enter() is None
    clock.advance(0.1)
    turn = breaker.enter()
    assert turn is not None
    assert breaker.enter() is None, "a second one tries it"
    assert not breaker.report(turn, failed=False)
    assert [went(breaker, failed=True) for _ in range(3)] == [False, False, True]


def test_one_failure_is_enough_while_it_is_tried(breaker: Breaker, clock: FrozenClock) -> None:
    opened(breaker)
    clock.advance(10)
    assert went(breaker, failed=True)
    assert breaker.enter() is None
    clock.advance(9.9)
    assert breaker.enter() is None
    clock.advance(0.1)
    assert not went(breaker, failed=False)


def test_who_tried_it_and_went_away_leaves_it_to_the_next(
    breaker: Breaker, clock: FrozenClock
) -> None:
    opened(breaker)
    clock.advance(10)
    assert not went(breaker, failed=None)
    assert not went(breaker, failed=False)


@pytest.mark.parametrize("failed", [True, False, None])
def test_what_was_begun_before_it_opened_says_nothing_afterwards(
    breaker: Breaker, clock: FrozenClock, failed: bool | None
) -> None:
    """Else an answer that took long would close it, or a late failure would keep it open."""
    early = breaker.enter()
    assert early is not None
    opened(breaker)
    clock.advance(5)
    assert not breaker.report(early, failed=failed)
    assert breaker.enter() is None
    clock.advance(5)
    probe = breaker.enter()
    assert probe is not None
    assert not breaker.report(early, failed=failed)
    assert breaker.enter() is None, "the early one was taken for the one that tries it"
    assert not breaker.report(probe, failed=False)
    assert not breaker.report(early, failed=failed)
    assert breaker.enter() is not None


def test_a_clock_that_was_set_back_does_not_keep_it_open(
    breaker: Breaker, clock: FrozenClock
) -> None:
    opened(breaker)
    clock.advance(-500)
    assert not went(breaker, failed=False)
    assert breaker.enter() is not None


def test_a_child_begins_anew(breaker: Breaker) -> None:
    opened(breaker)
    renew()
    assert breaker.enter() is not None


def test_of_many_at_once_one_tries_it(breaker: Breaker, clock: FrozenClock) -> None:
    opened(breaker)
    clock.advance(10)
    barrier, turns = Barrier(16), list[int | None]()

    def enter() -> None:
        barrier.wait()
        turns.append(breaker.enter())

    threads = [Thread(target=enter) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([turn for turn in turns if turn is not None]) == 1


class Machine(RuleBasedStateMachine):
    """Against a list of what was reported, in any order of entering and reporting."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FrozenClock(0.0)
        self.breaker = Breaker(2, 10, self.clock)
        self.inside: list[int] = []
        self.open_since: float | None = None

    @rule()
    def enter(self) -> None:
        turn = self.breaker.enter()
        if turn is not None:
            self.inside.append(turn)
            if self.open_since is not None:
                assert self.clock() >= self.open_since + 10

    @rule(seconds=st.integers(1, 12))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule(data=st.data(), failed=st.sampled_from([True, False, None]))
    def report(self, data: st.DataObject, failed: bool | None) -> None:
        if not self.inside:
            return
        turn = self.inside.pop(data.draw(st.integers(0, len(self.inside) - 1)))
        current = turn == self.breaker._turn
        if self.breaker.report(turn, failed=failed):
            assert failed
            assert current
            self.open_since = self.clock()
        elif failed is False and current:
            self.open_since = None

    @invariant()
    def at_most_one_is_inside_while_it_is_open(self) -> None:
        if self.open_since is not None:
            assert self.inside.count(self.breaker._turn) <= 1

    @invariant()
    def it_never_stays_shut_for_ever(self) -> None:
        if self.open_since is not None and self.breaker._turn not in self.inside:
            fresh = Breaker(2, 10, lambda: self.clock() + 10)
            fresh._open_since, fresh._probed = self.breaker._open_since, self.breaker._probed
            assert fresh.enter() is not None


TestMachine = Machine.TestCase
