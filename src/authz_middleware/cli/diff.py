"""`authz diff`: which rights another policy gives and takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Final, Literal

import click

from authz_middleware.analysis import Comparison, compare
from authz_middleware.cli.policies import FILE, unusable
from authz_middleware.cli.printing import json_option, print_json
from authz_middleware.cli.progress import Told
from authz_middleware.cli.revisions import read_revision
from authz_middleware.errors import PolicyError
from authz_middleware.policy.binding import methods_shown
from authz_middleware.policy.changes import Changed
from authz_middleware.policy.needs import Verdict
from authz_middleware.policy.words import printable

__all__ = ["diff"]

WIDENED: Final = 1
"""The exit code where somebody may do more, or might."""

_SIGNS: Final = {True: "yes", None: "maybe", False: "no"}


@click.command(short_help="Say which rights another policy gives and takes.")
@click.argument("old", type=FILE)
@click.argument("new", type=FILE)
@click.option("--markdown", is_flag=True, help="Print Markdown, for a comment on a pull request.")
@json_option
@click.option(
    "--fail-on",
    type=click.Choice(["widened", "changed", "never"]),
    default="widened",
    show_default=True,
    help="What ends it with 1.",
)
def diff(
    old: str,
    new: str,
    fail_on: Literal["widened", "changed", "never"],
    *,
    markdown: bool,
    as_json: bool,
) -> None:
    """Compare two policies: not their lines, but who may do what.

    OLD and NEW are files, or files of a revision of git (main:authz.toml). Compared are anonymous
    callers, any valid token, each role, and roles together, on every path and method that the two
    could tell apart. That is exact over roles, issuers, permissions, scopes and step-up. Where two
    conditions stand against each other nobody can tell; that is said, and counts as given.

    Ends with 0 if nobody may do more, with 1 if somebody may or might, with 2 if a policy cannot be
    loaded.

    \b
    Examples:
      authz diff main:authz.toml authz.toml
      authz diff old.toml new.toml --markdown --fail-on never
    """
    try:
        found = compare(
            read_revision(old), read_revision(new), progress=Told("diff", quiet=as_json)
        )
    except PolicyError as error:
        raise unusable(error) from error
    if as_json:
        print_json(_document(found))
    elif markdown:
        click.echo("\n".join(_markdown(found)))
    else:
        _print(found)
    changed = bool(found.rights or found.issuers)
    failed = {"widened": found.widened, "changed": changed, "never": False}[fail_on]
    raise SystemExit(WIDENED if failed else 0)


def _document(found: Comparison) -> dict[str, Any]:
    return {
        "widened": found.widened,
        "rights": [
            {**asdict(each), "gained": _SIGNS[each.gained], "lost": _SIGNS[each.lost]}
            for each in found.rights
        ],
        "issuers": [asdict(each) for each in found.issuers],
    }


def _print(found: Comparison) -> None:
    if not found.rights and not found.issuers:
        click.secho("nobody may do more or less", fg="green")
        return
    for each in found.rights:
        sign, colour = _sign(each)
        text = printable(f"{_what(each)}: {', '.join(each.callers)}")
        click.echo(f"{click.style(sign, fg=colour, bold=True)} {text}")
        click.echo(printable(f"    was {each.before}{_where(each.old_rule)}"))
        click.echo(printable(f"    is  {each.after}{_where(each.new_rule)}"))
        if _unsure(each):
            click.secho("    whether that is more or less hangs on the conditions", fg="yellow")
    for issuer in found.issuers:
        sign, colour = ("+", "red") if issuer.widened else ("-", "green")
        text = printable(f"{issuer.issuer}: {issuer.what}")
        click.echo(f"{click.style(sign, fg=colour, bold=True)} {text}")
    click.echo(_summary(found))


def _sign(each: Changed) -> tuple[str, str]:
    if each.gained is False:
        return "-", "green"
    return ("+", "red") if each.lost is False else ("±", "red")


def _unsure(each: Changed) -> bool:
    return None in (each.gained, each.lost)


def _what(each: Changed) -> str:
    # Of a subtree the change may be of a part only.
    shown = f" (as {each.example})" if each.route.endswith("**") else ""
    return f"{methods_shown(each.methods)} {each.route}{shown}"


def _where(rule: object) -> str:
    return f", by {rule}" if rule is not None else ""


def _counted(found: Comparison, *values: Verdict) -> int:
    return sum(each.gained in values for each in found.rights)


def _summary(found: Comparison) -> str:
    lost = sum(each.lost is True for each in found.rights)
    parts = [f"{_counted(found, True)} gained", f"{lost} lost"]
    if unsure := sum(map(_unsure, found.rights)):
        parts.append(f"{unsure} that hang on conditions")
    return ", ".join(parts)


# --- Markdown ---


def _markdown(found: Comparison) -> Iterator[str]:
    if not found.rights and not found.issuers:
        yield "**Rights:** nobody may do more or less."
        return
    warning = " :warning: somebody may do more" if found.widened else ""
    yield f"**Rights:** {_summary(found)}.{warning}"
    if found.rights:
        yield ""
        yield "| | Who | What | Before | After |"
        yield "| --- | --- | --- | --- | --- |"
        for each in found.rights:
            cells = (
                _sign(each)[0] + (" ?" if _unsure(each) else ""),
                ", ".join(each.callers),
                _what(each),
                each.before,
                each.after,
            )
            yield f"| {' | '.join(map(_escaped, cells))} |"
    if found.issuers:
        yield ""
        for issuer in found.issuers:
            yield f"- {_escaped(issuer.issuer)}: {_escaped(issuer.what)}"


def _escaped(text: str) -> str:
    """Return `text` as Markdown shows it, whatever is in it."""
    text = text.replace("`", "")
    for sign in "\\|<>[]*_@#!":
        text = text.replace(sign, f"\\{sign}")
    return printable(" ".join(text.split()))
