"""What the `authz` command says of the policy of the demonstration, before anything is asked."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["COMMANDS", "CommandFailed", "show"]

# With the exit status of each: a caller that is refused ends `explain` with 1.
COMMANDS: Mapping[str, int] = {
    "authz check --allow keys-over-http": 0,
    "authz test": 0,
    "authz matrix": 0,
    "authz explain DELETE /articles/1 --as viewer": 1,
}


class CommandFailed(Exception):
    """A command that ended with another status than it should; the text says which, and why."""


def show(folder: Path, commands: Mapping[str, int] = COMMANDS) -> None:
    """Run the commands where `authz.toml` stands, and print them with their output."""
    for command, status in commands.items():
        arguments = shlex.split(command)[1:]
        done = subprocess.run(
            [sys.executable, "-m", "authz_middleware.cli", *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != status:
            raise CommandFailed(
                f"`{command}` ended with {done.returncode}\n{done.stdout}{done.stderr}"
            )
        print(f"$ {command}\n{done.stdout}")
