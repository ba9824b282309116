"""Which requirements decide a route of the app, for all the paths that the route takes.

A route's template may be wider or narrower than the rules: `/files/{name}` takes what
`/files/public` decides, and more. So the policy itself is asked, for paths that stand for all the
others: of each kind of segment one that no rule names, and each text that some rule does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from authz_middleware.policy import forbids
from authz_middleware.policy.canonical import readings
from authz_middleware.policy.converters import Kind, loose, strict
from authz_middleware.policy.forbids import Forbid
from authz_middleware.policy.model import Policy, Requirement
from authz_middleware.policy.overlap import Fresh
from authz_middleware.policy.routekey import request_method
from authz_middleware.policy.segments import AnyOf, DoubleStar, Exact, PathTail, Segment, Typed
from authz_middleware.policy.template import Template
from authz_middleware.policy.tree import Node, grow

__all__ = ["Loosely", "Reach"]

_Nodes = frozenset[Node[Template]]
_Forbidding = frozenset[Node[Forbid]]


class Loosely(NamedTuple):
    """A segment of the app's own: what some converter of that kind takes, not only every one."""

    kind: Kind

    def takes(self, text: str) -> bool:
        """Say whether `text` may run the handler."""
        return strict(self.kind, text) or loose(self.kind, text)


class _Step(NamedTuple):
    """How far a path has come: what still may match it, and the tails that it has passed.

    Which rule decides a path, and what is forbidden there, hangs on nothing else, so paths with
    equal steps are one.
    """

    place: int  # in the route's segments
    certain: _Nodes
    possible: _Nodes
    passed: _Nodes
    doubted: _Nodes
    forbidding: _Forbidding
    forbidden: _Forbidding  # the tails among those that it has passed


class Reach:
    """A policy, ready to be asked about routes.

    `named` are templates of the app whose texts a path that stands for others must not hold by
    chance. `beside` are such that it must be told apart by, as by the policy's own.
    """

    def __init__(
        self,
        policy: Policy,
        named: Iterable[Template] = (),
        *,
        beside: Iterable[Template] = (),
    ) -> None:
        self._policy = policy
        known = (*policy.templates, *beside)
        self._root = grow((template, template) for template in known)
        self._fresh = Fresh((*known, *policy.forbids.templates, *named))

    def deciding(self, method: str, path: str, root_path: str = "") -> tuple[Requirement, ...]:
        """Return what a request must meet, all of it; () if it is answered 400."""
        asked = request_method("http", method)
        paths = readings(path, root_path)
        if asked is None or not paths:
            return ()
        return self._policy.find(asked, paths) or ()

    def typical(self, route: Sequence[Segment | Loosely]) -> str:
        """Return a path of `route` that no text in a template singles out."""
        texts = [self._unnamed(segment) for segment in route]
        return "/" + "/".join(texts)

    def _unnamed(self, segment: Segment | Loosely) -> str:
        match segment:
            case Exact(text):
                return text
            case AnyOf(values):
                return values[0]
            case Typed(kind) | Loosely(kind):
                return self._fresh.typed[kind]
            case _:
                return self._fresh.plain

    def paths(self, route: Sequence[Segment | Loosely]) -> Iterator[str]:
        """Yield paths of `route` of which one is decided as any of its paths is."""
        none = frozenset[Node[Template]]()
        forbidding = frozenset((self._policy.forbids.root,))
        start = _Step(0, frozenset((self._root,)), none, none, none, forbidding, frozenset())
        pending: list[tuple[_Step, tuple[str, ...]]] = [(start, ())]
        seen: set[_Step] = set()
        while pending:
            step, texts = pending.pop()
            if step in seen:
                continue
            seen.add(step)
            if step.place == len(route):
                yield "/" + "/".join(texts)
                continue
            segment = route[step.place]
            onward = step.place + 1
            if isinstance(segment, PathTail | DoubleStar):
                pending.append((step._replace(place=onward), texts))
                onward = step.place  # it takes any number of segments
            pending.extend(
                (_taken(step, text, onward), (*texts, text)) for text in self._texts(segment, step)
            )

    def _texts(self, segment: Segment | Loosely, step: _Step) -> Iterator[str]:
        """Yield texts that `segment` takes, of which each other one is decided alike."""
        if isinstance(segment, Exact):
            yield segment.text
        elif isinstance(segment, AnyOf):
            yield from segment.values
        else:
            named = {
                text
                for node in step.certain | step.possible
                for text in (*node.literals, *node.choices)
            }
            named.update(*map(forbids.texts, step.forbidding))
            if isinstance(segment, Typed):
                yield self._fresh.typed[segment.kind]
                yield from sorted(text for text in named if strict(segment.kind, text))
            elif isinstance(segment, Loosely):
                yield from filter(segment.takes, (*self._fresh.typed.values(), *sorted(named)))
            else:
                yield self._fresh.plain
                yield from self._fresh.typed.values()
                yield from sorted(named)


def _taken(step: _Step, text: str, onward: int) -> _Step:
    certain: set[Node[Template]] = set()
    possible: set[Node[Template]] = set()
    for node in step.certain:
        for sure, doubtful in node.branches(text):
            certain.update(sure)
            possible.update(doubtful)
    for node in step.possible:
        for pair in node.branches(text):
            possible.update(*pair)
    return _Step(
        onward,
        frozenset(certain),
        frozenset(possible),
        step.passed | _tails(step.certain),
        step.doubted | _tails(step.possible),
        frozenset(child for node in step.forbidding for child in forbids.step(node, text)),
        step.forbidden | {node for node in step.forbidding if node.tail or node.below},
    )


def _tails(nodes: _Nodes) -> _Nodes:
    return frozenset(node for node in nodes if node.tail or node.below)
