"""What logic alone tells of a condition, against trying every row by hand."""

from __future__ import annotations

import pytest

from authz_middleware.policy.conditions.constant import MAX_ATOMS, Operation, constant

A_OR_NOT_A = Operation("||", ("a", Operation("!", ("a",))))


@pytest.mark.parametrize(
    ("formula", "outcome"),
    [
        ("a", None),
        (True, True),
        (False, False),
        (A_OR_NOT_A, True),
        (Operation("!", (A_OR_NOT_A,)), False),
        (Operation("&&", ("a", "b")), None),
        (Operation("&&", ("a", False)), False),
        (Operation("?", ("a", True, True)), True),
        (Operation("?", ("a", "b", Operation("!", ("b",)))), None),
        (Operation("||", (*(f"a{n}" for n in range(MAX_ATOMS + 1)), True)), None),
    ],
)
def test_constant(formula, outcome):
    assert constant(formula) is outcome
