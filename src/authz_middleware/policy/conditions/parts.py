"""What is known of a part of a condition, and its text for the evaluator."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from authz_middleware.policy.conditions import nodes
from authz_middleware.policy.conditions.attributes import Path
from authz_middleware.policy.conditions.constant import Formula
from authz_middleware.policy.conditions.faults import Unreadable
from authz_middleware.policy.conditions.kinds import BOOLEAN, DOUBLE, INT, TEXT, Kind

__all__ = ["Part", "Slot", "inherited", "literal", "no_attribute", "written"]


class Part(NamedTuple):
    """What is known of a part: its kind, its text for the evaluator, and more."""

    kind: Kind
    code: str
    reads: bool = False  # whether it depends on anything outside the condition
    made: bool = False  # whether it may be larger than what was read
    formula: Formula | None = None  # of a boolean


@dataclass(frozen=True, slots=True)
class Slot:
    """One variable of the evaluator: an attribute, or whether there is one (`has`)."""

    path: Path
    presence: bool = False


def literal(node: nodes.Literal) -> Part:
    """A value, in the one spelling that the evaluator gets."""
    match node.value:
        case None:
            raise Unreadable(
                node.at,
                "nothing is null here: null attributes are left out",
                "write `has(…)` or `!has(…)`",
            )
        case bool(value):
            return Part(BOOLEAN, str(value).lower(), formula=value)
        case int(value):
            return Part(INT, f"({value})" if value < 0 else str(value))
        case float(value):
            return Part(DOUBLE, f"({value!r})" if math.copysign(1, value) < 0 else repr(value))
        case text:
            return Part(TEXT, written(text))


def written(text: str) -> str:
    """A text as the evaluator gets it: printable ASCII in double quotes, the rest escaped."""
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(character: str) -> str:
    code = ord(character)
    if character in '"\\' or not 0x20 <= code < 0x7F:
        return f"\\U{code:08x}"
    return character


def no_attribute(kind: Kind, name: str) -> tuple[str, str]:
    """What is wrong where a value of this kind is asked for an attribute, and what to do."""
    return f"{kind} has no attribute `{name}`", f"leave `.{name}` out"


def inherited(parts: list[Part]) -> tuple[bool, bool]:
    """What `reads` and `made` are of something made of `parts`."""
    return any(part.reads for part in parts), any(part.made for part in parts)
