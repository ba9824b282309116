"""What a requirement is made of, and its three values: met, not met, or in error.

A need is a leaf (roles, permissions, issuers, a condition, scopes, step-up, an object, a decision
point) or joins others (`all`, `any`, `not`). `value` is True, False, or None for an error: `not`
passes an error through, `all` is not met if any part is not met, else in error if any is, and `any`
is met if any part is met, else in error if any is (Kleene's logic). So whoever grants asks
`is True`, and whoever forbids `is not False`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, ClassVar, Final, NamedTuple, Protocol, TypeAlias

from authz_middleware.facts import Principal, RequestFacts
from authz_middleware.policy.parameters import Params
from authz_middleware.policy.questions import (
    NO_ANSWERS,
    NOT_PUT,
    Answers,
    Question,
    Said,
    Unanswered,
    question_of,
)
from authz_middleware.policy.resources import (
    HANDED_OVER,
    NO_RESOURCES,
    NOT_ASKED,
    Loaded,
    Resources,
    Unloaded,
    object_of,
)
from authz_middleware.policy.roles import Roles

__all__ = [
    "DEFAULT_TIMEOUT",
    "Acr",
    "All",
    "AnyIssuer",
    "AnyRole",
    "Asked",
    "Condition",
    "ConditionFailed",
    "Leaf",
    "Load",
    "MaxAge",
    "NO_PARAMETERS",
    "Need",
    "Not",
    "OneOf",
    "Pdp",
    "Permissions",
    "Scopes",
    "Stage",
    "Verdict",
    "When",
    "conjunction",
    "disjunction",
    "loaded_by",
    "negation",
    "required_scopes",
    "walk",
    "without_told",
]

Verdict: TypeAlias = bool | None
"""True is met, False is not met, None is an error."""


class Asked(NamedTuple):
    """All that a need may look at. Without a principal the caller is anonymous, and has nothing.

    `now` is in seconds since the epoch. `facts` is None where no request is (a policy's tests).
    `method` ("WS" for a handshake) and `params` are those by which a requirement was found, told to
    one that reads them; None: the path does not tell the parameters. `resources` is what was loaded
    so far, `answers` what decision points said. `action` are the properties of an action that
    somebody asks about without a request.
    """

    principal: Principal | None
    now: float
    facts: RequestFacts | None = None
    method: str = ""
    params: Params | None = None
    resources: Resources = NO_RESOURCES
    answers: Answers = NO_ANSWERS
    action: Mapping[str, Any] | None = None


class Stage(IntEnum):
    """The order in which failures answer; a later one is asked of the client only if it helps."""

    FORBIDDEN_TO_ALL = 0
    CREDENTIALS = 1
    FORBIDDEN_TO_CALLER = 2
    RULE = 3
    ROLES = 4
    PERMISSIONS = 5
    ISSUERS = 6
    EXCLUDED = 7
    CONDITIONS = 8
    SCOPES = 9
    ACR = 10
    MAX_AGE = 11
    LOADER = 12  # there is no such object
    DECISION_POINT = 13
    LOADED_CONDITIONS = 14
    UNAVAILABLE = 15  # behind all that makes no difference to it
    NOT_ASKED = 16


def negation(value: Verdict) -> Verdict:
    """`not`: an error stays one."""
    return None if value is None else not value


def conjunction(values: Iterable[Verdict]) -> Verdict:
    """`all`: False if any is False, else None if any is None; what follows a False is not asked."""
    met: Verdict = True
    for value in values:
        if value is False:
            return False
        if value is None:
            met = None
    return met


def disjunction(values: Iterable[Verdict]) -> Verdict:
    """`any`: True if any is True, else None if any is None; what follows a True is not asked."""
    met: Verdict = False
    for value in values:
        if value:
            return True
        if value is None:
            met = None
    return met


class ConditionFailed(Exception):
    """A condition that came to no result; `detail` is for the log, and holds no value.

    `missing` are the attributes that it asked for in vain.
    """

    def __init__(self, detail: str, missing: tuple[str, ...] = ()) -> None:
        self.detail = detail
        self.missing = missing
        super().__init__(detail)


class Condition(Protocol):
    """What a `when` is compiled to.

    `text` is the condition as written. `reads_request`: whether it reads the method or parameters
    of the path; `from_client`: whether the caller chooses what it reads. `holds` raises
    `ConditionFailed` where it comes to no result (an attribute is missing, a type is wrong). It
    waits for nothing, and answers the same for the same question: a refusal asks it again to
    explain itself.
    """

    @property
    def text(self) -> str: ...
    @property
    def reads_caller(self) -> bool: ...
    @property
    def reads_request(self) -> bool: ...
    @property
    def from_client(self) -> bool: ...
    def holds(self, asked: Asked, /) -> bool: ...


# --- Leaves ---


@dataclass(frozen=True, slots=True)
class AnyRole:
    """`roles`: the caller has one of them."""

    stage: ClassVar[Stage] = Stage.ROLES
    names: frozenset[str]

    def value(self, asked: Asked) -> Verdict:
        """Whether the caller has one of the roles."""
        principal = asked.principal
        return principal is not None and not self.names.isdisjoint(principal.roles)


@dataclass(frozen=True, slots=True)
class Permissions:
    """`permissions`: the caller has all of them."""

    stage: ClassVar[Stage] = Stage.PERMISSIONS
    names: tuple[str, ...]
    roles: Roles = field(compare=False, repr=False)

    def value(self, asked: Asked) -> Verdict:
        """Whether the caller has all of the permissions."""
        principal = asked.principal
        return principal is not None and all(
            self.roles.grant(principal, name) for name in self.names
        )

    def missing(self, principal: Principal) -> tuple[str, ...]:
        """Return those that the caller lacks."""
        return tuple(name for name in self.names if not self.roles.grant(principal, name))


@dataclass(frozen=True, slots=True)
class AnyIssuer:
    """`issuers`: the caller's token is from one of them."""

    stage: ClassVar[Stage] = Stage.ISSUERS
    names: frozenset[str]

    def value(self, asked: Asked) -> Verdict:
        """Whether the token is from one of the issuers."""
        return asked.principal is not None and asked.principal.issuer in self.names


DEFAULT_TIMEOUT: Final = 5.0
"""Seconds that a loader may take."""


@dataclass(frozen=True, slots=True)
class Load:
    """`load`: the object that the path names is there.

    One that is not there is an error, so that a `not` never grants by its absence.
    """

    stage: ClassVar[Stage] = Stage.LOADER
    loader: str
    not_found: bool = False  # whether its absence is answered 404
    timeout: float = DEFAULT_TIMEOUT  # seconds

    def found(self, asked: Asked) -> Loaded:
        """Return the attributes of the object, or why there are none."""
        if self.loader == HANDED_OVER.loader:
            return asked.resources.get(HANDED_OVER, Unloaded.NOT_HANDED)
        if asked.params is None:
            return Unloaded.NO_PARAMETERS
        return asked.resources.get(object_of(self.loader, asked.params), NOT_ASKED)

    def value(self, asked: Asked) -> Verdict:
        """Whether the object is there."""
        return None if isinstance(self.found(asked), Unloaded) else True


@dataclass(frozen=True, slots=True)
class Pdp:
    """`pdp`: a decision point elsewhere says yes (AuthZEN 1.0).

    Whatever is no answer is an error, so that a `not` never grants by it. `url` tells two of one
    name apart, of two policies; `denies` is whether the refusal is then that of a no, and makes no
    difference to who is let in.
    """

    stage: ClassVar[Stage] = Stage.DECISION_POINT
    name: str
    route: str  # as OpenAPI writes it
    url: str = ""
    denies: bool = field(default=False, compare=False)

    def question(self, asked: Asked) -> Question | None:
        """Return what is asked; None if the path does not tell."""
        if asked.params is None:
            return None
        return question_of(self.name, asked.method, self.route, asked.params)

    def said(self, asked: Asked) -> Said:
        """Return what was said to it."""
        question = self.question(asked)
        return NO_PARAMETERS if question is None else asked.answers.get(question, NOT_PUT)

    def value(self, asked: Asked) -> Verdict:
        """Whether the decision point said yes."""
        said = self.said(asked)
        return None if isinstance(said, Unanswered) else said


NO_PARAMETERS: Final = Unanswered("no_parameters")


@dataclass(frozen=True, slots=True)
class When:
    """`when`: a condition holds. Whatever it raises is an error of the requirement.

    `load` gives the attributes of the resource that it reads. `permission` is the one that it
    belongs to, "" for a condition of the requirement itself.
    """

    stage: ClassVar[Stage] = Stage.CONDITIONS
    condition: Condition
    load: Load | None = None
    permission: str = ""

    def value(self, asked: Asked) -> Verdict:
        """Whether the condition holds."""
        return self.asked(asked)[0]

    def asked(self, asked: Asked) -> tuple[Verdict, ConditionFailed | None]:
        """Return the value, and of an error of the condition what there is to say of it."""
        if self.load is not None and self.load.value(asked) is None:
            return None, None
        try:
            held: object = self.condition.holds(asked)
        except ConditionFailed as failed:
            return None, failed
        except Exception as error:  # noqa: BLE001 - whatever an evaluator does, it is no yes
            return None, ConditionFailed(type(error).__name__)
        if held is True or held is False:
            return held, None
        # What is no boolean is a defect of the condition, and no yes.
        return None, ConditionFailed("no_boolean")


@dataclass(frozen=True, slots=True)
class Scopes:
    """`scopes`: the token has all of them."""

    stage: ClassVar[Stage] = Stage.SCOPES
    names: tuple[str, ...]

    def value(self, asked: Asked) -> Verdict:
        """Whether the token has all of the scopes."""
        return asked.principal is not None and asked.principal.scopes.issuperset(self.names)


@dataclass(frozen=True, slots=True)
class Acr:
    """`acr`: the caller was authenticated in one of these ways (RFC 9470 §3, equal texts).

    A token that does not say how is an error, so that a `not` never grants by its absence.
    """

    stage: ClassVar[Stage] = Stage.ACR
    names: tuple[str, ...]  # in order of preference

    def value(self, asked: Asked) -> Verdict:
        """Whether the claim `acr` is one of these."""
        acr = asked.principal.claims.get("acr") if asked.principal else None
        return acr in self.names if isinstance(acr, str) else None


@dataclass(frozen=True, slots=True)
class MaxAge:
    """`max_age`: the caller was authenticated at most so many seconds ago (RFC 9470 §3).

    A token that does not say when, or names a time to come, is an error: see `Acr`.
    """

    stage: ClassVar[Stage] = Stage.MAX_AGE
    seconds: int
    leeways: Mapping[str, float] = field(compare=False, repr=False)  # seconds, by issuer

    def value(self, asked: Asked) -> Verdict:
        """Whether the claim `auth_time` is recent enough."""
        principal = asked.principal
        at = _number(principal.claims.get("auth_time")) if principal else None
        if principal is None or at is None:
            return None
        leeway = self.leeways.get(principal.issuer, 0.0)
        return None if at > asked.now + leeway else asked.now - at <= self.seconds + leeway


def _number(value: object) -> float | None:
    """Return a NumericDate (RFC 7519 §2) as it can be reckoned with, or None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):  # a boolean is an int
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


# --- Joined ---


@dataclass(frozen=True, slots=True)
class All:
    """All parts are met: the entries of a table, or `all`."""

    parts: tuple[Need, ...]

    def value(self, asked: Asked) -> Verdict:
        """Join the values of the parts."""
        return conjunction(part.value(asked) for part in self.parts)


@dataclass(frozen=True, slots=True)
class OneOf:
    """`any`: at least one part is met."""

    parts: tuple[Need, ...]

    def value(self, asked: Asked) -> Verdict:
        """Join the values of the parts."""
        return disjunction(part.value(asked) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Not:
    """`not`: the part is not met."""

    part: Need

    def value(self, asked: Asked) -> Verdict:
        """Turn the value of the part."""
        return negation(self.part.value(asked))


Leaf: TypeAlias = AnyRole | Permissions | AnyIssuer | Load | Pdp | When | Scopes | Acr | MaxAge
Need: TypeAlias = Leaf | All | OneOf | Not


def walk(need: Need, *, into_not: bool = True) -> Iterator[Leaf]:
    """Yield every leaf of `need`; those under a `not` only if asked for."""
    if isinstance(need, (All, OneOf)):
        for part in need.parts:
            yield from walk(part, into_not=into_not)
    elif not isinstance(need, Not):
        yield need
    elif into_not:
        yield from walk(need.part)


def without_told(parts: tuple[Need, ...]) -> tuple[Need, ...]:
    """Return `parts`, all to be met, without a `load` that a condition beside it reads.

    Where the object is not there the condition is not met either.
    """
    read = [part.load for part in parts if isinstance(part, When)]
    return tuple(part for part in parts if not (isinstance(part, Load) and part in read))


def loaded_by(need: Need) -> Load | None:
    """Return what loads the object that a leaf is about; None if it is about none."""
    return need if isinstance(need, Load) else need.load if isinstance(need, When) else None


def required_scopes(need: Need) -> tuple[str, ...]:
    """Return every scope that can be of use to meet `need`, each once."""
    leaves = walk(need, into_not=False)
    return tuple(
        dict.fromkeys(name for leaf in leaves if isinstance(leaf, Scopes) for name in leaf.names)
    )
