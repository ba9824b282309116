"""What roles bring: closure, patterns, and what only looks like a pattern."""

from __future__ import annotations

import pytest

from authz_middleware.facts import Claims, Principal
from authz_middleware.policy.roles import Role, Roles, find_cycle

TABLE = {
    "viewer": Role(("article:read",)),
    "editor": Role(("article:write", "draft:*"), ("viewer",)),
    "auditor": Role(),
    "admin": Role(("user:*",), ("editor", "auditor")),
    "root": Role(("*",)),
}
ROLES = Roles.compile(TABLE)


def caller(*roles: str, permissions: tuple[str, ...] = ()) -> Principal:
    return Principal(
        subject="ann",
        issuer="https://x",
        roles=frozenset(roles),
        permissions=frozenset(permissions),
        claims=Claims(roles=roles),
        expires_at=0,
    )


@pytest.mark.parametrize(
    ("given", "closure"),
    [
        ((), set()),
        (("viewer",), {"viewer"}),
        (("editor",), {"editor", "viewer"}),
        (("admin",), {"admin", "editor", "auditor", "viewer"}),
        (("auditor", "viewer"), {"auditor", "viewer"}),
        (("stranger",), set()),
        (("stranger", "viewer"), {"viewer"}),
        (("Viewer", "viewer ", "*"), set()),
    ],
)
def test_closure(given, closure) -> None:
    assert ROLES.expand(caller(*given)).roles == closure


def test_a_diamond_is_no_cycle() -> None:
    table = {
        "a": Role((), ("b", "c")),
        "b": Role((), ("d",)),
        "c": Role((), ("d",)),
        "d": Role(("p",)),
    }
    assert find_cycle(table) == ()
    assert Roles.compile(table).expand(caller("a")).permissions == {"p"}


@pytest.mark.parametrize(
    ("inherits", "cycle"),
    [
        ({"a": "a"}, ("a", "a")),
        ({"a": "b", "b": "a"}, ("a", "b", "a")),
        ({"x": "a", "a": "b", "b": "c", "c": "b"}, ("b", "c", "b")),
        ({"a": "b", "b": ""}, ()),
        ({"a": "nobody"}, ()),
    ],
)
def test_find_cycle(inherits, cycle) -> None:
    table = {name: Role((), (parent,) if parent else ()) for name, parent in inherits.items()}
    assert find_cycle(table) == cycle


def test_permissions_are_united_with_the_tokens_and_patterns_stay_as_written() -> None:
    expanded = ROLES.expand(caller("editor", permissions=("extra",)))
    assert expanded.permissions == {"extra", "article:read", "article:write", "draft:*"}


def test_raw_names_stay_in_the_claims() -> None:
    assert ROLES.expand(caller("stranger")).claims["roles"] == ("stranger",)


GRANTS = {
    "by name": (("viewer",), (), "article:read", True),
    "by another's name": (("viewer",), (), "article:write", False),
    "inherited": (("admin",), (), "article:read", True),
    "by pattern": (("editor",), (), "draft:7", True),
    "by an inherited pattern": (("admin",), (), "draft:7", True),
    "the prefix alone": (("editor",), (), "draft:", True),
    "less than the prefix": (("editor",), (), "draft", False),
    "other letter case": (("editor",), (), "Draft:7", False),
    "everything": (("root",), (), "whatever", True),
    "no role": ((), (), "article:read", False),
    "an unknown role": (("stranger",), (), "article:read", False),
    "of the token": ((), ("article:read",), "article:read", True),
    "a pattern in the token is literal": ((), ("user:*",), "user:7", False),
    "everything in the token is literal": ((), ("*",), "user:7", False),
    "a pattern is no question, of the token": ((), ("user:*",), "user:*", False),
    "a pattern is no question, of a role": (("admin",), (), "user:*", False),
    "a pattern is no question, of root": (("root",), (), "*", False),
}


@pytest.mark.parametrize(("roles", "permissions", "asked", "granted"), GRANTS.values(), ids=GRANTS)
def test_grant(roles, permissions, asked, granted) -> None:
    assert ROLES.grant(ROLES.expand(caller(*roles, permissions=permissions)), asked) is granted


def test_without_a_table_any_role_may_be_used_and_none_brings_anything() -> None:
    roles = Roles.compile(None)
    principal = caller("whoever", permissions=("p",))
    assert roles.expand(principal) is principal
    assert roles.grant(principal, "p")
    assert not roles.grant(principal, "q")
    assert not roles.could_grant("p")


def test_with_an_empty_table_no_role_is_known() -> None:
    assert Roles.compile({}).expand(caller("viewer")).roles == frozenset()


@pytest.mark.parametrize(
    ("permission", "possible"),
    [("article:read", True), ("user:7", True), ("usr:7", False)],
)
def test_could_grant(permission, possible) -> None:
    table = {name: role for name, role in TABLE.items() if name != "root"}
    assert Roles.compile(table).could_grant(permission) is possible


def test_a_long_chain_is_no_recursion() -> None:
    table = {f"r{n}": Role(inherits=(f"r{n + 1}",)) for n in range(3000)} | {"r3000": Role()}
    assert find_cycle(table) == ()
    assert len(Roles.compile(table).closure["r0"]) == 3001
