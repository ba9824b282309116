"""The syntax tree of a condition. `at` is the offset in its text that a message points to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal as Word

__all__ = [
    "Binary",
    "Call",
    "Index",
    "ListOf",
    "Literal",
    "Logic",
    "MapOf",
    "Name",
    "Node",
    "Select",
    "Ternary",
    "Unary",
]


@dataclass(frozen=True, slots=True)
class Node:
    """Any part of a condition."""

    at: int


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A value as written; None is `null`. `inside` is where a text without escapes begins."""

    value: bool | int | float | str | None
    inside: int | None = None


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A name that stands alone: a root, or the variable of a macro."""

    name: str


@dataclass(frozen=True, slots=True)
class Select(Node):
    """`target.field`; `at` is the field's place."""

    target: Node
    field: str


@dataclass(frozen=True, slots=True)
class Index(Node):
    """`target[index]`; `at` is the index's place."""

    target: Node
    index: Node


@dataclass(frozen=True, slots=True)
class Call(Node):
    """`name(arguments)` or, with a target, `target.name(arguments)`; macros too."""

    target: Node | None
    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """`!x` or `-x`."""

    operator: Word["!", "-"]
    operand: Node


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """A comparison, an `in` or arithmetic; `at` is the operator's place."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Logic(Node):
    """`a && b && …` or `a || b || …`: two parts or more. Their order does not matter in CEL."""

    operator: Word["&&", "||"]
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Ternary(Node):
    """`condition ? yes : no`."""

    condition: Node
    yes: Node
    no: Node


@dataclass(frozen=True, slots=True)
class ListOf(Node):
    """`[a, b]`."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class MapOf(Node):
    """`{a: b}`."""

    entries: tuple[tuple[Node, Node], ...]
