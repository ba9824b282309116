"""What commands print: columns, and JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import click

from authz_middleware.policy.words import printable

__all__ = ["json_option", "print_columns", "print_json"]

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")

WIDEST: Final = 72
"""Characters that a column is filled up to: one long route must not stretch all lines."""


def print_json(document: object) -> None:
    """Print one document, in ASCII."""
    click.echo(json.dumps(document, indent=2))


def print_columns(
    lines: Iterable[Sequence[str]], style: Callable[[int, str], str] = lambda _, cell: cell
) -> None:
    """Print `lines` in columns, of which the first is the head; `style` colours a cell."""
    shown = [[printable(cell) for cell in line] for line in lines]
    widths = [min(WIDEST, max(map(len, column))) for column in zip(*shown, strict=True)]
    widths[-1] = 0  # nothing stands behind it
    head, *rows = [
        [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)] for cells in shown
    ]
    click.secho("  ".join(head).rstrip(), bold=True)
    for cells in rows:
        click.echo("  ".join(style(place, cell) for place, cell in enumerate(cells)).rstrip())
