"""`authz audit`: every route of an app, the rule that decides it, who may call it, and the gaps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click

from authz_middleware.analysis.auditing import FINDINGS, GAPS, Audit
from authz_middleware.analysis.auditing import audit as audited
from authz_middleware.analysis.snapshots import NotASnapshot, changes_since, snapshot
from authz_middleware.cli.policies import FILE, Mistake, completing, unusable, write
from authz_middleware.cli.printing import json_option, print_columns, print_json
from authz_middleware.cli.targets import find_app
from authz_middleware.document import Document
from authz_middleware.errors import PolicyError
from authz_middleware.policy.binding import methods_shown
from authz_middleware.policy.words import printable

__all__ = ["audit"]

FOUND: Final = 1
"""The exit code where policy and app miss each other, or a snapshot is not what it was."""

NEVER: Final = "never"
KINDS: Final = (*FINDINGS, NEVER)

_COLOURS: Final[Mapping[str, str]] = {
    "open": "yellow",
    "guarded": "green",
    "closed": "blue",
    "uncovered": "red",
    "ambiguous": "red",
    "opaque": "red",
}


def _kinds(_context: click.Context, _option: click.Parameter, texts: Iterable[str]) -> list[str]:
    kinds = [kind.strip() for text in texts for kind in text.split(",")]
    for kind in kinds:
        if kind not in KINDS:
            raise click.BadParameter(f"{kind!r} is none of {', '.join(KINDS)}")
    if NEVER in kinds and len(kinds) > 1:
        raise click.BadParameter(f"`{NEVER}` stands alone")
    return kinds or [*GAPS]


@click.command(short_help="Lay the policy against an app's routes.")
@click.argument("app", metavar="MODULE:APP")
@click.option("--policy", type=FILE, help="Lay this policy against APP, guarded or not.")
@click.option(
    "--fail-on",
    multiple=True,
    callback=_kinds,
    metavar="KIND[,KIND]",
    shell_complete=completing((*FINDINGS, NEVER)),
    help=f"What ends it with 1, of {', '.join(FINDINGS)}, or {NEVER}. [default: {','.join(GAPS)}]",
)
@click.option(
    "--snapshot",
    "file",
    type=FILE,
    help="Write who may call what to FILE.",
)
@click.option(
    "--check", is_flag=True, help="Compare with that FILE instead; end with 1 if it is not so."
)
@json_option
def audit(
    app: str,
    policy: str | None,
    fail_on: list[str],
    file: str | None,
    *,
    check: bool,
    as_json: bool,
) -> None:
    """Print which rule decides each route of an app, who may call it, and what is missed.

    A snapshot says the same in lines that change only where somebody may call something else, or
    where another look guards it: not where a rule is moved. Commit it, and check it in CI.

    Ends with 0 if nothing of --fail-on is found and --check finds no change, with 1 if not, with 2
    where APP, its policy or FILE cannot be read.

    \b
    Examples:
      authz audit shop.main:app
      authz audit shop.main:app --fail-on uncovered,dead,wider-rule
      authz audit shop.main:app --snapshot authz.audit
      authz audit shop.main:app --snapshot authz.audit --check
    """
    if check and file is None:
        raise click.UsageError("--check needs --snapshot FILE, with which it compares")
    try:
        found = audited(find_app(app), Document.read(policy) if policy is not None else None)
    except PolicyError as error:
        raise unusable(error) from error
    changes, said = _kept(file, found, check=check) if file is not None else (None, "")
    if as_json:
        print_json(_document(found, changes))
    else:
        if changes is None:
            _print_routes(found)
        else:
            _print_changes(changes)
        _print_findings(found)
        if said:
            click.echo(f"{file}: {said}")
    failed = not found.found.isdisjoint(fail_on) or (check and changes)
    raise SystemExit(FOUND if failed else 0)


def _document(found: Audit, changes: list[str] | None) -> dict[str, Any]:
    document = {
        "routes": [{**asdict(each), "rules": [*map(str, each.rules)]} for each in found.routes],
        "differences": [
            {**asdict(each), "also": [*map(str, each.also)]} for each in found.differences
        ],
        "gaps": [asdict(gap) for gap in found.gaps],
        "notices": [asdict(each) for each in found.notices],
    }
    return document if changes is None else {**document, "changes": changes}


# --- The snapshot ---


def _kept(file: str, found: Audit, *, check: bool) -> tuple[list[str], str]:
    """Return what differs from the snapshot in `file`, which is written unless to `check`."""
    path = Path(file)
    try:
        if not check and not path.exists():
            write(file, snapshot(found))
            return [], "written"
        changes = changes_since(path.read_bytes().decode(errors="replace"), found)
        if changes and not check:
            write(file, snapshot(found))
            return changes, "written anew"
    except NotASnapshot as error:
        raise Mistake(f"{file} is no snapshot: {error}") from error
    except OSError as error:
        hint = "; without --check it is written" if check else ""
        raise Mistake(f"{file} cannot be read: {error.strerror}{hint}") from error
    said = "changed; if that is meant, write it again without --check" if changes else "unchanged"
    return changes, said


def _print_changes(changes: Iterable[str]) -> None:
    for line in map(printable, changes):
        click.secho(line, fg={"+": "green", "-": "red"}.get(line[:1]))


# --- For people ---


def _print_routes(found: Audit) -> None:
    lines = [("METHODS", "ROUTE", "RULE", "WHO", "LOOKS", "STATE")]
    for each in found.routes:
        path = f"{each.route} (as {each.example})" if each.example else each.route
        rules = " and ".join(map(str, each.rules))
        lines.append(
            (methods_shown(each.methods), each.host + path, rules, each.who, each.looks, each.state)
        )
    last = len(lines[0]) - 1
    print_columns(
        lines,
        lambda place, cell: click.style(cell, fg=_COLOURS[cell]) if place == last else cell,
    )


def _print_findings(found: Audit) -> None:
    for each in found.differences:
        text = f"{each.method} {each.path} is taken by {each.taken}, not by {each.expected}"
        also = f"; it must also meet {' and '.join(map(str, each.also))}" if each.also else ""
        click.secho(f"differs: {printable(text + also)}", fg="yellow")
    for notice in found.notices:
        text = f"{notice.kind}: {notice.about} ({notice.where}): {notice.what}"
        click.secho(printable(text), fg="yellow")
    for gap in found.gaps:
        click.secho(f"{gap.kind}: {printable(str(gap))}", fg="red")
