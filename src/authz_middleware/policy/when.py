"""`when`: a condition as requirements ask it, and what it may read where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from authz_middleware.document import Section
from authz_middleware.policy.conditions import Condition, Inputs, read_condition
from authz_middleware.policy.names import Names
from authz_middleware.policy.needs import Asked, ConditionFailed, Load, When
from authz_middleware.policy.resources import Unloaded

__all__ = ["Applied", "applied", "checked", "read"]

NAME = "when"

NOTHING_LOADED: Final = (
    "no `load` says where attributes of the resource are from",
    'write `load = "…"` beside it, or read `resource.params`',
)


@dataclass(frozen=True, slots=True)
class Applied:
    """A compiled condition where it stands. Two of one text at one path are the same."""

    text: str
    params: tuple[tuple[str, str], ...] | None  # of the path, each with its converter
    condition: Condition = field(compare=False, repr=False)
    load: Load | None = None
    reads_caller: bool = field(init=False, compare=False, repr=False)
    reads_request: bool = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        reads = self.condition.reads
        object.__setattr__(self, "reads_caller", reads.subject)
        # Also of a resource whose attributes are not those of the path: it costs little.
        object.__setattr__(self, "reads_request", reads.any("action") or reads.any("resource"))

    def holds(self, asked: Asked) -> bool:
        """Whether the condition holds. Raises ConditionFailed where that cannot be told."""
        found = self.condition.evaluate(
            Inputs(
                asked.principal,
                _method(asked.method),
                asked.now,
                asked.params,
                self._resource(asked),
            )
        )
        if isinstance(found, bool):
            return found
        raise ConditionFailed(found.detail, found.missing)

    def _resource(self, asked: Asked) -> Mapping[str, Any] | None:
        found = self.load.found(asked) if self.load is not None else None
        return None if isinstance(found, Unloaded) else found


def _method(method: str) -> str:
    """Return `action.name`. GET covers HEAD wherever methods are compared (RFC 9110 §9.3.2)."""
    return "GET" if method == "HEAD" else method


def read(
    table: Section,
    names: Names,
    *,
    params: Mapping[str, str] | None,
    issuer_named: bool,
    load: Load | None = None,
    unloaded: tuple[str, str] = NOTHING_LOADED,
) -> When | None:
    """Read `when`; mistakes go to the section's report.

    `params` are the parameters of the path with their converters (None: not known).
    `issuer_named`: whether `issuers` beside it says whose subjects are meant. `load` is whose
    attributes it may read; `unloaded` is what is wrong, and what to write, where there is none.
    """
    condition = checked(table, names, params=params, issuer_named=issuer_named)
    if condition is None:
        return None
    if condition.reads.loaded and load is None:
        _error(table, condition, _place_of_resource(condition), *unloaded)
    return applied(condition, params=params, load=load)


def checked(
    table: Section, names: Names, *, params: Mapping[str, str] | None, issuer_named: bool
) -> Condition | None:
    """Read `when` for itself; see `read`."""
    condition = read_condition(table, NAME, params=params)
    if condition is not None:
        _check(table, condition, names, issuer_named=issuer_named)
    return condition


def applied(
    condition: Condition,
    *,
    params: Mapping[str, str] | None,
    load: Load | None,
    permission: str = "",
) -> When:
    """Return `condition` as it is asked where it stands."""
    load = load if condition.reads.loaded else None
    known = None if params is None else tuple(params.items())
    return When(Applied(condition.text, known, condition, load), load, permission)


def _place_of_resource(condition: Condition) -> int | None:
    """Where attributes of the resource are read first."""
    reads = condition.reads
    paths = [path for path in reads.paths if path[0] == "resource" and path[1] != "params"]
    return min((at for path in paths if (at := reads.place(*path)) is not None), default=None)


def _check(table: Section, condition: Condition, names: Names, *, issuer_named: bool) -> None:
    reads = condition.reads
    if reads.subject_without_issuer and len(names.issuers) > 1 and not issuer_named:
        _error(
            table,
            condition,
            reads.place("subject", "id") or reads.place("subject", "claims", "sub"),
            "subjects of several issuers may be equal",
            'compare `subject.issuer` too, or name `issuers = ["…"]` beside the condition',
        )
    for path in sorted(reads.paths):
        if what := _unsupported(path):
            _error(table, condition, reads.place(*path), f"{what} not supported in this version")


def _unsupported(path: tuple[str, ...]) -> str:
    match path:
        case ("context", name, *_) if name != "time":
            return f"`context.{name}` is"
        case _:
            return ""


def _error(table: Section, condition: Condition, at: int | None, what: str, fix: str = "") -> None:
    table.error_inside(NAME, condition.text, at or 0, what, fix)
