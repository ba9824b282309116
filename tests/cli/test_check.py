"""`authz check`: what it prints, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import ISSUER

GOOD = ISSUER + '[routes]\n"GET /articles" = ["viewer"]\n'
ODD = (
    ISSUER + '[roles]\nviewer = []\nextra = []\n[routes]\n"/**" = ["viewer"]\n'
    '"/a/**" = ["viewer"]\n"/a/b" = "public"\n'
)
BAD = "defualt = 1\nrealm = 2\n" + GOOD


def test_nothing(authz, folder: Path) -> None:
    (folder / "authz.toml").write_text(GOOD)
    result = authz("check")
    assert (result.exit_code, result.output) == (0, "nothing found\n")


def test_warnings(authz, folder: Path) -> None:
    (folder / "odd.toml").write_text(ODD)
    result = authz("check", "odd.toml")
    assert result.output == (
        "odd.toml:6:1: unused-role: no rule asks for role `extra`\n"
        "    remove it, or name it where it should count\n"
        "odd.toml:10:1: wider-rule: it lets in everybody, whom `/a/**` (odd.toml:9:1) around it"
        " keeps out\n"
        "    is that meant?\n"
        "2 warnings\n"
    )
    assert result.exit_code == 1


def test_errors(authz, folder: Path) -> None:
    (folder / "bad.toml").write_text(BAD)
    result = authz("check", "bad.toml")
    assert result.exit_code == 2
    assert result.output.splitlines()[0].startswith("bad.toml:1:1: error: `defualt` is not a key")
    assert result.output.splitlines()[-1] == "2 errors"


def test_several_policies(authz, folder: Path) -> None:
    for name, text in (("bad.toml", BAD), ("odd.toml", ODD), ("good.toml", GOOD)):
        (folder / name).write_text(text)
    result = authz("check", "good.toml", "odd.toml", "bad.toml")
    assert result.exit_code == 2
    assert result.output.splitlines()[-1] == "2 errors and 2 warnings"
    assert authz("check", "good.toml", "odd.toml").exit_code == 1
    assert authz("check", "good.toml", "good.toml").exit_code == 0
    found = json.loads(authz("check", "odd.toml", "bad.toml", "none.toml", "--json").output)
    assert [each["where"] for each in found["errors"]] == [
        "bad.toml:1:1",
        "bad.toml:2:1",
        "none.toml",
    ]
    assert {each["where"].partition(":")[0] for each in found["warnings"]} == {"odd.toml"}


def test_colours(authz, folder: Path) -> None:
    (folder / "authz.toml").write_text(ODD)
    assert "\x1b[33munused-role\x1b[0m" in authz("check", color=True).output


@pytest.mark.parametrize(
    ("allow", "left"),
    [
        (["unused-role"], ["wider-rule"]),
        (["unused-role=extra", "wider-rule=/a/b"], []),
        (["unused-role=viewer"], ["unused-role", "wider-rule"]),
    ],
    ids=["a kind", "by name", "another name"],
)
def test_what_is_allowed_is_not_told(authz, folder: Path, allow, left) -> None:
    (folder / "authz.toml").write_text(ODD)
    result = authz("check", "--json", *(word for text in allow for word in ("--allow", text)))
    assert [each["kind"] for each in json.loads(result.stdout)["warnings"]] == left
    assert result.exit_code == (1 if left else 0)


def test_what_need_not_be_allowed_is_told(authz, folder: Path) -> None:
    (folder / "authz.toml").write_text(GOOD)
    result = authz("check", "--allow", "unused-role=x")
    assert result.stderr == "--allow 'unused-role=x' is not needed: nothing of it was found\n"
    assert result.exit_code == 0


def test_what_is_allowed_must_be_a_kind(authz, folder: Path) -> None:
    (folder / "authz.toml").write_text(GOOD)
    result = authz("check", "--allow", "unused")
    assert "'unused' is none of" in result.output
    assert result.exit_code == 2


def test_json(authz, folder: Path) -> None:
    (folder / "authz.toml").write_text(ODD)
    document = json.loads(authz("check", "--json").stdout)
    assert document["errors"] == []
    assert document["warnings"][0] == {
        "kind": "unused-role",
        "about": "extra",
        "where": "authz.toml:6:1",
        "what": "no rule asks for role `extra`",
        "fix": "remove it, or name it where it should count",
    }
    (folder / "authz.toml").write_text(BAD)
    document = json.loads(authz("check", "--json").stdout)
    assert [each["where"] for each in document["errors"]] == ["authz.toml:1:1", "authz.toml:2:1"]
    assert document["warnings"] == []


def test_which_policy_is_meant(authz, folder: Path, monkeypatch) -> None:
    result = authz("check")
    assert result.exit_code == 2
    assert "there is no authz.toml here: name a policy file, or set AUTHZ_CONFIG" in result.output
    assert "`authz init module:app` writes a first one" in result.output
    assert "there is no such file" in authz("check", "authz.toml").output
    (folder / "other.toml").write_text(ODD)
    monkeypatch.setenv("AUTHZ_CONFIG", "other.toml")
    assert authz("check").output.startswith("other.toml:6:1:")


def test_help_lists_the_commands_in_sections(authz) -> None:
    lines = authz("--help").output.splitlines()
    assert lines.index("Is the policy right?:") < lines.index("What does it mean for the app?:")
    assert authz("check", "-h").exit_code == 0
