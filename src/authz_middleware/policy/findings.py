"""What each part of a requirement found, and which miss is the answer to a refusal.

Made only when a request is refused or somebody asks why. It names what the policy requires, and of
the caller roles, permissions, scopes and the issuer: never another claim.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from authz_middleware.facts import Finding, Outcome, Principal, Reason
from authz_middleware.policy.needs import (
    NO_PARAMETERS,
    Acr,
    All,
    AnyIssuer,
    AnyRole,
    Asked,
    ConditionFailed,
    Leaf,
    Load,
    MaxAge,
    Need,
    Not,
    OneOf,
    Pdp,
    Permissions,
    Scopes,
    Stage,
    Verdict,
    When,
    conjunction,
    disjunction,
    negation,
)
from authz_middleware.policy.questions import NOT_PUT, Said, Unanswered
from authz_middleware.policy.resources import Unloaded
from authz_middleware.policy.waiting import possible
from authz_middleware.policy.words import in_words, printable

__all__ = ["Found", "Miss", "find", "first", "named", "outcome"]

SHOWN = 10
"""Names that are listed of one set: a token may bring thousands."""
LONGEST = 100
"""Characters shown of a name."""

OUTCOMES: Mapping[Verdict, Outcome] = {True: "met", False: "not met", None: "error"}


def outcome(value: Verdict) -> Outcome:
    """Return the name of a value."""
    return OUTCOMES[value]


@dataclass(frozen=True, slots=True)
class Miss:
    """Why a part is not met: the reason, what was missing, and a sentence for people."""

    stage: Stage
    reason: Reason
    missing: tuple[str, ...]
    text: str
    detail: str = ""

    @property
    def size(self) -> tuple[int, tuple[str, ...], str]:
        """How much is missing. The order in which a policy is written never tells."""
        return len(self.missing), self.missing, self.text


@dataclass(frozen=True, slots=True)
class Found(Finding):
    """... and its miss; None if it is met. The others are what a new token should bring."""

    parts: tuple[Found, ...] = ()
    miss: Miss | None = None
    scopes: tuple[str, ...] = ()
    acr: tuple[str, ...] = ()
    max_age: int | None = None


def find(need: Need, asked: Asked) -> Found:
    """Return what `need` finds, all of its parts included."""
    match need:
        case All(parts):
            return _all(need, [find(part, asked) for part in parts])
        case OneOf(parts):
            return _any(need, [find(part, asked) for part in parts])
        case Not(part):
            return _not(need, find(part, asked), asked)
        case _:
            return _leaf(need, asked)


def first(misses: Iterable[Miss]) -> Miss:
    """Return the miss that answers where all of these must be made good: the earliest stage."""
    return min(misses, key=lambda miss: (miss.stage, miss.size))


def _nearest(misses: Iterable[Miss]) -> Miss:
    """Return the miss that answers where one made good is enough: what came furthest."""
    return min(misses, key=lambda miss: (-miss.stage, miss.size))


def _values(parts: Iterable[Found]) -> list[Verdict]:
    return [_VALUES[part.outcome] for part in parts]


_VALUES: Mapping[Outcome, Verdict] = {name: value for value, name in OUTCOMES.items()}


def _all(need: All, parts: list[Found]) -> Found:
    value = conjunction(_values(parts))
    misses = [part.miss for part in parts if part.miss is not None]
    ages = [part.max_age for part in parts if part.max_age is not None]
    return Found(
        "all",
        outcome(value),
        in_words(need),
        parts=tuple(parts),
        miss=first(misses) if misses else None,
        scopes=tuple(dict.fromkeys(name for part in parts for name in part.scopes)),
        acr=_acr(parts),
        max_age=min(ages, default=None),
    )


def _acr(parts: Iterable[Found]) -> tuple[str, ...]:
    """Return the values to ask for; of several lists the one that is not met."""
    named = sorted((part.outcome == "met", part.acr) for part in parts if part.acr)
    return named[0][1] if named else ()


def _any(need: OneOf, parts: list[Found]) -> Found:
    value = disjunction(_values(parts))
    if value:
        chosen, miss = next(part for part in parts if part.outcome == "met"), None
    else:
        miss = _nearest(part.miss for part in parts if part.miss is not None)
        chosen = next(part for part in parts if part.miss is miss)
    return Found(
        "any",
        outcome(value),
        in_words(need),
        parts=tuple(parts),
        miss=miss,
        scopes=chosen.scopes,
        acr=chosen.acr,
        max_age=chosen.max_age,
    )


def _not(need: Not, part: Found, asked: Asked) -> Found:
    value = negation(_VALUES[part.outcome])
    miss = part.miss
    if value is None and miss is not None and _is_unknown(need, miss, asked):
        pass  # it is for want of the object, or of the decision, that nothing can be told
    elif value:
        miss = None
    else:
        # Nothing that a client could bring makes it good, so no scopes, and no step-up.
        detail = part.miss.detail if part.miss else ""
        miss = Miss(Stage.EXCLUDED, "excluded", (), f"must not meet {in_words(need.part)}", detail)
    return Found("not", outcome(value), in_words(need), parts=(part,), miss=miss)


def _is_unknown(need: Not, miss: Miss, asked: Asked) -> bool:
    if miss.stage is Stage.NOT_ASKED:
        return True in possible(need, asked)  # else whoever is asked could not make it good
    return miss.stage in (Stage.LOADER, Stage.DECISION_POINT, Stage.UNAVAILABLE)


# --- Leaves ---


class _Look(NamedTuple):
    """What there is to say of a leaf; `has` is None where the caller's part is not told."""

    name: str
    reason: Reason
    missing: tuple[str, ...] = ()
    has: str | None = None
    detail: str = ""  # of an error
    stage: Stage | None = None  # where it is not that of all such leaves


def _look(need: Leaf, asked: Asked, failed: ConditionFailed | None) -> _Look:
    caller = asked.principal or NOBODY
    match need:
        case AnyRole(names):
            return _Look("roles", "role_missing", tuple(sorted(names)), named(caller.roles))
        case Permissions():
            missing, has = need.missing(caller), named(caller.permissions)
            return _Look("permissions", "permission_missing", missing, has)
        case AnyIssuer(names):
            has = named({caller.issuer} - {""})
            return _Look("issuers", "issuer_not_accepted", tuple(sorted(names)), has)
        case Load():
            return _look_at_object(need, asked)
        case Pdp():
            return _look_at_decision(need, need.said(asked))
        case When(load=Load() as load) if load.value(asked) is None:
            return _look_at_object(load, asked)._replace(name="when")
        case When():
            stage = Stage.CONDITIONS if need.load is None else Stage.LOADED_CONDITIONS
            if failed is None:
                return _Look("when", "condition_not_met", stage=stage)
            return _Look("when", "condition_error", failed.missing, None, failed.detail, stage)
        case Scopes(names):
            lacking = tuple(name for name in names if name not in caller.scopes)
            return _Look("scopes", "scope_missing", lacking, named(caller.scopes))
        case Acr(names):
            return _Look("acr", "acr_not_met", names, detail=_claim(caller, "acr"))
        case _:
            detail = _claim(caller, "auth_time")
            return _Look("max_age", "authentication_too_old", detail=detail)


def _look_at_object(need: Load, asked: Asked) -> _Look:
    match need.found(asked):
        case Unloaded.MISSING:
            reason: Reason = "resource_not_found" if need.not_found else "resource_missing"
            return _Look("load", reason, (), "none", stage=Stage.LOADER)
        case Unloaded.NO_PARAMETERS:
            detail = "no_parameters"
            return _Look("load", "condition_error", (), "none", detail, Stage.LOADER)
        case Unloaded.NOT_HANDED as unloaded:
            detail, stage = unloaded.value, Stage.LOADED_CONDITIONS
            return _Look("load", "condition_error", (), None, detail, stage)
        case Unloaded.FAILED:
            return _Look("load", "resource_unavailable", (), "no answer", stage=Stage.UNAVAILABLE)
        case Unloaded.NOT_ASKED:
            return _Look(
                "load", "resource_unavailable", (), "not asked", "not_asked", Stage.NOT_ASKED
            )
        case _:
            return _Look("load", "resource_unavailable", (), "one")


def _look_at_decision(need: Pdp, said: Said) -> _Look:
    if not isinstance(said, Unanswered):
        return _Look("pdp", "pdp_denied", (), "yes" if said else "no")
    if said is NO_PARAMETERS:
        return _Look("pdp", "condition_error", (), "none", said.why)
    if said is NOT_PUT:
        return _Look("pdp", "pdp_unavailable", (), "not asked", said.why, Stage.NOT_ASKED)
    has = f"no answer: {said.why}"
    if need.denies:
        return _Look("pdp", "pdp_failed", (), has, said.why)
    return _Look("pdp", "pdp_unavailable", (), has, said.why, Stage.UNAVAILABLE)


NOBODY: Final = Principal(subject="", issuer="", expires_at=0)


def _leaf(need: Leaf, asked: Asked) -> Found:
    value, failed = need.asked(asked) if isinstance(need, When) else (need.value(asked), None)
    look = _look(need, asked, failed)
    miss = None
    if not value:
        lacks: Need = need
        if isinstance(need, Permissions):
            lacks = Permissions(look.missing, need.roles)
        elif isinstance(need, When) and need.load and look.stage is not Stage.LOADED_CONDITIONS:
            lacks = need.load  # then it is not the condition that fails
        text = f"needs {in_words(lacks)}"
        if look.has is not None:
            text += f"; has {look.has}"
        detail = look.detail if value is None else ""
        if isinstance(need, When) and detail:
            text += f"; {detail}"
        stage = look.stage or need.stage
        miss = Miss(stage, look.reason, look.missing, text, detail)
    return Found(
        look.name,
        outcome(value),
        in_words(need),
        look.has,
        miss=miss,
        scopes=need.names if isinstance(need, Scopes) else (),
        acr=need.names if isinstance(need, Acr) else (),
        max_age=need.seconds if isinstance(need, MaxAge) else None,
    )


def _claim(caller: Principal, name: str) -> str:
    """Return why a claim tells nothing; its value is nobody's but the token's."""
    return f"{'bad' if name in caller.claims else 'missing'}_claim:{name}"


def named(names: Iterable[str]) -> str:
    """List names from a token: in order, the first few of them, cut if long; "none" without any.

    What cannot be printed is escaped: a line break would forge a line of what is told.
    """
    ordered = sorted(names)
    if not ordered:
        return "none"
    shown = ", ".join(
        printable(name if len(name) <= LONGEST else f"{name[:LONGEST]}…")
        for name in ordered[:SHOWN]
    )
    more = len(ordered) - SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
