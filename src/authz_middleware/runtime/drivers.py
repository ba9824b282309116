"""Two drivers for one generator: they answer its effects, with and without `await`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, cast

from authz_middleware.effects import (
    DecisionAnswer,
    IntrospectionAnswer,
    KeysAnswer,
    NeedDecision,
    NeedIntrospection,
    NeedKeys,
    NeedResource,
    Outcome,
    ResourceAnswer,
    Steps,
)
from authz_middleware.policy.questions import Said
from authz_middleware.policy.resources import Loaded
from authz_middleware.tokens.freshness import KeyView
from authz_middleware.tokens.introspection import Introspected, OpaqueToken

__all__ = ["Askable", "Deciding", "Loading", "Outside", "Refreshable", "drive", "drive_async"]

MAX_WAIT = 10.0
"""Seconds that a request waits; nobody joins a fetch of keys that is almost as old (OVERDUE)."""


class Refreshable(Protocol):
    """A key source that can be renewed."""

    def view(self, now: float) -> KeyView: ...
    def refresh(self, arrived: float, /) -> Future[None]: ...


class Askable(Protocol):
    """An issuer that can be asked about a token."""

    def ask(self, token: OpaqueToken, digest: bytes) -> Future[Introspected]: ...


class Loading(Protocol):
    """What loads attributes, within the time that the effect names; it raises nothing."""

    def load(self, effect: NeedResource) -> Loaded: ...
    async def load_async(self, effect: NeedResource) -> Loaded: ...


class Deciding(Protocol):
    """What asks decision points, within their time; it raises nothing."""

    def ask(self, effect: NeedDecision) -> tuple[Said, ...]: ...
    async def ask_async(self, effect: NeedDecision) -> tuple[Said, ...]: ...


@dataclass(frozen=True, slots=True)
class Outside:
    """Where the effects lead, by issuer, and the time. What it begins never fails."""

    keys: Mapping[str, Refreshable]
    introspection: Mapping[str, Askable]
    clock: Callable[[], float]
    loaders: Loading
    decision_points: Deciding

    def begin(self, effect: NeedKeys | NeedIntrospection) -> Future[Any]:
        """Begin what `effect` wants, or join it where it has begun already."""
        if isinstance(effect, NeedKeys):
            return self.keys[effect.issuer].refresh(effect.arrived)
        return self.introspection[effect.issuer].ask(effect.token, effect.digest)

    def answer(
        self, effect: NeedKeys | NeedIntrospection, flight: Future[Any]
    ) -> KeysAnswer | IntrospectionAnswer:
        """Answer `effect` when its flight has landed, or was waited for long enough."""
        now = self.clock()
        if isinstance(effect, NeedKeys):
            return KeysAnswer(self.keys[effect.issuer].view(now), now)
        slow = Introspected(unavailable="slow")
        return IntrospectionAnswer(flight.result() if flight.done() else slow, now)


def drive(steps: Steps, outside: Outside) -> Outcome:
    """Run `steps` to their outcome, blocking this thread where they must wait."""
    try:
        effect = next(steps)
        while True:
            if isinstance(effect, NeedResource):
                found = outside.loaders.load(effect)
                effect = steps.send(ResourceAnswer(found, outside.clock()))
                continue
            if isinstance(effect, NeedDecision):
                said = outside.decision_points.ask(effect)
                effect = steps.send(DecisionAnswer(said, outside.clock()))
                continue
            flight = outside.begin(effect)
            with suppress(TimeoutError):
                flight.result(MAX_WAIT)
            effect = steps.send(outside.answer(effect, flight))
    except StopIteration as stop:
        return cast("Outcome", stop.value)


async def drive_async(steps: Steps, outside: Outside) -> Outcome:
    """Run `steps` to their outcome, leaving the event loop free where they must wait."""
    try:
        effect = next(steps)
        while True:
            if isinstance(effect, NeedResource):
                found = await outside.loaders.load_async(effect)
                effect = steps.send(ResourceAnswer(found, outside.clock()))
                continue
            if isinstance(effect, NeedDecision):
                said = await outside.decision_points.ask_async(effect)
                effect = steps.send(DecisionAnswer(said, outside.clock()))
                continue
            # A client that goes away cancels its own waiting only: a flight cannot be cancelled.
            flight = outside.begin(effect)
            with suppress(TimeoutError):
                # Not `wait_for`: before Python 3.12 it swallows a cancellation that comes as the
                # flight lands.
                async with asyncio.timeout(MAX_WAIT):
                    await asyncio.wrap_future(flight)
            effect = steps.send(outside.answer(effect, flight))
    except StopIteration as stop:
        return cast("Outcome", stop.value)
