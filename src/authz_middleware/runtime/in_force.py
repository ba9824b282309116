"""The policy in force, and how another takes its place while requests are served.

It is compiled and checked aside; what is in force is one attribute, so that whoever reads it gets
the old policy or the new one as a whole. What cannot be served changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from threading import RLock
from typing import Final

from authz_middleware.document import Document
from authz_middleware.document.files import Files
from authz_middleware.errors import PolicyError, Problem
from authz_middleware.facts import LatestReload, PolicyReadiness, Readiness
from authz_middleware.observe.log import LOGGER
from authz_middleware.runtime.forks import renew_in_child
from authz_middleware.runtime.guarded import check_gaps
from authz_middleware.runtime.serving import Serving

__all__ = ["InForce"]

Compile = Callable[[Document, Serving | None], Serving]
"""From a document, and what it will replace, if it does; raises PolicyError."""


class InForce:
    """One policy after the other, read from where the first was. Raises PolicyError for that one.

    `serving` is the one in force, `files` what the latest attempt has looked at, and `latest` how
    that ended.
    """

    def __init__(self, document: Document, compiled: Compile) -> None:
        self._document: Final = document
        self._compile: Final = compiled
        self.serving = compiled(document, None)
        self.files = document.files
        self.latest: LatestReload = "none"
        self.renew()
        renew_in_child(self)

    def renew(self) -> None:
        """Forget who reloads; for a child that was forked."""
        # One that a signal's handler may take on a thread that has it.
        self._lock = RLock()

    def reload(self) -> None:
        """Read everything anew and put it in force, or raise PolicyError and change nothing."""
        with self._lock:
            try:
                serving = self._following()
            except Exception as error:
                self.latest = "failed"
                self._report(error)
                raise
            self.serving, self.latest = serving, "succeeded"
        serving.readiness()  # keys that are not there yet are fetched, before a token wants them
        LOGGER.warning(
            "the policy was reloaded: %s, generation %d", self._document.source, serving.generation
        )

    def _following(self) -> Serving:
        while True:
            before, files = self.serving, Files()
            try:
                serving = self._checked(before, files)
            finally:
                self.files = files
            # A signal's handler may have done the same on this thread, with what is newer.
            if self.serving is before:
                return serving

    def _checked(self, before: Serving, files: Files) -> Serving:
        document = self._document
        if document.file is not None:
            document = Document.read(document.file, files)
        serving = self._compile(replace(document, files=files), before)
        for table in before.tables():
            check_gaps(serving, serving.bind(table))
        if files.changed():
            what, fix = "it was changed while it was read", "reload when it is written"
            raise PolicyError([Problem(document.source, what, fix)])
        return serving

    def _report(self, error: Exception) -> None:
        with suppress(Exception):  # the log itself may be what fails
            LOGGER.critical(
                "the policy was not reloaded, generation %d stays in force: %s",
                self.serving.generation,
                error,
                exc_info=None if isinstance(error, PolicyError) else error,
            )

    def told(self, readiness: Readiness) -> Readiness:
        """Return the readiness of a policy with how the latest reload ended."""
        policy: PolicyReadiness = replace(readiness.policy, latest_reload=self.latest)
        return replace(readiness, policy=policy)
