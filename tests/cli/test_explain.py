"""`authz explain`: what it prints, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from authz_middleware.testing import DevelopmentIssuer
from tests.cli.conftest import ISSUER

POLICY = ISSUER + (
    '[roles]\nviewer = ["read"]\neditor = { inherits = ["viewer"], permissions = ["write"] }\n'
    '[routes]\n"GET /a" = ["viewer"]\n'
    '"PUT /a" = { permissions = ["write"], scopes = ["w"] }\n"GET /open" = "public"\n'
)

REFUSED = """\
PUT /a
  ok         path       /a
  unchecked  token      none: a caller is assumed
  ok         caller     roles editor, viewer; permissions read, write; scopes none
refused: scope_missing by PUT /a (authz.toml:9:1)
  because    needs the scope `w`; has none
PUT /a (authz.toml:9:1): not met
  | "PUT /a" = { permissions = ["write"], scopes = ["w"] }
  not met: (the permission `write` and the scope `w`)
    met: the permission `write`; has read, write
    not met: the scope `w`; has none
"""

LINE = (
    "2026-01-01 INFO refused 'GET' '/a': role_missing missing=['viewer'] rule=GET /a (x:8:1)"
    " subject='bob' issuer='i' asked='' id=6c1f\n"
)


@pytest.fixture(autouse=True)
def policy(folder: Path) -> None:
    (folder / "authz.toml").write_text(POLICY)


def test_a_refusal(authz) -> None:
    result = authz("explain", "put", "/a", "--as", "editor")
    assert result.output == REFUSED
    assert result.exit_code == 1


def test_a_request_that_is_let_in(authz) -> None:
    result = authz("explain", "PUT", "/a", "--as", "editor", "--scope", "w")
    assert "allowed by PUT /a (authz.toml:9:1)\n" in result.output
    assert result.exit_code == 0
    assert authz("explain", "PUT", "/a", "--permission", "write", "--scope", "w").exit_code == 0


@pytest.mark.parametrize(
    ("given", "said", "code"),
    [
        ((), "  say        what the loader would find, with --resource\n", 1),
        (("--resource", '{"owner": "ann"}'), "allowed by GET /o/<id>", 0),
        (("--resource", '{"owner": "ben"}'), "refused: condition_not_met by GET /o/<id>", 1),
        (("--resource", "null"), "refused: resource_missing by GET /o/<id>", 1),
    ],
)
def test_no_loader_is_asked(folder: Path, authz, given, said: str, code: int) -> None:
    own = '"GET /o/<id>" = { load = "order", when = "resource.owner == subject.id" }\n'
    (folder / "authz.toml").write_text(POLICY + own)
    result = authz("explain", "GET", "/o/1", "--claims", '{"sub": "ann"}', *given)
    assert said in result.output
    assert ("  unchecked  object     none is loaded" in result.output) is bool(given)
    assert result.exit_code == code


def test_no_decision_point_is_asked(folder: Path, authz) -> None:
    (folder / "authz.toml").write_text(
        POLICY
        + '"GET /b" = { roles = ["viewer"], pdp = "x" }\n[pdp.x]\nurl = "http://127.0.0.1:9"\n'
    )
    result = authz("explain", "GET", "/b", "--as", "viewer")
    assert result.exit_code == 1
    assert "refused: pdp_unavailable by GET /b" in result.output
    assert "because    needs a yes of the decision point `x`; has not asked" in result.output
    assert "refused: role_missing" in authz("explain", "GET", "/b", "--scope", "w").output


def test_loaders_need_not_be_there(folder: Path, authz) -> None:
    (folder / "authz.toml").write_text(
        POLICY + '"GET /b/<id>" = { roles = ["viewer"], load = "b" }\n'
    )
    assert authz("explain", "GET", "/a", "--as", "viewer").exit_code == 0
    assert "needs the role `viewer`" in authz("explain", "GET", "/b/1", "--scope", "w").output


def test_colours(authz) -> None:
    output = authz("explain", "PUT", "/a", "--as", "editor", color=True).output
    assert "    \x1b[32mmet" in output or "\x1b[32m    met\x1b[0m: the permission" in output


def test_nothing_that_was_sent_steers_a_terminal(authz, folder: Path) -> None:
    line = "INFO refused 'GET' '/x\\x1b[2J\\nallowed by x': no_rule rule=\x1b[2J id=7c"
    (folder / "service.log").write_text(line + "\n")
    roles = json.dumps({"roles": ["viewer", "\x1b[2J"]})
    logged = ("--id", "7c", "--log", "service.log", "--claims", roles)
    output = authz("explain", *logged, color=True).output
    assert "GET /x\\x1b[2J\\nallowed by x" in output
    assert "rule=\\x1b[2J" in output
    assert "\x1b[2J" not in output


def test_a_rule_that_stands_nowhere(authz) -> None:
    output = authz("explain", "GET", "/none", "--as", "viewer").output
    assert "refused: no_rule by default (authz.toml)\n" in output
    assert "  |" not in output


def test_a_path_that_could_be_two(authz) -> None:
    result = authz("explain", "GET", "//a")
    assert result.output.endswith("refused: path_ambiguous\n")
    assert result.exit_code == 1


def test_claims(authz, folder: Path) -> None:
    claims = '{"sub": "ann", "roles": ["viewer"]}'
    (folder / "claims.json").write_text(claims)
    for words in (("--claims", claims), ("--claims", "@claims.json")):
        assert authz("explain", "GET", "/a", *words).exit_code == 0
    assert authz("explain", "GET", "/a", "--claims", "-", input=claims).exit_code == 0


def test_a_token_is_never_printed(authz, folder: Path) -> None:
    issuer = DevelopmentIssuer("https://login.example.com", "orders")
    (folder / "keys.json").write_text(json.dumps(issuer.jwks))
    (folder / "authz.toml").write_text(
        POLICY.replace('["orders"]', '["orders"]\njwks_file = "keys.json"')
    )
    for token in (
        issuer.mint("ann", roles=["viewer"]),
        issuer.expired("ann"),
        issuer.mint("ann") + "x",
        "opaque-token-text",
    ):
        for more in ((), ("--json",)):
            result = authz("explain", "GET", "/a", "--token", "-", *more, input=token + "\n")
            assert not any(part in result.output for part in token.split("."))
    assert authz(
        "explain", "GET", "/a", "--token", issuer.mint("ann", roles=["viewer"])
    ).exit_code == 0  # fmt: skip
    output = authz("explain", "GET", "/a", "--token", issuer.expired("ann")).output
    assert "refused: invalid_token by GET /a (authz.toml:9:1)\n  detail     expired\n" in output


def test_a_decision_that_was_logged(authz, folder: Path) -> None:
    (folder / "service.log").write_text("other\n" + LINE)
    result = authz("explain", "--id", "6c1f", "--log", "service.log", "--as", "viewer")
    assert "GET /a\n  logged     refused, role_missing missing=['viewer']" in result.output
    assert result.exit_code == 0
    result = authz("explain", "--id", "6c1f", "--log", "-", "--json", input=LINE)
    assert json.loads(result.output)["recorded"]["path"] == "/a"


RECORD = {
    "id": "6c1f",
    "at": 1_700_000_000,
    "allowed": False,
    "reason": "role_missing",
    "rule": "GET /a",
    "kind": "http",
    "method": "GET",
    "path": "/a",
    "asked": "",
    "subject": "bob",
    "issuer": "https://login.example.com",
    "roles": [],
    "permissions": [],
    "scopes": ["w"],
}


def recorded(folder: Path, **more: object) -> tuple[str, ...]:
    (folder / "decisions.jsonl").write_text(json.dumps({**RECORD, **more}) + "\n")
    return "explain", "--id", "6c1f", "--log", "decisions.jsonl"


def test_a_decision_that_was_recorded_knows_its_caller(authz, folder: Path) -> None:
    words = recorded(folder)
    result = authz(*words)
    assert result.exit_code == 1
    assert "GET /a\n  logged     refused, role_missing rule=GET /a subject='bob'" in result.output
    assert "ok         caller     roles none; permissions none; scopes w\n" in result.output
    assert "because    needs" in result.output
    # Another caller may be named, for what would have been.
    assert authz(*words, "--as", "viewer").exit_code == 0
    document = json.loads(authz(*words, "--json").output)
    assert document["recorded"]["record"]["subject"] == "bob"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"subject": None, "reason": "no_credentials"}, "refused: no_credentials by GET /a"),
        ({"subject": None, "reason": "invalid_token"}, "refused: invalid_token by GET /a"),
        ({"issuer": "https://other.example.com"}, "no         issuer     unknown_issuer"),
        ({"kind": "websocket"}, "WS /a\n"),
        ({"at": None}, "refused: role_missing"),
    ],
)
def test_whatever_was_recorded(authz, folder: Path, more: dict[str, object], said: str) -> None:
    result = authz(*recorded(folder, **more))
    assert said in result.output
    assert result.exit_code == 1


def test_it_is_explained_for_the_time_at_which_it_was_decided(authz, folder: Path) -> None:
    (folder / "authz.toml").write_text(
        POLICY + '"GET /t" = { roles = ["viewer"], when = "context.time.getFullYear() == 2023" }\n'
    )
    words = recorded(folder, path="/t", roles=["viewer"], reason="condition_not_met")
    assert authz(*words).exit_code == 0
    assert authz("explain", "GET", "/t", "--as", "viewer").exit_code == 1


def test_a_request_whose_path_was_not_logged(authz, folder: Path) -> None:
    result = authz(*recorded(folder, path=None, reason="path_ambiguous"))
    assert result.exit_code == 2
    assert "path_ambiguous: of that request no path was logged" in result.output


def test_json(authz) -> None:
    document = json.loads(authz("explain", "PUT", "/a", "--as", "editor", "--json").output)
    assert document["decision"]["reason"] == "scope_missing"
    assert "findings" not in document["decision"]  # they stand there once
    assert document["steps"][0] == {"name": "path", "came": "ok", "said": "/a"}
    assert document["rules"][0]["finding"]["parts"][1]["outcome"] == "not met"
    assert document["recorded"] is None


UNREADABLE = {
    "a": "it does not begin with `/`: 400 for everybody",
    "https://api.example.com/a": "it does not begin with `/`: 400 for everybody",
    "/a?b=c": "it holds a `?`: a query is no part of a path, and `%3F`",
    "/a/../b": "two parties could read it in two ways: 400 for everybody",
}


@pytest.mark.parametrize(("path", "said"), UNREADABLE.items())
def test_what_is_no_path_is_said(authz, path: str, said: str) -> None:
    result = authz("explain", "GET", path)
    assert result.exit_code == 1
    assert said in result.output
    assert "refused: path_ambiguous" in result.output


MISTAKES = {
    "no request": ((), "name METHOD and PATH, or --id and --log"),
    "an id without a log": (("--id", "x"), "--id and --log belong together"),
    "no such log": (("--id", "x", "--log", "no.log"), "no.log cannot be read: No such file"),
    "no such id": (("--id", "x", "--log", "authz.toml"), "no decision with the id x is in"),
    "two callers": (("GET", "/a", "--as", "viewer", "--claims", "{}"), "give one of --as"),
    "no such role": (("GET", "/a", "--as", "viewr"), "role `viewr` is not defined in [roles]"),
    "claims that are none": (("GET", "/a", "--claims", "[1]"), "--claims is a JSON object"),
    "claims that are no JSON": (("GET", "/a", "--claims", "{"), "--claims is a JSON object"),
    "an object that is none": (("GET", "/a", "--resource", "1"), "--resource is a JSON object"),
    "no such file": (("GET", "/a", "--claims", "@no"), "what --claims names cannot be read"),
    "no such policy": (("GET", "/a", "--policy", "no.toml"), "there is no such file"),
}


@pytest.mark.parametrize(("words", "said"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake(authz, words, said: str) -> None:
    result = authz("explain", *words)
    assert said in result.output
    assert result.exit_code == 2


def test_a_role_where_there_is_none(authz, folder: Path) -> None:
    (folder / "authz.toml").write_text(f'{ISSUER}[roles]\n[routes]\n"/a" = "deny"\n')
    result = authz("explain", "GET", "/a", "--as", "viewer")
    assert "role `viewer` is not defined in [roles], which has: none" in result.output
