"""`load`, `[permissions]` and `must_check`, as they are written: what is taken, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from authz_middleware.document import Document
from authz_middleware.errors import PolicyError
from authz_middleware.policy.model import Policy
from authz_middleware.runtime import settings

HEAD = """\
[[issuers]]
issuer = "https://login.example.com"
audience = ["orders"]
[roles]
editor = ["write", "read"]
"""
ROUTE = '"PUT /a/<int:id>"'
OWNER = "resource.owner == subject.id"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def load(text: str, loaders: tuple[str, ...] | None = ("article", "user")) -> Policy:
    Path("authz.toml").write_text(text if "[[issuers]]" in text else HEAD + text)
    return settings.load(Document.read("authz.toml"), loaders=loaders).policy


def routes(requirement: str, *more: str) -> str:
    return "\n".join([*more, "[routes]", f"{ROUTE} = {requirement}"])


PERMISSION = f"[permissions]\nwrite = {{ when = '{OWNER}' }}"

TAKEN = {
    "a name": routes('{ load = "article" }'),
    "a table": routes('{ load = { name = "article", missing = 404, timeout = 0.5 } }'),
    "403 is what it is anyway": routes('{ load = { name = "article", missing = 403 } }'),
    "a condition": routes(f"{{ load = 'article', when = '{OWNER}' }}"),
    "a condition inside": routes(f"{{ load = 'article', any = [{{ when = '{OWNER}' }}] }}"),
    "a permission with it": routes("{ load = 'article', permissions = ['write'] }", PERMISSION),
    "a permission inside": routes(
        "{ load = 'article', any = [{ permissions = ['write'] }] }", PERMISSION
    ),
    "or the handler asks": routes("{ permissions = ['write'], must_check = 'write' }", PERMISSION),
    "a permission that no route names": PERMISSION,
    "a permission that reads the path": routes(
        "{ permissions = ['write'] }", "[permissions]\nwrite = { when = 'resource.params.id == 1' }"
    ),
    "a permission that reads the caller": routes(
        "{ permissions = ['write'] }",
        "[permissions]\nwrite = { when = 'subject.id == \"ann\"' }",
    ),
    "no permissions": "[permissions]\n",
}


@pytest.mark.parametrize("text", TAKEN.values(), ids=TAKEN)
def test_taken(text: str) -> None:
    load(text)


# name: (text, at what it is, part of what is wrong, part of the fix)
REFUSED = {
    "a loader that is not there": (
        routes('{ load = "artcle" }'),
        "load",
        "no loader `artcle` is registered",
        "did you mean `article`?",
    ),
    "nothing like it": (
        routes('{ load = "zzz" }'),
        "load",
        "no loader `zzz` is registered",
        "registered: `article`, `user`",
    ),
    "in a table": (
        routes('{ load = { name = "usr" } }'),
        "name",
        "no loader `usr` is registered",
        "did you mean `user`?",
    ),
    "inside": (
        routes('{ any = [{ load = "usr" }, ["editor"]] }'),
        "load",
        "no loader `usr` is registered",
        "",
    ),
    "no name": (routes("{ load = { missing = 404 } }"), "load", "`load` names no loader", "name ="),
    "a number for a name": (
        routes("{ load = { name = 1 } }"),
        "name",
        "`name` must be a string",
        "",
    ),
    "an empty name": (routes('{ load = "" }'), "load", "`load` is empty", 'load = "article"'),
    "a list": (routes('{ load = ["article"] }'), "load", "`load` must be a string", ""),
    "an unknown key": (
        routes('{ load = { name = "user", mising = 404 } }'),
        "mising",
        "`mising` is not a key",
        "did you mean `missing`?",
    ),
    "another status": (
        routes('{ load = { name = "user", missing = 410 } }'),
        "missing",
        "the answer where there is no such object: 403 or 404",
        "write 404",
    ),
    "no time": (
        routes('{ load = { name = "user", timeout = 0 } }'),
        "timeout",
        "more than 0 and at most 60 seconds",
        "",
    ),
    "for ever": (
        routes('{ load = { name = "user", timeout = 61 } }'),
        "timeout",
        "more than 0 and at most 60 seconds",
        "",
    ),
    "a permission without its object": (
        routes("{ permissions = ['write'] }", PERMISSION),
        "permissions = [",
        "the condition of `write` reads attributes of an object, and nothing loads it here",
        'must_check = "write"',
    ),
    "a handler that is to ask something else": (
        routes("{ permissions = ['write'], must_check = 'read' }", PERMISSION),
        "permissions = [",
        "nothing loads it here",
        "",
    ),
    "a load that is beside it, and not around": (
        routes("{ any = [{ permissions = ['write'] }, { load = 'user' }] }", PERMISSION),
        "permissions = [",
        "nothing loads it here",
        "",
    ),
    "a permission of another path": (
        routes(
            "{ permissions = ['write'] }",
            "[permissions]\nwrite = { when = 'resource.params.no == 1' }",
        ),
        "permissions = [",
        "reads `resource.params.no`, which this path does not have",
        "",
    ),
    "a permission that a request cannot have": (
        routes(
            "{ permissions = ['write'], must_check = 'write' }",
            "[permissions]\nwrite = { when = 'action.properties.soft' }",
        ),
        "permissions = [",
        "the condition of `write` reads `action.properties`, which no request has",
        "for those who ask a decision point",
    ),
    "a condition of a permission that nobody has": (
        "[permissions]\nwirte = { when = 'subject.authenticated' }",
        "wirte",
        "nobody could ever have permission `wirte`",
        "",
    ),
    "a pattern": (
        "[permissions]\n'a:*' = { when = 'subject.authenticated' }",
        "'a:*'",
        "`a:*` is a pattern",
        "",
    ),
    "a permission without anything": ("[permissions]\nwrite = {}", "write =", "an empty table", ""),
    "a list of a permission": (
        "[permissions]\nwrite = []",
        "write =",
        "`write` must be a table",
        "",
    ),
    "another key": (
        "[permissions]\nwrite = { whne = 'x' }",
        "whne",
        "`whne` is not a key",
        "did you mean `when`?",
    ),
    "a mistake in the condition": (
        "[permissions]\nwrite = { when = 'subject.rolls == 1' }",
        "rolls",
        "`subject` has no attribute `rolls`",
        "did you mean `roles`?",
    ),
}


@pytest.mark.parametrize(("text", "at", "what", "fix"), REFUSED.values(), ids=REFUSED)
def test_refused(text: str, at: str, what: str, fix: str) -> None:
    with pytest.raises(PolicyError) as error:
        load(text)
    (problem,) = error.value.problems
    before = (HEAD + text)[: (HEAD + text).index(at, len(HEAD))]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    assert what in problem.what
    assert fix in problem.fix
    assert problem.where == f"authz.toml:{line}:{column}"


def test_where_nobody_asks_them_loaders_have_any_name() -> None:
    assert load(routes('{ load = "whatever" }'), None).loaders == {"whatever"}


def test_subjects_of_several_issuers_may_be_equal() -> None:
    more = '[[issuers]]\nissuer = "https://b.example"\naudience = ["b"]\ngrants = ["*"]\n'
    text = HEAD.replace('audience = ["orders"]', 'audience = ["orders"]\ngrants = ["*"]')
    with pytest.raises(PolicyError, match="subjects of several issuers may be equal"):
        load(more + text + PERMISSION)
