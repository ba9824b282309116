"""Who hears of decisions. An observer's failure never lets anyone in, nor fails a request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from authz_middleware.facts import Decision

__all__ = ["DecisionEvent", "DecisionObserver", "explained_by"]


class _Explaining:
    """What an event keeps beside its fields: nothing that is copied, compared, shown or pickled."""

    __slots__ = ("_explain",)
    _explain: Callable[[], Decision]


@dataclass(frozen=True, slots=True)
class DecisionEvent(_Explaining):
    """One decision, as observers see it. It holds no token text, and shows no claims.

    Until it is dropped, one that let a request in keeps the caller, for `explain`; no copy does.
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

    def explain(self) -> Decision:
        """Return `decision` with what each rule found: `findings`.

        The rules of a request that was let in are asked again when this is called, about what they
        were asked about then. A copy that was pickled knows what was found in refusals alone.
        """
        explain = getattr(self, "_explain", None)
        return self.decision if explain is None else explain()


def explained_by(event: DecisionEvent, explain: Callable[[], Decision]) -> None:
    """Have `explain` called by whoever asks what the rules found."""
    object.__setattr__(event, "_explain", explain)


class DecisionObserver(Protocol):
    """Told of every decision, on the thread or task of the request: return quickly."""

    def observe(self, event: DecisionEvent) -> None: ...
