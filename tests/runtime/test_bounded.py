"""The bounded map: never more than its bounds, and what is in use stays."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.runtime.bounded import SPARED, Bounded

ROOM = 64 * 100

Item = tuple[int, int]
"""A value and its weight."""


def bounded_to(entries: int) -> Bounded[Item]:
    return Bounded(entries, ROOM, lambda item: item[1])


def key(number: int) -> bytes:
    return number.to_bytes(4)


def held(bounded: Bounded[Item]) -> list[int]:
    return [slot.value[0] for slot in bounded._entries.values()]


def test_what_was_put_is_found() -> None:
    bounded = bounded_to(3)
    assert bounded.get(key(1)) is None
    bounded.put(key(1), (1, 10))
    assert bounded.get(key(1)) == (1, 10)
    bounded.put(key(1), (2, 20))
    assert (bounded.get(key(1)), len(bounded), bounded.weight) == ((2, 20), 1, 20)
    bounded.discard(key(1))
    bounded.discard(key(1))
    assert (bounded.get(key(1)), len(bounded), bounded.weight) == (None, 0, 0)


def test_the_bound_of_entries() -> None:
    bounded = bounded_to(3)
    for number in range(10):
        bounded.put(key(number), (number, 1))
        assert len(bounded) == min(number + 1, 3)
    assert held(bounded) == [7, 8, 9]  # the oldest go


def test_the_bound_of_bytes() -> None:
    bounded = bounded_to(1000)
    for number in range(200):
        bounded.put(key(number), (number, 90))
        assert bounded.weight <= ROOM
    assert held(bounded) == list(range(200 - ROOM // 90, 200))
    bounded.put(key(999), (999, 100))  # as much as is allowed: several must go
    assert bounded.get(key(999)) == (999, 100)
    assert bounded.weight <= ROOM


def test_what_would_push_out_many_is_not_held() -> None:
    bounded = bounded_to(1000)
    bounded.put(key(1), (1, 100))
    bounded.put(key(2), (2, 101))
    assert held(bounded) == [1]
    bounded.put(key(1), (3, 101))  # nor is what it takes the place of
    assert (held(bounded), bounded.weight) == ([], 0)


def test_what_is_in_use_survives_a_flood() -> None:
    """The flood's own entries are asked for once; those in use are between any two of them."""
    bounded = bounded_to(100)
    for number in range(50):
        bounded.put(key(number), (number, 1))
    for number in range(1000, 11_000):
        bounded.put(key(number), (number, 1))
        for used in range(0, 50, 5):
            bounded.get(key(used))
    assert [number for number in held(bounded) if number < 1000] != []
    assert {number for number in held(bounded) if number < 1000} == set(range(0, 50, 5))
    assert len(bounded) == 100


def test_no_put_walks_through_all() -> None:
    """Where everything is in use, the oldest of all goes after a few steps."""
    bounded = bounded_to(100)
    for number in range(100):
        bounded.put(key(number), (number, 1))
    for number in range(100):
        bounded.get(key(number))
    bounded.put(key(1000), (1000, 1))
    assert held(bounded) == [*range(SPARED + 1, 100), *range(SPARED), 1000]


STEPS = st.lists(
    st.tuples(st.sampled_from("pgd"), st.integers(0, 9), st.integers(0, 120)), max_size=60
)


@given(STEPS, st.integers(1, 5))
def test_it_never_holds_more_than_its_bounds(steps: list[tuple[str, int, int]], most: int) -> None:
    bounded = bounded_to(most)
    latest: dict[int, Item] = {}
    for step, number, weight in steps:
        if step == "p":
            bounded.put(key(number), (weight, weight))
            latest[number] = (weight, weight)
        elif step == "d":
            bounded.discard(key(number))
            latest.pop(number, None)
        else:
            assert bounded.get(key(number)) in (None, latest.get(number))
        weights = [slot.weight for slot in bounded._entries.values()]
        assert bounded.weight == sum(weights) <= ROOM
        assert len(bounded) <= most
        assert max(weights, default=0) <= ROOM // 64


@pytest.mark.parametrize("most", [7, 50])
def test_many_threads(most: int) -> None:
    bounded = bounded_to(most)
    together = Barrier(8)

    def work(seed: int) -> None:
        together.wait(30)
        for number in range(1000):
            mine = (seed * 7 + number) % 120
            bounded.put(key(mine), (mine, number % 100))
            found = bounded.get(key(mine))
            assert found is None or found[0] == mine
            assert len(bounded) <= most
            if number % 5 == 0:
                bounded.discard(key(mine))

    with ThreadPoolExecutor(8) as threads:
        for each in [threads.submit(work, seed) for seed in range(8)]:
            each.result(30)
    assert bounded.weight == sum(slot.weight for slot in bounded._entries.values()) <= ROOM
