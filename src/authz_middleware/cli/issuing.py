"""`authz issuer` and `authz token`: tokens for development, from a key kept beside the project."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from authz_middleware.cli.policies import Mistake, read
from authz_middleware.cli.printing import json_option, print_json
from authz_middleware.cli.waiting import wait
from authz_middleware.document import Report, Section
from authz_middleware.errors import PolicyError
from authz_middleware.testing import DevelopmentIssuer
from authz_middleware.testing.page import NO_CLAIMS

__all__ = ["AUDIENCE", "issuer", "issuer_option", "token"]

KEY_FILE: Final = ".authz-development-key.pem"
ISSUER: Final = "http://127.0.0.1:8799"
AUDIENCE: Final = "development"


def issuer_option(*names: str, help: str) -> Callable[..., Any]:  # noqa: A002 - click's name
    """Return `--issuer`, the same for all who speak of the development issuer."""
    return click.option(
        "--issuer",
        *names,
        default=ISSUER,
        show_default=True,
        envvar="AUTHZ_ISSUER",
        show_envvar=True,
        help=help,
    )


_OPTIONS: Final = (
    issuer_option("name", help="The `iss` claim."),
    click.option(
        "--audience",
        show_default=f"what the policy here expects of the issuer, else {AUDIENCE}",
        help="The `aud` claim.",
    ),
    click.option("--algorithm", default="ES256", show_default=True, help="What signs."),
    click.option(
        "--key",
        "file",
        type=click.Path(dir_okay=False, path_type=Path),
        default=KEY_FILE,
        show_default=True,
        help="The private key, in PEM form. It is made if it is not there.",
    ),
)


def _options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command()
@_options
@json_option
def issuer(name: str, audience: str | None, algorithm: str, file: Path, *, as_json: bool) -> None:
    """Run the development identity provider on this machine, until it is interrupted.

    It answers discovery, key and introspection requests, and at `/` there is a page to mint tokens
    by hand, to rotate the key, and to have an outage.

    \b
    Example:
      authz issuer --audience orders-api
    """
    provider = _issuer(name, audience, algorithm, file)
    try:
        with provider.serve(switches=True):
            click.echo(
                f"{provider.issuer}/ mints tokens; Ctrl-C ends it. In the policy:\n", err=True
            )
            table = {"issuer": provider.issuer, "audience": [provider.audience]}
            if as_json:
                print_json({"issuers": [table]})
            else:
                lines = (
                    f"{key} = {json.dumps(value, ensure_ascii=False)}"
                    for key, value in table.items()
                )
                click.echo("\n".join(("[[issuers]]", *lines)))
            wait()
    except (OSError, ValueError) as error:
        raise Mistake(str(error)) from error


@click.command()
@click.option("--subject", default="ann", show_default=True, help="The `sub` claim.")
@click.option("--role", "roles", multiple=True, help="A role; may be given several times.")
@click.option("--scope", "scopes", multiple=True, help="A scope; may be given several times.")
@click.option(
    "--claim",
    "claims",
    multiple=True,
    metavar="NAME=JSON",
    help="One more claim; what is no JSON is text.",
)
@click.option(
    "--lifetime", type=click.IntRange(min=1), default=3600, show_default=True, help="Seconds."
)
@_options
@json_option
def token(
    subject: str,
    roles: tuple[str, ...],
    scopes: tuple[str, ...],
    claims: tuple[str, ...],
    lifetime: int,
    name: str,
    audience: str | None,
    algorithm: str,
    file: Path,
    *,
    as_json: bool,
) -> None:
    """Print a token of the development issuer, which need not run.

    \b
    Example:
      authz token --subject ann --role admin --claim tenant=acme
    """
    more = dict(map(_claim, claims))
    if scopes:
        more["scope"] = " ".join(scopes)
    provider = _issuer(name, audience, algorithm, file)
    minted = provider.mint(subject, roles=roles, lifetime=lifetime, **more)
    if as_json:  # as a token endpoint answers (RFC 6749 §5.1)
        print_json({"access_token": minted, "token_type": "Bearer", "expires_in": lifetime})
    else:
        click.echo(minted)


def _issuer(name: str, audience: str | None, algorithm: str, file: Path) -> DevelopmentIssuer:
    audience = audience or _expected_of(name)
    try:
        return DevelopmentIssuer(name, audience, algorithm=algorithm, key_file=file)
    except OSError as error:
        raise Mistake(f"{file} cannot be read or made: {error.strerror}") from error
    except ValueError as error:
        raise Mistake(str(error)) from error


def _expected_of(name: str) -> str:
    """Return the first audience that the policy here takes from the issuer called `name`."""
    try:
        issuers = Section.top(Report(read(None))).tables("issuers")
    except (Mistake, PolicyError):  # there is none, or not yet one
        return AUDIENCE
    for each in issuers:
        if each.raw("issuer") == name:
            return next(iter(each.texts("audience", one_or_many=True) or ()), AUDIENCE)
    return AUDIENCE


def _claim(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name or name in NO_CLAIMS:
        raise Mistake(f"`{text}` is no claim; write `--claim name=value`")
    try:
        return name, json.loads(value)  # noqa: TID251 - what a developer types
    except ValueError:
        return name, value
