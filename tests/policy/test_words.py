"""What requirements ask of a caller, in words."""

from __future__ import annotations

import pytest

from authz_middleware.facts import RuleRef
from authz_middleware.policy.model import Requirement
from authz_middleware.policy.needs import All, AnyRole, Load, Not, Pdp, When
from authz_middleware.policy.words import who
from tests.policy.says import Says


def test_a_condition_is_put_into_words():
    said = Requirement("table", RuleRef("/a", "x"), When(Says(True, "a == b")))
    assert who((said,)) == "the condition `a == b`"


def test_nobody_is_let_in_by_nothing() -> None:
    assert who(()) == "nobody"


def test_a_loader_is_put_into_words() -> None:
    need = All((Load("article"), When(Says(True, "a == b"), Load("article"))))
    said = Requirement("table", RuleRef("/a", "x"), need)
    assert who((said,)) == "an object that the loader `article` finds and the condition `a == b`"


def test_a_decision_point_is_put_into_words() -> None:
    said = Requirement("table", RuleRef("/a", "x"), Not(Pdp("orders", "/a")))
    assert who((said,)) == "not a yes of the decision point `orders`"


@pytest.mark.parametrize(
    ("requirement", "text"),
    [
        (Requirement("authenticated", RuleRef("/a", "x"), must_check="p"), "every valid token"),
        (
            Requirement("table", RuleRef("/a", "x"), AnyRole(frozenset({"r"})), must_check="p"),
            "the role `r`",
        ),
    ],
)
def test_what_the_handler_must_ask_is_put_into_words(requirement: Requirement, text: str) -> None:
    assert who((requirement,)) == f"{text} and what the handler asks about `p`"
