"""The policy as it is served, with callers that are taken at the attack's word, as `[[tests]]` are.

Everything but the signature of a token is real: the adapter, the look at the path, the rules, and
what the framework's own hook asks again. So no identity provider is needed, and no secret.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import inf
from typing import Literal, NamedTuple

from authz_middleware.effects import Admit, CachedToken, Outcome, Pending, Routed, Unresolved
from authz_middleware.engine import Engine
from authz_middleware.facts import Authorization, Claims, Decision, Principal, RequestFacts
from authz_middleware.policy.binding import Binding
from authz_middleware.policy.model import Policy, Requirement
from authz_middleware.policy.needs import (
    Acr,
    AnyIssuer,
    AnyRole,
    Leaf,
    MaxAge,
    Permissions,
    Scopes,
    walk,
)
from authz_middleware.runtime.cache import VerifiedTokens
from authz_middleware.runtime.keys import FixedKeys
from authz_middleware.runtime.serving import Serving
from authz_middleware.testing.attack.probes import requirements_of
from authz_middleware.tokens.claims import Verified
from authz_middleware.tokens.key_set import KeySet

__all__ = ["Caller", "Presumed", "entitled", "lacking"]

ID = "00000000-0000-4000-8000-000000000000"


class Caller(NamedTuple):
    """Who sends a request; nobody if there is no principal."""

    principal: Principal | None
    authorization: str  # the value of the Authorization field; "" for none

    def __str__(self) -> str:
        if self.principal is None:
            return "anonymous"
        held = {
            "roles": self.principal.roles,
            "permissions": self.principal.permissions,
            "scopes": self.principal.scopes,
        }
        texts = [f"{what} {', '.join(sorted(names))}" for what, names in held.items() if names]
        return "a caller with " + ("; ".join(texts) or "a valid token and no rights")


ANONYMOUS = Caller(None, "")


class Presumed(Serving):
    """What `Authz.serving` is during an attack: it tells nobody, and remembers what it decided."""

    def __init__(self, serving: Serving) -> None:
        # Not made anew: whatever the policy was bound to stays bound.
        vars(self).update(vars(serving))
        self._keys = KeySet(())
        self._tokens = VerifiedTokens()
        self._presumed = Engine(
            self.settings.policy,
            {},  # a token that is not ours is of an unknown issuer
            {"": FixedKeys(self._keys)},
            self._tokens,
            preflight=self.settings.preflight,
        )
        self._is_heard = lambda: True
        self._decisions: list[Decision] = []
        self._on_admission: Callable[[], None] | None = None
        self.open = False
        """Whether everybody is let in, to see what the app does by itself."""

    @contextmanager
    def deciding(self, on_admission: Callable[[], None]) -> Generator[list[Decision]]:
        """Collect the decisions of the block; the first that lets a request in is announced."""
        self._decisions = []
        self._on_admission = on_admission
        try:
            yield self._decisions
        finally:
            self._on_admission = None

    def caller(self, principal: Principal) -> Caller:
        """Return a caller whose token is believed to be of `principal`."""
        token = secrets.token_urlsafe(32)
        expanded = self.settings.policy.roles.expand(principal)
        verified = Verified(expanded, -inf, inf)
        self._tokens.put(
            self._tokens.digest(token.encode("ascii")), CachedToken("", self._keys, verified)
        )
        return Caller(expanded, f"Bearer {token}")

    def outcome(self, facts: RequestFacts, authorization: Authorization) -> Outcome:
        """Decide a request; nothing is ever waited for."""
        outcome = self._presumed.start(facts, authorization, self.clock())
        if isinstance(outcome, Pending):  # there is no issuer to be asked
            raise RuntimeError("an attack waits for nobody")
        if isinstance(outcome, Unresolved):
            outcome = self._presumed.give_up(outcome, self.clock())
        if isinstance(outcome, Admit) or not self.open:
            return outcome
        decision = Decision(True, "allowed", outcome.decision.rule)
        return Admit(decision, outcome.principal, "valid", inf)

    def begin(self, facts: RequestFacts, authorization: Authorization) -> Outcome:
        """Decide as `outcome` does."""
        return self.outcome(facts, authorization)

    def again(
        self, admit: Admit, facts: RequestFacts, asked: Routed, binding: Binding | None
    ) -> Outcome:
        """Decide inside, between the app's router and its handler."""
        if self.open:
            return admit._replace()  # not itself: whatever is asked, it is let in
        outcome = super().again(admit, facts, asked, binding)
        self._decisions.append(outcome.decision)
        return outcome

    def _resolved(self, unresolved: Unresolved) -> Outcome:
        return self._presumed.give_up(unresolved, self.clock())

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
        del facts, principal, refused, explain
        if not asked:
            self._decisions.append(decision)
        if decision.allowed and self._on_admission is not None:
            self._on_admission()
            self._on_admission = None
        return ID


def entitled(
    policy: Policy, requirements: Iterable[Requirement], issuers: Iterable[str], now: float
) -> Principal:
    """Return a principal who holds all that the policy knows, of an issuer that they accept."""
    accepted = {
        name for leaf in _leaves(requirements) if isinstance(leaf, AnyIssuer) for name in leaf.names
    }
    known = [*(issuer for issuer in issuers if not accepted or issuer in accepted), *accepted, ""]
    held = Principal(subject="attack", issuer=known[0], expires_at=inf)
    for right in (*_rights(policy), *_rights_of(requirements)):
        held = right.given(held, now)
    return held


def lacking(
    policy: Policy, requirements: tuple[Requirement, ...], issuers: Iterable[str], now: float
) -> Principal | None:
    """Return a principal who holds as much as one can without meeting `requirements`, if any."""
    for issuer in (*issuers, ""):
        held = Principal(subject="attack", issuer=issuer, expires_at=inf)
        if _met(policy, requirements, held, now):
            continue
        for right in _rights(policy):
            more = right.given(held, now)
            if not _met(policy, requirements, more, now):
                held = more
        return held
    return None


class _Right(NamedTuple):
    """What a principal may hold: a name, a way of authentication, or a recent one."""

    kind: Literal["roles", "permissions", "scopes", "acr", "auth_time"]
    name: str

    def given(self, principal: Principal, now: float) -> Principal:
        """Return `principal` with this right added."""
        match self.kind:
            case "roles":
                return replace(principal, roles=principal.roles | {self.name})
            case "permissions":
                return replace(principal, permissions=principal.permissions | {self.name})
            case "scopes":
                return replace(principal, scopes=principal.scopes | {self.name})
            case "acr":
                return replace(principal, claims=Claims({**principal.claims, "acr": self.name}))
            case _:
                return replace(principal, claims=Claims({**principal.claims, "auth_time": now}))


def _met(
    policy: Policy, requirements: tuple[Requirement, ...], principal: Principal, now: float
) -> bool:
    return policy.decide(requirements, policy.roles.expand(principal), now).allowed


def _rights(policy: Policy) -> Iterator[_Right]:
    """Yield every right that some rule asks for, and every role."""
    found = dict.fromkeys(_Right("roles", name) for name in sorted(policy.roles.declared or ()))
    found |= dict.fromkeys(_rights_of(requirements_of(policy)))
    yield from found


def _rights_of(requirements: Iterable[Requirement]) -> Iterator[_Right]:
    for leaf in _leaves(requirements):
        match leaf:
            case AnyRole(names):
                yield from (_Right("roles", name) for name in sorted(names))
            case Permissions(names):
                yield from (_Right("permissions", name) for name in names)
            case Scopes(names):
                yield from (_Right("scopes", name) for name in names)
            case Acr(names):
                yield _Right("acr", names[0])
            case MaxAge():
                yield _Right("auth_time", "")
            case _:
                pass  # an issuer is chosen; a condition may ask for anything


def _leaves(requirements: Iterable[Requirement]) -> Iterator[Leaf]:
    for each in requirements:
        if each.need is not None:
            yield from walk(each.need)
