"""The one door to the CEL evaluator, the package `cel` of `common-expression-language`.

It is given only texts that `checking` wrote. Each run has a context of its own: the package makes
one from the dict and drops it. What it says of an error may hold values of the request, so that
none of it goes further but the name of a variable, which is ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

__all__ = ["Failure", "Run", "Uninstalled", "compiles", "program", "run"]

Run = Callable[[dict[str, Any]], object]
"""A compiled text: variables and functions by name in, the value out."""


class Uninstalled(Exception):
    """The package is an extra, and is not there."""


class Failure(Exception):
    """The evaluator could not tell. `variable` or `key` is what it missed, where it says so."""

    def __init__(self, detail: str, *, variable: str = "", key: str = "") -> None:
        self.detail = detail
        self.variable = variable
        self.key = key
        super().__init__(detail)


_DETAILS: Mapping[type[BaseException], str] = {
    IndexError: "a list has no such entry",
    KeyError: "a table has no such entry",
    OverflowError: "a number or a time is out of range",
    TypeError: "values of these kinds do not go together",
    ValueError: "an attribute is of a kind that conditions do not have",
    ZeroDivisionError: "a division by zero",
}
_OTHER = "an attribute is not of the kind that is asked for"
_UNSET = re.compile(r"Undefined variable or function: '(v[0-9]+)'")


def program(text: str) -> Run:
    """Compile a text. Raises Failure, and Uninstalled."""
    # Not before there is a condition: the package imports the libraries of its command line tool.
    try:
        import cel  # noqa: PLC0415
    except ImportError as error:
        raise Uninstalled from error
    return _guarded(cel.compile, text).execute


def run(execute: Run, variables: dict[str, Any]) -> bool:
    """Run a program once. Raises Failure."""
    value = _guarded(execute, variables)
    if not isinstance(value, bool):
        raise Failure("the condition is neither true nor false")
    return value


def compiles(text: str) -> bool:
    """Whether a text that reads nothing compiles and runs."""
    nothing: dict[str, Any] = {}
    try:
        _guarded(program(text), nothing)
    except Failure:
        return False
    return True


_Given = TypeVar("_Given")
_Got = TypeVar("_Got")


def _guarded(action: Callable[[_Given], _Got], given: _Given) -> _Got:
    try:
        return action(given)
    except Exception as error:  # noqa: BLE001 - whatever it is, the condition is in error
        raise _failure(error) from None
    except BaseException as error:
        # A panic of the evaluator's Rust code is no Exception. Anything else ends the process or
        # the task, which is not ours to stop.
        if type(error).__name__ != "PanicException":
            raise
        raise _failure(error) from None


def _failure(error: BaseException) -> Failure:
    detail = next((text for kind, text in _DETAILS.items() if isinstance(error, kind)), _OTHER)
    unset = _UNSET.match(str(error))
    return Failure(
        detail,
        variable=unset[1] if unset else "",
        key=str(error.args[0]) if isinstance(error, KeyError) and error.args else "",
    )
