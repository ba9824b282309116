"""Compiled policies against the naive reference, and the laws that any policy obeys."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from itertools import product
from typing import Any, NoReturn

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from authz_middleware.document import Document, Report, Section
from authz_middleware.errors import Problem
from authz_middleware.facts import Claims, Principal
from authz_middleware.policy import load as loading
from authz_middleware.policy.explain import explain
from authz_middleware.policy.model import Policy, is_public
from authz_middleware.policy.needs import Asked
from authz_middleware.policy.questions import Elsewhere, Question, Questions, Said, Unanswered
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
GROWING: dict[str, st.SearchStrategy[Any]] = {
    "roles": at_least_one(*ROLES),
    "permissions": at_least_one("a", "a:b", "a:c", "c"),
    "scopes": at_least_one("s", "t"),
    "issuers": at_least_one(*ISSUERS),
    "acr": at_least_one("mfa", "otp"),
    "max_age": st.sampled_from((0, 300)),
    "when": st.sampled_from(tuple(reference.CONDITIONS)),
    "pdp": st.sampled_from(("p", "q")),
}
"""What no caller loses by having more."""


def inside(parts: st.SearchStrategy[Any], *, negated: bool) -> st.SearchStrategy[Any]:
    several = st.lists(parts, min_size=1, max_size=3, unique_by=repr)
    optional = {**GROWING, "any": several, "all": several}
    if negated:
        optional["not"] = parts
    return st.fixed_dictionaries({}, optional=optional).filter(bool)


def trees(*, negated: bool) -> st.SearchStrategy[Any]:
    flat = at_least_one(*ROLES) | st.fixed_dictionaries({}, optional=GROWING).filter(bool)
    return st.recursive(flat, lambda parts: inside(parts, negated=negated), max_leaves=6)


def rules(*, negated: bool) -> st.SearchStrategy[Any]:
    words = st.sampled_from(("public", "authenticated", "deny"))
    key = st.tuples(st.sampled_from(METHODS), templates)
    return st.dictionaries(key, words | trees(negated=negated), max_size=8)


routes = rules(negated=True)
forbids = st.lists(
    st.tuples(
        st.sampled_from(METHODS),
        templates,
        st.fixed_dictionaries(
            {},
            optional={
                "roles": at_least_one(*ROLES),
                "issuers": at_least_one(*ISSUERS),
                "when": st.sampled_from(tuple(reference.CONDITIONS)),
            },
        ),
    ),
    max_size=3,
)
paths = st.lists(st.sampled_from(("a", "b", "7", "+7", "z")), max_size=4)
spelled = st.lists(st.sampled_from(("a", "A", "b", "B", "7", "+7", "z")), max_size=4)
SAID: dict[str, Said] = {"met": True, "not": False, "error": Unanswered("timeout")}
NOBODY_SAID: dict[str, str] = {}
answers = st.fixed_dictionaries({name: st.sampled_from(tuple(SAID)) for name in ("p", "q")})
"""What the decision points say."""

callers = st.fixed_dictionaries(
    {
        "roles": some(*ROLES, "unknown", "*"),
        "permissions": some("a", "a:*", "*", "c"),
        "scopes": some("s", "t", "a", "r0"),
        "issuer": st.sampled_from(ISSUERS),
        "claims": st.fixed_dictionaries(
            {},
            optional={
                "acr": st.sampled_from(("mfa", "otp", "pwd")),
                "auth_time": st.sampled_from((0, 700, 999, 1000, 1001)),
                "level": st.sampled_from((0, 2, "x")),
                "tenant": st.sampled_from(("a", "A", "b", "7", "GET")),
            },
        ),
    }
)


NONSENSE = re.compile(
    "can never be reached|could ever meet this|says nothing new|stands there twice"
    "|nothing enforced stands beside"
)


def written(
    method: str,
    template: tuple[str, ...],
    spelling: tuple[str, str] = ("<", ">"),
    *,
    named: bool = False,
) -> str:
    """The route key; parameters are named by their place, so that equal shapes are one rule.

    What is left of a path is `named` where a decision point is to be told of it.
    """
    left, right = spelling
    if named and template[-1:] == ("**",):
        template = (*template[:-1], "<path:rest>" if left == "<" else "{rest:path}")
    texts = []
    for place, segment in enumerate(template):
        if segment == "<int>":
            inside = f"int:n{place}" if left == "<" else f"n{place}:int"
            texts.append(f"{left}{inside}{right}")
        else:
            texts.append(f"{left}p{place}{right}" if segment == "<p>" else segment)
    return f"{method} /{'/'.join(texts)}".strip()


def placed(requirement: Any, template: tuple[str, ...]) -> Any:
    """The same with each `PLACE` in a condition as it is called in this template."""
    if isinstance(requirement, list):
        return [placed(each, template) for each in requirement]
    if not isinstance(requirement, dict):
        return requirement
    return {
        key: condition(each, template) if key == "when" else placed(each, template)
        for key, each in requirement.items()
    }


def condition(text: str, template: tuple[str, ...]) -> str:
    if "<p>" in template:
        return text.replace("PLACE", f"resource.params.p{template.index('<p>')}")
    # No method is "b", and none could be: one that is in capitals could, and is never sent.
    return text.replace('PLACE != "b"', 'action.name != "B"').replace("PLACE", "action.name")


def document(
    routes: Any, roles: Any, forbid: Any = (), spelling: tuple[str, str] = ("<", ">")
) -> dict[str, Any]:
    """What was drawn, as a policy has it; without issuers and decision points."""
    named = "'pdp'" in repr(routes)
    return {
        "roles": {
            name: {"permissions": own, "inherits": parents}
            for name, (own, parents) in roles.items()
        },
        "routes": {
            written(method, template, spelling, named=named): placed(requirement, template)
            for (method, template), requirement in routes.items()
        },
        "forbid": {
            f"f{place}": {
                "path": written("", template, spelling),
                **({"methods": [method]} if method else {}),
                **placed(table, template),
            }
            for place, (method, template, table) in enumerate(forbid)
        },
    }


def compiled(
    routes: Any,
    roles: Any,
    forbid: Any = (),
    spelling: tuple[str, str] = ("<", ">"),
    *,
    trial: bool = False,
) -> Policy:
    report = Report(Document.from_mapping(document(routes, roles, forbid, spelling)))
    policy = loading.load(
        Section.top(report),
        issuers=ISSUERS,
        token_permissions=True,
        pdps={"p": Elsewhere("https://p"), "q": Elsewhere("https://q", denies=True)},
        trial=trial,
    )
    if report.problems:
        reject_nonsense(report.problems)
    return policy


def reject_nonsense(problems: Iterable[Problem]) -> NoReturn:
    """Some drawn rules make no sense; that is the only mistake."""
    assert all(NONSENSE.search(problem.what) for problem in problems)
    reject()


def principal(caller: dict[str, Any]) -> Principal:
    return Principal(
        subject="ann",
        issuer=caller["issuer"],
        roles=frozenset(caller["roles"]),
        permissions=frozenset(caller["permissions"]),
        scopes=frozenset(caller["scopes"]),
        claims=Claims.freeze(caller["claims"]),
        expires_at=0,
    )


def ask(
    policy: Policy,
    method: str,
    path: list[str],
    who: Principal,
    says: dict[str, str] = NOBODY_SAID,
) -> str | bool:
    found = policy.find(method, ("/" + "/".join(path),))
    if found is None:
        return "ambiguous"
    expanded = policy.roles.expand(who)
    said: dict[Question, Said] = {}
    while wanted := policy.waits_for(found, expanded, reference.NOW, None, {}, said):
        assert isinstance(wanted, Questions)
        assert said.keys().isdisjoint(wanted.each), "asked twice"
        said |= {each: SAID[says.get(each.pdp, "error")] for each in wanted.each}
    decision = policy.decide(found, expanded, reference.NOW, answers=said)
    explained = explain(found, Asked(expanded, reference.NOW, answers=said))
    assert explained == decision
    assert decision.allowed == all(each.outcome == "met" for each in explained.findings)
    held = policy.forbidden(found, reference.NOW)
    assert held is None or decision == held
    if decision.reason in ("forbidden", "forbidden_to_caller"):
        return "forbidden"
    return "public" if is_public(found) else decision.allowed


def admits(answer: str | bool) -> bool:
    return answer in ("public", True)


@given(routes, roles(), forbids, st.sampled_from(ASKED), spelled, callers, answers)
def test_the_compiled_policy_agrees_with_the_reference(
    routes, roles, forbids, method, path, caller, says
) -> None:
    expected = reference.answer(routes, roles, method, tuple(path), caller, forbids, says)
    for spelling in (("<", ">"), ("{", "}")):
        policy = compiled(routes, roles, forbids, spelling)
        found = ask(policy, method, path, principal(caller), says)
        # What a public rule opens, and a lax reader would take for protected: a rule of its own.
        if found == "ambiguous" and expected in ("public", "forbidden"):
            assert any(segment.isupper() for segment in path)
        else:
            assert found == expected


@given(roles(), forbids, st.sampled_from(ASKED), paths, callers)
def test_an_empty_policy_denies_all(roles, forbids, method, path, caller) -> None:
    assert ask(compiled({}, roles), method, path, principal(caller)) is False
    assert not admits(ask(compiled({}, roles, forbids), method, path, principal(caller)))


def turned(data: st.DataObject, value: Any) -> Any:
    """The same, in another order of writing: of keys, of names, of parts."""
    if isinstance(value, dict):
        pairs = data.draw(st.permutations(list(value.items())))
        return {key: turned(data, each) for key, each in pairs}
    if isinstance(value, list):
        return [turned(data, each) for each in data.draw(st.permutations(value))]
    return value


@given(st.data(), routes, roles(), forbids, paths, callers, answers)
def test_the_order_of_writing_never_matters(
    data, routes, roles, forbids, path, caller, says
) -> None:
    who = principal(caller)
    first = compiled(routes, roles, forbids)
    second = compiled(turned(data, routes), turned(data, roles), turned(data, forbids))
    for method in ASKED:
        assert ask(first, method, path, who, says) == ask(second, method, path, who, says)
        found = first.find(method, ("/" + "/".join(path),))
        again = second.find(method, ("/" + "/".join(path),))
        if found is not None and again is not None:
            one, other = (
                policy.decide(requirements, policy.roles.expand(who), reference.NOW)
                for policy, requirements in ((first, found), (second, again))
            )
            assert (one.reason, {*one.missing}) == (other.reason, {*other.missing})


@given(routes, roles(), forbids, forbids, paths, callers, answers)
def test_a_forbid_never_turns_a_refusal_into_access(
    routes, roles, forbids, more, path, caller, says
) -> None:
    who = principal(caller)
    before, after = (compiled(routes, roles, each) for each in (forbids, forbids + more))
    for method in ASKED:
        was, now = (ask(policy, method, path, who, says) for policy in (before, after))
        assert now in (was, "forbidden")


@given(rules(negated=False), roles(), paths, callers, answers)
def test_fewer_of_anything_never_allows_more(routes, roles, path, caller, says) -> None:
    """Without `not` and `forbid`, which are there to take access away from who has something."""
    policy = compiled(routes, roles)
    who = principal(caller)
    for method in ASKED:
        allowed = ask(policy, method, path, who, says)
        for name in ("roles", "permissions", "scopes"):
            held = getattr(who, name)
            for one in held:
                less = ask(policy, method, path, replace(who, **{name: held - {one}}), says)
                assert less == allowed or (allowed is True and less is False)


@given(routes, roles(), forbids, paths, callers)
def test_a_claim_that_is_missing_never_allows_more(routes, roles, forbids, path, caller) -> None:
    """An error never allows, also not below a `not`."""
    policy = compiled(routes, roles, forbids)
    for method in ASKED:
        allowed = ask(policy, method, path, principal(caller))
        for name in caller["claims"]:
            left = {key: value for key, value in caller["claims"].items() if key != name}
            less = ask(policy, method, path, principal({**caller, "claims": left}))
            assert admits(less) <= admits(allowed)


@given(routes, roles(), forbids, paths, callers, answers)
def test_no_answer_never_allows_more(routes, roles, forbids, path, caller, says) -> None:
    """Whatever a decision point would have said, and also below a `not`."""
    policy = compiled(routes, roles, forbids)
    for method in ASKED:
        allowed = ask(policy, method, path, principal(caller), says)
        for name in says:
            less = ask(policy, method, path, principal(caller), {**says, name: "error"})
            assert admits(less) <= admits(allowed)


@given(trees(negated=True), roles(), callers, answers)
def test_an_error_is_no_access_and_neither_is_its_opposite(tree, roles, caller, says) -> None:
    value = reference.value(tree, roles, caller, said=says)
    who = principal(caller)
    answers = [
        ask(compiled({("GET", ("a",)): each}, roles), "GET", ["a"], who, says)
        for each in (tree, {"all": [{"not": tree}]})
    ]
    assert answers == {"met": [True, False], "not": [False, True], "error": [False, False]}[value]


@given(routes, roles(), st.sampled_from(METHODS), paths, callers)
def test_a_public_rule_elsewhere_changes_nothing_here(routes, roles, method, path, caller) -> None:
    more = {**routes, (method, ("elsewhere",)): "public"}
    before, after = compiled(routes, roles), compiled(more, roles)
    who = principal(caller)
    for asked in ASKED:
        assert ask(before, asked, path, who) == ask(after, asked, path, who)


def on_trial(data: st.DataObject, requirement: Any) -> Any:
    """The same with some of its tables, or parts of them, on trial."""
    if not isinstance(requirement, dict):
        return requirement
    inside = {
        key: [on_trial(data, part) for part in value]
        if key in ("any", "all")
        else on_trial(data, value)
        for key, value in requirement.items()
    }
    return {**inside, "mode": "shadow"} if data.draw(st.booleans()) else inside


def without(requirement: Any) -> Any:
    """What is left of a requirement without what is on trial in it; None if nothing is."""
    if not isinstance(requirement, dict):
        return requirement
    if "mode" in requirement:
        return None
    left = {
        key: [part for part in map(without, value) if part is not None]
        if key in ("any", "all")
        else without(value)
        for key, value in requirement.items()
    }
    return {key: value for key, value in left.items() if value not in (None, [])} or None


@given(st.data(), routes, roles(), forbids, paths, callers)
def test_what_is_on_trial_never_decides(data, routes, roles, forbids, path, caller) -> None:
    """The answer is that of the policy without it; on trial is the policy with it."""
    marked = {key: on_trial(data, each) for key, each in routes.items()}
    left = {key: each for key, value in marked.items() if (each := without(value)) is not None}
    who = principal(caller)
    for trial, same in ((False, left), (True, routes)):
        one, other = compiled(marked, roles, forbids, trial=trial), compiled(same, roles, forbids)
        for method in ASKED:
            assert ask(one, method, path, who) == ask(other, method, path, who)


LEAVES = [{"when": text} for text in reference.CONDITIONS]
PAIRS = [*zip(LEAVES, [*LEAVES[1:], LEAVES[0]], strict=True)]
TREES: list[dict[str, Any]] = [
    *LEAVES,
    *({"not": leaf} for leaf in LEAVES),
    *({"any": [one, other]} for one, other in PAIRS),
    *({"all": [one, other]} for one, other in PAIRS),
    *({"not": {"any": [one, {"not": other}]}} for one, other in PAIRS),
]
CLAIMS = [
    {name: value for name, value in (("level", level), ("tenant", tenant)) if value is not None}
    for level, tenant in product((None, 0, 2, "x"), (None, "a", "GET"))
]


@pytest.mark.parametrize("tree", TREES, ids=str)
@pytest.mark.parametrize("template", [("<p>", "a"), ("a", "**")], ids=str)
def test_conditions_agree_with_the_reference(tree, template) -> None:
    """In a rule; and in a `forbid`, where an error holds, over a rule for every token."""
    rules: Any = {("", template): tree}
    forbids = [("", template, tree)] if "when" in tree else []
    policies: list[Any] = [(compiled(rules, {}), rules, [])]
    if forbids:
        open_to_all: Any = {("", ("**",)): "authenticated"}
        policies.append((compiled(open_to_all, {}, forbids), open_to_all, forbids))
    for claims, method, path in product(CLAIMS, ("GET", "HEAD", "PUT"), (["a", "a"], ["b", "a"])):
        who = {"roles": [], "permissions": [], "scopes": [], "issuer": ISSUERS[0], "claims": claims}
        for policy, routes, forbidden in policies:
            expected = reference.answer(routes, {}, method, tuple(path), who, forbidden)
            assert ask(policy, method, path, principal(who)) == expected
