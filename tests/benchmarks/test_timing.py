"""The arithmetic of paired rounds. No timing is asserted: the clock is a list."""

from __future__ import annotations

import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.timing import WARM_UP, Runs, interleaved, settled

ROUNDS = {"bare": [1.0, 9.0, 1.5], "ours": [3.0, 11.0, 3.0], "slow": [10.0, 90.0, 16.0]}


def test_a_median_is_of_one_contender():
    assert Runs(ROUNDS).median("ours") == 3.0


def test_what_is_added_is_the_median_of_the_differences_within_a_round():
    # The second round was slow for all; the difference of the medians would be 1.5.
    assert Runs(ROUNDS).added("ours", "bare") == 2.0


def test_a_ratio_is_the_median_of_the_quotients_within_a_round():
    assert Runs(ROUNDS).ratio("slow", "bare") == 10.0


def test_contenders_need_as_many_rounds():
    with pytest.raises(ValueError, match="as many"):
        Runs({"one": [1.0], "two": [1.0, 2.0]})


@given(st.lists(st.floats(1e-6, 1e-3), min_size=1), st.floats(1e-6, 1e-3))
def test_what_slows_a_round_down_for_all_does_not_show(noise, added):
    runs = Runs({"bare": noise, "ours": [each + added for each in noise]})
    assert runs.added("ours", "bare") == pytest.approx(added)


class Clockwork:
    """A batch that says how long it took, and remembers how it was called."""

    def __init__(self, name: str, log: list[str], seconds: float = 0.001) -> None:
        self.name, self.log, self.seconds = name, log, seconds
        self.calls: list[int] = []

    def __call__(self, calls: int) -> float:
        self.log.append(self.name)
        self.calls.append(calls)
        return self.seconds * calls


def test_each_round_runs_every_contender_once():
    log: list[str] = []
    batches = {name: Clockwork(name, log) for name in "abc"}
    runs = interleaved(batches, 20, calls=5)
    turns = log[len(batches) :]  # without the search for the size
    rounds = [turns[each : each + 3] for each in range(0, len(turns), 3)]
    assert len(rounds) == 20 + WARM_UP
    assert all(sorted(each) == ["a", "b", "c"] for each in rounds)
    assert len({tuple(each) for each in rounds}) > 1  # in changing order
    assert {name: len(found) for name, found in runs.seconds.items()} == {"a": 20, "b": 20, "c": 20}
    assert runs.median("a") == pytest.approx(0.001)


def test_the_order_of_turns_is_the_same_in_each_run():
    logs: list[list[str]] = [[], []]
    for log in logs:
        interleaved({name: Clockwork(name, log) for name in "abc"}, 10)
    assert logs[0] == logs[1]


def test_a_batch_grows_until_it_takes_long_enough():
    batch = Clockwork("a", [], seconds=0.001)
    interleaved({"a": batch}, 1, seconds=0.1)
    assert batch.calls[-1] == 100


def test_a_batch_of_fixed_size_keeps_it():
    batch = Clockwork("a", [])
    interleaved({"a": batch}, 2, calls=7)
    assert set(batch.calls) == {7}


def test_what_was_there_before_is_frozen_and_comes_back():
    before = gc.get_freeze_count()
    with settled():
        assert gc.get_freeze_count() > before
        assert gc.isenabled()
    assert gc.get_freeze_count() == 0
