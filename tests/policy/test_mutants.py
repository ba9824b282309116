"""Requirements with one thing less."""

from __future__ import annotations

import pytest

from authz_middleware.facts import RuleRef
from authz_middleware.policy.mutants import mutants
from authz_middleware.policy.needs import (
    All,
    AnyRole,
    Load,
    MaxAge,
    Need,
    Not,
    OneOf,
    Permissions,
    Scopes,
    When,
)
from authz_middleware.policy.parameters import Parameters
from authz_middleware.policy.roles import Roles
from authz_middleware.policy.rules import Kind, Request, Requirement
from authz_middleware.policy.template import parse
from tests.policy.says import Says

REF = RuleRef("GET /x", "here")
A, B = AnyRole(frozenset("a")), AnyRole(frozenset("b"))
S, T, ST = Scopes(("s",)), Scopes(("t",)), Scopes(("s", "t"))
NO_ROLES = Roles.compile(None)
OF_O, OF_P = When(Says(True, "says"), Load("o")), When(Says(True, "says"), Load("p"))
P, Q = (Permissions((name,), NO_ROLES) for name in "pq")
PQ = Permissions(("p", "q"), NO_ROLES)

WORDS: dict[Kind, list[tuple[str, Kind]]] = {
    "public": [],
    "authenticated": [("a valid token", "public")],
    "deny": [("`deny`", "authenticated")],
    "forbid": [("all of it", "public")],
}


@pytest.mark.parametrize("kind", WORDS)
def test_a_word(kind: Kind) -> None:
    found = [(each.dropped, each.kind) for each in mutants(Requirement(kind, REF))]
    assert found == WORDS[kind]


TABLES: dict[str, tuple[Need, list[tuple[str, Need | None]]]] = {
    "a role": (A, [("the role `a`", None)]),
    "one of two scopes": (ST, [("the scope `s`", T), ("the scope `t`", S)]),
    "one of two permissions": (PQ, [("the permission `p`", Q), ("the permission `q`", P)]),
    "an entry of a table": (All((A, S)), [("the role `a`", S), ("the scope `s`", A)]),
    "one of three": (
        All((A, B, S)),
        [
            ("the role `a`", All((B, S))),
            ("the role `b`", All((A, S))),
            ("the scope `s`", All((A, B))),
        ],
    ),
    "a part of an entry": (
        All((A, ST)),
        [("the role `a`", ST), ("the scope `s`", All((A, T))), ("the scope `t`", All((A, S)))],
    ),
    "an alternative that asks nothing": (
        OneOf((A, B)), [("the role `a`", None), ("the role `b`", None)]
    ),
    "a part of an alternative": (
        OneOf((A, ST)),
        [
            ("the role `a`", None),
            ("the scope `s`", OneOf((A, T))),
            ("the scope `t`", OneOf((A, S))),
        ],
    ),
    "what is excluded": (All((A, Not(B))), [("the role `a`", Not(B)), ("not the role `b`", A)]),
    "an object, and a condition that reads it": (
        All((A, Load("o"), OF_O)),
        [
            ("the role `a`", All((Load("o"), OF_O))),
            ("the condition `says`", All((A, Load("o")))),
        ],
    ),
    "an object, and a condition that does not": (
        All((Load("o"), OF_P)),
        [("an object that the loader `o` finds", OF_P), ("the condition `says`", Load("o"))],
    ),
    "an age": (MaxAge(60, {}), [("an authentication in the last 60 seconds", None)]),
}  # fmt: skip


@pytest.mark.parametrize(("need", "left"), TABLES.values(), ids=TABLES)
def test_a_table(need: Need, left: list[tuple[str, Need | None]]) -> None:
    found = list(mutants(Requirement("table", REF, need)))
    assert [(each.dropped, each.need) for each in found] == left
    assert [each.kind for each in found] == [
        "table" if rest else "authenticated" for _, rest in left
    ]


def test_a_table_of_nothing_has_nothing_less() -> None:
    assert list(mutants(Requirement("table", REF))) == []


def test_it_is_put_in_the_place_of_what_it_was_made_of() -> None:
    tested, other = Requirement("table", REF, A), Requirement("table", REF, A)
    (mutant,) = mutants(tested)
    put = mutant.put((other, tested))
    assert put[0] is other
    assert (put[1].kind, put[1].need, put[1].ref) == ("authenticated", None, REF)


def test_it_is_told_of_the_same_request() -> None:
    tested = Requirement("table", REF, When(Says(True, reads_request=True)))
    (told,) = tested.found_by(Parameters(parse("/x/<id>")), "GET", ("/x/1",))
    (mutant,) = mutants(tested)
    (put,) = mutant.put((told,))
    assert put.request == told.request == Request("GET", {"id": "1"})
