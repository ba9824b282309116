"""The counts for every file of vectors, and the table that docs/conformance.md shows."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from tests.conformance.judging import VECTORS, Row, judged

__all__ = ["rows", "table"]

_HEAD = (
    "| Vectors | Judged | As published | Otherwise | Why otherwise |\n"
    "| --- | ---: | ---: | ---: | --- |\n"
)


@cache
def rows(folder: Path) -> tuple[Row, ...]:
    """Judge all vectors; the same for everybody who asks in one process."""
    return tuple(judged(vectors, folder) for vectors in VECTORS)


def table(found: tuple[Row, ...]) -> str:
    """Return the report as a Markdown table, the sum in its last line."""
    sums = [sum(counts) for counts in zip(*(row[1:4] for row in found), strict=True)]
    lines = [
        f"| {row.name} | {row.judged:,} | {row.published:,} | {row.otherwise:,} | {row.why} |"
        for row in found
    ]
    lines.append("| **All** | {:,} | {:,} | {:,} | |".format(*sums))
    return _HEAD + "\n".join(lines) + "\n"
