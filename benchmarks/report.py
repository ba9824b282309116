"""A run as text, as Markdown and as JSON, and back from JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.figures import Bar, Figure, Group, missed

__all__ = ["Report", "as_json", "as_markdown", "as_text", "from_json", "table", "top"]


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that one run found."""

    head: Mapping[str, str]
    judged: bool
    groups: Sequence[Group]

    @property
    def verdict(self) -> str:
        """One line that says how it went."""
        if not self.judged:
            return "short form: nothing is judged"
        bars = sum(figure.bar is not None for group in self.groups for figure in group.figures)
        return f"{bars - len(missed(self.groups))} bars kept, {len(missed(self.groups))} MISSED"


def _number(value: float, unit: str) -> str:
    if unit in ("B", "req/s", "") or abs(value) >= 1000:
        text = f"{value:,.0f}"
    elif abs(value) >= 100:
        text = f"{value:.0f}"
    else:
        text = f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
    return f"{text} {unit}".rstrip()


def _cells(figure: Figure, *, judged: bool) -> tuple[str, str, str, str]:
    """Return label, value, bar and verdict."""
    label = f"{figure.label} ({figure.note})" if figure.note else figure.label
    if figure.bar is None:
        return label, _number(figure.value, figure.unit), "", ""
    sign = "≤" if figure.bar.sense == "at most" else "≥"
    bar = f"{sign} {_number(figure.bar.limit, figure.unit)}"
    verdict = ("ok" if figure.kept else "MISSED") if judged else "-"
    return label, _number(figure.value, figure.unit), bar, verdict


def as_text(report: Report) -> str:
    """Return the tables as a terminal shows them."""
    tables = [table(group, judged=report.judged) for group in report.groups]
    return "".join([top(report.head), *tables, f"\n{report.verdict}\n"])


def top(head: Mapping[str, str]) -> str:
    """Return the head of a report as a terminal shows it."""
    return "".join(f"{name}: {value}\n" for name, value in head.items())


def table(group: Group, *, judged: bool) -> str:
    """Return the table of one group as a terminal shows it."""
    rows = [_cells(figure, judged=judged) for figure in group.figures]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(4)]
    lines = ["", group.title, "=" * len(group.title)]
    lines += [
        f"{label:<{widths[0]}}  {value:>{widths[1]}}  {bar:>{widths[2]}}  {verdict}".rstrip()
        for label, value, bar, verdict in rows
    ]
    return "\n".join([*lines, *group.notes]) + "\n"


def as_markdown(report: Report) -> str:
    """Return the tables as a page of the documentation has them."""
    lines = [f"- {name}: {value}" for name, value in report.head.items()]
    lines += ["", f"**{report.verdict[0].upper()}{report.verdict[1:]}.**"]
    for group in report.groups:
        lines += [
            "",
            f"### {group.title}",
            "",
            "| | measured | bar | |",
            "| --- | ---: | ---: | --- |",
        ]
        for figure in group.figures:
            label, value, bar, verdict = _cells(figure, judged=report.judged)
            verdict = f"**{verdict}**" if verdict == "MISSED" else verdict
            lines.append(f"| {label} | {value} | {bar} | {verdict} |")
        for note in group.notes:
            lines += ["", note]
    return "\n".join(lines) + "\n"


def as_json(report: Report) -> str:
    """Return everything, for `from_json` and for other programs."""
    return json.dumps(asdict(report), indent=2, ensure_ascii=False) + "\n"


def from_json(text: str) -> Report:
    """Return the report that `as_json` wrote."""
    found: dict[str, Any] = json.loads(text)
    groups = [
        Group(
            group["name"],
            group["title"],
            [
                Figure(**{**figure, "bar": Bar(**figure["bar"]) if figure["bar"] else None})
                for figure in group["figures"]
            ],
            group["notes"],
        )
        for group in found["groups"]
    ]
    return Report(found["head"], found["judged"], groups)
