"""What one policy gives and takes beside another, held against both policies' decisions."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.document import Document
from authz_middleware.facts import Principal
from authz_middleware.policy.changes import Side, changes
from authz_middleware.policy.needs import Verdict
from authz_middleware.policy.rights import Rights
from authz_middleware.policy.table import ELSEWHERE
from authz_middleware.runtime import settings

ISSUER: dict[str, Any] = {"issuer": "https://login.example.com", "audience": ["orders"]}
ROLES: dict[str, Any] = {"a": ["p"], "b": {"inherits": ["a"]}, "c": []}


def side(policy: dict[str, Any]) -> Side:
    loaded = settings.load(
        Document.from_mapping({"issuers": [ISSUER], "roles": ROLES, **policy})
    ).policy
    return Side(loaded, Rights(loaded.roles, {ISSUER["issuer"]: None}))


def found(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[object, ...]]:
    return [
        ("|".join(each.methods), each.route, ", ".join(each.callers), each.gained, each.lost)
        for each in changes(side(old), side(new))
    ]


def routes(**more: Any) -> dict[str, Any]:
    return {"routes": {"GET /x": ["a"], **more.pop("routes", {})}, **more}


def pdp(requirement: Any, **keys: Any) -> dict[str, Any]:
    point = {"url": "https://pdp.example.com", **keys}
    return {"routes": {"GET /x": requirement}, "pdp": {"o": point}}


GET = ("GET", "/x")
X = {"when": "resource.params.id == subject.id"}
OWN = "resource.owner == subject.id"
Y = {"when": "resource.params.id != 'q'"}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], list[tuple[object, ...]]]] = {
    "nothing": (routes(), routes(), []),
    "other words": (
        routes(), {"routes": {"GET /x": {"any": [["a"], ["b"]]}}}, []
    ),
    "an own object": (
        routes(), routes(routes={"PUT /x": {"roles": ["a"], "load": "o", "when": OWN}}),
        [("PUT", "/x", "a, b", True, False)],
    ),
    "a decision point that must say yes, too": (
        routes(), pdp({"roles": ["a"], "pdp": "o"}), [(*GET, "a, b", False, True)]
    ),
    "a decision point that may say yes, too": (
        routes(), pdp({"any": [["a"], {"pdp": "o"}]}), [(*GET, "any valid token", True, False)]
    ),
    "another decision point": (
        pdp({"pdp": "o"}), pdp({"pdp": "o"}, url="https://other.example.com"),
        [(*GET, "any valid token", None, None)],
    ),
    "another answer where it says nothing": (
        pdp({"pdp": "o"}), pdp({"pdp": "o"}, on_failure="deny"), []
    ),
    "another time for it": (pdp({"pdp": "o"}), pdp({"pdp": "o"}, timeout=1), []),
    "a role that brings more": (
        routes(routes={"PUT /x": {"permissions": ["p"]}}),
        routes(routes={"PUT /x": {"permissions": ["p"]}}, roles={**ROLES, "c": ["p"]}),
        [("PUT", "/x", "c", True, False)],
    ),
    "another role": (
        routes(), {"routes": {"GET /x": ["c"]}},
        [(*GET, "a, b", False, True), (*GET, "c", True, False)],
    ),
    "any token": (
        routes(), {"routes": {"GET /x": "authenticated"}}, [(*GET, "any valid token", True, False)]
    ),
    "everybody": (
        routes(), {"routes": {"GET /x": "public"}},
        [(*GET, "anonymous, any valid token", True, False)],
    ),
    "a rule that is gone": (routes(), {"routes": {}}, [(*GET, "a, b", False, True)]),
    "a method that is new": (
        routes(), routes(routes={"PUT /x": ["b"]}), [("PUT", "/x", "b", True, False)]
    ),
    "a literal beside a parameter": (
        {"routes": {"GET /<id>": ["a"]}},
        {"routes": {"GET /<id>": ["a"], "GET /me": "authenticated"}},
        [("GET", "/me", "any valid token", True, False)],
    ),
    "the default": (
        routes(), routes(default="authenticated"),
        [("GET|*", ELSEWHERE, "any valid token", True, False)],
    ),
    "two roles together": (
        {"routes": {}}, {"routes": {"GET /x": {"all": [["a"], ["c"]]}}},
        [(*GET, "a + c", True, False)],
    ),
    "what a role inherits": (
        routes(), routes(roles={**ROLES, "c": {"inherits": ["a"]}}), [(*GET, "c", True, False)]
    ),
    "a permission of a role": (
        {"routes": {"GET /x": {"permissions": ["p"]}}},
        {"routes": {"GET /x": {"permissions": ["p"]}}, "roles": {**ROLES, "c": ["p"]}},
        [(*GET, "c", True, False)],
    ),
    "a role that is gone": (
        routes(), routes(roles={"a": ["p"], "c": []}), [(*GET, "b", False, True)]
    ),
    "a scope": (
        {"routes": {"GET /x": {"roles": ["a"], "scopes": ["s"]}}}, routes(),
        [(*GET, "a, b", True, False)],
    ),
    "an entry of [forbid] that is gone": (
        routes(forbid={"f": {"path": "/X"}}), routes(), [(*GET, "a, b", True, False)]
    ),
    "one that is new, for a part": (
        {"routes": {"/x/**": ["a"]}},
        {"routes": {"/x/**": ["a"]}, "forbid": {"f": {"path": "/x/y", "methods": ["PUT"]}}},
        [("PUT", "/x/**", "a, b", False, True)],
    ),
    "a condition": (
        {"routes": {"GET /x/<id>": {"roles": ["a"], **X}}}, {"routes": {"GET /x/<id>": ["a"]}},
        [("GET", "/x/<id>", "a, b", True, False)],
    ),
    "another condition": (
        {"routes": {"GET /x/<id>": {"roles": ["a"], **X}}},
        {"routes": {"GET /x/<id>": {"roles": ["a"], **Y}}},
        [("GET", "/x/<id>", "a, b", None, None)],
    ),
    "the same condition": (
        {"routes": {"GET /x/<id>": {"roles": ["a"], **X}}},
        {"routes": {"GET /x/<id>": {"any": [{"roles": ["a"], **X}]}}},
        [],
    ),
    "a path that is ambiguous now": (
        {"routes": {"GET /<id>": ["a"]}},
        {"routes": {"GET /<id>": ["a"], "GET /<int:n>": ["c"]}},
        [("GET", "/<int:n>", "a, b", False, True), ("GET", "/<int:n>", "c", True, False)],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "expected"), CASES.values(), ids=CASES)
def test_what_is_given_and_taken(
    old: dict[str, Any], new: dict[str, Any], expected: list[tuple[object, ...]]
) -> None:
    assert found(old, new) == expected


def test_the_other_way_round_it_is_the_other_way_round() -> None:
    for old, new, expected in CASES.values():
        turned = sorted((who, lost, gained) for *_, who, gained, lost in expected)
        assert sorted((who, gained, lost) for *_, who, gained, lost in found(new, old)) == turned


def test_both_rules_are_named() -> None:
    (each,) = changes(side(routes()), side({"routes": {"GET /x": "authenticated"}}))
    assert (each.before, each.after, each.example) == ("no", "yes", "/x")
    assert each.old_rule is not None
    assert each.new_rule is not None
    assert each.old_rule.key == each.new_rule.key == "GET /x"
    (new,) = changes(side(routes()), side(routes(routes={"PUT /x": ["b"]})))
    assert new.old_rule is None


words = st.sampled_from(
    [
        "public",
        "authenticated",
        "deny",
        ["a"],
        ["b"],
        ["c"],
        {"roles": ["a"], "not": ["c"]},
        {"all": [["a"], ["c"]]},
        {"permissions": ["p"]},
    ]
)
keys = st.sampled_from(
    ["GET /x", "PUT /x", "/x/**", "GET /x/<int:n>", "GET /x/<id>", "/<t>/y", "/**"]
)
policies = st.fixed_dictionaries(
    {
        "routes": st.dictionaries(keys, words, max_size=4),
        "default": st.sampled_from(["deny", "authenticated"]),
        "forbid": st.sampled_from([{}, {"f": {"path": "/x/y", "roles": ["a"]}}]),
    }
)


@pytest.mark.slow
@given(policies, policies, st.data())
def test_a_request_that_comes_out_otherwise_is_told(
    old: dict[str, Any], new: dict[str, Any], data: st.DataObject
) -> None:
    """Whatever request shows that somebody may do more, the comparison said so."""
    before, after = side(old), side(new)
    told = changes(before, after)
    texts = st.sampled_from(["x", "y", "1", "q"])
    path = "/" + "/".join(data.draw(st.lists(texts, max_size=3)))
    method = data.draw(st.sampled_from(["GET", "PUT", "WS"]))
    roles = data.draw(st.sets(st.sampled_from("abc")) | st.none())

    def allowed(one: Side) -> bool:
        requirements = one.policy.find(method, (path,))
        if requirements is None:
            return False
        if roles is None:
            return one.policy.anonymous(requirements, 0).allowed
        principal = Principal(
            subject="s", issuer=str(ISSUER["issuer"]), roles=frozenset(roles), expires_at=inf
        )
        return one.policy.decide(requirements, one.policy.roles.expand(principal), 0).allowed

    then, now = allowed(before), allowed(after)
    gained: list[Verdict] = [each.gained for each in told]
    lost: list[Verdict] = [each.lost for each in told]
    if now and not then:
        assert True in gained
    if then and not now:
        assert True in lost
