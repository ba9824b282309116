"""What a decision record says of a policy: what another one would decide, and what nobody uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from authz_middleware.analysis.explaining import by_record, explain
from authz_middleware.facts import OUTAGES, Decision
from authz_middleware.observe.record import RecordedDecision, RecordedError, read_record
from authz_middleware.policy.needs import AnyRole
from authz_middleware.policy.rules import Requirement
from authz_middleware.runtime.settings import Settings

__all__ = ["Flip", "Replayed", "Suggestion", "read_records", "replay", "suggest"]

_UNDECIDED: Final = frozenset(
    {
        "condition_error",
        "resource_unavailable",
        "pdp_denied",
        "pdp_unavailable",
        "acr_not_met",
        "authentication_too_old",
    }
)
"""Reasons that rest on what is not recorded: claims, fields of the request, loaded objects."""


class Flip(NamedTuple):
    """One request that another policy decides otherwise, and how often it was recorded."""

    request: str  # "GET /articles/1"
    caller: str
    before: bool
    now: bool
    decision: Decision
    times: int = 1


@dataclass(frozen=True, slots=True)
class Replayed:
    """`decided` requests were decided again; of `undecided` ones too little is recorded."""

    flips: tuple[Flip, ...]
    decided: int
    undecided: int


def replay(records: Iterable[RecordedDecision], settings: Settings, now: float) -> Replayed:
    """Decide recorded requests again under `settings`, at `now` (seconds since the epoch)."""
    flips: dict[tuple[str, str, bool], Flip] = {}
    decided = undecided = 0
    for record in records:
        if record.asked or record.path is None or record.reason in OUTAGES:
            continue
        method = record.asked_method
        decision = explain(settings, method, record.path, by_record(settings, record), now).decision
        if decision.reason in _UNDECIDED or record.reason in _UNDECIDED:
            undecided += 1
            continue
        decided += 1
        if decision.allowed != record.allowed:
            flip = Flip(
                f"{method} {record.path}",
                _named(record),
                record.allowed,
                decision.allowed,
                decision,
            )
            known = flips.get(key := (flip.request, flip.caller, flip.before))
            flips[key] = flip if known is None else known._replace(times=known.times + 1)
    return Replayed(tuple(flips.values()), decided, undecided)


def _named(record: RecordedDecision) -> str:
    if record.subject is None:
        return "anonymous"
    return f"{record.subject} ({', '.join(record.roles) or 'no roles'})"


def read_records(lines: Iterable[str]) -> Iterator[RecordedDecision]:
    """Yield what a DecisionRecorder wrote. Raises RecordedError with the number of a line."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield read_record(line)
            except RecordedError as error:
                said = f"line {number}: {error}: no DecisionRecorder wrote this"
                raise RecordedError(said) from None


class Suggestion(NamedTuple):
    """A rule that lets in more than anybody used: what stands there, and what would have done.

    `used` are the roles by which callers got in, none if nobody did.
    """

    rule: str
    where: str
    written: tuple[str, ...]
    used: tuple[str, ...]


def suggest(records: Iterable[RecordedDecision], settings: Settings) -> tuple[Suggestion, ...]:
    """Return the rules that ask for one of several roles, of which some were of no use to anybody.

    The fewest roles that would have let in every recorded caller; rules that ask for anything else
    are left alone, and so are public ones.
    """
    callers: dict[str, set[frozenset[str]]] = {}
    for record in records:
        if record.allowed and record.rule is not None and not record.asked:
            expanded = by_record(settings, record).principal
            held = expanded.roles if expanded else frozenset(record.roles)
            callers.setdefault(record.rule, set()).add(held)
    return tuple(
        Suggestion(each.ref.key, each.ref.where, written, used)
        for each, written in _by_role(settings)
        if (used := _fewest(callers.get(each.ref.key, set()), written, settings)) != written
    )


def _by_role(settings: Settings) -> Iterator[tuple[Requirement, tuple[str, ...]]]:
    for requirement in settings.policy.requirements:
        if isinstance(requirement.need, AnyRole):
            yield requirement, tuple(sorted(requirement.need.names))


def _fewest(
    callers: Iterable[frozenset[str]], written: tuple[str, ...], settings: Settings
) -> tuple[str, ...]:
    """The roles of `written` that let each of `callers` in, the most special ones first.

    A role that many inherit lets in more than was seen: it is taken only where nothing else does.
    """
    above: Mapping[str, frozenset[str]] = settings.policy.roles.closure
    heirs = {role: sum(role in closure for closure in above.values()) for role in written}
    left = [held for held in callers if not held.isdisjoint(written)]
    used: set[str] = set()
    for held in sorted(left, key=lambda roles: len(roles.intersection(written))):
        if used.isdisjoint(held):
            used.add(min(held.intersection(written), key=lambda role: (heirs[role], role)))
    return tuple(sorted(used))
