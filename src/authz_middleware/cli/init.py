"""`authz init`: a first policy for an app, written from its own routes."""

from __future__ import annotations

import json
from pathlib import Path

import click

from authz_middleware.analysis import draft
from authz_middleware.analysis.guards import routes_of
from authz_middleware.cli.issuing import AUDIENCE, issuer_option
from authz_middleware.cli.policies import DEFAULT, Mistake
from authz_middleware.cli.printing import json_option, print_json
from authz_middleware.cli.targets import find_app

__all__ = ["init"]


@click.command(short_help="Write a first policy from an app's routes.")
@click.argument("app", metavar="MODULE:APP")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    default=DEFAULT,
    show_default=True,
    help="Where to write it; - is standard output. A file that is there is left alone.",
)
@issuer_option(help="Who issues the tokens.")
@click.option("--audience", default=AUDIENCE, show_default=True, help="What they call the app.")
@json_option
def init(app: str, output: Path, issuer: str, audience: str, *, as_json: bool) -> None:
    """Write a policy for APP in which each of its routes is denied, for you to open.

    Rules are grouped by the first part of their path, and each names what it protects. The issuer
    is the development issuer unless you name yours.

    \b
    Example:
      authz init shop.main:app
    """
    text = draft(routes_of(find_app(app)), issuer=issuer, audience=audience)
    if str(output) == "-":
        click.echo(json.dumps({"file": None, "policy": text}) if as_json else text, nl=as_json)
        return
    try:
        with output.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except FileExistsError:
        raise Mistake(f"{output} is there already; name another file with --output") from None
    except OSError as error:
        raise Mistake(f"{output} cannot be written: {error.strerror}") from error
    if as_json:
        print_json({"file": str(output), "policy": text})
    else:
        click.echo(
            f"{output} is written. `authz audit {app} --policy {output}` shows what it says."
        )
