"""Which rules decide a route of the app, against trying every path that the route takes."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.facts import RuleRef
from authz_middleware.policy.forbids import Forbid, Forbids
from authz_middleware.policy.matcher import Matcher
from authz_middleware.policy.model import Policy, Requirement, Rule
from authz_middleware.policy.parameters import Parameters
from authz_middleware.policy.reach import Reach
from authz_middleware.policy.roles import Roles
from authz_middleware.policy.segments import DoubleStar, Exact, PathTail, Plain, Segment
from authz_middleware.policy.spellings import Spellings
from authz_middleware.policy.template import Template, parse
from tests.policy import reference
from tests.policy.test_overlap import ALPHABET, templates


def policy(rules: Iterable[Template], forbidden: Iterable[Template] = ()) -> Policy:
    known = tuple(rules)
    return Policy(
        Matcher((each, Rule({}, needs(each.text), Parameters(each))) for each in known),
        Roles.compile(None),
        Spellings(known),
        needs("default"),
        templates=known,
        forbids=Forbids(
            (each, Forbid((), Requirement("forbid", RuleRef(f"!{each.text}", "x:1:1")), each))
            for each in forbidden
        ),
    )


def needs(key: str) -> Requirement:
    return Requirement("authenticated", RuleRef(key, "x:1:1"))


def deciding(rules: Iterable[str], route: str) -> set[str]:
    reach = Reach(policy(map(parse, rules)))
    return {
        each.ref.key
        for path in reach.paths(parse(route).segments)
        for each in reach.deciding("GET", path)
    }


UUID = "0b6f4c1e-8a3d-4f55-9c3e-7d2f6b1a9e00"


@pytest.mark.parametrize(
    ("rules", "route", "expected"),
    [
        (["/a"], "/a", {"/a"}),
        (["/a"], "/b", {"default"}),
        (["/"], "/", {"/"}),
        (["/**"], "/", {"/**"}),
        (["/a/<x>"], "/a/{other}", {"/a/<x>"}),
        (["/a/<int:x>"], "/a/{x:int}", {"/a/<int:x>"}),
        (["/a/<int:x>"], "/a/{x}", {"/a/<int:x>", "default"}),
        (["/a/<x>", "/a/1", "/a/me"], "/a/{x:int}", {"/a/<x>", "/a/1"}),
        (["/a/<x>", "/a/1", "/a/me"], "/a/{x}", {"/a/<x>", "/a/1", "/a/me"}),
        (["/a/<x>", f"/a/{UUID}"], "/a/{x:uuid}", {"/a/<x>", f"/a/{UUID}"}),
        (["/a/<x>", "/a/b"], "/a/<any(b,c):x>", {"/a/<x>", "/a/b"}),
        (["/a/b"], "/a/<any(b):x>", {"/a/b"}),
        (["/<any(a,b):x>/c", "/<x>/<y>"], "/{x}/c", {"/<any(a,b):x>/c", "/<x>/<y>"}),
        (["/f/**", "/f/a/b"], "/f/{rest:path}", {"/f/**", "/f/a/b"}),
        (["/f/**", "/f/a/b"], "/f/{x}", {"/f/**"}),
        (["/f/**", "/g/a"], "/{rest:path}", {"/f/**", "/g/a", "default"}),
        (["/f/<path:p>", "/f/a/**"], "/f/{x}/{y}", {"/f/<path:p>", "/f/a/**"}),
        (["/a/<y>", "/<x>/b"], "/{x}/b", {"/a/<y>", "/<x>/b"}),
        (["/a/<y>", "/<x>/b"], "/a/{y}", {"/a/<y>"}),
    ],
)
def test_what_decides_a_route(rules, route, expected):
    assert deciding(rules, route) == expected


def test_a_parameter_with_more_behind_it():
    reach = Reach(policy([parse("/f/**"), parse("/f/a/meta"), parse("/g")]))
    route: list[Segment] = [Exact("f"), PathTail("rest"), Exact("meta")]
    found = {each.ref.key for path in reach.paths(route) for each in reach.deciding("GET", path)}
    assert found == {"/f/**", "/f/a/meta"}


def test_texts_of_the_app_do_not_stand_for_others():
    reach = Reach(policy([parse("/a/<x>")]), [parse("/a/x1"), parse("/a/1")])
    assert not {"/a/x1", "/a/1"} & set(reach.paths([Exact("a"), Plain("x")]))


@pytest.mark.parametrize(
    ("method", "path"), [("WS", "/a"), ("GE T", "/a"), ("GET", "//a"), ("GET", "/a;b")]
)
def test_what_is_answered_400_is_decided_by_nothing(method, path):
    assert Reach(policy([parse("/a")])).deciding(method, path) == ()


def test_every_reading_counts_below_a_prefix():
    reach = Reach(policy([parse("/a"), parse("/svc/a")]))
    found = reach.deciding("GET", "/svc/a", "/svc")
    assert [each.ref.key for each in found] == ["/a", "/svc/a"]


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        ("/a/{x}", {"/a/<x>", "/a/<x> !/a/me"}),
        ("/A/{x}", {"/**", "/** !/a/me"}),  # as a reader sees it that does not care
        ("/a/<any(ME,you):x>", {"/a/<x>", "/a/<x> !/a/me"}),
        ("/a/ME", {"/a/<x> !/a/me"}),
        ("/a/you", {"/a/<x>"}),
        ("/b/{x}", {"/** !/b/**"}),
        ("/{y}/{x}", {"/a/<x>", "/a/<x> !/a/me", "/**", "/** !/b/**"}),
    ],
)
def test_what_is_forbidden_is_found_too(route: str, expected: set[str]):
    rules, forbidden = map(parse, ("/a/<x>", "/**")), map(parse, ("/a/me", "/b/**"))
    reach = Reach(policy(rules, forbidden))
    found = {reach.deciding("GET", path) for path in reach.paths(parse(route).segments)}
    assert {" ".join(each.ref.key for each in decided) for decided in found} == expected


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Template], list[Template], Template]:
    route = templates().map(lambda some: some[0])
    return draw(templates()), draw(templates() | st.just([])), draw(route)


@given(cases())
def test_exactly_the_rules_that_trying_every_path_finds(
    case: tuple[list[Template], list[Template], Template],
):
    rules, forbidden, route = case
    reach = Reach(policy(rules, forbidden))
    found = list(reach.paths(route.segments))
    assert all(reference.matches(route, path) for path in found)
    assert len(found) == len(set(found))
    decided = {reach.deciding("GET", path) for path in found} - {()}
    tried = {
        reach.deciding("GET", path)
        for path in reference.paths(ALPHABET, 4)
        if reference.matches(route, path)
    } - {()}
    assert tried <= decided
    # Nothing that no path of the route gets: a deeper one may be wanted where a tail is long.
    assert decided == tried or isinstance(route.segments[-1], DoubleStar | PathTail)
