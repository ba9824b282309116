"""What a decision hangs on, at somebody's word: for tests and explanations, which ask nobody."""

from __future__ import annotations

from collections.abc import Mapping

from authz_middleware.facts import Principal, RequestFacts
from authz_middleware.policy.model import Policy
from authz_middleware.policy.questions import Answers, Question, Said
from authz_middleware.policy.resources import Loaded, Object, Resources, Wanted
from authz_middleware.policy.rules import Requirement

__all__ = ["supposed"]


def supposed(
    policy: Policy,
    requirements: tuple[Requirement, ...],
    principal: Principal | None,
    now: float,
    facts: RequestFacts,
    resource: Loaded | None,
    pdps: Mapping[str, Said],
) -> tuple[Resources, Answers]:
    """Return every object and answer on which it hangs whether `requirements` are met.

    `resource` is what any loader is taken to find (None: nobody says), `pdps` what decision points
    are taken to say, by name. It ends at what nobody says.
    """
    found: dict[Object, Loaded] = {}
    said: dict[Question, Said] = {}
    if principal is None:
        return found, said
    while wanted := policy.waits_for(requirements, principal, now, facts, found, said):
        if isinstance(wanted, Wanted):
            if resource is None:
                break
            found[wanted.object] = resource
        else:
            if wanted.each[0].pdp not in pdps:
                break
            said |= {each: pdps[each.pdp] for each in wanted.each}
    return found, said
