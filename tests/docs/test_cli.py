"""The commands on the page about `authz` print what stands below them."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from authz_middleware.analysis.checking import KINDS
from authz_middleware.cli import main
from tests.docs.pages import ROOT, Block, blocks, write

PAGE = ROOT / "docs" / "cli.md"


def told(block: Block) -> list[tuple[str, str]]:
    """Each command of a block, and the lines below it."""
    found: list[tuple[str, str]] = []
    for line in block.text.splitlines(keepends=True):
        if line.startswith("$ "):
            found.append((line[2:].strip(), ""))
        else:
            command, output = found[-1]
            found[-1] = (command, output + line)
    return found


def test_every_command_prints_what_the_page_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AUTHZ_CONFIG", raising=False)
    for block in blocks(PAGE):
        if block.title is not None:
            write(block, folder, block.text)
        elif block.language == "console":
            for command, output in told(block):
                program, *words = shlex.split(command)
                assert program == "authz"
                result = CliRunner().invoke(main, words)
                assert result.output == output, f"{block.place}: {command}"


def test_the_page_has_every_command_and_every_kind() -> None:
    text = PAGE.read_text()
    assert [name for name in main.commands if f"[`authz {name}`](" not in text] == []
    assert [kind for kind in KINDS if f"`{kind}`" not in text] == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_is_told_how_to_complete(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert f"_AUTHZ_COMPLETE={shell}_source authz" in PAGE.read_text()
    # Bash is asked for its version first.
    monkeypatch.setattr("click.shell_completion.BashComplete._check_version", lambda *_: None)
    variables = {"_AUTHZ_COMPLETE": f"{shell}_source"}
    result = CliRunner().invoke(main, prog_name="authz", env=variables)
    assert "_AUTHZ_COMPLETE" in result.output
