"""The plain values every layer may hold: what was asked, who asks, what was decided.

No rule lives here. Everything is immutable, so that one request's value can be shared by
threads, tasks and the verified-token cache without one of them changing it for another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, NoReturn, Protocol, TypeVar, cast

__all__ = [
    "ANONYMOUS",
    "Actor",
    "Answer",
    "Authorization",
    "Claims",
    "ContextReads",
    "Credentials",
    "Decision",
    "Finding",
    "KeyReadiness",
    "LatestFetch",
    "OUTAGES",
    "LatestReload",
    "Outcome",
    "PolicyReadiness",
    "Principal",
    "Readiness",
    "Reason",
    "RequestFacts",
    "RuleFinding",
    "RuleRef",
    "Surroundings",
    "assembled",
]

Credentials = Literal["valid", "absent", "invalid", "unavailable"]
"""What became of the caller's credentials. Absent is not invalid; unavailable is our outage."""

Reason = Literal[
    "allowed",
    "path_ambiguous",
    "method_ambiguous",
    "no_credentials",
    "malformed_authorization",
    "invalid_token",
    "keys_unavailable",
    "introspection_unavailable",
    "forbidden",
    "forbidden_to_caller",
    "no_rule",
    "method_not_listed",
    "denied_by_rule",
    "role_missing",
    "permission_missing",
    "issuer_not_accepted",
    "excluded",
    "condition_not_met",
    "condition_error",
    "scope_missing",
    "acr_not_met",
    "authentication_too_old",
    "resource_missing",
    "resource_not_found",
    "resource_unavailable",
    "pdp_denied",
    "pdp_failed",
    "pdp_unavailable",
    "policy_not_loaded",
    "unguarded",
    "unchecked",
]
"""Why a request was let in or refused; `authz_middleware.answers` maps each to its HTTP answer."""


OUTAGES: Final[frozenset[Reason]] = frozenset(
    {
        "keys_unavailable",
        "introspection_unavailable",
        "resource_unavailable",
        "pdp_failed",
        "pdp_unavailable",
        "policy_not_loaded",
    }
)
"""Reasons that say nothing of the caller: somebody could not be asked."""


_ATOMS = frozenset({str, int, float, bool, type(None)})
"""What JSON has beside objects and arrays: it cannot be changed as it is."""


_FILL: Final = dict[str, Any].update


_Kind = TypeVar("_Kind")


class _Assembled(Protocol):
    def __call__(self, kind: type[_Kind], fields: tuple[Any, ...], /) -> _Kind: ...


assembled: Final = cast("_Assembled", vars(tuple)["__new__"])
"""Makes a tuple of this kind; a named one of all its fields, in their order: nobody counts them.

What a named tuple has for it is in Python, and each request needs some of them.
"""


class Claims(dict[str, Any]):
    """A read-only dict of claims; nested objects are `Claims`, arrays are tuples.

    One verified token serves many requests, so a handler must not be able to change what the
    next request sees. It stays a `dict` so that JSON encoders and `isinstance` checks work.
    """

    __slots__ = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if self:
            self._refuse()  # called again, it would add to what is shared
        super().__init__(*args, **kwargs)

    @classmethod
    def freeze(cls, value: Any) -> Any:
        """Return `value` (parsed JSON) with every dict and list in it made read-only."""
        if isinstance(value, dict):
            members = cast("dict[str, Any]", value)
            # In one go: what it says of itself is that it cannot be filled.
            frozen = cls.__new__(cls)
            _FILL(frozen, members)
            if not _ATOMS.issuperset(map(type, members.values())):
                for name, member in members.items():
                    if type(member) not in _ATOMS:
                        _FILL(frozen, {name: cls.freeze(member)})
            return frozen
        if isinstance(value, (list, tuple)):
            return tuple(map(cls.freeze, cast("list[Any]", value)))
        return value

    def _refuse(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise TypeError("claims are read-only; copy them with dict(claims)")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse  # pyright: ignore[reportAssignmentType]

    def __reduce__(self) -> tuple[type[Claims], tuple[dict[str, Any]]]:
        # Copies and pickles are rebuilt at once; by default they would be filled member by member.
        return type(self), (dict(self),)


@dataclass(frozen=True, slots=True)
class Actor:
    """The party acting for the subject: the outermost `act` claim (RFC 8693 §4.1)."""

    subject: str | None
    issuer: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A verified caller. Identity is the pair (issuer, subject) (RFC 8725 §3.8).

    As `tokens` makes it, `roles` and `permissions` are the names the token carries. As the app
    sees it, the policy has added what the roles inherit and the permissions they bring (with a
    role's patterns as written, such as `user:*`: ask `access.allows`, do not compare text).
    """

    subject: str
    issuer: str
    roles: frozenset[str] = frozenset()
    permissions: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    claims: Claims = field(default_factory=Claims, repr=False, hash=False)
    expires_at: float  # seconds since the epoch: the `exp` claim, without leeway
    actor: Actor | None = None


class ContextReads(NamedTuple):
    """What the conditions of a policy read of a request's surroundings."""

    fields: frozenset[str]  # names of header fields, in lower case
    every_field: bool = False  # a condition looks for names that it does not write out
    hidden: frozenset[str] = frozenset()  # fields that it does not see then
    query: bool = False

    def takes(self, name: str) -> bool:
        """Whether the field of this name (in lower case) is read."""
        return name in self.fields or (self.every_field and name not in self.hidden)

    def __or__(self, other: ContextReads) -> ContextReads:
        """Return what these or others read."""
        return ContextReads(
            self.fields | other.fields,
            self.every_field or other.every_field,
            self.hidden | other.hidden,
            self.query or other.query,
        )


class Surroundings(NamedTuple):
    """What came with a request beside path, method and credentials: as received, believed by none.

    Texts hold bytes as latin-1 has them. Several fields of one name are joined by commas.
    """

    peer: str | None  # the address of the other end of the connection
    scheme: str
    fields: Mapping[str, str]  # by names in lower case, those that the policy reads
    query: str  # as it stands behind the `?`; "" if the policy does not read it


class Authorization(tuple[bytes, ...]):
    """Every Authorization field value of a request, in order."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Nothing of the credentials (RFC 9700 §4.9.3: error trackers show local variables)."""
        return "Authorization()"


ANONYMOUS: Final = Authorization()
"""No credentials."""


class RequestFacts(NamedTuple):
    """All of a request that a decision may look at, as WSGI and ASGI both can tell it.

    Its credentials are not among them: what is told of a request, and what outlives it, has none.
    """

    kind: Literal["http", "websocket"]
    method: str  # as received; "GET" for a WebSocket handshake
    path: str | None  # percent-decoded once by the server; None if its bytes are not UTF-8
    root_path: str  # the ASGI prefix that `path` may or may not include; "" under WSGI
    preflight: str = ""  # the method that a true CORS preflight asks for
    upgrade: bool = False  # an HTTP request that some WSGI apps take for a WebSocket handshake
    ambiguous: bool = False  # what else came with the path makes it another one for some apps
    whole: bool = False  # whether the app routes on the whole path, if nothing cuts it on the way
    mount: str = ""  # the WSGI prefix before `path`, as it was received; it decides nothing
    exact: bool = False  # whether the app is known to route by the letter, case and all
    around: Surroundings | None = None  # where a condition of the policy reads something of it

    def __repr__(self) -> str:
        """What names the request; not the fields that conditions read, which may be secrets."""
        return f"RequestFacts({self.kind}, {self.method!a}, {self.path!a}, {self.root_path!a})"


@dataclass(frozen=True, slots=True)
class RuleRef:
    """Which rule of the policy decided: its key as written, and where it stands."""

    key: str
    where: str

    def __str__(self) -> str:
        return f"{self.key} ({self.where})"


Outcome = Literal["met", "not met", "error"]
"""What became of a part of a rule; an error counts against access."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one part of a rule found. It tells of the caller what `Decision` does, and no more.

    `name` is its key: "roles", "permissions", "issuers", "scopes", "acr", "max_age", "when",
    "load", "pdp", "any", "all" or "not". `needs` says in words what it asks for, and `has` what the
    caller has of it; None where that is not told.
    """

    name: str
    outcome: Outcome
    needs: str
    has: str | None = None
    parts: tuple[Finding, ...] = ()

    def lines(self, depth: int = 0) -> Iterator[str]:
        """Yield the finding as text, its parts indented."""
        has = "" if self.has is None else f"; has {self.has}"
        yield f"{'  ' * depth}{self.outcome}: {self.needs}{has}"
        for part in self.parts:
            yield from part.lines(depth + 1)


@dataclass(frozen=True, slots=True)
class RuleFinding:
    """What one rule found, or one "forbid", which is met if it does not hold.

    `finding` is that of what it names; None for a word.
    """

    kind: Literal["public", "authenticated", "deny", "table", "forbid"]
    ref: RuleRef
    outcome: Outcome
    finding: Finding | None = None

    def __str__(self) -> str:
        """Return the rule on a line, and on those below what each of its parts found."""
        found = self.finding.lines(1) if self.finding is not None else ()
        return "\n".join((f"{self.kind} {self.ref}: {self.outcome}", *found))


@dataclass(frozen=True, slots=True)
class Decision:
    """One answer of the policy.

    `missing` names what the caller lacked (any one of the roles, issuers or `acr`, every one of
    the permissions or scopes). `scopes` is everything the route requires, for the challenge of
    RFC 6750 §3.1; `acr_values` and `max_age` (seconds) are for that of RFC 9470 §3. `detail` and
    `nearest_miss` ("needs the role `editor`; has none") are for the log, never for the client; they
    hold no token text, and no claim but roles, permissions, scopes and issuer. So do `findings`:
    what each rule found that had a say in a refusal. They are empty where no rule was asked, since
    nobody knew who calls, and where the caller was let in: then `Access.explain` finds them.
    """

    allowed: bool
    reason: Reason
    rule: RuleRef | None = None
    missing: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    detail: str = ""
    acr_values: tuple[str, ...] = ()
    max_age: int | None = None
    nearest_miss: str = ""
    findings: tuple[RuleFinding, ...] = field(default=(), compare=False, repr=False)

    @property
    def explanation(self) -> str:
        """Lines for people: the decision, the nearest miss, and what each rule found."""
        head = "allowed" if self.allowed else f"refused, {self.reason}"
        detail = f" ({self.detail})" if self.detail else ""
        rule = f" by {self.rule}" if self.rule else ""
        miss = f": {self.nearest_miss}" if self.nearest_miss else ""
        return "\n".join([f"{head}{detail}{rule}{miss}", *map(str, self.findings)])


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete HTTP answer of our own, ready for either adapter to send."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


LatestFetch = Literal["fixed", "none", "succeeded", "failed"]
"""How the latest fetch of keys ended; "fixed" are keys of the policy, which are never fetched."""


@dataclass(frozen=True, slots=True)
class KeyReadiness:
    """What is known of one issuer's keys.

    `ready`: keys are held with which tokens are verified, also while the provider is out of reach.
    `age`: seconds since the provider gave them. `usable_until`: seconds since the epoch at which
    they are dropped if no later fetch succeeds. Both are None where no keys were fetched.
    An issuer that is asked about its tokens is `ready` unless it failed a moment ago, or hangs.
    """

    issuer: str
    ready: bool
    latest_fetch: LatestFetch
    age: float | None = None
    usable_until: float | None = None


LatestReload = Literal["none", "succeeded", "failed"]
"""How the latest reload ended; after one that failed, the policy before it goes on."""


@dataclass(frozen=True, slots=True)
class PolicyReadiness:
    """Which policy is in force.

    `generation` counts the policies of this process, from 1. `age` is the seconds for which this
    one has been in force.
    """

    generation: int
    age: float
    latest_reload: LatestReload = "none"


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether tokens can be verified now, issuer by issuer, and by which policy.

    `ready` if all issuers are; a reload that failed changes nothing of that.
    """

    ready: bool
    issuers: tuple[KeyReadiness, ...]
    policy: PolicyReadiness
