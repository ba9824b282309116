"""Trial runs: what another policy would decide, beside the one in force and behind its back.

A request hands over what it was, and what became of it, and goes on; a thread decides it again.
So a trial can delay, fail or open nothing. Where it cannot keep up it misses requests, and counts
them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from queue import SimpleQueue
from threading import Event, Lock
from typing import Final, Literal, NamedTuple, TypeAlias
from weakref import finalize

from authz_middleware.effects import Admit, NeedResource, Outcome, Refuse
from authz_middleware.engine import Engine
from authz_middleware.facts import OUTAGES, Authorization, Decision, RequestFacts
from authz_middleware.observe.log import LOGGER, log_trial
from authz_middleware.policy.resources import Loaded, Unloaded
from authz_middleware.runtime.drivers import Outside, drive
from authz_middleware.runtime.forks import renew_in_child
from authz_middleware.runtime.threads import begin
from authz_middleware.tokens.introspection import Introspected, OpaqueToken

__all__ = ["Beside", "NoLoaders", "Trial", "TrialCounts", "Trials", "deciding"]

MAX_WAITING: Final = 256
"""Requests that wait to be tried; more are missed. Each may hold a token of 16 KiB."""

Change: TypeAlias = Literal["same", "allow->deny", "deny->allow", "error"]


@dataclass(frozen=True, slots=True)
class TrialCounts:
    """What a policy on trial would have decided, since it has been on trial in this process.

    `name` is the candidate's file, or "shadow". `errors` are requests of which it cannot be said,
    `missed` those that came too fast to be tried.
    """

    name: str
    same: int
    allow_to_deny: int
    deny_to_allow: int
    errors: int
    missed: int


Decide: TypeAlias = Callable[[RequestFacts, Authorization, float], Outcome]


class Beside(NamedTuple):
    """The policy in force, beside which another is on trial. `shared`: they ask the same issuers.

    What is shared is only looked at: an answer that a trial asked for would change later requests.
    """

    engine: Engine
    shared: bool


def deciding(engine: Engine, outside: Outside, beside: Beside) -> Decide:
    """Return what decides a request with this engine, and may wait.

    On a public route of the policy in force anybody could have issuers asked about anything.
    """
    silent = replace(outside, introspection=dict.fromkeys(outside.introspection, _NotAsked()))

    def decide(facts: RequestFacts, authorization: Authorization, arrived: float) -> Outcome:
        outcome = engine.start(facts, authorization, arrived)
        if isinstance(outcome, (Admit, Refuse)):
            return outcome
        asks_nobody = beside.shared or beside.engine.ruling.is_public(facts)
        return drive(engine.resume(outcome), silent if asks_nobody else outside)

    return decide


class _NotAsked:
    """Stands for an issuer of which no more is known than what is held of the token."""

    def ask(self, token: OpaqueToken, digest: bytes) -> Future[Introspected]:
        """Return that it is not known."""
        del token, digest
        flight: Future[Introspected] = Future()
        flight.set_result(Introspected(unavailable="on_trial"))
        return flight


class NoLoaders:
    """Stands for the app's loaders, which nobody calls for a trial: they are not ours."""

    def load(self, effect: NeedResource) -> Loaded:
        """Return that nothing could be loaded."""
        del effect
        return Unloaded.FAILED

    async def load_async(self, effect: NeedResource) -> Loaded:
        """As `load`."""
        return self.load(effect)


class Trial:
    """One policy on trial. `decide` may wait, for it is asked on a thread of the trials."""

    def __init__(self, name: str, decide: Decide) -> None:
        self.name: Final = name
        self._decide: Final = decide
        self._counts: Final[Counter[Change]] = Counter()
        self._faulty = False

    def run(self, request: _Request) -> None:
        """Decide a request again, count what became of it, and log what differs."""
        try:
            tried = self._decide(request.facts, request.authorization, request.arrived)
        except Exception as error:  # noqa: BLE001 - whatever a candidate does, nobody suffers
            self._counts["error"] += 1
            if not self._faulty:
                self._faulty = True
                # Without the values on the stack: among them is the token.
                _complain("%s on trial failed: %s", self.name, type(error).__name__)
            return
        change = _change(request.live, tried.decision)
        self._counts[change] += 1
        if change in ("allow->deny", "deny->allow"):
            with suppress(Exception):  # the log itself may be what fails
                log_trial(self.name, change, request.facts, tried.decision, tried.principal)

    def counts(self, missed: int) -> TrialCounts:
        """Return what was counted."""
        counted = self._counts
        return TrialCounts(
            self.name,
            counted["same"],
            counted["allow->deny"],
            counted["deny->allow"],
            counted["error"],
            missed,
        )


def _change(live: Decision, tried: Decision) -> Change:
    if live.reason in OUTAGES or tried.reason in OUTAGES:
        return "error"  # it says nothing of the policy
    if live.allowed == tried.allowed:
        return "same"
    return "allow->deny" if live.allowed else "deny->allow"


class _Request(NamedTuple):
    facts: RequestFacts
    authorization: Authorization
    arrived: float  # seconds since the epoch
    live: Decision


class Trials:
    """The policies on trial beside one that is in force, and the thread that asks them.

    The thread is of this process, begins with the first request, and ends when nobody has this any
    more. `start` runs a function without waiting for it.
    """

    def __init__(
        self,
        trials: Sequence[Trial],
        start: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        self._trials: Final = tuple(trials)
        self._start: Final = start or _on_a_thread
        self._missed = 0
        self.renew()
        renew_in_child(self)

    def renew(self) -> None:
        """Forget what waits, and the thread; for a child that was forked."""
        self._lock = Lock()
        self._waiting: SimpleQueue[_Request | Event | None] = SimpleQueue()
        self._begun = False
        self._is_idle = False  # for good: no thread could be had

    def hand(
        self,
        facts: RequestFacts,
        authorization: Authorization,
        arrived: float,
        live: Decision,
    ) -> None:
        """Have a request tried that has `arrived` then (seconds since the epoch). Never waits."""
        if not self._begun:
            self._begin()
        if not self._is_idle and self._waiting.qsize() < MAX_WAITING:
            self._waiting.put(_Request(facts, authorization, arrived, live))
            return
        with self._lock:
            self._missed += 1

    def counts(self, timeout: float) -> tuple[TrialCounts, ...]:
        """Return what was counted, after at most `timeout` seconds for what was handed over."""
        if timeout > 0 and self._begun and not self._is_idle:
            done = Event()
            self._waiting.put(done)
            done.wait(timeout)
        return tuple(trial.counts(self._missed) for trial in self._trials)

    def _begin(self) -> None:
        with self._lock:
            if self._begun:
                return
            self._begun = True
        waiting, trials = self._waiting, self._trials
        finalize(self, waiting.put, None)
        try:
            self._start(lambda: _work(waiting, trials))
        except RuntimeError as error:  # no thread, or the interpreter is going down
            # What nobody will take away would be kept for good, and in it are tokens.
            self._is_idle = True
            self._waiting = SimpleQueue()
            _complain("nothing is tried: %s", error)


def _work(waiting: SimpleQueue[_Request | Event | None], trials: Sequence[Trial]) -> None:
    """Try one request after the other. Holds nothing that would keep the policy in force alive."""
    while True:
        request = waiting.get()
        if request is None:
            return
        if isinstance(request, Event):
            request.set()
            continue
        for trial in trials:
            trial.run(request)
        del request  # with the token in it


def _on_a_thread(work: Callable[[], None]) -> None:
    begin(work, "authz-trials")


def _complain(text: str, *words: object) -> None:
    with suppress(Exception):  # the log itself may be what fails
        LOGGER.error(text, *words)
