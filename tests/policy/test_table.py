"""Who may do what, held against the policy's own decisions."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from authz_middleware.document import Document
from authz_middleware.errors import PolicyError
from authz_middleware.facts import Principal
from authz_middleware.policy.binding import OTHER
from authz_middleware.policy.canonical import readings
from authz_middleware.policy.explain import explain
from authz_middleware.policy.model import Policy
from authz_middleware.policy.needs import Asked
from authz_middleware.policy.rights import ANONYMOUS, Caller, Rights
from authz_middleware.policy.table import ELSEWHERE, Cell, Row, Table, methods_of, table
from authz_middleware.runtime import settings

ISSUER: dict[str, Any] = {"issuer": "https://login.example.com", "audience": ["orders"]}
POLICY: dict[str, Any] = {
    "issuers": [ISSUER],
    "roles": {
        "viewer": ["read"],
        "editor": {"inherits": ["viewer"], "permissions": ["write"]},
        "finance": [],
    },
    "routes": {
        "GET /a/<int:id>": ["viewer"],
        "PUT|POST /a/<int:id>": {"permissions": ["write"], "scopes": ["w"]},
        "/admin/**": ["editor"],
        "GET /open": "public",
        "POST /pay": {"all": [["editor"], ["finance"]]},
        "GET /closed": "deny",
    },
    "forbid": {"freeze": {"path": "/admin/deploy", "methods": ["PATCH"]}},
}


def load(policy: dict[str, Any]) -> tuple[Policy, Rights]:
    loaded = settings.load(Document.from_mapping(policy)).policy
    return loaded, Rights(loaded.roles, {ISSUER["issuer"]: None})


def rows(found: Table) -> dict[tuple[str, str], Row]:
    return {("|".join(row.methods), row.shown): row for row in found.rows}


def test_a_row_for_all_that_is_decided_alike() -> None:
    found = table(*load(POLICY))
    assert found.columns == ("anonymous", "any valid token", "editor", "finance", "viewer")
    assert {
        key: "".join(cell.may[0] for cell in row.cells) for key, row in rows(found).items()
    } == {
        ("GET", "/a/<int:id>"): "nnyny",
        ("POST|PUT", "/a/<int:id>"): "nninn",
        ("GET|PATCH|POST|PUT|*", "/admin/**"): "nnynn",
        ("PATCH", "/admin/** (as /admin/deploy)"): "nnnnn",
        ("GET", "/closed"): "nnnnn",
        ("GET", "/open"): "yyyyy",
        ("POST", "/pay"): "nnnnn",
        ("GET|PATCH|POST|PUT|*", ELSEWHERE): "nnnnn",
    }
    assert found.rows[-1].route == ELSEWHERE


def test_why() -> None:
    found = rows(table(*load(POLICY)))
    put = found["POST|PUT", "/a/<int:id>"]
    assert put.cells[2] == Cell("if", "the scope `w`")
    assert put.cells[4] == Cell("no", "needs the permission `write`; has read")
    assert put.cells[0] == Cell("no", "needs a verified caller")
    assert found["GET", "/open"].cells[0] == Cell("yes", "")
    frozen = found["PATCH", "/admin/** (as /admin/deploy)"]
    assert [rule.key for rule in frozen.rules] == ["/admin/**", "forbid.freeze"]
    assert frozen.cells[2].why == "forbidden to everybody"


def test_what_only_several_roles_may() -> None:
    found = rows(table(*load(POLICY)))
    assert found["POST", "/pay"].together == ("editor + finance",)
    assert found["GET", "/a/<int:id>"].together == ()


def test_rows_that_ask_the_same() -> None:
    policy = {"issuers": [ISSUER], "routes": {"GET /x": ["a"], "GET /y": ["a"]}}
    one, other, _ = table(*load(policy)).rows
    assert (one.route, other.route) == ("/x", "/y")
    assert one.cells == other.cells


def test_some_roles_only() -> None:
    assert table(*load(POLICY), ["finance"]).columns[2:] == ("finance",)


def test_a_default_for_every_token_and_ambiguous_paths() -> None:
    policy = {**POLICY, "default": "authenticated", "routes": {"GET /n/<int:id>": "public"}}
    found = rows(table(*load(policy)))
    elsewhere = found["GET|PATCH|*", ELSEWHERE]
    assert [cell.may for cell in elsewhere.cells] == ["no", "yes", "yes", "yes", "yes"]


def test_methods() -> None:
    assert methods_of(load(POLICY)[0]) == ["GET", "PATCH", "POST", "PUT", OTHER]


segments = st.sampled_from(["a", "1", "admin", "deploy", "open", "pay", "zz", "1.5"])


@given(
    st.lists(segments, max_size=3),
    st.sampled_from(["GET", "PATCH", "POST", "PUT", "TRACE", "WS"]),
    st.sampled_from([None, "", "viewer", "editor", "finance"]),
)
def test_every_request_is_in_one_row_and_comes_out_as_it_says(
    path: list[str], method: str, role: str | None
) -> None:
    policy, rights = load(POLICY)
    found = table(policy, rights)
    requirements = policy.find(method, readings("/" + "/".join(path), "")) or ()
    refs = tuple(each.ref for each in requirements)
    asked = method if method in methods_of(policy) else OTHER
    rows = (each for each in found.rows if each.rules == refs and asked in each.methods)
    row = next(rows, None)
    column = {None: "anonymous", "": "any valid token"}.get(role, role)
    principal = Principal(
        subject="s",
        issuer=ISSUER["issuer"],
        roles=frozenset({role} if role else ()),
        expires_at=inf,
    )
    if role is None:
        allowed = policy.anonymous(requirements, 0).allowed
    else:
        allowed = policy.decide(requirements, policy.roles.expand(principal)).allowed
    if row is None:  # the rule does not list the method
        assert not allowed
    else:
        may = row.cells[found.columns.index(str(column))].may
        assert may == "yes" if allowed else may in ("no", "if")  # without any scope


LEAVES: list[Any] = [
    {"roles": ["viewer"]},
    {"roles": ["finance", "editor"]},
    {"permissions": ["write", "read"]},
    {"scopes": ["w"]},
    {"acr": ["gold"]},
    {"max_age": 60},
    {"issuers": ["https://login.example.com"]},
    {"when": "subject.claims.n == 1"},
    {"when": "resource.params.id > 3"},
]
needs = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"all": parts}),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"any": parts}),
        inner.map(lambda part: {"not": part}),
    ),
    max_leaves=5,
)


LATE = {"not": {"issuers": [ISSUER["issuer"]]}, "any": [{"max_age": 60}], "scopes": ["w"]}


@example(LATE, {"roles": ["viewer"]}, {})
@given(needs, needs, st.sampled_from([{}, POLICY["forbid"], {"f": {"roles": ["viewer"]}}]))
def test_of_a_no_the_nearest_miss_is_told_that_a_refusal_would_tell(
    one: dict[str, Any], other: dict[str, Any], forbid: dict[str, Any]
) -> None:
    """Whatever rows have in common: a cell says what is said to such a caller."""
    asked = {"GET": {"all": [one, other]}, "PUT": one, "POST": other}
    routes = {f"{method} /x/<int:id>": need for method, need in asked.items()}
    try:
        policy, rights = load({**POLICY, "routes": routes, "forbid": forbid})
    except PolicyError:  # always met, or never
        assume(False)
        return
    found = table(policy, rights)
    held: list[frozenset[str]] = [frozenset(), *(frozenset({name}) for name in found.columns[2:])]
    callers = [ANONYMOUS, *map(Caller, held)]
    for row in found.rows:
        method = row.methods[0]
        requirements = policy.find(method, (row.example,))
        assert requirements is not None
        for caller, cell in zip(callers, row.cells, strict=True):
            if cell.may == "no":
                told = explain(requirements, Asked(rights.principal(caller), -inf))
                assert cell.why == told.nearest_miss


@pytest.mark.parametrize("role", ["viewer", "editor"])
def test_roles_need_not_be_declared(role: str) -> None:
    policy = {"issuers": [ISSUER], "routes": {"GET /x": [role]}}
    found = table(*load(policy))
    assert found.columns[2:] == (role,)
    assert [cell.may for cell in found.rows[0].cells] == ["no", "no", "yes"]
