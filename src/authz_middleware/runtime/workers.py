"""Threads of our own for what may hang, and one event loop for what must be awaited.

Both belong to the process, and begin anew in a child that was forked. The threads are daemons, so
that what hangs does not hold up the end of the process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from threading import Lock
from typing import Any, Final, TypeVar

from authz_middleware.runtime.forks import renew_in_child
from authz_middleware.runtime.threads import begin

__all__ = ["MAX_TAKEN", "MAX_THREADS", "Loop", "Workers", "askers", "loop", "workers"]

MAX_THREADS: Final = 32
"""Calls that run at a time; one that was given up on counts until it returns."""

MAX_TAKEN: Final = 256
"""Calls that run or wait for a thread; more are refused at once."""

Result = TypeVar("Result")


class Workers:
    """Threads that are kept: what a library holds for each thread, such as a connection, is too."""

    def __init__(
        self,
        max_threads: int = MAX_THREADS,
        max_taken: int = MAX_TAKEN,
        *,
        name: str = "authz-loader",
    ) -> None:
        self._name = name
        self._max_threads = max_threads
        self._max_taken = max_taken
        self.renew()
        renew_in_child(self)

    def renew(self) -> None:
        """Begin anew, without threads."""
        self._lock = Lock()
        self._jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._threads = self._idle = self._waiting = 0

    def submit(self, call: Callable[[], Result]) -> Future[Result] | None:
        """Run `call`, which raises nothing, on a thread; None if there are too many already."""
        flight: Future[Result] = Future()
        with self._lock:
            if self._threads - self._idle + self._waiting >= self._max_taken:
                return None
            if self._idle:
                self._idle -= 1
            elif self._threads < self._max_threads and self._hire():
                self._threads += 1
            elif self._threads:
                self._waiting += 1
            else:
                return None
            self._jobs.put((flight, call))
        return flight

    def _hire(self) -> bool:
        try:
            begin(partial(self._work, self._jobs), self._name)
        except RuntimeError:  # no thread can be had, or the interpreter is going down
            return False
        return True

    def _work(self, jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]]]) -> None:
        while True:
            flight, call = jobs.get()
            if flight.set_running_or_notify_cancel():  # nobody has given up on it meanwhile
                flight.set_result(call())
            del flight, call  # with what the request has in it
            with self._lock:
                if self._waiting:
                    self._waiting -= 1
                else:
                    self._idle += 1


class Loop:
    """An event loop that runs on a thread of its own, from the first time that it is needed.

    One for the process, and not one for each call: the connections of an async library belong to
    the loop that they were made in.
    """

    def __init__(self) -> None:
        self._left: list[asyncio.AbstractEventLoop] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self.renew()
        renew_in_child(self)

    def renew(self) -> None:
        """Begin anew, without a loop."""
        self._lock = Lock()
        if self._loop is not None:
            # Never closed: its selector is the parent's, who would lose what is registered there.
            self._left.append(self._loop)
        self._loop = None

    def submit(self, coroutine: Coroutine[Any, Any, Result]) -> Future[Result] | None:
        """Run `coroutine` there; None if no thread can be had."""
        with self._lock:
            if self._loop is None:
                loop = asyncio.new_event_loop()
                try:
                    begin(loop.run_forever, "authz-loaders")
                except RuntimeError:  # as above
                    loop.close()
                    coroutine.close()
                    return None
                self._loop = loop
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)


workers: Final = Workers()
"""For the app's loaders."""
askers: Final = Workers(name="authz-pdp")
"""For decision points: a loader that hangs must not keep them from being asked."""
loop: Final = Loop()
