"""What a path of Django's takes is among what our segments take, for random patterns and paths."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, cast

import pytest
from django.urls import Resolver404, include, path, re_path, register_converter
from django.urls.resolvers import RegexPattern, RoutePattern, URLPattern, URLResolver
from hypothesis import example, given, settings
from hypothesis import strategies as st

from authz_middleware.frameworks.django_patterns import of_regex, of_route, segments
from authz_middleware.frameworks.django_routes import url_routes
from authz_middleware.policy.segments import AnyOf, Exact, PathTail, Plain, Segment, Typed
from tests.django.projects import configure
from tests.frameworks.django_sites import serving
from tests.policy.reference import takes


@pytest.fixture(scope="module", autouse=True)
def django() -> None:
    configure()


class Year:
    regex = "[0-9]{4}"

    def to_python(self, value: str) -> int:
        return int(value)


class Deep(Year):
    regex = "[a-z]+/[0-9]+"


class Colour(Year):
    regex = "red|blue"


class Strange(Year):
    regex = r"(?!x)[^/]+"


for name, converter in {"year": Year, "deep": Deep, "colour": Colour, "strange": Strange}.items():
    register_converter(cast("Any", converter), f"our_{name}")


def covers(found: Sequence[Segment], texts: Sequence[str]) -> bool:
    """Whether the segments take these texts; a tail may stand anywhere."""
    if not found:
        return not texts
    first, *rest = found
    if isinstance(first, PathTail):
        return any(covers(rest, texts[place:]) for place in range(len(texts) + 1))
    return bool(texts) and takes(first, texts[0]) is not False and covers(rest, texts[1:])


def view(request: Any, *_: Any, **__: Any) -> Any:
    raise NotImplementedError


# --- Regular expressions ---


@pytest.mark.parametrize(
    ("regex", "found"),
    [
        ("^notes$", (Exact("notes"),)),
        (r"^notes/(?P<id>\d+)/$", (Exact("notes"), Plain(r"(?P<id>\d+)"))),
        (r"^notes/?$", (Exact("notes"),)),
        (r"^(?P<lang>en|de)/x\.html\Z", (AnyOf(("en", "de"), "(?P<lang>en|de)"), Exact("x.html"))),
        (r"^a/(?P<x>[^/]+)-(\w+)/b$", (Exact("a"), Plain(r"(?P<x>[^/]+)-(\w+)"), Exact("b"))),
        (r"^a/([^/]*)/b$", (Exact("a"), PathTail("([^/]*)"), Exact("b"))),
        (r"^a/(?P<rest>.*)$", (Exact("a"), PathTail("(?P<rest>.*)"))),
        (r"^a/[^b]+$", (Exact("a"), PathTail("[^b]+"))),
        (r"^a/?b$", (PathTail("a**b"),)),
        (r"^a\$", (Exact("a$"),)),
        (r"a$", (Exact("a"),)),  # Django matches the whole path against it
        (r"^a", (PathTail("a**"),)),
        (r"a\Z", (PathTail("**a"),)),
        (r"^a|b$", (PathTail("**"),)),
        (r"(?i)^a$", (PathTail("**"),)),
        (r"^(?=a)a$", (PathTail("**"),)),
        (r"^a/(?P<x>b)(?P=x)$", (PathTail("**"),)),
        ("", (PathTail("****"),)),
    ],
)
def test_a_regular_expression(regex: str, found: tuple[Segment, ...]) -> None:
    assert segments(of_regex(regex, is_endpoint=True, is_last=True)) == found


ATOMS = st.sampled_from(
    [
        "a",
        "b",
        "1",
        "-",
        "/",
        r"\.",
        r"\/",
        r"\d",
        r"\w",
        r"\S",
        ".",
        "[^/]",
        "[a-c]",
        "[.-1]",
        "[]/]",
    ]
)
MANY = st.sampled_from(["", "", "", "?", "*", "+", "+?", "{2}", "{0,1}", "{,2}"])
PIECES = st.builds(str.__add__, ATOMS, MANY)
INNER = st.builds("".join, st.lists(PIECES, min_size=1, max_size=3))
GROUPS = st.builds(
    lambda head, one, two, many: f"{head}{one}|{two}){many}",
    st.sampled_from(["(", "(?:"]),
    INNER,
    INNER,
    MANY,
)
BODIES = st.builds("".join, st.lists(PIECES | GROUPS, max_size=5))
REGEXES = st.builds(
    lambda start, body, end: start + body + end,
    st.sampled_from(["^", "^", "", r"\A"]),
    BODIES,
    st.sampled_from(["$", "$", "", r"\Z"]),
)
TEXTS = st.lists(
    st.text("ab1.-", min_size=1, max_size=3).filter(lambda t: t.strip(".")), max_size=4
)


def check(patterns: list[Any], texts: list[str], slash: str) -> None:
    """Hold the real resolver against the table; the path may end with a slash."""
    asked = "/".join(texts) + (slash if texts else "")
    resolver = URLResolver(RegexPattern("^/"), patterns)
    try:
        found = resolver.resolve("/" + asked)
    except Resolver404:
        return
    with serving(patterns):
        [route] = [each for each in url_routes() if each.taken[1][1] == tuple(found.tried[-1])]  # type: ignore[index]
    assert route.text == "/" + found.route
    assert covers(route.segments, texts)


@given(regex=REGEXES, texts=TEXTS, slash=st.sampled_from(["", "/"]))
@example(regex="^a/?b$", texts=["a", "b"], slash="")
@settings(max_examples=300, deadline=None)
def test_what_one_matches_is_among_what_we_read(regex: str, texts: list[str], slash: str) -> None:
    check([re_path(regex, view)], texts, slash)
    # As nobody writes it: not marked as an endpoint.
    check([URLPattern(RegexPattern(regex), view)], texts, slash)


ROUTES = st.builds(
    "".join,
    st.lists(
        st.sampled_from(["a", "b", "1", "/", "/", "<{}>", "<int:{}>", "<slug:{}>", "<path:{}>"])
        | st.sampled_from([f"<our_{name}:{{}}>" for name in ("year", "deep", "colour", "strange")]),
        max_size=4,
    ),
)


def numbered(route: str, prefix: str) -> str:
    counted = iter(range(9))
    return re.sub(r"\{\}", lambda _: f"{prefix}{next(counted)}", route)


@given(
    outer=ROUTES,
    middle=REGEXES | ROUTES.map(lambda route: f"path {route}"),
    inner=ROUTES,
    texts=TEXTS,
    slash=st.sampled_from(["", "/"]),
)
@settings(max_examples=300, deadline=None)
def test_what_nested_ones_match_too(
    outer: str, middle: str, inner: str, texts: list[str], slash: str
) -> None:
    if middle.startswith("path "):
        nested = path(numbered(middle[5:], "m"), include([path(numbered(inner, "i"), view)]))
    else:
        nested = re_path(middle, include([path(numbered(inner, "i"), view)]))
    check([path(numbered(outer, "o"), include([nested])), nested], texts, slash)
    check([URLPattern(RoutePattern(numbered(outer, "o")), view)], texts, slash)


def test_a_converter_that_is_ours() -> None:
    with serving([path("<our_year:a>/<our_colour:b>/<our_deep:c>/<our_strange:d>", view)]):
        [route] = url_routes()
    assert [type(each) for each in route.segments] == [Plain, AnyOf, PathTail, PathTail]


def test_a_converter_that_django_could_not_compile() -> None:
    broken = type("Broken", (), {"regex": "("})()
    assert segments(of_route("<x:y>", {"y": broken}, is_open=False)) == (PathTail("<x:y>"),)


def test_djangos_own_converters() -> None:
    with serving([path("<int:a>/<uuid:b>/<slug:c>/<str:d>/<e>/x<int:f>/<path:g>", view)]):
        [route] = url_routes()
    kinds = [type(each) for each in route.segments]
    assert kinds == [Typed, Typed, Plain, Plain, Plain, Plain, PathTail]
