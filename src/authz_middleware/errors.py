"""The exception tree: what start-up raises, and what a handler may raise while it serves.

    AuthzError
    ├── PolicyError     the policy cannot be served; raised at start-up only
    └── AccessDenied    a handler asked `access.require(...)` and the answer was no

Nothing else of ours leaves the package: on the request path every outcome is a value.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from authz_middleware.facts import Answer, Decision

__all__ = ["AccessDenied", "AuthzError", "Notice", "PolicyError", "Problem"]


class AuthzError(Exception):
    """Every exception of this package."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a policy: where it is, what is wrong, and what to write instead.

    `where` is `file:line:column` where the text is known, else the dotted path of the key.
    """

    where: str
    what: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" + (f"; {self.fix}" if self.fix else "")


@dataclass(frozen=True, slots=True)
class Notice:
    """What a policy may say, and seldom should. It is served; `authz check` shows it.

    `kind` and `about` (a rule as written, the name of a role) name it for those who allow it.
    """

    kind: str
    about: str
    where: str
    what: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" + (f"; {self.fix}" if self.fix else "")


class PolicyError(AuthzError):
    """The policy cannot be served. `problems` holds every mistake that was found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))

    def __reduce__(self) -> tuple[type[PolicyError], tuple[tuple[Problem, ...]]]:
        return type(self), (self.problems,)


class AccessDenied(AuthzError):
    """`access.require(...)` said no. `answer` is the refusal as the client should see it."""

    def __init__(self, decision: Decision, answer: Answer) -> None:
        self.decision = decision
        self.answer = answer
        super().__init__(decision.reason)

    def __reduce__(self) -> tuple[type[AccessDenied], tuple[Decision, Answer]]:
        return type(self), (self.decision, self.answer)

    @classmethod
    def within(cls, error: BaseException) -> AccessDenied | None:
        """Return the denial that `error` is, holds (an exception group), or was raised from."""
        seen: set[int] = set()
        queue: deque[BaseException | None] = deque([error])
        while queue:
            found = queue.popleft()
            if isinstance(found, cls):
                return found
            if found is None or id(found) in seen:
                continue
            seen.add(id(found))
            if isinstance(found, BaseExceptionGroup):
                queue += cast("tuple[BaseException, ...]", found.exceptions)
            queue.append(found.__cause__)
            if not found.__suppress_context__:
                queue.append(found.__context__)
        return None
