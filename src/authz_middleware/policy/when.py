"""`when`: a condition as requirements ask it, and what it may read where it stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs

from authz_middleware.document import Section
from authz_middleware.facts import ContextReads, RequestFacts
from authz_middleware.policy.clients import Clients
from authz_middleware.policy.conditions import UNREADABLE, Condition, Inputs, read_condition
from authz_middleware.policy.names import Names, wrong_permission, wrong_role
from authz_middleware.policy.needs import Asked, ConditionFailed, Load, Need, Pdp, When, walk
from authz_middleware.policy.resources import Unloaded
from authz_middleware.policy.roles import Roles

__all__ = ["MAX_QUERY_FIELDS", "Applied", "applied", "checked", "context_reads", "read"]

NAME = "when"

NOTHING_LOADED: Final = (
    "no `load` says where attributes of the resource are from",
    'write `load = "…"` beside it, or read `resource.params`',
)

MAX_QUERY_FIELDS = 1000
"""Fields of a query beyond which a condition knows nothing of it."""


@dataclass(frozen=True, slots=True)
class Applied:
    """A compiled condition where it stands. Two of one text at one path are the same."""

    text: str
    params: tuple[tuple[str, str], ...] | None  # of the path, each with its converter
    condition: Condition = field(compare=False, repr=False)
    clients: Clients = field(compare=False, repr=False)
    roles: Roles = field(compare=False, repr=False)
    load: Load | None = None
    reads_caller: bool = field(init=False, compare=False, repr=False)
    reads_request: bool = field(init=False, compare=False, repr=False)
    from_client: bool = field(init=False, compare=False, repr=False)
    context: frozenset[str] = field(init=False, compare=False, repr=False)
    """What it reads of `context`, but for the time."""

    def __post_init__(self) -> None:
        reads = self.condition.reads
        object.__setattr__(self, "reads_caller", reads.subject)
        # Also of a resource whose attributes are not those of the path: it costs little.
        object.__setattr__(self, "reads_request", reads.any("action") or reads.any("resource"))
        object.__setattr__(self, "from_client", reads.from_client)
        object.__setattr__(self, "context", reads.context - {"time"})

    def holds(self, asked: Asked) -> bool:
        """Whether the condition holds. Raises ConditionFailed where that cannot be told."""
        inputs = Inputs(
            asked.principal,
            _method(asked.method),
            asked.now,
            asked.params,
            self._resource(asked),
            roles=self.roles,
            action=asked.action,
        )
        if self.context:
            inputs = self._with_context(inputs, asked.facts)
        found = self.condition.evaluate(inputs)
        if isinstance(found, bool):
            return found
        raise ConditionFailed(found.detail, found.missing)

    def _resource(self, asked: Asked) -> Mapping[str, Any] | None:
        found = self.load.found(asked) if self.load is not None else None
        return None if isinstance(found, Unloaded) else found

    def _with_context(self, inputs: Inputs, facts: RequestFacts | None) -> Inputs:
        around = facts.around if facts is not None else None
        if around is None:
            return inputs
        reads, clients = self.context, self.clients
        fields = None
        if "headers" in reads:
            fields = {
                name: value for name, value in around.fields.items() if name not in UNREADABLE
            }
        return inputs._replace(
            ip=clients.ip(around) if "ip" in reads else None,
            scheme=clients.scheme(around) if "scheme" in reads else None,
            host=clients.host(around) if "host" in reads else None,
            headers=fields,
            query=_query(around.query) if "query" in reads else None,
        )


def _method(method: str) -> str | None:
    """Return `action.name`. GET covers HEAD wherever methods are compared (RFC 9110 §9.3.2)."""
    return "GET" if method == "HEAD" else method or None


def _query(text: str) -> dict[str, list[str]] | None:
    """Return the values of each name; None for what parties may read in several ways."""
    if not text.isascii():
        return None
    try:
        return parse_qs(
            text, keep_blank_values=True, errors="strict", max_num_fields=MAX_QUERY_FIELDS
        )
    except ValueError:  # bytes that are not UTF-8; too many
        return None


def read(
    table: Section,
    names: Names,
    *,
    params: Mapping[str, str] | None,
    issuer_named: bool,
    load: Load | None = None,
    unloaded: tuple[str, str] = NOTHING_LOADED,
) -> When | None:
    """Read `when`; mistakes go to the section's report.

    `params` are the parameters of the path with their converters (None: not known).
    `issuer_named`: whether `issuers` beside it names the one whose subjects are meant. `load` is
    whose attributes it may read; `unloaded` is what is wrong, and what to write, where there is
    none.
    """
    condition = checked(table, names, params=params, issuer_named=issuer_named)
    if condition is None:
        return None
    if (at := condition.reads.place("action", "properties")) is not None:
        what = "a request has a method, and no properties of its action"
        fix = "ask in `[permissions]`, for those who ask a decision point"
        table.error_inside(NAME, condition.text, at, what, fix)
    if condition.reads.loaded and load is None:
        table.error_inside(NAME, condition.text, _place_of_resource(condition) or 0, *unloaded)
    return applied(condition, names, params=params, load=load)


def checked(
    table: Section, names: Names, *, params: Mapping[str, str] | None, issuer_named: bool
) -> Condition | None:
    """Read `when` for itself; see `read`."""
    condition = read_condition(table, NAME, params=params)
    if condition is not None:
        _check(table, condition, names, issuer_named=issuer_named)
    return condition


def applied(
    condition: Condition,
    names: Names,
    *,
    params: Mapping[str, str] | None,
    load: Load | None,
    permission: str = "",
) -> When:
    """Return `condition` as it is asked where it stands."""
    load = load if condition.reads.loaded else None
    known = None if params is None else tuple(params.items())
    found = Applied(condition.text, known, condition, names.clients, names.roles, load)
    return When(found, load, permission)


def _place_of_resource(condition: Condition) -> int | None:
    """Where attributes of the resource are read first."""
    reads = condition.reads
    paths = [path for path in reads.paths if path[0] == "resource" and path[1] != "params"]
    return min((at for path in paths if (at := reads.place(*path)) is not None), default=None)


def _check(table: Section, condition: Condition, names: Names, *, issuer_named: bool) -> None:
    def error(at: int | None, what: str, fix: str) -> None:
        table.error_inside(NAME, condition.text, at or 0, what, fix)

    reads = condition.reads
    if reads.subject_without_issuer and len(names.issuers) > 1 and not issuer_named:
        error(
            reads.place("subject", "id") or reads.place("subject", "claims", "sub"),
            "subjects of several issuers may be equal",
            'compare `subject.issuer` too, or name one: `issuers = ["…"]` beside the condition',
        )
    for path in sorted(reads.paths):
        wrong = None
        match path:
            case ("subject", "roles", role):
                wrong = wrong_role(role, names.roles.declared)
            case ("subject", "permissions", permission):
                wrong = wrong_permission(permission, names)
            case _:
                pass
        if wrong:
            error(reads.place(*path), *wrong)
    patterns = ((role, starts[0]) for role, starts in names.roles.prefixes.items() if starts)
    if ("subject", "permissions") in reads.paths and (found := next(patterns, None)):
        error(
            reads.places.get(("subject", "permissions")),
            f"`subject.permissions` does not tell what the pattern `{found[1]}*` of role"
            f" `{found[0]}` brings",
            'ask for each by name: `"a:b" in subject.permissions`',
        )
    for name in ("ip", "scheme"):
        if name in reads.context and names.clients.proxies is None:
            error(
                reads.place("context", name),
                f"`context.{name}` needs `trusted_proxies`",
                "write `trusted_proxies = []` at the top level if clients connect to the app"
                " itself, else list the proxies before it",
            )
    if "host" in reads.context and names.clients.hosts is None:
        error(
            reads.place("context", "host"),
            "`context.host` needs `hosts`",
            'list the names at the top level: `hosts = ["api.example.com"]`',
        )


_FIELDS: Mapping[str, frozenset[str]] = {
    "ip": frozenset(("forwarded", "x-forwarded-for")),
    "scheme": frozenset(("forwarded", "x-forwarded-for", "x-forwarded-proto")),
    "host": frozenset(("host", "forwarded", "x-forwarded-host")),
}


def context_reads(needs: Iterable[Need], clients: Clients) -> ContextReads | None:
    """Return what these read of a request's surroundings; None if it is nothing at all."""
    fields, every, names = set[str](), False, set[str]()
    leaves = [leaf for need in needs for leaf in walk(need)]
    if clients.proxies is not None and any(isinstance(leaf, Pdp) for leaf in leaves):
        names.add("ip")  # it is told to a decision point
        fields |= _FIELDS["ip"]
    for condition in (leaf.condition for leaf in leaves if isinstance(leaf, When)):
        if not isinstance(condition, Applied):
            continue
        names |= condition.context
        for name in condition.context:
            fields |= _FIELDS.get(name, frozenset())
        for path in condition.condition.reads.paths:
            if path[:2] == ("context", "headers"):
                fields.update(path[2:3])
                every = every or len(path) == 2
    if not names:
        return None
    return ContextReads(frozenset(fields), every, UNREADABLE, "query" in names)
