"""Each command shows examples that run, prints JSON for programs, and ends as the page says."""

from __future__ import annotations

import inspect
import json
import logging
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import pytest

from authz_middleware.cli import main
from authz_middleware.testing import DevelopmentIssuer
from tests.cli.conftest import ISSUER

POLICY = ISSUER + (
    '[roles]\nviewer = []\neditor = { inherits = ["viewer"] }\nadmin = []\ncustomer = []\n'
    '[routes]\n"GET /articles/<int:id>" = ["viewer"]\n"PUT /articles/<int:id>" = ["editor"]\n'
    '"GET /me" = "authenticated"\n"GET /admin/users" = ["admin"]\n'
    '"DELETE /items/<int:id>" = ["admin"]\n'
    '[[tests]]\nas = { subject = "ann", roles = ["viewer"] }\nallow = ["GET /articles/1"]\n'
)
SHOP = """
from flask import Flask
from authz_middleware import Authz, WSGIAuthzMiddleware

def create_app():
    app = Flask("shop", static_folder=None)
    app.add_url_rule("/articles/<int:id>", "article", lambda id: "x", methods=["GET", "PUT"])
    app.add_url_rule("/me", "me", lambda: "me")
    app.add_url_rule("/admin/users", "users", lambda: "users")
    app.add_url_rule("/items/<int:id>", "items", lambda id: "x", methods=["DELETE"])
    return app

app = create_app()
app.wsgi_app = WSGIAuthzMiddleware(app.wsgi_app, Authz.from_mapping({
    "issuers": [{"issuer": "https://login.example.com", "audience": ["orders"]}],
    "routes": {"GET /admin/users": ["admin"], "DELETE /items/<int:id>": ["admin"]},
}))
"""
RECORD: dict[str, Any] = {
    "id": "6c1f7a",
    "at": 1_795_000_000,
    "allowed": False,
    "reason": "role_missing",
    "rule": "PUT /articles/<int:id>",
    "kind": "http",
    "method": "PUT",
    "path": "/articles/1",
    "asked": "",
    "subject": "bob",
    "issuer": "https://login.example.com",
    "roles": ["viewer"],
    "permissions": [],
    "scopes": [],
}


@pytest.fixture(autouse=True)
def files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the examples name: policies, an app, a record, a token, a revision."""
    for name in ("authz.toml", "old.toml", "new.toml", "next.toml"):
        (folder / name).write_text(POLICY)
    (folder / "more.toml").write_text(POLICY[POLICY.index("[[tests]]") :])
    (folder / "shop").mkdir()
    (folder / "shop" / "__init__.py").touch()
    (folder / "shop" / "main.py").write_text(SHOP)
    (folder / "decisions.jsonl").write_text(json.dumps(RECORD) + "\n")
    (folder / "token.txt").write_text(DevelopmentIssuer("https://login.example.com").mint() + "\n")
    monkeypatch.setattr(sys, "path", [*sys.path])
    # Nothing listens, and nobody waits.
    for module in map(import_module, ("authz_middleware.cli.issuing", "authz_middleware.cli.pdp")):
        monkeypatch.setattr(module, "wait", lambda: None)
    monkeypatch.setattr(DevelopmentIssuer, "serve", lambda self, **_: nullcontext(self))
    monkeypatch.setattr(module, "serving", lambda point, host, port: nullcontext(port))
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    monkeypatch.setenv("PDP_TOKEN", "q3Zr8VnXw1Lk5TfYc0Hs7PjDe2Gm9BuAo4RiKt6W")
    yield
    for name in ("shop.main", "shop"):
        sys.modules.pop(name, None)


def examples() -> Iterator[tuple[str, str]]:
    """Each command, and each example in its help."""
    for name, command in main.commands.items():
        for line in inspect.cleandoc(command.help or "").splitlines():
            if line.startswith("  authz "):
                yield name, line.strip()


EXAMPLES = [*examples()]


def test_each_command_has_an_example() -> None:
    assert {name for name, _ in EXAMPLES} == {*main.commands}


@pytest.mark.parametrize(
    ("name", "line"),
    [
        pytest.param(name, line, id=line, marks=[pytest.mark.slow] if name == "attack" else [])
        for name, line in EXAMPLES
    ],
)
def test_an_example_runs(name: str, line: str, authz, folder: Path) -> None:
    if name == "init":
        (folder / "authz.toml").unlink()
    if "main:" in line.replace("shop.main:", ""):
        git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com"]
        for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "x"]):
            subprocess.run([*git, *words], check=True)
    if "--check" in line:
        authz(*shlex.split(line)[1:-1])
    command, _, given = line.partition(" < ")
    program, *words = shlex.split(command)
    result = authz(*words, input=(folder / given).read_text() if given else None)
    assert program == "authz"
    assert words[0] == name
    assert result.exit_code in (0, 1), result.output
    assert isinstance(result.exception, SystemExit | None), result.exception
    assert result.output


SERVE = {"pdp"}
"""Commands that print nothing for a program: they answer others."""


@pytest.mark.parametrize("name", sorted({*main.commands} - SERVE))
def test_each_command_prints_json(name: str, authz, folder: Path) -> None:
    assert any("--json" in param.opts for param in main.commands[name].params)
    (folder / "first.toml").unlink(missing_ok=True)
    words = {
        "attack": ["shop.main:app", "GET /admin/users"],
        "audit": ["shop.main:app"],
        "diff": ["old.toml", "new.toml"],
        "explain": ["GET", "/me"],
        "init": ["shop.main:app", "--output", "first.toml"],
        "replay": ["decisions.jsonl"],
        "suggest": ["decisions.jsonl"],
    }.get(name, [])
    result = authz(name, *words, "--json")
    assert result.exit_code in (0, 1), result.output
    json.loads(result.stdout)


def test_every_option_is_explained() -> None:
    silent = [
        f"{name} {param.opts[0]}"
        for name, command in main.commands.items()
        for param in command.params
        if isinstance(param, click.Option) and not param.help
    ]
    assert silent == []


@pytest.mark.parametrize(
    "words",
    [
        ("matrix", "--html", "none/m.html"),
        ("test", "--junit", "none/r.xml"),
        ("init", "shop.main:app", "--output", "none/p.toml"),
        ("audit", "shop.main:app", "--snapshot", "none/a"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_written_is_no_finding(words: tuple[str, ...], authz) -> None:
    result = authz(*words)
    assert result.exit_code == 2
    assert "cannot be written: No such file or directory" in result.output


def test_a_token_as_an_endpoint_answers(authz) -> None:
    found = json.loads(authz("token", "--lifetime", "60", "--json").stdout)
    assert (found["token_type"], found["expires_in"]) == ("Bearer", 60)
    assert found["access_token"].count(".") == 2


def test_a_first_policy_as_json(authz, folder: Path) -> None:
    found = json.loads(authz("init", "shop.main:app", "-o", "p.toml", "--json").stdout)
    assert found == {"file": "p.toml", "policy": (folder / "p.toml").read_text()}
    assert json.loads(authz("init", "shop.main:app", "-o", "-", "--json").stdout)["file"] is None
