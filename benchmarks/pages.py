"""Writes a run into the documentation: the tables between two marks, and the chart beside them."""

from __future__ import annotations

from pathlib import Path

from benchmarks.chart import svg
from benchmarks.report import Report, as_markdown

__all__ = ["BEGIN", "END", "caption", "replaced", "write"]

DOCS = Path(__file__).parent.parent / "docs"
BEGIN = "<!-- begin: python -m benchmarks --write-docs -->"
END = "<!-- end -->"


def write(report: Report, docs: Path = DOCS) -> None:
    """Write `performance.md` and `performance.svg` anew from a report."""
    page = docs / "performance.md"
    page.write_text(replaced(page.read_text("utf-8"), as_markdown(report)), encoding="utf-8")
    (docs / "performance.svg").write_text(svg(report.groups, caption(report)), encoding="utf-8")


def replaced(page: str, tables: str) -> str:
    """Return the page with `tables` between its marks; raises ValueError if it has none."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks {BEGIN} or {END}")
    return f"{before}{BEGIN}\n\n{tables}\n{END}{after}"


def caption(report: Report) -> str:
    """Return what the chart says below its title."""
    python = report.head.get("Python", "").partition(",")[0]
    return f"RS256, 100 rules; the app's own time is not in it. {python}"
