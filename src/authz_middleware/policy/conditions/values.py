"""Attributes of a request, as conditions see them: where each is found, and what it may be.

Nulls are left out, at any depth: an attribute that is null is missing. What CEL could not hold
exactly (an integer beyond 64 bits, a decimal, a time without a zone) or in good time (a list
without end) makes the attribute unusable, which is an error wherever it is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence, Set
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, cast
from uuid import UUID

from authz_middleware.facts import Principal
from authz_middleware.policy.conditions.attributes import Path
from authz_middleware.policy.conditions.lexing import INT_MAX, INT_MIN
from authz_middleware.policy.roles import Roles

__all__ = [
    "MAX_DEPTH",
    "MAX_TEXT",
    "MAX_VALUES",
    "MISSING",
    "Inputs",
    "Limits",
    "Unusable",
    "converted",
    "getter",
]

MAX_VALUES = 10_000
"""Values that one attribute may hold, all in all."""

MAX_DEPTH = 16
"""How deep one attribute may be nested."""

MAX_TEXT = 65_536
"""Characters that one text may have."""

EXACT = 2.0**53
"""From here on a number with a point stands for several whole ones, and equals each of them."""

MISSING: Any = object()
"""There is no such attribute."""


class Inputs(NamedTuple):
    """What a request offers to conditions. `None` is what is not there, or not to be trusted.

    `resource` is what the loader returned, `params` the converted parameters of the path. The
    names of `headers` are in lower case, and several fields of one name are joined by commas.
    """

    subject: Principal | None  # verified and expanded; None for an anonymous caller
    method: str | None  # "WS" for a WebSocket handshake
    time: float  # seconds since the epoch
    params: Mapping[str, Any] | None = None
    resource: Mapping[str, Any] | None = None
    ip: str | None = None
    headers: Mapping[str, str] | None = None
    query: Mapping[str, Sequence[str]] | None = None
    scheme: str | None = None
    host: str | None = None
    roles: Roles = Roles(declared=None)  # of the policy: their patterns bring permissions
    action: Mapping[str, Any] | None = None  # properties of what a decision point is asked about


class Unusable(Exception):
    """An attribute that is there, but cannot be used. The text says why, never what it is."""


class Limits(NamedTuple):
    """How much an attribute may hold. `entries` bounds each list and table in it."""

    values: int = MAX_VALUES
    entries: int = MAX_VALUES


def converted(value: Any, limits: Limits) -> Any:
    """The value for the evaluator: plain, without nulls, MISSING if null. Raises Unusable."""
    kind = cast("type[Any]", type(value))
    if kind is str:
        if len(value) > MAX_TEXT:
            raise Unusable(f"a text of more than {MAX_TEXT} characters")
        if not value.isascii() and any("\ud800" <= each <= "\udfff" for each in value):
            raise Unusable("a text with half of a surrogate pair")
        return value
    if kind is bool:
        return value
    if kind is int:
        if INT_MIN <= value <= INT_MAX:
            return value
        raise Unusable("an integer beyond 64 bits")
    return _Conversion(limits).value(value, 0)


class _Conversion:
    __slots__ = ("_left", "_limits")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._left = limits.values

    def value(self, value: Any, depth: int) -> Any:
        self._left -= 1
        if self._left < 0:
            raise Unusable(f"more than {self._limits.values} values")
        match value:
            case None:
                return MISSING
            case str():
                return converted(str.__str__(value), self._limits)
            case bool():
                return value
            case int():
                return converted(int(value), self._limits)
            case float():
                if not math.isfinite(value):
                    raise Unusable("a number that is not finite")
                if abs(value) >= EXACT:
                    raise Unusable("a number with a point of 2**53 or more, which is not exact")
                return float(value)
            case datetime():
                if value.tzinfo is None:
                    raise Unusable("a time without a time zone")
                return _instant(value)
            case timedelta():
                return value
            case UUID():
                return str(value)
            case Mapping():
                return self._table(cast("Mapping[Any, Any]", value), depth)
            case list() | tuple():
                return self._list(cast("Sequence[Any]", value), depth)
            case Set():
                return sorted(self._list(cast("Set[Any]", value), depth), key=str)
            case _:
                raise Unusable(f"a Python {type(value).__name__}")

    def _table(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        self._enter(len(value), depth)
        table: dict[str, Any] = {}
        for name, member in value.items():
            if not isinstance(name, str):
                raise Unusable("a table with keys that are not texts")
            found = self.value(member, depth + 1)
            if found is not MISSING:
                table[converted(str.__str__(name), self._limits)] = found
        return table

    def _list(self, value: Sequence[Any] | Set[Any], depth: int) -> list[Any]:
        self._enter(len(value), depth)
        items = [self.value(item, depth + 1) for item in value]
        return [item for item in items if item is not MISSING]

    def _enter(self, entries: int, depth: int) -> None:
        if depth >= MAX_DEPTH:
            raise Unusable(f"values nested deeper than {MAX_DEPTH}")
        if entries > self._limits.entries:
            raise Unusable(f"a list or a table of more than {self._limits.entries} entries")


def _instant(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise Unusable("a time out of range") from None


# Where attributes are found

Getter = Callable[[Inputs], Any]


def getter(path: Path, *, presence: bool = False) -> Getter:
    """What finds the attribute at `path`, or whether it is there, in the inputs of a request."""
    if presence:
        return _presence(path)
    head = _HEADS.get(path[:2])
    names = path[2:]
    if head is None:  # an attribute of the resource
        head, names = _resource, path[1:]
    if not names:
        return head
    return _member(head, names)


def _member(head: Getter, names: Path) -> Getter:
    def find(inputs: Inputs) -> Any:
        value = head(inputs)
        for name in names:
            if value is MISSING or value is None:
                return MISSING
            # The dict first: to ask an abstract class takes longer than the rest.
            if not isinstance(value, (dict, Mapping)):
                raise Unusable("no table, so it has no attributes")
            value = cast("Mapping[Any, Any]", value).get(name, MISSING)
        return MISSING if value is None else value

    return find


def _presence(path: Path) -> Getter:
    if len(path) > 2 and path[:2] == ("subject", "permissions"):
        return lambda inputs: (
            inputs.subject is not None and inputs.roles.grant(inputs.subject, path[2])
        )
    if len(path) > 2 and path[:2] in _SETS:
        return lambda inputs: path[2] in _HEADS[path[:2]](inputs)
    found = getter(path)
    # That the table around it is missing is an error, as in CEL: it is not known what it held.
    around = getter(path[:-1]) if len(path) > 2 else None

    def is_there(inputs: Inputs) -> Any:
        if around is not None and around(inputs) is MISSING:
            return MISSING
        return found(inputs) is not MISSING

    return is_there


def _resource(inputs: Inputs) -> Any:
    return MISSING if inputs.resource is None else inputs.resource


def _of_subject(name: str) -> Getter:
    def find(inputs: Inputs) -> Any:
        return MISSING if inputs.subject is None else getattr(inputs.subject, name)

    return find


def _set_of_subject(name: str) -> Getter:
    def find(inputs: Inputs) -> Any:
        return () if inputs.subject is None else getattr(inputs.subject, name)

    return find


def _optional(name: str) -> Getter:
    def find(inputs: Inputs) -> Any:
        value = getattr(inputs, name)
        return MISSING if value is None else value

    return find


_SETS = frozenset(("subject", name) for name in ("roles", "scopes"))

_HEADS: Mapping[Path, Getter] = {
    ("subject", "id"): _of_subject("subject"),
    ("subject", "issuer"): _of_subject("issuer"),
    ("subject", "roles"): _set_of_subject("roles"),
    ("subject", "permissions"): _set_of_subject("permissions"),
    ("subject", "scopes"): _set_of_subject("scopes"),
    ("subject", "claims"): lambda inputs: inputs.subject.claims if inputs.subject else {},
    ("subject", "authenticated"): lambda inputs: inputs.subject is not None,
    ("action", "name"): _optional("method"),
    ("action", "properties"): _optional("action"),
    ("resource", "params"): _optional("params"),
    ("context", "time"): lambda inputs: datetime.fromtimestamp(inputs.time, UTC),
    ("context", "ip"): _optional("ip"),
    ("context", "headers"): _optional("headers"),
    ("context", "query"): _optional("query"),
    ("context", "scheme"): _optional("scheme"),
    ("context", "host"): _optional("host"),
}
