"""A policy laid against the routes of an app: which rule decides each, and where they miss.

A request must meet the rule of its path. What it must meet beside that hangs on the route that the
app's router takes. Where the router takes the route that the policy would call the most specific,
that is nothing: the rule of the path was written for it. Where it takes another, such as the first
that was declared, it is what the policy asks of that route's own paths.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from authz_middleware.policy.model import Policy, Requirement
from authz_middleware.policy.needs import Load, Pdp, When, walk
from authz_middleware.policy.parameters import Params
from authz_middleware.policy.reach import Loosely, Reach
from authz_middleware.policy.routes import Route, RouteTable, Taken
from authz_middleware.policy.segments import Plain, Segment, Typed
from authz_middleware.policy.tree import Node, grow
from authz_middleware.policy.when import Applied

__all__ = ["OTHER", "Binding", "Decided", "Gap", "GapKind", "bind", "methods_shown"]

OTHER = "*"
"""Stands for every method that neither the app nor the policy names."""


def methods_shown(methods: Sequence[str]) -> str:
    """Return methods as a key of a policy has them; "others" are those that nobody names."""
    # GET covers HEAD.
    named = [name for name in methods if name != "HEAD" or "GET" not in methods]
    return "|".join("others" if name == OTHER else name for name in named)


GapKind: TypeAlias = Literal[
    "uncovered", "partly-covered", "unreachable", "dead", "opaque", "unconverted"
]


@dataclass(frozen=True, slots=True)
class Decided:
    """What decides the paths of `route`, of which `path` is one, when `method` is asked for.

    `requirements` must all be met; None is a 400. `expected`: no other route is more specific
    for that path, so the router should take this one.
    """

    route: Route
    method: str
    path: str
    requirements: tuple[Requirement, ...] | None
    expected: bool


@dataclass(frozen=True, slots=True)
class Gap:
    """One place where policy and app miss each other: where it is, and what is wrong there."""

    kind: GapKind
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class Binding:
    """What `bind` found; made once, safe to share."""

    __slots__ = ("_accepted", "_opaque", "_policy", "_typical", "decided", "gaps", "table")

    def __init__(
        self,
        policy: Policy,
        table: RouteTable,
        decided: tuple[Decided, ...],
        typical: dict[Taken, str],
    ) -> None:
        self._policy = policy
        self._typical = typical  # of each route, a path that no text of the policy singles out
        self.table = table
        self.decided = decided
        self.gaps = tuple(_gaps(policy, table, decided))
        # By method as well: where another route is the more specific for one of them alone, the
        # rule of that path may be the same for all.
        accepted: dict[Taken, dict[str, set[int]]] = {route.taken: {} for route in table.routes}
        for each in decided:
            by_method = accepted[each.route.taken].setdefault(each.method, set())
            if each.expected:
                # What is forbidden may be so everywhere: it tells nothing of the route.
                rules = (one for one in each.requirements or () if one.kind != "forbid")
                by_method.update(id(one.origin) for one in rules)
        self._accepted = accepted
        opaque = [route for route in table.routes if route.kind == "opaque"]
        self._opaque = grow((route.template, route) for route in opaque)

    def covers(self, decided: Decided) -> bool:
        """Whether some key of the policy was written for it, or it is a 400 anyway."""
        return _is_ruled(self._policy, decided)

    def knows(self, taken: Taken, path: str, *, late: bool = False) -> bool:
        """Whether the route was there when the policy was bound, or may be where nobody sees.

        One that its own app calls `late` is no part of what cannot be seen.
        """
        return taken in self._accepted or (not late and any(_matching(self._opaque, path)))

    def also(
        self,
        taken: Taken,
        method: str,
        path: str,
        requirements: Iterable[Requirement],
        readings: tuple[str, ...] = (),
        *,
        late: bool = False,
    ) -> tuple[Requirement, ...] | None:
        """Return what a request must meet that takes this route, beside `requirements`.

        Those are what its path asks; `readings` are its canonical paths, for conditions that read
        their parameters. A route that nobody knew at the start has no rule, so the
        policy's `default` decides it too; but not where routes cannot be seen. None is a 400.
        """
        if taken not in self._accepted:
            return () if self.knows(taken, path, late=late) else (self._policy.default,)
        if self.expects(taken, method, requirements):
            return ()
        return self._policy.find(method, (self._typical[taken],), at=readings)

    def params(
        self,
        taken: Taken,
        method: str,
        requirements: Iterable[Requirement],
        readings: tuple[str, ...],
    ) -> list[Params | None]:
        """Return the parameters that what `also` returns is told of; none if that is nothing."""
        if taken not in self._accepted or self.expects(taken, method, requirements):
            return []
        return self._policy.params((self._typical[taken],), at=readings)

    def expects(self, taken: Taken, method: str, requirements: Iterable[Requirement]) -> bool:
        """Whether `requirements`, which a path asks, were written for this route.

        Then nothing more is asked of who takes it.
        """
        by_method = self._accepted.get(taken)
        if by_method is None:
            return False
        accepted = by_method.get(method)
        if accepted is None:
            accepted = by_method.get(_served_as(method, by_method), set())
        for one in requirements:  # noqa: SIM110 - each request comes through here
            if id(one.origin) in accepted:
                return True
        return False

    def instead(self, taken: Taken, method: str) -> tuple[str, ...]:
        """Return what the route serves if `method` is nothing of that, else nothing.

        Its handler was written for these. So has a handshake that was led to a view for HTTP, or a
        method that was changed behind the router, to be allowed as each of them.
        """
        by_method = self._accepted.get(taken)
        if by_method is None or _served_as(method, by_method) in by_method:
            return ()
        return tuple(sorted(by_method))


def bind(policy: Policy, table: RouteTable) -> Binding:
    """Lay `policy` against the routes of `table`."""
    templates = [route.template for route in table.routes]
    reach = Reach(policy, beside=templates)
    root = grow((route.template, route) for route in table.routes)
    named = {method for route in table.routes for method in route.methods or ()}
    named.update(policy.methods, (OTHER,))
    decided: list[Decided] = []
    typical: dict[Taken, str] = {}
    for route in table.routes:
        shape = [_loosely(segment) for segment in route.segments]
        typical[route.taken] = reach.typical(shape)
        for path in reach.paths(shape):
            rivals = [each for each in _matching(root, path) if _before(each, route)]
            decided.extend(
                Decided(
                    route,
                    method,
                    path,
                    policy.find(method, (path,)),
                    expected=not any(each.serves(method) for each in rivals),
                )
                for method in sorted(route.methods or named)
            )
    return Binding(policy, table, tuple(decided), typical)


def _served_as(method: str, served: Container[str]) -> str:
    """Return which of the methods that a route serves `method` counts as; OTHER if none."""
    # GET covers HEAD, of a view that takes whatever is asked too.
    asked = "GET" if method == "HEAD" and method not in served else method
    return asked if asked in served else OTHER


def _loosely(segment: Segment) -> Segment | Loosely:
    return Loosely(segment.kind) if isinstance(segment, Typed) else segment


def _before(one: Route, other: Route) -> bool:
    """Whether `one` is the more specific; what is for one host only competes with nobody."""
    return not one.host and one.template.rank < other.template.rank


def _matching(root: Node[Route], path: str) -> Iterator[Route]:
    """Yield the routes that may take `path`."""
    nodes = [root]
    for segment in path.strip("/").split("/") if path != "/" else ():
        for node in nodes:
            yield from (*node.tail, *node.below)
        nodes = [
            child
            for node in nodes
            for branch in node.branches(segment)
            for few in branch
            for child in few
        ]
    for node in nodes:
        yield from (*node.here, *node.tail, *node.below)


# --- Gaps ---


def _gaps(policy: Policy, table: RouteTable, decided: tuple[Decided, ...]) -> Iterator[Gap]:
    for name in table.between:
        yield Gap("opaque", name, "what it answers by itself, or changes, cannot be seen")
    for route in table.routes:
        if route.kind == "opaque":
            yield Gap("opaque", f"{route.text} ({route.endpoint})", "its routes cannot be seen")
    yield from _uncovered(policy, decided)
    yield from _unconverted(policy, decided)
    reached = {id(each.origin) for found in decided for each in found.requirements or ()}
    for requirement in policy.requirements:
        if requirement.kind != "deny" and id(requirement) not in reached:
            yield Gap("dead", requirement.ref.where, f"`{requirement.ref.key}` matches no route")


def _uncovered(policy: Policy, decided: tuple[Decided, ...]) -> Iterator[Gap]:
    by_route: dict[Taken, dict[str, list[Decided]]] = {}
    for each in decided:
        # An opaque part is a gap as a whole; what the framework answers itself runs no handler.
        handled = each.route.kind != "opaque" and each.method not in each.route.automatic
        if each.expected and handled:
            methods = by_route.setdefault(each.route.taken, {})
            methods.setdefault(each.method, []).append(each)
    for methods in by_route.values():
        findings: dict[tuple[GapKind, str], list[str]] = {}
        for method, found in methods.items():
            if finding := _finding(policy, found):
                findings.setdefault(finding, []).append(method)
        route = next(iter(methods.values()))[0].route
        for (kind, what), missed in findings.items():
            asked = "|".join(missed) if len(missed) < len(methods) else ""
            yield Gap(kind, f"{asked} {route.text} ({route.endpoint})".lstrip(), what)


def _unconverted(policy: Policy, decided: tuple[Decided, ...]) -> Iterator[Gap]:
    """Yield where a text is compared that the app converts: `7` and `007` are one object to it.

    Not where another route takes the parameter as it is: then it is meant as a text.
    """
    templates = {
        id(one): template
        for template, rule in policy.rules
        for one in (*rule.by_method.values(), rule.otherwise)
    }
    forbids = policy.forbids
    templates.update(zip(map(id, forbids.requirements), forbids.templates, strict=True))
    found: dict[tuple[int, str], tuple[Requirement, set[str]]] = {}
    for each in decided:
        for origin in (one.origin for one in each.requirements or ()):
            template = templates.get(id(origin))
            for own, theirs in zip(
                template.segments if template else (), each.route.segments, strict=False
            ):
                if isinstance(own, Plain) and _reads(origin, own.name):
                    kind: str = theirs.kind if isinstance(theirs, Typed) else ""
                    found.setdefault((id(origin), own.name), (origin, set()))[1].add(kind)
    for (_, name), (origin, kinds) in found.items():
        if len(kinds) == 1 and (kind := min(kinds)):
            what = f"the app converts `<{name}>` of `{origin.ref.key}`; write `<{kind}:{name}>`"
            yield Gap("unconverted", origin.ref.where, what)


def _reads(requirement: Requirement, name: str) -> bool:
    """Whether something is asked about this parameter of the path."""
    leaves = walk(requirement.need) if requirement.need is not None else ()
    return any(
        isinstance(leaf, (Load, Pdp))
        or (
            isinstance(leaf, When)
            and isinstance(leaf.condition, Applied)
            and name in leaf.condition.condition.reads.params
        )
        for leaf in leaves
    )


def _finding(policy: Policy, found: list[Decided]) -> tuple[GapKind, str] | None:
    """What is wrong with the paths of one route, for one method."""
    if all(each.requirements is None for each in found):
        return "unreachable", "every request to it is answered 400"
    missed = [each.path for each in found if not _is_ruled(policy, each)]
    if len(missed) == len(found):
        return "uncovered", "no rule covers it"
    if missed:
        return "partly-covered", f"no rule covers a part of it, such as {min(missed, key=len)}"
    return None


def _is_ruled(policy: Policy, decided: Decided) -> bool:
    """Whether some key of the policy was written for it, or it is a 400 anyway.

    A view that takes whatever method is asked leaves the methods to the policy.
    """
    return decided.requirements is None or all(
        each is not policy.default
        and (each.refused_as != "method_not_listed" or decided.route.methods is None)
        for each in decided.requirements
    )
