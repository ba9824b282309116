"""Two drivers for one generator: they answer its effects, with and without `await`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from typing import Protocol, cast

from authz_middleware.engine import KeysAnswer, NeedKeys, Outcome
from authz_middleware.tokens.freshness import KeyView

__all__ = ["Refreshable", "drive", "drive_async"]

Steps = Generator[NeedKeys, KeysAnswer, Outcome]
Clock = Callable[[], float]


MAX_WAIT = 10.0
"""Seconds that a request waits for keys; discovery may take several fetches of five each."""


class Refreshable(Protocol):
    """A key source that can be renewed."""

    def view(self, now: float) -> KeyView: ...
    def refresh(self) -> Future[None]: ...


def _answer(source: Refreshable, flight: Future[None], now: float) -> KeysAnswer:
    view = source.view(now)
    # Waited long enough: what the keys at hand cannot tell is the provider's fault.
    return KeysAnswer(view if flight.done() else replace(view, failing=True), now)


def drive(steps: Steps, sources: Mapping[str, Refreshable], clock: Clock) -> Outcome:
    """Run `steps` to their outcome, blocking this thread where they must wait."""
    try:
        effect = next(steps)
        while True:
            source = sources[effect.issuer]
            flight = source.refresh()
            with suppress(TimeoutError):
                flight.result(MAX_WAIT)
            effect = steps.send(_answer(source, flight, clock()))
    except StopIteration as stop:
        return cast("Outcome", stop.value)


async def drive_async(steps: Steps, sources: Mapping[str, Refreshable], clock: Clock) -> Outcome:
    """Run `steps` to their outcome, leaving the event loop free where they must wait."""
    try:
        effect = next(steps)
        while True:
            source = sources[effect.issuer]
            # Shielded: a client that goes away must not cancel the fetch others wait for.
            flight = source.refresh()
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(flight)), MAX_WAIT)
            effect = steps.send(_answer(source, flight, clock()))
    except StopIteration as stop:
        return cast("Outcome", stop.value)
