"""What requirements ask of a caller, in words."""

from __future__ import annotations

from authz_middleware.facts import RuleRef
from authz_middleware.policy.model import Requirement
from authz_middleware.policy.needs import When
from authz_middleware.policy.words import who
from tests.policy.says import Says


def test_a_condition_is_put_into_words():
    said = Requirement("table", RuleRef("/a", "x"), When(Says(True, "a == b")))
    assert who((said,)) == "the condition `a == b`"


def test_nobody_is_let_in_by_nothing() -> None:
    assert who(()) == "nobody"
