"""The law of the two rules, for random route tables: what runs was allowed twice.

A handler runs only if the caller meets the rule of the path, and what the policy asks of the route
that the framework's own router took. Both are found here by trying every template.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from hypothesis import strategies as st

from authz_middleware import Authz
from authz_middleware.policy.overlap import conflicts
from authz_middleware.policy.segments import Exact, Typed
from authz_middleware.policy.template import Template, parse
from authz_middleware.testing import DevelopmentIssuer
from tests.policy import reference

ISSUER = DevelopmentIssuer(audience="law")
METHODS = ("GET", "POST")
TEXTS = ("a", "b", "1", "7", "z")


@dataclass(frozen=True)
class Declared:
    """One route of an app, as Werkzeug writes it; a parameter is named after its place."""

    name: str
    text: str
    methods: tuple[str, ...]

    @property
    def template(self) -> Template:
        return parse(self.text)


@dataclass(frozen=True)
class World:
    """An app's routes in the order of their declaration, a policy, and one request."""

    routes: tuple[Declared, ...]
    rules: tuple[str, ...]  # each asks for a role of its own name
    method: str
    path: str
    roles: frozenset[str]

    @property
    def authz(self) -> Authz:
        return Authz.from_mapping(
            {
                "issuers": [ISSUER.policy_issuer()],
                "routes": {rule: [_role(rule)] for rule in self.rules},
            }
        )

    @property
    def headers(self) -> list[tuple[str, str]]:
        return [("Authorization", f"Bearer {_token(self.roles)}")] if self.roles else []

    # The naive reading.

    def ruled(self, path: str) -> str | None:
        """The role that a path asks for; None if nobody may have it."""
        found = reference.best([parse(rule) for rule in self.rules], path)
        return _role(found.text) if isinstance(found, Template) else None

    def allowed(self, path: str) -> bool:
        return self.ruled(path) in self.roles

    def expected(self, route: Declared) -> bool:
        """Whether no route that serves the method is more specific for the path than this one.

        Nor does the router take the route for a path that its template does not, as Falcon does
        where a parameter may be nothing.
        """
        return reference.matches(route.template, self.path) is not False and all(
            other.template.rank >= route.template.rank
            for other in self.routes
            if self.method in other.methods
            and reference.matches(other.template, self.path) is not False
        )

    def typical(self, route: Declared) -> str:
        """A path of the route that no template has a text of."""
        return "/" + "/".join(map(_typical, route.template.segments))

    def may_run(self, name: str) -> bool:
        route = next(each for each in self.routes if each.name == name)
        return self.allowed(self.path) and (
            self.expected(route) or self.allowed(self.typical(route))
        )


def _role(rule: str) -> str:
    return rule.replace("/", "_").translate(str.maketrans("<>:", "---"))


@cache
def _token(roles: frozenset[str]) -> str:
    return ISSUER.mint("law", roles=sorted(roles), lifetime=7200)


def _typical(segment: object) -> str:
    match segment:
        case Exact(text):
            return text
        case Typed(kind):
            return {"int": "424242", "float": "4.25", "uuid": "0" * 8}[kind]
        case _:
            return "untold"


def _named(kinds: Sequence[str]) -> str:
    return "/" + "/".join(
        kind.format(f"p{place}") if "{" in kind else kind for place, kind in enumerate(kinds)
    )


def templates(
    segments: Iterable[str] = ("a", "b", "1", "<{}>", "<int:{}>"),
) -> st.SearchStrategy[str]:
    """Paths as Werkzeug writes them, of at most three segments; some take a tail."""
    inner = st.lists(st.sampled_from([*segments]), max_size=3)
    tail = st.sampled_from([[], [], ["<path:{}>"]])
    return st.builds(lambda one, two: _named([*one[: 3 - len(two)], *two]), inner, tail)


@st.composite
def worlds(draw: st.DrawFn, routes: st.SearchStrategy[str] | None = None) -> World:
    """Draw a world that the policy loads in; `routes` draws the paths of the app's routes."""
    texts = draw(st.lists(routes or templates(), min_size=1, max_size=5, unique=True))
    declared = tuple(
        Declared(f"r{number}", text, draw(st.sampled_from([("GET",), ("POST",), METHODS])))
        for number, text in enumerate(texts)
    )
    wanted = draw(st.lists(templates(), min_size=1, max_size=5, unique=True))
    # Most rules are for what the app has.
    wanted += draw(st.lists(st.sampled_from(texts), max_size=4, unique=True))
    rules: list[str] = []
    for rule in wanted:
        if not conflicts(parse(each) for each in (*rules, rule)):
            rules.append(rule)
    path = "/" + "/".join(draw(st.lists(st.sampled_from(TEXTS), max_size=3)))
    roles = draw(st.sets(st.sampled_from([_role(rule) for rule in rules])))
    return World(declared, tuple(rules), draw(st.sampled_from(METHODS)), path, frozenset(roles))


Build = Callable[[Sequence[Declared], list[str]], Any]
"""Makes an app whose handlers write their names into the list when they run."""
Wrap = Callable[[Any, Authz], Any]
Ask = Callable[[Any, str, str, list[tuple[str, str]]], object]


def check(world: World, build: Build, wrap: Wrap, ask: Ask) -> None:
    """Send the request to the app as it is, and behind the guard."""
    bare: list[str] = []
    ask(build(world.routes, bare), world.method, world.path, [])
    ran: list[str] = []
    ask(wrap(build(world.routes, ran), world.authz), world.method, world.path, world.headers)
    assert ran == [name for name in bare if world.may_run(name)]
