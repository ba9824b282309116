"""`authz matrix`: the table in the terminal, as CSV and JSON, and the page."""

from __future__ import annotations

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.cli.conftest import ISSUER

POLICY = ISSUER + (
    '[roles]\nviewer = ["read"]\neditor = { inherits = ["viewer"], permissions = ["write"] }\n'
    '[routes]\n"GET /a" = ["viewer"]\n'
    '"PUT /a" = { permissions = ["write"], scopes = ["w"] }\n"GET /{data}" = "public"\n'
    '"POST /both" = { all = [["viewer"], ["editor"]] }\n'
)


@pytest.fixture(autouse=True)
def policy(folder: Path) -> None:
    (folder / "authz.toml").write_text(POLICY)


def rows(output: str) -> list[list[str]]:
    return [re.split(r"\s{2,}", line.strip()) for line in output.splitlines()]


def test_the_table(authz) -> None:
    result = authz("matrix")
    assert rows(result.output) == [
        ["METHODS", "ROUTE", "anonymous", "any valid token", "editor", "viewer"],
        ["GET", "/a", "no", "no", "yes", "yes"],
        ["PUT", "/a", "no", "no", "if[1]", "no"],
        ["POST", "/both", "no", "no", "yes", "no"],
        ["GET", "/{data}", "yes", "yes", "yes", "yes"],
        ["GET|POST|PUT|others", "any other path", "no", "no", "no", "no"],
        ["[1] the scope `w`"],
    ]
    assert result.exit_code == 0
    assert "\x1b[33mif[1]" in authz("matrix", color=True).output


def test_roles_together(authz, folder: Path) -> None:
    (folder / "authz.toml").write_text(ISSUER + '[routes]\n"GET /pay" = { all = [["a"], ["b"]] }\n')
    assert authz("matrix").output.endswith("\nGET /pay: also a + b\n")


def test_some_roles(authz) -> None:
    result = authz("matrix", "--role", "viewer")
    assert rows(result.output)[0] == ["METHODS", "ROUTE", "anonymous", "any valid token", "viewer"]
    result = authz("matrix", "--role", "anonymous")  # the name of a column, and of no role
    assert "role `anonymous` is in no rule and not in [roles]" in result.output
    result = authz("matrix", "--role", "viewr")
    assert "role `viewr` is in no rule and not in [roles]" in result.output
    assert result.exit_code == 2


def test_csv(authz) -> None:
    found = list(csv.DictReader(authz("matrix", "--csv").output.splitlines()))
    assert found[1] == {
        "methods": "PUT",
        "route": "/a",
        "example": "/a",
        "rules": "PUT /a (authz.toml:9:1)",
        "together": "",
        "anonymous": "no",
        "any valid token": "no",
        "editor": "if the scope `w`",
        "viewer": "no",
    }


def test_csv_says_who_may_it_together_and_computes_nothing(authz, folder: Path) -> None:
    rules = '"GET /a" = { all = [["=1+1"], ["b"]] }\n'
    (folder / "authz.toml").write_text(f"{ISSUER}[roles]\n'=1+1' = []\nb = []\n[routes]\n{rules}")
    found = list(csv.DictReader(authz("matrix", "--csv").output.splitlines()))
    assert list(found[0])[5:] == ["anonymous", "any valid token", "'=1+1", "b"]
    assert found[0]["together"] == "'=1+1 + b"


def test_json(authz) -> None:
    document = json.loads(authz("matrix", "--json").output)
    assert document["columns"] == ["anonymous", "any valid token", "editor", "viewer"]
    assert document["rows"][0]["cells"][0] == {"may": "no", "why": "needs a verified caller"}


def test_one_form_at_a_time(authz) -> None:
    assert authz("matrix", "--csv", "--json").exit_code == 2


def test_what_cannot_be_loaded(authz, folder: Path) -> None:
    (folder / "authz.toml").write_text("x = 1")
    assert authz("matrix").exit_code == 2


class Elements(HTMLParser):
    """What is in a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_endtag(self, tag):
        self._open.pop()

    def handle_data(self, data):
        if self._open:
            self.texts.setdefault(self._open[-1], []).append(data)


def test_the_page_is_one_file_with_a_real_table(authz, folder: Path) -> None:
    result = authz("matrix", "--html", "matrix.html")
    assert result.output == "matrix.html: 5 routes, 4 callers\n"
    text = (folder / "matrix.html").read_text()
    page = Elements()
    page.feed(text)
    assert not any({"src", "href"} & attributes.keys() for _, attributes in page.tags)
    heads = [each for tag, each in page.tags if tag == "th"]
    assert [each["scope"] for each in heads] == ["col"] * 6 + ["row"] * 5
    cells = [each["data-may"] for tag, each in page.tags if tag == "td" and "data-may" in each]
    assert cells[:8] == ["no", "no", "yes", "yes", "no", "no", "if", "no"]
    assert "/{data}" in page.texts["th"]  # what looks like a place of the template is none
    data = json.loads(page.texts["script"][0])
    assert data["rows"][3]["route"] == "/{data}"
    assert data["whys"][data["rows"][1]["cells"][2]] == "the scope `w`"


def test_nothing_of_a_policy_can_run_in_the_page(authz, folder: Path) -> None:
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
    (folder / "authz.toml").write_text(
        ISSUER + f'[roles]\n"{evil}" = []\n[routes]\n"GET /a" = ["{evil}"]\n'
    )
    authz("matrix", "--html", "matrix.html")
    text = (folder / "matrix.html").read_text()
    assert "<script>alert" not in text
    assert "<img" not in text
    page = Elements()
    page.feed(text)
    assert [tag for tag, _ in page.tags].count("script") == 2
    assert "sha256-" in text
    assert "unsafe-inline" not in text


# --- The routes of an app ---


def test_the_routes_of_an_app(authz) -> None:
    result = authz("matrix", "--app", "tests.cli.apps:mounted()")
    assert rows(result.output) == [
        ["METHODS", "ROUTE", "anonymous", "any valid token", "editor", "viewer"],
        ["GET", "/api/items/{id:int}", "no", "no", "yes", "yes"],
        ["PUT", "/api/items/{id:int}", "no", "no", "no", "no"],
        ["WS", "/feed", "no", "yes", "yes", "yes"],
        ["GET|PUT|WS|others", "/files/**", "no", "no", "yes", "no"],
        ["GET", "/health", "yes", "yes", "yes", "yes"],
        ["GET|PUT|WS|others", "/other/**", "no", "no", "no", "no"],
    ]
    assert result.exit_code == 0


def test_the_routes_of_an_app_under_another_policy(authz) -> None:
    result = authz("matrix", "authz.toml", "--app", "tests.cli.apps:unguarded", "--role", "viewer")
    found = rows(result.output)
    assert found[0] == ["METHODS", "ROUTE", "anonymous", "any valid token", "viewer"]
    assert ["GET", "/health", "yes", "yes", "yes"] in found  # by GET /{data}
    assert ["GET|OPTIONS", "/items/<int:id>", "no", "no", "no"] in found


def test_the_routes_of_an_app_in_other_forms(authz, folder: Path) -> None:
    words = ("matrix", "--app", "tests.cli.apps:shop()")
    document = json.loads(authz(*words, "--json").output)
    by_route = {(row["route"], row["example"]): row for row in document["rows"]}
    assert by_route["/files/<path:name>", "/files/secret"]["rules"][0]["key"] == "/files/secret"
    lines = [*csv.reader(authz(*words, "--csv").output.splitlines())]
    assert lines[0][5:] == ["anonymous", "any valid token", "editor", "viewer"]
    assert authz(*words, "--html", "m.html").output.startswith("m.html: ")
    page = (folder / "m.html").read_text()
    assert "<title>Who may do what: tests.cli.apps:shop()</title>" in page
    assert "/files/&lt;path:name&gt; (as /files/secret)" in page


def test_an_app_with_odd_routes(authz, folder: Path) -> None:
    words = ("matrix", "--app", "tests.cli.apps:hostile()")
    assert all(line.isprintable() for line in authz(*words).output.splitlines())
    assert all(line.isprintable() for line in authz(*words, "--csv").output.splitlines())
    authz(*words, "--html", "m.html")
    page = (folder / "m.html").read_text()
    assert "\\u202e&#x27;&quot;&lt;b&gt;" in page
    assert "<b>" not in page
    assert "\u202e" not in page


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--app", "tests.cli.apps"), "names no app; write `module:app`"),
        (("--app", "tests.cli.apps:unguarded"), "app: no guard stands before it"),
        (("--app", "tests.cli.apps:shop()", "--role", "none"), "role `none` is in no rule"),
        (("none.toml", "--app", "tests.cli.apps:shop()"), "none.toml: "),
    ],
)
def test_an_app_that_cannot_be_laid_out(words: tuple[str, ...], said: str, authz) -> None:
    result = authz("matrix", *words)
    assert result.exit_code == 2
    assert said in result.output
