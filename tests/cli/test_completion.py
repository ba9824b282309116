"""What the shell completes: files where a file is named, and the kinds that there are."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from click.shell_completion import CompletionItem, ShellComplete

from authz_middleware.analysis.auditing import FINDINGS
from authz_middleware.analysis.checking import KINDS
from authz_middleware.cli import main


def completed(*words: str, incomplete: str = "") -> list[CompletionItem]:
    shell = ShellComplete(main, {}, "authz", "_AUTHZ_COMPLETE")
    return shell.get_completions([*words], incomplete)


NAMED = {"log", "html", "junit_file", "file", "files", "output", "token_file"}
NAMED |= {"policy", "policies", "old", "record"}


def files() -> Iterator[tuple[str, ...]]:
    """The words before each place where a file is named."""
    for name, command in main.commands.items():
        for param in command.params:
            if param.name in NAMED:
                yield (name, param.opts[0]) if isinstance(param, click.Option) else (name,)


@pytest.mark.parametrize("words", [*files()], ids=" ".join)
def test_a_file_is_completed(words: tuple[str, ...]) -> None:
    (found,) = completed(*words, incomplete="auth")
    assert (found.value, found.type) == ("auth", "file")


def test_kinds_are_completed() -> None:
    assert [item.value for item in completed("audit", "--fail-on")] == [*FINDINGS, "never"]
    assert [item.value for item in completed("audit", "--fail-on", incomplete="un")] == [
        kind for kind in FINDINGS if kind.startswith("un")
    ]
    assert [item.value for item in completed("check", "--allow")] == [*KINDS]


def test_commands_are_completed() -> None:
    assert [item.value for item in completed(incomplete="au")] == ["audit"]
