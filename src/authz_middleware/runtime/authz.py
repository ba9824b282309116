"""`Authz`: a policy compiled once, which many apps, threads and event loops may share."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final
from uuid import uuid4

from authz_middleware.access import Access
from authz_middleware.answers import Answers
from authz_middleware.document import Document
from authz_middleware.engine import Admit, Engine, KeySource, Outcome, Pending, Refuse
from authz_middleware.errors import PolicyError, Problem
from authz_middleware.facts import (
    Answer,
    Credentials,
    Decision,
    Principal,
    Reason,
    RequestFacts,
)
from authz_middleware.observe import DecisionEvent, DecisionObserver
from authz_middleware.observe.log import LOGGER, LogObserver
from authz_middleware.runtime import settings
from authz_middleware.runtime.cache import VerifiedTokens
from authz_middleware.runtime.drivers import Refreshable, drive, drive_async
from authz_middleware.runtime.keys import FixedKeys, RemoteKeys
from authz_middleware.runtime.settings import Settings
from authz_middleware.tokens.issuers import StaticKeys

__all__ = ["Authz", "compiled", "not_loaded"]

Clock = Callable[[], float]


class Authz:
    """A compiled policy. Make one with `from_file` or `from_mapping`; both raise `PolicyError`.

    `observers` are told of every decision. `clock` returns seconds since the epoch. `loaders` and
    `store` are not supported in this version and refused.
    """

    def __init__(
        self,
        document: Document,
        *,
        loaders: Mapping[str, Any] | None = None,
        observers: Sequence[DecisionObserver] = (),
        clock: Clock | None = None,
        store: object | None = None,
    ) -> None:
        unsupported(loaders=loaders, store=store)
        self.settings: Final[Settings] = settings.load(document)
        self.clock: Final[Clock] = clock or time.time
        self.source: Final = document.source
        self._log = LogObserver()
        self._observers = tuple(observers)
        self._remote: dict[str, Refreshable] = {}
        sources: dict[str, KeySource] = {}
        for name, issuer in self.settings.issuers.items():
            if isinstance(issuer.source, StaticKeys):
                sources[name] = FixedKeys(issuer.source.keys)
            else:
                sources[name] = self._remote[name] = RemoteKeys(issuer.source, self.clock)
        self._engine = Engine(
            self.settings.policy,
            self.settings.issuers,
            sources,
            VerifiedTokens(),
            preflight=self.settings.preflight,
        )

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        *,
        loaders: Mapping[str, Any] | None = None,
        observers: Sequence[DecisionObserver] = (),
        clock: Clock | None = None,
        store: object | None = None,
    ) -> Authz:
        """Compile a TOML, JSON or YAML file; relative files in it are beside it."""
        return cls(
            Document.read(path), loaders=loaders, observers=observers, clock=clock, store=store
        )

    @classmethod
    def from_mapping(
        cls,
        mapping: Mapping[str, Any],
        *,
        loaders: Mapping[str, Any] | None = None,
        observers: Sequence[DecisionObserver] = (),
        clock: Clock | None = None,
        store: object | None = None,
    ) -> Authz:
        """Compile a mapping of the file's shape; relative files are in the working directory."""
        return cls(
            Document.from_mapping(mapping),
            loaders=loaders,
            observers=observers,
            clock=clock,
            store=store,
        )

    def __repr__(self) -> str:
        return f"Authz({self.source!r})"

    # For the adapters.

    def outcome(self, facts: RequestFacts) -> Outcome:
        """Decide a request, blocking this thread where keys must be fetched first."""
        outcome = self._engine.start(facts, self.clock())
        if isinstance(outcome, Pending):
            return drive(self._engine.resume(outcome), self._remote, self.clock)
        return outcome

    async def outcome_async(self, facts: RequestFacts) -> Outcome:
        """Decide a request, leaving the event loop free where keys must be fetched first."""
        outcome = self._engine.start(facts, self.clock())
        if isinstance(outcome, Pending):
            return await drive_async(self._engine.resume(outcome), self._remote, self.clock)
        return outcome

    def admitted(
        self, facts: RequestFacts, admit: Admit, accept: Callable[[], str | None]
    ) -> Access:
        """Return the `Access` of a request that is let through, and tell the observers."""
        self._report(facts, admit.decision, admit.principal)
        return Access(admit, facts, self, accept)

    def refused(self, facts: RequestFacts, refuse: Refuse, accept: str | None) -> Answer:
        """Return the answer to a refused request, and tell the observers."""
        id = self._report(facts, refuse.decision, refuse.principal)
        return self.settings.answers.refusal(refuse.decision, id=id, accept=accept)

    def metadata(self, facts: RequestFacts, mount: str = "") -> Answer | None:
        """Return the RFC 9728 document if that is what is asked for.

        It stands at the host's root, never under a mount (`mount` is SCRIPT_NAME): found by the
        whole path, or by a path before which the server itself has put its root_path.
        """
        wanted = self.settings.metadata_path
        if wanted is None or facts.path is None or not facts.path.endswith(wanted):
            return None
        if facts.kind != "http" or facts.method not in ("GET", "HEAD"):
            return None
        if mount + facts.path in (wanted, facts.root_path + wanted):
            return self.settings.metadata
        return None

    # For `Access`.

    def ask(self, access: Access, permission: str) -> Decision:
        """Answer the object-level question of a handler."""
        rule = access.decision.rule
        if access.principal is None:
            return Decision(False, _ANONYMOUS[access.credentials], rule)
        if self.clock() >= access.valid_until:
            return Decision(False, "invalid_token", rule, detail="expired")
        if self.settings.policy.roles.grant(access.principal, permission):
            return Decision(True, "allowed", rule)
        return Decision(False, "permission_missing", rule, missing=(permission,))

    def asked(
        self, access: Access, permission: str, decision: Decision, accept: str | None
    ) -> Answer | None:
        """Tell the observers of an `access.require`; return the answer to a refused one."""
        id = self._report(access.facts, decision, access.principal, permission)
        if decision.allowed:
            return None
        return self.settings.answers.refusal(decision, id=id, accept=accept)

    def _report(
        self,
        facts: RequestFacts,
        decision: Decision,
        principal: Principal | None,
        asked: str = "",
    ) -> str:
        if decision.allowed and not self._observers and not LOGGER.isEnabledFor(logging.DEBUG):
            return ""  # nobody listens to what goes well
        event = DecisionEvent(
            id="" if decision.allowed else str(uuid4()),
            at=self.clock(),
            kind=facts.kind,
            method=facts.method,
            path=facts.path,
            decision=decision,
            subject=principal.subject if principal else None,
            issuer=principal.issuer if principal else None,
            asked=asked,
        )
        for observer in (self._log, *self._observers):
            try:
                observer.observe(event)
            except Exception:  # noqa: BLE001 - whatever an observer does, the decision stands
                _complain()
        return event.id


def _complain() -> None:
    with suppress(Exception):  # the log itself may be what fails
        LOGGER.exception("an observer failed; the decision stands")


# What an anonymous caller of a public route is told when the handler asks for more.
_ANONYMOUS: dict[Credentials, Reason] = {
    "absent": "no_credentials",
    "invalid": "invalid_token",
    "unavailable": "keys_unavailable",
}


def not_loaded(accept: str | None) -> Answer:
    """Return the answer to every request while there is no policy that could be served."""
    decision = Decision(False, "policy_not_loaded")
    return Answers().refusal(decision, id=str(uuid4()), accept=accept)


def compiled(
    config: str | os.PathLike[str] | Mapping[str, Any] | Authz,
    *,
    routes_of: object | None,
    loaders: Mapping[str, Any] | None,
    observers: Sequence[DecisionObserver],
    clock: Clock | None,
    store: object | None,
) -> Authz:
    """Return the `Authz` that a middleware's arguments stand for; raises PolicyError."""
    unsupported(routes_of=routes_of)
    if isinstance(config, Authz):
        if loaders is not None or observers or clock is not None or store is not None:
            raise TypeError(
                "loaders, observers, clock and store belong to the Authz: give them to"
                " Authz.from_file or Authz.from_mapping"
            )
        return config
    document = (
        Document.from_mapping(config) if isinstance(config, Mapping) else Document.read(config)
    )
    return Authz(document, loaders=loaders, observers=observers, clock=clock, store=store)


def unsupported(**arguments: object | None) -> None:
    """Refuse arguments that this version does not build; ignoring them would be a hole."""
    problems = [
        Problem(f"{name}=", f"`{name}` is not supported in this version", "leave it out")
        for name, value in arguments.items()
        if value is not None
    ]
    if problems:
        raise PolicyError(problems)
