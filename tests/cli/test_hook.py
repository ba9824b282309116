"""The hook that other repositories take from this one: which files it takes, and what it runs."""

from __future__ import annotations

import re
import shlex
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.conftest import ISSUER

ROOT = Path(__file__).parents[2]
FILE = ROOT / ".pre-commit-hooks.yaml"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())

GOOD = (
    ISSUER + '[routes]\n"GET /a" = { roles = ["viewer"], when = "context.time.getHours() < 9" }\n'
)


@pytest.fixture
def hook() -> dict[str, Any]:
    (found,) = yaml.safe_load(FILE.read_text())
    return dict(found)


def test_it_is_in_what_is_distributed() -> None:
    assert f"/{FILE.name}" in PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]


def test_it_runs_what_is_installed(hook: dict[str, Any]) -> None:
    program, *words = shlex.split(hook["entry"])
    assert (hook["id"], hook["language"], words) == ("authz-check", "python", ["check"])
    assert [each.name for each in entry_points(group="console_scripts", name=program)] == ["authz"]
    # Conditions and YAML are looked at too.
    (extras,) = hook["additional_dependencies"]
    named = set(extras.removeprefix(".[").removesuffix("]").split(","))
    assert named == set(PROJECT["project"]["optional-dependencies"])


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("authz.toml", True),
        ("services/orders/authz.yml", True),
        ("a/authz.json", True),
        ("authz.yaml", True),
        ("my-authz.toml", False),
        ("authz.toml.bak", False),
        ("authz.audit", False),
        ("authz.py", False),
    ],
)
def test_the_files_that_it_takes(name: str, taken: bool, hook: dict[str, Any]) -> None:
    assert bool(re.search(hook["files"], name)) is taken


@pytest.mark.parametrize(
    ("text", "code"),
    [(GOOD, 0), (GOOD.replace("getHours", "getHuors"), 2), (GOOD + '"/**" = "public"\n', 1)],
    ids=["good", "a mistake", "a warning"],
)
def test_it_is_run_on_them(text: str, code: int, hook: dict[str, Any], authz, folder: Path) -> None:
    for name, held in (("a/authz.toml", GOOD), ("b/authz.toml", text), ("b/other.toml", "x")):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(held)
    files = sorted(str(each.relative_to(folder)) for each in folder.rglob("*.toml"))
    taken = [name for name in files if re.search(hook["files"], name)]
    assert taken == ["a/authz.toml", "b/authz.toml"]
    result = authz(*shlex.split(hook["entry"])[1:], *taken)
    assert result.exit_code == code, result.output
