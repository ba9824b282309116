"""One request: authenticate, decide. Pure; what must wait is yielded as an effect.

`Engine.start` answers every request that needs nothing from outside, in a straight line: above
all the common one, whose token was verified before. When keys must be fetched first, or a token's
issuer must be asked about it, it returns `Pending`; when an object must be loaded, or a decision
point must be asked, `Unresolved`.
`Engine.resume` is the generator that goes on from there; a driver in `runtime` answers its
effects, with or without `await`. Both end in the same `_conclude`.

The order of failures is the contract: path 400, `forbid` that reads no caller, rule found (public:
in), Authorization 400, 401 or 503 of authentication, other `forbid`, then what the rule requires.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Literal

from authz_middleware import bearer
from authz_middleware.bearer import Presented
from authz_middleware.effects import (
    Admit,
    CachedToken,
    DecisionAnswer,
    IntrospectionAnswer,
    IntrospectionSource,
    KeysAnswer,
    KeySource,
    NeedDecision,
    NeedIntrospection,
    NeedKeys,
    NeedResource,
    Outcome,
    Pending,
    Refuse,
    ResourceAnswer,
    Routed,
    Steps,
    TokenCache,
    Unresolved,
)
from authz_middleware.facts import (
    Authorization,
    Credentials,
    Decision,
    Principal,
    Reason,
    RequestFacts,
    RuleRef,
    assembled,
)
from authz_middleware.policy.binding import Binding
from authz_middleware.policy.model import Policy, Requirement, is_public
from authz_middleware.policy.needs import Asked
from authz_middleware.policy.questions import NO_ANSWERS
from authz_middleware.policy.resources import NO_RESOURCES, Wanted
from authz_middleware.policy.routekey import request_method
from authz_middleware.ruling import Ruling
from authz_middleware.tokens import introspection, verify
from authz_middleware.tokens.claims import Verified, check_times, verify_claims
from authz_middleware.tokens.compact import Unverified, parse
from authz_middleware.tokens.freshness import KeyView
from authz_middleware.tokens.introspection import Introspected, OpaqueToken
from authz_middleware.tokens.issuers import Issuer
from authz_middleware.tokens.rejection import Rejected

__all__ = ["Engine"]


class Engine:
    """A policy and its issuers, compiled."""

    def __init__(
        self,
        policy: Policy,
        issuers: Mapping[str, Issuer],
        sources: Mapping[str, KeySource],
        cache: TokenCache,
        *,
        introspection_sources: Mapping[str, IntrospectionSource] | None = None,
        preflight: RuleRef | None = None,
    ) -> None:
        self.policy = policy
        self.ruling = Ruling(policy)
        self._forbids = bool(policy.forbids)
        self.issuers = issuers
        self._sources = sources
        self._cache = cache
        self._introspected = introspection_sources or {}
        self._opaque = introspection.prefixes(issuers.values())
        self._preflight = preflight and Decision(True, "allowed", preflight)

    def start(
        self, facts: RequestFacts, authorization: Authorization, now: float
    ) -> Outcome | Pending | Unresolved:
        """Answer `facts` at `now` (seconds since the epoch), or say that it must wait."""
        requirements = self._required(facts, now)
        if isinstance(requirements, Refuse):
            return requirements
        # Of OPTIONS itself: a middleware of the app may have made another method of it before us.
        asks = facts.preflight and request_method(facts.kind, facts.method) == "OPTIONS"
        if asks and self._preflight and not authorization and self._may_ask(facts, now):
            return Admit(self._preflight, None, "absent", inf, requirements=None)
        # A token seen before is not parsed again: nothing but what was parsed then has its digest.
        text = bearer.usual(authorization) or b""
        digest = self._cache.digest(text)
        known = self._cache.get(digest)
        if known is None:
            token = bearer.parse(authorization)
            if isinstance(token, Presented):
                return self._without_token(requirements, token, facts, now)
            if (parsed := token.encode("ascii")) != text:
                text, digest = parsed, self._cache.digest(parsed)
                known = self._cache.get(digest)
        try:
            if known and self._holds(known, now):
                _, starts, ends = verified = known.verified
                if not starts <= now < ends:
                    check_times(verified, now)
                return self._conclude(requirements, verified, facts, now)
            return self._verify(requirements, str(text, "ascii"), digest, facts, now)
        except Rejected as rejected:
            return self._invalid(requirements, rejected, facts, now)

    def answer(
        self, facts: RequestFacts, caller: Verified | None, now: float
    ) -> Outcome | Unresolved:
        """Answer for a caller who is known otherwise than by a token; None is an anonymous one.

        `caller` is expanded.
        """
        requirements = self._required(facts, now)
        if isinstance(requirements, Refuse):
            return requirements
        if caller is None:
            return self._without_token(requirements, Presented.ABSENT, facts, now)
        return self._conclude(requirements, caller, facts, now)

    def _required(self, facts: RequestFacts, now: float) -> tuple[Requirement, ...] | Refuse:
        """Return what is asked of whoever calls; or the refusal, if it is everybody's."""
        method = request_method(facts.kind, facts.method)
        if method is None:
            return _refuse("method_ambiguous")
        requirements = self.ruling.of(facts, method)
        if requirements is None:
            return _refuse("path_ambiguous")
        if not self._forbids:
            return requirements
        forbidden = self.policy.forbidden(requirements, now, facts)
        return requirements if forbidden is None else Refuse(forbidden, None, "absent")

    def again(
        self, admit: Admit, facts: RequestFacts, asked: Routed, binding: Binding | None, now: float
    ) -> Outcome | Unresolved:
        """Decide for a caller that is known what the app's router makes of its request.

        `admit` and `facts` are of the request as it came; `asked` is what it is by now, at `now`
        (seconds since the epoch).
        """
        method = request_method(asked.kind, asked.method)
        if method is None:
            return _refuse("method_ambiguous")
        if (
            admit.requirements is None  # a preflight asks for nothing
            and asked.is_still(facts)
            and (binding is None or binding.knows(asked.taken, asked.path, late=asked.late))
        ):
            return admit
        requirements = self.ruling.behind(admit, facts, asked, method, binding)
        if not requirements:
            return _refuse("path_ambiguous")
        forbidden = self.policy.forbidden(requirements, now, facts)
        if forbidden is not None:
            return Refuse(forbidden, admit.principal, admit.credentials)
        if admit.principal is not None:
            return self._decided(admit, admit.principal, requirements, facts, now)
        if not is_public(requirements):
            return _refuse(admit.anonymous, requirements)
        decision = self.policy.anonymous(requirements, now, facts)
        if not decision.allowed:
            return Refuse(decision, admit.principal, admit.credentials)
        return admit._replace(requirements=requirements)

    def is_settled(
        self, admit: Admit, facts: RequestFacts, asked: Routed, binding: Binding | None
    ) -> bool:
        """Whether the app's router takes the route that the rule of the path was written for.

        Then `again` would ask the same once more, and where it asks for nothing but who calls, find
        the same. This is the common case, and says no where that is not plain.
        """
        requirements = admit.requirements
        if not requirements or facts.upgrade or not asked.is_as_it_came(facts):
            return False
        if binding is not None:
            method = request_method(facts.kind, facts.method)
            if method is None or not binding.expects(asked.taken, method, requirements):
                return False
        principal = admit.principal
        if principal is None:
            return not self._forbids and is_public(requirements)
        for requirement in requirements:  # noqa: SIM110 - each request comes through here
            if not requirement.at_once(principal):
                return False
        return True

    def give_up(self, unresolved: Unresolved, now: float) -> Outcome:
        """Decide without asking anybody more: it is refused, unless time lets it in."""
        admit, principal, requirements, facts, _ = unresolved
        return self._settled(admit, principal, requirements, facts, now)

    def resume(self, pending: Pending | Unresolved) -> Steps:
        """Go on with a request that had to wait."""
        if isinstance(pending, Unresolved):
            return self._resolved(pending)
        if isinstance(pending.token, OpaqueToken):
            return self._after_introspection(pending, pending.token)
        return self._after_keys(pending, pending.token)

    def _after_keys(self, pending: Pending, token: Unverified) -> Steps:
        answer: KeysAnswer = yield NeedKeys(pending.issuer.issuer, pending.arrived)
        try:
            verified = self._check(pending, token, answer.view, answer.now)
        except Rejected as rejected:
            return self._invalid(pending.requirements, rejected, pending.facts, answer.now)
        if verified is None:
            return _unavailable(pending.requirements, answer.view)
        concluded = self._conclude(pending.requirements, verified, pending.facts, answer.now)
        return (yield from self._resolved(concluded))

    def _after_introspection(self, pending: Pending, token: OpaqueToken) -> Steps:
        answer: IntrospectionAnswer = yield NeedIntrospection(
            pending.issuer.issuer, token, pending.digest
        )
        try:
            told = self._told(pending, answer.answer, answer.now)
        except Rejected as rejected:
            return self._invalid(pending.requirements, rejected, pending.facts, answer.now)
        return (yield from self._resolved(told))

    def _resolved(self, outcome: Outcome | Unresolved) -> Steps:
        """Ask for whatever the outcome hangs on, one after the other."""
        while isinstance(outcome, Unresolved):
            admit, principal, requirements, facts, need = outcome
            answer: ResourceAnswer | DecisionAnswer
            if isinstance(need, NeedResource):
                answer = loaded = yield need
                admit = admit._replace(resources={**admit.resources, need.object: loaded.found})
            else:
                answer = decided = yield need
                said = zip(need.questions, decided.said, strict=True)
                admit = admit._replace(answers={**admit.answers, **dict(said)})
            if answer.now >= admit.valid_until:
                return _refuse("invalid_token", requirements, "invalid", "expired")
            outcome = self._decided(admit, principal, requirements, facts, answer.now)
        return outcome

    def _decided(
        self,
        admit: Admit,
        principal: Principal,
        requirements: tuple[Requirement, ...],
        facts: RequestFacts,
        now: float,
    ) -> Outcome | Unresolved:
        """Decide with what is known so far, or say what must be asked first."""
        wanted = self.policy.waits_for(
            requirements, principal, now, facts, admit.resources, admit.answers
        )
        if wanted is None:
            return self._settled(admit, principal, requirements, facts, now)
        need: NeedResource | NeedDecision
        if isinstance(wanted, Wanted):
            need = NeedResource(*wanted)
        else:
            need = NeedDecision(wanted.each, principal, now, self._ip(facts))
        return Unresolved(admit, principal, requirements, facts, need)

    def _ip(self, facts: RequestFacts) -> str | None:
        """Return the client's address, if the policy says whom to believe."""
        clients = self.policy.clients
        if facts.around is None or clients.proxies is None:
            return None
        return clients.ip(facts.around)

    def _settled(
        self,
        admit: Admit,
        principal: Principal,
        requirements: tuple[Requirement, ...],
        facts: RequestFacts,
        now: float,
    ) -> Outcome:
        """Decide with what is known, and with nothing more."""
        _, caller, credentials, until, anonymous, _, resources, _, unless_404, answers = admit
        asked = Asked(principal, now, facts, resources=resources, answers=answers)
        decision = self.policy.judge(requirements, asked)
        if not decision.allowed:
            return Refuse(decision, principal, credentials)
        return Admit(
            decision,
            caller,
            credentials,
            until,
            anonymous,
            requirements,
            resources,
            now,
            unless_404,
            answers,
        )

    def _holds(self, known: CachedToken, now: float) -> bool:
        """Whether what a remembered token rests on is still so: all but the time."""
        if known.keys is None:
            return self._introspected[known.issuer].believes(known, now)
        # The keys it was verified with must still be the issuer's: a key that was withdrawn takes
        # its tokens along.
        return self._sources[known.issuer].holds(known.keys, now)

    def _may_ask(self, facts: RequestFacts, now: float) -> bool:
        """Whether it is a preflight, and asks for what the policy lets anybody do at all.

        It has no credentials: browsers send none (Fetch, "CORS-preflight fetch").
        """
        method = request_method("http", facts.preflight)
        if method is None or facts.upgrade:
            return False
        asked = self.ruling.of(facts, method)
        if asked is None or self.policy.forbidden(asked, now, facts) is not None:
            return False
        return all(each.kind != "deny" for each in asked)

    def _verify(
        self,
        requirements: tuple[Requirement, ...],
        token: str,
        digest: bytes,
        facts: RequestFacts,
        now: float,
    ) -> Outcome | Pending | Unresolved:
        if self._opaque and not introspection.names_its_issuer(token):
            issuer = introspection.recipient(token, self._opaque)
            opaque = OpaqueToken(token)
            return self._ask(Pending(requirements, opaque, issuer, digest, now, facts), now)
        unverified = parse(token)
        issuer = verify.identify(unverified, self.issuers)
        if issuer.issuer in self._introspected:
            opaque = OpaqueToken(token)
            return self._ask(Pending(requirements, opaque, issuer, digest, now, facts), now)
        pending = Pending(requirements, unverified, issuer, digest, now, facts)
        view = self._sources[issuer.issuer].view(now)
        verified = self._check(pending, unverified, view, now, waiting=view.fetchable)
        if verified is not None:
            return self._conclude(requirements, verified, facts, now)
        # What no key could make good makes nobody fetch, and is nobody's fault but its own.
        verify_claims(unverified.payload, unverified.header, issuer, now)
        if is_public(requirements):  # it never waits for a fetch, but the next request may need it
            if view.fetchable:
                self._sources[issuer.issuer].refresh(now)
            return self._anonymous(requirements, "unavailable", "keys_unavailable", facts, now)
        return pending if view.fetchable else _unavailable(requirements, view)

    def _ask(self, pending: Pending, now: float) -> Outcome | Pending | Unresolved:
        """Answer from what is held of the token, or wait for its issuer."""
        answer = self._introspected[pending.issuer.issuer].held(pending.digest, now)
        if answer is not None:
            return self._told(pending, answer, now)
        if is_public(pending.requirements):  # a public route asks nobody
            return self._not_told(pending, now)
        return pending

    def _told(self, pending: Pending, answer: Introspected, now: float) -> Outcome | Unresolved:
        requirements = pending.requirements
        if answer.verified is not None:
            check_times(answer.verified, now)
            return self._conclude(requirements, answer.verified, pending.facts, now)
        if answer.refused:
            raise Rejected(answer.refused)
        if is_public(requirements):
            return self._not_told(pending, now)
        return _refuse("introspection_unavailable", requirements, "unavailable", answer.unavailable)

    def _not_told(self, pending: Pending, now: float) -> Outcome:
        reason: Reason = "introspection_unavailable"
        return self._anonymous(pending.requirements, "unavailable", reason, pending.facts, now)

    def _check(
        self,
        pending: Pending,
        token: Unverified,
        view: KeyView,
        now: float,
        *,
        waiting: bool = False,
    ) -> Verified | None:
        """Verify with the keys at hand; None if only other keys could tell.

        A key that the set lacks may have been published since. Then the provider is asked, unless
        it was a moment ago; but the caller is not to blame for what we did not look up. Only if
        the token came, or by its own word was issued, before our set was made out, is it invalid:
        a key is published before it signs.
        """
        if view.keys is None:
            return None
        newer = view.as_of < pending.arrived and (
            waiting or verify.issued_since(token, pending.issuer, view.as_of)
        )
        if newer and verify.needs_key(token, view.keys):
            return None
        try:
            verified = verify.verify(token, pending.issuer, view.keys, now)
        except Rejected as rejected:
            # Without names, a key that is new and a signature that is forged look the same.
            named = verify.names_key(token, view.keys)
            if newer and not named and rejected.detail == "bad_signature":
                return None
            raise
        principal = self.policy.roles.expand(verified.principal)
        verified = Verified(principal, verified.valid_from, verified.valid_until)
        self._cache.put(pending.digest, CachedToken(pending.issuer.issuer, view.keys, verified))
        return verified

    def _conclude(
        self,
        requirements: tuple[Requirement, ...],
        verified: Verified,
        facts: RequestFacts,
        now: float,
    ) -> Outcome | Unresolved:
        principal, _, valid_until = verified
        for requirement in requirements:
            if not requirement.at_once(principal):
                break
        else:
            # The common end.
            return assembled(
                Admit,
                (
                    requirements[0].allowed,
                    principal,
                    "valid",
                    valid_until,
                    "no_credentials",
                    requirements,
                    NO_RESOURCES,
                    now,
                    None,
                    NO_ANSWERS,
                ),
            )
        admit = Admit(requirements[0].allowed, principal, "valid", valid_until)
        for requirement in requirements:
            if requirement.waits:
                return self._decided(admit, principal, requirements, facts, now)
        return self._settled(admit, principal, requirements, facts, now)

    def _anonymous(
        self,
        requirements: tuple[Requirement, ...],
        credentials: Credentials,
        reason: Reason,
        facts: RequestFacts,
        now: float,
    ) -> Outcome:
        decision = self.policy.anonymous(requirements, now, facts)
        if decision.allowed:
            return Admit(decision, None, credentials, inf, reason, requirements, at=now)
        return Refuse(decision, None, credentials)

    def _without_token(
        self,
        requirements: tuple[Requirement, ...],
        presented: Presented,
        facts: RequestFacts,
        now: float,
    ) -> Outcome:
        absent = presented is Presented.ABSENT
        credentials: Literal["absent", "invalid"] = "absent" if absent else "invalid"
        reason: Reason = "no_credentials" if absent else "malformed_authorization"
        if is_public(requirements):
            return self._anonymous(requirements, credentials, reason, facts, now)
        return _refuse(reason, requirements, credentials)

    def _invalid(
        self,
        requirements: tuple[Requirement, ...],
        rejected: Rejected,
        facts: RequestFacts,
        now: float,
    ) -> Outcome:
        if is_public(requirements):
            return self._anonymous(requirements, "invalid", "invalid_token", facts, now)
        return _refuse("invalid_token", requirements, "invalid", rejected.detail)


def _unavailable(requirements: tuple[Requirement, ...], view: KeyView) -> Refuse:
    detail = "unknown_key" if view.keys is not None else ""
    return _refuse("keys_unavailable", requirements, "unavailable", detail)


def _refuse(
    reason: Reason,
    requirements: tuple[Requirement, ...] = (),
    credentials: Credentials = "absent",
    detail: str = "",
) -> Refuse:
    # Of several rules, a public one is not what asked for credentials, and a `forbid` never is.
    ref = next((each.ref for each in requirements if each.kind not in ("public", "forbid")), None)
    return Refuse(Decision(False, reason, ref, detail=detail), None, credentials)
