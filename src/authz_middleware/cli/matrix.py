"""`authz matrix`: who may do what, in the terminal, as CSV or JSON, or as one page of HTML."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import asdict
from typing import Any, Final

import click

from authz_middleware.analysis.tabulating import UnknownRole, tabulate, tabulate_app
from authz_middleware.cli.matrix_page import page
from authz_middleware.cli.policies import FILE, Mistake, policy_argument, read, unusable, write
from authz_middleware.cli.printing import json_option, print_columns
from authz_middleware.cli.progress import Told
from authz_middleware.cli.targets import find_app
from authz_middleware.document import Document
from authz_middleware.errors import PolicyError
from authz_middleware.policy.binding import methods_shown
from authz_middleware.policy.table import Cell, Table
from authz_middleware.policy.words import printable
from authz_middleware.progress import Progress

__all__ = ["matrix"]

_COLOURS: Final = {"yes": "green", "no": "bright_black", "if": "yellow"}


@click.command(short_help="Show who may do what, as a table.")
@policy_argument
@click.option("--app", metavar="MODULE:APP", help="Rows are the routes of this app.")
@click.option("--role", "roles", multiple=True, metavar="ROLE", help="Only these roles.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option("--html", type=FILE, help="Write one page that needs nothing else.")
@json_option
def matrix(
    policy: str | None,
    app: str | None,
    roles: tuple[str, ...],
    html: str | None,
    *,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Show who may do what: a row for each route, a column for each role.

    Paths that are decided alike are one row. A cell says yes, no, or if, with what else must hold:
    scopes, conditions, step-up, what a token itself must bring. A caller in a column has that role
    and what it inherits, and no other; roles that only together may something are named in the row.

    With --app it is laid against the routes of an app instead: POLICY, or that of the app's guard.

    The page of --html is for a review: it filters, tells why, prints, and loads nothing.

    \b
    Examples:
      authz matrix
      authz matrix authz.toml --role editor --role admin
      authz matrix authz.toml --html matrix.html
      authz matrix --app shop.main:app
    """
    if sum((as_csv, as_json, html is not None)) > 1:
        raise click.UsageError("give one of --csv, --html, --json")
    try:
        found, source = _table(policy, app, roles, Told("matrix", quiet=as_json))
    except PolicyError as error:
        raise unusable(error) from error
    except UnknownRole as error:
        raise Mistake(str(error)) from error
    if html is not None:
        write(html, page(found, source))
        click.echo(f"{html}: {len(found.rows)} routes, {len(found.columns)} callers")
    elif as_json:
        # Without an indent, which only the slow encoder of json knows: a table may be large.
        click.echo(json.dumps(_document(found)))
    elif as_csv:
        _print_csv(found)
    else:
        _print(found)


def _table(
    policy: str | None, app: str | None, roles: tuple[str, ...], progress: Progress
) -> tuple[Table, str]:
    """Return the table, and what its policy or its app is called."""
    asked = roles or None
    if app is None:
        document = read(policy)
        return tabulate(document, asked, progress=progress), document.source
    laid = None if policy is None else Document.read(policy)
    return tabulate_app(find_app(app), laid, asked, progress=progress), app


def _document(found: Table) -> dict[str, Any]:
    return {
        "columns": found.columns,
        "rows": [
            {
                "route": row.route,
                "methods": row.methods,
                "example": row.example,
                "rules": [asdict(rule) for rule in row.rules],
                "cells": [cell._asdict() for cell in row.cells],
                "together": row.together,
            }
            for row in found.rows
        ],
    }


def _print_csv(found: Table) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    head = ["methods", "route", "example", "rules", "together", *found.columns]
    writer.writerow(map(_no_formula, head))
    for row in found.rows:
        rules = " and ".join(map(str, row.rules))
        cells = [f"if {cell.why}" if cell.may == "if" else cell.may for cell in row.cells]
        together = " or ".join(row.together)
        texts = [methods_shown(row.methods), row.route, row.example, rules, together, *cells]
        writer.writerow(map(_no_formula, texts))


def _no_formula(text: str) -> str:
    """Return `text` as a spreadsheet shows it, and does not compute it (OWASP, CSV injection)."""
    return printable(f"'{text}" if text.startswith(("=", "+", "-", "@")) else text)


def _print(found: Table) -> None:
    notes: dict[str, int] = {}
    lines = [("METHODS", "ROUTE", *found.columns)]
    for row in found.rows:
        cells = (_cell(cell, notes) for cell in row.cells)
        lines.append((methods_shown(row.methods), row.shown, *cells))
    print_columns(lines, _coloured)
    for why, number in notes.items():
        click.echo(f"[{number}] {printable(why)}")
    for row in found.rows:
        for roles in row.together:
            click.echo(printable(f"{methods_shown(row.methods)} {row.route}: also {roles}"))


def _coloured(place: int, cell: str) -> str:
    return cell if place < 2 else click.style(cell, fg=_COLOURS[cell.partition("[")[0].strip()])


def _cell(cell: Cell, notes: dict[str, int]) -> str:
    return f"if[{notes.setdefault(cell.why, len(notes) + 1)}]" if cell.may == "if" else cell.may
