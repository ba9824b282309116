"""What a caller of whom only the roles are known may do: yes, no, or what else must hold.

A requirement is settled as far as roles tell. What is left (conditions, scopes, step-up, and what a
token itself may bring) stays as a need. Two such rights can be compared: over roles, issuers,
permissions, scopes and step-up the answer is exact. Of a condition only its text is known, so where
two different ones stand against each other, the answer may be that nobody can tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import inf, prod
from typing import NamedTuple, TypeAlias

from authz_middleware.facts import Principal
from authz_middleware.policy.needs import (
    Acr,
    All,
    AnyIssuer,
    AnyRole,
    Leaf,
    MaxAge,
    Need,
    Not,
    OneOf,
    Permissions,
    Scopes,
    Verdict,
    conjunction,
    disjunction,
    negation,
    walk,
    without_told,
)
from authz_middleware.policy.roles import Roles
from authz_middleware.policy.rules import Requirement

__all__ = ["ANONYMOUS", "Caller", "Change", "Right", "Rights", "change", "role_sets"]

Right: TypeAlias = bool | Need
"""True is yes, False is no, a need is what else must hold."""

MAX_ROWS = 20_000
"""Combinations that two rights are compared over; beyond, nobody can tell."""
MAX_SETS = 500
"""Sets of roles that are looked at for one requirement."""


class Caller(NamedTuple):
    """Whose rights are asked for: the roles that its token brings, or None without a token."""

    roles: frozenset[str] | None

    def __str__(self) -> str:
        if self.roles is None:
            return "anonymous"
        return " + ".join(sorted(self.roles)) or "any valid token"


ANONYMOUS = Caller(None)


@dataclass(frozen=True, slots=True)
class Rights:
    """What is needed of a policy to say who may do what.

    `issuers` are those of the policy with the roles that each may give (None: any). With
    `token_permissions` a token may bring permissions by itself.
    """

    roles: Roles
    issuers: Mapping[str, frozenset[str] | None] = field(
        default_factory=dict[str, frozenset[str] | None]
    )
    token_permissions: bool = False
    _callers: dict[Caller, _Known] = field(
        default_factory=dict["Caller", "_Known"], init=False, compare=False, repr=False
    )

    def of(self, requirements: Iterable[Requirement] | None, caller: Caller) -> Right:
        """Return what `caller` may, where `requirements` must all be met; None is a 400."""
        if requirements is None:
            return False
        known = self._known(caller)
        return _all(self._required(each, known) for each in requirements)

    def principal(self, caller: Caller) -> Principal | None:
        """Return the caller with what the roles bring; None for somebody without a token."""
        return self._known(caller).principal

    @property
    def obtainable(self) -> frozenset[str] | None:
        """The roles that some issuer gives, without what they inherit; None: any."""
        names: set[str] = set()
        for given in self.issuers.values():
            if given is None:
                return None
            names |= given
        return frozenset(names)

    def given_by(self, caller: Caller) -> frozenset[str]:
        """Return the issuers that give all of the caller's roles."""
        roles = caller.roles or frozenset[str]()
        return frozenset(
            name for name, given in self.issuers.items() if given is None or given >= roles
        )

    def _known(self, caller: Caller) -> _Known:
        known = self._callers.get(caller)
        if known is None:
            known = self._callers[caller] = self._looked_up(caller)
        return known

    def _looked_up(self, caller: Caller) -> _Known:
        if caller.roles is None:
            return _Known(None, frozenset(), token_permissions=False)
        principal = self.roles.expand(
            Principal(subject="", issuer="", roles=caller.roles, expires_at=inf)
        )
        return _Known(principal, self.given_by(caller), token_permissions=self.token_permissions)

    def _required(self, requirement: Requirement, known: _Known) -> Right:
        need = requirement.need
        match requirement.kind:
            case "public":
                return True
            case "authenticated":
                return known.principal is not None
            case "forbid":
                return False if need is None else _not(_settled(need, known))
            case _:
                if need is None or requirement.kind == "deny" or known.principal is None:
                    return False
                return _settled(need, known)


# --- What roles tell ---


class _Known(NamedTuple):
    principal: Principal | None  # expanded
    issuers: frozenset[str]
    token_permissions: bool


def _settled(need: Need, known: _Known) -> Right:
    match need:
        case AnyRole(names):
            return known.principal is not None and not names.isdisjoint(known.principal.roles)
        case Permissions():
            return _settled_permissions(need, known)
        case AnyIssuer(names):
            if known.issuers.isdisjoint(names):
                return False
            return True if known.issuers <= names else need
        case All(parts):
            return _all(_settled(part, known) for part in without_told(parts))
        case OneOf(parts):
            return _any(_settled(part, known) for part in parts)
        case Not(part):
            return _not(_settled(part, known))
        case _:
            return need


def _settled_permissions(need: Permissions, known: _Known) -> Right:
    missing = need.missing(known.principal) if known.principal else need.names
    if not missing:
        return True
    return Permissions(missing, need.roles) if known.token_permissions else False


def _all(rights: Iterable[Right]) -> Right:
    left: list[Need] = []
    for right in rights:
        if right is False:
            return False
        if not isinstance(right, bool):
            parts = right.parts if isinstance(right, All) else (right,)
            left += [part for part in parts if part not in left]
    return True if not left else left[0] if len(left) == 1 else All(tuple(left))


def _any(rights: Iterable[Right]) -> Right:
    left: list[Need] = []
    for right in rights:
        if right is True:
            return True
        if not isinstance(right, bool):
            parts = right.parts if isinstance(right, OneOf) else (right,)
            left += [part for part in parts if part not in left]
    return False if not left else left[0] if len(left) == 1 else OneOf(tuple(left))


def _not(right: Right) -> Right:
    if isinstance(right, bool):
        return not right
    return right.part if isinstance(right, Not) else Not(right)


def role_sets(
    names: Iterable[str], asked: Sequence[tuple[Roles, Iterable[Need]]]
) -> Iterator[frozenset[str]]:
    """Yield sets of `names` so that every set is, to these needs, like one of them.

    The smallest come first: none, each role alone, then what only several roles together do.
    `asked` are needs beside the roles that they are understood with.
    """
    leaves = [(roles, leaf) for roles, needs in asked for leaf in _by_role(needs)]
    brings = {name: _brings(name, leaves) for name in names}
    found = {0: frozenset[str]()}
    yield found[0]
    for name, mask in brings.items():
        found.setdefault(mask, frozenset({name}))
        yield frozenset({name})
    queue = [each for each in found.items() if each[0]]
    for mask, few in queue:
        for name, more in brings.items():
            if (both := mask | more) not in found and len(found) < MAX_SETS:
                found[both] = few | {name}
                queue.append((both, found[both]))
                yield found[both]


def _by_role(needs: Iterable[Need]) -> Iterator[AnyRole | str]:
    for need in needs:
        for leaf in walk(need):
            if isinstance(leaf, AnyRole):
                yield leaf
            elif isinstance(leaf, Permissions):
                yield from leaf.names


def _brings(name: str, leaves: Iterable[tuple[Roles, AnyRole | str]]) -> int:
    """Return as bits which of `leaves` the role `name` alone meets."""
    mask = 0
    for place, (roles, leaf) in enumerate(leaves):
        if isinstance(leaf, AnyRole):
            met = not leaf.names.isdisjoint(
                roles.closure.get(name, {name} if roles.declared is None else ())
            )
        else:
            met = roles.could_grant(leaf, {name})
        mask |= met << place
    return mask


# --- Comparing ---


class Change(NamedTuple):
    """Whether a right grew, and whether it shrank. None: it hangs on conditions nobody can tell."""

    gained: Verdict
    lost: Verdict


def change(old: Right, new: Right, issuers: Iterable[str] = ()) -> Change:
    """Compare two rights of one caller, whose token may be from one of `issuers`."""
    if old == new:
        return Change(False, False)
    if isinstance(old, bool) and isinstance(new, bool):
        return Change(new, old)
    leaves = [leaf for each in (old, new) if not isinstance(each, bool) for leaf in walk(each)]
    known, opaque = _unknowns(leaves, tuple(issuers))
    if 3 ** len(opaque) * prod(map(len, known.values())) > MAX_ROWS:
        return Change(None, None)
    rows = [dict(zip(known, values, strict=True)) for values in product(*known.values())]
    answers = [
        (values, _differences(old, new, rows, dict(zip(opaque, values, strict=True))))
        for values in product((True, False, None), repeat=len(opaque))
    ]
    return Change(
        _told([(values, gained) for values, (gained, _) in answers]),
        _told([(values, lost) for values, (_, lost) in answers]),
    )


def _told(answers: Sequence[tuple[tuple[Verdict, ...], bool]]) -> Verdict:
    """Say whether there is a difference, as far as can be told of conditions.

    Each holds for some requests and not for others, or it would not have been loaded. Whether two
    of them can be so together nobody knows: they may say the same in other words.
    """
    if not any(differs for _, differs in answers):
        return False
    for place in range(len(answers[0][0])):
        for held in (True, False):
            if all(differs for values, differs in answers if values[place] is held):
                return True
    return True if all(differs for _, differs in answers) else None


def _differences(
    old: Right, new: Right, rows: Iterable[_Row], conditions: Mapping[Leaf, Verdict]
) -> tuple[bool, bool]:
    gained = lost = False
    for row in rows:
        before = _value(old, row, conditions) is True
        after = _value(new, row, conditions) is True
        gained = gained or (after and not before)
        lost = lost or (before and not after)
    return gained, lost


_Key: TypeAlias = tuple[str, str]
_Row: TypeAlias = Mapping[_Key, object]

_OTHER = ""  # a value that no requirement names


def _unknowns(
    leaves: Iterable[Leaf], issuers: tuple[str, ...]
) -> tuple[dict[_Key, tuple[object, ...]], list[Leaf]]:
    """Return what the rights hang on, each with the values that make a difference."""
    known: dict[_Key, tuple[object, ...]] = {}
    opaque: dict[Leaf, None] = {}
    acr: dict[str, None] = {}
    seconds: set[int] = set()
    for leaf in leaves:
        match leaf:
            case Permissions(names):
                known.update({("permission", name): (False, True) for name in names})
            case Scopes(names):
                known.update({("scope", name): (False, True) for name in names})
            case AnyIssuer():
                known["issuer", ""] = issuers
            case Acr(names):
                acr.update(dict.fromkeys(names))
            case MaxAge(limit):
                seconds.add(limit)
            case _:
                opaque[leaf] = None
    if acr:
        known["acr", ""] = (*acr, _OTHER, None)
    if seconds:
        known["age", ""] = (*sorted(seconds), inf, None)
    return known, list(opaque)


def _value(right: Right, row: _Row, conditions: Mapping[Leaf, Verdict]) -> Verdict:
    match right:
        case bool():
            return right
        case All(parts):
            return conjunction(_value(part, row, conditions) for part in parts)
        case OneOf(parts):
            return disjunction(_value(part, row, conditions) for part in parts)
        case Not(part):
            return negation(_value(part, row, conditions))
        case Permissions(names):
            return all(row["permission", name] for name in names)
        case Scopes(names):
            return all(row["scope", name] for name in names)
        case AnyIssuer(names):
            return row["issuer", ""] in names
        case Acr(names):
            acr = row["acr", ""]
            return None if acr is None else acr in names
        case MaxAge(limit):
            age = row["age", ""]
            return age <= limit if isinstance(age, (int, float)) else None
        case _:
            return conditions[right]
