"""What is on trial: the policy without it, the policy with it, and how to write it wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from authz_middleware.document import Document
from authz_middleware.errors import PolicyError
from authz_middleware.facts import Principal
from authz_middleware.policy.model import Policy
from authz_middleware.runtime import settings

ISSUER = "https://login.example.com"


def load(routes: Any, **top: Any) -> settings.Settings:
    mapping = {"issuers": [{"issuer": ISSUER, "audience": ["orders"]}], "routes": routes, **top}
    return settings.load(Document.from_mapping(mapping))


def shadow(**table: Any) -> dict[str, Any]:
    return {**table, "mode": "shadow"}


EDITOR = shadow(roles=["editor"])


def decides(policy: Policy, asked: str, *roles: str) -> str:
    """Return what decides a caller with these roles, and how."""
    method, path = asked.split()
    found = policy.find(method, (path,))
    assert found is not None
    caller = Principal(subject="ann", issuer=ISSUER, roles=frozenset(roles), expires_at=0)
    decision = policy.decide(found, caller)
    assert decision.rule is not None
    return f"{decision.rule.key}: {decision.reason}"


RULES: dict[str, tuple[Any, str, str, str]] = {
    # routes, what is asked by a viewer, what is in force, what it would be
    "a rule with nothing below it": (
        {"GET /a": EDITOR},
        "GET /a",
        "default: no_rule",
        "GET /a: role_missing",
    ),
    "a rule above a looser one": (
        {"/a/**": ["viewer"], "GET /a/b": EDITOR},
        "GET /a/b",
        "/a/**: allowed",
        "GET /a/b: role_missing",
    ),
    "a looser rule above a strict one": (
        {"/**": "deny", "GET /a": shadow(roles=["viewer"])},
        "GET /a",
        "/**: denied_by_rule",
        "GET /a: allowed",
    ),
    "one method of a path": (
        {"GET /a": ["viewer"], "PUT /a": shadow(roles=["viewer"])},
        "PUT /a",
        "GET /a: method_not_listed",
        "PUT /a: allowed",
    ),
    "what other methods are ruled by": (
        {"GET /a": ["viewer"], "/a": EDITOR},
        "PUT /a",
        "GET /a: method_not_listed",
        "/a: role_missing",
    ),
    "one more requirement": (
        {"GET /a": {"roles": ["viewer"], "all": [EDITOR]}},
        "GET /a",
        "GET /a: allowed",
        "GET /a: role_missing",
    ),
    "one way more": (
        {"GET /a": {"any": [["editor"], shadow(roles=["viewer"])]}},
        "GET /a",
        "GET /a: role_missing",
        "GET /a: allowed",
    ),
    "an exclusion": (
        {"GET /a": {"roles": ["viewer"], "not": shadow(roles=["viewer"], scopes=["s"])}},
        "GET /a",
        "GET /a: allowed",
        "GET /a: allowed",
    ),
    "a part of an exclusion": (
        {"GET /a": {"scopes": ["s"], "not": {"any": [["editor"], shadow(roles=["viewer"])]}}},
        "GET /a",
        "GET /a: scope_missing",
        "GET /a: excluded",
    ),
    "deep inside": (
        {"GET /a": {"any": [{"all": [["viewer"], {"roles": ["viewer"], "all": [EDITOR]}]}]}},
        "GET /a",
        "GET /a: allowed",
        "GET /a: role_missing",
    ),
}


@pytest.mark.parametrize(("routes", "asked", "live", "tried"), RULES.values(), ids=RULES)
def test_a_shadow_never_decides(routes: Any, asked: str, live: str, tried: str) -> None:
    found = load(routes)
    assert found.shadow is not None
    assert decides(found.policy, asked, "viewer") == live
    assert decides(found.shadow, asked, "viewer") == tried


def test_what_is_the_same_without_its_trial_is_no_mistake() -> None:
    one = {"roles": ["viewer"], "all": [EDITOR]}
    for parts in ([one, ["viewer"]], [["viewer"], one]):
        found = load({"GET /a": {"any": parts}})
        assert decides(found.policy, "GET /a", "viewer") == "GET /a: allowed"
        assert decides(found.policy, "GET /a") == "GET /a: role_missing"


@pytest.mark.parametrize("more", [{}, {"roles": ["viewer"]}], ids=["alone", "beside roles"])
def test_what_the_handler_must_ask_may_be_on_trial(more: Any) -> None:
    roles = {"viewer": ["a"]}
    found = load({"/a": "deny", "GET /a": shadow(must_check="a", **more)}, roles=roles)
    assert decides(found.policy, "GET /a", "viewer") == "/a: denied_by_rule"
    assert found.shadow is not None
    assert decides(found.shadow, "GET /a", "viewer") == "GET /a: allowed"
    with pytest.raises(PolicyError, match="`mode` cannot be"):
        load({"GET /a": {"must_check": "a", "mode": "x", **more}}, roles=roles)


def test_without_shadows_there_is_nothing_to_try() -> None:
    assert load({"GET /a": ["viewer"], "GET /b": {"any": [["mode"]]}}).shadow is None
    assert load({}).shadow is None


def test_what_is_published_is_in_force() -> None:
    found = load(
        {"GET /a": {"scopes": ["s"], "all": [shadow(scopes=["t"])]}, "GET /b": shadow(scopes=["u"])}
    )
    assert found.policy.scopes == ("s",)


REFUSED: dict[str, tuple[Any, str, str, str]] = {
    "another mode": (
        {"GET /a": {"roles": ["x"], "mode": "shadows"}},
        'routes."GET /a".mode',
        '`mode` cannot be "shadows"',
        'write "shadow", or leave it out',
    ),
    "no text": (
        {"GET /a": {"roles": ["x"], "mode": True}},
        'routes."GET /a".mode',
        "must be a string",
        "",
    ),
    "empty": ({"GET /a": {"roles": ["x"], "mode": ""}}, "mode", "`mode` is empty", "shadow"),
    "alone": (
        {"GET /a": {"mode": "shadow"}},
        'routes."GET /a"',
        "an empty table requires nothing",
        "authenticated",
    ),
    "a mistake in a rule on trial": (
        {"GET /a": shadow(roles=[])},
        'routes."GET /a".roles',
        "an empty `roles` requires nothing",
        "remove",
    ),
    "a mistake in a part on trial": (
        {"GET /a": {"roles": ["x"], "any": [["x"], shadow(rolls=["x"])]}},
        'routes."GET /a".any[1].rolls',
        "`rolls` is not a key",
        "roles",
    ),
    "nothing beside a part of any": (
        {"GET /a": {"any": [EDITOR]}},
        'routes."GET /a"',
        "nothing enforced stands beside what is on trial here",
        'write `mode = "shadow"` once, for all of it',
    ),
    "nothing beside a part of all": (
        {"GET /a": {"all": [EDITOR, shadow(scopes=["s"])]}},
        'routes."GET /a"',
        "nothing enforced stands beside what is on trial here",
        "",
    ),
    "nothing beside an exclusion": (
        {"GET /a": {"not": EDITOR}},
        'routes."GET /a"',
        "nothing enforced stands beside what is on trial here",
        "",
    ),
    "nothing beside it in a part": (
        {"GET /a": {"any": [["x"], {"all": [EDITOR]}]}},
        'routes."GET /a".any[1]',
        "nothing enforced stands beside what is on trial here",
        "",
    ),
    "what conflicts once it is enforced": (
        {"GET /a/<int:x>": ["x"], "GET /a/<float:y>": EDITOR},
        "routes.",
        "equally specific",
        "",
    ),
    "the same key twice": (
        {"GET /a/<x>": ["x"], "GET /a/{x}": EDITOR},
        'routes."GET /a/{x}"',
        "method GET of this path is already ruled by",
        "keep one",
    ),
    "in forbid": (None, "forbid.f.mode", "`mode` is not a key", ""),
}


@pytest.mark.parametrize(("routes", "where", "what", "fix"), REFUSED.values(), ids=REFUSED)
def test_what_is_written_wrong(routes: Any, where: str, what: str, fix: str) -> None:
    more = {"forbid": {"f": shadow(path="/a")}} if routes is None else {}
    with pytest.raises(PolicyError) as raised:
        load(routes or {}, **more)
    (problem,) = raised.value.problems
    assert where in problem.where
    assert what in problem.what
    assert fix in problem.fix


def test_each_mistake_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the rules are read twice."""
    monkeypatch.chdir(tmp_path)
    Path("authz.toml").write_text(
        '[[issuers]]\nissuer = "https://x"\naudience = "a"\n[routes]\n'
        '"GET /a" = { roles = ["x"], mode = "shadow" }\n"GET /b" = []\n"GET /c" = "pubic"\n'
    )
    with pytest.raises(PolicyError) as raised:
        settings.load(Document.read("authz.toml"))
    assert [each.where for each in raised.value.problems] == ["authz.toml:6:1", "authz.toml:7:1"]
