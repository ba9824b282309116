"""Values are values: nobody changes them for somebody else."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.facts import (
    Actor,
    Answer,
    Claims,
    Decision,
    Principal,
    RequestFacts,
    RuleRef,
)

CLAIMS = Claims.freeze({"sub": "ann", "realm": {"roles": ["a", {"b": [1]}]}, "n": None})


@pytest.mark.parametrize(
    "change",
    [
        lambda claims: claims.__setitem__("x", 1),
        lambda claims: claims.__delitem__("sub"),
        lambda claims: claims.__ior__({"x": 1}),
        lambda claims: claims.clear(),
        lambda claims: claims.pop("sub"),
        lambda claims: claims.popitem(),
        lambda claims: claims.setdefault("x", 1),
        lambda claims: claims.update(x=1),
        lambda claims: claims["realm"].update(roles=["admin"]),
        lambda claims: claims["realm"]["roles"][1].clear(),
        lambda claims: setattr(claims, "x", 1),
    ],
)
def test_claims_are_read_only_all_the_way_down(change) -> None:
    before = json.dumps(CLAIMS)
    with pytest.raises((TypeError, AttributeError)):
        change(CLAIMS)
    assert json.dumps(CLAIMS) == before


def test_claims_are_frozen_apart_from_what_they_were_made_of() -> None:
    made_of: dict[str, Any] = {"roles": ["a"], "realm": {"x": 1}}
    claims = Claims.freeze(made_of)
    made_of["roles"].append("admin")
    made_of["realm"]["x"] = 2
    assert claims == {"roles": ("a",), "realm": {"x": 1}}


parsed = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(st.dictionaries(st.text(), parsed, max_size=4))
def test_frozen_claims_are_the_same_json(value) -> None:
    claims = Claims.freeze(value)
    assert isinstance(claims, dict)
    assert json.loads(json.dumps(claims)) == value
    assert Claims.freeze(claims) == claims


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda claims: pickle.loads(pickle.dumps(claims))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_claims_can_be_copied_and_sent_to_another_process(copied) -> None:
    found = copied(CLAIMS)
    assert found == CLAIMS
    assert type(found) is type(found["realm"]) is Claims


def test_a_copy_by_dict_is_free() -> None:
    mine = dict(CLAIMS)
    mine["x"] = 1
    assert "x" not in CLAIMS


PRINCIPAL = Principal(
    subject="ann", issuer="https://x", claims=CLAIMS, expires_at=7, actor=Actor("bob", None)
)
FROZEN = {
    "principal": (PRINCIPAL, "roles"),
    "actor": (PRINCIPAL.actor, "subject"),
    "rule": (RuleRef("GET /a", "authz.toml:1:1"), "key"),
    "decision": (Decision(False, "no_rule"), "allowed"),
    "answer": (Answer(400, (), b""), "status"),
    "facts": (RequestFacts("http", "GET", "/", ""), "path"),
}


@pytest.mark.parametrize(("value", "name"), FROZEN.values(), ids=FROZEN)
def test_values_cannot_be_changed(value, name) -> None:
    with pytest.raises((dataclasses.FrozenInstanceError, AttributeError)):
        setattr(value, name, True)
    with pytest.raises((TypeError, AttributeError)):  # nor grow: a typing slip is no grant
        value.admin = True


def test_a_principal_can_be_copied() -> None:
    assert copy.deepcopy(PRINCIPAL) == PRINCIPAL
    assert dataclasses.asdict(PRINCIPAL)["claims"]["sub"] == "ann"


def test_a_principal_without_claims_shares_none() -> None:
    one = Principal(subject="a", issuer="i", expires_at=0)
    assert one.claims == {}
    assert (one.roles, one.permissions, one.scopes) == (frozenset(),) * 3


def test_the_repr_of_a_principal_holds_no_claims() -> None:
    assert "realm" not in repr(PRINCIPAL)
    assert "ann" in repr(PRINCIPAL)


def test_a_rule_says_where_it_stands() -> None:
    assert str(RuleRef("GET /a", "authz.toml:1:1")) == "GET /a (authz.toml:1:1)"


def test_a_principal_can_be_a_key() -> None:
    first, second = (
        Principal(subject="ann", issuer="https://x", claims=Claims(sub="ann"), expires_at=1.0)
        for _ in range(2)
    )
    assert {first: "one"}[second] == "one"


def test_claims_cannot_be_made_again() -> None:
    claims = Claims(sub="ann")
    with pytest.raises(TypeError):
        claims.__init__(sub="root")  # type: ignore[misc]
    assert claims == {"sub": "ann"}
