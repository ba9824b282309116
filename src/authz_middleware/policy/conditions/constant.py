"""Whether a condition is always true or always false, as far as its logic alone tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Literal

__all__ = ["Formula", "Operation", "constant"]

MAX_ATOMS = 10
"""Beyond this many different comparisons nothing is tried: 2^10 rows are looked at."""


@dataclass(frozen=True, slots=True)
class Operation:
    """`!`, `&&`, `||` or `?` (a condition and its two outcomes) over formulas."""

    operator: Literal["!", "&&", "||", "?"]
    parts: tuple[Formula, ...]


Formula = Operation | bool | str
"""A boolean, an operation, or an atom: the text of a comparison, about which nothing is known."""


def constant(formula: Formula) -> bool | None:
    """True if it always holds, False if it never does, else None."""
    atoms = sorted(set(_atoms(formula)))
    if len(atoms) > MAX_ATOMS:
        return None
    rows = product((False, True), repeat=len(atoms))
    outcomes = {_value(formula, dict(zip(atoms, row, strict=True))) for row in rows}
    return outcomes.pop() if len(outcomes) == 1 else None


def _atoms(formula: Formula) -> list[str]:
    if isinstance(formula, Operation):
        return [atom for part in formula.parts for atom in _atoms(part)]
    return [formula] if isinstance(formula, str) else []


def _value(formula: Formula, row: Mapping[str, bool]) -> bool:
    if isinstance(formula, str):
        return row[formula]
    if isinstance(formula, bool):
        return formula
    parts = formula.parts
    if formula.operator == "!":
        return not _value(parts[0], row)
    if formula.operator == "?":
        return _value(parts[1] if _value(parts[0], row) else parts[2], row)
    combine = all if formula.operator == "&&" else any
    return combine(_value(part, row) for part in parts)
