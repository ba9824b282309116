"""`when`: a condition as requirements ask it, and what it may read where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from authz_middleware.document import Section
from authz_middleware.policy.conditions import Condition, Inputs, read_condition
from authz_middleware.policy.names import Names
from authz_middleware.policy.needs import Asked, ConditionFailed, When

__all__ = ["Applied", "read"]

NAME = "when"


@dataclass(frozen=True, slots=True)
class Applied:
    """A compiled condition where it stands. Two of one text at one path are the same."""

    text: str
    params: tuple[tuple[str, str], ...] | None  # of the path, each with its converter
    condition: Condition = field(compare=False, repr=False)
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
            Inputs(asked.principal, _method(asked.method), asked.now, asked.params)
        )
        if isinstance(found, bool):
            return found
        raise ConditionFailed(found.detail, found.missing)


def _method(method: str) -> str:
    """Return `action.name`. GET covers HEAD wherever methods are compared (RFC 9110 §9.3.2)."""
    return "GET" if method == "HEAD" else method


def read(
    table: Section,
    names: Names,
    *,
    params: Mapping[str, str] | None,
    issuer_named: bool,
) -> When | None:
    """Read `when`; mistakes go to the section's report.

    `params` are the parameters of the path with their converters (None: not known).
    `issuer_named`: whether `issuers` beside it says whose subjects are meant.
    """
    condition = read_condition(table, NAME, params=params)
    if condition is None:
        return None
    _check(table, condition, names, issuer_named=issuer_named)
    return When(
        Applied(condition.text, None if params is None else tuple(params.items()), condition)
    )


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
        case ("resource", name, *_) if name != "params":
            return "attributes that a loader returns are"
        case ("context", name, *_) if name != "time":
            return f"`context.{name}` is"
        case _:
            return ""


def _error(table: Section, condition: Condition, at: int | None, what: str, fix: str = "") -> None:
    table.error_inside(NAME, condition.text, at or 0, what, fix)
