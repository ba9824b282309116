"""`authz attack`: what it prints, and how it ends."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from authz_middleware import ASGIAuthzMiddleware, WSGIAuthzMiddleware
from authz_middleware.cli import main
from authz_middleware.facts import RuleRef
from authz_middleware.progress import Progress
from authz_middleware.testing import AttackReport, Leak

ROOT = Path(__file__).parents[2]
USERS = "GET /admin/users"


@pytest.fixture(autouse=True)
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "path", [*sys.path])


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["attack", *words])


def leak(number: int) -> Leak:
    return Leak(
        protected=USERS,
        caller="anonymous",
        kind="fields",
        request=f"GET /{number} HTTP/1.1 | X: \xff",
        raw=b"GET / HTTP/1.1\r\nX: \xff\r\n\r\n",
        curl=f"curl --request-target /{number}",
        server="any server",
        rule=RuleRef("GET /", "authz.toml:9:1") if number else None,
        why="users() ran",
    )


def report(leaks: int = 0, proven: tuple[str, ...] = (USERS,), **more: Any) -> AttackReport:
    found = tuple(map(leak, range(leaks)))
    counts = {"sent": 9, "refused": 7 - leaks, "passed": 2, "leaked": leaks}
    kinds = {"plain": 1, "fields": 8}
    return AttackReport(
        **counts, leaks=found, proven=proven, unproven=more.get("unproven", ()), kinds=kinds
    )


class Attacked:
    """Stands for the attack, which takes its time: what it was asked, and what it found."""

    def __init__(self) -> None:
        self.found = report()
        self.asked: list[Any] = []

    def __call__(
        self, app: Any, requests: tuple[str, ...], *, authz: Any, progress: Progress
    ) -> AttackReport:
        assert list(progress(requests)) == list(requests)
        self.asked = [app, requests, authz]
        return self.found


@pytest.fixture
def attacked(monkeypatch: pytest.MonkeyPatch) -> Attacked:
    fake = Attacked()
    # By its name the package has the command.
    monkeypatch.setattr(sys.modules["authz_middleware.cli.attack"], "attacked", fake)
    return fake


def test_an_app_that_leaks() -> None:
    result = run("tests.cli.attacked:leaky", USERS, "--json")
    assert result.exit_code == 1
    document: dict[str, Any] = json.loads(result.stdout)
    assert "what a handler prints" in result.stderr
    first = document["leaks"][0]
    assert first["request"] == "GET / HTTP/1.1 | X-Rewrite-URL: /admin/users"
    assert first["rule"] == {"key": "GET /", "where": 'routes."GET /"'}
    assert first["why"] == "users_page() ran"
    sent = document["refused"] + document["passed"] + document["leaked"]
    assert document["sent"] == sent == sum(document["kinds"].values()) > 10_000
    assert (document["proven"], document["unproven"]) == ([USERS], [])


def test_nothing_got_through(attacked: Attacked) -> None:
    result = run("tests.cli.attacked:shop()", USERS, "DELETE /x")
    assert result.exit_code == 0
    assert result.output == f"{report().summary}\n"
    assert attacked.asked[1:] == [(USERS, "DELETE /x"), None]


@pytest.mark.parametrize(
    ("limit", "shown", "more"),
    [
        ((), 20, 5),
        (("--limit", "0"), 0, 25),
        (("--limit", "24"), 24, 1),
        (("--limit", "99"), 25, 0),
    ],
)
def test_what_got_through_is_printed_so_that_it_can_be_sent_again(
    limit: tuple[str, ...], shown: int, more: int, attacked: Attacked
) -> None:
    attacked.found = report(25)
    result = run("tests.cli.attacked:shop()", *limit)
    assert result.exit_code == 1
    printed = [number for number in range(25) if f"-target /{number}\n" in result.output]
    assert printed == [*range(shown)]
    assert result.output.count("LEAK ") == shown
    assert (f"... and {more} more; --limit shows them" in result.output) == bool(more)
    assert result.output.endswith(f"{attacked.found.summary}\n")


def test_json(attacked: Attacked) -> None:
    attacked.found = report(2)
    result = run("tests.cli.attacked:shop()", "--json", "--limit", "0")
    assert result.exit_code == 1
    document = json.loads(result.output)
    assert [each["rule"] for each in document.pop("leaks")] == [
        None,
        {"key": "GET /", "where": "authz.toml:9:1"},
    ]
    assert document == {
        "ok": False,
        "sent": 9,
        "refused": 5,
        "passed": 2,
        "leaked": 2,
        "proven": [USERS],
        "unproven": [],
        "kinds": {"plain": 1, "fields": 8},
    }


@pytest.mark.parametrize(
    "found", [report(proven=()), report(unproven=(USERS,))], ids=["nothing", "unproven"]
)
def test_where_nothing_is_known_it_is_no_success(found: AttackReport, attacked: Attacked) -> None:
    attacked.found = found
    result = run("tests.cli.attacked:shop()")
    assert result.exit_code == 1
    assert "0 leaked" in result.output


@pytest.mark.parametrize(
    ("app", "guard"), [("bare", WSGIAuthzMiddleware), ("bare_asgi", ASGIAuthzMiddleware)]
)
def test_an_app_without_a_guard_is_attacked_behind_a_policy(
    app: str, guard: type, tmp_path: Path, attacked: Attacked
) -> None:
    file = tmp_path / "authz.toml"
    file.write_text(
        '[[issuers]]\nissuer = "https://login.example.com"\naudience = ["x"]\n'
        '[routes]\n"GET /" = "public"\n"/admin/**" = ["admin"]\n'
    )
    assert run(f"tests.cli.attacked:{app}", "--policy", str(file)).exit_code == 0
    wrapped, _, authz = attacked.asked
    assert [type(wrapped)] == [guard]
    assert wrapped.authz is authz


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tests.cli.attacked"], "`tests.cli.attacked` names no app; write `module:app`"),
        (["tests.cli.attacked:nothing"], "cannot be imported: AttributeError"),
        (["tests.cli.attacked:bare"], "none is found in the app"),
        (["tests.cli.attacked:bare", "--policy", "no.toml"], "no.toml"),
        (["tests.cli.attacked:shop()", "GET /"], "lets everybody make this request"),
        (["tests.cli.attacked:shop()", "/x/../y"], "can be read in two ways"),
        ([], "Missing argument 'MODULE:APP'"),
    ],
)
def test_a_mistake_ends_it_with_2(arguments: list[str], said: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in result.output
