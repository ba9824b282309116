"""The tree of a condition, checked: kinds, names and bounds, and the text for the evaluator.

Each part is visited once, which gives both what is known of it and its text. The text has our own
names, every bracket and one spelling of each value: the evaluator sees no character that was not
understood here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from authz_middleware.policy.conditions import attributes, nodes, operators
from authz_middleware.policy.conditions.attributes import Path, Step
from authz_middleware.policy.conditions.calls import call
from authz_middleware.policy.conditions.faults import Mistakes, Unreadable, nearest
from authz_middleware.policy.conditions.kinds import (
    ANY,
    BOOLEAN,
    INT,
    LIST,
    MAP,
    TEXT,
    Kind,
    common,
)
from authz_middleware.policy.conditions.parts import Part, Slot, inherited, literal, no_attribute

__all__ = ["MAX_ITEMS", "Checker"]

MAX_ITEMS = 200
"""Entries of a list or a table that is written out in a condition."""


@dataclass(slots=True)
class Checker:
    """One condition being checked. `params` are those of the path, None if they are not known."""

    params: Mapping[str, Kind] | None
    mistakes: Mistakes = field(default_factory=Mistakes)
    slots: dict[Slot, str] = field(default_factory=dict[Slot, str])
    places: dict[Path, int] = field(default_factory=dict[Path, int])  # where each is read first
    looped: set[Slot] = field(default_factory=set[Slot])  # read inside a macro
    functions: set[str] = field(default_factory=set[str])
    fields: set[str] = field(default_factory=set[str])  # attributes of a macro's variable
    variables: dict[str, Part] = field(default_factory=dict[str, Part])
    named: set[str] = field(default_factory=set[str])  # variables that were read
    nesting: int = 0  # of macros, here
    ranges: int = 0  # how many lists that macros go over this stands in
    deepest: int = 0
    copies: bool = False  # whether a macro makes a list
    patterns: bool = False  # whether a macro asks `matches`

    def condition(self, node: nodes.Node) -> Part:
        """Check the whole condition."""
        part = self.boolean(node, "a condition")
        if self.mistakes.found:
            return part
        if not self.slots:
            self.mistakes.add(node.at, *operators.READS_NOTHING)
        else:
            operators.decided(self, node.at, part, "this condition")
        return part

    def part(self, node: nodes.Node) -> Part:
        """Check one part; a mistake in it is noted, and then it is of any kind."""
        try:
            return self._part(node)
        except Unreadable as error:
            mistake = error.mistake
            self.mistakes.add(mistake.at, mistake.what, mistake.fix)
            return Part(ANY, f"e{mistake.at}", reads=True)

    def boolean(self, node: nodes.Node, what: str) -> Part:
        """Check a part that has to be true or false."""
        part = self.part(node)
        if part.kind not in (ANY, BOOLEAN):
            what = f"{what} is true or false, but this is {part.kind}"
            self.mistakes.add(node.at, what, "write a comparison, such as `x == …`")
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
                return None if below is None else (*below, (name, at))
            case _:
                return None

    def attribute(self, steps: tuple[Step, ...], *, presence: bool = False) -> Part:
        """An attribute outside the condition, or whether it is there."""
        kind = attributes.kind_of(steps, self.params)
        slot = Slot(tuple(name for name, _ in steps), presence)
        self.places.setdefault(slot.path, steps[0][1])
        return Part(BOOLEAN if presence else kind, self.variable(slot), reads=True)

    def _part(self, node: nodes.Node) -> Part:
        if (steps := self.steps(node)) is not None:
            return self.attribute(steps)
        return _RULES[type(node)](self, node)

    def name(self, node: nodes.Name) -> Part:
        """A variable of a macro; every other name stood at the start of an attribute."""
        part = self.variables.get(node.name)
        self.named.add(node.name)
        if part is None:
            known = (*attributes.ROOTS, *self.variables)
            raise Unreadable(node.at, f"`{node.name}` is not known here", nearest(node.name, known))
        return part

    def select(self, node: nodes.Select) -> Part:
        """An attribute of what is inside the condition."""
        target = self.part(node.target)
        if target.kind not in (ANY, MAP):
            raise Unreadable(node.at, *no_attribute(target.kind, node.field))
        self.fields.add(node.field)
        return target._replace(kind=ANY, code=f'{target.code}["{node.field}"]', formula=None)

    def index(self, node: nodes.Index) -> Part:
        """An entry of a list or of a table."""
        target, index = self.part(node.target), self.part(node.index)
        by_name = target.kind is MAP
        if target.kind is not ANY and not by_name and target.kind.item is None:
            raise Unreadable(node.at, f"{target.kind} has no entries", "leave `[…]` out")
        wanted = TEXT if by_name else INT
        if target.kind is not ANY and index.kind not in (ANY, wanted):
            what = f"an entry of {target.kind} is named by {wanted}, not {index.kind}"
            raise Unreadable(node.at, what, 'write `x["name"]`' if by_name else "write `x[0]`")
        return Part(
            target.kind.item or ANY,
            f"{target.code}[{index.code}]",
            target.reads or index.reads,
            target.made,
        )

    def list(self, node: nodes.ListOf) -> Part:
        """A list that is written out."""
        items = [self.part(each) for each in node.items]
        self._few(node.at, len(items))
        kind = LIST
        if items:
            item = items[0].kind
            for each in items[1:]:
                item = common(item, each.kind)
            kind = Kind("a list", item)
        code = f"[{', '.join(each.code for each in items)}]"
        return Part(kind, code, *inherited(items))

    def map(self, node: nodes.MapOf) -> Part:
        """A table that is written out."""
        self._few(node.at, len(node.entries))
        parts: list[Part] = []
        keys: set[str] = set()
        for key, value in node.entries:
            if not isinstance(key, nodes.Literal) or not isinstance(key.value, str):
                what = "the keys of a table are texts, written out"
                raise Unreadable(key.at, what, 'write `{"name": …}`')
            parts += (self.part(key), self.part(value))
            if parts[-2].code in keys:
                raise Unreadable(key.at, "this key stands twice", "keep one of them")
            keys.add(parts[-2].code)
        pairs = zip(parts[::2], parts[1::2], strict=True)
        code = f"{{{', '.join(f'{key.code}: {value.code}' for key, value in pairs)}}}"
        return Part(MAP, code, *inherited(parts))

    def _few(self, at: int, count: int) -> None:
        if count > MAX_ITEMS:
            what = f"more than {MAX_ITEMS} entries are written out here"
            raise Unreadable(at, what, "keep the list elsewhere: in a role, or with the resource")


_RULES: Mapping[type[nodes.Node], Callable[[Checker, Any], Part]] = {
    nodes.Binary: operators.binary,
    nodes.Call: call,
    nodes.Index: Checker.index,
    nodes.ListOf: Checker.list,
    nodes.Literal: lambda _, node: literal(node),
    nodes.Logic: operators.logic,
    nodes.MapOf: Checker.map,
    nodes.Name: Checker.name,
    nodes.Select: Checker.select,
    nodes.Ternary: operators.ternary,
    nodes.Unary: operators.unary,
}
