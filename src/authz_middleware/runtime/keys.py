"""Keys that are fetched: a JWKS URL, or found by discovery.

One fetch is in flight per issuer, on a thread of its own; requests of either world wait for the
same future, and only those that cannot go on without it. When that is, is `tokens.freshness`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from math import inf
from pathlib import Path
from random import SystemRandom
from threading import Lock

from authz_middleware.facts import KeyReadiness
from authz_middleware.observe.log import LOGGER
from authz_middleware.runtime.fetch import FetchFailed, fetch
from authz_middleware.runtime.last_good import FileUnusable, LastGood
from authz_middleware.runtime.lookup import Fetch, Found, Lookup
from authz_middleware.runtime.threads import begin
from authz_middleware.tokens import freshness
from authz_middleware.tokens.freshness import KeyView
from authz_middleware.tokens.issuers import Discovery, JwksUri
from authz_middleware.tokens.keys import KeySet, KeysUnusable
from authz_middleware.tokens.rejection import Rejected

__all__ = ["FixedKeys", "RemoteKeys"]

Flight = Future[None]

_RANDOM = SystemRandom()


class FixedKeys:
    """Keys that the policy names; they never change while it is served."""

    __slots__ = ("_view",)

    def __init__(self, keys: KeySet) -> None:
        self._view = KeyView(keys, fetchable=False)

    def view(self, now: float) -> KeyView:
        """Return the keys."""
        del now
        return self._view

    def holds(self, keys: KeySet, now: float) -> bool:
        """Whether these are the keys."""
        del now
        return keys is self._view.keys

    def refresh(self, arrived: float = inf) -> Flight:
        """Return what is done already: there is nothing to fetch."""
        del arrived
        return _landed()

    def readiness(self, issuer: str, now: float) -> KeyReadiness:
        """Return that they are there."""
        del now
        return KeyReadiness(issuer, True, "fixed")


class RemoteKeys:
    """One issuer's fetched keys.

    `clock` returns seconds since the epoch, `jitter` a number from 0 to 1. `start` runs a function
    without waiting for it. `directory` is where a relative last-good file is.
    """

    def __init__(
        self,
        config: JwksUri | Discovery,
        clock: Callable[[], float],
        fetch: Fetch = fetch,
        *,
        directory: Path = Path(),
        jitter: Callable[[], float] = _RANDOM.random,
        start: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        self._config = config
        self._directory = directory
        self._fetch = fetch
        self._limits = config.cache.limits
        self._clock = clock
        self._lookup = Lookup(config, fetch, clock)
        self._jitter = jitter
        self._start = start or _on_a_thread
        self._flight = _landed()
        self._pid = os.getpid()
        self._file = _last_good(config, directory)
        self._saving_pid = 0
        self._state = self._restored()

    def serves(self, config: JwksUri | Discovery, directory: Path) -> bool:
        """Whether this is the source that another policy describes; then both have this one."""
        return config == self._config and directory == self._directory

    def continued(self, config: JwksUri | Discovery, directory: Path) -> RemoteKeys | None:
        """Return another source of the same keys, with the limits and the file of `config`.

        It begins with those that are held. None if the keys are to come from elsewhere.
        """
        if replace(config, cache=self._config.cache) != self._config:
            return None
        other = RemoteKeys(
            config,
            self._clock,
            self._fetch,
            directory=directory,
            jitter=self._jitter,
            start=self._start,
        )
        if self._state.keys is not None:
            other._state = freshness.abandoned(self._state)
        return other

    def view(self, now: float) -> KeyView:
        """Return the keys at hand, and start to renew them if it is time. Never waits."""
        if self._state.started_at is not None and self._pid != os.getpid():
            self._adopt()
        if freshness.due(self._state, now):
            self._refresh_ahead()
        return freshness.view(self._state, now, self._limits)

    def holds(self, keys: KeySet, now: float) -> bool:
        """Whether `keys` are what `view` gives; it starts to renew them just as well."""
        # The common case first, since each request with a known token comes through here.
        if freshness.is_quiet(self._state, keys, now, self._limits):
            return True
        return keys is self.view(now).keys

    def readiness(self, issuer: str, now: float) -> KeyReadiness:
        """Return how the keys are, and start to renew them if it is time. Never waits."""
        self.view(now)
        return freshness.readiness(issuer, self._state, now, self._limits)

    def refresh(self, arrived: float = inf) -> Flight:
        """Return the fetch in flight, or start one, if a request that has `arrived` may wait.

        Else what is returned is done already. It never fails, and cannot be cancelled.
        """
        with _lock():
            self._adopt_locked()
            now = self._clock()
            # Looked at again: the flight that a request wants may have landed since it looked.
            if not freshness.view(self._state, now, self._limits).fetchable:
                return _landed()
            if self._state.started_at is not None:
                self._state = freshness.joined(self._state)
                return self._flight
            if arrived <= self._state.attempted_at <= now:
                # It landed before the request could join it, which may itself have set it off.
                self._state = freshness.joined(self._state)
                return _landed()
            flight = self._begin(now, joined=True)
        self._take_off(flight, anew=True)
        return flight

    def _refresh_ahead(self) -> None:
        with _lock():
            self._adopt_locked()
            now = self._clock()
            if not freshness.due(self._state, now):
                return
            flight = self._begin(now, joined=False)
        self._take_off(flight, anew=False)

    def _begin(self, now: float, *, joined: bool) -> Flight:
        self._state = freshness.started(self._state, now, joined=joined)
        flight: Flight = Future()
        flight.set_running_or_notify_cancel()  # whoever stops waiting cancels nothing
        self._flight = flight
        return flight

    def _take_off(self, flight: Flight, *, anew: bool) -> None:
        try:
            self._start(lambda: self._fly(flight, anew))
        except RuntimeError as error:  # no thread can be started, or the interpreter is going down
            self._land_without(flight, str(error))

    def _fly(self, flight: Flight, anew: bool) -> None:
        try:
            # Metadata that led to a failure may be what has changed.
            found = self._lookup.look(anew=anew or self._state.failed)
        except (FetchFailed, KeysUnusable, Rejected) as error:
            self._land_without(flight, str(error))
        # Waiting requests get an answer even so, and a flight that never lands is the last one.
        except BaseException as error:  # noqa: BLE001
            self._land_without(flight, type(error).__name__, fault=error)
        else:
            self._land_with(flight, found)

    def _land_with(self, flight: Flight, found: Found) -> None:
        with _lock():
            before, now = self._state.keys, self._clock()
            self._state = freshness.succeeded(
                self._state,
                found.keys,
                now,
                self._limits,
                as_of=found.as_of,
                lifetime=found.lifetime,
                jitter=self._jitter(),
            )
            changed = self._state.keys is not before
        flight.set_result(None)
        if changed:
            for note in found.keys.notes:
                _log(logging.WARNING, "keys of %s: %s", self._config.issuer, note)
        self._save(found, now)

    def _land_without(
        self, flight: Flight, why: str, *, fault: BaseException | None = None
    ) -> None:
        _log(logging.ERROR, "keys of %s not renewed: %s", self._config.issuer, why, exc_info=fault)
        with _lock():
            self._state = freshness.failed(self._state, self._clock())
        flight.set_result(None)

    # The last-good file.

    def _restored(self) -> freshness.State:
        try:
            found = self._file and self._file.load(self._clock())
        except FileUnusable as reason:
            _log(logging.WARNING, "keys of %s not read from file: %s", self._config.issuer, reason)
            found = None
        return freshness.restored(*found) if found else freshness.State()

    def _save(self, found: Found, fetched_at: float) -> None:
        # Nobody waits for this, nor is it done twice at once: a disk may hang too.
        if self._file is None or self._saving_pid == os.getpid():
            return
        self._saving_pid = os.getpid()
        try:
            self._file.save(found.document, fetched_at)
        except FileUnusable as reason:
            _log(logging.WARNING, "keys of %s not saved: %s", self._config.issuer, reason)
        finally:
            self._saving_pid = 0

    # After a fork (gunicorn --preload).

    def _adopt(self) -> None:
        with _lock():
            self._adopt_locked()

    def _adopt_locked(self) -> None:
        """Give up a flight of the parent process: here it would never land."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._state = freshness.abandoned(self._state)


def _last_good(config: JwksUri | Discovery, directory: Path) -> LastGood | None:
    if config.cache.file is None:
        return None
    source = config.url if isinstance(config, JwksUri) else "discovery"
    return LastGood(directory / config.cache.file, config.issuer, source)


def _log(level: int, text: str, *words: object, exc_info: BaseException | None = None) -> None:
    with suppress(Exception):  # whatever the log does, a flight lands
        LOGGER.log(level, text, *words, exc_info=exc_info)


def _on_a_thread(work: Callable[[], None]) -> None:
    begin(work, "authz-keys")


def _landed() -> Flight:
    flight: Flight = Future()
    flight.set_result(None)
    return flight


_locks: dict[int, Lock] = {}


def _lock() -> Lock:
    """Return this process's lock: one that was held at a fork would never be released after it."""
    pid = os.getpid()
    return _locks.get(pid) or _locks.setdefault(pid, Lock())  # `setdefault` is atomic
