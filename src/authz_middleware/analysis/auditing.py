"""A policy laid against the routes of an app: what decides each, who may call it, and the gaps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final, Literal, TypeAlias, get_args

from authz_middleware.analysis.guards import Target, target_of
from authz_middleware.analysis.rights import rights_of
from authz_middleware.document import Document
from authz_middleware.errors import Notice
from authz_middleware.facts import RuleRef
from authz_middleware.policy import review
from authz_middleware.policy.alike import Alike, State, alike
from authz_middleware.policy.binding import OTHER, Binding, Gap, GapKind
from authz_middleware.policy.model import Policy, Requirement
from authz_middleware.policy.rights import Caller, Rights
from authz_middleware.policy.routes import Resolved, Route
from authz_middleware.policy.words import who

__all__ = ["FINDINGS", "Audit", "AuditedRoute", "Difference", "audit"]

GAPS: Final[tuple[str, ...]] = get_args(GapKind)

FINDINGS: Final = tuple(sorted((*GAPS, "differs", *review.OF_RULES)))
"""The kinds of what an audit may find."""

Look: TypeAlias = Literal["path", "path, router", "path, inside"]


@dataclass(frozen=True, slots=True)
class AuditedRoute:
    """Paths of one route that are decided alike; `example` is one where they are not all.

    `methods` are upper case, "WS" is a WebSocket handshake, "*" all that nobody names.
    """

    route: str  # as the framework writes it
    methods: tuple[str, ...]
    endpoint: str
    kind: str
    host: str
    looks: Look
    example: str
    rules: tuple[RuleRef, ...]
    who: str
    roles: tuple[str, ...]  # that may more than any valid token, perhaps with what else `who` asks
    state: State


@dataclass(frozen=True, slots=True)
class Difference:
    """A path for which the app's router takes another route than the most specific one."""

    method: str
    path: str
    expected: str
    taken: str
    also: tuple[RuleRef, ...]  # the rules that it must meet beside that of its path


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found: the routes, in a stable order, and what to look at.

    `between` names what stands around the app and may answer, or change, requests unseen.
    """

    routes: tuple[AuditedRoute, ...]
    differences: tuple[Difference, ...]
    gaps: tuple[Gap, ...]
    between: tuple[str, ...]
    notices: tuple[Notice, ...]  # rules that may be meant, and look wide

    @property
    def found(self) -> frozenset[str]:
        """The kinds of FINDINGS that there are."""
        differs = {"differs"} if self.differences else set[str]()
        kinds = {*(gap.kind for gap in self.gaps), *(each.kind for each in self.notices)}
        return frozenset(kinds | differs)


def audit(app: object, document: Document | None = None) -> Audit:
    """Lay the policy of the guard of `app` against its routes, or `document` if it is given.

    `app` is what a server would get; no handler of it runs. Raises PolicyError if it has no guard
    and no policy is given, or if the policy cannot be served.
    """
    target = target_of(app, document)
    serving, guarded = target
    binding = guarded.laid(serving)
    settings = serving.settings
    rights = rights_of(settings)
    roles = _Roles(settings.policy, rights)
    return Audit(
        tuple(_route(each, roles, resolves=guarded.resolves) for each in alike(binding)),
        tuple(_differences(binding, target)),
        binding.gaps,
        binding.table.between,
        tuple(review.of_rules(settings.policy, rights)),
    )


class _Roles:
    """Which roles help to meet requirements; told once of those that ask the same."""

    def __init__(self, policy: Policy, rights: Rights) -> None:
        self._rights = rights
        self._names = review.role_names(policy)
        self._known: dict[object, tuple[str, ...]] = {}

    def of(self, requirements: tuple[Requirement, ...] | None) -> tuple[str, ...]:
        key = tuple((each.kind, each.need) for each in requirements or ())
        if key not in self._known:
            self._known[key] = tuple(self._more(requirements)) if requirements else ()
        return self._known[key]

    def _more(self, requirements: tuple[Requirement, ...]) -> Iterator[str]:
        bare = self._rights.of(requirements, Caller(frozenset()))
        for name in self._names:
            right = self._rights.of(requirements, Caller(frozenset({name})))
            if right is not False and right != bare:
                yield name


def _route(found: Alike, roles: _Roles, *, resolves: bool) -> AuditedRoute:
    route, requirements = found.route, found.requirements
    return AuditedRoute(
        route.text,
        found.methods,
        route.endpoint,
        route.kind,
        route.host,
        _looks(route, resolves=resolves),
        "" if found.whole else found.path,
        tuple(each.ref for each in requirements or ()),
        "nobody" if requirements is None else who(requirements),
        roles.of(requirements),
        found.state,
    )


def _looks(route: Route, *, resolves: bool) -> Look:
    if route.guarded_inside:
        return "path, inside"
    return "path, router" if resolves and route.kind != "opaque" else "path"


def _differences(binding: Binding, target: Target) -> Iterator[Difference]:
    """Ask the app's router about each path that stands for others."""
    by_taken = {route.taken: route for route in binding.table.routes}
    for each in binding.decided:
        if not each.expected or each.route.host or not each.requirements:
            continue
        if each.method == OTHER or (each.method == "HEAD" and each.route.serves("GET")):
            continue
        taken = target.guarded.resolve(_request(each.method, each.path))
        if isinstance(taken, Resolved) or taken == each.route.taken or taken not in by_taken:
            continue
        also = binding.also(taken, each.method, each.path, each.requirements) or ()
        if also or by_taken[taken].text != each.route.text:
            refs = tuple(requirement.ref for requirement in also)
            texts = each.route.text, by_taken[taken].text
            yield Difference(each.method, each.path, *texts, refs)


def _request(method: str, path: str) -> dict[str, Any]:
    """Return a request as both worlds have it, scope and environ in one."""
    websocket = method == "WS"
    raw = path.encode(errors="surrogatepass")
    return {
        "type": "websocket" if websocket else "http",
        "method": "GET" if websocket else method,
        "path": path,
        "raw_path": raw,
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "scheme": "ws" if websocket else "http",
        "server": ("localhost", 80),
        "http_version": "1.1",
        "REQUEST_METHOD": "GET" if websocket else method,
        "PATH_INFO": raw.decode("latin-1"),
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "HTTP_HOST": "localhost",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(),
    }
