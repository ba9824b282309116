"""Needs that look at the caller alone, as one function each: what nearly every request asks.

Roles, permissions, issuers and scopes are never in error, so two values are enough, and what is
joined of them is again such a need. A need with a condition or a step-up in it has no such form.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from authz_middleware.facts import Principal
from authz_middleware.policy.needs import (
    All,
    AnyIssuer,
    AnyRole,
    Need,
    Not,
    OneOf,
    Permissions,
    Scopes,
)

__all__ = ["Predicate", "predicate"]

Predicate: TypeAlias = Callable[[Principal], bool]


def predicate(need: Need) -> Predicate | None:
    """Return what says of a caller whether `need` is met, or None if it must be asked otherwise."""
    match need:
        case AnyRole(any_of):
            return lambda caller: not any_of.isdisjoint(caller.roles)
        case Permissions((one,), roles):
            return lambda caller: roles.grant(caller, one)
        case Permissions(all_of, roles):
            return lambda caller: all(roles.grant(caller, each) for each in all_of)
        case AnyIssuer(issuers):
            return lambda caller: caller.issuer in issuers
        case Scopes(scopes):
            return lambda caller: caller.scopes.issuperset(scopes)
        case All(parts):
            return _joined(parts, _both)
        case OneOf(parts):
            return _joined(parts, _either)
        case Not(part):
            inner = predicate(part)
            return None if inner is None else lambda caller: not inner(caller)
        case _:
            return None


def _joined(
    parts: Sequence[Need], pair: Callable[[Predicate, Predicate], Predicate]
) -> Predicate | None:
    found: Predicate | None = None
    for part in parts:
        following = predicate(part)
        if following is None:
            return None
        found = following if found is None else pair(found, following)
    return found


def _both(one: Predicate, other: Predicate) -> Predicate:
    return lambda caller: one(caller) and other(caller)


def _either(one: Predicate, other: Predicate) -> Predicate:
    return lambda caller: one(caller) or other(caller)
