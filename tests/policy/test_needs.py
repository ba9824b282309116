"""Three values, leaf by leaf and joined; and the compiled form, which must say the same."""

from __future__ import annotations

from itertools import product
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.facts import Claims, Principal
from authz_middleware.policy.compiled import predicate
from authz_middleware.policy.needs import (
    Acr,
    All,
    AnyIssuer,
    AnyRole,
    Asked,
    ConditionFailed,
    MaxAge,
    Need,
    Not,
    OneOf,
    Permissions,
    Scopes,
    Verdict,
    When,
    conjunction,
    disjunction,
    negation,
    required_scopes,
    walk,
)
from authz_middleware.policy.roles import Role, Roles
from tests.policy.says import Says

NOW = 1_700_000_000.0
ROLES = Roles.compile({"viewer": Role(("read", "draft:*")), "admin": Role(("*",), ("viewer",))})
VALUES: tuple[Verdict, ...] = (True, False, None)


def caller(**claims: Any) -> Principal:
    return ROLES.expand(
        Principal(
            subject="ann",
            issuer="https://x",
            roles=frozenset({"viewer"}),
            permissions=frozenset({"own"}),
            scopes=frozenset({"a", "b"}),
            claims=Claims.freeze(claims),
            expires_at=0,
        )
    )


# Kleene's tables


@pytest.mark.parametrize("values", list(product(VALUES, repeat=3)))
def test_all_and_any_of_three(values) -> None:
    expected_all = False if False in values else None if None in values else True
    expected_any = True if True in values else None if None in values else False
    assert conjunction(values) is expected_all
    assert disjunction(values) is expected_any
    assert All(tuple(map(Says.need, values))).value(Asked(None, NOW)) is expected_all
    assert OneOf(tuple(map(Says.need, values))).value(Asked(None, NOW)) is expected_any


def test_not_passes_an_error_through() -> None:
    assert [negation(value) for value in VALUES] == [False, True, None]
    assert [Not(Says.need(v)).value(Asked(None, NOW)) for v in VALUES] == [False, True, None]


@given(st.lists(st.sampled_from(VALUES)))
def test_de_morgan(values) -> None:
    assert negation(conjunction(values)) is disjunction(map(negation, values))
    assert negation(disjunction(values)) is conjunction(map(negation, values))


def test_what_follows_is_not_asked() -> None:
    never = Says(AssertionError("asked"))
    assert All((Says.need(False), When(never))).value(Asked(None, NOW)) is False
    assert OneOf((Says.need(True), When(never))).value(Asked(None, NOW)) is True
    assert never.asked == 0


# Leaves


@pytest.mark.parametrize(
    ("need", "value"),
    [
        (AnyRole(frozenset({"viewer", "x"})), True),
        (AnyRole(frozenset({"x"})), False),
        (Permissions(("read", "draft:7", "own"), ROLES), True),
        (Permissions(("read", "write"), ROLES), False),
        (AnyIssuer(frozenset({"https://x"})), True),
        (AnyIssuer(frozenset({"https://x/"})), False),
        (Scopes(("a", "b")), True),
        (Scopes(("a", "c")), False),
    ],
)
def test_what_looks_at_the_caller(need: Need, value: bool) -> None:
    assert need.value(Asked(caller(), NOW)) is value
    assert need.value(Asked(None, NOW)) is False  # nobody is a member of nothing


@pytest.mark.parametrize(
    ("claims", "value"),
    [
        ({"acr": "urn:mfa"}, True),
        ({"acr": "urn:MFA"}, False),
        ({"acr": ""}, False),
        ({}, None),
        ({"acr": None}, None),
        ({"acr": ["urn:mfa"]}, None),
        ({"acr": 1}, None),
    ],
)
def test_acr_is_compared_whole_and_its_absence_is_an_error(claims, value) -> None:
    """U02: by equality with any one that is listed."""
    asked = Asked(caller(**claims), NOW)
    assert Acr(("urn:otp", "urn:mfa")).value(asked) is value
    assert Not(Acr(("urn:otp", "urn:mfa"))).value(asked) is negation(value)  # absence never grants
    assert Acr(("urn:mfa",)).value(Asked(None, NOW)) is None


@pytest.mark.parametrize(
    ("auth_time", "value"),
    [
        (NOW, True),
        (NOW - 300, True),
        (int(NOW) - 330, True),  # the leeway
        (NOW - 330.5, False),
        (0, False),
        (-1e300, False),
        (NOW + 30, True),
        (NOW + 30.5, None),  # a time to come
        (None, None),
        (True, None),
        (str(NOW), None),
        ([NOW], None),
        (nan, None),
        (inf, None),
        (-inf, None),
        (10**400, None),
        (-(10**400), None),
    ],
)
def test_max_age(auth_time, value) -> None:
    """U03: whole seconds, with the leeway of the issuer; without auth_time it is not enough."""
    need = MaxAge(300, {"https://x": 30.0})
    asked = Asked(caller(auth_time=auth_time), NOW)
    assert need.value(asked) is value
    assert Not(need).value(asked) is negation(value)


def test_max_age_without_a_claim_a_caller_or_a_clock() -> None:
    need = MaxAge(300, {})
    assert need.value(Asked(caller(), NOW)) is None
    assert need.value(Asked(None, NOW)) is None
    assert need.value(Asked(caller(auth_time=NOW), -inf)) is None
    assert MaxAge(0, {}).value(Asked(caller(auth_time=NOW), NOW)) is True
    assert MaxAge(0, {}).value(Asked(caller(auth_time=NOW - 1), NOW)) is False


@pytest.mark.parametrize(
    ("result", "value", "detail"),
    [
        (True, True, ""),
        (False, False, ""),
        (ConditionFailed("missing: resource.owner"), None, "missing: resource.owner"),
        (ZeroDivisionError("of a secret"), None, "ZeroDivisionError"),
        (RecursionError(), None, "RecursionError"),
        (1, None, "no_boolean"),
        (None, None, "no_boolean"),
        ("true", None, "no_boolean"),
    ],
)
def test_a_condition_holds_only_if_it_says_so(result, value, detail) -> None:
    need = When(Says(result))
    found, failed = need.asked(Asked(None, NOW))
    assert (found, failed.detail if failed else "") == (value, detail)
    assert need.value(Asked(None, NOW)) is value


def test_every_leaf_is_found_and_only_useful_scopes() -> None:
    one, two, three = Scopes(("a", "b")), Scopes(("c",)), Scopes(("b", "d"))
    need = All((one, Not(two), OneOf((three, AnyRole(frozenset({"x"}))))))
    assert [leaf for leaf in walk(need) if isinstance(leaf, Scopes)] == [one, two, three]
    assert required_scopes(need) == ("a", "b", "d")


# The compiled form

leaves: st.SearchStrategy[Need] = st.one_of(
    st.builds(AnyRole, st.frozensets(st.sampled_from(("viewer", "x", "y")), min_size=1)),
    st.builds(
        lambda names: Permissions(tuple(names), ROLES),
        st.lists(st.sampled_from(("read", "draft:1", "own", "z")), min_size=1, unique=True),
    ),
    st.builds(AnyIssuer, st.frozensets(st.sampled_from(("https://x", "https://y")), min_size=1)),
    st.builds(
        lambda names: Scopes(tuple(names)),
        st.lists(st.sampled_from(("a", "b", "c")), min_size=1, unique=True),
    ),
)
steps: st.SearchStrategy[Need] = st.one_of(
    st.just(Acr(("urn:mfa",))),
    st.just(MaxAge(300, {})),
    st.sampled_from((True, False, ConditionFailed("x"))).map(lambda each: When(Says(each))),
)


def joined(parts: st.SearchStrategy[Need]) -> st.SearchStrategy[Need]:
    several = st.lists(parts, min_size=1, max_size=3).map(tuple)
    return st.builds(All, several) | st.builds(OneOf, several) | st.builds(Not, parts)


@given(st.recursive(leaves, joined, max_leaves=8))
def test_the_compiled_form_says_the_same(need: Need) -> None:
    compiled = predicate(need)
    assert compiled is not None
    assert compiled(caller()) is need.value(Asked(caller(), NOW))


@given(st.recursive(leaves | steps, joined, max_leaves=8))
def test_what_may_be_in_error_is_not_compiled(need: Need) -> None:
    flat = all(isinstance(leaf, (AnyRole, Permissions, AnyIssuer, Scopes)) for leaf in walk(need))
    assert (predicate(need) is not None) == flat
