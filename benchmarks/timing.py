"""Paired, interleaved batches, and the medians of what they took.

All contenders of a group take turns within one run: each round runs one batch of each, in an order
drawn anew, so that whatever else the machine does falls on all of them alike. What one adds to
another is the median of the differences within the rounds. Rounds before the first counted one warm
up, and find how many calls make a batch.

Batches within one process are measured in CPU time of the process: it leaves out what other
processes take. The garbage collector stays on, because servers run with it, but what was made
before is frozen: nobody pays for another's modules.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median

__all__ = ["Batch", "Runs", "interleaved", "settled"]

Batch = Callable[[int], float]
"""Makes so many calls; returns the seconds that they took together."""

WARM_UP = 2


class Runs:
    """Seconds per call, round by round, of each contender."""

    def __init__(self, seconds: Mapping[str, Sequence[float]]) -> None:
        if len({len(each) for each in seconds.values()}) != 1:
            raise ValueError("contenders are compared round by round: all need as many")
        self.seconds = seconds

    def median(self, name: str) -> float:
        """Return the median of one contender."""
        return median(self.seconds[name])

    def added(self, name: str, bare: str) -> float:
        """Return what `name` takes more than `bare`: the median of the paired differences."""
        pairs = zip(self.seconds[name], self.seconds[bare], strict=True)
        return median(one - other for one, other in pairs)

    def ratio(self, name: str, other: str) -> float:
        """Return how many times `other` `name` takes: the median of the paired quotients."""
        pairs = zip(self.seconds[name], self.seconds[other], strict=True)
        return median(one / two for one, two in pairs)


@contextmanager
def settled() -> Generator[None]:
    """Let nobody's garbage be collected at another's expense while the block runs."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def interleaved(
    batches: Mapping[str, Batch],
    rounds: int,
    *,
    seconds: float = 0.0,
    calls: int = 1,
    seed: int = 7,
) -> Runs:
    """Run `rounds` batches of each contender in turns.

    A batch has `calls` calls, or as many more as take about `seconds`.
    """
    # An order of turns, not a secret: the same in each run.
    order = random.Random(seed)
    names = list(batches)
    sizes = {name: _size(batches[name], calls, seconds) for name in names}
    found: dict[str, list[float]] = {name: [] for name in names}
    with settled():
        for turn in range(WARM_UP + rounds):
            order.shuffle(names)
            for name in names:
                taken = batches[name](sizes[name]) / sizes[name]
                if turn >= WARM_UP:
                    found[name].append(taken)
    return Runs(found)


def _size(batch: Batch, calls: int, seconds: float) -> int:
    """Double a batch until it takes about as long as it should."""
    while True:
        taken = batch(calls)
        if taken >= seconds / 2:
            return max(calls, round(calls * seconds / taken)) if seconds else calls
        calls *= 2
