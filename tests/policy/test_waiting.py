"""A loader, or a decision point, is asked only while the outcome hangs on it.

Held against trying everything out.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any, cast

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
    Pdp,
    Verdict,
    When,
)
from authz_middleware.policy.questions import Question, Said, Unanswered, question_of
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
    st.booleans().map(lambda denies: Pdp("p", "/", denies=denies)),
    st.builds(reads, st.sampled_from(NAMES), st.sampled_from(["p", "q"])),
    st.sampled_from(["has", "lacks"]).map(lambda name: AnyRole(frozenset({name}))),
)


def joints(parts: st.SearchStrategy[Need]) -> st.SearchStrategy[Need]:
    several = st.lists(parts, min_size=1, max_size=3).map(tuple)
    return st.one_of(several.map(All), several.map(OneOf), parts.map(Not))


NEEDS = st.recursive(LEAVES, joints, max_leaves=6)


Known = dict[Object | Question, Loaded | Said]


def asking(known: Known) -> Asked:
    resources = {key: found for key, found in known.items() if isinstance(key, Object)}
    answers = {key: said for key, said in known.items() if isinstance(key, Question)}
    return Asked(CALLER, 0, None, "GET", {}, cast("Any", resources), cast("Any", answers))


def key_of(asks: Load | Pdp) -> Object | Question:
    return object_of(asks.loader, {}) if isinstance(asks, Load) else QUESTION


OBJECTS: list[Loaded] = [
    Unloaded.MISSING,
    Unloaded.FAILED,
    *({"p": p, "q": q} for p, q in product((True, False, None), repeat=2)),
]


QUESTION = question_of("p", "GET", "/", {})
FAILED = Unanswered("timeout")
ANSWERS: list[Said] = [True, False, FAILED]
KEYS: list[Object | Question] = [object_of("a", {}), object_of("b", {}), QUESTION]


def worlds(known: Known) -> list[Asked]:
    """Everything that could come of asking for what is not known yet."""
    open_ = [key for key in KEYS if key not in known]
    each = [OBJECTS if isinstance(key, Object) else ANSWERS for key in open_]
    return [
        asking({**known, **dict(zip(open_, found, strict=True))})
        for found in product(*cast("list[list[Any]]", each))
    ]


COME = st.tuples(st.sampled_from(OBJECTS), st.sampled_from(OBJECTS), st.sampled_from(ANSWERS)).map(
    lambda came: cast("Known", dict(zip(KEYS, came, strict=True)))
)


@given(NEEDS)
def test_what_may_still_come_of_it_holds_all_that_does(need: Need) -> None:
    may = possible(need, asking({}))
    assert {need.value(world) for world in worlds({})} <= may


@given(NEEDS, COME)
def test_it_asks_until_the_outcome_is_known_and_no_longer(need: Need, come: Known) -> None:
    known: Known = {}
    while (asks := wanted(need, asking(known))) is not None:
        key = key_of(asks)
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


@given(NEEDS, COME)
def test_a_failure_answers_only_if_the_outcome_hangs_on_it(need: Need, come: Known) -> None:
    known: Known = {}
    while (asks := wanted(need, asking(known))) is not None:
        known[key_of(asks)] = come[key_of(asks)]
    requirement = told(need)
    asked = asking(known)
    decision = explain((requirement,), asked)
    assert decision.allowed is (need.value(asked) is True)
    if decision.reason in ("resource_unavailable", "pdp_unavailable", "pdp_failed"):
        failed = [key for key, found in known.items() if found in (Unloaded.FAILED, FAILED)]
        rest = {key: found for key, found in known.items() if key not in failed}
        assert failed
        assert any(need.value(world) is True for world in worlds(rest)), "it made no difference"


def told(need: Need) -> Requirement:
    requirement = Requirement("table", RuleRef("GET /", "x"), need)
    object.__setattr__(requirement, "request", Request("GET", {}))
    return requirement


A, B = Load("a"), Load("b")
P, STRICT = Pdp("p", "/"), Pdp("p", "/", denies=True)
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
    "nobody was asked, under not": (Not(reads("a", "p")), {}, "resource_unavailable"),
}


@pytest.mark.parametrize(("need", "found", "reason"), FOUND.values(), ids=FOUND)
def test_the_reason(need: Need, found: dict[str, Loaded], reason: str) -> None:
    asked = asking({object_of(name, {}): loaded for name, loaded in found.items()})
    decision = explain((told(need),), asked)
    assert decision.reason == reason
    assert "loader `a`" in decision.explanation or "`p`" in decision.explanation


def test_a_path_that_does_not_tell_which_object_lets_nobody_in() -> None:
    requirement = told(A)
    object.__setattr__(requirement, "request", Request("GET", None))
    asked = asking({object_of("a", {}): {}})
    assert not requirement.met(asked)
    assert requirement.waits_for(asked) is None
    decision = explain((requirement,), asked)
    assert (decision.reason, decision.detail) == ("condition_error", "no_parameters")


DECIDED: dict[str, tuple[Need, Known, str]] = {
    "yes": (P, {QUESTION: True}, "allowed"),
    "no": (P, {QUESTION: False}, "pdp_denied"),
    "no answer": (P, {QUESTION: FAILED}, "pdp_unavailable"),
    "no answer is answered as a no": (STRICT, {QUESTION: FAILED}, "pdp_failed"),
    "not asked": (P, {}, "pdp_unavailable"),
    "not asked is nobody's failure": (STRICT, {}, "pdp_unavailable"),
    "a role is missing as well": (All((P, LACKS)), {QUESTION: FAILED}, "role_missing"),
    "a role is enough": (OneOf((P, ROLE)), {QUESTION: FAILED}, "allowed"),
    "a role would have been enough": (OneOf((P, LACKS)), {QUESTION: False}, "pdp_denied"),
    "excluded": (Not(P), {QUESTION: True}, "excluded"),
    "not excluded": (Not(P), {QUESTION: False}, "allowed"),
    "silence does not let in": (Not(P), {QUESTION: FAILED}, "pdp_unavailable"),
    "nor as a no": (Not(STRICT), {QUESTION: FAILED}, "pdp_failed"),
    "nor if nobody was asked": (Not(P), {}, "pdp_unavailable"),
    "a no, and an object that failed": (
        All((P, A)),
        {QUESTION: False, object_of("a", {}): Unloaded.FAILED},
        "pdp_denied",
    ),
    "no answer, and no object": (
        All((P, A)),
        {QUESTION: FAILED, object_of("a", {}): Unloaded.MISSING},
        "resource_missing",
    ),
}


@pytest.mark.parametrize(("need", "known", "reason"), DECIDED.values(), ids=DECIDED)
def test_the_reason_of_a_decision_point(need: Need, known: Known, reason: str) -> None:
    decision = explain((told(need),), asking(known))
    assert decision.reason == reason
    assert "decision point `p`" in decision.explanation


def test_objects_are_asked_for_first() -> None:
    """A condition that reads one may settle it without the network."""
    need = All((P, reads("a", "p")))
    assert wanted(need, asking({})) == A
    assert wanted(need, asking({object_of("a", {}): {"p": False}})) is None
    assert wanted(need, asking({object_of("a", {}): {"p": True}})) == P


@pytest.mark.parametrize("asks", [P, STRICT, Not(P)])
def test_a_decision_point_is_not_asked_about_a_path_that_does_not_tell(asks: Need) -> None:
    requirement = told(asks)
    object.__setattr__(requirement, "request", Request("GET", None))
    asked = asking({QUESTION: True})
    assert not requirement.met(asked)
    assert requirement.waits_for(asked) is None
    decision = explain((requirement,), asked)
    assert (decision.reason, decision.detail) == ("condition_error", "no_parameters")
