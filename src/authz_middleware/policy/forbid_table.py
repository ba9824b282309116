"""`[forbid]`: named entries, each stronger than every route."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from authz_middleware.document import Section
from authz_middleware.facts import RuleRef
from authz_middleware.policy import when as conditions
from authz_middleware.policy.forbids import Forbid, Forbids
from authz_middleware.policy.names import Names, check_issuers, check_roles
from authz_middleware.policy.needs import AnyIssuer, AnyRole, Need
from authz_middleware.policy.parameters import kinds
from authz_middleware.policy.requirements import joined, required
from authz_middleware.policy.routekey import RouteKeyError, check_head, check_methods
from authz_middleware.policy.rules import Requirement
from authz_middleware.policy.template import Template, TemplateError, parse

__all__ = ["FORBID_KEYS", "read"]

FORBID_KEYS: Final = ("methods", "path", "roles", "issuers", "when")

_ASKING: Final = {
    name: (
        f"`{name}` asks somebody, and what is forbidden hangs on nobody's answer",
        "write it in a rule of [routes]",
    )
    for name in ("load", "pdp")
}

_ASKS_NOBODY: Final = ("what is forbidden hangs on no loader", "read `resource.params`")

EVERYWHERE: Final = "/**"


def read(root: Section, names: Names) -> Forbids:
    """Read `[forbid]`; mistakes go to the section's report."""
    section = root.table("forbid")
    return Forbids(_entries(section, names) if section else ())


def _entries(section: Section, names: Names) -> Iterator[tuple[Template, Forbid]]:
    for name in section:
        table = section.table(name)
        if table is not None:
            yield _entry(table, RuleRef(f"forbid.{name}", section.where(name)), names)


def _entry(table: Section, ref: RuleRef, names: Names) -> tuple[Template, Forbid]:
    table.only(FORBID_KEYS, misplaced=_ASKING)
    if not table.mapping:
        table.error(
            None,
            "an empty table would forbid everything",
            'name what is forbidden, as in { methods = ["POST"], path = "/deploy/**" }',
        )
    needs: list[Need] = []
    if roles := required(table, "roles"):
        check_roles(table.report, (*table.path, "roles"), roles, names.roles.declared)
        needs.append(AnyRole(frozenset(roles)))
    if issuers := required(table, "issuers"):
        check_issuers(table, issuers, names.issuers)
        needs.append(AnyIssuer(frozenset(issuers)))
    template = _template(table)
    params = kinds(template) if template else None
    when = conditions.read(
        table, names, params=params, issuer_named=len(issuers) == 1, unloaded=_ASKS_NOBODY
    )
    if when:
        needs.append(when)
    template = template or parse(EVERYWHERE)
    forbid = Forbid(_methods(table), Requirement("forbid", ref, joined(needs)), template)
    return template, forbid


def _methods(table: Section) -> tuple[str, ...]:
    methods = required(table, "methods")
    try:
        check_head(methods)
        check_methods(methods, "leave `methods` out: then all of them are forbidden")
    except RouteKeyError as error:
        table.error("methods", error.what, error.fix)
    return methods


def _template(table: Section) -> Template | None:
    text = table.text("path", EVERYWHERE)
    try:
        return parse(text)
    except TemplateError as error:
        table.error("path", f"{error.what} in `{text}`", error.fix)
        return None
