"""Asking issuers about opaque tokens: one question at a time for a token, few at a time in all.

Good answers stand in the verified-token cache; refusals and failures here, apart, so that random
tokens push out no good one. An issuer that does not answer is left alone for a while (RFC 7662 §4).
"""

from __future__ import annotations

import time
import traceback
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from math import inf
from threading import Lock
from typing import Final, NamedTuple

from authz_middleware.effects import CachedToken, TokenCache
from authz_middleware.facts import KeyReadiness, Principal
from authz_middleware.observe.log import LOGGER
from authz_middleware.runtime.bounded import Bounded
from authz_middleware.runtime.fetch import FetchFailed, NotTaken, Response, post
from authz_middleware.runtime.forks import renew_in_child
from authz_middleware.runtime.threads import begin
from authz_middleware.tokens import introspection
from authz_middleware.tokens.freshness import RETRY_AFTER
from authz_middleware.tokens.introspection import Introspected, NoAnswer, OpaqueToken, Question
from authz_middleware.tokens.introspection_table import Introspection
from authz_middleware.tokens.issuers import Issuer
from authz_middleware.tokens.rejection import Rejected

__all__ = ["Introspector"]

MAX_ANSWER: Final = 64 * 1024
"""Bytes of an answer; a token itself has at most 16 KiB."""

REFUSED_FOR: Final = 5.0
"""Seconds for which a refusal is believed: an inactive token does not come back to life."""

MAX_REFUSALS: Final = 4096
_REFUSAL_BYTES: Final = 512  # one entry: digest, answer, times and tables; measured

MAX_ASKING: Final = 16
"""Questions in the air in one lane; each takes a thread and a connection."""

MAX_TAKEN: Final = 256
"""Questions of one lane, those in the air included; more are answered 503 at once."""

MAX_AGE: Final = 10.0
"""Seconds after which nobody waits for a question any more, so it is not asked (see `drivers`)."""


class Held(NamedTuple):
    """An answer that is not "yes", and for how long it is believed."""

    answer: Introspected
    since: float
    until: float


_PAUSED: Final = Introspected(unavailable="paused")
_BUSY: Final = Introspected(unavailable="busy")
_SLOW: Final = Introspected(unavailable="slow")
_FAILED: Final = Introspected(unavailable="failed")
_UNREACHABLE: Final = Introspected(unavailable="unreachable")
_UNUSABLE: Final = Introspected(unavailable="unusable_answer")


class _Job(NamedTuple):
    """A question that waits for its turn."""

    flight: Future[Introspected]
    token: OpaqueToken
    digest: bytes
    since: float  # by a clock that nobody sets


class _Lane:
    """Questions about one kind of token: those that wait, how many in all, and who asks them."""

    __slots__ = ("taken", "waiting", "workers")

    def __init__(self) -> None:
        self.waiting: deque[_Job] = deque()
        self.taken = 0
        self.workers = 0


class _Process:
    """What belongs to one process: threads and their futures do not survive a fork, and a lock
    that was held at that moment would never be released.
    """

    __slots__ = ("air", "flights", "known", "lock", "probe", "strangers")

    def __init__(self) -> None:
        self.lock = Lock()
        self.flights: dict[bytes, Future[Introspected]] = {}
        self.air: dict[bytes, float] = {}  # since when each question is in the air, oldest first
        self.probe: bytes | None = None  # the one question that may be asked while it is failing
        # Tokens that were good a moment ago do not wait behind those that nobody has seen.
        self.known = _Lane()
        self.strangers = _Lane()

    def hangs(self) -> bool:
        """Whether a question is in the air too long; a name service is not held to our time."""
        return time.monotonic() - next(iter(self.air.values()), inf) > MAX_AGE


class Introspector:
    """One issuer that is asked about its tokens.

    `clock` returns seconds since the epoch. `start` runs a function without waiting for it.
    """

    def __init__(
        self,
        issuer: Issuer,
        config: Introspection,
        cache: TokenCache,
        expand: Callable[[Principal], Principal],
        clock: Callable[[], float],
        post: Callable[[Question], Response] | None = None,
        *,
        start: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        self._issuer = issuer
        self._config = config
        self._cache = cache
        self._expand = expand
        self._clock = clock
        self._post = post or _post
        self._start = start or _on_a_thread
        self._answered = False
        self._failed_at: float | None = None  # since when the issuer does not answer, if so
        self.renew()
        renew_in_child(self)

    def renew(self) -> None:
        """Begin anew, with nothing in the air and nothing held."""
        self._process = _Process()
        self._refusals: Bounded[Held] = Bounded(
            MAX_REFUSALS, MAX_REFUSALS * _REFUSAL_BYTES, lambda _: _REFUSAL_BYTES
        )

    def believes(self, known: CachedToken, now: float) -> bool:
        """Whether an answer that was good is believed still.

        The age counts too: a clock that was set back catches up, long after the answer was given.
        """
        return known.since <= now < known.until and time.monotonic() < known.lasts

    def held(self, digest: bytes, now: float) -> Introspected | None:
        """Return what is known without asking, if it is not that the token is good."""
        held = self._refusals.get(digest)
        if held is not None and held.since <= now < held.until:
            return held.answer
        return _PAUSED if self._paused(now) else None

    def readiness(self, issuer: str, now: float) -> KeyReadiness:
        """Return how it was when it was last asked. Nobody is asked for this.

        It is ready again as soon as it may be asked, or a server that nobody sends requests to
        because it is not ready would never find out.
        """
        process = self._process
        with process.lock:
            if process.hangs():
                return KeyReadiness(issuer, False, "failed")
        if self._failed_at is not None:
            return KeyReadiness(issuer, not self._paused(now), "failed")
        return KeyReadiness(issuer, True, "succeeded" if self._answered else "none")

    def ask(self, token: OpaqueToken, digest: bytes) -> Future[Introspected]:
        """Return the question in the air about this token, or ask.

        It never fails, and cannot be cancelled: whoever stops waiting takes no answer along.
        """
        process = self._process
        with process.lock:
            if process.hangs():
                return _landed(_PAUSED)
            flight = process.flights.get(digest)
            if flight is not None:
                return flight
            known = self._cache.get(digest)
            # Looked at again: the answer may have come since the request looked.
            answer = self._good(known) or self.held(digest, self._clock())
            if answer is not None:
                return _landed(answer)
            lane = process.strangers if known is None else process.known
            if lane.taken >= MAX_TAKEN:
                return _landed(_BUSY)
            return self._take(process, lane, token, digest)

    def _take(
        self, process: _Process, lane: _Lane, token: OpaqueToken, digest: bytes
    ) -> Future[Introspected]:
        if lane.workers < MAX_ASKING:
            try:
                self._start(lambda: self._work(process, lane))
            except RuntimeError as error:  # no thread, or the interpreter is going down
                self._complain(str(error))
                if not lane.workers:
                    return _landed(_FAILED)
            else:
                lane.workers += 1
        flight: Future[Introspected] = Future()
        flight.set_running_or_notify_cancel()
        if self._failed_at is not None:
            process.probe = digest
        lane.waiting.append(_Job(flight, token, digest, time.monotonic()))
        lane.taken += 1
        process.flights[digest] = flight
        return flight

    def _paused(self, now: float) -> bool:
        """Whether the issuer is left alone: it failed a moment ago, or one question tries it."""
        failed_at = self._failed_at
        if failed_at is None:
            return False
        # A time in the future means that the clock was set back: waiting could take for ever.
        return self._process.probe is not None or failed_at <= now < failed_at + RETRY_AFTER

    def _good(self, known: CachedToken | None) -> Introspected | None:
        if known is None or not self.believes(known, self._clock()):
            return None
        return Introspected(known.verified)

    def _work(self, process: _Process, lane: _Lane) -> None:
        """Ask one question after the other while any wait. Runs on a thread of the lane."""
        while True:
            with process.lock:
                if not lane.waiting:
                    lane.workers -= 1
                    return
                job = lane.waiting.popleft()
                now = time.monotonic()
                failing = self._failed_at is not None and process.probe != job.digest
                answer = _PAUSED if failing else _SLOW if now - job.since > MAX_AGE else None
                process.air[job.digest] = now
            if answer is None:
                answer = self._served(process, job)
            with process.lock:
                lane.taken -= 1
                del process.flights[job.digest], process.air[job.digest]
                if process.probe == job.digest:
                    process.probe = None
            job.flight.set_result(answer)
            del job  # with the token in it

    def _served(self, process: _Process, job: _Job) -> Introspected:
        try:
            asked_at, lasts = self._clock(), time.monotonic() + self._config.cache
            answer = self._asked(job.token)
            with process.lock:
                self._keep(job.digest, answer, asked_at, lasts)
        except Exception as error:  # noqa: BLE001 - waiting requests get an answer even if we err
            # Where it happened, and no values: among those on the stack is the token.
            stack = "".join(traceback.format_tb(error.__traceback__))
            self._complain(f"{type(error).__name__}\n{stack}")
            return _FAILED
        return answer

    def _asked(self, token: OpaqueToken) -> Introspected:
        try:
            response = self._post(introspection.question(self._config, token))
            answer = introspection.read(*response)
            verified = introspection.judge(answer, self._issuer, self._clock())
        except Rejected as rejected:
            return Introspected(refused=rejected.detail)
        except (FetchFailed, NoAnswer) as error:
            self._complain(str(error))
            # What only this token's answer can be blamed for must not shut out the others.
            own = isinstance(error, NotTaken) or (isinstance(error, NoAnswer) and not error.general)
            return _UNUSABLE if own else _UNREACHABLE
        return Introspected(verified._replace(principal=self._expand(verified.principal)))

    def _keep(self, digest: bytes, answer: Introspected, asked_at: float, lasts: float) -> None:
        now = self._clock()
        self._failed_at = now if answer == _UNREACHABLE else None
        self._answered = self._answered or answer != _UNREACHABLE
        if answer.verified is not None:
            # RFC 7662 §4: never past `exp`, and the leeway is none of its.
            until = min(asked_at + self._config.cache, answer.verified.principal.expires_at)
            name = self._issuer.issuer
            good = CachedToken(name, None, answer.verified, asked_at, until, lasts)
            self._cache.put(digest, good)
        elif answer.refused:
            self._cache.discard(digest)
            self._refuse(digest, answer, asked_at, min(self._config.cache, REFUSED_FOR))
        elif answer != _UNREACHABLE:
            self._refuse(digest, answer, now, RETRY_AFTER)

    def _refuse(self, digest: bytes, answer: Introspected, since: float, seconds: float) -> None:
        self._refusals.put(digest, Held(answer, since, since + seconds))

    def _complain(self, what: str) -> None:
        with suppress(Exception):  # the log itself may be what fails
            LOGGER.error("tokens of %s: not introspected: %s", self._issuer.issuer, what)


def _post(question: Question) -> Response:
    return post(question.url, question.body, question.headers, max_bytes=MAX_ANSWER)


def _on_a_thread(work: Callable[[], None]) -> None:
    begin(work, "authz-introspection")


def _landed(answer: Introspected) -> Future[Introspected]:
    flight: Future[Introspected] = Future()
    flight.set_result(answer)
    return flight
