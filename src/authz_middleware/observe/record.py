"""A decision record: one line of JSON for each decision, for `authz replay` and `authz suggest`."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from authz_middleware.observe import DecisionEvent
from authz_middleware.policy.routekey import WEBSOCKET

__all__ = ["DecisionRecorder", "RecordedDecision", "RecordedError", "read_record"]

LATEST: Final = 253_402_300_800
"""The first second after the year 9999: no clock tells a later one."""

_TEXTS: Final = ("kind", "method", "reason", "asked")
_MAYBE_TEXTS: Final = ("id", "path", "subject", "issuer", "rule")
_LISTS: Final = ("roles", "permissions", "scopes")


class DecisionRecorder:
    """Appends each decision to a file, for its owner alone to read.

    Each line is written at once, so that threads and worker processes may share the file. It holds
    subjects, and no token text and no claims but roles, permissions and scopes.
    """

    def __init__(self, file: str | os.PathLike[str]) -> None:
        """Open `file`, or raise OSError. One that is there keeps its mode."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        # Not the bare descriptor: once closed its number is somebody else's, a client's perhaps.
        self._file: Final = os.fdopen(os.open(Path(file), flags, 0o600), "ab", buffering=0)

    def observe(self, event: DecisionEvent) -> None:
        """Append one line."""
        decision = event.decision
        members = {
            "id": event.id,
            "at": event.at,
            "allowed": decision.allowed,
            "reason": decision.reason,
            "rule": decision.rule.key if decision.rule else None,
            "kind": event.kind,
            "method": event.method,
            "path": event.path,
            "asked": event.asked,
            "subject": event.subject,
            "issuer": event.issuer,
            "roles": sorted(event.roles),
            "permissions": sorted(event.permissions),
            "scopes": sorted(event.scopes),
        }
        # ASCII: what a path holds cannot break the line.
        self._file.write((json.dumps(members) + "\n").encode("ascii"))

    def close(self) -> None:
        """Write no more; what is observed from now on is an error."""
        self._file.close()


@dataclass(frozen=True, slots=True)
class RecordedDecision:
    """One decision as it was recorded; `id` and `at` are None where an older line has none."""

    allowed: bool
    reason: str
    rule: str | None
    kind: str
    method: str
    path: str | None
    asked: str
    subject: str | None
    issuer: str | None
    roles: tuple[str, ...]
    permissions: tuple[str, ...]
    scopes: tuple[str, ...]
    id: str | None = None
    at: float | None = None

    @property
    def asked_method(self) -> str:
        """The method as a policy has it: "WS" for a WebSocket handshake."""
        return WEBSOCKET if self.kind == "websocket" else self.method


class RecordedError(ValueError):
    """A line that no recorder wrote."""


def read_record(line: str) -> RecordedDecision:
    """Return the decision that `line` holds, or raise RecordedError."""
    try:
        members = json.loads(line)  # noqa: TID251 - a file of our own
    except (ValueError, RecursionError):
        raise RecordedError("no JSON") from None
    if not isinstance(members, dict):
        raise RecordedError("no JSON object")
    found = cast("dict[str, Any]", members)
    good = (
        isinstance(found.get("allowed"), bool)
        and all(isinstance(found.get(name), str) for name in _TEXTS)
        and all(isinstance(found.get(name), str | None) for name in _MAYBE_TEXTS)
        and all(_is_text_list(found.get(name)) for name in _LISTS)
        and _is_time(found.get("at"))
    )
    if not good:
        raise RecordedError("no decision")
    return RecordedDecision(
        allowed=found["allowed"],
        reason=found["reason"],
        rule=found.get("rule"),
        kind=found["kind"],
        method=found["method"],
        path=found.get("path"),
        asked=found["asked"],
        subject=found.get("subject"),
        issuer=found.get("issuer"),
        roles=tuple(found["roles"]),
        permissions=tuple(found["permissions"]),
        scopes=tuple(found["scopes"]),
        id=found.get("id"),
        at=found.get("at"),
    )


def _is_time(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return value is None or (number and 0 <= cast("float", value) < LATEST)


def _is_text_list(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(each, str) for each in cast("list[object]", value)
    )
