"""`[pdp.NAME]` and `pdp` as they are written: what is taken, what is refused, and where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from authz_middleware.authzen.decision_point import DecisionPoint
from authz_middleware.document import Document
from authz_middleware.errors import PolicyError
from authz_middleware.runtime import settings
from authz_middleware.runtime.settings import Settings

HEAD = """\
[[issuers]]
issuer = "https://login.example.com"
audience = "orders"
[roles]
editor = []
[pdp.orders]
url = "https://pdp.example.com"
"""
SECRET = "s3cr3t-t0ken"
FILES = {"token": f"{SECRET}\n".encode(), "empty": b"", "lines": b"one\ntwo\n"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PDP_TOKEN", SECRET)
    for name, data in FILES.items():
        Path(name).write_bytes(data)


def load(text: str) -> Settings:
    Path("authz.toml").write_text(HEAD + text)
    return settings.load(Document.read("authz.toml"), loaders=("order",))


def point(text: str = "") -> DecisionPoint:
    return load(text).pdps["orders"]


def route(requirement: str, key: str = "GET /orders/<int:id>") -> str:
    return f'[routes]\n"{key}" = {requirement}'


# What is taken


def test_as_it_is_by_itself() -> None:
    found = point()
    assert found.evaluation == "https://pdp.example.com/access/v1/evaluation"
    assert found.evaluations == "https://pdp.example.com/access/v1/evaluations"
    assert found == DecisionPoint("orders", found.evaluation, found.evaluations)
    assert (found.authorization, found.timeout, found.denies) == (None, 2.0, False)
    assert (found.failures, found.pause) == (5, 10.0)


POINTS: dict[str, tuple[str, dict[str, Any]]] = {
    "a time": ("timeout = 0.5", {"timeout": 0.5}),
    "a whole number": ("timeout = 60", {"timeout": 60.0}),
    "no answer is a no": ('on_failure = "deny"', {"denies": True}),
    "no answer is an outage": ('on_failure = "unavailable"', {"denies": False}),
    "a breaker": ("breaker = { failures = 1, pause = 0.5 }", {"failures": 1, "pause": 0.5}),
    "half a breaker": ("breaker = { pause = 3600 }", {"failures": 5, "pause": 3600.0}),
    "a variable": ('token_env = "PDP_TOKEN"', {"authorization": f"Bearer {SECRET}"}),
    "a file": ('token_file = "token"', {"authorization": f"Bearer {SECRET}"}),
    "no place for several": ("access_evaluations_endpoint = false", {"evaluations": None}),
    "other places": (
        """
access_evaluation_endpoint = "https://a.example.com/one"
access_evaluations_endpoint = "http://127.0.0.1:8/more"
""",
        {"evaluation": "https://a.example.com/one", "evaluations": "http://127.0.0.1:8/more"},
    ),
}


@pytest.mark.parametrize(("text", "keys"), POINTS.values(), ids=POINTS)
def test_what_it_says_is_taken(text: str, keys: dict[str, Any]) -> None:
    found = point(text)
    assert {name: getattr(found, name) for name in keys} == keys
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    ("url", "one"),
    [
        ("https://pdp.example.com/", "https://pdp.example.com/access/v1/evaluation"),
        ("https://pdp.example.com/t/a", "https://pdp.example.com/t/a/access/v1/evaluation"),
        ("http://localhost:8181", "http://localhost:8181/access/v1/evaluation"),
        ("http://[::1]:8181", "http://[::1]:8181/access/v1/evaluation"),
    ],
)
def test_endpoints_stand_below_the_url(url: str, one: str) -> None:
    assert load(f'[pdp.x]\nurl = "{url}"').pdps["x"].evaluation == one


RULES = {
    "alone": route('{ pdp = "orders" }'),
    "with more": route('{ roles = ["editor"], pdp = "orders", load = "order" }'),
    "inside": route('{ any = [["editor"], { pdp = "orders" }] }'),
    "negated": route('{ not = { pdp = "orders" } }'),
    "on trial": route('{ roles = ["editor"], all = [{ pdp = "orders", mode = "shadow" }] }'),
    "for what is left of a path": route('{ pdp = "orders" }', "GET /files/<path:rest>"),
    "in braces": route('{ pdp = "orders" }', "GET /orders/{id:int}"),
}


@pytest.mark.parametrize("text", RULES.values(), ids=RULES)
def test_a_rule_may_ask(text: str) -> None:
    found = load(text)
    assert (found.shadow or found.policy).pdps == {"orders"}


# What is refused: text, place, part of what is wrong, part of the fix

REFUSED = {
    "plain http": (
        '[pdp.x]\nurl = "http://pdp.example.com"',
        "9:1",
        "`url` is plain http to another machine",
        "use https",
    ),
    "no URL": ('[pdp.x]\nurl = "pdp"', "9:1", "`url` is not an http URL with a host", "https://"),
    "a query": ('[pdp.x]\nurl = "https://x/?a=b"', "9:1", "`url` has a query", "write it without"),
    "an empty query": ('[pdp.x]\nurl = "https://x/?"', "9:1", "`url` has a query", ""),
    "a user": ('[pdp.x]\nurl = "https://a:b@x"', "9:1", "`url` holds a user name", "without"),
    "no url": ("[pdp.x]\ntimeout = 1", "8:6", "`url` is missing", "the identifier"),
    "a number for a URL": ("[pdp.x]\nurl = 1", "9:1", "`url` must be a string", ""),
    "not a table": ('[pdp]\nx = "https://x"', "9:1", "`x` must be a table", ""),
    "an unknown key": ("urls = 1", "8:1", "`urls` is not a key of `pdp.orders`", "did you mean"),
    "an endpoint": (
        'access_evaluation_endpoint = "http://x"',
        "8:1",
        "`access_evaluation_endpoint` is plain http to another machine",
        "use https",
    ),
    "another endpoint": (
        'access_evaluations_endpoint = "x"',
        "8:1",
        "`access_evaluations_endpoint` is not an http URL",
        "",
    ),
    "true for an endpoint": (
        "access_evaluations_endpoint = true",
        "8:1",
        "`access_evaluations_endpoint` must be a string",
        "",
    ),
    "false for the other endpoint": (
        "access_evaluation_endpoint = false",
        "8:1",
        "`access_evaluation_endpoint` must be a string",
        "",
    ),
    "no time": ("timeout = 0", "8:1", "more than 0 and at most 60 seconds", "write `timeout = 2"),
    "too much time": ("timeout = 61", "8:1", "at most 60 seconds", ""),
    "a text for a time": ('timeout = "1"', "8:1", "`timeout` must be a number of seconds", ""),
    "a mode that lets in": (
        'on_failure = "allow"',
        "8:1",
        '`on_failure` cannot be "allow"',
        "nobody is let in without a yes",
    ),
    "no failures": ("breaker = { failures = 0 }", "8:13", "a whole number from 1 to 1000", ""),
    "half a failure": ("breaker = { failures = 1.5 }", "8:13", "a whole number from 1", ""),
    "no pause": ("breaker = { pause = 0 }", "8:13", "more than 0 and at most 3600", "pause = 10"),
    "an unknown key of the breaker": ("breaker = { fail = 1 }", "8:13", "`fail` is not a key", ""),
    "a breaker that is a number": ("breaker = 5", "8:1", "`breaker` must be a table", ""),
    "no variable": ('token_env = "NONE_"', "8:1", "NONE_ is not set, or empty", "set NONE_"),
    "the secret itself": ('token_env = "a b"', "8:1", "not the name of an environment", "name"),
    "no file": ('token_file = "none"', "8:1", "cannot be read", "check its path"),
    "an empty file": ('token_file = "empty"', "8:1", "characters that it cannot have", ""),
    "two lines": ('token_file = "lines"', "8:1", "characters that it cannot have", ""),
    "both": (
        'token_env = "PDP_TOKEN"\ntoken_file = "token"',
        "9:1",
        "`token_file` beside `token_env`",
        "write one of",
    ),
    "a name that is not there": (
        route('{ pdp = "order" }'),
        "9:28",
        "no [pdp.order] says where to ask",
        "did you mean `orders`?",
    ),
    "nothing like it": (
        route('{ pdp = "zzz" }'),
        "9:28",
        "no [pdp.zzz] says where to ask",
        "known: `orders`",
    ),
    "a list": (route('{ pdp = ["orders"] }'), "9:28", "`pdp` must be a string", ""),
    "an empty name": (route('{ pdp = "" }'), "9:28", "`pdp` is empty", ""),
    "a path without a name": (
        route('{ pdp = "orders" }', "/orders/**"),
        "9:18",
        "`**` has no name",
        "write `<path:rest>`",
    ),
    "in a forbid": (
        '[forbid]\nx = { pdp = "orders" }',
        "9:7",
        "`pdp` asks somebody, and what is forbidden hangs on nobody's answer",
        "write it in a rule of [routes]",
    ),
    "in a test, a name that is not there": (
        '[[tests]]\nas = { subject = "ann" }\npdp = { order = true }\ndeny = ["/a"]',
        "10:9",
        "no decision point is called `order`",
        "known: `orders`",
    ),
    "in a test, neither yes nor no": (
        '[[tests]]\nas = { subject = "ann" }\npdp = { orders = "yes" }\ndeny = ["/a"]',
        "10:9",
        "a decision point says yes or no, or nothing",
        'write `true`, `false` or "unavailable"',
    ),
    "in a test, 1": (
        '[[tests]]\nas = { subject = "ann" }\npdp = { orders = 1 }\ndeny = ["/a"]',
        "10:9",
        "a decision point says yes or no, or nothing",
        "",
    ),
}


@pytest.mark.parametrize(("text", "place", "what", "fix"), REFUSED.values(), ids=REFUSED)
def test_refused(text: str, place: str, what: str, fix: str) -> None:
    with pytest.raises(PolicyError) as refused:
        load(text)
    (problem,) = refused.value.problems
    assert what in problem.what
    assert fix in problem.fix
    assert problem.where == f"authz.toml:{place}"
    assert SECRET not in str(refused.value)
    assert "t0ken" not in str(refused.value)


def test_a_name_without_any_decision_point_says_what_to_write() -> None:
    Path("authz.toml").write_text(HEAD.partition("[pdp.")[0] + route('{ pdp = "orders" }'))
    with pytest.raises(PolicyError, match=r"write \[pdp.orders\] with `url = "):
        settings.load(Document.read("authz.toml"))


def test_a_candidate_has_decision_points_of_its_own() -> None:
    Path("next.toml").write_text(HEAD + route('{ pdp = "orders" }'))
    Path("authz.toml").write_text('candidate = "next.toml"\n' + HEAD)
    found = settings.load(Document.read("authz.toml"))
    assert found.policy.pdps == frozenset()
    assert found.candidate is not None
    assert found.candidate.settings.policy.pdps == {"orders"}


def test_another_file_of_the_policy_may_hold_them() -> None:
    Path("points").mkdir()
    Path("points/token").write_bytes(FILES["token"])
    Path("points/more.toml").write_text('[pdp.more]\nurl = "https://x"\ntoken_file = "token"')
    Path("authz.toml").write_text('include = ["points/more.toml"]\n' + HEAD)
    found = settings.load(Document.read("authz.toml"))
    assert {*found.pdps} == {"orders", "more"}
    assert found.pdps["more"].authorization == f"Bearer {SECRET}"
