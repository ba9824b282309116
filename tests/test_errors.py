"""The exception tree: one root, and messages that people can act on."""

from __future__ import annotations

import pickle

import pytest

from authz_middleware.errors import AccessDenied, AuthzError, PolicyError, Problem
from authz_middleware.facts import Answer, Decision


@pytest.mark.parametrize("kind", [PolicyError, AccessDenied])
def test_one_root(kind) -> None:
    assert issubclass(kind, AuthzError)


def test_a_problem_says_where_what_and_what_to_write() -> None:
    assert str(Problem("a.toml:1:2", "no", "write yes")) == "a.toml:1:2: no; write yes"
    assert str(Problem("a.toml:1:2", "no")) == "a.toml:1:2: no"


def test_a_policy_error_lists_every_problem() -> None:
    problems = [Problem("a", "x"), Problem("b", "y", "z")]
    error = PolicyError(problems)
    assert error.problems == tuple(problems)
    assert str(error) == "a: x\nb: y; z"


def test_access_denied_carries_the_refusal_and_says_no_more_than_its_reason() -> None:
    decision = Decision(False, "permission_missing", missing=("p",), detail="d")
    answer = Answer(403, (), b"body")
    error = AccessDenied(decision, answer)
    assert error.decision is decision
    assert error.answer is answer
    assert str(error) == "permission_missing"


@pytest.mark.parametrize(
    "error",
    [
        PolicyError([Problem("a", "x"), Problem("b", "y")]),
        AccessDenied(Decision(False, "permission_missing"), Answer(403, (), b"body")),
    ],
    ids=["PolicyError", "AccessDenied"],
)
def test_errors_travel_between_processes(error) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


class TestWithin:
    DENIED = AccessDenied(Decision(False, "permission_missing"), Answer(403, (), b""))

    def test_itself(self) -> None:
        assert AccessDenied.within(self.DENIED) is self.DENIED

    def test_in_groups_and_causes(self) -> None:
        outer = ValueError("outer")
        outer.__cause__ = ExceptionGroup("group", [KeyError("x"), RuntimeError("y")])
        outer.__cause__.exceptions[1].__context__ = self.DENIED
        assert AccessDenied.within(outer) is self.DENIED

    def test_nowhere_also_in_a_circle(self) -> None:
        first, second = ValueError("a"), ValueError("b")
        first.__context__, second.__context__ = second, first
        assert AccessDenied.within(first) is None

    def test_a_context_that_was_set_aside_is_not_followed(self) -> None:
        error = ValueError("the app's own")
        error.__context__ = self.DENIED
        error.__suppress_context__ = True  # raise ... from None
        assert AccessDenied.within(error) is None
