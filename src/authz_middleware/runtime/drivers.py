"""Two drivers for one generator: they answer its effects, with and without `await`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future
from contextlib import suppress
from typing import Protocol, cast

from authz_middleware.engine import KeysAnswer, NeedKeys, Outcome
from authz_middleware.tokens.freshness import KeyView

__all__ = ["Refreshable", "drive", "drive_async"]

Steps = Generator[NeedKeys, KeysAnswer, Outcome]
Clock = Callable[[], float]


MAX_WAIT = 10.0
"""Seconds that a request waits for keys; nobody joins a fetch that is almost as old (OVERDUE)."""


class Refreshable(Protocol):
    """A key source that can be renewed."""

    def view(self, now: float) -> KeyView: ...
    def refresh(self) -> Future[None]: ...


def drive(steps: Steps, sources: Mapping[str, Refreshable], clock: Clock) -> Outcome:
    """Run `steps` to their outcome, blocking this thread where they must wait."""
    try:
        effect = next(steps)
        while True:
            source = sources[effect.issuer]
            with suppress(TimeoutError):
                source.refresh().result(MAX_WAIT)
            now = clock()
            effect = steps.send(KeysAnswer(source.view(now), now))
    except StopIteration as stop:
        return cast("Outcome", stop.value)


async def drive_async(steps: Steps, sources: Mapping[str, Refreshable], clock: Clock) -> Outcome:
    """Run `steps` to their outcome, leaving the event loop free where they must wait."""
    try:
        effect = next(steps)
        while True:
            source = sources[effect.issuer]
            # A client that goes away cancels its own waiting only: a flight cannot be cancelled.
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.wrap_future(source.refresh()), MAX_WAIT)
            now = clock()
            effect = steps.send(KeysAnswer(source.view(now), now))
    except StopIteration as stop:
        return cast("Outcome", stop.value)
