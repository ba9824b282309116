"""The `authz` command: what the policy means for an app, before anything is served."""

from __future__ import annotations

import click

from authz_middleware.cli.audit import audit
from authz_middleware.version import __version__

__all__ = ["main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="authz")
def main() -> None:
    """Review what a policy means for an app."""


main.add_command(audit)
