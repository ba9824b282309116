"""The door to the evaluator: whatever happens behind it is a failure, and says no value."""

from __future__ import annotations

import logging

import pytest

from authz_middleware.policy.conditions import evaluator
from authz_middleware.policy.conditions.evaluator import Failure


class PanicException(BaseException):
    """What PyO3 makes of a panic: it is no Exception."""


def raising(error: BaseException):
    def execute(variables):
        raise error

    return execute


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (TypeError("s3cret"), "values of these kinds do not go together"),
        (RuntimeError("s3cret"), "an attribute is not of the kind that is asked for"),
        (RecursionError("s3cret"), "an attribute is not of the kind that is asked for"),
        (PanicException("s3cret"), "an attribute is not of the kind that is asked for"),
        (OverflowError("s3cret"), "a number or a time is out of range"),
    ],
)
def test_errors_and_panics_are_failures(error, detail):
    with pytest.raises(Failure) as raised:
        evaluator.run(raising(error), {})
    assert raised.value.detail == detail
    assert "s3cret" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(), GeneratorExit()])
def test_the_end_of_the_process_is_not_stopped(error):
    with pytest.raises(type(error)):
        evaluator.run(raising(error), {})


def test_the_missing_is_named():
    with pytest.raises(Failure) as raised:
        evaluator.run(evaluator.program("v0 == v1"), {"v0": 1})
    assert raised.value.variable == "v1"
    with pytest.raises(Failure) as raised:
        evaluator.run(evaluator.program('v0["role"] == 1'), {"v0": {}})
    assert raised.value.key == "role"


@pytest.mark.parametrize("value", [None, 1, "true", [True]])
def test_only_true_and_false_are_outcomes(value):
    with pytest.raises(Failure):
        evaluator.run(lambda variables: value, {})


def test_a_text_that_is_none_is_a_failure():
    with pytest.raises(Failure):
        evaluator.program("v0 ==")
    assert not evaluator.compiles("v0 ==")
    assert not evaluator.compiles("1 / 0 == 1")
    assert evaluator.compiles("1 == 1")


@pytest.mark.parametrize(
    "text",
    [
        "(f_int(v0) + 0) == 0",
        '(f_string(v0) + "") == ""',
        "(f_double(v0) + 0.0) == 0.0",
        '(f_timestamp(v0) + duration("0s")) == v0',
        "(f_within(v0, v0) ? true : false) == true",
        "(f_int(v0) + 0) != 0",
        "!(f_within(v0, v0) ? true : false)",
    ],
)
def test_the_null_of_a_function_is_an_error_and_nothing_is_logged(text, caplog):
    functions = dict.fromkeys(
        ("f_int", "f_string", "f_double", "f_timestamp", "f_within"), lambda *given: None
    )
    with caplog.at_level(logging.DEBUG), pytest.raises(Failure):
        evaluator.run(evaluator.program(text), {"v0": "s3cret", **functions})
    assert "s3cret" not in caplog.text
