"""A decision found again by its id: in the log of the standard library, or in a record.

Where each line of a log is a JSON object, the message may be any text in it.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from authz_middleware.observe.record import RecordedDecision, RecordedError, read_record

__all__ = ["Recorded", "find_recorded"]

# A text as `ascii` writes it.
_TEXT = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
_LINE = re.compile(
    rf"\b(?P<came>allowed|refused) (?P<method>{_TEXT}) (?P<path>{_TEXT}|None):"
    r" (?P<reason>[a-z_]+)(?P<rest>.*) id=(?P<id>\S+)\s*$"
)
MAX_LINE = 64 * 1024


class Recorded(NamedTuple):
    """A decision as it was logged. `said` is what the line says beside these, for people.

    `record` is all that a DecisionRecorder wrote of it, where it did.
    """

    allowed: bool
    method: str
    path: str | None
    reason: str
    said: str
    record: RecordedDecision | None = None


def find_recorded(lines: Iterable[str], id: str) -> Recorded | None:
    """Return the decision that was logged under `id`, the latest if there are several.

    What a record says counts more than a line of a log.
    """
    found = None
    for line in lines:
        if id and id in line and len(line) <= MAX_LINE:
            each = _recorded(line, id) or _logged(line, id)
            if each is not None and (found is None or each.record or not found.record):
                found = each
    return found


def _recorded(line: str, id: str) -> Recorded | None:
    try:
        record = read_record(line)
    except RecordedError:
        return None
    if record.id != id:
        return None
    names = f"rule={record.rule} subject={record.subject!a} issuer={record.issuer!a}"
    said = f"{names} asked={record.asked!a}"
    return Recorded(record.allowed, record.asked_method, record.path, record.reason, said, record)


def _logged(line: str, id: str) -> Recorded | None:
    for text in (line, *_texts(line)):
        match = _LINE.search(text)
        if match is None or match["id"] != id:
            continue
        try:
            method, path = map(ast.literal_eval, (match["method"], match["path"]))
        except (SyntaxError, ValueError):
            continue  # no log of ours has such a text
        said = match["rest"].strip()
        return Recorded(match["came"] == "allowed", method, path, match["reason"], said)
    return None


def _texts(line: str) -> Iterator[str]:
    """Yield the texts of a line that is a JSON object."""
    if line.lstrip().startswith("{"):
        try:
            members: dict[str, object] = json.loads(line)  # noqa: TID251 - a log of the user's own
        except (ValueError, RecursionError):
            return
        yield from (value for value in members.values() if isinstance(value, str))
