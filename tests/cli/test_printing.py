"""What stands in a policy, a log or a request steers no terminal, and makes no line of its own."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from authz_middleware.cli.printing import WIDEST, print_columns
from tests.cli.conftest import ISSUER

EVIL = "a\x1b[2J\u202eb\nc\r\x9b\u2028d"
WRITTEN = json.dumps(EVIL)
SHOWN = "a\\x1b[2J\\u202eb\\nc\\r\\x9b\\u2028d"

POLICY = (
    ISSUER
    + f"[roles]\n{WRITTEN} = []\nother = []\n{json.dumps(EVIL + 'e')} = []\n"
    + f'[routes]\n"GET /a" = [{WRITTEN}, "other"]\n"/open" = "public"\n'
    + f'[[tests]]\nas = {{ subject = {WRITTEN}, roles = [{WRITTEN}] }}\ndeny = ["GET /a"]\n'
)
RECORD: dict[str, Any] = {
    "id": "6c1f",
    "allowed": True,
    "reason": "allowed",
    "rule": f"GET /{EVIL}",
    "kind": "http",
    "method": "GET",
    "path": f"/{EVIL}",
    "asked": EVIL,
    "subject": EVIL,
    "issuer": "https://login.example.com",
    "roles": [EVIL],
    "permissions": [],
    "scopes": [],
}


@pytest.fixture(autouse=True)
def files(folder: Path) -> None:
    (folder / "authz.toml").write_text(POLICY)
    (folder / "new.toml").write_text(
        POLICY.replace(f'[{WRITTEN}, "other"]', '["other"]').replace('"public"', '"deny"')
    )
    (folder / "r").write_text(json.dumps(RECORD) + "\n")
    (folder / "q").write_text(json.dumps({**RECORD, "asked": ""}) + "\n")


COMMANDS: dict[str, tuple[str, ...]] = {
    "check": ("check",),
    "test": ("test", "--mutate"),
    "matrix": ("matrix",),
    "CSV": ("matrix", "--csv"),
    "diff": ("diff", "authz.toml", "new.toml"),
    "Markdown": ("diff", "new.toml", "authz.toml", "--markdown"),
    "explain": ("explain", "GET", "/a", "--scope", "x"),
    "a record": ("explain", "--id", "6c1f", "--log", "r"),
    "replay": ("replay", "q"),
    "suggest": ("suggest", "q"),
    "a path": ("explain", "GET", f"/{EVIL}"),
    "a method": ("explain", EVIL, "/a"),
    "a mistake": ("explain", "GET", "/a", "--as", EVIL + "x"),
    "a role that is none": ("matrix", "--role", EVIL + "x"),
    "a file": ("check", f"{EVIL}.toml"),
    "a document": ("matrix", "--json"),
}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_names_steer_nothing(words: tuple[str, ...], authz) -> None:
    output: str = authz(*words, color=True).output
    assert "\\x1b" in output or "\\u001b" in output
    # Our own colours aside, each character can be seen.
    plain = re.sub(r"\x1b\[\d+m", "", output)
    assert all(line.isprintable() for line in plain.split("\n"))


def test_the_page_shows_no_odd_characters(authz, folder: Path) -> None:
    authz("matrix", "--html", "m.html")
    page = (folder / "m.html").read_text()
    assert SHOWN in page
    assert not {"\x1b", "\u202e", "\r", "\x9b", "\u2028"} & {*page}


def test_a_long_cell_stretches_no_other_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_columns([("A", "B"), ("x" * 1000, "y"), ("x", "y")])
    head, long, short = capsys.readouterr().out.splitlines()
    assert (len(head), len(long), len(short)) == (WIDEST + 3, 1003, WIDEST + 3)
