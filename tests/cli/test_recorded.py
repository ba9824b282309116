"""`authz replay` and `authz suggest` on files: how they end, and what they leave as it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from authz_middleware.cli import main

POLICY = """\
[[issuers]]
issuer = "https://login.example.com"
audience = ["a"]
[roles]
viewer = []
admin = []
[routes]
"GET /a" = ["viewer", "admin"] # why
"GET /b" = [
  "viewer",
]
"""
LINE: dict[str, Any] = {
    "allowed": True,
    "reason": "allowed",
    "rule": "GET /a",
    "kind": "http",
    "method": "GET",
    "path": "/a",
    "asked": "",
    "subject": "ann",
    "issuer": "https://login.example.com",
    "roles": ["viewer"],
    "permissions": [],
    "scopes": [],
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "authz.toml").write_text(POLICY)
    (tmp_path / "r").write_text(json.dumps(LINE) + "\n\n")
    return tmp_path


def run(*words: str, given: str | None = None) -> Result:
    return CliRunner().invoke(main, words, input=given)


def test_nothing_flips() -> None:
    result = run("replay", "r")
    assert (result.exit_code, result.stdout) == (
        0,
        "1 decided again, 0 kinds of request flip, 0 undecided\n",
    )


def test_what_a_client_sent_forges_no_line(folder: Path) -> None:
    odd = {"path": "/x\n0 flip\x1b[2J", "subject": "a\nb", "roles": ["\u202e"]}
    (folder / "r").write_text(json.dumps(LINE | odd) + "\n")
    first, last = run("replay", "r").stdout.splitlines()
    assert first == (
        "allowed -> refused (path_ambiguous): GET /x\\n0 flip\\x1b[2J for a\\nb (\\u202e)"
    )
    assert last == "1 decided again, 1 kinds of request flip, 0 undecided"


def test_what_flips_as_json(folder: Path) -> None:
    (folder / "next.toml").write_text(POLICY.replace('["viewer", "admin"]', '["admin"]'))
    result = run("replay", "-", "next.toml", "--json", given=(folder / "r").read_text())
    (flip,) = json.loads(result.stdout)["flips"]
    assert result.exit_code == 1
    assert (flip["request"], flip["now"], flip["decision"]["reason"]) == (
        "GET /a",
        False,
        "role_missing",
    )


def test_only_lines_that_are_understood_are_rewritten() -> None:
    result = run("suggest", "r")
    assert result.exit_code == 1
    changed = [line for line in result.stdout.splitlines() if line[:1] in "+-"]
    assert changed == [
        "--- authz.toml",
        "+++ authz.toml",
        '-"GET /a" = ["viewer", "admin"] # why',
        '+"GET /a" = ["viewer"] # why',
    ]
    assert "authz.toml:9:1: GET /b: for viewer; used by nobody" in result.stdout


def test_a_rule_of_an_included_file_is_rewritten_there(folder: Path) -> None:
    (folder / "authz.toml").write_text('include = ["more.toml"]\n' + POLICY)
    # On the line on which the policy itself has a rule that was used.
    (folder / "more.toml").write_text("[routes]\n" + "\n" * 7 + '"GET /c" = ["admin"]\n')
    changed = [line for line in run("suggest", "r").stdout.splitlines() if line[:1] in "+-"]
    assert changed == [
        "--- authz.toml",
        "+++ authz.toml",
        '-"GET /a" = ["viewer", "admin"] # why',
        '+"GET /a" = ["viewer"] # why',
        "--- more.toml",
        "+++ more.toml",
        '-"GET /c" = ["admin"]',
        '+"GET /c" = "deny"',
    ]


def test_suggestions_as_json() -> None:
    found = json.loads(run("suggest", "r", "--json").stdout)
    assert {each["rule"]: each["used"] for each in found} == {"GET /a": ["viewer"], "GET /b": []}


def test_a_policy_that_is_no_toml(folder: Path) -> None:
    policy = {
        "issuers": [{"issuer": "https://login.example.com", "audience": ["a"]}],
        "routes": {"GET /a": ["viewer"], "GET /b": ["viewer"]},
    }
    (folder / "p.json").write_text(json.dumps(policy))
    result = run("suggest", "r", "p.json")
    assert result.stdout.splitlines() == ["p.json:1:108: GET /b: for viewer; used by nobody"]


def test_every_right_was_used(folder: Path) -> None:
    (folder / "authz.toml").write_text(POLICY[: POLICY.index('"GET /b"')].replace(', "admin"', ""))
    result = run("suggest", "r")
    assert (result.exit_code, result.stdout) == (0, "every right was used\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("replay", "nowhere"), "nowhere cannot be read"),
        (("replay", "authz.toml"), "authz.toml, line 1: no JSON"),
        (("replay", "-"), "- holds no decision; record some with a DecisionRecorder"),
        (("replay", "-", "--json"), "- holds no decision"),
        (("suggest", "-"), "- holds no decision"),
        (("suggest", "-", "--json"), "- holds no decision"),
        (("suggest", "r", "r"), "r"),
    ],
)
def test_a_mistake(words: tuple[str, ...], said: str) -> None:
    result = run(*words)
    assert (result.exit_code, said in result.stderr) == (2, True)


@pytest.mark.parametrize(
    "odd", [{"reason": "keys_unavailable"}, {"path": None}, {"asked": "article:read"}]
)
def test_a_record_of_which_nothing_can_be_decided_again(odd: dict[str, Any]) -> None:
    result = run("replay", "-", given=json.dumps(LINE | odd) + "\n")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "- holds no decision that can be made again" in result.stderr


def test_what_cannot_be_decided_is_no_empty_record() -> None:
    line = LINE | {"allowed": False, "reason": "condition_error"}
    result = run("replay", "-", given=json.dumps(line) + "\n")
    assert result.stdout == "0 decided again, 0 kinds of request flip, 1 undecided\n"
    assert result.exit_code == 0
