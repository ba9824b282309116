"""Who may do what: a policy as a table of its own routes, methods and roles.

Every path that could be asked for is decided as one of the paths here is, so the table is complete.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final, NamedTuple

from authz_middleware.facts import Reason, RuleRef
from authz_middleware.policy.binding import OTHER
from authz_middleware.policy.explain import explain
from authz_middleware.policy.model import Policy, Requirement
from authz_middleware.policy.needs import (
    Acr,
    All,
    Asked,
    Load,
    MaxAge,
    Scopes,
    When,
)
from authz_middleware.policy.reach import Reach
from authz_middleware.policy.review import role_names
from authz_middleware.policy.rights import ANONYMOUS, Caller, Right, Rights, change, role_sets
from authz_middleware.policy.routekey import split_key
from authz_middleware.policy.segments import DoubleStar
from authz_middleware.policy.template import Template
from authz_middleware.policy.words import in_words
from authz_middleware.progress import Progress, untold

__all__ = ["ELSEWHERE", "Cell", "Row", "Table", "label", "methods_of", "paths", "said", "table"]

ELSEWHERE: Final = "any other path"
"""The route of what no rule is for."""


class Cell(NamedTuple):
    """What one caller may on one row: "yes", "no", or "if" with what else must hold."""

    may: str
    why: str  # of an "if" what must hold, of a "no" what is missing


@dataclass(frozen=True, slots=True)
class Row:
    """Paths and methods that are decided alike. `together` are roles that only both may."""

    route: str
    methods: tuple[str, ...]  # OTHER stands for all that no rule names
    example: str
    rules: tuple[RuleRef, ...]
    cells: tuple[Cell, ...]
    together: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """The route, with an example where an entry of [forbid] makes a part of it different."""
        return f"{self.route} (as {self.example})" if len(self.rules) > 1 else self.route


@dataclass(frozen=True, slots=True)
class Table:
    """The rows, and the callers that are the columns."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def paths(policy: Policy, beside: Iterable[Template] = ()) -> list[str]:
    """Return paths of which one is decided as any path is, also told apart by `beside`."""
    return list(Reach(policy, beside=beside).paths((DoubleStar(),)))


def methods_of(*policies: Policy) -> list[str]:
    """Return every method that a rule or an entry of [forbid] names, and what stands for the rest.

    HEAD is decided as GET is.
    """
    named = {method for policy in policies for method in (*policy.methods, *policy.forbids.methods)}
    return [*sorted(named - {"HEAD"}), OTHER]


def label(requirements: Sequence[Requirement]) -> str:
    """Return the path of the rule that decides, as it is written."""
    key = requirements[0].ref.key
    return ELSEWHERE if key == "default" else split_key(key)[1]


def said(right: Right) -> str:
    """Return a right in words."""
    if isinstance(right, bool):
        return "yes" if right else "no"
    return f"if {in_words(right, outermost=True)}"


def table(
    policy: Policy,
    rights: Rights,
    roles: Sequence[str] | None = None,
    *,
    progress: Progress = untold,
) -> Table:
    """Return who may do what; of the roles only `roles`, if given."""
    names = role_names(policy)
    callers = [ANONYMOUS, Caller(frozenset())]
    callers += [Caller(frozenset({name})) for name in (names if roles is None else roles)]
    found: dict[tuple[str, tuple[int, ...]], tuple[list[str], str, tuple[Requirement, ...]]] = {}
    for path in progress(paths(policy)):
        for method in methods_of(policy):
            requirements = policy.find(method, (path,))
            if not requirements or requirements[0].refused_as == "method_not_listed":
                continue
            origins = tuple(id(each.origin) for each in requirements)
            methods, shortest, _ = found.setdefault(
                (label(requirements), origins), ([], path, requirements)
            )
            if method not in methods:
                methods.append(method)
            if len(path) < len(shortest):
                found[label(requirements), origins] = (methods, path, requirements)
    cells = _Cells(rights, callers, names)
    rows = [
        Row(
            route,
            tuple(sorted(methods, key=lambda name: (name == OTHER, name))),
            path,
            tuple(each.ref for each in requirements),
            *cells.of(requirements),
        )
        for (route, _), (methods, path, requirements) in progress(list(found.items()))
    ]
    rows.sort(key=lambda row: (row.route == ELSEWHERE, row.route, row.methods, row.example))
    return Table(tuple(map(str, callers)), tuple(rows))


class _Cells:
    """The cells of each row; made once for all rows that ask the same."""

    def __init__(self, rights: Rights, callers: Sequence[Caller], names: Sequence[str]) -> None:
        self._rights = rights
        self._callers = callers
        self._names = names
        self._known: dict[object, tuple[tuple[Cell, ...], tuple[str, ...]]] = {}
        self._early: dict[object, dict[Caller, str]] = {}

    def of(self, requirements: tuple[Requirement, ...]) -> tuple[tuple[Cell, ...], tuple[str, ...]]:
        key = _asked(requirements)
        if key not in self._known:
            early = tuple(map(_early, requirements))
            told = self._early.setdefault(_asked(early), {})
            cells = tuple(self._cell(requirements, early, told, each) for each in self._callers)
            self._known[key] = cells, tuple(self._together(requirements))
        return self._known[key]

    def _cell(
        self,
        requirements: tuple[Requirement, ...],
        early: tuple[Requirement, ...],
        told: dict[Caller, str],
        caller: Caller,
    ) -> Cell:
        right = self._rights.of(requirements, caller)
        if right is True:
            return Cell("yes", "")
        if right is not False:
            return Cell("if", in_words(right, outermost=True))
        asked = Asked(self._rights.principal(caller), -inf)
        if caller not in told:
            told[caller] = _early_miss(early, asked)
        return Cell("no", told[caller] or explain(requirements, asked).nearest_miss)

    def _together(self, requirements: tuple[Requirement, ...]) -> Iterable[str]:
        """Yield roles that together may what none of them may alone."""
        needs = [each.need for each in requirements if each.need is not None]
        for roles in role_sets(self._names, [(self._rights.roles, needs)]):
            if len(roles) < 2:
                continue
            both = Caller(roles)
            right = self._rights.of(requirements, both)
            issuers = self._rights.given_by(both)
            alone = [self._rights.of(requirements, Caller(frozenset({name}))) for name in roles]
            if all(change(each, right, issuers).gained for each in alone):
                yield str(both)


def _asked(requirements: Iterable[Requirement]) -> object:
    return tuple((each.kind, each.need, each.refused_as) for each in requirements)


def _early(requirement: Requirement) -> Requirement:
    """Leave out what answers last: many requirements differ in nothing else."""
    need = requirement.need
    if requirement.kind != "table" or not isinstance(need, All):
        return requirement
    parts = tuple(part for part in need.parts if not isinstance(part, _LATE))
    return requirement if parts in ((), need.parts) else requirement.altered("table", All(parts))


_LATE: Final = (When, Scopes, Acr, MaxAge, Load)
"""What fails at a later stage than all of `_BEFORE`."""

_BEFORE: Final = frozenset[Reason](
    {
        "no_credentials",
        "forbidden",
        "forbidden_to_caller",
        "role_missing",
        "permission_missing",
        "issuer_not_accepted",
        "excluded",
    }
)


def _early_miss(early: tuple[Requirement, ...], asked: Asked) -> str:
    """Return the nearest miss if nothing that was left out could be nearer; else ""."""
    decision = explain(early, asked)
    return decision.nearest_miss if decision.reason in _BEFORE else ""
