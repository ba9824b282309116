"""What one request comes to, and what it may have to wait for: values, and the few Protocols.

`Outcome` is the end of a request. `Effect` is the closed set of things that the engine cannot know
by itself; a driver in `runtime` answers each by the value that it names.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from math import inf
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from authz_middleware.facts import Credentials, Decision, Principal, Reason, RequestFacts
from authz_middleware.policy.binding import Binding
from authz_middleware.policy.canonical import readings
from authz_middleware.policy.explain import explain
from authz_middleware.policy.model import Requirement
from authz_middleware.policy.needs import Asked
from authz_middleware.policy.questions import NO_ANSWERS, Answers, Question, Said
from authz_middleware.policy.resources import NO_RESOURCES, Loaded, Object, Resources
from authz_middleware.policy.routekey import request_method
from authz_middleware.policy.routes import Taken
from authz_middleware.tokens.claims import Verified
from authz_middleware.tokens.compact import Unverified
from authz_middleware.tokens.freshness import KeyView
from authz_middleware.tokens.introspection import Introspected, OpaqueToken
from authz_middleware.tokens.issuers import Issuer
from authz_middleware.tokens.keys import KeySet

__all__ = [
    "Admit",
    "CachedToken",
    "DecisionAnswer",
    "Effect",
    "IntrospectionAnswer",
    "IntrospectionSource",
    "KeySource",
    "KeysAnswer",
    "NeedDecision",
    "NeedIntrospection",
    "NeedKeys",
    "NeedResource",
    "Outcome",
    "Pending",
    "Refuse",
    "ResourceAnswer",
    "Routed",
    "Served",
    "Steps",
    "TokenCache",
    "Unresolved",
]


class Admit(NamedTuple):
    """The request is let through; `valid_until` is in seconds since the epoch.

    `anonymous` is why an anonymous caller is refused who asks for more. `requirements` were met;
    None for a preflight, which asks for nothing. `resources` were loaded for it. `at` is the time
    for which they were asked, in seconds since the epoch. `unless_404` is what the caller is told
    instead of whatever the app answers but 404. `answers` are what decision points said.
    """

    decision: Decision
    principal: Principal | None
    credentials: Credentials
    valid_until: float
    anonymous: Reason = "no_credentials"
    requirements: tuple[Requirement, ...] | None = ()
    resources: Resources = NO_RESOURCES
    at: float = -inf
    unless_404: Decision | None = None
    answers: Answers = NO_ANSWERS

    def explain(self, facts: RequestFacts) -> Decision:
        """Return the decision with what each rule finds, asked again about the request."""
        if not self.requirements:
            return self.decision
        asked = Asked(
            self.principal, self.at, facts, resources=self.resources, answers=self.answers
        )
        return replace(self.decision, findings=explain(self.requirements, asked).findings)


class Refuse(NamedTuple):
    """The request is refused; `principal` is known if the token was valid."""

    decision: Decision
    principal: Principal | None
    credentials: Credentials


Outcome = Admit | Refuse


class Routed(NamedTuple):
    """A request where the app's router has chosen: the route taken, and what it was chosen by.

    `path` is decoded, and as the guard sees it: with what the app is mounted under. `late` is
    whether the app did not have the route when the look was put before its handlers.
    """

    taken: Taken
    kind: Literal["http", "websocket"]
    method: str
    path: str
    late: bool = False

    def is_as_it_came(self, facts: RequestFacts) -> bool:
        """Whether nothing was changed of it: the common case."""
        return self.path == facts.path and self.method == facts.method and self.kind == facts.kind

    def is_still(self, facts: RequestFacts) -> bool:
        """Whether the app routes on what the guard decided."""
        if self.is_as_it_came(facts):
            return True
        method = request_method(self.kind, self.method)
        if method != request_method(facts.kind, facts.method):
            return False
        return self.path == facts.path or self.path in readings(facts.path, facts.root_path)


class Served(NamedTuple):
    """A request that was let in, and what of it the app's router has chosen since: `looks`."""

    admit: Admit
    facts: RequestFacts
    looks: tuple[Routed, ...]
    binding: Binding | None


class NeedKeys(NamedTuple):
    """Effect: fetch this issuer's keys. Answered by `KeysAnswer`."""

    issuer: str
    arrived: float  # a fetch that ended since then will do


class KeysAnswer(NamedTuple):
    """The keys after the fetch, however it went, and the time it is now."""

    view: KeyView
    now: float


class NeedIntrospection(NamedTuple):
    """Effect: ask this issuer about a token. Answered by `IntrospectionAnswer`."""

    issuer: str
    token: OpaqueToken
    digest: bytes


class IntrospectionAnswer(NamedTuple):
    """What the issuer said, or that it said nothing, and the time it is now."""

    answer: Introspected
    now: float


class NeedResource(NamedTuple):
    """Effect: load an object, in so many seconds. Answered by `ResourceAnswer`."""

    object: Object
    timeout: float


class ResourceAnswer(NamedTuple):
    """The attributes, or why there are none, and the time it is now."""

    found: Loaded
    now: float


class NeedDecision(NamedTuple):
    """Effect: put `questions` to a decision point, all to the same. Answered by `DecisionAnswer`.

    `at` is in seconds since the epoch; `ip` is the client's address, None if it is not told.
    """

    questions: tuple[Question, ...]
    principal: Principal
    at: float
    ip: str | None = None

    @property
    def pdp(self) -> str:
        """The name of the decision point."""
        return self.questions[0].pdp


class DecisionAnswer(NamedTuple):
    """What was said to each question, in order, and the time it is now."""

    said: tuple[Said, ...]
    now: float


Effect: TypeAlias = NeedKeys | NeedIntrospection | NeedResource | NeedDecision
Steps: TypeAlias = Generator[Effect, Any, Outcome]
"""Each effect is answered by the value that it names."""


class KeySource(Protocol):
    """Where an issuer's keys come from. Nothing waits; `refresh` starts a fetch, if one may."""

    def view(self, now: float) -> KeyView: ...
    def holds(self, keys: KeySet, now: float) -> bool: ...
    def refresh(self, arrived: float, /) -> object: ...


class IntrospectionSource(Protocol):
    """An issuer that can be asked about tokens. None of this waits."""

    def believes(self, known: CachedToken, now: float) -> bool: ...
    def held(self, digest: bytes, now: float) -> Introspected | None: ...


@dataclass(frozen=True, slots=True)
class CachedToken:
    """A token whose static claims were good, and what this rests on.

    That is the set of keys that its signature was verified with; or, if `keys` is None, the answer
    of its issuer, which is believed from `since` until just before `until`, and no later than
    `lasts` by a clock that nobody sets.
    """

    issuer: str
    keys: KeySet | None
    verified: Verified
    since: float = -inf
    until: float = inf
    lasts: float = inf


class TokenCache(Protocol):
    """Verified tokens by a keyed digest; token text is never kept."""

    def digest(self, token: bytes) -> bytes: ...
    def get(self, digest: bytes, /) -> CachedToken | None: ...
    def put(self, digest: bytes, entry: CachedToken, /) -> None: ...
    def discard(self, digest: bytes, /) -> None: ...


class Unresolved(NamedTuple):
    """A request that must wait for a loader or a decision point, of a caller who is known.

    `admit` is what is made of it if the requirements are met.
    """

    admit: Admit
    principal: Principal
    requirements: tuple[Requirement, ...]
    facts: RequestFacts
    need: NeedResource | NeedDecision


class Pending(NamedTuple):
    """A request that must wait: for its issuer's keys, or for what its issuer says of the token."""

    requirements: tuple[Requirement, ...]
    token: Unverified | OpaqueToken
    issuer: Issuer
    digest: bytes
    arrived: float  # seconds since the epoch
    facts: RequestFacts
