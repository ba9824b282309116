"""The policy that a command is about: its argument, and what is said where it cannot be loaded."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import click

from authz_middleware.document import Document
from authz_middleware.errors import PolicyError
from authz_middleware.policy.words import printable
from authz_middleware.runtime import settings
from authz_middleware.runtime.settings import Settings

__all__ = [
    "FILE",
    "MISTAKE",
    "Mistake",
    "compiled",
    "completing",
    "named",
    "policy_argument",
    "read",
    "unusable",
    "write",
]

MISTAKE: Final = 2
"""The exit code where the question itself is wrong, or the policy cannot be loaded."""

DEFAULT: Final = "authz.toml"

FILE: Final = click.Path(dir_okay=False, readable=False)
"""A file, for the shell to complete; whoever opens it says what is wrong with it."""


def completing(names: Sequence[str]) -> Callable[[object, object, str], list[str]]:
    """Return what completes a word in the shell to one of `names`."""
    return lambda _context, _option, begun: [name for name in names if name.startswith(begun)]


class Mistake(click.ClickException):
    """The question is wrong, or cannot be answered."""

    exit_code = MISTAKE

    def format_message(self) -> str:
        """Return what is said of it; a name that it repeats steers no terminal."""
        return "\n".join(map(printable, self.message.split("\n")))


policy_argument = click.argument("policy", required=False, type=FILE, metavar="[POLICY]")
"""A policy file; without it the one that AUTHZ_CONFIG names, else ./authz.toml."""


def read(policy: str | None) -> Document:
    """Read the policy file that the command line, the environment or the folder names.

    Raises `PolicyError` if it is no document, and `Mistake` if there is none.
    """
    return Document.read(named(policy))


def named(policy: str | None) -> str:
    """Return the path of that file. Raises `Mistake` if there is none."""
    path = policy or os.environ.get("AUTHZ_CONFIG") or DEFAULT
    if policy is None and path == DEFAULT and not Path(path).exists():
        raise Mistake(
            f"there is no {DEFAULT} here: name a policy file, or set AUTHZ_CONFIG to one; "
            "`authz init module:app` writes a first one"
        )
    return path


def compiled(policy: str | None) -> tuple[Document, Settings]:
    """Read and compile the policy, whatever loaders it names. Raises `Mistake` if it cannot be."""
    try:
        document = read(policy)
        return document, settings.load(document)
    except PolicyError as error:
        raise unusable(error) from error


def write(file: str, text: str) -> None:
    """Write what a command was asked to write. Raises `Mistake` if it cannot be."""
    try:
        Path(file).write_text(text, "utf-8", newline="\n")
    except OSError as error:
        raise Mistake(f"{file} cannot be written: {error.strerror}") from error


def unusable(error: PolicyError) -> Mistake:
    """Return what ends a command whose policy cannot be loaded."""
    return Mistake(str(error))
