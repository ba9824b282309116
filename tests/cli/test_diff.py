"""`authz diff`: what it prints, and how it ends."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.cli.conftest import ISSUER

ROLES = "[roles]\nviewer = []\neditor = []\n[routes]\n"
OLD = ISSUER + ROLES + '"GET /a" = ["viewer"]\n"/b/**" = ["editor"]\n'
WIDER = ISSUER + ROLES + '"GET /a" = "public"\n"/b/**" = ["editor"]\n'
NARROWER = ISSUER + ROLES + '"GET /a" = ["viewer"]\n'
OTHER_CONDITION = '"GET /<id>" = { when = "resource.params.id == subject.%s" }\n'


@pytest.fixture(autouse=True)
def policies(folder: Path) -> None:
    for name, text in {"old": OLD, "wider": WIDER, "narrower": NARROWER}.items():
        (folder / f"{name}.toml").write_text(text)


def test_wider(authz) -> None:
    result = authz("diff", "old.toml", "wider.toml")
    assert result.output == (
        "+ GET /a: anonymous, any valid token\n"
        "    was no, by GET /a (old.toml:8:1)\n"
        "    is  yes, by GET /a (wider.toml:8:1)\n"
        "1 gained, 0 lost\n"
    )
    assert result.exit_code == 1
    assert authz("diff", "old.toml", "wider.toml", "--fail-on", "never").exit_code == 0


def test_narrower(authz) -> None:
    result = authz("diff", "old.toml", "narrower.toml")
    assert result.output == (
        "- GET|others /b/** (as /b): editor\n"
        "    was yes, by /b/** (old.toml:9:1)\n"
        "    is  no, by default (narrower.toml)\n"
        "0 gained, 1 lost\n"
    )
    assert result.exit_code == 0
    assert authz("diff", "old.toml", "narrower.toml", "--fail-on", "changed").exit_code == 1


def test_the_same(authz) -> None:
    result = authz("diff", "old.toml", "old.toml", "--fail-on", "changed")
    assert (result.output, result.exit_code) == ("nobody may do more or less\n", 0)
    result = authz("diff", "old.toml", "old.toml", "--markdown")
    assert result.output == "**Rights:** nobody may do more or less.\n"


def test_conditions_that_nobody_can_compare(authz, folder: Path) -> None:
    for name, attribute in (("one", "claims.id"), ("two", "claims.tenant")):
        (folder / f"{name}.toml").write_text(ISSUER + "[routes]\n" + OTHER_CONDITION % attribute)
    result = authz("diff", "one.toml", "two.toml")
    assert "± GET /<id>: any valid token\n" in result.output
    assert "whether that is more or less hangs on the conditions" in result.output
    assert result.output.endswith("0 gained, 0 lost, 1 that hang on conditions\n")
    assert result.exit_code == 1
    markdown = authz("diff", "one.toml", "two.toml", "--markdown").output
    assert "| ± ? | any valid token | GET /\\<id\\> | if the condition resource" in markdown


def test_markdown(authz) -> None:
    lines = authz("diff", "old.toml", "wider.toml", "--markdown").output.splitlines()
    assert lines[0] == "**Rights:** 1 gained, 0 lost. :warning: somebody may do more"
    assert lines[-1] == "| + | anonymous, any valid token | GET /a | no | yes |"


def test_nothing_of_a_policy_is_markup(authz, folder: Path) -> None:
    evil = "<img src=x>|[a](b)`*_@team"
    text = OLD.replace("editor", f'"{evil}"', 1).replace('"editor"', f'"{evil}"')
    (folder / "evil.toml").write_text(text)
    output = authz("diff", "old.toml", "evil.toml", "--markdown").output
    assert "\\<img src=x\\>\\|\\[a\\](b)\\*\\_\\@team" in output
    assert "<img" not in output.replace("\\<", "")


def test_issuers(authz, folder: Path) -> None:
    more = OLD.replace('["orders"]', '["orders", "more"]')
    (folder / "more.toml").write_text(more)
    result = authz("diff", "old.toml", "more.toml")
    assert "+ https://login.example.com: other keys, audiences or claims" in result.output
    assert result.exit_code == 1
    (folder / "other.toml").write_text(OLD.replace("login.", "id."))
    result = authz("diff", "old.toml", "other.toml", "--markdown")
    assert "- https://id.example.com: its tokens are believed\n" in result.output
    assert "- https://login.example.com: its tokens are believed no more\n" in result.output


def test_json(authz) -> None:
    document = json.loads(authz("diff", "old.toml", "wider.toml", "--json").output)
    assert document["widened"] is True
    (right,) = document["rights"]
    assert (right["gained"], right["lost"], right["methods"]) == ("yes", "no", ["GET"])
    assert right["new_rule"] == {"key": "GET /a", "where": "wider.toml:8:1"}
    assert document["issuers"] == []


def git(*words: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    subprocess.run(["git", *identity, *words], check=True, capture_output=True)


def test_revisions_of_git(authz, folder: Path) -> None:
    git("init", "-q")
    (folder / "authz.toml").write_text(OLD)
    (folder / "bad.toml").write_text("x = 1")
    git("add", "authz.toml", "bad.toml")
    git("commit", "-qm", "first")
    (folder / "authz.toml").write_text(WIDER)
    result = authz("diff", "HEAD:authz.toml", "authz.toml")
    assert "    was no, by GET /a (HEAD:authz.toml:8:1)\n" in result.output
    assert result.exit_code == 1
    result = authz("diff", "HEAD:bad.toml", "authz.toml")
    assert "`x` is not a key of the top level" in result.output
    assert "git has no `HEAD:none.toml`" in authz("diff", "HEAD:none.toml", "authz.toml").output


def test_what_a_revision_includes_is_of_that_revision(authz, folder: Path) -> None:
    git("init", "-q")
    (folder / "rules").mkdir()
    (folder / "rules" / "more.toml").write_text('[routes]\n"GET /b" = ["viewer"]\n')
    (folder / "rules" / "authz.toml").write_text('include = ["mo*.toml"]\n' + OLD)
    (folder / "rules" / "bad.toml").write_text('include = ["no.toml"]\n' + OLD)
    git("add", "rules")
    git("commit", "-qm", "first")
    (folder / "rules" / "more.toml").write_text('\n[routes]\n"GET /b" = "public"\n')
    result = authz("diff", "HEAD:rules/authz.toml", "rules/authz.toml")
    assert "(HEAD:rules/more.toml:2:1)" in result.output
    assert "(rules/more.toml:3:1)" in result.output
    assert result.exit_code == 1
    result = authz("diff", "HEAD:rules/bad.toml", "rules/authz.toml")
    assert "HEAD:rules/bad.toml:1:12: HEAD:rules/no.toml: there is no such file" in result.output


def test_keys_beside_a_policy_of_a_revision(
    authz, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git("init", "-q")
    (folder / "rules").mkdir()
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "rules" / "key.pem").write_bytes(pem)
    keys = 'public_key_file = "key.pem"\nalgorithms = ["ES256"]\n'
    (folder / "rules" / "authz.toml").write_text(OLD.replace("[roles]", f"{keys}[roles]"))
    git("add", "rules")
    git("commit", "-qm", "first")
    monkeypatch.chdir(folder / "rules")  # git names files from the top, wherever we are
    for name in ("HEAD:rules/authz.toml", "HEAD:./authz.toml"):
        assert "nobody may do more or less" in authz("diff", name, "authz.toml").output


@pytest.mark.parametrize("name", ["--upload-pack=x:authz.toml", ":authz.toml", "no.toml"])
def test_what_is_no_policy(authz, name: str) -> None:
    result = authz("diff", "old.toml", "--", name)
    assert result.exit_code == 2
    assert "Error: " in result.output


def test_git_that_is_not_there(authz, monkeypatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert "git cannot be run" in authz("diff", "HEAD:a.toml", "old.toml").output
