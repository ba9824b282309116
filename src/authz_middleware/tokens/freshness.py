"""When a fetched key set is fresh, stale or gone, and when it may be fetched again.

Pure: the runtime owns the clock, the lock and the socket, and keeps one `State` per source.
An unknown `kid` causes at most one fetch per cooldown, whoever sends it; a failed fetch keeps the
last good set up to a limit; nothing is ever accepted for lack of keys. RFC 9111 §4.2, OpenID
Connect Core §10.1.1.

Three ages of a set matter. From `refresh_at` it is renewed while requests go on with it. Older
than `max_age` it is renewed before it is used again, unless the provider is known to be failing.
Older than `stale_limit` it is gone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import Final

from authz_middleware.facts import KeyReadiness, LatestFetch
from authz_middleware.tokens.keys import KeySet

__all__ = [
    "COOLDOWN",
    "MAX_AGE",
    "MIN_REFRESH",
    "OVERDUE",
    "REFRESH_AFTER",
    "RETRY_AFTER",
    "STALE_LIMIT",
    "KeyView",
    "Limits",
    "State",
    "abandoned",
    "bounded",
    "due",
    "failed",
    "is_quiet",
    "joined",
    "readiness",
    "restored",
    "started",
    "succeeded",
    "view",
]

# Seconds. What a set is good for if its provider says nothing.
REFRESH_AFTER: Final = 300.0
# What it is good for at least, whatever the provider says: it must outlive the cooldown.
MIN_REFRESH: Final = 60.0
# At most one fetch in this time because of a kid we do not know; jose and Auth0 use 30 s too.
COOLDOWN: Final = 30.0
# After a failure: soon enough that a restart of the issuer is short, rare enough not to hurt it.
RETRY_AFTER: Final = 5.0
# From here on nobody waits for a fetch any more: its provider, or the name service, hangs.
OVERDUE: Final = 9.0
# One thread looks at the clock before another that is ahead of it: that is no clock set back.
_MOMENT: Final = 5.0
# Defaults of `Limits`. An hour; and a day's outage, not a week's.
MAX_AGE: Final = 3600.0
STALE_LIMIT: Final = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Limits:
    """The operator's bounds, in seconds: MIN_REFRESH <= max_age <= stale_limit."""

    max_age: float = MAX_AGE
    stale_limit: float = STALE_LIMIT


@dataclass(frozen=True, slots=True)
class State:
    """What is known of one fetched set. `State()` is the set that nobody has asked for yet."""

    keys: KeySet | None = None
    fetched_at: float = -inf
    as_of: float = -inf  # the provider published no other set before this time
    refresh_at: float = -inf
    asked_at: float = -inf  # when the latest fetch began that a request waited for
    attempted_at: float = -inf  # when the latest attempt ended
    failed: bool = False  # whether it did
    started_at: float | None = None  # of the fetch in flight
    joined: bool = False  # whether a request waits for it


@dataclass(frozen=True, slots=True)
class KeyView:
    """What a request may use now, and whether it may wait for more."""

    keys: KeySet | None
    fetchable: bool  # the request may wait for a fetch that is in flight, or start one
    as_of: float = inf  # a key that was published before this time is among `keys`


def view(state: State, now: float, limits: Limits) -> KeyView:
    """What the set is worth at `now`."""
    failing = _failing(state, now, limits)
    limit = limits.stale_limit if failing else limits.max_age
    keys = state.keys if now - state.fetched_at <= limit else None
    if state.started_at is not None:
        # For a provider that fails only one request at a time waits.
        fetchable = not _overdue(state, now) and not (failing and state.joined)
    elif keys is not None:
        # A refresh that nobody waited for does not count: it must not spend the callers' fetch.
        fetchable = _elapsed(state.asked_at, COOLDOWN, now)
    else:
        fetchable = _elapsed(state.attempted_at, RETRY_AFTER, now)
    return KeyView(
        keys,
        fetchable,
        # If the clock was set back, it cannot be said what was published before what.
        as_of=state.as_of if state.as_of <= now else -inf,
    )


def is_quiet(state: State, keys: KeySet, now: float, limits: Limits) -> bool:
    """Whether `keys` are the set at `now`, and nothing is wanted: else `view` and `due` tell."""
    return (
        state.keys is keys
        and state.started_at is None
        and not state.failed
        and state.fetched_at <= now < state.refresh_at
        and now - state.fetched_at <= limits.max_age
    )


def due(state: State, now: float) -> bool:
    """Whether a refresh in the background is wanted, while requests go on with the old set."""
    if state.started_at is not None or state.fetched_at <= now < state.refresh_at:
        return False
    return _elapsed(state.attempted_at, RETRY_AFTER, now)


def started(state: State, now: float, *, joined: bool) -> State:
    """The state after a fetch was started; `joined` if by a request, which waits for it."""
    asked_at = now if joined else state.asked_at
    return replace(state, started_at=now, joined=joined, asked_at=asked_at)


def joined(state: State) -> State:
    """The state after a request began to wait for the fetch in flight, or for what just landed."""
    if state.started_at is None:
        return replace(state, asked_at=state.attempted_at)
    return replace(state, joined=True, asked_at=state.started_at)


def abandoned(state: State) -> State:
    """The state in a process to which the fetch in flight will never come back."""
    return replace(state, started_at=None, joined=False)


def succeeded(
    state: State,
    keys: KeySet,
    now: float,
    limits: Limits,
    *,
    as_of: float,
    lifetime: float | None,
    jitter: float,
) -> State:
    """The state after a fetch brought `keys`; the old set is gone, withdrawn keys with it.

    `as_of` is when the provider (or a cache's origin) made them out, `lifetime` the seconds they
    are good for by its own word. `jitter`, from 0 to 1, spreads a fleet's refreshes over a tenth
    of it. An equal set stays the same object, so that tokens verified with it need not be
    verified again.
    """
    if state.keys is not None and keys == state.keys:
        keys = state.keys
    ahead = 0.8 + 0.1 * jitter  # of the lifetime: before it ends, so that nobody waits
    return State(
        keys=keys,
        fetched_at=now,
        as_of=as_of,
        refresh_at=now + bounded(lifetime, limits) * ahead,
        asked_at=state.asked_at,
        attempted_at=now,
    )


def failed(state: State, now: float) -> State:
    """The state after a fetch brought nothing usable: the old set stays, and ages."""
    return replace(
        state,
        # If the clock was set back, the set's age counts from now: it must not outlive the limit
        # by as much as the clock jumped.
        fetched_at=min(state.fetched_at, now),
        # And when the clock has caught up, a new key would seem older than the set.
        as_of=state.as_of if state.as_of <= now else -inf,
        refresh_at=min(state.refresh_at, now),
        attempted_at=now,
        failed=True,
        started_at=None,
        joined=False,
    )


def restored(keys: KeySet, fetched_at: float) -> State:
    """The state at start with a set that an earlier process had fetched: due at once."""
    return State(keys=keys, fetched_at=fetched_at)


def bounded(lifetime: float | None, limits: Limits) -> float:
    """Return how long a document is used before it is looked at again, in seconds."""
    wanted = REFRESH_AFTER if lifetime is None else lifetime
    return min(max(wanted, MIN_REFRESH), limits.max_age)


def readiness(issuer: str, state: State, now: float, limits: Limits) -> KeyReadiness:
    """Return what an operator may want to know of the set."""
    latest: LatestFetch = "none" if state.attempted_at == -inf else "succeeded"
    if state.failed or _overdue(state, now):
        latest = "failed"
    if state.keys is None:
        return KeyReadiness(issuer, False, latest)
    until = state.fetched_at + limits.stale_limit
    return KeyReadiness(issuer, now <= until, latest, max(now - state.fetched_at, 0.0), until)


def _failing(state: State, now: float, limits: Limits) -> bool:
    """Whether the provider is known to be out of reach: a failure speaks for `max_age` only."""
    if _overdue(state, now):
        return True
    return state.failed and not _elapsed(state.attempted_at, limits.max_age, now)


def _overdue(state: State, now: float) -> bool:
    return state.started_at is not None and _elapsed(state.started_at, OVERDUE, now)


def _elapsed(since: float, pause: float, now: float) -> bool:
    # A time in the future means that the clock was set back: waiting for it could take for ever.
    return since - now > _MOMENT or now - since >= pause
