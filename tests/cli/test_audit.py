"""`authz audit`: the table, the gaps, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from authz_middleware.cli import main
from tests.cli.apps import HOSTILE

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
        "roles": [],
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
        (["tests.cli.apps:unguarded"], "app: no guard stands before it; wrap it, or name a policy"),
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
    said = 'by-client: /health (routes."/health"): it lets in by header fields or the query'
    assert f"{said}, which the client chooses" in result.output
    assert "the condition `'x-plan' in context.headers` (of what the client sends)" in result.output
    document = json.loads(run("audit", "tests.cli.apps:trusting()", "--json").output)
    assert [(each["kind"], each["about"]) for each in document["notices"]] == [
        ("by-client", "/health")
    ]
    assert result.exit_code == 0


# --- What ends it with 1 ---


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([], 1),
        (["--fail-on", "uncovered"], 1),
        (["--fail-on", "opaque, dead"], 1),
        (["--fail-on", "unreachable", "--fail-on", "dead"], 1),
        (["--fail-on", "unreachable,partly-covered,wider-rule"], 0),
        (["--fail-on", "never"], 0),
    ],
)
def test_what_is_found_ends_it_with_1_if_it_is_asked_to(words: list[str], code: int) -> None:
    assert run("audit", "tests.cli.apps:mounted()", *words).exit_code == code


def test_rules_that_look_wide_end_it_only_if_it_is_asked_to() -> None:
    assert run("audit", "tests.cli.apps:trusting()").exit_code == 0
    assert run("audit", "tests.cli.apps:trusting()", "--fail-on", "by-client").exit_code == 1
    assert run("audit", "tests.cli.apps:trusting()", "--fail-on", "wider-rule").exit_code == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("covered", "'covered' is none of by-client, dead, differs, opaque, partly-covered,"),
        ("", "'' is none of"),
        ("dead,", "'' is none of"),
        ("never,dead", "`never` stands alone"),
    ],
)
def test_a_kind_that_is_none(given: str, said: str) -> None:
    result = run("audit", "tests.cli.apps:shop()", "--fail-on", given)
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())


def test_a_router_that_takes_another_route() -> None:
    result = run("audit", "tests.cli.apps:first_wins()", "--fail-on", "differs")
    assert result.exit_code == 1
    (line,) = [line for line in result.output.splitlines() if line.startswith("differs: ")]
    assert line == (
        "differs: GET /users/me is taken by /users/{name}, not by /users/me; it must also meet"
        ' /users/{name} (routes."/users/{name}")'
    )


# --- The snapshot ---


def test_a_snapshot_is_written_and_compared(tmp_path: Path) -> None:
    file = str(tmp_path / "authz.audit")
    first = run("audit", "tests.cli.apps:shop()", "--snapshot", file)
    assert (first.exit_code, first.output) == (0, f"{file}: written\n")
    again = run("audit", "tests.cli.apps:shop()", "--snapshot", file, "--check")
    assert (again.exit_code, again.output) == (0, f"{file}: unchanged\n")
    other = run("audit", "tests.cli.apps:gappy()", "--snapshot", file, "--check")
    assert other.exit_code == 1
    assert "+GET /late/<name>\n+  uncovered: nobody\n" in other.output
    assert other.output.endswith(
        f"{file}: changed; if that is meant, write it again without --check\n"
    )
    # A check writes nothing, and what is meant is written.
    assert run("audit", "tests.cli.apps:shop()", "--snapshot", file, "--check").exit_code == 0
    meant = run("audit", "tests.cli.apps:gappy()", "--snapshot", file, "--fail-on", "never")
    assert (meant.exit_code, meant.output.splitlines()[-1]) == (0, f"{file}: written anew")
    checked = run("audit", "tests.cli.apps:gappy()", "--snapshot", file, "--check")
    assert checked.exit_code == 1  # for the gap that it still has
    assert checked.output.endswith(f"{file}: unchanged\n")


def test_a_snapshot_that_is_as_it_was_keeps_its_line_ends(tmp_path: Path) -> None:
    file = tmp_path / "authz.audit"
    run("audit", "tests.cli.apps:shop()", "--snapshot", str(file))
    windows = file.read_bytes().replace(b"\n", b"\r\n")
    file.write_bytes(windows)
    assert run("audit", "tests.cli.apps:shop()", "--snapshot", str(file), "--check").exit_code == 0
    assert run("audit", "tests.cli.apps:shop()", "--snapshot", str(file)).exit_code == 0
    assert file.read_bytes() == windows


@pytest.mark.parametrize(
    "held",
    [b"", b"\x00\xff\xfe", b'[routes]\n"/a" = "public"\n', b"<<<<<<< ours\n"],
    ids=["nothing", "no text", "a policy", "a merge that failed"],
)
@pytest.mark.parametrize("more", [[], ["--check"]], ids=["to write", "to check"])
def test_a_file_that_is_no_snapshot_is_left_alone(
    held: bytes, more: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "authz.audit"
    file.write_bytes(held)
    result = run("audit", "tests.cli.apps:shop()", "--snapshot", str(file), *more)
    assert result.exit_code == 2
    assert f"{file} is no snapshot: its first line is not `# Who may call" in result.output
    assert file.read_bytes() == held


def test_a_merge_that_failed_further_down_is_a_change(tmp_path: Path) -> None:
    file = tmp_path / "authz.audit"
    run("audit", "tests.cli.apps:shop()", "--snapshot", str(file))
    file.write_bytes(file.read_bytes() + b"<<<<<<< \xff\x1b[2J\n")
    result = run("audit", "tests.cli.apps:shop()", "--snapshot", str(file), "--check")
    assert result.exit_code == 1
    assert "-<<<<<<< \ufffd\\x1b[2J\n" in result.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--check"], "--check needs --snapshot FILE"),
        (
            ["--check", "--snapshot", "{}/none"],
            "{}/none cannot be read: No such file or directory; without --check it is written",
        ),
        (["--snapshot", "{}"], "is a directory"),
        (
            ["--snapshot", "{}/none/none"],
            "{}/none/none cannot be written: No such file or directory\n",
        ),
    ],
)
def test_a_snapshot_that_cannot_be(words: list[str], said: str, tmp_path: Path) -> None:
    asked = [word.format(tmp_path) for word in words]
    result = run("audit", "tests.cli.apps:shop()", *asked)
    assert result.exit_code == 2
    assert said.format(tmp_path) in result.output


def test_a_snapshot_and_json(tmp_path: Path) -> None:
    file = str(tmp_path / "authz.audit")
    words = ("--snapshot", file, "--json")
    assert json.loads(run("audit", "tests.cli.apps:shop()", *words).stdout)["changes"] == []
    found = json.loads(run("audit", "tests.cli.apps:gappy()", *words, "--check").stdout)
    assert "+GET /late/<name>" in found["changes"]


def in_a_process(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does: Django has its settings once in a process."""
    command = [sys.executable, "-m", "authz_middleware.cli", *words]
    environ = {name: value for name, value in os.environ.items() if "DJANGO" not in name}
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environ)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["django_app.wsgi:application", "django_app.asgi:application"])
def test_djangos_router_is_asked(name: str) -> None:
    done = in_a_process("audit", f"examples.{name}", "--fail-on", "never")
    assert (done.returncode, done.stderr) == (0, "")


SNAPSHOTS = {
    "Flask": "flask_app.app:app",
    "FastAPI": "fastapi_app.app:app",
    "Starlette": "starlette_app.app:app",
    "Django": "django_app.wsgi:application",
}


@pytest.mark.slow
@pytest.mark.parametrize("target", SNAPSHOTS.values(), ids=SNAPSHOTS)
def test_the_examples_are_as_their_snapshots_say(target: str) -> None:
    file = f"examples/{target.partition('.')[0]}/authz.audit"
    words = ("--snapshot", file, "--check", "--fail-on", "never")
    done = in_a_process("audit", f"examples.{target}", *words)
    assert done.returncode == 0, done.stdout + done.stderr


# --- Apps that do odd things ---


def test_names_of_routes_steer_nothing() -> None:
    result = run("audit", "tests.cli.apps:hostile()")
    assert result.exit_code == 0
    assert len(result.output.splitlines()) == 4
    assert all(line.isprintable() for line in result.output.splitlines())
    # One long route does not stretch the lines of the others.
    assert max(map(len, result.output.splitlines()[2:4])) > 10_000
    assert len(result.output.splitlines()[1]) < 300
    document = json.loads(run("audit", "tests.cli.apps:hostile()", "--json").stdout)
    assert document["routes"][0]["route"] == HOSTILE


MODULES = {
    "prints": ("print('hello')\nfrom tests.cli.apps import wrapped as app", 0, ""),
    "raises": ("raise RuntimeError('no database')", 2, "RuntimeError: no database"),
    "ends the process": ("raise SystemExit(0)", 2, "cannot be imported: SystemExit: 0"),
    "is no Python": ("def", 2, "cannot be imported: SyntaxError"),
    "imports what is beside it": ("from . import other", 2, "attempted relative import"),
}


@pytest.mark.parametrize(("text", "code", "said"), MODULES.values(), ids=MODULES)
def test_an_app_that(
    text: str, code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = f"odd_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(text)
    result = run("audit", f"{name}:app", "--json")
    assert result.exit_code == code
    assert said in result.stderr
    if code == 0:
        assert json.loads(result.stdout)["gaps"] == []
        assert result.stderr == "hello\n"


def test_a_package_whose_modules_import_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "kiosk"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "parts.py").write_text("from tests.cli.apps import wrapped as app")
    (folder / "main.py").write_text("from .parts import app")
    assert run("audit", "kiosk.main:app").exit_code == 0
    for text in (".main:app", "kiosk/main.py:app", "kiosk/main:app"):
        result = run("audit", text)
        assert f"`{text}` names no app; write `module:app`" in result.output
