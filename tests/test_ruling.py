"""Which rules decide a request: what is remembered, and what a handler's question is judged by."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.effects import Admit, Routed, Served
from authz_middleware.facts import Decision, RequestFacts
from authz_middleware.policy.binding import bind
from authz_middleware.policy.model import Policy
from authz_middleware.ruling import Ruling
from tests.ruled import ruled, table_of

PATHS = st.sampled_from(
    [
        "/me",
        "/public",
        "/PUBLIC",
        "/articles/1",
        "/app/me",
        "/app",
        "/a//b",
        "/me/",
        "/x" * 200,
        None,
    ]
)
ASKED_FOR = st.builds(
    RequestFacts,
    st.just("http"),
    st.sampled_from(["GET", "POST", "HEAD", "get"]),
    PATHS,
    st.sampled_from(["", "/app", "/me"]),
    st.just(""),
    upgrade=st.booleans(),
    ambiguous=st.booleans(),
    whole=st.booleans(),
    exact=st.booleans(),
)

READING = Ruling(
    ruled(
        {
            "/me": "authenticated",
            "/public": "public",
            "/articles/<id>": {"when": "resource.params.id == '1' && action.name != 'POST'"},
        }
    )
)


@given(asked=st.lists(ASKED_FOR, min_size=2, max_size=12))
def test_what_is_remembered_of_a_path_is_what_would_be_found(asked: list[RequestFacts]) -> None:
    """Whatever was asked for before: no input of the decision is left out of the key."""
    for facts in [*asked, *asked]:
        method = facts.method.upper()
        remembered = READING.of(facts, method)
        found = READING.found(facts, method)
        assert remembered == found
        # What a condition is told of the request does not count when rules are compared.
        assert [each.request for each in remembered or ()] == [each.request for each in found or ()]


def test_no_more_is_remembered_than_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("authz_middleware.ruling.MAX_REMEMBERED", 3)
    ruling = Ruling(ruled({"/**": "public"}))
    for number in range(20):
        ruling.of(RequestFacts("http", "GET", f"/articles/{number}", ""), "GET")
        assert 0 < len(ruling._found) <= 3
    ruling.of(RequestFacts("http", "GET", "/" + "x" * 300, ""), "GET")
    assert all(len(str(key[0])) < 300 for key in ruling._found)


# What a handler's question is judged by


TAKEN: dict[str, tuple[Any, ...]] = {
    "as it came": ("GET", "/a/x/y", (), [("GET", {"x": "x", "tenant": "y"})]),
    "looked at, and the same": (
        "GET",
        "/a/x/y",
        [("GET /a/<x>/<tenant>", "GET", "/a/x/y")],
        [("GET", {"x": "x", "tenant": "y"})],
    ),
    "by another route": (
        "GET",
        "/a/orders/y",
        [("GET /<tenant>/orders/<id>", "GET", "/a/orders/y")],
        [("GET", {"x": "orders", "tenant": "y"}), ("GET", {"tenant": "a", "id": "y"})],
    ),
    "by another path": (
        "GET",
        "/a/x/y",
        [("GET /a/<x>/<tenant>", "GET", "/a/x/z")],
        [("GET", {"x": "x", "tenant": "y"}), ("GET", {"x": "x", "tenant": "z"})],
    ),
    "by another path and another route": (
        "GET",
        "/a/x/y",
        [("GET /a/<x>/<tenant>", "GET", "/b/orders/1")],
        [("GET", {"x": "x", "tenant": "y"}), ("GET", {"tenant": "b", "id": "1"}), ("GET", None)],
    ),
    "by a route that was added later": (
        "GET",
        "/a/x/y",
        [("late", "GET", "/a/x/y")],
        [("GET", {"x": "x", "tenant": "y"})],
    ),
    "by a path without a rule": (
        "GET",
        "/a/x/y",
        [("late", "GET", "/nowhere")],
        [("GET", {"x": "x", "tenant": "y"}), ("GET", None)],
    ),
    "as another method": (
        "GET",
        "/a/x/y",
        [("GET /a/<x>/<tenant>", "HEAD", "/a/x/y")],
        [("GET", {"x": "x", "tenant": "y"}), ("HEAD", {"x": "x", "tenant": "y"})],
    ),
    "as what its route does not serve": (
        "POST",
        "/a/x/y",
        [("GET /<tenant>/orders/<id>", "POST", "/a/x/y")],
        [
            ("POST", {"x": "x", "tenant": "y"}),
            ("POST", None),
            ("GET", {"x": "x", "tenant": "y"}),
            ("GET", None),
        ],
    ),
    "of all that was looked at": (
        "GET",
        "/a/x/y",
        [
            ("GET /a/<x>/<tenant>", "GET", "/a/x/y"),
            ("GET /a/<x>/<tenant>", "GET", "/a/x/z"),
            ("GET /a/<x>/<tenant>", "DELETE", "/a/x/y"),
        ],
        [
            ("GET", {"x": "x", "tenant": "y"}),
            ("GET", {"x": "x", "tenant": "z"}),
            ("DELETE", {"x": "x", "tenant": "y"}),
        ],
    ),
}


ALLOWED = Admit(Decision(True, "allowed"), None, "absent", inf)


def orders() -> Policy:
    return ruled({"/<tenant>/orders/<id>": "authenticated", "/a/<x>/<tenant>": "authenticated"})


@pytest.mark.parametrize(("method", "path", "looks", "expected"), TAKEN.values(), ids=TAKEN)
def test_what_a_request_may_be_taken_for(method, path, looks, expected) -> None:
    ruling = Ruling(policy := orders())
    table = table_of("GET /<tenant>/orders/<id>", "GET /a/<x>/<tenant>", "DELETE /a/<x>/<tenant>")
    facts = RequestFacts("http", method, path, "")
    admit = ALLOWED._replace(requirements=ruling.of(facts, method))
    asked = tuple(Routed(taken, "http", verb, to) for taken, verb, to in looks)
    found = ruling.taken_for(Served(admit, facts, asked, bind(policy, table)))
    assert found == expected


@pytest.mark.parametrize(
    ("root_path", "path", "whole", "expected"),
    [
        ("", "/a/orders/y", False, [{"x": "orders", "tenant": "y"}]),
        ("/a/orders", "/a/orders/y", False, [None, {"x": "orders", "tenant": "y"}]),
        ("/a/orders", "/a/orders/y", True, [{"x": "orders", "tenant": "y"}]),
        ("/b", "/b/a/x/y", False, [{"x": "x", "tenant": "y"}]),
    ],
)
def test_it_is_taken_for_no_more_than_decided(root_path, path, whole, expected):
    """The paths that count are those whose rules do; without routes there is nothing else."""
    facts = RequestFacts("http", "GET", path, root_path, whole=whole)
    asked = Routed("taken", "http", "GET", path)
    found = Ruling(orders()).taken_for(Served(ALLOWED, facts, (asked,), None))
    assert found == [("GET", params) for params in expected]
