"""One decision, step by step: the path, the caller, the rules, and what each of their parts found.

Nothing is fetched, and nobody is asked. Of a token only what the policy looks at is told, never its
text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, Literal, NamedTuple

from authz_middleware.facts import Decision, Principal, RequestFacts, RuleFinding
from authz_middleware.observe.record import RecordedDecision
from authz_middleware.policy.canonical import readings
from authz_middleware.policy.explain import explain as explain_rules
from authz_middleware.policy.findings import named
from authz_middleware.policy.model import Policy, Requirement, is_public
from authz_middleware.policy.needs import Asked
from authz_middleware.policy.resources import Loaded, Resources
from authz_middleware.policy.routekey import WEBSOCKET, request_method
from authz_middleware.policy.supposing import supposed
from authz_middleware.runtime.settings import Settings
from authz_middleware.tokens import introspection, verify
from authz_middleware.tokens.claims import verify_claims, verify_members
from authz_middleware.tokens.compact import Unverified, parse
from authz_middleware.tokens.issuers import Introspection, Issuer, StaticKeys
from authz_middleware.tokens.rejection import Rejected

__all__ = [
    "ANONYMOUS",
    "Caller",
    "Explained",
    "Step",
    "by_claims",
    "by_record",
    "by_roles",
    "by_token",
    "explain",
]


class Step(NamedTuple):
    """One thing that was looked at; "unchecked" is what could not be told here."""

    name: str
    came: Literal["ok", "no", "unchecked"]
    said: str


class Caller(NamedTuple):
    """Who asks, and the steps that led there. `rejected` says why a token proves nobody."""

    principal: Principal | None
    steps: tuple[Step, ...] = ()
    rejected: str = ""


UNASKED = "introspection"
"""Why an opaque token, or one whose issuer is asked about it, proves nobody here."""

ANONYMOUS = Caller(None, (Step("caller", "ok", "anonymous: no token"),))


@dataclass(frozen=True, slots=True)
class Explained:
    """A decision, the steps before it, and what every rule found that had a say in it."""

    decision: Decision
    steps: tuple[Step, ...]
    rules: tuple[RuleFinding, ...] = ()


def explain(
    settings: Settings,
    method: str,
    path: str,
    caller: Caller,
    now: float,
    resource: Loaded | None = None,
) -> Explained:
    """Explain what a policy says to `caller` at `now` (seconds since the epoch).

    `method` is as in a policy: upper case, "WS" for a WebSocket handshake. `resource` is what every
    loader is taken to find; None asks none.
    """
    kind: Literal["http", "websocket"] = "websocket" if method == WEBSOCKET else "http"
    policy, asked = settings.policy, request_method(kind, method)
    if asked is None:
        said = "two parties could read it in two ways"
        return Explained(Decision(False, "method_ambiguous"), (Step("method", "no", said),))
    paths = readings(path, "")
    found = policy.find(asked, paths) if paths else None
    if not found:
        said = f"{_unreadable(path)}: 400 for everybody"
        return Explained(Decision(False, "path_ambiguous"), (Step("path", "no", said),))
    steps = (Step("path", "ok", paths[0]), *caller.steps)
    facts = RequestFacts(kind, "GET" if kind == "websocket" else method, path, "")
    resources, _ = supposed(policy, found, caller.principal, now, facts, resource, {})
    if resources:
        steps += (Step("object", "unchecked", "none is loaded: it is taken as it is given"),)
    rules = explain_rules(found, Asked(caller.principal, now, facts, resources=resources))
    decision = _decision(policy, found, caller, facts, now, resources)
    return Explained(decision, steps, rules.findings)


def _unreadable(path: str) -> str:
    """What is wrong with a path that has not one reading, above all where a URL was pasted."""
    if not path.startswith("/"):
        return "it does not begin with `/`"
    if "?" in path:
        return "it holds a `?`: a query is no part of a path, and `%3F` is read in two ways"
    return "two parties could read it in two ways"


def _decision(
    policy: Policy,
    found: tuple[Requirement, ...],
    caller: Caller,
    facts: RequestFacts,
    now: float,
    resources: Resources,
) -> Decision:
    """Decide in the order in which a request is answered."""
    if forbidden := policy.forbidden(found, now, facts):
        return forbidden
    if caller.principal is not None:
        return policy.decide(found, caller.principal, now, facts, resources)
    if caller.rejected and not is_public(found):
        if caller.rejected == UNASKED:
            return Decision(False, "introspection_unavailable")
        rule = next(each.ref for each in found if each.kind not in ("public", "forbid"))
        return Decision(False, "invalid_token", rule, detail=caller.rejected)
    return policy.anonymous(found, now, facts)


# --- Callers ---


def by_roles(
    settings: Settings,
    roles: Iterable[str],
    scopes: Iterable[str] = (),
    permissions: Iterable[str] = (),
) -> Caller:
    """Return a caller who is assumed to have these roles, scopes and permissions."""
    principal = Principal(
        subject="somebody",
        issuer=next(iter(settings.issuers)),
        roles=frozenset(roles),
        scopes=frozenset(scopes),
        permissions=frozenset(permissions),
        expires_at=inf,
    )
    return _known(settings, [Step("token", "unchecked", "none: a caller is assumed")], principal)


def by_record(settings: Settings, record: RecordedDecision) -> Caller:
    """Return who asked for what was recorded, as the policy of `settings` knows him.

    What issuers may not give any more he has no more.
    """
    if record.subject is None:
        if record.reason == "invalid_token":
            return _refused([], "token", record.reason)
        return ANONYMOUS
    issuer = settings.issuers.get(record.issuer or "")
    if issuer is None:
        return _refused([], "issuer", "unknown_issuer")
    roles, permissions = issuer.may_say(frozenset(record.roles), frozenset(record.permissions))
    principal = Principal(
        subject=record.subject,
        issuer=issuer.issuer,
        roles=roles,
        permissions=permissions,
        scopes=frozenset(record.scopes),
        expires_at=inf,
    )
    return _known(settings, [Step("token", "unchecked", "what it said is recorded")], principal)


def by_claims(settings: Settings, claims: Mapping[str, Any], now: float) -> Caller:
    """Return whom these claims make, as if a token with a good signature brought them.

    What every token has is added where it is missing: `iss` if there is one issuer only, `aud`,
    `exp` and `sub`.
    """
    payload: dict[str, Any] = {"exp": now + 300, "sub": "somebody", **claims}
    if len(settings.issuers) == 1:
        payload.setdefault("iss", next(iter(settings.issuers)))
    issuer = settings.issuers.get(str(payload.get("iss")))
    if issuer is None:
        return _refused([], "issuer", "unknown_issuer")
    payload.setdefault(issuer.audience_claim, min(issuer.audience))
    steps = [
        Step("issuer", "ok", issuer.issuer),
        Step("signature", "unchecked", "claims have none"),
    ]
    try:
        verified = verify_members(payload, issuer, now)
    except Rejected as rejected:
        return _refused(steps, "claims", rejected.detail)
    steps.append(Step("claims", "ok", "the issuer's tokens may have them"))
    return _known(settings, steps, verified.principal)


def by_token(settings: Settings, token: str, now: float) -> Caller:
    """Return whom `token` proves, as far as that can be told without asking anybody."""
    steps: list[Step] = []
    asked = introspection.prefixes(settings.issuers.values())
    if asked and not introspection.names_its_issuer(token):
        try:
            issuer = introspection.recipient(token, asked)
        except Rejected as rejected:
            return _refused(steps, "form", rejected.detail)
        said = f"opaque: {issuer.issuer} is asked about it, and not from here"
        return Caller(None, (Step("form", "unchecked", said),), UNASKED)
    try:
        unverified = parse(token)
    except Rejected as rejected:
        return _refused(steps, "form", rejected.detail)
    header = unverified.header
    steps.append(Step("form", "ok", f"a JWT, alg {header['alg']!a}, typ {header.get('typ')!a}"))
    try:
        issuer = verify.identify(unverified, settings.issuers)
    except Rejected as rejected:
        return _refused(steps, "issuer", rejected.detail)
    steps.append(Step("issuer", "ok", issuer.issuer))
    if isinstance(issuer.source, Introspection):
        steps.append(Step("signature", "unchecked", "its issuer is asked, and not from here"))
        return Caller(None, tuple(steps), UNASKED)
    return _verified(settings, steps, unverified, issuer, now)


# What `verify` says of a signature; whatever else it says is about claims.
_OF_SIGNATURE = frozenset({"unknown_key", "bad_signature", "ambiguous_key", "too_many_keys"})


def _verified(
    settings: Settings, steps: list[Step], unverified: Unverified, issuer: Issuer, now: float
) -> Caller:
    signature = Step("signature", "ok", "made with a key of the issuer")
    try:
        if isinstance(issuer.source, StaticKeys):
            verified = verify.verify(unverified, issuer, issuer.source.keys, now)
        else:
            said = "the keys of this issuer are fetched, and not from here"
            signature = Step("signature", "unchecked", said)
            verified = verify_claims(unverified.payload, unverified.header, issuer, now)
    except Rejected as rejected:
        if rejected.detail in _OF_SIGNATURE:
            return _refused(steps, "signature", rejected.detail)
        return _refused([*steps, signature], "claims", rejected.detail)
    steps += [signature, Step("claims", "ok", "issuer, audience, type and times are right")]
    return _known(settings, steps, verified.principal)


def _known(settings: Settings, steps: list[Step], principal: Principal) -> Caller:
    expanded = settings.policy.roles.expand(principal)
    held = (
        f"roles {named(expanded.roles)}",
        f"permissions {named(expanded.permissions)}",
        f"scopes {named(expanded.scopes)}",
    )
    return Caller(expanded, (*steps, Step("caller", "ok", "; ".join(held))))


def _refused(steps: list[Step], name: str, detail: str) -> Caller:
    return Caller(None, (*steps, Step(name, "no", detail)), detail)
