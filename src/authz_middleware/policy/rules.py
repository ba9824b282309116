"""What one key of the policy requires or forbids, and the keys of one path by method."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from authz_middleware.facts import Decision, Principal, Reason, RuleRef
from authz_middleware.policy.compiled import Predicate, predicate
from authz_middleware.policy.needs import Asked, Leaf, Load, Need, Pdp, When, loaded_by, walk
from authz_middleware.policy.parameters import Parameters, Params
from authz_middleware.policy.questions import Question
from authz_middleware.policy.resources import Wanted, object_of
from authz_middleware.policy.waiting import wanted

__all__ = ["Kind", "Request", "Requirement", "Rule", "is_closed", "is_public"]

Kind = Literal["public", "authenticated", "deny", "table", "forbid"]


class Request(NamedTuple):
    """By what a requirement was found, as far as its conditions read it."""

    method: str  # upper case, "WS" for a WebSocket handshake
    params: Params | None  # None: the path does not tell


@dataclass(frozen=True, slots=True)
class Requirement:
    """What one key of `[routes]` asks of the caller, or one of `[forbid]` forbids.

    A "table" is met if its `need` is. A "forbid" is met by those whom it does not hold for: its
    `need` says for whom it holds, and without one it holds for everybody. `must_check` is the
    permission that the handler must ask about; "" without any.
    """

    kind: Kind
    ref: RuleRef
    need: Need | None = None
    refused_as: Reason = "denied_by_rule"  # why a "deny" denies
    must_check: str = ""
    allowed: Decision = field(init=False, compare=False, repr=False)
    at_once: Predicate = field(init=False, compare=False, repr=False)
    """Whether a look at the caller is enough to let it in: the common case, compiled."""
    forbids_all: bool = field(init=False, compare=False, repr=False)
    """Whether it is a "forbid" to which it makes no difference who calls."""
    reads_request: bool = field(init=False, compare=False, repr=False)
    """Whether a condition in it reads the method or the path: then it is told of them."""
    waits: bool = field(init=False, compare=False, repr=False)
    """Whether it may have to wait: for an object, or for a decision point."""
    request: Request | None = field(default=None, init=False, compare=False, repr=False)
    by_client: bool = field(init=False, compare=False, repr=False)
    """Whether it lets in by what the caller chooses: header fields, the query."""
    origin: Requirement = field(init=False, compare=False, repr=False)
    """The requirement as the policy has it, of which this one was told of a request."""

    def __post_init__(self) -> None:
        # Made once, so that letting a request in allocates nothing.
        object.__setattr__(self, "allowed", Decision(True, "allowed", self.ref))
        object.__setattr__(self, "at_once", _at_once(self.kind, self.need))
        leaves = tuple(walk(self.need)) if self.need is not None else ()
        reads_caller = any(map(_reads_caller, leaves))
        object.__setattr__(self, "forbids_all", self.kind == "forbid" and not reads_caller)
        reads_request = any(map(_reads_request, leaves))
        object.__setattr__(self, "reads_request", reads_request)
        object.__setattr__(self, "waits", any(map(_waits, leaves)))
        by_client = self.kind == "table" and any(map(_from_client, leaves))
        object.__setattr__(self, "by_client", by_client)
        object.__setattr__(self, "origin", self)

    def found_by(
        self,
        parameters: Parameters,
        method: str,
        paths: Iterable[str],
        at: Iterable[str] | None = None,
    ) -> list[Requirement]:
        """Return it as told of a request, once for each way in which the path may be read.

        `paths` and `at` are as for `Parameters.of_request`.
        """
        if not self.reads_request:
            return [self]
        read = parameters.of_request(paths, at)
        return [self._told(Request(method, params)) for params in read]

    def _told(self, request: Request) -> Requirement:
        told = object.__new__(Requirement)
        for name in _FIELDS:  # nothing is compiled again
            object.__setattr__(told, name, getattr(self, name))
        object.__setattr__(told, "request", request)
        return told

    def altered(self, kind: Kind, need: Need | None) -> Requirement:
        """Return another requirement in the place of this one, told of the same request."""
        other = Requirement(kind, self.ref, need, self.refused_as)
        object.__setattr__(other, "request", self.request)
        return other

    def asking(self, asked: Asked) -> Asked:
        """Return what its needs may look at."""
        if self.request is None:
            return asked
        method, params = self.request
        # By position: `_replace` looks every field up by its name, and each request comes here.
        return Asked(
            asked.principal,
            asked.now,
            asked.facts,
            method,
            params,
            asked.resources,
            asked.answers,
        )

    def met(self, asked: Asked) -> bool:
        """Whether the caller meets it. An error never lets in, and in a "forbid" it holds."""
        asked = self.asking(asked)
        match self.kind:
            case "table":
                if asked.principal is None:  # every table needs a valid caller, whatever it says
                    return False
                return self.need is not None and self.need.value(asked) is True
            case "public":
                return True
            case "authenticated":
                return asked.principal is not None
            case "deny":
                return False
            case _:
                return self.need is not None and self.need.value(asked) is False

    @property
    def asks(self) -> tuple[Load | Pdp, ...]:
        """The loads and the decision points that are written in it."""
        leaves = walk(self.need) if self.need is not None else ()
        return tuple(leaf for leaf in leaves if isinstance(leaf, (Load, Pdp)))

    def waits_for(self, asked: Asked) -> Wanted | Question | None:
        """Return the object or the question on which it hangs whether it is met, or None."""
        asked = self.asking(asked)
        if self.kind != "table" or self.need is None or asked.params is None:
            return None
        asks = wanted(self.need, asked)
        if isinstance(asks, Load):
            return Wanted(object_of(asks.loader, asked.params), asks.timeout)
        return None if asks is None else asks.question(asked)


_FIELDS = tuple(Requirement.__dataclass_fields__)


def _reads_caller(leaf: Leaf) -> bool:
    return leaf.condition.reads_caller if isinstance(leaf, When) else True


def _reads_request(leaf: Leaf) -> bool:
    return isinstance(leaf, (Load, Pdp)) or (
        isinstance(leaf, When) and leaf.condition.reads_request
    )


def _waits(leaf: Leaf) -> bool:
    return isinstance(leaf, Pdp) or loaded_by(leaf) is not None


def _from_client(leaf: Leaf) -> bool:
    return isinstance(leaf, When) and leaf.condition.from_client


def _at_once(kind: Kind, need: Need | None) -> Predicate:
    if kind in ("public", "authenticated"):
        return _everybody
    known = predicate(need) if need is not None else None
    if known is None or kind == "deny":
        return _look_closer
    return (lambda caller: not known(caller)) if kind == "forbid" else known


def _everybody(_: Principal) -> bool:
    return True


def _look_closer(_: Principal) -> bool:
    return False


def is_public(requirements: tuple[Requirement, ...]) -> bool:
    """Whether nobody needs credentials; a "forbid" may refuse somebody all the same."""
    return all(each.kind in ("public", "forbid") for each in requirements)


def is_closed(requirement: Requirement) -> bool:
    """Whether it is for nobody."""
    return requirement.kind == "deny" or (requirement.kind == "forbid" and requirement.need is None)


@dataclass(frozen=True, slots=True)
class Rule:
    """All keys of one template: requirements by method, and the one without a method."""

    by_method: Mapping[str, Requirement]  # upper case; "WS" is a WebSocket handshake
    otherwise: Requirement  # for every other method; a refusal unless a key has no method
    parameters: Parameters
    catches_all: bool = False  # a template of the whole tree: `/**` or `/<path:p>`

    def requirement(self, method: str) -> Requirement:
        """Return what decides `method` (upper case, "WS" for a WebSocket handshake).

        GET covers HEAD (RFC 9110 §9.3.2). A method that is not listed is refused; it never falls
        to a looser rule.
        """
        found = self.by_method.get(method)
        if found is None and method == "HEAD":
            found = self.by_method.get("GET")
        return found or self.otherwise
