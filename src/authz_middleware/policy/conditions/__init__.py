"""Conditions (`when`): CEL over subject, action, resource and context, checked before it runs.

lexing -> parsing -> checking: a text becomes a tree, the tree is checked, and from the same tree
comes the text that the evaluator gets. `condition` is what the rest of the policy uses.
"""

from __future__ import annotations

from authz_middleware.policy.conditions.attributes import UNREADABLE, Reads
from authz_middleware.policy.conditions.condition import (
    Condition,
    ConditionError,
    Rejected,
    compile_condition,
)
from authz_middleware.policy.conditions.functions import timestamp
from authz_middleware.policy.conditions.reading import read_condition
from authz_middleware.policy.conditions.values import Inputs

__all__ = [
    "UNREADABLE",
    "Condition",
    "ConditionError",
    "Inputs",
    "Reads",
    "Rejected",
    "compile_condition",
    "read_condition",
    "timestamp",
]
