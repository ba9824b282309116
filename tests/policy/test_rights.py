"""What roles alone tell of who may do what, held against the policy's own decision."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.facts import Claims, Principal, RuleRef
from authz_middleware.policy.needs import (
    Acr,
    All,
    AnyIssuer,
    AnyRole,
    Asked,
    Load,
    MaxAge,
    Need,
    Not,
    OneOf,
    Permissions,
    Scopes,
    When,
)
from authz_middleware.policy.rights import ANONYMOUS, Caller, Change, Rights, change, role_sets
from authz_middleware.policy.roles import Role, Roles
from authz_middleware.policy.rules import Kind, Requirement
from tests.policy.says import Says

ROLES = Roles.compile(
    {"a": Role(("p",)), "b": Role((), ("a",)), "c": Role(("q:*",)), "d": Role(("r",))}
)
RIGHTS = Rights(ROLES, {"i": None, "j": frozenset("ab")}, token_permissions=True)
NOW = 1000.0


def table(need: Need | None, kind: Kind = "table") -> Requirement:
    return Requirement(kind, RuleRef("GET /x", "here"), need)


def role(*names: str) -> AnyRole:
    return AnyRole(frozenset(names))


def permission(*names: str) -> Permissions:
    return Permissions(names, ROLES)


def issuer(*names: str) -> AnyIssuer:
    return AnyIssuer(frozenset(names))


def may(need: Need, *roles: str) -> object:
    return RIGHTS.of((table(need),), Caller(frozenset(roles)))


SCOPE, OLD = Scopes(("s",)), MaxAge(60, {})
OF_O = When(Says(True), Load("o"))

SETTLED = {
    "a role that is held": (role("a", "x"), True),
    "one that is not": (role("c"), False),
    "a permission that it brings": (permission("p"), True),
    "one that only a token may bring": (permission("p", "z"), permission("z")),
    "an issuer of two": (issuer("i"), issuer("i")),
    "both issuers": (issuer("i", "j"), True),
    "another issuer": (issuer("k"), False),
    "a scope": (SCOPE, SCOPE),
    "all: what is met is left out": (All((role("a"), SCOPE)), SCOPE),
    "all: one that is not met is enough": (All((role("c"), SCOPE)), False),
    "all: the rest of several": (All((SCOPE, OLD, SCOPE, role("a"))), All((SCOPE, OLD))),
    "all in all": (All((SCOPE, All((SCOPE, OLD)))), All((SCOPE, OLD))),
    "all: nothing is left": (All((role("a"), permission("p"))), True),
    "any: one that is met is enough": (OneOf((SCOPE, role("a"))), True),
    "any: what is not met is left out": (OneOf((role("c"), SCOPE, SCOPE)), SCOPE),
    "any in any": (OneOf((SCOPE, OneOf((SCOPE, OLD)))), OneOf((SCOPE, OLD))),
    "any: nothing is left": (OneOf((role("c"), issuer("k"))), False),
    "all: an object that a condition reads": (All((Load("o"), OF_O)), OF_O),
    "all: an object that none reads": (All((Load("p"), OF_O)), All((Load("p"), OF_O))),
    "not": (Not(role("a")), False),
    "not: the rest": (Not(SCOPE), Not(SCOPE)),
    "not not": (Not(Not(SCOPE)), SCOPE),
}


@pytest.mark.parametrize(("need", "left"), SETTLED.values(), ids=SETTLED)
def test_a_requirement_is_settled_as_far_as_roles_tell(need: Need, left: object) -> None:
    assert may(need, "a") == left


def test_a_token_that_brings_no_permissions() -> None:
    rights = Rights(ROLES, {"i": None})
    assert rights.of((table(permission("z")),), Caller(frozenset("a"))) is False


def test_an_issuer_that_does_not_give_the_role() -> None:
    assert may(issuer("i"), "c") is True  # only `i` gives it
    assert may(issuer("j"), "c") is False


FORBIDDEN = {
    "everybody": (None, False, False),
    "a role": (role("a"), False, True),
    "another role": (role("c"), True, True),
    "a scope": (SCOPE, Not(SCOPE), Not(SCOPE)),
}


@pytest.mark.parametrize(("need", "known", "nobody"), FORBIDDEN.values(), ids=FORBIDDEN)
def test_what_is_forbidden(need: Need | None, known: object, nobody: object) -> None:
    asked = (table(None, "public"), table(need, "forbid"))
    assert RIGHTS.of(asked, Caller(frozenset("a"))) == known
    assert RIGHTS.of(asked, ANONYMOUS) == nobody


def test_forbidden_permissions_and_issuers_of_nobody() -> None:
    for need in (permission("p"), issuer("i")):
        asked = (table(None, "public"), table(need, "forbid"))
        assert RIGHTS.of(asked, ANONYMOUS) is True


@pytest.mark.parametrize(
    ("kind", "anonymous", "known"),
    [("public", True, True), ("authenticated", False, True), ("deny", False, False)],
)
def test_a_word(kind: Kind, anonymous: bool, known: bool) -> None:
    assert RIGHTS.of((table(None, kind),), ANONYMOUS) is anonymous
    assert RIGHTS.of((table(None, kind),), Caller(frozenset())) is known


def test_a_table_is_not_for_nobody_and_an_ambiguous_path_for_none() -> None:
    assert RIGHTS.of((table(Not(role("a"))),), ANONYMOUS) is False
    assert RIGHTS.of(None, Caller(frozenset("a"))) is False


def test_callers_have_names() -> None:
    assert [str(ANONYMOUS), str(Caller(frozenset())), str(Caller(frozenset("ba")))] == [
        "anonymous",
        "any valid token",
        "a + b",
    ]


def test_the_roles_that_can_be_had() -> None:
    assert RIGHTS.obtainable is None
    both = Rights(ROLES, {"j": frozenset("ab"), "k": frozenset("c")})
    assert both.obtainable == frozenset("abc")


# --- Sets of roles ---


def test_sets_of_roles_are_the_smallest_that_make_a_difference() -> None:
    needs: list[Need] = [All((role("a"), role("c"))), permission("r"), SCOPE]
    found = ["".join(sorted(each)) for each in role_sets("abcd", [(ROLES, needs)])]
    # `b` is to these needs as `a` is, so only `a` is joined with others.
    assert found == ["", "a", "b", "c", "d", "ac", "ad", "cd", "acd"]


def test_any_name_is_a_role_where_none_is_declared() -> None:
    free = Roles.compile(None)
    found = list(role_sets("xy", [(free, [All((role("x"), role("y")))])]))
    assert found == [frozenset(each) for each in ("", "x", "y", "xy")]


def test_a_role_that_is_gone_brings_nothing() -> None:
    assert list(role_sets("z", [(ROLES, [role("z")])])) == [frozenset(), frozenset("z")]


def test_sets_end_somewhere() -> None:
    names = [f"r{number}" for number in range(12)]
    found = list(role_sets(names, [(Roles.compile(None), [role(name) for name in names])]))
    assert len(found) == 500


# --- Comparing ---

X, Y = When(Says(True, "x")), When(Says(True, "y"))

CHANGES = {
    "nothing": (SCOPE, SCOPE, Change(False, False)),
    "yes to no": (True, False, Change(False, True)),
    "no to yes": (False, True, Change(True, False)),
    "a scope more": (SCOPE, Scopes(("s", "t")), Change(False, True)),
    "a scope less": (Scopes(("s", "t")), SCOPE, Change(True, False)),
    "another scope": (SCOPE, Scopes(("t",)), Change(True, True)),
    "one scope in other words": (SCOPE, All((SCOPE, OneOf((SCOPE, OLD)))), Change(False, False)),
    "older": (OLD, MaxAge(90, {}), Change(True, False)),
    "fresher": (OLD, MaxAge(30, {}), Change(False, True)),
    "another way to authenticate": (Acr(("x",)), Acr(("x", "y")), Change(True, False)),
    "not": (Not(Acr(("x", "y"))), Not(Acr(("x",))), Change(True, False)),
    "another issuer": (issuer("i"), issuer("j"), Change(True, True)),
    "a permission": (permission("z"), True, Change(True, False)),
    "a condition more": (True, X, Change(False, True)),
    "a condition less": (All((X, SCOPE)), SCOPE, Change(True, False)),
    "the same condition": (X, OneOf((X, All((X, SCOPE)))), Change(False, False)),
    "another condition": (X, Y, Change(None, None)),
    "one condition of two": (All((X, Y)), X, Change(None, False)),
    "a scope beside other conditions": (All((X, SCOPE)), OneOf((Y, X)), Change(True, False)),
    "both conditions less": (All((X, Y)), True, Change(True, False)),
    "a scope less, whatever the conditions": (
        All((OneOf((X, Y)), SCOPE)), OneOf((X, Y)), Change(True, False)
    ),
    "gained whatever the conditions": (
        All((X, Y, SCOPE)), OneOf((X, Scopes(("t",)))), Change(True, False)
    ),
    "gained in every case, by no condition": (
        OneOf((All((X, SCOPE)), All((Y, SCOPE)))),
        OneOf((Scopes(("t",)), All((X, SCOPE)))), Change(True, None)
    ),
    "lost only where it is in error": (OneOf((X, Not(X))), True, Change(None, False)),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "found"), CHANGES.values(), ids=CHANGES)
def test_what_a_change_gives_and_takes(old: Need, new: Need, found: Change) -> None:
    assert change(old, new, ("i", "j")) == found


def test_too_much_to_compare() -> None:
    scopes = [Scopes((f"s{number}",)) for number in range(15)]
    assert change(OneOf(tuple(scopes)), scopes[0]) == Change(None, None)


leaves: st.SearchStrategy[Need] = st.sampled_from(
    [
        *(role(name) for name in "abcd"),
        role("a", "d"),
        permission("p"),
        permission("p", "r"),
        issuer("i"),
        issuer("j"),
        SCOPE,
        Acr(("x",)),
        Acr(("y", "x")),
        OLD,
        MaxAge(120, {}),
    ]
)


def joints(inner: st.SearchStrategy[Need]) -> st.SearchStrategy[Need]:
    few = st.lists(inner, min_size=1, max_size=3).map(tuple)
    return st.one_of(few.map(All), few.map(OneOf), inner.map(Not))


needs: st.SearchStrategy[Need] = st.recursive(leaves, joints, max_leaves=5)

TOKENS = [
    (by, frozenset(scopes), frozenset(permissions), acr, at)
    for by, scopes, permissions, acr, at in product(
        "ij", ("", "s"), ("", "p", "r", "pr"), (None, "x", "y", "z"), (None, 950.0, 900.0, 500.0)
    )
]


@cache
def callers(roles: frozenset[str]) -> list[Principal]:
    """A caller with these roles for each of the tokens."""
    return [
        ROLES.expand(
            Principal(
                subject="s",
                issuer=by,
                roles=roles,
                scopes=scopes,
                permissions=permissions,
                claims=Claims(
                    {**({"acr": acr} if acr else {}), **({"auth_time": at} if at else {})}
                ),
                expires_at=0,
            )
        )
        for by, scopes, permissions, acr, at in TOKENS
    ]


def met(need: Need, roles: frozenset[str], issuers: Iterable[str]) -> list[bool]:
    """Whether each of the tokens from one of these issuers meets it."""
    requirement = table(need)
    return [
        requirement.met(Asked(caller, NOW)) for caller in callers(roles) if caller.issuer in issuers
    ]


@pytest.mark.slow
@given(needs, needs, st.sets(st.sampled_from("abcd")))
def test_a_change_is_what_some_token_shows(old: Need, new: Need, held: set[str]) -> None:
    """Where there are no conditions, whatever `change` says is so, and all that is so it says."""
    rights, roles = Rights(ROLES, {"i": None, "j": frozenset("ab")}, True), frozenset(held)
    caller = Caller(roles)
    given = rights.given_by(caller)
    before, after = met(old, roles, given), met(new, roles, given)
    found = change(
        rights.of((table(old),), caller), rights.of((table(new),), caller), sorted(given)
    )
    assert found == Change(
        any(new and not old for old, new in zip(before, after, strict=True)),
        any(old and not new for old, new in zip(before, after, strict=True)),
    )


@pytest.mark.slow
@given(needs, st.sets(st.sampled_from("abcd")))
def test_every_set_of_roles_is_like_one_that_is_looked_at(need: Need, held: set[str]) -> None:
    looked = list(role_sets("abcd", [(ROLES, [need])]))
    rights = Rights(ROLES, {"i": None}, token_permissions=True)

    asked = met(need, frozenset(held), "i")
    assert any(met(need, roles, "i") == asked for roles in looked)
    assert rights.of((table(need),), ANONYMOUS) is False
