"""The decision log of the standard library, read again: one line for each decision."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["Recorded", "find_recorded"]

# A text as `ascii` writes it.
_TEXT = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
_LINE = re.compile(
    rf"\b(?P<came>allowed|refused) (?P<method>{_TEXT}) (?P<path>{_TEXT}|None):"
    r" (?P<reason>[a-z_]+)(?P<rest>.*) id=(?P<id>\S+)\s*$"
)
MAX_LINE = 64 * 1024


class Recorded(NamedTuple):
    """A decision as it was logged. `said` is what the line says beside these, for people."""

    allowed: bool
    method: str
    path: str | None
    reason: str
    said: str


def find_recorded(lines: Iterable[str], id: str) -> Recorded | None:
    """Return the decision that was logged under `id`, the latest if there are several."""
    found = None
    for line in lines:
        if id not in line or len(line) > MAX_LINE:
            continue
        match = _LINE.search(line)
        if match is not None and match["id"] == id:
            found = Recorded(
                match["came"] == "allowed",
                str(ast.literal_eval(match["method"])),
                ast.literal_eval(match["path"]),
                match["reason"],
                match["rest"].strip(),
            )
    return found
