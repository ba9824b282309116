"""Reloading when a file has changed: a look at all of them every few seconds, on a thread."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Event, Lock
from typing import Final, Protocol
from weakref import ref

from authz_middleware.document.files import Files, Mark
from authz_middleware.observe.log import LOGGER
from authz_middleware.runtime.forks import renew_in_child
from authz_middleware.runtime.threads import begin

__all__ = ["Reloadable", "Watch"]


class Reloadable(Protocol):
    """A policy, and the files that the latest attempt to read it has looked at."""

    files: Files

    def reload(self) -> None: ...


class Watch:
    """Looks at the files of `policy` every so many seconds, from when it is first woken.

    Each process has its own thread, which does not survive a fork and would disturb one: so it is
    started by the first request, not with the policy. `start` runs a function without waiting.
    """

    def __init__(
        self,
        policy: Reloadable,
        seconds: float,
        start: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        self._policy: Final = policy
        self._seconds: Final = seconds
        self._start: Final = start or _on_a_thread
        self.renew()
        renew_in_child(self)

    def renew(self) -> None:
        """Forget the thread; for a child that was forked, where it is not."""
        self._lock = Lock()
        self._seen: tuple[Mark, ...] | None = None
        self.asleep = True

    def wake(self) -> None:
        """Begin to look, once in a process."""
        with self._lock:
            if not self.asleep:
                return
            self.asleep = False
        seconds, myself = self._seconds, ref(self)

        def run() -> None:
            pause = Event()
            while True:
                pause.wait(seconds)
                watch = myself()
                if watch is None:  # nobody has this policy any more
                    return
                watch.look()
                del watch

        try:
            self._start(run)
        except RuntimeError as error:  # no thread, or the interpreter is going down
            LOGGER.critical("the policy is not watched: %s", error)

    def look(self) -> None:
        """Reload if a file has changed, and has not changed since the look before this one.

        A text that is being written may be a policy already, with the last rules missing.
        """
        files = self._policy.files
        if not files.changed():
            self._seen = None
            return
        now = files.now()
        if now != self._seen:
            self._seen = now
            return
        self._seen = None
        # It was reported, and is not tried again before a file changes. The thread goes on.
        with suppress(Exception):
            self._policy.reload()


def _on_a_thread(work: Callable[[], None]) -> None:
    begin(work, "authz-watch")
