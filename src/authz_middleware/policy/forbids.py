"""`[forbid]` by path: every entry for a path, as the laxest reader of the path would see it.

They do not compete, as rules do: each that matches is asked. Letter case and compatibility forms
are ignored, and a typed parameter takes what some framework's converter would. An entry that
matches too much is a 403 too many; one that matches too little is a hole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from authz_middleware.policy.canonical import fold
from authz_middleware.policy.converters import loose, strict
from authz_middleware.policy.parameters import Parameters
from authz_middleware.policy.rules import Requirement
from authz_middleware.policy.segments import AnyOf, DoubleStar, Exact, PathTail, Segment
from authz_middleware.policy.template import Template
from authz_middleware.policy.tree import Node, grow

__all__ = ["Forbid", "Forbids", "step", "texts"]


class Forbid:
    """One entry: for which methods it holds (none: all of them), and for whom."""

    __slots__ = ("methods", "parameters", "requirement")

    def __init__(
        self, methods: Iterable[str], requirement: Requirement, template: Template
    ) -> None:
        listed = frozenset(methods)
        # As in a rule (RFC 9110 §9.3.2).
        self.methods: Final = listed | {"HEAD"} if "GET" in listed else listed
        self.requirement: Final = requirement
        self.parameters: Final = Parameters(template)


class Forbids:
    """All entries, compiled once; false if there are none."""

    __slots__ = ("everywhere", "methods", "requirements", "root", "templates")

    def __init__(self, entries: Iterable[tuple[Template, Forbid]] = ()) -> None:
        folded = tuple((_folded(template), forbid) for template, forbid in entries)
        self.templates: Final = tuple(template for template, _ in folded)
        self.requirements: Final = tuple(forbid.requirement for _, forbid in folded)
        self.methods: Final = frozenset(name for _, forbid in folded for name in forbid.methods)
        self.everywhere: Final = tuple(
            forbid.requirement for template, forbid in folded if _is_all(template, forbid)
        )
        """What is forbidden whatever the path and the method."""
        self.root: Final = grow(folded)

    def __bool__(self) -> bool:
        return bool(self.templates)

    def of(
        self, method: str, readings: Iterable[str], at: tuple[str, ...] | None = None
    ) -> list[Requirement]:
        """Return what is forbidden for `method` (as in a rule) at any of the readings.

        `at` is as in `Policy.find`.
        """
        found: dict[Forbid, list[str]] = {}
        for path in readings:
            for forbid in self._at(path):
                if not forbid.methods or method in forbid.methods:
                    found.setdefault(forbid, []).append(path)
        return [
            requirement
            for forbid, paths in found.items()
            for requirement in forbid.requirement.found_by(forbid.parameters, method, paths, at)
        ]

    def _at(self, path: str) -> Iterator[Forbid]:
        nodes = [self.root]
        for segment in path[1:].split("/") if path != "/" else ():
            for node in nodes:
                yield from (*node.tail, *node.below)
            nodes = [child for node in nodes for child in step(node, segment)]
        for node in nodes:
            yield from (*node.here, *node.tail, *node.below)


def step(node: Node[Forbid], segment: str) -> Iterator[Node[Forbid]]:
    """Yield every node that `segment` may lead to for some reader."""
    folded = fold(segment)
    if (literal := node.literals.get(folded)) is not None:
        yield literal
    yield from node.choices.get(folded, ())
    for kind, child in node.typed.items():
        if any(strict(kind, text) or loose(kind, text) for text in (segment, folded)):
            yield child
    if node.plain is not None:
        yield node.plain


def texts(node: Node[Forbid]) -> Iterator[str]:
    """Yield every text that leads further by itself."""
    yield from node.literals
    yield from node.choices


def _is_all(template: Template, forbid: Forbid) -> bool:
    match template.segments:
        case (DoubleStar() | PathTail(),):
            return not forbid.methods
        case _:
            return False


def _folded(template: Template) -> Template:
    return Template(template.text, tuple(map(_folded_segment, template.segments)))


def _folded_segment(segment: Segment) -> Segment:
    match segment:
        case Exact(text):
            return Exact(fold(text))
        case AnyOf(values, name):
            return AnyOf(tuple(dict.fromkeys(map(fold, values))), name)
        case _:
            return segment
