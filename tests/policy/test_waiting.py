"""A loader is asked only while the outcome hangs on it: held against trying everything out."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.facts import Principal, RuleRef
from authz_middleware.policy.explain import explain
from authz_middleware.policy.needs import (
    All,
    AnyRole,
    Asked,
    ConditionFailed,
    Load,
    Need,
    Not,
    OneOf,
    Verdict,
    When,
)
from authz_middleware.policy.resources import Loaded, Object, Unloaded, object_of
from authz_middleware.policy.rules import Request, Requirement
from authz_middleware.policy.waiting import possible, wanted

CALLER = Principal(subject="ann", issuer="https://x", roles=frozenset({"has"}), expires_at=0)
NAMES = ("a", "b")


@dataclass(frozen=True)
class Says:
    """A condition that is known beforehand, or that is what its object says under a name."""

    text: str
    value: Verdict = None
    load: Load | None = None
    reads_caller: bool = False
    reads_request: bool = True
    from_client: bool = False

    def holds(self, asked: Asked) -> bool:
        value = self.value
        if self.load is not None:
            found = self.load.found(asked)
            assert not isinstance(found, Unloaded), "asked before its object was there"
            value = found[self.text]
        if value is None:
            raise ConditionFailed("unknown")
        return value


def fixed(value: Verdict) -> Need:
    return When(Says(str(value), value))


def reads(name: str, key: str) -> Need:
    return When(Says(key, load=Load(name)), Load(name))


LEAVES = st.one_of(
    st.sampled_from([True, False, None]).map(fixed),
    st.sampled_from(NAMES).map(Load),
    st.builds(reads, st.sampled_from(NAMES), st.sampled_from(["p", "q"])),
    st.sampled_from(["has", "lacks"]).map(lambda name: AnyRole(frozenset({name}))),
)


def joints(parts: st.SearchStrategy[Need]) -> st.SearchStrategy[Need]:
    several = st.lists(parts, min_size=1, max_size=3).map(tuple)
    return st.one_of(several.map(All), several.map(OneOf), parts.map(Not))


NEEDS = st.recursive(LEAVES, joints, max_leaves=6)


def asking(resources: dict[Object, Loaded]) -> Asked:
    return Asked(CALLER, 0, None, "GET", {}, resources)


OBJECTS: list[Loaded] = [
    Unloaded.MISSING,
    Unloaded.FAILED,
    *({"p": p, "q": q} for p, q in product((True, False, None), repeat=2)),
]


def worlds(known: dict[Object, Loaded]) -> list[Asked]:
    """Everything that could come of loading what is not known yet."""
    open_ = [key for name in NAMES if (key := object_of(name, {})) not in known]
    return [
        asking({**known, **dict(zip(open_, found, strict=True))})
        for found in product(OBJECTS, repeat=len(open_))
    ]


@given(NEEDS)
def test_what_may_still_come_of_it_holds_all_that_does(need: Need) -> None:
    may = possible(need, asking({}))
    assert {need.value(world) for world in worlds({})} <= may


@given(NEEDS, st.sampled_from(OBJECTS), st.sampled_from(OBJECTS))
def test_it_asks_until_the_outcome_is_known_and_no_longer(need: Need, a: Any, b: Any) -> None:
    come: dict[Object, Loaded] = {object_of("a", {}): a, object_of("b", {}): b}
    known: dict[Object, Loaded] = {}
    while (load := wanted(need, asking(known))) is not None:
        key = object_of(load.loader, {})
        assert key not in known, "asked twice"
        met = {need.value(world) is True for world in worlds(known)}
        assert True in met, "asked though nothing could let the caller in"
        known[key] = come[key]
    # Nothing that was not asked could have changed whether it is met.
    assert {need.value(world) is True for world in worlds(known)} == {
        need.value(asking(known)) is True
    }


@given(NEEDS)
def test_not_loaded_is_never_met_unless_it_is_met_anyway(need: Need) -> None:
    if need.value(asking({})) is True:
        assert all(need.value(world) is True for world in worlds({}))


@given(NEEDS, st.sampled_from(OBJECTS), st.sampled_from(OBJECTS))
def test_a_failure_answers_only_if_the_outcome_hangs_on_it(need: Need, a: Any, b: Any) -> None:
    come: dict[Object, Loaded] = {object_of("a", {}): a, object_of("b", {}): b}
    known: dict[Object, Loaded] = {}
    while (load := wanted(need, asking(known))) is not None:
        known[object_of(load.loader, {})] = come[object_of(load.loader, {})]
    requirement = told(need)
    asked = asking(known)
    decision = explain((requirement,), asked)
    assert decision.allowed is (need.value(asked) is True)
    if decision.reason == "resource_unavailable":
        failed = [key for key, found in known.items() if found is Unloaded.FAILED]
        rest = {key: found for key, found in known.items() if key not in failed}
        assert failed
        assert any(need.value(world) is True for world in worlds(rest)), "it made no difference"


def told(need: Need) -> Requirement:
    requirement = Requirement("table", RuleRef("GET /", "x"), need)
    object.__setattr__(requirement, "request", Request("GET", {}))
    return requirement


A, B = Load("a"), Load("b")
ROLE, LACKS = AnyRole(frozenset({"has"})), AnyRole(frozenset({"lacks"}))

FOUND: dict[str, tuple[Need, dict[str, Loaded], str]] = {
    "there": (A, {"a": {}}, "allowed"),
    "missing": (A, {"a": Unloaded.MISSING}, "resource_missing"),
    "missing, and the policy says so": (
        Load("a", not_found=True),
        {"a": Unloaded.MISSING},
        "resource_not_found",
    ),
    "failed": (A, {"a": Unloaded.FAILED}, "resource_unavailable"),
    "a role is missing as well": (All((A, LACKS)), {"a": Unloaded.FAILED}, "role_missing"),
    "a role is enough": (OneOf((ROLE, A)), {"a": Unloaded.FAILED}, "allowed"),
    "a role would have been enough": (
        OneOf((LACKS, A)),
        {"a": Unloaded.FAILED},
        "resource_unavailable",
    ),
    "one is missing, one failed": (
        All((A, B)),
        {"a": Unloaded.FAILED, "b": Unloaded.MISSING},
        "resource_missing",
    ),
    "absence does not let in": (Not(A), {"a": Unloaded.MISSING}, "resource_missing"),
    "nor does a failure": (Not(A), {"a": Unloaded.FAILED}, "resource_unavailable"),
    "presence is excluded": (Not(A), {"a": {}}, "excluded"),
    "its condition": (All((A, reads("a", "p"))), {"a": {"p": False}}, "condition_not_met"),
    "its condition in error": (All((A, reads("a", "p"))), {"a": {"p": None}}, "condition_error"),
    "the condition of what is missing": (
        All((reads("a", "p"), A)),
        {"a": Unloaded.MISSING},
        "resource_missing",
    ),
    "the condition alone": (reads("a", "p"), {"a": Unloaded.FAILED}, "resource_unavailable"),
    "nobody was asked": (A, {}, "resource_unavailable"),
}


@pytest.mark.parametrize(("need", "found", "reason"), FOUND.values(), ids=FOUND)
def test_the_reason(need: Need, found: dict[str, Loaded], reason: str) -> None:
    asked = asking({object_of(name, {}): loaded for name, loaded in found.items()})
    decision = explain((told(need),), asked)
    assert decision.reason == reason
    assert "loader a" in decision.explanation or "`p`" in decision.explanation


def test_a_path_that_does_not_tell_which_object_lets_nobody_in() -> None:
    requirement = told(A)
    object.__setattr__(requirement, "request", Request("GET", None))
    asked = asking({object_of("a", {}): {}})
    assert not requirement.met(asked)
    assert requirement.waits_for(asked) is None
    decision = explain((requirement,), asked)
    assert (decision.reason, decision.detail) == ("condition_error", "no_parameters")
