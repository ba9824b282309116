"""The paths and methods of each route of an app that are decided alike, as one: for reports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from authz_middleware.policy.binding import OTHER, Binding, Decided
from authz_middleware.policy.model import Requirement, is_public
from authz_middleware.policy.routes import Route
from authz_middleware.policy.rules import is_closed

__all__ = ["Alike", "State", "alike", "in_order"]

State: TypeAlias = Literal["open", "guarded", "closed", "uncovered", "ambiguous", "opaque"]


@dataclass(frozen=True, slots=True)
class Alike:
    """Paths of `route`, of which `path` is one; `whole` if for these methods all of it is so.

    `requirements` must all be met; None is a 400.
    """

    route: Route
    methods: tuple[str, ...]
    path: str
    whole: bool
    requirements: tuple[Requirement, ...] | None
    state: State

    @property
    def text(self) -> str:
        """The route as the app has it, behind its host if it is for one only."""
        return self.route.host + self.route.text


def alike(binding: Binding) -> Iterator[Alike]:
    """Yield what is decided alike, by route, in an order that is the same every time."""
    by_route: dict[int, list[Decided]] = {}
    for each in binding.decided:
        if each.expected:
            by_route.setdefault(id(each.route), []).append(each)
    found: list[Alike] = []
    for of_route in by_route.values():
        groups: dict[tuple[State, tuple[int, ...]], list[Decided]] = {}
        for each in of_route:
            asked = tuple(id(one.origin) for one in each.requirements or ())
            groups.setdefault((_state(binding, each), asked), []).append(each)
        found += (_one(few, state, of_route) for (state, _), few in groups.items())
    yield from sorted(
        found, key=lambda one: (one.route.text, one.route.host, one.methods, one.path)
    )


def in_order(methods: Iterable[str]) -> tuple[str, ...]:
    """Sort methods; what stands for the others comes last."""
    return tuple(sorted(methods, key=lambda name: (name == OTHER, name)))


def _one(few: list[Decided], state: State, of_route: list[Decided]) -> Alike:
    methods = {each.method for each in few}
    paths = {each.path for each in few}
    return Alike(
        few[0].route,
        in_order(methods),
        min(paths, key=lambda path: (len(path), path)),
        paths == {each.path for each in of_route if each.method in methods},
        few[0].requirements,
        state,
    )


def _state(binding: Binding, decided: Decided) -> State:
    requirements = decided.requirements
    if requirements is None:
        return "ambiguous"
    if decided.route.kind == "opaque":
        return "opaque"
    automatic = decided.method in decided.route.automatic
    if not binding.covers(decided) and not automatic:
        return "uncovered"
    if any(map(is_closed, requirements)):
        return "closed"
    return "open" if is_public(requirements) else "guarded"
