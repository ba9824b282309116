"""`authz test`: the policy's own tests, what they do not touch, and what they would not miss."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

import click

from authz_middleware.cli.junit import junit
from authz_middleware.cli.policies import FILE, policy_argument, read, unusable, write
from authz_middleware.cli.printing import json_option, print_json
from authz_middleware.cli.progress import Told
from authz_middleware.errors import PolicyError
from authz_middleware.policy.words import printable
from authz_middleware.runtime.authz import NOT_ASKED, Authz
from authz_middleware.testing import PolicyTestReport, PolicyTestResult, run_policy_tests

__all__ = ["test"]

FAILED: Final = 1
"""The exit code where a test fails, or nothing is tested."""


@click.command(short_help="Run the policy's own tests.")
@policy_argument
@click.option(
    "--tests",
    "-t",
    "files",
    multiple=True,
    type=FILE,
    help="Also run these [[tests]].",
)
@click.option("--mutate", is_flag=True, help="Say what no test would miss if it were deleted.")
@click.option(
    "--strict", is_flag=True, help="End with 1 for untouched rules, and for what no test misses."
)
@click.option("--junit", "junit_file", type=FILE, help="Write the results as JUnit XML.")
@json_option
def test(
    policy: str | None,
    files: tuple[str, ...],
    junit_file: str | None,
    *,
    mutate: bool,
    strict: bool,
    as_json: bool,
) -> None:
    """Run the [[tests]] of POLICY, and those of other files.

    A request that does not come out as its test says is a FAIL, one whose path is ambiguous an
    ERROR. Rules that no test touches are listed. With --mutate each requirement is tried with one
    thing less; where no test fails, nothing holds that thing in place.

    Nothing is fetched and no token is needed. Ends with 0 if all tests pass, with 1 if one does not
    or there is none, with 2 if the policy or the tests cannot be loaded.

    \b
    Examples:
      authz test
      authz test authz.toml --tests more.toml --mutate --junit report.xml
    """
    try:
        authz = Authz(read(policy), loaders=NOT_ASKED)
        report = run_policy_tests(
            authz, tests=files, mutate=mutate, progress=Told("mutate", quiet=as_json)
        )
    except PolicyError as error:
        raise unusable(error) from error
    if junit_file is not None:
        write(junit_file, junit(report, authz.source))
    if as_json:
        print_json(_document(report))
    else:
        _print(report, mutate=mutate)
    missed = strict and (report.untouched or report.unnoticed)
    raise SystemExit(0 if report.ok and report.results and not missed else FAILED)


def _document(report: PolicyTestReport) -> dict[str, Any]:
    return {
        "counts": report.counts,
        "results": [asdict(each) for each in report.results],
        "rules": report.rules,
        "untouched": [asdict(each) for each in report.untouched],
        "unnoticed": [
            {"rule": asdict(rule), "dropped": dropped} for rule, dropped in report.unnoticed
        ],
    }


def _print(report: PolicyTestReport, *, mutate: bool) -> None:
    for result in report.results:
        if result.outcome != "PASS":
            _print_failed(result)
    for rule in report.untouched:
        label, where = click.style("untouched", fg="yellow"), printable(rule.where)
        click.echo(f"{where}: {label}: {printable(rule.key)}")
    for rule, dropped in report.unnoticed:
        label = click.style("unnoticed", fg="yellow")
        said = printable(f"{rule.key} without {dropped} fails no test")
        click.echo(f"{printable(rule.where)}: {label}: {said}")
    counts = report.counts
    colours = {"PASS": "green", "FAIL": "red", "ERROR": "red"}
    click.echo(
        ", ".join(
            click.style(f"{number} {outcome}", fg=colours[outcome] if number else None)
            for outcome, number in counts.items()
        )
    )
    click.echo(f"{report.rules - len(report.untouched)} of {report.rules} rules touched")
    if mutate and report.results and not report.unnoticed:
        click.echo("nothing can be deleted from a tested rule without a test that fails")
    if not report.results:
        click.secho("there are no [[tests]]: nothing was tried", fg="red")


def _print_failed(result: PolicyTestResult) -> None:
    label = click.style(result.outcome, fg="red", bold=True)
    said = printable(f"{result.request} as {result.caller}")
    click.echo(f"{printable(result.where)}: {label}: {said}")
    click.echo(f"    expected  {click.style(printable(result.expected), fg='green')}")
    click.echo(f"    got       {click.style(printable(result.got), fg='red')}")
    for line in result.explanation.splitlines():
        click.echo(f"    {printable(line)}")
