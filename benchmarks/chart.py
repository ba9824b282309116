"""The chart: what each system adds to a request, as SVG, without a plotting library."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from benchmarks.figures import Figure, Group

__all__ = ["svg"]

WIDTH = 760
LEFT = 316  # where the bars begin
RIGHT = 90  # room for the text behind the longest
BAR = 16
GAP = 6
TOP = 84

STYLE = """
.card { fill: #ffffff; } .text { fill: #1f2328; } .dim { fill: #59636e; }
.peer { fill: #8c959f; } .ours { fill: #0969da; } .axis { stroke: #d1d9e0; }
text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; }
.title { font-size: 16px; font-weight: 600; }
.section { font-weight: 600; }
@media (prefers-color-scheme: dark) {
  .card { fill: #0d1117; } .text { fill: #f0f6fc; } .dim { fill: #9198a1; }
  .peer { fill: #656c76; } .ours { fill: #4493f8; } .axis { stroke: #3d444d; }
}
"""

SECTIONS = (
    ("hot", "Token seen before"),
    ("cold", "Token never seen"),
)


def svg(groups: Sequence[Group], caption: str) -> str:
    """Return the chart of every figure that has a series; it has a background of its own."""
    sections = [
        (title, sorted(found, key=lambda figure: figure.value))
        for series, title in SECTIONS
        if (found := [each for group in groups for each in group.figures if each.series == series])
    ]
    longest = max((each.value for _, found in sections for each in found), default=1.0)
    scale = (WIDTH - LEFT - RIGHT) / longest
    parts: list[str] = []
    y = TOP
    for title, found in sections:
        parts.append(f'<text class="text section" x="16" y="{y}">{escape(title)}</text>')
        y += 12
        top = y
        for figure in found:
            parts += _bar(figure, y, scale)
            y += BAR + GAP
        parts.append(f'<line class="axis" x1="{LEFT}" y1="{top}" x2="{LEFT}" y2="{y - GAP}"/>')
        y += 28
    height = y + 4
    title = "Added to each request, in microseconds"
    return "\n".join(
        [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
                f' width="{WIDTH}" height="{height}" role="img" aria-labelledby="title">'
            ),
            f'<title id="title">{title}</title>',
            f"<style>{STYLE}</style>",
            f'<rect class="card" width="{WIDTH}" height="{height}" rx="6"/>',
            f'<text class="text title" x="16" y="30">{title}</text>',
            f'<text class="dim" x="16" y="52">{escape(caption)}</text>',
            *parts,
            "</svg>",
            "",
        ]
    )


def _bar(figure: Figure, y: int, scale: float) -> list[str]:
    width = max(1.0, figure.value * scale)
    middle = y + BAR - 4
    kind = "ours" if figure.ours else "peer"
    label = escape(figure.label.removeprefix("RS256: "))
    value = f"{figure.value:.1f}" if figure.value < 100 else f"{figure.value:.0f}"
    return [
        f'<text class="text" x="{LEFT - 8}" y="{middle}" text-anchor="end">{label}</text>',
        f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2"/>',
        f'<text class="dim" x="{LEFT + width + 6:.1f}" y="{middle}">{value}</text>',
    ]
