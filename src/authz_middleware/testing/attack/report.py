"""What an attack found, for people and for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from authz_middleware.facts import RuleRef

__all__ = ["AttackReport", "Leak"]


@dataclass(frozen=True, slots=True)
class Leak:
    """One request that reached a protected handler for a caller without the right."""

    protected: str  # "GET /admin/users", the plain request whose handler ran
    caller: str  # "anonymous", or what the caller held
    kind: str  # the class of the mutation: "slashes", "methods", ...
    request: str  # its request line, and the fields that matter
    raw: bytes  # the whole request, as it goes over the wire
    curl: str  # a command that sends it again, to http://localhost:8000, with $TOKEN if any
    server: str  # what kind of server hands it to the app in this form
    rule: RuleRef | None  # the rule that let it in; None if no decision was made at all
    why: str  # how it is known that the handler ran

    def __str__(self) -> str:
        rule = f"let in by {self.rule}" if self.rule else "past the guard: no decision was made"
        return (
            f"LEAK   {self.protected} as {self.caller}, {rule}\n"
            f"       {self.kind}: {self.request}\n"
            f"       {self.why}; {self.server}\n"
            f"       {self.curl}"
        )


@dataclass(frozen=True, slots=True)
class AttackReport:
    """All that was sent, and what became of it: `sent == refused + passed + leaked`.

    `passed` requests came to the app, but not to the handler that was attacked: the app answered
    them with a page that is open to this caller, or with its own 404. `leaks` has one entry for
    each request that leaked, for the first caller and server it did; `leaked` counts all of them.
    `unproven` are protected requests of which nothing can be said, because the plain request of an
    entitled caller could not be told from one for a path that does not exist.
    """

    sent: int
    refused: int
    passed: int
    leaked: int
    leaks: tuple[Leak, ...]
    proven: tuple[str, ...]  # "GET /admin/users"
    unproven: tuple[str, ...]
    kinds: Mapping[str, int]  # how many requests of each class of mutations were sent

    @property
    def ok(self) -> bool:
        """Whether something was attacked, nothing got through, and nothing is unproven."""
        return bool(self.proven) and not self.leaks and not self.unproven

    def __str__(self) -> str:
        """List what got through and what could not be judged, then count."""
        return "\n".join((*map(str, self.leaks), self.summary))

    @property
    def summary(self) -> str:
        """What could not be judged, and the counts, without each leak."""
        lines = [
            f"UNPROVEN  {request}: the plain request of an entitled caller reached no handler;"
            " name one that does, or one of a key's paths that the app has"
            for request in self.unproven
        ]
        for what, few in Counter((leak.protected, leak.kind) for leak in self.leaks).items():
            lines.append(f"{few:6,} leaks: {what[0]}, {what[1]}")
        lines.append(
            f"{len(self.proven)} protected request{'' if len(self.proven) == 1 else 's'} attacked:"
            f" {self.sent:,} sent, {self.refused:,} refused, {self.passed:,} passed to other"
            f" handlers, {self.leaked:,} leaked"
        )
        return "\n".join(lines)
