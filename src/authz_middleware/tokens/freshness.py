"""When a fetched key set is fresh, stale or gone, and when it may be fetched again.

Pure: the runtime owns the clock, the lock and the socket, and keeps one `State` per source.
The rules are those of panva/jose's remote sets and of RFC 7517 users in general: an unknown
`kid` may cause one fetch per cooldown (attackers choose kids), a failed fetch keeps the last
good set up to a limit, and nothing is ever accepted for lack of keys.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import Final

from authz_middleware.tokens.keys import KeySet

__all__ = [
    "COOLDOWN",
    "REFRESH_AFTER",
    "RETRY_AFTER",
    "STALE_LIMIT",
    "KeyView",
    "State",
    "due",
    "failed",
    "succeeded",
    "view",
]

# Seconds. A key that its issuer has withdrawn keeps working for about this long.
REFRESH_AFTER: Final = 300.0
# At most one fetch in this time because of a kid we do not know; jose and Auth0 use 30 s too.
COOLDOWN: Final = 30.0
# After a failure: soon enough that a restart of the issuer is short, rare enough not to hurt it.
RETRY_AFTER: Final = 5.0
# How long the last good set may serve while the issuer is down: a day's outage, not a week's.
STALE_LIMIT: Final = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class State:
    """What is known of one fetched set. `State()` is the set that nobody has asked for yet."""

    keys: KeySet | None = None
    fetched_at: float = -inf
    attempted_at: float = -inf
    failed: bool = False  # whether the latest attempt did


@dataclass(frozen=True, slots=True)
class KeyView:
    """What a request may use now, and whether asking again is allowed."""

    keys: KeySet | None
    fetchable: bool  # a fetch that the request waits for may start now
    failing: bool  # the latest attempt failed: no keys means 503, not 401


def view(state: State, now: float) -> KeyView:
    """What the set is worth at `now`."""
    usable = now - state.fetched_at <= STALE_LIMIT
    pause = RETRY_AFTER if state.failed else COOLDOWN
    return KeyView(
        keys=state.keys if usable else None,
        fetchable=_elapsed(state.attempted_at, pause, now),
        failing=state.failed,
    )


def due(state: State, now: float) -> bool:
    """Whether a refresh in the background is wanted, while requests go on with the old set."""
    return _elapsed(state.fetched_at, REFRESH_AFTER, now) and _elapsed(
        state.attempted_at, COOLDOWN, now
    )


def succeeded(state: State, keys: KeySet, now: float) -> State:
    """The state after a fetch brought `keys`; the old set is gone, withdrawn keys with it.

    An equal set stays the same object, so that tokens verified with it need not be verified again.
    """
    if state.keys is not None and keys == state.keys:
        keys = state.keys
    return replace(state, keys=keys, fetched_at=now, attempted_at=now, failed=False)


def failed(state: State, now: float) -> State:
    """The state after a fetch brought nothing usable: the old set stays, and ages."""
    # If the clock was set back, the set's age counts from now: it must not outlive the limit by
    # as much as the clock jumped.
    fetched_at = min(state.fetched_at, now)
    return replace(state, fetched_at=fetched_at, attempted_at=now, failed=True)


def _elapsed(since: float, pause: float, now: float) -> bool:
    # A time in the future means that the clock was set back: waiting for it could take for ever.
    return now < since or now - since >= pause
