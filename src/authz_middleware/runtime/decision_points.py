"""Asking decision points: on threads, so that they can be given up on, and none that is failing.

Whatever comes of it, the request gets an answer, and no answer lets anybody in. Why there was none
is logged here; nothing that was sent or came back is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from time import monotonic
from typing import Final, NamedTuple
from uuid import uuid4

from authz_middleware.authzen.asking import MAX_ANSWER, NoDecision, Posted, posted, read
from authz_middleware.authzen.decision_point import DecisionPoint
from authz_middleware.effects import NeedDecision
from authz_middleware.observe.log import LOGGER
from authz_middleware.policy.questions import Said, Unanswered
from authz_middleware.runtime.breaker import Breaker
from authz_middleware.runtime.fetch import FetchFailed, NotTaken, Response, TimedOut, post
from authz_middleware.runtime.workers import askers

__all__ = ["DecisionPoints", "Post"]

Post = Callable[[Posted, float], Response]
"""Sends what is posted, in so many seconds; raises FetchFailed."""


class _Came(NamedTuple):
    """What came of asking: decisions, or why there are none.

    `failed`: whether the decision point is to blame; None if that cannot be told.
    """

    said: tuple[Said, ...] = ()
    why: str = ""
    failed: bool | None = None

    def to(self, effect: NeedDecision) -> tuple[Said, ...]:
        """Return what is said to each question."""
        return self.said or tuple(Unanswered(self.why) for _ in effect.questions)


_PAUSED: Final = _Came(why="paused")
_BUSY: Final = _Came(why="busy")
_SLOW: Final = _Came(why="timeout", failed=True)
_LEFT: Final = _Came(why="left")


class DecisionPoints:
    """The decision points of one policy, by name. `clock` returns seconds since the epoch."""

    def __init__(
        self,
        points: Mapping[str, DecisionPoint],
        clock: Callable[[], float],
        send: Post | None = None,
    ) -> None:
        self._points: Final = {
            name: _Asked(point, Breaker(point.failures, point.pause, clock), send or _post)
            for name, point in points.items()
        }

    def ask(self, effect: NeedDecision) -> tuple[Said, ...]:
        """Ask, blocking this thread; it waits no longer than the deadline."""
        asked = self._points[effect.pdp]
        turn = asked.breaker.enter()
        if turn is None:
            return _PAUSED.to(effect)
        came = _LEFT
        try:
            flight = askers.submit(asked.job(effect, turn))
            came = _BUSY if flight is None else _landed(flight, asked.point.timeout)
        finally:
            asked.report(turn, came)
        return came.to(effect)

    async def ask_async(self, effect: NeedDecision) -> tuple[Said, ...]:
        """Ask, leaving the event loop free."""
        asked = self._points[effect.pdp]
        turn = asked.breaker.enter()
        if turn is None:
            return _PAUSED.to(effect)
        came = _LEFT  # as it is if the client goes away meanwhile
        try:
            flight = askers.submit(asked.job(effect, turn))
            if flight is None:
                came = _BUSY
            else:
                with suppress(TimeoutError):
                    # As in `drivers`: not `wait_for`.
                    async with asyncio.timeout(asked.point.timeout):
                        await asyncio.wrap_future(flight)
                came = _landed(flight, 0)
        finally:
            asked.report(turn, came)
        return came.to(effect)


def _landed(flight: Future[_Came], timeout: float) -> _Came:
    """Return what came of it within so many seconds."""
    if flight.cancelled():
        return _BUSY
    try:
        return flight.result(timeout)
    except TimeoutError:
        # If it was never begun, it is not the decision point that is slow.
        return _BUSY if flight.cancel() else _SLOW


class _Asked(NamedTuple):
    """One decision point, and how it is doing."""

    point: DecisionPoint
    breaker: Breaker
    send: Post

    def job(self, effect: NeedDecision, turn: int) -> Callable[[], _Came]:
        """Return what asks, on a thread of ours; it raises nothing."""
        until = monotonic() + self.point.timeout
        return lambda: self._come(effect, turn, until)

    def _come(self, effect: NeedDecision, turn: int, until: float) -> _Came:
        if monotonic() >= until:
            return _BUSY
        if not self.breaker.stands(turn):  # others have found out while this one waited
            return _PAUSED
        id = str(uuid4())
        one_by_one = self.point.evaluations is None
        requests = [(each,) for each in effect.questions] if one_by_one else [effect.questions]
        said: list[Said] = []
        try:
            for questions in requests:
                sent = posted(self.point, questions, effect.principal, effect.at, effect.ip, id)
                said += read(*self.send(sent, self._left(until)), len(questions))
        except NoDecision as none:
            self._complain(str(none), id)
            return _Came(why=none.why, failed=none.general or None)
        except FetchFailed as error:
            self._complain(str(error), id)
            if isinstance(error, NotTaken):  # what only this answer can be blamed for
                return _Came(why="unusable_answer")
            return _Came(
                why="timeout" if isinstance(error, TimedOut) else "unreachable", failed=True
            )
        except BaseException as error:  # noqa: BLE001 - the thread is kept, and somebody waits
            # Without the values on the stack: among them are our credentials.
            self._complain(type(error).__name__, id)
            return _Came(why="failed")
        return _Came(tuple(said), failed=False)

    def _left(self, until: float) -> float:
        left = until - monotonic()
        if left <= 0:
            raise TimedOut(f"{self.point.evaluation}: took longer than {self.point.timeout:g} s")
        return left

    def report(self, turn: int, came: _Came) -> None:
        """Tell the breaker how it went."""
        if self.breaker.report(turn, failed=came.failed):
            text = "the decision point %a is not asked for %g seconds: it failed %d times in a row"
            with suppress(Exception):  # the log itself may be what fails
                LOGGER.error(text, self.point.name, self.point.pause, self.point.failures)

    def _complain(self, what: str, id: str) -> None:
        text = "the decision point %a gave no decision: %s, X-Request-ID %s"
        with suppress(Exception):  # as above
            LOGGER.error(text, self.point.name, what, id)


def _post(sent: Posted, seconds: float) -> Response:
    return post(sent.url, sent.body, sent.headers, max_bytes=MAX_ANSWER, total_seconds=seconds)
