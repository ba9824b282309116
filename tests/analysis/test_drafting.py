"""A first policy from an app's routes: it loads, it denies, and every route is in it."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware import Authz
from authz_middleware.analysis import draft
from authz_middleware.policy.routes import Route, RouteTable
from authz_middleware.policy.segments import (
    AnyOf,
    DoubleStar,
    Exact,
    PathTail,
    Plain,
    Segment,
    Typed,
)


def route(
    text: str, *segments: Segment, methods: Sequence[str] | None = ("GET",), **more: object
) -> Route:
    asked = None if methods is None else frozenset(methods)
    return Route(text, text, segments, asked, f"shop:{text.strip('/')}", **more)  # type: ignore[arg-type]


def drafted(*routes: Route, between: tuple[str, ...] = ()) -> str:
    table = RouteTable(routes, between)
    return draft(table, issuer="https://login.example.com", audience="shop")


ITEM = (Exact("items"), Typed("int", "id"))
KEYS: dict[str, tuple[list[Route], list[str]]] = {
    "nothing": ([], []),
    "the root": ([route("/")], ["GET /"]),
    "HEAD goes with GET": ([route("/a", Exact("a"), methods=("GET", "HEAD"))], ["GET /a"]),
    "automatic ones are denied as it is": (
        [route("/a", Exact("a"), methods=("GET", "OPTIONS"), automatic=frozenset({"OPTIONS"}))],
        ["GET /a"],
    ),
    "one key for one template": (
        [route("/items/{id:int}", *ITEM), route("/items/<int:n>", *ITEM, methods=("PUT",))],
        ["GET|PUT /items/{id:int}"],
    ),
    "whatever is asked": (
        [route("/a", Exact("a"), methods=None), route("/a/", Exact("a"))],
        ["/a"],
    ),
    "a part of a segment": (
        [route("/<name>.html", Plain("<name>.html"))],
        ["GET /<name_html>"],
    ),
    "what follows a path": (
        [route("/f/<path:p>/meta", Exact("f"), PathTail("p"), Exact("meta"))],
        ["GET /f/<path:p>"],
    ),
    "a mounted app": (
        [route("/m", Exact("m"), DoubleStar(), methods=None, kind="opaque")],
        ["/m/**"],
    ),
    "one of a few": ([route("/x", AnyOf(("de", "en"), "l"))], ["GET /<any(de,en):l>"]),
    "names that meet": (
        [route("x", Plain("a b"), Plain("a-b"), Plain("1"))],
        ["GET /<a_b>/<a_b_>/<p1>"],
    ),
}


@pytest.mark.parametrize(("routes", "keys"), KEYS.values(), ids=KEYS)
def test_the_keys(routes: list[Route], keys: list[str]) -> None:
    policy = tomllib.loads(drafted(*routes))
    assert [*policy["routes"]] == keys
    assert set(policy["routes"].values()) <= {"deny"}
    Authz.from_mapping(policy)


def test_what_cannot_be_a_rule_is_a_comment() -> None:
    tie = [
        route("/x", AnyOf(("a", "b"), "l")),
        route("/y", AnyOf(("b", "c"), "m")),
        route("/z z\n", Exact("z\n")),
    ]
    text = drafted(*tie)
    policy = tomllib.loads(text)
    Authz.from_mapping(policy)
    assert "shop:x" in text
    assert "shop:y" in text
    assert '\n# "/z\\n" cannot be a rule: ' in text


def test_it_says_what_is_not_plain() -> None:
    text = drafted(
        route("/a", Exact("a"), host="admin.example.com", kind="static"), between=("ProxyFix",)
    )
    assert text.startswith("# May answer before the app does: ProxyFix\n")
    assert '"GET /a" = "deny"  # shop:a static only for admin.example.com\n' in text


SEGMENTS = st.one_of(
    st.text(min_size=1, max_size=4).map(Exact),
    st.text(max_size=4).map(Plain),
    st.text(max_size=4).map(PathTail),
    st.sampled_from(["int", "float", "uuid"]).flatmap(
        lambda kind: st.text(max_size=3).map(lambda name: Typed(kind, name))  # type: ignore[arg-type]
    ),
    st.lists(st.text(min_size=1, max_size=3), min_size=1, max_size=3, unique=True).flatmap(
        lambda values: st.text(max_size=3).map(lambda name: AnyOf(tuple(values), name))
    ),
)
ROUTES = st.builds(
    lambda text, segments, methods: route(text, *segments, methods=methods),
    st.text(max_size=8),
    st.lists(SEGMENTS, max_size=4),
    st.one_of(st.none(), st.sets(st.sampled_from(["GET", "POST", "HEAD", "WS"]), min_size=1)),
)


@given(st.lists(ROUTES, max_size=5))
def test_it_loads_whatever_the_routes_are(routes: list[Route]) -> None:
    Authz.from_mapping(tomllib.loads(drafted(*routes)))
