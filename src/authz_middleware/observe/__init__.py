"""Who hears of decisions. An observer's failure never lets anyone in, nor fails a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from authz_middleware.facts import Decision

__all__ = ["DecisionEvent", "DecisionObserver"]


@dataclass(frozen=True, slots=True)
class DecisionEvent:
    """One decision, as observers see it. It holds no token text and no claims.

    `id` is the id that a refused client was given ("" where nobody was refused). `at` is in seconds
    since the epoch. `asked` is the permission of an `access.require` or `access.allows`, else "".
    `roles` and `permissions` are what the caller brought: without what the policy adds to them.
    """

    id: str
    at: float
    kind: str
    method: str
    path: str | None
    decision: Decision
    subject: str | None
    issuer: str | None
    asked: str = ""
    roles: frozenset[str] = frozenset()
    permissions: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()


class DecisionObserver(Protocol):
    """Told of every decision, on the thread or task of the request: return quickly."""

    def observe(self, event: DecisionEvent) -> None: ...
