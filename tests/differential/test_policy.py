"""Compiled policies against the naive reference, and the laws that any policy obeys."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, reject
from hypothesis import strategies as st

from authz_middleware.document import Document, Report, Section
from authz_middleware.facts import Principal
from authz_middleware.policy import load as loading
from authz_middleware.policy.model import Policy
from tests.differential import reference

ISSUERS = ("https://x", "https://y")
ROLES = ("r0", "r1", "r2", "r3")
METHODS = ("", "GET", "PUT", "WS")
ASKED = ("GET", "HEAD", "PUT", "POST", "WS")


def some(*values: str) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), unique=True)


def at_least_one(*values: str) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), unique=True, min_size=1, max_size=2)


@st.composite
def roles(draw: st.DrawFn) -> dict[str, tuple[list[str], list[str]]]:
    """Roles that inherit only from earlier ones, in any order of writing."""
    table = {
        name: (
            draw(some("a", "a:b", "a:*", "c", "*")),
            draw(some(*ROLES[:place])) if place else [],
        )
        for place, name in enumerate(ROLES)
    }
    return {name: table[name] for name in draw(st.permutations(ROLES))}


templates = st.builds(
    lambda segments, tail: (*segments, *tail),
    st.lists(st.sampled_from(("a", "b", "<int>", "<p>")), max_size=3),
    st.sampled_from(((), (), ("**",))),
)
tables = st.fixed_dictionaries(
    {},
    optional={
        "roles": at_least_one(*ROLES),
        "permissions": at_least_one("a", "a:b", "a:c", "c"),
        "scopes": at_least_one("s", "t"),
        "issuers": at_least_one(*ISSUERS),
    },
).filter(bool)
requirements = st.one_of(st.sampled_from(("public", "authenticated", "deny")), tables)
routes = st.dictionaries(st.tuples(st.sampled_from(METHODS), templates), requirements, max_size=8)
paths = st.lists(st.sampled_from(("a", "b", "7", "+7", "z")), max_size=4)
callers = st.fixed_dictionaries(
    {
        "roles": some(*ROLES, "unknown", "*"),
        "permissions": some("a", "a:*", "*", "c"),
        "scopes": some("s", "t", "a", "r0"),
        "issuer": st.sampled_from(ISSUERS),
    }
)


def written(method: str, template: tuple[str, ...], spelling: tuple[str, str] = ("<", ">")) -> str:
    """The route key; parameters are named by their place, so that equal shapes are one rule."""
    left, right = spelling
    texts = []
    for place, segment in enumerate(template):
        if segment == "<int>":
            inside = f"int:n{place}" if left == "<" else f"n{place}:int"
            texts.append(f"{left}{inside}{right}")
        else:
            texts.append(f"{left}p{place}{right}" if segment == "<p>" else segment)
    return f"{method} /{'/'.join(texts)}".strip()


def compiled(routes: Any, roles: Any, spelling: tuple[str, str] = ("<", ">")) -> Policy:
    document = {
        "roles": {
            name: {"permissions": own, "inherits": parents}
            for name, (own, parents) in roles.items()
        },
        "routes": {
            written(method, template, spelling): requirement
            for (method, template), requirement in routes.items()
        },
    }
    report = Report(Document.from_mapping(document))
    policy = loading.load(Section.top(report), issuers=ISSUERS, token_permissions=True)
    if report.problems:  # some drawn rules leave others nothing; that is the only mistake
        assert all("can never be reached" in problem.what for problem in report.problems)
        reject()
    return policy


def principal(caller: dict[str, Any]) -> Principal:
    return Principal(
        subject="ann",
        issuer=caller["issuer"],
        roles=frozenset(caller["roles"]),
        permissions=frozenset(caller["permissions"]),
        scopes=frozenset(caller["scopes"]),
        expires_at=0,
    )


def ask(policy: Policy, method: str, path: list[str], who: Principal) -> str | bool:
    found = policy.find(method, ("/" + "/".join(path),))
    if found is None:
        return "ambiguous"
    if all(requirement.kind == "public" for requirement in found):
        return "public"
    return policy.decide(found, policy.roles.expand(who)).allowed


@given(routes, roles(), st.sampled_from(ASKED), paths, callers)
def test_the_compiled_policy_agrees_with_the_reference(routes, roles, method, path, caller) -> None:
    expected = reference.answer(routes, roles, method, tuple(path), caller)
    assert ask(compiled(routes, roles), method, path, principal(caller)) == expected
    assert ask(compiled(routes, roles, ("{", "}")), method, path, principal(caller)) == expected


@given(roles(), st.sampled_from(ASKED), paths, callers)
def test_an_empty_policy_denies_all(roles, method, path, caller) -> None:
    assert ask(compiled({}, roles), method, path, principal(caller)) is False


@given(st.data(), routes, roles(), paths, callers)
def test_the_order_of_keys_never_matters(data, routes, roles, path, caller) -> None:
    turned = dict(data.draw(st.permutations(list(routes.items()))))
    swapped = dict(data.draw(st.permutations(list(roles.items()))))
    who = principal(caller)
    first, second = compiled(routes, roles), compiled(turned, swapped)
    for method in ASKED:
        assert ask(first, method, path, who) == ask(second, method, path, who)


@given(routes, roles(), paths, callers)
def test_fewer_of_anything_never_allows_more(routes, roles, path, caller) -> None:
    policy = compiled(routes, roles)
    who = principal(caller)
    for method in ASKED:
        allowed = ask(policy, method, path, who)
        for name in ("roles", "permissions", "scopes"):
            held = getattr(who, name)
            for one in held:
                less = ask(policy, method, path, replace(who, **{name: held - {one}}))
                assert less == allowed or (allowed is True and less is False)


@given(routes, roles(), st.sampled_from(METHODS), paths, callers)
def test_a_public_rule_elsewhere_changes_nothing_here(routes, roles, method, path, caller) -> None:
    more = {**routes, (method, ("elsewhere",)): "public"}
    before, after = compiled(routes, roles), compiled(more, roles)
    who = principal(caller)
    for asked in ASKED:
        assert ask(before, asked, path, who) == ask(after, asked, path, who)
