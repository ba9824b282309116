"""Templates as a tree of segments: templates that begin alike share the nodes they begin with.

Built once from the whole policy and never changed afterwards. Each node keeps its branches by
kind, so that a look-up costs the same under ten templates and under ten thousand.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, Literal, TypeAlias, TypeVar

from authz_middleware.policy.converters import Kind, loose, strict
from authz_middleware.policy.segments import AnyOf, Exact, PathTail, Plain, Typed
from authz_middleware.policy.template import Template

__all__ = ["Branch", "Ending", "Node", "grow"]

T = TypeVar("T")

Ending: TypeAlias = Literal["here", "tail", "below"]
"""How templates end: at a node, there or below it by a name, there or below it without one."""


class Node(Generic[T]):
    """What may follow the segments that lead here, and the values of templates that end here.

    `here`, `tail` and `below` hold the values of templates that end at this node, with a
    `<path:...>` and with a `**`: more than one in any of them is a tie.
    """

    __slots__ = ("below", "choices", "here", "literals", "plain", "tail", "typed")

    def __init__(self) -> None:
        self.literals: dict[str, Node[T]] = {}
        self.choices: dict[str, list[Node[T]]] = {}
        self.typed: dict[Kind, Node[T]] = {}
        self.plain: Node[T] | None = None
        self.here: list[T] = []
        self.tail: list[T] = []
        self.below: list[T] = []

    def typed_by(self, segment: str) -> Branch[T]:
        """Return the typed branches that take `segment` for certain, and those that may."""
        certain: list[Node[T]] = []
        possible: list[Node[T]] = []
        for kind, child in self.typed.items():
            if strict(kind, segment):
                certain.append(child)
            elif loose(kind, segment):
                possible.append(child)
        return certain, possible

    def branches(self, segment: str) -> tuple[Branch[T], Branch[T], Branch[T], Branch[T]]:
        """Return the branches that take `segment`, each kind at the index that is its rank."""
        literal = self.literals.get(segment)
        return (
            ([] if literal is None else [literal], []),
            (self.choices.get(segment, []), []),
            self.typed_by(segment),
            ([] if self.plain is None else [self.plain], []),
        )

    def ending(self, ending: Ending) -> list[T]:
        """Return the values of the templates that end here in this way."""
        return self.here if ending == "here" else self.tail if ending == "tail" else self.below


Branch: TypeAlias = tuple[list[Node[T]], list[Node[T]]]
"""Nodes that a segment leads to for certain, and nodes that it may lead to."""


def grow(entries: Iterable[tuple[Template, T]]) -> Node[T]:
    """Build the tree of `entries` and return its root."""
    root: Node[T] = Node()
    # An `any` is one branch that several texts lead to; two that share a text stay two branches.
    branches: dict[tuple[Node[T], tuple[str, ...]], Node[T]] = {}
    for template, value in entries:
        node = root
        ending = node.here
        for segment in template.segments:
            match segment:
                case Exact(text):
                    child = node.literals.get(text)
                    if child is None:
                        child = node.literals[text] = Node()
                    node = child
                case AnyOf(values):
                    known = branches.get((node, segment.shape))
                    if known is None:
                        known = branches[node, segment.shape] = Node()
                        for choice in values:
                            node.choices.setdefault(choice, []).append(known)
                    node = known
                case Typed(kind):
                    node = node.typed.setdefault(kind, Node())
                case Plain():
                    if node.plain is None:
                        node.plain = Node()
                    node = node.plain
                case PathTail():
                    ending = node.tail
                    break
                case _:  # `**`
                    ending = node.below
                    break
            ending = node.here
        ending.append(value)
    return root
