"""What is wrong with templates that stand beside each other: ties, and rules never reached.

Both questions are answered on the tree of all templates, with real paths as evidence, so that
unrelated templates are never compared and every finding can show a path that proves it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count, product
from typing import Literal, TypeAlias, TypeVar

from authz_middleware.policy.converters import Kind
from authz_middleware.policy.segments import (
    AnyOf,
    DoubleStar,
    Exact,
    PathTail,
    Segment,
    Typed,
)
from authz_middleware.policy.template import Template
from authz_middleware.policy.tree import Ending, Node, grow

__all__ = ["Conflict", "ConflictKind", "Fresh", "conflicts"]

T = TypeVar("T")
ConflictKind: TypeAlias = Literal["tie", "unreachable"]


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two templates that cannot both stand, and a path that shows it.

    `tie`: equal rank, and both match `example`. `unreachable`: every path of `template`, such as
    `example`, is decided by more specific templates, of which `other` is one.
    """

    kind: ConflictKind
    template: Template
    other: Template
    example: str


def conflicts(templates: Iterable[Template]) -> list[Conflict]:
    """Return every conflict among `templates`, whatever their order.

    The same template twice is a tie with itself: give each template once.
    """
    ordered = sorted(templates, key=lambda each: (each.rank, each.text))
    root = grow((template, template) for template in ordered)
    fresh = Fresh(ordered)
    found: list[Conflict] = []
    for path, first, second in _ties(root, fresh):
        one, other = (first, second) if first.text <= second.text else (second, first)
        found.append(Conflict("tie", one, other, "/" + "/".join(path)))
    for template in ordered:
        if any(template.rank):  # nothing is more specific than literals alone
            taken = _taken(template, root, fresh)
            if taken is not None:
                path, other = taken
                found.append(Conflict("unreachable", template, other, "/" + "/".join(path)))
    return sorted(found, key=lambda each: (each.template.text, each.other.text))


_ENDINGS: tuple[Ending, ...] = ("here", "tail", "below")


class Fresh:
    """Segments that no literal and no `any` of these templates names.

    What such a segment takes is all that takes every segment of its kind, so one of them stands
    for the whole kind.
    """

    def __init__(self, templates: Iterable[Template]) -> None:
        named: set[str] = set()
        for template in templates:
            for segment in template.segments:
                if isinstance(segment, Exact):
                    named.add(segment.text)
                elif isinstance(segment, AnyOf):
                    named.update(segment.values)

        def unnamed(form: str) -> str:
            return next(text for n in count(1) if (text := form.format(n)) not in named)

        self.plain = unnamed("x{}")
        # 1.5 is no integer, so it leads through `float` alone, where 1 leads through `int` too.
        self.typed: dict[Kind, str] = {
            "int": unnamed("{}"),
            "float": unnamed("{}.5"),
            "uuid": unnamed("{:08x}-0000-4000-8000-000000000000"),
        }


# --- Ties: pairs of branches of equal rank that one path can take together ---


def _ties(
    root: Node[Template], fresh: Fresh
) -> Iterator[tuple[tuple[str, ...], Template, Template]]:
    """Yield a path and two templates of equal rank that both match it."""
    pending: list[tuple[Node[Template], Node[Template], tuple[str, ...]]] = [(root, root, ())]
    while pending:
        left, right, path = pending.pop()
        for ending in _ENDINGS:
            ours, theirs = left.ending(ending), right.ending(ending)
            if left is right:  # templates of one shape: each against the first
                yield from ((path, ours[0], other) for other in ours[1:])
            elif ours and theirs:
                yield path, ours[0], theirs[0]
        pending.extend(
            (first, second, (*path, text)) for first, second, text in _together(left, right, fresh)
        )


def _together(
    left: Node[T], right: Node[T], fresh: Fresh
) -> Iterator[tuple[Node[T], Node[T], str]]:
    """Yield each pair of branches of equal rank, one of each node, that one segment can take."""
    if left is right and not left.choices and len(left.typed) <= 1:
        # Nearly every node: no two of its branches have one rank, so each is paired with itself.
        yield from ((child, child, text) for text, child in left.literals.items())
        yield from ((child, child, fresh.typed[kind]) for kind, child in left.typed.items())
        if left.plain is not None:
            yield left.plain, left.plain, fresh.plain
        return
    named = {*(left.literals.keys() & right.literals), *(left.choices.keys() & right.choices)}
    seen: set[frozenset[Node[T]]] = set()
    for text in (fresh.plain, *fresh.typed.values(), *sorted(named)):
        for ours, theirs in zip(left.branches(text), right.branches(text), strict=True):
            # What one takes for certain and the other may take is a tie too: `1` for a float.
            for first, second in (*product(ours[0], chain(*theirs)), *product(ours[1], theirs[0])):
                pair = frozenset((first, second))
                if pair not in seen:
                    seen.add(pair)
                    yield first, second, text


# --- Templates never reached: each of their paths is taken by a smaller rank ---


def _taken(
    template: Template, root: Node[Template], fresh: Fresh
) -> tuple[tuple[str, ...], Template] | None:
    """Return one path of `template` and what decides it, if none of its paths is left to it."""
    return _taken_from(template.segments, (), [root], [], fresh)


def _taken_from(
    segments: Sequence[Segment],
    path: tuple[str, ...],
    level: Sequence[Node[Template]],
    ahead: Sequence[Node[Template]],
    fresh: Fresh,
) -> tuple[tuple[str, ...], Template] | None:
    """The same below `path`, to which nodes of equal rank lead, and nodes already `ahead`."""
    for node in ahead:
        for other in (*node.tail, *node.below):  # takes this path and all below it
            rest = (
                _witnesses(each, fresh)[0]
                for each in segments[len(path) :]
                if each.rank < PathTail.rank
            )
            return (*path, *rest), other
    if len(path) == len(segments):
        return next(((path, other) for node in ahead for other in node.here), None)
    segment = segments[len(path)]
    if isinstance(segment, PathTail | DoubleStar):
        return _tail_taken(segment, path, level, ahead, fresh)
    taken: tuple[tuple[str, ...], Template] | None = None
    seen: set[tuple[frozenset[Node[Template]], frozenset[Node[Template]]]] = set()
    for text in _witnesses(segment, fresh):
        next_level, next_ahead = _step(segment.rank, text, level, ahead)
        state = frozenset(next_level), frozenset(next_ahead)
        if state not in seen:
            seen.add(state)
            found = _taken_from(segments, (*path, text), next_level, next_ahead, fresh)
            if found is None:
                return None
            taken = taken or found
    return taken


def _witnesses(segment: Segment, fresh: Fresh) -> tuple[str, ...]:
    """Return texts of which one is left to `segment`, if any that it takes is."""
    match segment:
        case Exact(text):
            return (text,)
        case AnyOf(values):
            return values
        case Typed(kind):
            return (fresh.typed[kind],)
        case _:
            return (fresh.plain,)


def _step(
    rank: int, text: str, level: Sequence[Node[T]], ahead: Sequence[Node[T]]
) -> tuple[list[Node[T]], list[Node[T]]]:
    """Follow `text` to the nodes of equal rank, and to those that are or get ahead.

    A branch that may take the segment counts: its ambiguity, too, keeps the path from others.
    """
    next_level: list[Node[T]] = []
    next_ahead: list[Node[T]] = []
    for node in level:
        branches = node.branches(text)
        next_level += branches[rank][0]
        next_ahead += [child for pair in branches[:rank] for few in pair for child in few]
    for node in ahead:
        next_ahead += [child for pair in node.branches(text) for few in pair for child in few]
    return next_level, next_ahead


def _tail_taken(
    segment: PathTail | DoubleStar,
    path: tuple[str, ...],
    level: Sequence[Node[Template]],
    ahead: Sequence[Node[Template]],
    fresh: Fresh,
) -> tuple[tuple[str, ...], Template] | None:
    """The same for a tail: the path that ends here, and one more segment each time."""
    if isinstance(segment, DoubleStar):
        for node in level:
            for other in node.tail:
                return path, other
    taken: tuple[tuple[str, ...], Template] | None = None
    nodes = [*level, *ahead]  # a path that ends here is more specific than any tail
    while True:
        ending = [other for node in nodes for other in node.here]
        if not ending:
            return None
        taken = taken or (path, ending[0])
        _, nodes = _step(0, fresh.plain, [], nodes)
        if any(node.tail or node.below for node in nodes):
            return taken
