"""One compiled policy in force: what the adapters and every `Access` made under it ask.

It never changes. Replacing the policy means replacing the `Serving`; a request keeps the one it
began with.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import wait
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final
from uuid import uuid4

from authz_middleware.access import Access
from authz_middleware.answers import RefusalRenderer, checked_body
from authz_middleware.effects import (
    Admit,
    NeedResource,
    Outcome,
    Pending,
    Refuse,
    Routed,
    Served,
    Unresolved,
)
from authz_middleware.engine import Engine
from authz_middleware.facts import (
    Answer,
    Authorization,
    Decision,
    PolicyReadiness,
    Principal,
    Readiness,
    RequestFacts,
)
from authz_middleware.observe import DecisionEvent, DecisionObserver, explained_by
from authz_middleware.observe.log import LOGGER, LogObserver
from authz_middleware.policy.binding import Binding, bind
from authz_middleware.policy.routes import RouteTable, Taken
from authz_middleware.runtime.cache import VerifiedTokens
from authz_middleware.runtime.decision_points import DecisionPoints
from authz_middleware.runtime.drivers import Outside, drive, drive_async
from authz_middleware.runtime.introspection import Introspector
from authz_middleware.runtime.keys import FixedKeys, RemoteKeys
from authz_middleware.runtime.loaders import AttributeLoader, Loaders
from authz_middleware.runtime.settings import Settings
from authz_middleware.runtime.sources import Known, sources
from authz_middleware.runtime.trials import (
    Beside,
    NoLoaders,
    Trial,
    TrialCounts,
    Trials,
    deciding,
)
from authz_middleware.tokens.claims import Verified

__all__ = ["Clock", "Serving"]

Clock = Callable[[], float]

SECOND_LOOK = "second_look"
"""The detail of a refusal between the app's router and its handler."""

MAX_LATE = 100
"""Routes added after the start that are reported one by one."""


class Serving:
    """A policy's settings with the engine, the key sources and the observers that serve it."""

    def __init__(
        self,
        settings: Settings,
        *,
        loaders: Mapping[str, AttributeLoader] | None = None,
        observers: Sequence[DecisionObserver] = (),
        clock: Clock | None = None,
        renderer: RefusalRenderer | None = None,
        before: Serving | None = None,
        beside: Known | None = None,
    ) -> None:
        """`before` is what this will replace: keys that are still the issuer's are kept.

        With `beside` this is on trial, beside a policy that has those keys.
        """
        self.settings: Final = settings
        self.clock: Final[Clock] = clock or time.time
        self.generation: Final[int] = before.generation + 1 if before else 1
        self.since: Final = self.clock()
        """In seconds since the epoch."""
        self._log = LogObserver()
        self._observers = tuple(observers)
        # Whether anybody listens to what goes well: our own log, if it is so talkative.
        self._is_heard: Callable[[], bool] = (
            (lambda: True) if self._observers else partial(LOGGER.isEnabledFor, logging.DEBUG)
        )
        self.renderer: Final = renderer
        cache = VerifiedTokens()
        known = beside if beside is not None else before.known() if before else ()
        keys, self._remote, introspectors = sources(
            settings, cache, self.clock, known, on_trial=beside is not None
        )
        # In the order of the policy.
        self._issuers: Final[tuple[tuple[str, FixedKeys | RemoteKeys | Introspector], ...]] = tuple(
            (name, keys.get(name) or introspectors[name]) for name in settings.issuers
        )
        engine = partial(
            Engine,
            issuers=settings.issuers,
            sources=keys,
            cache=cache,
            introspection_sources=introspectors,
            preflight=settings.preflight,
        )
        self._engine = engine(settings.policy)
        self._bindings: dict[int, Binding] = {}  # by the identity of what they keep alive
        self._late: set[Taken] = set()
        # A policy on trial asks the app for nothing.
        loading = Loaders(loaders) if beside is None else NoLoaders()
        points = DecisionPoints(settings.pdps, self.clock)
        self._outside = Outside(self._remote, introspectors, self.clock, loading, points)
        # What is on trial, and the policy that is.
        self._candidate: Serving | None = None
        trials: list[Trial] = []
        if settings.shadow is not None:
            # Its questions are its own: that they fail is nothing to the policy in force.
            points = DecisionPoints(settings.pdps, self.clock)
            outside = replace(self._outside, loaders=NoLoaders(), decision_points=points)
            beside_this = Beside(self._engine, shared=True)
            trials.append(Trial("shadow", deciding(engine(settings.shadow), outside, beside_this)))
        if settings.candidate is not None:
            name, other = settings.candidate
            self._candidate = candidate = Serving(other, clock=clock, beside=(self._remote, *known))
            beside_this = Beside(self._engine, shared=False)
            trials.append(Trial(name, deciding(candidate._engine, candidate._outside, beside_this)))
        self._trials = Trials(trials) if trials and beside is None else None

    def known(self) -> Known:
        """Return the keys that are fetched, those of a policy on trial included."""
        return (self._remote, *(self._candidate.known() if self._candidate else ()))

    def outcome(self, facts: RequestFacts, authorization: Authorization) -> Outcome:
        """Decide a request, blocking this thread where somebody must be asked first."""
        now = self.clock()
        outcome = self._engine.start(facts, authorization, now)
        if not isinstance(outcome, (Admit, Refuse)):
            outcome = drive(self._engine.resume(outcome), self._outside)
        if self._trials is not None:
            self._trials.hand(facts, authorization, now, outcome.decision)
        return outcome

    async def outcome_async(self, facts: RequestFacts, authorization: Authorization) -> Outcome:
        """Decide a request, leaving the event loop free where somebody must be asked first."""
        outcome = self.begin(facts, authorization)
        return outcome if isinstance(outcome, (Admit, Refuse)) else await outcome

    def begin(
        self, facts: RequestFacts, authorization: Authorization
    ) -> Outcome | Awaitable[Outcome]:
        """Decide a request; or return what decides it, where somebody must be asked first."""
        now = self.clock()
        outcome = self._engine.start(facts, authorization, now)
        if not isinstance(outcome, (Admit, Refuse)):
            return self._end(facts, authorization, now, outcome)
        if self._trials is not None:
            self._trials.hand(facts, authorization, now, outcome.decision)
        return outcome

    async def _end(
        self,
        facts: RequestFacts,
        authorization: Authorization,
        now: float,
        waiting: Pending | Unresolved,
    ) -> Outcome:
        outcome = await drive_async(self._engine.resume(waiting), self._outside)
        if self._trials is not None:
            self._trials.hand(facts, authorization, now, outcome.decision)
        return outcome

    def admitted(
        self,
        facts: RequestFacts,
        admit: Admit,
        accept: str | None,
        binding: Binding | None = None,
    ) -> Access:
        """Return the `Access` of a request that is let through, and tell the observers."""
        access = Access(admit, facts, self, accept, binding)
        if self._is_heard():
            self._tell(facts, admit.decision, admit.principal, explain=access.explain)
        return access

    def refused(self, facts: RequestFacts, refuse: Refuse, accept: str | None) -> Answer:
        """Return the answer to a refused request, and tell the observers."""
        id = self._tell(facts, refuse.decision, refuse.principal)
        return self._answer(refuse.decision, id, accept)

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

    # The routes of apps.

    def bind(self, table: RouteTable) -> Binding:
        """Lay the policy against the routes of an app; once for each table."""
        known = self._bindings.get(id(table))
        if known is None:
            known = self._bindings.setdefault(id(table), bind(self.settings.policy, table))
        return known

    def tables(self) -> tuple[RouteTable, ...]:
        """Return the routes of every app that the policy was laid against."""
        return tuple(binding.table for binding in tuple(self._bindings.values()))

    # For operators.

    def trials(self, timeout: float) -> tuple[TrialCounts, ...]:
        """Return what the policies on trial would have decided; see `Authz.trials`."""
        return () if self._trials is None else self._trials.counts(timeout)

    def readiness(self) -> Readiness:
        """Return how the keys of every issuer are; never waits."""
        now = self.clock()
        issuers = tuple(source.readiness(name, now) for name, source in self._issuers)
        policy = PolicyReadiness(self.generation, max(now - self.since, 0.0))
        return Readiness(all(each.ready for each in issuers), issuers, policy)

    def warm(self, timeout: float) -> Readiness:
        """Fetch all keys that may be fetched now, waiting at most `timeout` seconds."""
        wait([source.refresh() for source in self._remote.values()], timeout)
        return self.readiness()

    async def warm_async(self, timeout: float) -> Readiness:  # noqa: ASYNC109 - as in `warm`
        """As `warm`, leaving the event loop free."""
        flights = [asyncio.wrap_future(source.refresh()) for source in self._remote.values()]
        if flights:
            _, late = await asyncio.wait(flights, timeout=timeout)
            for flight in late:
                flight.cancel()  # our waiting for it; the flight goes on
        return self.readiness()

    # For whoever decides without a request to us; see `pdp`.

    def answer(self, facts: RequestFacts, caller: Verified | None) -> tuple[Decision, str]:
        """Decide such a request of a caller whom somebody else has verified; None is anonymous.

        `caller` is expanded. Returns the decision and its id, and tells the observers. This thread
        may wait for a loader.
        """
        outcome = self._engine.answer(facts, caller, self.clock())
        if isinstance(outcome, Unresolved):
            outcome = drive(self._engine.resume(outcome), self._outside)
        decision, explain = outcome.decision, None
        if isinstance(outcome, Admit):
            explain = partial(outcome.explain, facts)
        return decision, self._tell(facts, decision, caller and caller.principal, explain=explain)

    def answer_about(
        self,
        facts: RequestFacts,
        caller: Verified | None,
        permission: str,
        resource: Mapping[str, Any],
        action: Mapping[str, Any],
    ) -> tuple[Decision, str]:
        """Decide whether such a caller has a permission for an object with these attributes.

        Of `facts` the surroundings count alone. Returns the same, and tells the same.
        """
        if caller is None:
            decision = Decision(False, "no_credentials")
            return decision, self._tell(facts, decision, None, permission)
        who, now = caller.principal, self.clock()
        policy = self.settings.policy
        decision = policy.ask_apart(permission, who, now, facts, resource, action)
        return decision, self._tell(facts, decision, who, permission)

    def tell(
        self, facts: RequestFacts, decision: Decision, principal: Principal | None, permission: str
    ) -> str:
        """Tell the observers of what was decided before it came here; return the id."""
        return self._tell(facts, decision, principal, permission)

    def expanded(self, caller: Verified) -> Verified:
        """Return `caller` with what `[roles]` add."""
        return caller._replace(principal=self.settings.policy.roles.expand(caller.principal))

    # For `Access`.

    def know(self, access: Access) -> Decision:
        """Whether there is a verified caller, and the token has not expired meanwhile."""
        rule = access.decision.rule
        if access.principal is None:
            return Decision(False, access.anonymous, rule)
        if self.clock() >= access.valid_until:
            return Decision(False, "invalid_token", rule, detail="expired")
        return Decision(True, "allowed", rule)

    def again(
        self, admit: Admit, facts: RequestFacts, asked: Routed, binding: Binding | None
    ) -> Outcome:
        """Decide what the app's router has made of a request that was let in."""
        if self._engine.is_settled(admit, facts, asked, binding):
            return admit
        if binding is not None and not binding.knows(asked.taken, asked.path, late=asked.late):
            self._report_late(asked)
        outcome = self._engine.again(admit, facts, asked, binding, self.clock())
        if isinstance(outcome, Unresolved):
            outcome = self._resolved(outcome)
        if isinstance(outcome, Admit):
            return outcome
        return outcome._replace(decision=replace(outcome.decision, detail=SECOND_LOOK))

    def _resolved(self, unresolved: Unresolved) -> Outcome:
        """Ask for what only the route that was taken asks for, where this thread may block.

        In an event loop it may not, so nobody is let in. It takes a router that takes another route
        than the policy calls the most specific, or a middleware that rewrites the path.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return drive(self._engine.resume(unresolved), self._outside)
        need = unresolved.need
        LOGGER.error(
            "the route that was taken asks %a, which the rule of the path does not, and between"
            " the router and the handler there is no waiting in an event loop",
            need.object.loader if isinstance(need, NeedResource) else need.pdp,
        )
        return self._engine.give_up(unresolved, self.clock())

    def _report_late(self, asked: Routed) -> None:
        if asked.taken not in self._late and len(self._late) < MAX_LATE:
            self._late.add(asked.taken)
            LOGGER.error(
                "a route that was added after the start has no rule: %a, %a %a",
                asked.taken,
                asked.method,
                asked.path,
            )

    def needs_object(self, permission: str) -> bool:
        """Whether who asks about `permission` must hand over an object."""
        return self.settings.policy.needs_object(permission)

    def ask(
        self,
        access: Access,
        served: Served,
        permission: str,
        resource: Mapping[str, Any] | None,
    ) -> Decision:
        """Answer the object-level question of a handler about an object with these attributes."""
        known = self.know(access)
        if access.principal is None or not known.allowed:
            return known
        policy = self.settings.policy
        if permission not in policy.permissions and policy.roles.grant(
            access.principal, permission
        ):
            return known
        return policy.ask(
            permission,
            access.principal,
            self.clock(),
            access.facts,
            self._engine.ruling.taken_for(served),
            resource,
            access.decision.rule,
        )

    def report(
        self, access: Access, facts: RequestFacts, permission: str, decision: Decision
    ) -> None:
        """Tell the observers of a question that is not answered by a refusal."""
        self._tell(facts, decision, access.principal, permission, refused=False)

    def refuse(
        self,
        access: Access,
        facts: RequestFacts,
        permission: str,
        decision: Decision,
        accept: str | None,
    ) -> Answer:
        """Return the answer to a question that was denied, and tell the observers."""
        id = self._tell(facts, decision, access.principal, permission)
        return self._answer(decision, id, accept)

    def _answer(self, decision: Decision, id: str, accept: str | None) -> Answer:
        answers = self.settings.answers
        refusal = answers.refusal(decision, id=id, accept=accept)
        body = None
        if self.renderer is not None:
            try:
                body = checked_body(self.renderer.render(refusal))
            except Exception:  # noqa: BLE001 - whatever a renderer does, the refusal stands
                _complain("the renderer of refusals failed; our own body is sent")
        return answers.answer(refusal, body)

    def _tell(
        self,
        facts: RequestFacts,
        decision: Decision,
        principal: Principal | None,
        asked: str = "",
        *,
        refused: bool | None = None,
        explain: Callable[[], Decision] | None = None,
    ) -> str:
        refused = not decision.allowed if refused is None else refused
        if not refused and not self._is_heard():
            return ""
        roles = permissions = frozenset[str]()
        if principal is not None and self._observers:  # our own log does not tell them
            roles, permissions = self.settings.policy.roles.contract(principal)
        event = DecisionEvent(
            id=str(uuid4()) if refused else "",
            at=self.clock(),
            kind=facts.kind,
            method=facts.method,
            path=facts.path,
            decision=decision,
            subject=principal.subject if principal else None,
            issuer=principal.issuer if principal else None,
            asked=asked,
            roles=roles,
            permissions=permissions,
            scopes=principal.scopes if principal else frozenset(),
        )
        if explain is not None:
            explained_by(event, explain)
        for observer in (self._log, *self._observers):
            try:
                observer.observe(event)
            except Exception:  # noqa: BLE001 - whatever an observer does, the decision stands
                _complain("an observer failed; the decision stands")
        return event.id


def _complain(what: str) -> None:
    with suppress(Exception):  # the log itself may be what fails
        LOGGER.exception(what)
