"""Who may do what: routes down, roles across, for the routes of a policy or for those of an app.

Every path that could be asked for is decided as one of the paths here is, so the table is complete.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final, NamedTuple

from authz_middleware.facts import Reason, RuleRef
from authz_middleware.policy.alike import Alike, in_order
from authz_middleware.policy.binding import OTHER
from authz_middleware.policy.explain import explain
from authz_middleware.policy.model import Policy, Requirement
from authz_middleware.policy.needs import (
    Acr,
    All,
    Asked,
    Load,
    MaxAge,
    Pdp,
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

__all__ = [
    "ELSEWHERE",
    "Cell",
    "Row",
    "Table",
    "label",
    "methods_of",
    "paths",
    "said",
    "table",
    "table_of_app",
]

ELSEWHERE: Final = "any other path"
"""The route of what no rule is for."""

AMBIGUOUS: Final = "every request to it is answered 400"


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
    whole: bool = True  # whether no part of the route is decided otherwise

    @property
    def shown(self) -> str:
        """The route, with an example where a part of it is decided otherwise."""
        return self.route if self.whole else f"{self.route} (as {self.example})"


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
    cells = _Cells(policy, rights, roles)
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
    rows = [
        Row(
            route,
            in_order(methods),
            path,
            tuple(each.ref for each in requirements),
            *cells.of(requirements),
            # An entry of [forbid] may be for a part of it only.
            whole=len(requirements) == 1,
        )
        for (route, _), (methods, path, requirements) in progress(list(found.items()))
    ]
    rows.sort(key=lambda row: (row.route == ELSEWHERE, row.route, row.methods, row.example))
    return Table(cells.columns, tuple(rows))


def table_of_app(
    found: Iterable[Alike],
    policy: Policy,
    rights: Rights,
    roles: Sequence[str] | None = None,
    *,
    progress: Progress = untold,
) -> Table:
    """Return who may do what on the routes of an app, which `policy` is laid against."""
    cells = _Cells(policy, rights, roles)
    # Several routes of one path, and what a framework answers itself, may differ in nothing here.
    same: dict[object, list[Alike]] = {}
    for each in found:
        origins = tuple(id(one.origin) for one in each.requirements or ())
        same.setdefault((each.text, each.whole, origins), []).append(each)
    rows = (
        Row(
            few[0].text,
            in_order({method for each in few for method in each.methods}),
            few[0].path,
            tuple(one.ref for one in few[0].requirements or ()),
            *cells.of(few[0].requirements or ()),
            whole=few[0].whole,
        )
        for few in progress(list(same.values()))
    )
    return Table(cells.columns, tuple(rows))


class _Cells:
    """The cells of each row; made once for all rows that ask the same."""

    def __init__(self, policy: Policy, rights: Rights, roles: Sequence[str] | None) -> None:
        self._rights = rights
        self._names = role_names(policy)
        named = self._names if roles is None else roles
        self._callers = [ANONYMOUS, *map(Caller, map(frozenset, ([], *([name] for name in named))))]
        self.columns = tuple(map(str, self._callers))
        self._known: dict[object, tuple[tuple[Cell, ...], tuple[str, ...]]] = {}
        self._early: dict[object, dict[Caller, str]] = {}

    def of(self, requirements: tuple[Requirement, ...]) -> tuple[tuple[Cell, ...], tuple[str, ...]]:
        if not requirements:
            return (Cell("no", AMBIGUOUS),) * len(self._callers), ()
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


_LATE: Final = (When, Scopes, Acr, MaxAge, Load, Pdp)
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
