"""`authz audit`: the table, the gaps, and how it ends."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from authz_middleware.cli import main

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "path", [*sys.path])


def run(*words: str) -> Result:
    return CliRunner().invoke(main, words)


SHOP = """\
METHODS      ROUTE                               RULE                                                WHO                                       LOOKS         STATE
GET|OPTIONS  /files/<path:name> (as /files)      /files/** (routes."/files/**")                      the role `viewer` and the scope `files`   path, inside  guarded
GET|OPTIONS  /files/<path:name> (as /files/secret)  /files/secret (routes."/files/secret")           nobody                                    path, inside  closed
GET          /health                             GET /health (routes."GET /health")                  everybody                                 path, inside  open
OPTIONS      /health                             GET /health (routes."GET /health")                  nobody                                    path, inside  closed
GET          /items/<int:id>                     GET /items/<int:id> (routes."GET /items/<int:id>")  the role `viewer`                         path, inside  guarded
OPTIONS      /items/<int:id>                     GET /items/<int:id> (routes."GET /items/<int:id>")  nobody                                    path, inside  closed
GET|OPTIONS  /static/<path:filename>             /static/** (routes."/static/**")                    everybody                                 path, inside  open
"""  # noqa: E501


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


@pytest.mark.parametrize(
    "target", ["shop()", "wrapped", "Kept.app"], ids=["a factory", "a guard", "an attribute"]
)
def test_the_table(target: str) -> None:
    result = run("audit", f"tests.cli.apps:{target}")
    assert words(result.output) == words(SHOP)
    assert result.exit_code == 0


def test_a_gap_is_named_and_ends_it_with_1() -> None:
    result = run("audit", "tests.cli.apps:gappy()")
    assert result.exit_code == 1
    assert ["nobody", "path,", "inside", "uncovered"] in [row[-4:] for row in words(result.output)]
    gap = "uncovered: /late/<name> (tests.cli.apps:gappy.<locals>.<lambda>): no rule covers it"
    assert result.output.splitlines()[-1] == gap


def test_json() -> None:
    result = run("audit", "tests.cli.apps:gappy()", "--json")
    document: dict[str, Any] = json.loads(result.output)
    assert result.exit_code == 1
    assert document["gaps"] == [
        {
            "kind": "uncovered",
            "where": "/late/<name> (tests.cli.apps:gappy.<locals>.<lambda>)",
            "what": "no rule covers it",
        }
    ]
    assert document["differences"] == []
    assert document["routes"][2] == {
        "route": "/health",
        "methods": ["GET", "HEAD"],
        "endpoint": "tests.cli.apps:bare.<locals>.<lambda>",
        "kind": "handler",
        "host": "",
        "looks": "path, inside",
        "example": "",
        "rules": ['GET /health (routes."GET /health")'],
        "who": "everybody",
        "state": "open",
    }


def test_a_policy_for_an_app_without_a_guard(tmp_path: Path) -> None:
    file = tmp_path / "authz.toml"
    file.write_text(
        '[[issuers]]\nissuer = "https://login.example.com"\naudience = ["x"]\n'
        '[routes]\n"/**" = ["viewer"]\n'
    )
    result = run("audit", "tests.cli.apps:unguarded", "--policy", str(file))
    assert result.exit_code == 0
    assert f"/** ({file}:5:1)" in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tests.cli.apps"], "`tests.cli.apps` names no app; write `module:app`"),
        (["tests.cli.nowhere:app"], "cannot be imported: ModuleNotFoundError"),
        (["tests.cli.apps:nothing"], "cannot be imported: AttributeError"),
        (["tests.cli.apps:unguarded"], "no guard stands before this app: wrap it, or name"),
        (["tests.cli.apps:unguarded", "--policy", "no.toml"], "no.toml"),
        (["tests.cli.apps:broken()"], "Error"),
        ([], "Missing argument 'MODULE:APP'"),
    ],
)
def test_a_mistake_ends_it_with_2(arguments: list[str], said: str) -> None:
    result = run("audit", *arguments)
    assert result.exit_code == 2
    assert said in result.output


def test_the_version() -> None:
    assert run("--version").output == f"authz, version {version('authz-middleware')}\n"


def test_what_lets_in_by_the_clients_word_is_named() -> None:
    result = run("audit", "tests.cli.apps:trusting()")
    said = 'by the client: /health (routes."/health") lets in by header fields or the query'
    assert f"{said}, which the client chooses" in result.output
    assert "the condition `'x-plan' in context.headers` (of what the client sends)" in result.output
    document = json.loads(run("audit", "tests.cli.apps:trusting()", "--json").output)
    assert document["by_client"] == ['/health (routes."/health")']
    assert result.exit_code == 0
