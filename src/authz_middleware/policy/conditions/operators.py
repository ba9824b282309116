"""Operators of conditions: what goes together, what is decided already, what could never be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from authz_middleware.policy.conditions import attributes, nodes
from authz_middleware.policy.conditions.constant import Formula, Operation, constant
from authz_middleware.policy.conditions.faults import Unreadable
from authz_middleware.policy.conditions.kinds import (
    ANY,
    BOOLEAN,
    DOUBLE,
    DURATION,
    INT,
    LIST,
    MAP,
    TEXT,
    TEXTS,
    TIME,
    Kind,
    common,
    comparable,
    ordered,
)
from authz_middleware.policy.conditions.parts import Part, Slot
from authz_middleware.policy.routekey import RouteKeyError, check_head, check_methods

if TYPE_CHECKING:
    from authz_middleware.policy.conditions.checking import Checker

__all__ = ["READS_NOTHING", "binary", "decided", "logic", "ternary", "unary"]

READS_NOTHING = ("this reads no attribute, so it is always the same", "leave it out")


CONVERT = "make one of them what the other is, with `int`, `double`, `string` or `timestamp`"


def unary(checker: Checker, node: nodes.Unary) -> Part:
    """`!x` or `-x`."""
    if node.operator == "!":
        part = checker.boolean(node.operand, "what `!` turns round")
        formula = Operation("!", (_formula(part),))
        return Part(BOOLEAN, f"(!{part.code})", part.reads, formula=formula)
    part = checker.part(node.operand)
    if part.kind not in (ANY, INT, DOUBLE):
        raise Unreadable(node.at, f"`-` needs a number, not {part.kind}", "leave the `-` out")
    # The evaluator's own would make the smallest number of itself.
    checker.functions.add("f_negatable")
    return part._replace(code=f"(-f_negatable({part.code}))", formula=None)


def binary(checker: Checker, node: nodes.Binary) -> Part:
    """A comparison, an `in` or arithmetic."""
    if node.operator == "in":
        return _in(checker, node)
    left, right = checker.part(node.left), checker.part(node.right)
    if node.operator in "+-*/%":
        return _arithmetic(node, left, right)
    code = f"({left.code} {node.operator} {right.code})"
    both = f"{left.kind} and {right.kind}"
    if node.operator in ("==", "!="):
        if not comparable(left.kind, right.kind):
            raise Unreadable(node.at, f"{both} are never equal", CONVERT)
    elif not ordered(left.kind, right.kind):
        raise Unreadable(node.at, f"{both} cannot be compared with `{node.operator}`", CONVERT)
    if left.code == right.code and left.reads:
        what = "both sides are the same, so this says nothing"
        raise Unreadable(node.at, what, "write on one side what it is compared with")
    formula: Formula = code
    if node.operator in ("==", "!="):
        _methods(checker, node.left, (node.right,))
        _methods(checker, node.right, (node.left,))
    if node.operator in ("==", "!="):
        # `a == b` and `b == a` are one atom, `a != b` is its opposite.
        formula = " == ".join(sorted((left.code, right.code)))
        if node.operator == "!=":
            formula = Operation("!", (formula,))
    return Part(BOOLEAN, code, left.reads or right.reads, formula=formula)


def _in(checker: Checker, node: nodes.Binary) -> Part:
    steps = checker.steps(node.right)
    # A text that is written out, sought in a whole set or table of the request.
    if (
        steps is not None
        and isinstance(node.left, nodes.Literal)
        and isinstance(node.left.value, str)
    ):
        whole = attributes.kind_of(steps, checker.params) if len(steps) > 1 else None
        if whole is MAP:  # as `has(…)`, for names that are not CEL's
            return checker.attribute((*steps, (node.left.value, node.left.at)), presence=True)
        path = tuple(name for name, _ in steps)
        if whole is TEXTS and path[0] == "subject":  # a set: asked here, never converted
            slot = Slot((*path, node.left.value), presence=True)
            checker.places.setdefault(slot.path, node.left.at)
            return Part(BOOLEAN, checker.variable(slot), reads=True)
    left, right = checker.part(node.left), checker.part(node.right)
    if right.kind not in (ANY, MAP) and right.kind.item is None:
        raise Unreadable(
            node.at,
            f"`in` looks into a list or a table, not into {right.kind}",
            "write `a.contains(b)` for a part of a text"
            if right.kind is TEXT
            else "name a list, such as `subject.roles`",
        )
    if isinstance(node.right, nodes.ListOf):
        _methods(checker, node.left, node.right.items)
    item = TEXT if right.kind is MAP else right.kind.item or ANY
    if not comparable(left.kind, item):
        what = f"{left.kind} is never there, where every one is {item}"
        raise Unreadable(node.at, what, CONVERT)
    if isinstance(node.right, nodes.ListOf | nodes.MapOf) and right.code in ("[]", "{}"):
        what = "nothing is ever in an empty list"
        raise Unreadable(node.right.at, what, "write into it what may be there")
    return Part(BOOLEAN, f"({left.code} in {right.code})", left.reads or right.reads)


def _methods(checker: Checker, asked: nodes.Node, written: Iterable[nodes.Node]) -> None:
    """Note what is no method: a forbid of `post` would forbid nothing."""
    if tuple(name for name, _ in checker.steps(asked) or ()) != ("action", "name"):
        return
    for each in written:
        if isinstance(each, nodes.Literal) and isinstance(each.value, str):
            try:
                check_methods((each.value,), "leave the comparison out")
                check_head((each.value,))
            except RouteKeyError as error:
                checker.mistakes.add(each.at, error.what, error.fix)


def _arithmetic(node: nodes.Binary, left: Part, right: Part) -> Part:
    kind = _result(node.operator, left.kind, right.kind)
    if kind is None:
        fix = CONVERT
        if {left.kind, right.kind} == {INT, DOUBLE}:
            fix = "write `double(…)` around the whole number"
        raise Unreadable(
            node.at,
            f"{left.kind} and {right.kind} do not go together with `{node.operator}`",
            fix,
        )
    made = node.operator == "+" and (kind is ANY or kind.item is not None)
    code = f"({left.code} {node.operator} {right.code})"
    return Part(kind, code, left.reads or right.reads, made or left.made or right.made)


def logic(checker: Checker, node: nodes.Logic) -> Part:
    """`&&` or `||`."""
    parts = [checker.boolean(each, f"each side of `{node.operator}`") for each in node.parts]
    for part, written in zip(parts, node.parts, strict=True):
        decided(checker, written.at, part, "this part")
    formula = Operation(node.operator, tuple(_formula(part) for part in parts))
    code = _paired(node.operator, [part.code for part in parts])
    return Part(BOOLEAN, code, any(part.reads for part in parts), formula=formula)


def decided(checker: Checker, at: int, part: Part, what: str) -> None:
    """Note a boolean whose outcome is known already."""
    if part.kind is BOOLEAN and not part.reads:
        checker.mistakes.add(at, *READS_NOTHING)
    elif part.formula is not None and (known := constant(part.formula)) is not None:
        checker.mistakes.add(at, f"{what} is always {str(known).lower()}", "leave it out")


def ternary(checker: Checker, node: nodes.Ternary) -> Part:
    """`condition ? yes : no`."""
    condition = checker.boolean(node.condition, "what stands before `?`")
    decided(checker, node.condition.at, condition, "this part")
    yes, no = checker.part(node.yes), checker.part(node.no)
    formula = None
    kind = common(yes.kind, no.kind)
    if {yes.kind, no.kind} <= {ANY, BOOLEAN}:
        outcomes = (_formula(condition), *map(_formula, (yes, no)))
        formula = Operation("?", outcomes)
    return Part(
        kind,
        f"({condition.code} ? {yes.code} : {no.code})",
        condition.reads or yes.reads or no.reads,
        yes.made or no.made,
        formula,
    )


def _formula(part: Part) -> Formula:
    return part.code if part.formula is None else part.formula


def _paired(operator: str, codes: list[str]) -> str:
    """The parts in pairs of pairs, so that many of them are not nested deep."""
    if len(codes) == 1:
        return codes[0]
    half = (len(codes) + 1) // 2
    left, right = _paired(operator, codes[:half]), _paired(operator, codes[half:])
    return f"({left} {operator} {right})"


_TIMES: Mapping[tuple[str, Kind, Kind], Kind] = {
    ("+", TIME, DURATION): TIME,
    ("+", DURATION, TIME): TIME,
    ("+", DURATION, DURATION): DURATION,
    ("-", TIME, TIME): DURATION,
    ("-", TIME, DURATION): TIME,
    ("-", DURATION, DURATION): DURATION,
}


def _result(operator: str, left: Kind, right: Kind) -> Kind | None:
    """The kind of `left operator right`; None if there is no such operation."""
    times = [
        result
        for (each, *sides), result in _TIMES.items()
        if each == operator and left in (ANY, sides[0]) and right in (ANY, sides[1])
    ]
    numbers = [INT] if operator == "%" else [INT, DOUBLE]
    same = [kind for kind in numbers if left in (ANY, kind) and right in (ANY, kind)]
    if operator == "+" and left in (ANY, TEXT) and right in (ANY, TEXT):
        same.append(TEXT)
    lists = [each for each in (left, right) if each.item is not None]
    if operator == "+" and lists and all(each is ANY or each.item for each in (left, right)):
        same.append(LIST)
    found = {*times, *same}
    return None if not found else found.pop() if len(found) == 1 else ANY
