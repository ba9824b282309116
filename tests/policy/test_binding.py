"""A policy laid against the routes of an app: what decides each route, and the gaps between."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from authz_middleware.document import Document
from authz_middleware.policy.binding import Binding, bind
from authz_middleware.policy.model import Policy
from authz_middleware.policy.routekey import split_key
from authz_middleware.policy.routes import Route, RouteTable
from authz_middleware.policy.template import parse
from authz_middleware.runtime import settings


def compiled(routes: Mapping[str, Any], **more: Any) -> Policy:
    issuer = {"issuer": "https://login.example.com", "audience": ["x"]}
    mapping = {"issuers": [issuer], "routes": dict(routes), **more}
    return settings.load(Document.from_mapping(mapping)).policy


def route(key: str, **more: Any) -> Route:
    methods, path = split_key(key)
    given = frozenset(methods) or None
    return Route(("", key), path, parse(path).segments, given, "app:view", **more)


def bound(rules: Mapping[str, Any], *routes: Route | str, **more: Any) -> Binding:
    table = tuple(each if isinstance(each, Route) else route(each) for each in routes)
    return bind(compiled(rules, **more), RouteTable(table))


UUID = "00000001-0000-4000-8000-000000000000"
VIEWER: list[str] = ["viewer"]
CONVERTS = "the app converts `<id>` of"

GAPS: dict[str, tuple[Mapping[str, Any], tuple[Route | str, ...], list[str]]] = {
    "none": ({"/a": VIEWER}, ("GET /a",), []),
    "no rule": (
        {"/a": VIEWER},
        ("GET /a", "GET /b"),
        ["uncovered /b (app:view): no rule covers it"],
    ),
    "no rule for a method": (
        {"GET /a": VIEWER},
        ("GET|POST /a",),
        ["uncovered POST /a (app:view): no rule covers it"],
    ),
    "whatever is asked": ({"GET /a": VIEWER}, ("/a",), []),
    "what the framework answers": (
        {"GET /a": VIEWER},
        (route("GET|OPTIONS /a", automatic=frozenset({"OPTIONS"})),),
        [],
    ),
    "HEAD goes with GET": ({"GET /a": VIEWER}, ("GET|HEAD /a",), []),
    "a part": (
        {"/a/<int:id>": VIEWER},
        ("GET /a/<id>",),
        [f"partly-covered /a/<id> (app:view): no rule covers a part of it, such as /a/{UUID}"],
    ),
    "a rule without a route": (
        {"/a": VIEWER, "GET /b": VIEWER, "POST /a": VIEWER},
        ("GET /a",),
        [
            'dead routes."GET /b": `GET /b` matches no route',
            'dead routes."POST /a": `POST /a` matches no route',
        ],
    ),
    "a closed door without a wall": ({"/a": VIEWER, "/b/**": "deny"}, ("GET /a",), []),
    "a route that rules decide in parts": (
        {"/f/**": VIEWER, "/f/secret": ["admin"]},
        ("GET /f/<path:name>",),
        [],
    ),
    "a route below a more specific one": (
        {"/a/b": VIEWER},
        ("GET /a/b", "GET /a/<any(b):x>"),  # takes nothing that the first does not
        [],
    ),
    "every path ambiguous": (
        {"/a/<int:id>": VIEWER},
        ("GET /a/+1",),
        [
            "unreachable /a/+1 (app:view): every request to it is answered 400",
            'dead routes."/a/<int:id>": `/a/<int:id>` matches no route',
        ],
    ),
    "a text that the app converts": (
        {"/a/<id>": {"when": "resource.params.id == subject.id"}},
        ("GET /a/<int:n>",),
        [f'unconverted routes."/a/<id>": {CONVERTS} `/a/<id>`; write `<int:id>`'],
    ),
    "a text that the app converts in one route": (
        {"/a/<id>": {"when": "resource.params.id == subject.id"}},
        ("GET /a/<int:n>", "GET /a/<name>"),
        [],
    ),
    "a number that the app converts": (
        {"/a/<int:id>": {"when": "resource.params.id == subject.claims.n"}},
        ("GET /a/<int:n>",),
        [],
    ),
    "a text that nobody asks about": (
        {"/a/<id>": {"when": "subject.id == 'x'"}},
        ("GET /a/<int:n>",),
        [],
    ),
    "an opaque part": (
        {"/m/x": VIEWER, "/n": VIEWER},
        (route("/m/**", kind="opaque"),),
        [
            "opaque /m/** (app:view): its routes cannot be seen",
            'dead routes."/n": `/n` matches no route',
        ],
    ),
    "a WebSocket": (
        {"GET /a": VIEWER},
        ("WS /a",),
        [
            "uncovered /a (app:view): no rule covers it",
            'dead routes."GET /a": `GET /a` matches no route',
        ],
    ),
}


@pytest.mark.parametrize(("rules", "routes", "gaps"), GAPS.values(), ids=GAPS.keys())
def test_gaps(rules: Mapping[str, Any], routes: tuple[Route | str, ...], gaps: list[str]) -> None:
    assert sorted(f"{gap.kind} {gap}" for gap in bound(rules, *routes).gaps) == sorted(gaps)


def test_a_spelled_out_default_covers_nothing() -> None:
    (gap,) = bound({}, "GET /a", default="authenticated").gaps
    assert gap.kind == "uncovered"


def test_what_stands_between_is_a_gap() -> None:
    table = RouteTable((route("GET /a"),), between=("shop:Cache",))
    (gap,) = bind(compiled({"/a": VIEWER}), table).gaps
    assert str(gap) == "shop:Cache: what it answers by itself, or changes, cannot be seen"


# --- What a request must meet beside the rule of its path ---

ITEMS = {"/items/<id>": VIEWER, "/items/new": ["editor"], "/m/**": ["m"]}


@pytest.mark.parametrize(
    ("taken", "path", "also"),
    [
        ("GET /items/<id>", "/items/7", ()),
        ("GET /items/new", "/items/new", ()),
        ("GET /items/<id>", "/items/new", ("/items/<id>",)),  # declared first
        ("GET /items/new", "/items/7", ("/items/new",)),  # an odd router
        ("GET /<x>/7", "/items/7", ("default",)),
        ("GET /other", "/items/7", ("default",)),  # added later
        ("GET /other", "/m/x", ()),  # may be where nobody sees
    ],
)
def test_also(taken: str, path: str, also: tuple[str, ...]) -> None:
    opaque = route("/m/**", kind="opaque")
    binding = bound(ITEMS, "GET /items/<id>", "GET /items/new", "GET /<x>/7", opaque)
    policy = binding._policy
    asked = policy.find("GET", (path,))
    assert asked is not None
    found = binding.also(("", taken), "GET", path, asked)
    assert found is not None
    assert tuple(each.ref.key for each in found) == also
    assert binding.knows(("", taken), path) == (taken != "GET /other" or path == "/m/x")
    late = binding.also(("", taken), "GET", path, asked, late=True)
    assert binding.knows(("", taken), path, late=True) == (taken != "GET /other")
    assert late == (found if taken != "GET /other" else (policy.default,))


def test_rules_below_a_route_for_everything_decide_alone() -> None:
    binding = bound({"/**": VIEWER, "/admin/**": ["admin"]}, "GET /<path:p>", "GET /admin/users")
    (admin,) = binding._policy.find("GET", ("/admin/other",)) or ()
    assert binding.also(("", "GET /<path:p>"), "GET", "/admin/other", [admin]) == ()


@pytest.mark.parametrize(
    ("method", "also"), [("GET", ["/<x>/b"]), ("POST", []), ("PUT", []), ("HEAD", ["/<x>/b"])]
)
@pytest.mark.parametrize("routed", ["/<x>/b", "GET|HEAD|POST|PUT /<x>/b"])
def test_a_rival_for_one_method_is_none_for_another(
    routed: str, method: str, also: list[str]
) -> None:
    """A rule for every method is one for all: by it alone the methods cannot be told apart."""
    binding = bound({"/a/**": VIEWER, "/<x>/b": ["b"]}, routed, "GET|HEAD /a/<path:p>")
    asked = binding._policy.find(method, ("/a/b",))
    assert asked is not None
    found = binding.also(("", routed), method, "/a/b", asked)
    assert found is not None
    assert [each.ref.key for each in found] == also


@pytest.mark.parametrize(
    ("taken", "method", "served"),
    [
        ("GET|HEAD /a", "GET", ()),
        ("GET|HEAD /a", "HEAD", ()),
        ("GET|HEAD /a", "WS", ("GET", "HEAD")),
        ("GET|HEAD /a", "DELETE", ("GET", "HEAD")),
        ("WS /a", "WS", ()),
        ("WS /a", "GET", ("WS",)),
        ("WS /a", "HEAD", ("WS",)),
        ("GET /b", "HEAD", ()),
        ("/c", "WS", ()),
        ("/c", "PROPFIND", ()),
        ("GET /late", "DELETE", ()),
    ],
)
def test_what_a_route_serves_in_the_place_of_what_is_asked(
    taken: str, method: str, served: tuple[str, ...]
) -> None:
    binding = bound({"/a": VIEWER}, "GET|HEAD /a", "WS /a", "GET /b", "/c")
    assert binding.instead(("", taken), method) == served


def test_a_route_for_another_host_is_nobodys_rival() -> None:
    binding = bound(ITEMS, "GET /items/<id>", route("GET /items/new", host="admin.example.com"))
    expected = {(each.route.text, each.path): each.expected for each in binding.decided}
    assert expected["/items/<id>", "/items/new"]


def test_a_route_for_one_method_is_no_rival_for_another() -> None:
    binding = bound(ITEMS, "GET|POST /items/<id>", "POST /items/new")
    assert {
        (each.method, each.route.text): each.expected
        for each in binding.decided
        if each.path == "/items/new"
    } == {
        ("GET", "/items/<id>"): True,
        ("POST", "/items/<id>"): False,
        ("POST", "/items/new"): True,
    }


def test_a_segment_behind_a_tail() -> None:
    binding = bound(
        {"/f/<path:p>": VIEWER},
        Route(
            ("", 1),
            "/f/<path:p>/meta",
            (*parse("/f/<path:p>").segments, *parse("/meta").segments),
            None,
            "app:view",
        ),
    )
    assert binding.gaps == ()
    assert all(each.path.endswith("/meta") for each in binding.decided)


def test_the_root() -> None:
    assert bound({"/": VIEWER}, "GET /").gaps == ()


def test_a_forbid_for_a_text_that_the_app_converts_is_a_gap():
    """Or `/a/007` is past a forbid of `7`."""
    hold = {"path": "/a/<id>", "when": "resource.params.id == '7'"}
    rules = {"/a/<int:id>": VIEWER}
    (gap,) = bound(rules, "GET /a/<int:n>", forbid={"hold": hold}).gaps
    assert gap.kind == "unconverted"
    assert "write `<int:id>`" in gap.what
    hold = {"path": "/a/<int:id>", "when": "resource.params.id == 7"}
    assert bound(rules, "GET /a/<int:n>", forbid={"hold": hold}).gaps == ()
