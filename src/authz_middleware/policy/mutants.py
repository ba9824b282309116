"""Requirements with one thing less: if no test of the policy notices, nothing holds it in place.

Only what would let more in is tried. A rule that lets too few in is noticed by who is kept out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from authz_middleware.policy.needs import All, Need, OneOf, Permissions, Scopes, without_told
from authz_middleware.policy.rules import Kind, Requirement
from authz_middleware.policy.words import in_words

__all__ = ["Mutant", "mutants"]


class Mutant(NamedTuple):
    """What `requirement` becomes without `dropped`."""

    requirement: Requirement  # as the policy has it
    dropped: str
    kind: Kind
    need: Need | None

    def put(self, requirements: tuple[Requirement, ...]) -> tuple[Requirement, ...]:
        """Return `requirements` with this one in the place of the one it was made of."""
        return tuple(
            each.altered(self.kind, self.need) if each.origin is self.requirement else each
            for each in requirements
        )


def mutants(requirement: Requirement) -> Iterator[Mutant]:
    """Yield `requirement` with one thing less, in each way."""
    match requirement.kind:
        case "authenticated":
            yield Mutant(requirement, "a valid token", "public", None)
        case "deny":
            yield Mutant(requirement, "`deny`", "authenticated", None)
        case "forbid":
            yield Mutant(requirement, "all of it", "public", None)
        case _:
            for dropped, rest in _without(requirement.need) if requirement.need else ():
                kind: Kind = "table" if rest else "authenticated"
                yield Mutant(requirement, in_words(dropped), kind, rest)


def _without(need: Need) -> Iterator[tuple[Need, Need | None]]:
    """Yield each thing that can be dropped, and the rest; None if nothing is asked any more."""
    match need:
        case All(parts):
            telling = without_told(parts)
            for place, part in enumerate(parts):
                if part not in telling:  # without it nothing is asked less
                    continue
                for dropped, rest in _without(part):
                    few = (*parts[:place], *((rest,) if rest else ()), *parts[place + 1 :])
                    yield dropped, few[0] if len(few) == 1 else All(few)
        case OneOf(parts):
            for place, part in enumerate(parts):
                for dropped, rest in _without(part):
                    # An alternative that asks nothing is met by everybody.
                    few = (*parts[:place], rest, *parts[place + 1 :]) if rest else ()
                    yield dropped, OneOf(few) if few else None
        case Permissions(names, roles) if len(names) > 1:
            for name in names:
                left = tuple(each for each in names if each != name)
                yield Permissions((name,), roles), Permissions(left, roles)
        case Scopes(names) if len(names) > 1:
            for name in names:
                yield Scopes((name,)), Scopes(tuple(each for each in names if each != name))
        case _:
            yield need, None
