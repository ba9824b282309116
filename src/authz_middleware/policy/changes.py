"""What another policy gives and takes: who may do something now that was refused, or no more.

Compared are decisions, not lines: every caller that two policies could tell apart, on every path
and method that they could. Where conditions stand against each other that nobody can compare,
that is said, and counts as given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from authz_middleware.facts import RuleRef
from authz_middleware.policy.model import Policy, Requirement
from authz_middleware.policy.needs import Need, Verdict
from authz_middleware.policy.review import role_names
from authz_middleware.policy.rights import ANONYMOUS, Caller, Rights, change, role_sets
from authz_middleware.policy.table import ELSEWHERE, label, methods_of, paths, said
from authz_middleware.progress import Progress, untold

__all__ = ["Changed", "Side", "changes"]


class Side(NamedTuple):
    """One of the two policies."""

    policy: Policy
    rights: Rights


@dataclass(frozen=True, slots=True)
class Changed:
    """A right that is another: of `callers`, to `methods` of `route`, of which `example` is one.

    `gained` and `lost`: True, False, or None where nobody can tell. `before` and `after` are words.
    """

    route: str
    methods: tuple[str, ...]
    example: str
    callers: tuple[str, ...]
    gained: Verdict
    lost: Verdict
    before: str
    after: str
    old_rule: RuleRef | None
    new_rule: RuleRef | None


def changes(old: Side, new: Side, *, progress: Progress = untold) -> list[Changed]:
    """Return every right that differs between the two, route by route."""
    beside = (*old.policy.templates, *old.policy.forbids.templates)
    compared = _Compared(old, new)
    found: dict[tuple[str, int, int, _Moved], _Group] = {}
    for path in progress(paths(new.policy, beside)):
        for method in methods_of(old.policy, new.policy):
            before = old.policy.find(method, (path,))
            after = new.policy.find(method, (path,))
            for moved in compared.of(before, after):
                route = _route(before, after)
                key = (route, _origin(before), _origin(after), moved)
                found.setdefault(key, _Group(path, _ref(before), _ref(after))).add(method, path)
    return sorted(
        (_changed(route, moved, group) for (route, _, _, moved), group in found.items()),
        key=lambda each: (each.route == ELSEWHERE, each.route, each.methods, each.callers),
    )


class _Moved(NamedTuple):
    """What one right became, and whose."""

    callers: tuple[str, ...]
    gained: Verdict
    lost: Verdict
    before: str
    after: str


@dataclass(slots=True)
class _Group:
    path: str
    old_rule: RuleRef | None
    new_rule: RuleRef | None
    methods: list[str] = field(default_factory=list[str])

    def add(self, method: str, path: str) -> None:
        if method not in self.methods:
            self.methods.append(method)
        self.path = min(self.path, path, key=len)


def _changed(route: str, moved: _Moved, group: _Group) -> Changed:
    callers, gained, lost, before, after = moved
    return Changed(
        route,
        tuple(group.methods),
        group.path,
        callers,
        gained,
        lost,
        before,
        after,
        group.old_rule,
        group.new_rule,
    )


_Found = tuple[Requirement, ...] | None


def _route(before: _Found, after: _Found) -> str:
    """Return the path of the rule that decides now, or did, where there is none any more."""
    now, then = (label(each) if each else ELSEWHERE for each in (after, before))
    return then if now == ELSEWHERE else now


def _origin(found: _Found) -> int:
    return id(found[0].origin) if found else 0


def _ref(found: _Found) -> RuleRef | None:
    """Return the rule that decides; a method that it does not list has none."""
    listed = found and found[0].refused_as != "method_not_listed"
    return found[0].ref if found and listed else None


class _Compared:
    """What two lists of requirements mean for every caller; each pair is compared once."""

    def __init__(self, old: Side, new: Side) -> None:
        self._old = old
        self._new = new
        self._names = sorted({*role_names(old.policy), *role_names(new.policy)})
        self._same_callers = old.rights == new.rights  # each may bring what it may bring now
        self._known: dict[object, list[_Moved]] = {}

    def of(self, before: _Found, after: _Found) -> list[_Moved]:
        key = (_asked(before), _asked(after))
        if self._same_callers and key[0] == key[1]:
            return []
        if key not in self._known:
            self._known[key] = list(self._moved(before, after))
        return self._known[key]

    def _moved(self, before: _Found, after: _Found) -> Iterator[_Moved]:
        asked = [
            (self._old.policy.roles, _needs(before)),
            (self._new.policy.roles, _needs(after)),
        ]
        callers = [ANONYMOUS, *map(Caller, role_sets(self._names, asked))]
        told: dict[tuple[Verdict, Verdict, str, str], list[Caller]] = {}
        for caller in callers:
            then = self._old.rights.of(before, caller)
            now = self._new.rights.of(after, caller)
            if then == now:
                continue
            issuers = self._old.rights.given_by(caller) | self._new.rights.given_by(caller)
            gained, lost = change(then, now, sorted(issuers))
            if gained is not False or lost is not False:
                told.setdefault((gained, lost, said(then), said(now)), []).append(caller)
        for (gained, lost, words, others), few in told.items():
            yield _Moved(tuple(_least(few)), gained, lost, words, others)


def _asked(found: _Found) -> object:
    return None if found is None else tuple((each.kind, each.need) for each in found)


def _needs(found: _Found) -> list[Need]:
    return [each.need for each in found or () if each.need is not None]


def _least(callers: Sequence[Caller]) -> Iterable[str]:
    """Yield those who are not among others: with `any valid token` every role is named."""
    held = [each.roles for each in callers if each.roles is not None]
    for caller in callers:
        roles = caller.roles
        if roles is None or not any(other < roles for other in held):
            yield str(caller)
