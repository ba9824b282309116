"""An audit as text: what changes it, what does not, and that it is the same everywhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware import WSGIAuthzMiddleware
from authz_middleware.analysis import Audit, NotASnapshot, audit, changes_since, snapshot
from authz_middleware.analysis.auditing import AuditedRoute
from authz_middleware.document import Document
from authz_middleware.facts import RuleRef
from tests.cli import apps

ROOT = Path(__file__).parents[2]

MOUNTED = """\
# Who may call each route, written by `authz audit`. Format 1.

GET /api/items/{id:int}
  guarded: the role `viewer`
  with the roles: editor, viewer
  by GET /api/items/<int:id>
  looks: path, inside

PUT /api/items/{id:int}
  uncovered: nobody
  by GET /api/items/<int:id>
  looks: path, inside

WS /feed
  guarded: every valid token
  by WS /feed
  looks: path, inside

GET|PUT|WS|others /files/** (static)
  guarded: the role `editor`
  with the roles: editor
  by /files/**
  looks: path, inside

GET /health
  open: everybody
  by /health
  looks: path, inside

GET|PUT|WS|others /other/** (opaque)
  opaque: nobody
  by default
  looks: path, inside

dead: `/gone` matches no route
"""


def laid(text: str) -> Audit:
    app = Flask("shop", static_folder=None)
    app.add_url_rule("/a/<int:id>", "a", lambda id: "x", methods=["GET", "PUT"])
    issuer = '[[issuers]]\nissuer = "https://login.example.com"\naudience = ["a"]\n'
    with TemporaryDirectory() as folder:
        file = Path(folder, "authz.toml")
        file.write_text(issuer + text)
        return audit(app, Document.read(file))


RULES = '[roles]\nv = []\ne = { inherits = ["v"] }\n[routes]\n"GET /a/<int:id>" = ["v"]\n'


def test_mounts_files_handshakes_and_what_cannot_be_seen() -> None:
    assert snapshot(audit(apps.mounted())) == MOUNTED


def test_a_rule_that_is_moved_changes_nothing() -> None:
    before = snapshot(laid(RULES))
    assert changes_since(before, laid("\n# about roles\n" + RULES)) == []


CHANGES = {
    "another role": (RULES.replace('["v"]\n', '["e"]\n'), "+  guarded: the role `e`"),
    "public": (RULES.replace('["v"]\n', '"public"\n'), "+  open: everybody"),
    "a role that inherits": (
        RULES.replace("[routes]", 'guest = { inherits = ["v"] }\n[routes]'),
        "+  with the roles: e, guest, v",
    ),
    "another method": (RULES.replace('"GET /', '"GET|PUT /'), "+GET|PUT /a/<int:id>"),
    "no rule": (
        RULES.replace('"GET /a/<int:id>"', '"GET /b"'),
        "+dead: `GET /b` matches no route",
    ),
    "a condition": (
        RULES.replace('= ["v"]\n', '= { roles = ["v"], when = "context.time.getHours() < 9" }\n'),
        "+  guarded: the role `v` and the condition `context.time.getHours() < 9`",
    ),
    "forbidden": (
        RULES + "[forbid]\nx = { methods = ['GET'], path = '/a/1', roles = ['e'] }\n",
        "+GET /a/<int:id> (as /a/1)",
    ),
}


@pytest.mark.parametrize(("after", "line"), CHANGES.values(), ids=CHANGES)
def test_what_changes_who_may_call(after: str, line: str) -> None:
    assert line in changes_since(snapshot(laid(RULES)), laid(after))


def test_a_change_is_shown_below_the_name_of_its_route() -> None:
    changes = changes_since(snapshot(laid(RULES)), laid(RULES.replace('["v"]\n', '["e"]\n')))
    assert " GET /a/<int:id>" in changes[: changes.index("-  guarded: the role `v`")]


def test_lines_may_end_as_windows_ends_them() -> None:
    found = laid(RULES)
    text = snapshot(found)
    for other in (text.replace("\n", "\r\n"), "\ufeff" + text, text.rstrip("\n")):
        assert changes_since(other, found) == []


@pytest.mark.parametrize(
    "text", ["", "\n", "x", "# Who may call each route", "\ufffd\x00", MOUNTED.replace("1", "2", 1)]
)
def test_what_is_no_snapshot(text: str) -> None:
    with pytest.raises(NotASnapshot):
        changes_since(text, laid(RULES))


def test_it_is_the_same_in_every_process() -> None:
    program = (
        "from authz_middleware.analysis import audit, snapshot\n"
        "from examples.fastapi_app.app import app\n"
        "from tests.cli import apps\n"
        "print(snapshot(audit(app)), snapshot(audit(apps.shop())), snapshot(audit(apps.mounted())))"
    )
    made = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    (text,) = made
    assert b"GET|OPTIONS /static/<path:filename> (static)" in text
    assert str(ROOT).encode() not in text
    assert b" at 0x" not in text


def audited(**more: Any) -> Audit:
    given: dict[str, Any] = {
        "route": "/a",
        "methods": ("GET",),
        "endpoint": "shop:a",
        "kind": "handler",
        "host": "",
        "looks": "path",
        "example": "",
        "rules": (RuleRef("/a", "authz.toml:1:1"),),
        "who": "nobody",
        "roles": (),
        "state": "closed",
        **more,
    }
    return Audit((AuditedRoute(**given),), (), (), (), ())


TEXT = st.text(st.characters(), max_size=40) | st.sampled_from([apps.HOSTILE, "\u2028GET /b"])


@given(TEXT, TEXT, TEXT)
def test_no_name_makes_a_line_of_its_own(route: str, host: str, rule: str) -> None:
    found = audited(route=route, host=host, rules=(RuleRef(rule, ""),))
    text = snapshot(found)
    assert len(text.splitlines()) == 6
    assert all(line.isprintable() for line in text.splitlines())
    assert text.encode("utf-8").decode("utf-8") == text
    assert changes_since(text, found) == []


def test_the_guard_may_be_found_in_what_is_wrapped() -> None:
    inner = apps.bare()
    assert snapshot(audit(WSGIAuthzMiddleware(inner, apps.POLICY))) == snapshot(audit(apps.shop()))
