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

from authz_middleware.policy.binding import methods_shown
from authz_middleware.policy.table import Table
from authz_middleware.policy.words import printable

__all__ = ["page"]


def page(table: Table, source: str) -> str:
    """Return the page; `source` is what the policy is called."""
    style, script = _part("matrix.css"), _part("matrix.js")
    parts = {
        "style": style,
        "style_hash": _digest(style),
        "script": script,
        "script_hash": _digest(script),
        "source": _shown(source),
        "rows": str(len(table.rows)),
        "columns": str(len(table.columns)),
        "options": "".join(
            f'<option value="{number}">{_shown(name)}</option>'
            for number, name in enumerate(table.columns)
        ),
        "heads": "".join(
            f'<th scope="col" data-column="{number}">{_shown(name)}</th>'
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


def _shown(text: str) -> str:
    return escape(printable(text))


def _rows(table: Table) -> Iterator[str]:
    for row in table.rows:
        cells = "".join(
            f'<td class="c {cell.may}" data-may="{cell.may}" data-column="{number}" tabindex="-1">'
            f"{cell.may}</td>"
            for number, cell in enumerate(row.cells)
        )
        together = "".join(f"<small>also {_shown(who)}</small>" for who in row.together)
        yield (
            f"<tr><td>{_shown(methods_shown(row.methods))}</td>"
            f'<th scope="row">{_shown(row.shown)}{together}</th>{cells}</tr>'
        )


def _data(table: Table) -> str:
    """Return what the script tells, as JSON that cannot end its element."""
    whys: dict[str, int] = {}
    rows: list[dict[str, Any]] = [
        {
            "methods": printable(methods_shown(row.methods)),
            "route": printable(row.shown),
            "example": printable(row.example),
            "rules": [printable(str(rule)) for rule in row.rules],
            "cells": [whys.setdefault(cell.why, len(whys)) for cell in row.cells],
            "together": [*map(printable, row.together)],
        }
        for row in table.rows
    ]
    columns = [*map(printable, table.columns)]
    document = {"columns": columns, "rows": rows, "whys": [*map(printable, whys)]}
    text = json.dumps(document, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
