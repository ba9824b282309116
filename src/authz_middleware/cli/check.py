"""`authz check`: every mistake of a policy, and what looks like one, with its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

import click

from authz_middleware.analysis import check as checked
from authz_middleware.analysis.checking import KINDS
from authz_middleware.cli.policies import FILE, MISTAKE, completing, read
from authz_middleware.cli.printing import json_option, print_json
from authz_middleware.errors import Notice, PolicyError, Problem
from authz_middleware.policy.words import printable

__all__ = ["check"]

FOUND: Final = 1
"""The exit code where the policy is served, and something in it looks like a mistake."""


@click.command(short_help="Find mistakes, and what looks like one.")
@click.argument("policies", nargs=-1, type=FILE, metavar="[POLICY]...")
@click.option(
    "--allow",
    multiple=True,
    metavar="KIND[=NAME]",
    shell_complete=completing(KINDS),
    help="Say nothing of this kind, or of one rule, role or permission of this kind.",
)
@json_option
def check(policies: tuple[str, ...], allow: tuple[str, ...], *, as_json: bool) -> None:
    """Print each mistake in a POLICY, and what looks like one: file, line, column, what to write.

    Errors keep a policy from being served: unknown keys, rules that are never reached, conditions
    that are always the same, weak secrets. Warnings do not: rules wider than the subtree around
    them, roles nobody uses, permissions nobody grants, requirements that nobody or everybody meets.

    Without a POLICY it is the file that AUTHZ_CONFIG names, else ./authz.toml. Ends with 0 if
    nothing is found, with 1 for warnings, with 2 for errors.

    \b
    Examples:
      authz check
      authz check authz.toml --allow "wider-rule=GET /admin/health"
    """
    allowed = _Allowed(allow)
    errors: list[Problem] = []
    warnings: list[Notice] = []
    for policy in policies or (None,):
        try:
            warnings += (each for each in checked(read(policy)) if not allowed.covers(each))
        except PolicyError as error:
            errors += error.problems
    if as_json:
        print_json(_document(errors, warnings))
    else:
        _print(errors, warnings)
    if not errors:
        for text in allowed.unused:
            click.echo(f"--allow {text!r} is not needed: nothing of it was found", err=True)
    raise SystemExit(MISTAKE if errors else FOUND if warnings else 0)


class _Allowed:
    """What `--allow` names: a kind, or a kind and what it is about."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._names: list[tuple[str, str, str]] = []
        self._used: set[str] = set()
        for text in texts:
            kind, _, about = text.partition("=")
            if kind not in KINDS:
                raise click.BadParameter(
                    f"{kind!r} is none of {', '.join(KINDS)}", param_hint="--allow"
                )
            self._names.append((text, kind, about))

    def covers(self, notice: Notice) -> bool:
        for text, kind, about in self._names:
            if kind == notice.kind and about in ("", notice.about):
                self._used.add(text)
                return True
        return False

    @property
    def unused(self) -> list[str]:
        return [text for text, _, _ in self._names if text not in self._used]


def _document(errors: Sequence[Problem], warnings: Sequence[Notice]) -> dict[str, Any]:
    return {
        "errors": [asdict(each) for each in errors],
        "warnings": [asdict(each) for each in warnings],
    }


def _print(errors: Sequence[Problem], warnings: Sequence[Notice]) -> None:
    for problem in errors:
        _line("error", "red", problem)
    for notice in warnings:
        _line(notice.kind, "yellow", notice)
    if errors or warnings:
        counts = [_count(len(errors), "error"), _count(len(warnings), "warning")]
        click.echo(" and ".join(counts) if all(counts) else "".join(counts))
    else:
        click.secho("nothing found", fg="green")


def _line(label: str, colour: str, found: Problem | Notice) -> None:
    fix = f"\n    {printable(found.fix)}" if found.fix else ""
    where, what = printable(found.where), printable(found.what)
    click.echo(f"{where}: {click.style(label, fg=colour)}: {what}{fix}")


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}" if number else ""
