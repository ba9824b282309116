"""`authz pdp`: the policy as a decision point that others ask (OpenID AuthZEN)."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Final

import click

from authz_middleware.cli.policies import FILE, Mistake, named, policy_argument, unusable
from authz_middleware.cli.waiting import wait
from authz_middleware.errors import PolicyError
from authz_middleware.pdp.app import DecisionPoint
from authz_middleware.pdp.server import serving
from authz_middleware.runtime.authz import NOT_ASKED, Authz
from authz_middleware.tokens.key_sources import is_loopback

__all__ = ["pdp"]

PORT: Final = 8798


@click.command()
@policy_argument
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    default=PORT,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="0 is any that is free.",
)
@click.option("--url", help="What others call it, where a proxy with TLS stands in front.")
@click.option("--token-env", metavar="NAME", help="The variable with the secret of who asks.")
@click.option("--token-file", type=FILE, help="A file with such secrets, one a line.")
@click.option("--watch", type=float, metavar="SECONDS", help="Reload a policy that has changed.")
def pdp(
    policy: str | None,
    host: str,
    port: int,
    url: str | None,
    token_env: str | None,
    token_file: str | None,
    watch: float | None,
) -> None:
    """Answer others what the policy decides, by OpenID AuthZEN 1.0, until it is interrupted.

    Whoever asks says who the caller is, and is believed. So it must bring a secret as a bearer
    token; only on a loopback address it may do without. The server speaks plain HTTP: elsewhere a
    proxy with TLS must stand in front, whose name is given as --url.

    No loader can be registered here: what hangs on one is denied.

    \b
    Examples:
      authz pdp authz.toml
      authz pdp authz.toml --host 10.0.0.5 --url https://pdp.example.com --token-env PDP_TOKEN
    """
    tokens = _tokens(token_env, token_file)
    if not is_loopback(host.strip("[]")):
        if tokens is None:
            raise Mistake(f"{host} is no loopback address: name a secret by --token-env or -file")
        if url is None:
            raise Mistake(f"{host} is no loopback address: say by --url what others call it")
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    try:
        authz = Authz.from_file(named(policy), loaders=NOT_ASKED, watch=watch)
        at = f"[{host}]" if ":" in host else host

        def point(bound: int) -> DecisionPoint:
            return DecisionPoint(authz, tokens=tokens, url=url or f"http://{at}:{bound}")

        with serving(point, host, port) as bound:
            click.echo(f"http://{at}:{bound} decides by {authz.source}; Ctrl-C ends it", err=True)
            wait()
    except PolicyError as error:
        raise unusable(error) from error
    except (OSError, TypeError, ValueError) as error:
        raise Mistake(str(error)) from error


def _tokens(variable: str | None, file: str | None) -> list[str] | None:
    """Return the secrets of those who may ask; None if nothing names one. Raises Mistake."""
    if variable is None and file is None:
        return None
    texts: list[str] = []
    if variable is not None:
        text = os.environ.get(variable, "")
        if not text.strip():
            raise Mistake(f"the variable {variable} is not set, or empty")
        texts += text.split()
    if file is not None:
        try:
            texts += Path(file).read_text("ascii").split()
        except (OSError, ValueError) as error:
            what = getattr(error, "strerror", None) or "not ASCII"
            raise Mistake(f"{file} cannot be read: {what}") from None
    return texts
