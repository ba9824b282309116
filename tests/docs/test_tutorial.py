"""What the tutorial says of its policy, without servers: whoever changes a word shall see it.

The whole page is followed by test_quickstart.py.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from authz_middleware.cli import main
from tests.docs.followed import WHO, pattern, steps
from tests.docs.pages import ROOT, blocks, write
from tests.missing import missing

PAGE = ROOT / "docs" / "tutorial.md"
OF_THE_POLICY = {"check", "diff", "explain", "matrix", "test", "token"}
"""Commands that need no app."""


def test_what_is_said_of_the_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("git") is None:
        missing("git is not installed")
    monkeypatch.chdir(tmp_path)
    for name, value in WHO.items():
        monkeypatch.setenv(name, value)
    for name in ("AUTHZ_CONFIG", "AUTHZ_ISSUER"):
        monkeypatch.delenv(name, raising=False)
    seen: set[str] = set()
    for command, output, place in said(tmp_path):
        program, *words = shlex.split(command)
        if program == "authz" and words[0] in OF_THE_POLICY:
            words, file = partition(words)
            printed = CliRunner().invoke(main, words).output
            if file:
                (tmp_path / file).write_text(printed)
                printed = ""
            assert re.fullmatch(pattern(output), printed.strip()), (
                f"{place}\n$ {command}\n{printed}"
            )
            seen.add(words[0])
        elif program in ("git", "printf", "sed"):
            subprocess.run(command, shell=True, check=True, cwd=tmp_path)
    assert seen == OF_THE_POLICY


def said(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Yield each command with what it prints, its files written before."""
    for block in blocks(PAGE):
        if block.title is not None:
            write(block, folder, block.text)
        if block.language == "console":
            for command, output in steps(block):
                yield command, output, block.place


def partition(words: list[str]) -> tuple[list[str], str]:
    """Split a command from the file that it is printed into."""
    return (words[:-2], words[-1]) if ">" in words else (words, "")
