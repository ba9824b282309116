"""`[roles]`, `[routes]` and `default` in; a compiled `Policy`, or reported problems, out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from authz_middleware.document import Section
from authz_middleware.document.paths import quoted
from authz_middleware.facts import RuleRef
from authz_middleware.policy.matcher import Matcher
from authz_middleware.policy.model import Policy, Requirement, Rule
from authz_middleware.policy.overlap import conflicts
from authz_middleware.policy.roles import WILDCARD, Role, Roles, find_cycle
from authz_middleware.policy.routekey import RouteKeyError, parse_key
from authz_middleware.policy.template import DoubleStar, PathTail, Template

__all__ = ["load"]

REQUIREMENT_KEYS = ("roles", "scopes", "permissions", "issuers")
REQUIREMENT_PLANNED = (
    "acr",
    "max_age",
    "dpop",
    "load",
    "when",
    "pdp",
    "must_check",
    "any",
    "all",
    "not",
    "mode",
)
WORDS: tuple[Literal["public", "authenticated", "deny"], ...] = ("public", "authenticated", "deny")

# RFC 6749 §3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
_SCOPE_CHARACTERS = frozenset(map(chr, (0x21, *range(0x23, 0x5C), *range(0x5D, 0x7F))))


@dataclass(frozen=True, slots=True)
class _Names:
    """What the rest of the policy defines, against which a requirement is checked."""

    roles: Roles
    issuers: Collection[str]
    token_permissions: bool  # whether some issuer's tokens may carry permissions


def load(root: Section, *, issuers: Collection[str], token_permissions: bool) -> Policy:
    """Compile the policy half of a document; mistakes go to the section's report.

    `issuers` are the configured issuer identifiers. What is returned after a mistake was reported
    must not be served: the caller raises.
    """
    roles = _roles(root)
    names = _Names(roles, issuers, token_permissions)
    section = root.table("routes")
    groups = _routes(section, names) if section else []
    scopes = {
        scope for group in groups for each in group.by_method.values() for scope in each.scopes
    }
    matcher = Matcher((group.template, _rule(group)) for group in groups)
    return Policy(matcher, roles, _default(root), tuple(sorted(scopes)))


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


def _routes(section: Section, names: _Names) -> list[_Group]:
    groups: dict[object, _Group] = {}
    for text in section:
        try:
            key = parse_key(text)
        except RouteKeyError as error:
            section.error(text, error.what, error.fix)
            continue
        # Two spellings of one template, `<id>` and `{id}`, are one rule.
        same = (key.template.shape, key.template.names)
        group = groups.setdefault(same, _Group(key.template, text, {}))
        _add(group, key.methods, _requirement(section, text, names), section, text)
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
    return Rule(by_method, otherwise, catches_all=whole)


def _check_conflicts(section: Section, groups: list[_Group]) -> None:
    texts = {group.template: group.text for group in groups}
    for conflict in conflicts([(group.template, None) for group in groups]):
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


# Requirements


def _requirement(section: Section, text: str, names: _Names) -> Requirement:
    ref = RuleRef(text, section.where(text))
    match section.raw(text):
        case str(word):
            return _word(section, text, word, ref)
        case []:
            section.error(
                text, "an empty list lets nobody in", 'write "deny", or name the roles that may'
            )
        case list():
            roles = section.texts(text) or ()
            _check_roles(section, text, roles, names)
            return Requirement("table", ref, roles=frozenset(roles))
        case {} if table := section.table(text):
            return _table(table, ref, names)
        case _:
            section.error(
                text,
                "this is not a requirement",
                'write "public", "authenticated", "deny", a list of roles, or a table such as'
                ' { permissions = ["article:write"] }',
            )
    return Requirement("deny", ref)


def _word(section: Section, text: str, word: str, ref: RuleRef) -> Requirement:
    for known in WORDS:
        if word == known:
            return Requirement(known, ref)
    section.error(
        text,
        f'"{word}" is not a requirement',
        f'write "public", "authenticated" or "deny"; a role goes in a list: ["{word}"]',
    )
    return Requirement("deny", ref)


def _table(table: Section, ref: RuleRef, names: _Names) -> Requirement:
    table.only(REQUIREMENT_KEYS, REQUIREMENT_PLANNED)
    if not table.mapping:
        table.error(
            None,
            "an empty table requires nothing",
            'write "authenticated" if any verified caller may, or name what is required',
        )
    values = {name: _required(table, name) for name in REQUIREMENT_KEYS}
    _check_roles(table, "roles", values["roles"], names)
    for permission in values["permissions"]:
        _check_permission(table, permission, names)
    for issuer in values["issuers"]:
        if issuer not in names.issuers:
            table.error(
                "issuers",
                f"`{issuer}` is not one of the [[issuers]]",
                "write it exactly as in its `issuer` key",
            )
    for scope in values["scopes"]:
        if not _SCOPE_CHARACTERS.issuperset(scope) or not scope:
            table.error(
                "scopes",
                "a scope is printable ASCII without spaces, quotes and backslashes (RFC 6749 §3.3)",
                'write one scope an entry: ["read", "write"]',
            )
    return Requirement(
        "table",
        ref,
        roles=frozenset(values["roles"]),
        permissions=values["permissions"],
        issuers=frozenset(values["issuers"]),
        scopes=values["scopes"],
    )


def _required(table: Section, name: str) -> tuple[str, ...]:
    if table.raw(name) is None:
        return ()
    values = table.texts(name)
    if values == ():
        table.error(name, f"an empty `{name}` requires nothing", f"remove `{name}` or name some")
    return values or ()


def _check_roles(section: Section, key: str, roles: tuple[str, ...], names: _Names) -> None:
    declared = names.roles.declared
    for role in roles:
        if declared is not None and role not in declared:
            section.error(
                key,
                f"role `{role}` is not defined in [roles]",
                f"add `{quoted(role)} = []` there"
                + (f", or use one of: {', '.join(sorted(declared))}" if declared else ""),
            )


def _check_permission(table: Section, permission: str, names: _Names) -> None:
    if WILDCARD in permission:
        table.error(
            "permissions",
            f"`{permission}` is a pattern; a route requires exact permissions",
            "name the permission; patterns belong to [roles]",
        )
    elif not names.token_permissions and not names.roles.could_grant(permission):
        table.error(
            "permissions",
            f"nobody could ever have permission `{permission}`",
            "give it to a role in [roles], or name the claim that carries permissions in an"
            " issuer's `claims.permissions`",
        )
