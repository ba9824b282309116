"""The `authz` command: what a policy means, before anything is served."""

from __future__ import annotations

import click

from authz_middleware.cli.attack import attack
from authz_middleware.cli.audit import audit
from authz_middleware.cli.check import check
from authz_middleware.cli.diff import diff
from authz_middleware.cli.explain import explain
from authz_middleware.cli.groups import Sections
from authz_middleware.cli.init import init
from authz_middleware.cli.issuing import issuer, token
from authz_middleware.cli.matrix import matrix
from authz_middleware.cli.pdp import pdp
from authz_middleware.cli.recorded import replay, suggest
from authz_middleware.cli.test import test
from authz_middleware.version import __version__

__all__ = ["main"]


@click.group(cls=Sections, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="authz")
def main() -> None:
    """Write, prove, explain and review a policy."""


# A new command goes into the section of the question that it answers.
main.section("Is the policy right?", check, test)
main.section("What does it say?", matrix, explain, diff)
main.section("What does it mean for the app?", init, audit, attack)
main.section("What would it have decided?", replay, suggest)
main.section("Who calls while you develop?", issuer, token)
main.section("Who decides for others?", pdp)
