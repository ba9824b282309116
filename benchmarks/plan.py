"""How much is measured: everything, or just enough to see that the benchmarks still work."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FULL", "SHORT", "Plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Sizes of one run. Times are in seconds."""

    judged: bool  # whether bars are held against the figures
    rounds: int  # of paired batches in one process
    batch: float  # about how long one batch takes
    tokens: int  # distinct tokens in one batch of the cold path
    many_rules: int
    routes: int  # of the policy that commands read
    roles: int
    passing_tokens: int  # distinct tokens that pass through the cache
    contended: float  # one batch of the contention group
    tasks: int
    pairs: int  # of load runs against a server
    load: int  # one load run, in whole seconds
    every_server: bool


FULL = Plan(
    judged=True,
    rounds=101,
    batch=0.004,
    tokens=50,
    many_rules=10_000,
    routes=2_000,
    roles=50,
    passing_tokens=1_000_000,
    contended=0.1,
    tasks=1_000,
    pairs=7,
    load=2,
    every_server=True,
)

SHORT = Plan(
    judged=False,
    rounds=2,
    batch=0.0005,
    tokens=5,
    many_rules=200,
    routes=40,
    roles=5,
    passing_tokens=2_000,
    contended=0.01,
    tasks=20,
    pairs=1,
    load=1,
    every_server=False,
)
