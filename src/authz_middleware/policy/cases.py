"""`[[tests]]`: the policy's own tests, requests that a given caller may or may not make."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Final, Literal, NamedTuple

from authz_middleware.document import Section
from authz_middleware.facts import Claims, Principal, RequestFacts
from authz_middleware.policy import case_context
from authz_middleware.policy.canonical import canonical
from authz_middleware.policy.case_context import HERE_AND_NOW, CaseContext
from authz_middleware.policy.questions import Said, Unanswered
from authz_middleware.policy.resources import Loaded, Unloaded
from authz_middleware.policy.routekey import WEBSOCKET, RouteKeyError, split_key

__all__ = ["EVERY_METHOD", "Case", "Expectation", "load"]

EVERY_METHOD = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WS")
"""What a request line without a method stands for where it is denied."""

ANONYMOUS = "anonymous"


class Expectation(NamedTuple):
    """One request of a test, and whether it must be let in."""

    method: str
    path: str
    allowed: bool
    where: str


MISSING: Final = "missing"
"""Says in a test that loaders find nothing."""


UNAVAILABLE: Final = "unavailable"
"""Says in a test that a decision point cannot be asked."""


@dataclass(frozen=True, slots=True)
class Case:
    """One entry of `[[tests]]`. `principal` is None for an anonymous caller.

    `resource` is what any loader is taken to find; None if the test does not say. `pdps` is what
    decision points are taken to say, by name.
    """

    principal: Principal | None
    expectations: tuple[Expectation, ...]
    where: str
    resource: Loaded | None = None
    pdps: Mapping[str, Said] = field(default_factory=dict[str, Said])
    context: CaseContext = HERE_AND_NOW

    def facts(self, expected: Expectation) -> RequestFacts:
        """Return the facts of a request of this test."""
        websocket = expected.method == WEBSOCKET
        kind: Literal["http", "websocket"] = "websocket" if websocket else "http"
        method = "GET" if websocket else expected.method
        return RequestFacts(kind, method, expected.path, "", around=self.context.around)


def load(
    root: Section,
    *,
    issuers: Collection[str],
    roles: Collection[str] | None,
    pdps: Collection[str] = (),
) -> tuple[Case, ...]:
    """Read `[[tests]]`; mistakes go to the section's report.

    `issuers` are the configured issuers, `roles` those of [roles], or None if any name will do,
    `pdps` the decision points.
    """
    return tuple(_case(section, issuers, roles, pdps) for section in root.tables("tests"))


def _case(
    section: Section,
    issuers: Collection[str],
    roles: Collection[str] | None,
    pdps: Collection[str],
) -> Case:
    section.only({"as", "resource", "pdp", "context", "allow", "deny"})
    if not section.raw("allow") and not section.raw("deny"):
        section.error(None, "this test expects nothing", 'write `allow = ["GET /path"]` or `deny`')
    expectations = (*_expected(section, "allow", True), *_expected(section, "deny", False))
    principal = _principal(section, issuers, roles)
    resource, context = _resource(section), case_context.read(section)
    said = _pdps(section, pdps)
    return Case(principal, expectations, section.where(), resource, said, context)


def _resource(section: Section) -> Loaded | None:
    if section.raw("resource") == MISSING:
        return Unloaded.MISSING
    if section.raw("resource") is None:
        return None
    if isinstance(section.raw("resource"), str):
        section.error(
            "resource",
            "`resource` says what loaders find",
            f'write `resource = {{ owner = "ann" }}` or `resource = "{MISSING}"`',
        )
        return None
    table = section.table("resource")
    return table.mapping if table else None


def _pdps(section: Section, known: Collection[str]) -> dict[str, Said]:
    """Read what decision points say: true, false, or that they cannot be asked."""
    table = section.table("pdp")
    said: dict[str, Said] = {}
    if table is None:
        return said
    for name in table:
        value: object = table.raw(name)
        if name not in known:
            others = ", ".join(f"`{each}`" for each in sorted(known))
            fix = f"known: {others}" if known else "take it out: the policy has no [pdp.…]"
            table.error(name, f"no decision point is called `{name}`", fix)
        elif value == UNAVAILABLE:
            said[name] = Unanswered(UNAVAILABLE)
        elif isinstance(value, bool):
            said[name] = value
        else:
            what = "a decision point says yes or no, or nothing"
            table.error(name, what, f'write `true`, `false` or "{UNAVAILABLE}"')
    return said


def _expected(
    section: Section, name: Literal["allow", "deny"], allowed: bool
) -> Iterator[Expectation]:
    for index, text in enumerate(section.texts(name) or ()):
        where = section.document.where((*section.path, name, index))
        try:
            methods, path = split_key(text)
        except RouteKeyError as error:
            section.error(name, error.what, error.fix)
            continue
        if canonical(path) is None:
            section.error(
                name, f"`{path}` is refused with 400 for every caller", "write a plain path"
            )
        # "Somebody may go there" is asked of GET; "nobody gets in there" of every method.
        for method in methods or (("GET",) if allowed else EVERY_METHOD):
            yield Expectation(method, path, allowed, where)


def _principal(
    section: Section, issuers: Collection[str], roles: Collection[str] | None
) -> Principal | None:
    if section.raw("as") == ANONYMOUS:
        return None
    caller = section.table("as") if not isinstance(section.raw("as"), str) else None
    if caller is None:
        section.error(
            "as" if "as" in section else None,
            "`as` says who calls",
            'write `as = { subject = "ann", roles = ["viewer"] }` or `as = "anonymous"`',
        )
        return None
    caller.only({"subject", "issuer", "roles", "permissions", "scopes", "claims"})
    issuer = caller.text("issuer", next(iter(issuers), ""))
    if issuers and issuer not in issuers:
        caller.error(
            "issuer",
            f"`{issuer}` is not one of the [[issuers]]",
            "write one of them, or leave it out",
        )
    named = caller.texts("roles") or ()
    for role in named:
        # A misspelt role would pass every `deny` for the wrong reason.
        if roles is not None and role not in roles:
            what = f"role `{role}` is not defined in [roles]"
            caller.error("roles", what, f"add it there, or use one of: {', '.join(sorted(roles))}")
    claims = caller.table("claims")
    return Principal(
        subject=caller.text("subject", "test"),
        issuer=issuer,
        roles=frozenset(named),
        permissions=frozenset(caller.texts("permissions") or ()),
        scopes=frozenset(caller.texts("scopes") or ()),
        claims=Claims.freeze(claims.mapping if claims else {}),
        expires_at=inf,
    )
