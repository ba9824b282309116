"""The tree of a condition, checked: kinds, names and bounds, and the text for the evaluator.

Each part is visited once, which gives both what is known of it and its text. The text has our own
names, every bracket and one spelling of each value: the evaluator sees no character that was not
understood here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from authz_middleware.policy.conditions import attributes, nodes
from authz_middleware.policy.conditions.attributes import Path, Step
from authz_middleware.policy.conditions.constant import Formula, Operation, constant
from authz_middleware.policy.conditions.faults import Mistakes, Unreadable, nearest
from authz_middleware.policy.conditions.kinds import (
    ANY,
    BOOLEAN,
    DOUBLE,
    DURATION,
    INT,
    LIST,
    MAP,
    TEXT,
    TIME,
    Kind,
    common,
    comparable,
    ordered,
)

__all__ = ["MAX_ITEMS", "Checker", "Part", "Slot"]

MAX_ITEMS = 200
"""Entries of a list or a table that is written out in a condition."""


_READS_NOTHING = ("this reads no attribute, so it is always the same", "leave it out")


class Part(NamedTuple):
    """What is known of a part: its kind, its text for the evaluator, and more."""

    kind: Kind
    code: str
    reads: bool = False  # whether it depends on anything outside the condition
    made: bool = False  # whether it may be larger than what was read
    formula: Formula | None = None  # of a boolean


@dataclass(frozen=True, slots=True)
class Slot:
    """One variable of the evaluator: an attribute, or whether there is one (`has`)."""

    path: Path
    presence: bool = False


@dataclass(slots=True)
class Checker:
    """One condition being checked. `params` are those of the path, None if they are not known."""

    params: Mapping[str, Kind] | None
    call: Callable[[Checker, nodes.Call], Part]
    compiles: Callable[[str], bool]  # whether the evaluator can do this, which reads nothing
    mistakes: Mistakes = field(default_factory=Mistakes)
    slots: dict[Slot, str] = field(default_factory=dict[Slot, str])
    looped: set[Slot] = field(default_factory=set[Slot])  # read inside a macro
    functions: set[str] = field(default_factory=set[str])
    fields: set[str] = field(default_factory=set[str])  # attributes of a macro's variable
    variables: dict[str, Part] = field(default_factory=dict[str, Part])
    nesting: int = 0  # of macros, here
    ranges: int = 0  # how many lists that macros go over this stands in
    deepest: int = 0
    copies: bool = False  # whether a macro makes a list

    def condition(self, node: nodes.Node) -> Part:
        """Check the whole condition."""
        part = self.boolean(node, "a condition")
        if self.mistakes.found:
            return part
        if not self.slots:
            self.mistakes.add(node.at, *_READS_NOTHING)
        else:
            self._decided(node.at, part, "this condition")
        return part

    def part(self, node: nodes.Node) -> Part:
        """Check one part; a mistake in it is noted, and then it is of any kind."""
        try:
            return self._part(node)
        except Unreadable as error:
            mistake = error.mistake
            self.mistakes.add(mistake.at, mistake.what, mistake.fix)
            return Part(ANY, "false", reads=True)

    def boolean(self, node: nodes.Node, what: str) -> Part:
        """Check a part that has to be true or false."""
        part = self.part(node)
        if part.kind not in (ANY, BOOLEAN):
            self.mistakes.add(node.at, f"{what} is true or false, but this is {part.kind}")
        return part if part.formula is not None else part._replace(formula=part.code)

    def variable(self, slot: Slot) -> str:
        """The evaluator's name of an attribute."""
        if self.nesting or self.ranges:
            self.looped.add(slot)
        return self.slots.setdefault(slot, f"v{len(self.slots)}")

    def steps(self, node: nodes.Node) -> tuple[Step, ...] | None:
        """The path of names that a node writes out from a root on, or None."""
        match node:
            case nodes.Name(at, name) if name in attributes.ROOTS:
                return ((name, at),)
            case nodes.Select(at, target, name) | nodes.Index(
                at, target, nodes.Literal(_, str(name))
            ):
                below = self.steps(target)
                return below and (*below, (name, at))
            case _:
                return None

    def attribute(self, steps: tuple[Step, ...], *, presence: bool = False) -> Part:
        """An attribute outside the condition, or whether it is there."""
        kind = attributes.kind_of(steps, self.params)
        slot = Slot(tuple(name for name, _ in steps), presence)
        return Part(BOOLEAN if presence else kind, self.variable(slot), reads=True)

    def _part(self, node: nodes.Node) -> Part:
        if (steps := self.steps(node)) is not None:
            return self.attribute(steps)
        match node:
            case nodes.Literal():
                return literal(node)
            case nodes.Name():
                return self._name(node)
            case nodes.Select():
                return self._select(node)
            case nodes.Index():
                return self._index(node)
            case nodes.Unary():
                return self._unary(node)
            case nodes.Binary():
                return self._binary(node)
            case nodes.Logic():
                return self._logic(node)
            case nodes.Ternary():
                return self._ternary(node)
            case nodes.ListOf():
                return self._list(node)
            case nodes.MapOf():
                return self._map(node)
            case nodes.Call():
                return self.call(self, node)
            case _:
                raise TypeError(type(node).__name__)

    def _name(self, node: nodes.Name) -> Part:
        part = self.variables.get(node.name)
        if part is None:
            known = (*attributes.ROOTS, *self.variables)
            raise Unreadable(node.at, f"`{node.name}` is not known here", nearest(node.name, known))
        return part

    def _select(self, node: nodes.Select) -> Part:
        target = self.part(node.target)
        if target.kind not in (ANY, MAP):
            raise Unreadable(node.at, f"{target.kind} has no attribute `{node.field}`")
        self.fields.add(node.field)
        return target._replace(kind=ANY, code=f'{target.code}["{node.field}"]', formula=None)

    def _index(self, node: nodes.Index) -> Part:
        target, index = self.part(node.target), self.part(node.index)
        by_name = target.kind is MAP
        if target.kind is not ANY and not by_name and target.kind.item is None:
            raise Unreadable(node.at, f"{target.kind} has no entries")
        wanted = TEXT if by_name else INT
        if target.kind is not ANY and index.kind not in (ANY, wanted):
            raise Unreadable(
                node.at, f"an entry of {target.kind} is named by {wanted}, not {index.kind}"
            )
        return Part(
            target.kind.item or ANY,
            f"{target.code}[{index.code}]",
            target.reads or index.reads,
            target.made,
        )

    # Operators

    def _unary(self, node: nodes.Unary) -> Part:
        if node.operator == "!":
            part = self.boolean(node.operand, "what `!` turns round")
            formula = Operation("!", (part.formula or part.code,))
            return Part(BOOLEAN, f"(!{part.code})", part.reads, formula=formula)
        part = self.part(node.operand)
        if part.kind not in (ANY, INT, DOUBLE, DURATION):
            raise Unreadable(node.at, f"`-` needs a number, not {part.kind}")
        return part._replace(code=f"(-{part.code})", formula=None)

    def _binary(self, node: nodes.Binary) -> Part:
        if node.operator == "in":
            return self._in(node)
        left, right = self.part(node.left), self.part(node.right)
        if node.operator in "+-*/%":
            return self._arithmetic(node, left, right)
        code = f"({left.code} {node.operator} {right.code})"
        both = f"{left.kind} and {right.kind}"
        if node.operator in ("==", "!="):
            if not comparable(left.kind, right.kind):
                raise Unreadable(node.at, f"{both} are never equal")
        elif not ordered(left.kind, right.kind):
            raise Unreadable(node.at, f"{both} cannot be compared with `{node.operator}`")
        if left.code == right.code and left.reads:
            raise Unreadable(node.at, "both sides are the same, so this says nothing")
        formula: Formula = code
        if node.operator in ("==", "!="):
            # `a == b` and `b == a` are one atom, `a != b` is its opposite.
            formula = " == ".join(sorted((left.code, right.code)))
            if node.operator == "!=":
                formula = Operation("!", (formula,))
        return Part(BOOLEAN, code, left.reads or right.reads, formula=formula)

    def _in(self, node: nodes.Binary) -> Part:
        steps = self.steps(node.right)
        if steps and isinstance(node.left, nodes.Literal) and isinstance(node.left.value, str):
            whole = attributes.kind_of(steps, self.params) if len(steps) > 1 else None
            if whole is MAP:  # as `has(…)`, for names that are not CEL's
                return self.attribute((*steps, (node.left.value, node.left.at)), presence=True)
        left, right = self.part(node.left), self.part(node.right)
        if right.kind not in (ANY, MAP) and right.kind.item is None:
            raise Unreadable(
                node.at,
                f"`in` looks into a list or a table, not into {right.kind}",
                "write `a.contains(b)` for a part of a text" if right.kind is TEXT else "",
            )
        item = TEXT if right.kind is MAP else right.kind.item or ANY
        if not comparable(left.kind, item):
            what = f"{left.kind} is never there, where every one is {item}"
            raise Unreadable(node.at, what)
        if isinstance(node.right, nodes.ListOf | nodes.MapOf) and right.code in ("[]", "{}"):
            raise Unreadable(node.right.at, "nothing is ever in an empty list")
        return Part(BOOLEAN, f"({left.code} in {right.code})", left.reads or right.reads)

    def _arithmetic(self, node: nodes.Binary, left: Part, right: Part) -> Part:
        kind = _result(node.operator, left.kind, right.kind)
        if kind is None:
            fix = ""
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

    def _logic(self, node: nodes.Logic) -> Part:
        parts = [self.boolean(each, f"each side of `{node.operator}`") for each in node.parts]
        for part, written in zip(parts, node.parts, strict=True):
            self._decided(written.at, part, "this part")
        formula = Operation(node.operator, tuple(part.formula or part.code for part in parts))
        code = _paired(node.operator, [part.code for part in parts])
        return Part(BOOLEAN, code, any(part.reads for part in parts), formula=formula)

    def _decided(self, at: int, part: Part, what: str) -> None:
        """Note a boolean whose outcome is known already."""
        if part.kind is BOOLEAN and not part.reads:
            self.mistakes.add(at, *_READS_NOTHING)
        elif part.formula is not None and (known := constant(part.formula)) is not None:
            self.mistakes.add(at, f"{what} is always {str(known).lower()}", "leave it out")

    def _ternary(self, node: nodes.Ternary) -> Part:
        condition = self.boolean(node.condition, "what stands before `?`")
        self._decided(node.condition.at, condition, "this part")
        yes, no = self.part(node.yes), self.part(node.no)
        formula = None
        kind = common(yes.kind, no.kind)
        if kind is BOOLEAN:
            outcomes = (condition.formula or condition.code, *map(_formula, (yes, no)))
            formula = Operation("?", outcomes)
        return Part(
            kind,
            f"({condition.code} ? {yes.code} : {no.code})",
            condition.reads or yes.reads or no.reads,
            yes.made or no.made,
            formula,
        )

    def _list(self, node: nodes.ListOf) -> Part:
        items = [self.part(each) for each in node.items]
        self._few(node.at, len(items))
        kind = LIST
        if items:
            item = items[0].kind
            for each in items[1:]:
                item = common(item, each.kind)
            kind = Kind("a list", item)
        code = f"[{', '.join(each.code for each in items)}]"
        return Part(kind, code, *_inherited(items))

    def _map(self, node: nodes.MapOf) -> Part:
        self._few(node.at, len(node.entries))
        parts: list[Part] = []
        keys: set[str] = set()
        for key, value in node.entries:
            if not isinstance(key, nodes.Literal) or not isinstance(key.value, str):
                raise Unreadable(key.at, "the keys of a table are texts, written out")
            parts += (self.part(key), self.part(value))
            if parts[-2].code in keys:
                raise Unreadable(key.at, "this key stands twice", "keep one of them")
            keys.add(parts[-2].code)
        pairs = zip(parts[::2], parts[1::2], strict=True)
        code = f"{{{', '.join(f'{key.code}: {value.code}' for key, value in pairs)}}}"
        return Part(MAP, code, *_inherited(parts))

    def _few(self, at: int, count: int) -> None:
        if count > MAX_ITEMS:
            what = f"more than {MAX_ITEMS} entries are written out here"
            raise Unreadable(at, what, "keep the list elsewhere: in a role, or with the resource")


def literal(node: nodes.Literal) -> Part:
    """A value, in the one spelling that the evaluator gets."""
    match node.value:
        case None:
            raise Unreadable(
                node.at,
                "nothing is null here: null attributes are left out",
                "write `has(…)` or `!has(…)`",
            )
        case bool(value):
            return Part(BOOLEAN, str(value).lower(), formula=value)
        case int(value):
            return Part(INT, f"({value})" if value < 0 else str(value))
        case float(value):
            return Part(DOUBLE, f"({value!r})" if math.copysign(1, value) < 0 else repr(value))
        case str(value):
            return Part(TEXT, written(value))


def written(text: str) -> str:
    """A text as the evaluator gets it: printable ASCII in double quotes, the rest escaped."""
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(character: str) -> str:
    code = ord(character)
    if character in '"\\' or not 0x20 <= code < 0x7F:
        return f"\\U{code:08x}"
    return character


def _formula(part: Part) -> Formula:
    return part.code if part.formula is None else part.formula


def _inherited(parts: list[Part]) -> tuple[bool, bool]:
    return any(part.reads for part in parts), any(part.made for part in parts)


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
