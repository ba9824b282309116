"""Every code block of the documentation does what the text around it says."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from authz_middleware import Authz, PolicyError
from authz_middleware.testing import run_policy_tests
from tests.docs.pages import ROOT, Block, blocks, page_ids, pages, write

BASE_ISSUER = {
    "issuer": "https://login.example.com",
    "audience": ["orders-api"],
    # A route may then ask for permissions that the fragment's roles do not bring.
    "claims": {"permissions": "permissions"},
}


LOADERS: dict[str, Any] = {"article": lambda params: {}}
"""What fragments name in `load`."""


def completed(fragment: dict[str, Any]) -> dict[str, Any]:
    """A fragment with the issuer that a policy cannot do without."""
    issuers = fragment.get("issuers", [{}])
    return {**fragment, "issuers": [{**BASE_ISSUER, **issuer} for issuer in issuers]}


def load(block: Block, folder: Path) -> None:
    if block.mark is None:
        file = folder / (block.title or "authz.toml")
        file.write_text(block.text)
        if {*tomllib.loads(block.text)} == {"tests"}:
            # Whether they pass is for the page to say.
            assert run_policy_tests(folder / "authz.toml", tests=[file]).results
            return
        report = run_policy_tests(file)
        assert report.ok, f"{block.place}\n{report}"
        return
    policy = completed(tomllib.loads(block.text))
    if block.mark == "fragment":
        Authz.from_mapping(policy, loaders=LOADERS)
        return
    with pytest.raises(PolicyError) as caught:
        Authz.from_mapping(policy, loaders=LOADERS)
    assert block.expected, f"{block.place} does not say why it is refused"
    assert block.expected in str(caught.value), block.place


@pytest.mark.parametrize("page", pages(), ids=page_ids())
def test_a_page_runs_from_top_to_bottom(page: Path, folder: Path):
    # Not the name of a folder here, which older Flasks would take for the app's package.
    names: dict[str, Any] = {"__name__": "a_page"}
    for block in blocks(page):
        if block.language == "python":
            # As a reader's file has it; it says where a failure is.
            code = compile(block.text, block.place, "exec", dont_inherit=True)
            if block.title is None:
                exec(code, names)
        elif block.language == "toml" and block.mark != "added":
            load(block, folder)
        elif block.language == "json":
            json.loads(block.text)
        if block.title is not None:
            path = write(block, folder, block.text)
            if block.title.startswith("authz."):
                assert run_policy_tests(path).ok, block.place


# What a reader runs. Those of the quickstarts are really run, by test_quickstart.py.
SERVERS = {"flask", "gunicorn", "litestar", "quart", "uvicorn"}
SHELL = {".", "cat", "curl", "git", "kill", "printf", "sed"}
COMMANDS = {"authz", "django-admin", "pytest", "python", "tox", *SERVERS, *SHELL}


@pytest.mark.parametrize("page", pages(), ids=page_ids())
def test_a_command_exists(page: Path):
    for block in blocks(page):
        if block.language != "console":
            continue
        for line in block.text.splitlines():
            if not line.startswith("$ "):
                continue
            for command in line[2:].split(" && "):
                program, *arguments = command.split()
                assert program in COMMANDS, f"{block.place}: {command}"
                if program == "tox" and arguments[:1] == ["-e"]:
                    for environment in arguments[1].split(","):
                        assert_environment(environment)


def assert_environment(name: str) -> None:
    assert f"[testenv:{name}]" in (ROOT / "tox.ini").read_text(), name


def test_readme_wraps_an_app_in_under_fifteen_lines():
    readme = blocks(ROOT / "README.md")
    wrapped = [block for block in readme if "AuthzMiddleware" in block.text]
    assert {"fastapi", "flask"} <= {
        word for block in wrapped for word in ("fastapi", "flask") if word in block.text
    }
    for block in wrapped:
        assert len(block.text.splitlines()) < 15, block.place


def test_readme_names_the_two_commands():
    text = (ROOT / "README.md").read_text()
    assert "python -m pip install tox && tox -e demo\n" in text
    assert "$ tox\n" in text
