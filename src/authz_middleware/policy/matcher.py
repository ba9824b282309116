"""Find the one most specific template for a canonical path.

Branches are tried from the most specific kind to the least, and a branch that leads nowhere is
left for the next kind. Branches of equal rank (two `any`, `int` beside `float`) go on together,
because a later segment decides between them. The work of one request is bounded by the nodes that
its segments can reach, each visited once, and the recursion by the depth of the deepest template.

A segment that a typed template refuses but some framework's converter would take goes on as if it
were taken; if it then belongs to the most specific match, the path is ambiguous. So `/users/+1`
never falls from `/users/<int:id>` to `/users/<name>`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Final, Generic, NamedTuple, TypeVar

from authz_middleware.policy.segments import Exact, PathTail, Plain
from authz_middleware.policy.template import Template
from authz_middleware.policy.tree import Ending, Node, grow

__all__ = ["AMBIGUOUS", "Ambiguous", "Match", "Matcher"]

T = TypeVar("T")


class Ambiguous(Enum):
    """The type of `AMBIGUOUS`."""

    AMBIGUOUS = "ambiguous"


AMBIGUOUS: Final = Ambiguous.AMBIGUOUS
"""No single template decides: typed segments read differently elsewhere, or a tie."""


class Match(NamedTuple, Generic[T]):
    """The value of the most specific template, and the raw text of its parameters."""

    value: T
    params: dict[str, str]


class _Leaf(NamedTuple, Generic[T]):
    """A template's value, and where in the path its parameters stand."""

    value: T
    params: tuple[tuple[str, int], ...]
    tail: tuple[str, int] | None


class Matcher(Generic[T]):
    """Templates and their values, compiled once; safe to share between threads.

    The order of the entries does not matter. Ties among them, which `overlap.conflicts` finds,
    match as ambiguous.
    """

    __slots__ = ("_fixed", "_root")

    def __init__(self, entries: Iterable[tuple[Template, T]]) -> None:
        self._fixed: dict[str, list[T]] = {}
        branching: list[tuple[Template, _Leaf[T]]] = []
        for template, value in entries:
            texts = [part.text for part in template.segments if isinstance(part, Exact)]
            if len(texts) == len(template.segments):
                # Literals alone outrank every other template that matches their path.
                self._fixed.setdefault("/" + "/".join(texts), []).append(value)
            else:
                branching.append((template, _leaf(template, value)))
        self._root = grow(branching)

    def match(self, path: str) -> Match[T] | Ambiguous | None:
        """Return what the most specific template for `path` says; `path` is canonical."""
        fixed = self._fixed.get(path)
        if fixed is not None:
            return Match(fixed[0], {}) if len(fixed) == 1 else AMBIGUOUS
        segments = path[1:].split("/") if path != "/" else []
        found = _from(self._root, segments, 0)
        if found is None or found is AMBIGUOUS:
            return found
        params = {name: segments[place] for name, place in found.params}
        if found.tail is not None:
            name, place = found.tail
            params[name] = "/".join(segments[place:])
        return Match(found.value, params)


def _leaf(template: Template, value: T) -> _Leaf[T]:
    places = [
        (segment.name, place)
        for place, segment in enumerate(template.segments)
        if segment.name is not None
    ]
    if template.segments and isinstance(template.segments[-1], PathTail):
        *places, tail = places
        return _Leaf(value, tuple(places), tail)
    return _Leaf(value, tuple(places), None)


def _from(node: Node[_Leaf[T]], segments: list[str], place: int) -> _Leaf[T] | Ambiguous | None:
    """Search below the one `node` that the segments before `place` lead to."""
    if place == len(segments):
        return _only(node.here or node.tail or node.below)
    segment = segments[place]
    child = node.literals.get(segment)
    if child is not None:
        found = _from(child, segments, place + 1)
        if found is not None:
            return found
    if node.choices:
        children = node.choices.get(segment)
        if children is not None:
            found = _from_all(children, [], segments, place + 1)
            if found is not None:
                return found
    if node.typed:
        certain, possible = node.typed_by(segment)
        if len(certain) == 1 and not possible:
            found = _from(certain[0], segments, place + 1)
        else:
            found = _from_all(certain, possible, segments, place + 1)
        if found is not None:
            return found
    if node.plain is not None:
        found = _from(node.plain, segments, place + 1)
        if found is not None:
            return found
    return _only(node.tail or node.below)


def _from_all(
    certain: Sequence[Node[_Leaf[T]]],
    possible: Sequence[Node[_Leaf[T]]],
    segments: list[str],
    place: int,
) -> _Leaf[T] | Ambiguous | None:
    """Search below nodes of equal rank at once; `possible` ones took a doubtful segment."""
    if not certain and not possible:
        return None
    if place == len(segments):
        found = _decide(certain, possible, "here")
        if found is not None:
            return found
    else:
        segment = segments[place]
        taken = [node.branches(segment) for node in certain]
        doubted = [node.branches(segment) for node in possible]
        for rank in range(Plain.rank + 1):
            sure = [child for branches in taken for child in branches[rank][0]]
            doubtful = [child for branches in taken for child in branches[rank][1]]
            doubtful += [child for branches in doubted for few in branches[rank] for child in few]
            found = _from_all(sure, doubtful, segments, place + 1)
            if found is not None:
                return found
    return _decide(certain, possible, "tail") or _decide(certain, possible, "below")


def _decide(
    certain: Sequence[Node[_Leaf[T]]],
    possible: Sequence[Node[_Leaf[T]]],
    ending: Ending,
) -> _Leaf[T] | Ambiguous | None:
    """Return the one template that ends so, None without any, and AMBIGUOUS on any doubt."""
    if any(node.ending(ending) for node in possible):
        return AMBIGUOUS
    return _only([leaf for node in certain for leaf in node.ending(ending)])


def _only(leaves: Sequence[_Leaf[T]]) -> _Leaf[T] | Ambiguous | None:
    if not leaves:
        return None
    return leaves[0] if len(leaves) == 1 else AMBIGUOUS
