"""`[roles]`, `[routes]`, `[forbid]`, `default` in; a compiled `Policy`, or problems, out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from authz_middleware.document import Section
from authz_middleware.document.paths import quoted
from authz_middleware.facts import RuleRef
from authz_middleware.policy import clients, forbid_table, permission_table
from authz_middleware.policy.matcher import Matcher
from authz_middleware.policy.model import Policy
from authz_middleware.policy.names import Names
from authz_middleware.policy.needs import required_scopes
from authz_middleware.policy.overlap import conflicts
from authz_middleware.policy.parameters import Parameters
from authz_middleware.policy.questions import Elsewhere
from authz_middleware.policy.requirements import read
from authz_middleware.policy.roles import WILDCARD, Role, Roles, find_cycle
from authz_middleware.policy.routekey import RouteKeyError, parse_key
from authz_middleware.policy.rules import Requirement, Rule
from authz_middleware.policy.shadows import is_shadow
from authz_middleware.policy.spellings import Spellings
from authz_middleware.policy.template import DoubleStar, PathTail, Template
from authz_middleware.policy.when import context_reads

__all__ = ["load"]


def load(
    root: Section,
    *,
    issuers: Collection[str],
    token_permissions: bool,
    obtainable: Collection[str] | None = None,
    leeways: Mapping[str, float] | None = None,
    loaders: Collection[str] | None = (),
    pdps: Mapping[str, Elsewhere] | None = None,
    trial: bool = False,
) -> Policy:
    """Compile the policy half of a document; mistakes go to the section's report.

    `issuers` are the configured issuer identifiers, `obtainable` the roles they may give (None:
    any), `token_permissions` whether their tokens may carry permissions, `leeways` the seconds by
    which their clocks may differ, `loaders` the names that are registered (None: any), `pdps` the
    decision points. What is on trial (`mode = "shadow"`) is left out, or, with `trial`, enforced
    like all the rest. What is returned after a mistake was reported must not be served: the caller
    raises.
    """
    roles = _roles(root)
    names = Names(
        roles,
        issuers,
        token_permissions,
        obtainable,
        leeways or {},
        loaders,
        clients=clients.read(root),
        pdps=pdps or {},
    )
    names = replace(names, conditions=permission_table.read(root, names))
    section = root.table("routes")
    groups = _routes(section, names, trial=trial) if section else []
    requirements = [each for group in groups for each in group.by_method.values()]
    scopes = {scope for each in requirements if each.need for scope in required_scopes(each.need)}
    rules = tuple((group.template, _rule(group)) for group in groups)
    forbids = forbid_table.read(root, names)
    permissions = {
        name: permission_table.asked_about(name, condition, names)
        for name, condition in names.conditions.items()
    }
    needs = [each.need for each in (*requirements, *forbids.requirements) if each.need]
    needs += permissions.values()
    return Policy(
        Matcher(rules),
        roles,
        Spellings(group.template for group in groups),
        _default(root),
        tuple(sorted(scopes)),
        tuple(group.template for group in groups),
        tuple({id(each): each for each in requirements}.values()),
        frozenset(method for group in groups for method in group.by_method if method),
        forbids,
        rules,
        permissions,
        context_reads(needs, names.clients),
        names.clients,
    )


def _default(root: Section) -> Requirement:
    word = root.text("default", "deny")
    ref = RuleRef("default", root.where("default"))
    if word == "authenticated":
        return Requirement("authenticated", ref)
    if word != "deny":
        root.error(
            "default",
            f'`default` cannot be "{word}"',
            'write "deny" or "authenticated"; open single routes with `"GET /path" = "public"`',
        )
    return Requirement("deny", ref, refused_as="no_rule")


# Roles


def _roles(root: Section) -> Roles:
    section = root.table("roles")
    if section is None:
        return Roles.compile(None)
    table = {name: _role(section, name) for name in section}
    for name, role in table.items():
        for parent in role.inherits:
            if parent not in table:
                section.error(
                    name,
                    f"role `{name}` inherits `{parent}`, which [roles] does not define",
                    f"add `{quoted(parent)} = []` to [roles]",
                )
    table = {
        name: Role(role.permissions, tuple(each for each in role.inherits if each in table))
        for name, role in table.items()
    }
    if cycle := find_cycle(table):
        section.error(
            cycle[0],
            f"roles inherit in a circle: {' -> '.join(cycle)}",
            "remove one of the `inherits`",
        )
    return Roles.compile(table)


def _role(section: Section, name: str) -> Role:
    if isinstance(section.raw(name), Mapping) and (table := section.table(name)):
        table.only({"permissions", "inherits"})
        role = Role(table.texts("permissions") or (), table.texts("inherits") or ())
    else:
        role = Role(section.texts(name, example=("article:read",)) or ())
    for text in role.permissions:
        if WILDCARD in text[:-1] or any(map(str.isspace, text)):
            section.error(
                name,
                f"`{text}` is not a permission",
                "write a name without spaces; a `*` may stand only at its end, as in `user:*`",
            )
    return role


# Routes


@dataclass(frozen=True, slots=True)
class _Group:
    """The keys of one template: `text` is the first as written, "" the method of one without."""

    template: Template
    text: str
    by_method: dict[str, Requirement]


def _routes(section: Section, names: Names, *, trial: bool) -> list[_Group]:
    groups: dict[object, _Group] = {}
    for text in section:
        if not trial and is_shadow(section.raw(text)):
            continue
        try:
            key = parse_key(text)
        except RouteKeyError as error:
            section.error(text, error.what, error.fix)
            continue
        # Two spellings of one template, `<id>` and `{id}`, are one rule.
        same = (key.template.shape, key.template.names)
        group = groups.setdefault(same, _Group(key.template, text, {}))
        requirement = read(section, text, names, key.template, trial=trial)
        _add(group, key.methods, requirement, section, text)
    _check_conflicts(section, list(groups.values()))
    return list(groups.values())


def _add(
    group: _Group,
    methods: tuple[str, ...],
    requirement: Requirement,
    section: Section,
    text: str,
) -> None:
    for method in methods or ("",):
        if earlier := group.by_method.get(method):
            section.error(
                text,
                f"{f'method {method}' if method else 'every method'} of this path is already"
                f" ruled by `{earlier.ref.key}` ({earlier.ref.where})",
                "keep one of the two",
            )
        group.by_method[method] = requirement


def _rule(group: _Group) -> Rule:
    by_method = dict(group.by_method)
    otherwise = by_method.pop("", None)
    if otherwise is None:
        first = next(iter(by_method.values()))
        otherwise = Requirement("deny", first.ref, refused_as="method_not_listed")
    last = group.template.segments[-1:]
    whole = len(group.template.segments) == 1 and isinstance(last[0], (PathTail, DoubleStar))
    return Rule(by_method, otherwise, Parameters(group.template), catches_all=whole)


def _check_conflicts(section: Section, groups: list[_Group]) -> None:
    texts = {group.template: group.text for group in groups}
    for conflict in conflicts(group.template for group in groups):
        text, other = texts[conflict.template], texts[conflict.other]
        named = f"`{other}` ({section.where(other)})"
        if conflict.kind == "unreachable":
            section.error(
                text,
                f"this rule can never be reached: {named} is more specific and decides"
                f" {conflict.example}",
                "remove one of the two",
            )
        else:
            section.error(
                text,
                f"this rule and {named} are equally specific for {conflict.example}",
                "write both with one template, parameter names included, or with a literal that"
                " tells them apart",
            )
