"""The table of `authz matrix` as one page of HTML: it loads nothing, and works from a file.

The table is in the page as it is, for screen readers, for print and without scripts. The script
filters it and tells why; style and script are named by their digests, so that nothing else in the
page could run.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Any

from authz_middleware.policy.binding import OTHER
from authz_middleware.policy.table import Row, Table

__all__ = ["page"]


def page(table: Table, source: str) -> str:
    """Return the page; `source` is what the policy is called."""
    style, script = _part("matrix.css"), _part("matrix.js")
    parts = {
        "style": style,
        "style_hash": _digest(style),
        "script": script,
        "script_hash": _digest(script),
        "source": escape(source),
        "rows": str(len(table.rows)),
        "columns": str(len(table.columns)),
        "options": "".join(
            f'<option value="{number}">{escape(name)}</option>'
            for number, name in enumerate(table.columns)
        ),
        "heads": "".join(
            f'<th scope="col" data-column="{number}">{escape(name)}</th>'
            for number, name in enumerate(table.columns)
        ),
        "body": "\n".join(_rows(table)),
        "data": _data(table),
    }
    # In one pass: what a policy holds may look like a place to fill in.
    return re.sub(r"\{(\w+)\}", lambda place: parts[place[1]], _part("matrix.html"))


def _part(name: str) -> str:
    return files("authz_middleware.cli").joinpath(name).read_text("utf-8")


def _digest(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _methods(row: Row) -> str:
    return "|".join("others" if method == OTHER else method for method in row.methods)


def _rows(table: Table) -> Iterator[str]:
    for row in table.rows:
        cells = "".join(
            f'<td class="c {cell.may}" data-may="{cell.may}" data-column="{number}" tabindex="-1">'
            f"{cell.may}</td>"
            for number, cell in enumerate(row.cells)
        )
        together = "".join(f"<small>also {escape(who)}</small>" for who in row.together)
        yield (
            f'<tr><td>{escape(_methods(row))}</td><th scope="row">{escape(row.shown)}{together}'
            f"</th>{cells}</tr>"
        )


def _data(table: Table) -> str:
    """Return what the script tells, as JSON that cannot end its element."""
    whys: dict[str, int] = {}
    rows: list[dict[str, Any]] = [
        {
            "methods": _methods(row),
            "route": row.shown,
            "example": row.example,
            "rules": [str(rule) for rule in row.rules],
            "cells": [whys.setdefault(cell.why, len(whys)) for cell in row.cells],
            "together": row.together,
        }
        for row in table.rows
    ]
    text = json.dumps(
        {"columns": table.columns, "rows": rows, "whys": [*whys]}, separators=(",", ":")
    )
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
