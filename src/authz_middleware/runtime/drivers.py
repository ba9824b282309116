"""Two drivers for one generator: they answer its effects, with and without `await`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future
from typing import Protocol, cast

from authz_middleware.engine import KeysAnswer, NeedKeys, Outcome
from authz_middleware.tokens.freshness import KeyView

__all__ = ["Refreshable", "drive", "drive_async"]

Steps = Generator[NeedKeys, KeysAnswer, Outcome]
Clock = Callable[[], float]


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
            source.refresh().result()
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
            # Shielded: a client that goes away must not cancel the fetch others wait for.
            await asyncio.shield(asyncio.wrap_future(source.refresh()))
            now = clock()
            effect = steps.send(KeysAnswer(source.view(now), now))
    except StopIteration as stop:
        return cast("Outcome", stop.value)
