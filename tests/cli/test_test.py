"""`authz test`: what it prints and writes, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.conftest import ISSUER

POLICY = ISSUER + (
    '[roles]\nviewer = ["read"]\neditor = ["write"]\n'
    '[routes]\n"GET /a" = { permissions = ["read"], scopes = ["s"] }\n"GET /b" = "public"\n'
    '"/n/<int:id>" = "public"\n'
)
ANN = '[[tests]]\nas = { subject = "ann", roles = ["viewer"], scopes = ["s"] }\n'
GOOD = POLICY + ANN + 'allow = ["GET /a"]\n'
BAD = POLICY + ANN + 'allow = ["GET /c", "GET /a"]\ndeny = ["GET /n/+1"]\n'

FAILED = """\
authz.toml:13:10: FAIL: GET /c as ann (roles viewer; scopes s)
    expected  allow
    got       refused, no_rule (no rule is for this path) by default (authz.toml)
    deny default (authz.toml): not met
"""


def test_all_pass(authz, folder: Path) -> None:
    (folder / "authz.toml").write_text(GOOD)
    result = authz("test")
    assert result.output == (
        "authz.toml:9:1: untouched: GET /b\nauthz.toml:10:1: untouched: /n/<int:id>\n"
        "1 PASS, 0 FAIL, 0 ERROR\n1 of 3 rules touched\n"
    )
    assert result.exit_code == 0
    assert authz("test", "--strict").exit_code == 1


def test_failures(authz, folder: Path) -> None:
    (folder / "authz.toml").write_text(BAD)
    result = authz("test")
    assert result.exit_code == 1
    assert result.output.startswith(FAILED)
    assert "1 PASS, 1 FAIL, 1 ERROR\n" in result.output


def test_nothing_tested_is_no_success(authz, folder: Path) -> None:
    (folder / "authz.toml").write_text(POLICY)
    result = authz("test", "--mutate")
    assert result.exit_code == 1
    assert result.output.endswith("there are no [[tests]]: nothing was tried\n")


def test_mutation(authz, folder: Path) -> None:
    (folder / "authz.toml").write_text(GOOD)
    (folder / "more.toml").write_text(
        '[[tests]]\nas = { roles = ["editor"], scopes = ["s"] }\n'
        'allow = ["/b", "/n/1"]\ndeny = ["/a"]\n'
    )
    result = authz("test", "-t", "more.toml", "--mutate")
    assert result.output.splitlines()[:-2] == [
        "authz.toml:8:1: unnoticed: GET /a without the scope `s` fails no test"
    ]
    assert result.exit_code == 0
    assert authz("test", "-t", "more.toml", "--mutate", "--strict").exit_code == 1
    (folder / "last.toml").write_text('[[tests]]\nas = { roles = ["viewer"] }\ndeny = ["/a"]\n')
    result = authz("test", "-t", "more.toml", "-t", "last.toml", "--mutate", "--strict")
    assert result.exit_code == 0
    assert "nothing can be deleted from a tested rule without a test that fails" in result.output


def test_junit(authz, folder: Path) -> None:
    (folder / "authz.toml").write_text(BAD.replace('"ann"', '"an\\u0001n\\ufffe"'))
    authz("test", "--junit", "report.xml")
    suite = ElementTree.parse(folder / "report.xml").getroot()
    assert suite.attrib == {"name": "authz.toml", "tests": "3", "failures": "1", "errors": "1"}
    failed, passed, error = suite.findall("testcase")
    assert failed.attrib == {
        "classname": "an\ufffdn\ufffd (roles viewer; scopes s)",
        "name": "allow GET /c (authz.toml:13:10)",
    }
    failure = failed.find("failure")
    assert failure is not None
    assert failure.attrib["message"].startswith("expected allow, refused, no_rule")
    assert failure.text == "deny default (authz.toml): not met"
    assert list(passed) == []
    assert [each.tag for each in error] == ["error"]


def test_json(authz, folder: Path) -> None:
    (folder / "authz.toml").write_text(GOOD)
    document = json.loads(authz("test", "--json", "--mutate").stdout)
    assert document["counts"] == {"PASS": 1, "FAIL": 0, "ERROR": 0}
    assert document["results"][0]["request"] == "GET /a"
    assert document["untouched"] == [
        {"key": "GET /b", "where": "authz.toml:9:1"},
        {"key": "/n/<int:id>", "where": "authz.toml:10:1"},
    ]
    assert [each["dropped"] for each in document["unnoticed"]] == [
        "the permission `read`",
        "the scope `s`",
    ]


@pytest.mark.parametrize("words", [(), ("--tests", "no.toml")], ids=["the policy", "the tests"])
def test_what_cannot_be_loaded(authz, folder: Path, words) -> None:
    (folder / "authz.toml").write_text(GOOD if words else "x = 1")
    result = authz("test", *words)
    assert result.exit_code == 2
    assert result.output.startswith("Error: ")
