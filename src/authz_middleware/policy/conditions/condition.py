"""A condition: compiled once from its text, then true, false or in error for each request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from authz_middleware.policy.conditions import evaluator
from authz_middleware.policy.conditions.attributes import Reads
from authz_middleware.policy.conditions.checking import Checker
from authz_middleware.policy.conditions.faults import Mistake, Unreadable
from authz_middleware.policy.conditions.functions import FUNCTIONS
from authz_middleware.policy.conditions.kinds import DOUBLE, INT, TEXT, Kind
from authz_middleware.policy.conditions.parsing import parse
from authz_middleware.policy.conditions.parts import Slot
from authz_middleware.policy.conditions.values import (
    MAX_VALUES,
    MISSING,
    Getter,
    Inputs,
    Limits,
    Unusable,
    converted,
    getter,
)

__all__ = [
    "MAX_COPIES",
    "MAX_STEPS",
    "Condition",
    "ConditionError",
    "Rejected",
    "compile_condition",
]

MAX_STEPS = 10_000
"""How often the body of a macro may run: the longest list to the power of the nesting."""

PATTERN_STEPS = 50
"""What `matches` counts for in a macro: the evaluator compiles the pattern each time."""

MAX_COPIES = 40_000
"""Entries that `map` and `filter` may copy: at each one all that they have so far."""

PARAMETERS: Mapping[str, Kind] = {"int": INT, "float": DOUBLE, "uuid": TEXT}
"""The kinds of typed parameters of a path; every other one is a text."""


class Rejected(Exception):
    """A text that is no condition, with every mistake that was found in it."""

    def __init__(self, mistakes: tuple[Mistake, ...]) -> None:
        self.mistakes = mistakes
        super().__init__("; ".join(each.what for each in mistakes))


@dataclass(frozen=True, slots=True)
class ConditionError:
    """It is not known whether the condition holds. It counts against access.

    `missing` names attributes that it asked for in vain. Nothing here is a value of the request.
    """

    detail: str
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Variable:
    """One attribute that a condition reads."""

    name: str  # the evaluator's
    label: str  # the author's
    get: Getter
    limits: Limits


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """A compiled condition. It holds nothing of a request, so that threads may share it."""

    text: str
    reads: Reads
    _run: evaluator.Run = field(repr=False)
    _variables: tuple[_Variable, ...] = field(repr=False)
    _functions: Mapping[str, Callable[..., Any]] = field(repr=False)
    _fields: frozenset[str] = field(repr=False)

    def evaluate(self, inputs: Inputs) -> bool | ConditionError:
        """Whether the condition holds for a request."""
        values: dict[str, Any] = dict(self._functions)
        absent: dict[str, ConditionError] = {}
        for variable in self._variables:
            # What is absent is not given to the evaluator: an error where it is asked for, and
            # only there (CEL: `true || missing` is true).
            try:
                value = variable.get(inputs)
                if value is not MISSING:
                    value = converted(value, variable.limits)
            except Unusable as error:
                absent[variable.name] = ConditionError(f"`{variable.label}` is {error}")
                continue
            except Exception as error:  # noqa: BLE001 - a loader's own types may do anything
                what = f"`{variable.label}` cannot be read ({type(error).__name__})"
                absent[variable.name] = ConditionError(what)
                continue
            if value is MISSING:
                what = f"`{variable.label}` is missing"
                absent[variable.name] = ConditionError(what, (variable.label,))
            else:
                values[variable.name] = value
        try:
            return evaluator.run(self._run, values)
        except evaluator.Failure as failure:
            if failure.variable in absent:
                return absent[failure.variable]
            if failure.key in self._fields:
                return ConditionError(f"`{failure.key}` is missing", (failure.key,))
            return ConditionError(failure.detail)


def compile_condition(text: str, *, params: Mapping[str, str] | None = None) -> Condition:
    """Compile a condition. Raises Rejected with every mistake in it.

    `params` are the parameters of the path, each with its converter ("int", "float", "uuid";
    anything else is a text); None if the path is not known.
    """
    kinds = None
    if params is not None:
        kinds = {name: PARAMETERS.get(converter, TEXT) for name, converter in params.items()}
    checker = Checker(kinds)
    try:
        part = checker.condition(parse(text))
    except Unreadable as error:
        raise Rejected((error.mistake,)) from None
    if mistakes := checker.mistakes.found:
        raise Rejected(mistakes)
    try:
        run = evaluator.program(part.code)
    except evaluator.Failure as failure:
        what = f"the evaluator does not take this: {failure.detail}"
        raise Rejected((Mistake(0, what, "write it in another way"),)) from None
    return Condition(
        text,
        Reads(frozenset(slot.path for slot in checker.slots), checker.places),
        run,
        tuple(_variable(checker, slot, name) for slot, name in checker.slots.items()),
        {name: FUNCTIONS[name] for name in sorted(checker.functions)},
        frozenset(checker.fields),
    )


def _variable(checker: Checker, slot: Slot, name: str) -> _Variable:
    entries = MAX_VALUES
    if slot in checker.looped:
        # A list that a macro goes over may hold the lists that a macro in it goes over.
        depth = max(checker.deepest, 1)
        steps = MAX_STEPS // PATTERN_STEPS if checker.patterns else MAX_STEPS
        entries = round(steps ** (1 / depth))
        if checker.copies:
            entries = min(entries, round(MAX_COPIES ** (1 / (depth + 1))))
    label = _label(slot)
    return _Variable(
        name, label, getter(slot.path, presence=slot.presence), Limits(entries=entries)
    )


def _label(slot: Slot) -> str:
    # Of `has(a.b)` only the absence of `a` is ever told.
    path = slot.path[:-1] if slot.presence else slot.path
    return ".".join(name if name.isidentifier() else f'"{name}"' for name in path)
