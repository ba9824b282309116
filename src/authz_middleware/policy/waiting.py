"""Whether a request hangs on what is not known yet, an object or a decision, and on what first.

A need whose object is not loaded, or whose decision point is not asked, may still come to several
values. Either is asked only while the whole of what must be met may still be met, and only for a
part on which that hangs. Decision points come last: what an object says may settle it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import reduce
from itertools import product

from authz_middleware.policy.needs import (
    All,
    Asked,
    Load,
    Need,
    Not,
    OneOf,
    Pdp,
    Verdict,
    When,
    conjunction,
    disjunction,
    loaded_by,
    negation,
)
from authz_middleware.policy.questions import NOT_PUT
from authz_middleware.policy.resources import NOT_ASKED

__all__ = ["possible", "wanted"]

Values = frozenset[Verdict]

_LOADED: Values = frozenset((True, None))  # of `load`: there, or not, or it failed
_ANY: Values = frozenset((True, False, None))


def possible(need: Need, asked: Asked) -> Values:
    """Return every value that `need` may come to once everybody was asked."""
    match need:
        case All(parts):
            return _joined(conjunction, [possible(part, asked) for part in parts])
        case OneOf(parts):
            return _joined(disjunction, [possible(part, asked) for part in parts])
        case Not(part):
            return frozenset(map(negation, possible(part, asked)))
        case Load():
            return _LOADED if _is_open(need, asked) else frozenset((need.value(asked),))
        case Pdp() if need.said(asked) is NOT_PUT:
            return _ANY
        case When(load=Load() as load) if _is_open(load, asked):
            return _ANY
        case _:
            return frozenset((need.value(asked),))


def wanted(need: Need, asked: Asked) -> Load | Pdp | None:
    """Return what is asked first; None if `need` is met, or can not be met any more."""
    values = possible(need, asked)
    if True not in values or len(values) == 1:
        return None
    found = tuple(_open(need, asked))
    return next((each for each in found if isinstance(each, Load)), found[0] if found else None)


def _open(need: Need, asked: Asked) -> Iterator[Load | Pdp]:
    """Yield what `need` hangs on, in the order of the policy."""
    if len(possible(need, asked)) == 1:
        return
    match need:
        case All(parts) | OneOf(parts):
            for part in parts:
                yield from _open(part, asked)
        case Not(part):
            yield from _open(part, asked)
        case Pdp():
            yield need
        case _:  # only for want of its object may another leaf come to several values
            yield from filter(None, (loaded_by(need),))


def _is_open(load: Load, asked: Asked) -> bool:
    return load.found(asked) is NOT_ASKED


def _joined(join: Callable[[Iterable[Verdict]], Verdict], parts: Iterable[Values]) -> Values:
    # One after the other: both joins are associative, and values are three at most.
    return reduce(lambda one, other: frozenset(map(join, product(one, other))), parts)
