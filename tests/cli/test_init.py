"""`authz init`: the file that it writes serves the app it was written for."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from authz_middleware.cli import main

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(main, words)


@pytest.mark.parametrize("app", ["bare()", "shop()", "wrapped"])
def test_what_it_writes_leaves_no_gap(folder: Path, app: str) -> None:
    written = run("init", f"tests.cli.apps:{app}", "--issuer", "https://login.example.com")
    assert (written.exit_code, "authz.toml is written" in written.output) == (0, True)
    assert 'issuer = "https://login.example.com"' in (folder / "authz.toml").read_text()
    audited = run("audit", "tests.cli.apps:bare()", "--policy", "authz.toml", "--json")
    found = json.loads(audited.output)
    assert (audited.exit_code, found["gaps"]) == (0, [])
    assert {row["state"] for row in found["routes"]} == {"closed"}


def test_a_file_that_is_there_is_left_alone(folder: Path) -> None:
    (folder / "authz.toml").write_text("mine")
    result = run("init", "tests.cli.apps:bare()")
    assert (result.exit_code, (folder / "authz.toml").read_text()) == (2, "mine")
    assert "name another file with --output" in result.output


def test_a_folder_that_is_not_there() -> None:
    result = run("init", "tests.cli.apps:bare()", "-o", "nowhere/authz.toml")
    assert result.exit_code == 2
    assert "nowhere/authz.toml cannot be written" in result.output


def test_standard_output(folder: Path) -> None:
    result = run("init", "tests.cli.apps:bare()", "-o", "-")
    assert '"GET /health" = "deny"' in result.stdout
    assert [*folder.iterdir()] == []
