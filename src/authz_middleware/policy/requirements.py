"""One requirement of `[routes]`: a word, a list of roles or a table, checked against the policy."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from authz_middleware.document import Section
from authz_middleware.document.paths import quoted
from authz_middleware.facts import RuleRef
from authz_middleware.policy.model import Requirement
from authz_middleware.policy.roles import WILDCARD, Roles

__all__ = ["REQUIREMENT_KEYS", "REQUIREMENT_PLANNED", "Names", "check_roles", "read"]

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
class Names:
    """What the rest of the policy defines, against which a requirement is checked."""

    roles: Roles
    issuers: Collection[str]
    token_permissions: bool  # whether some issuer's tokens may carry permissions
    obtainable: Collection[str] | None  # the roles that issuers may give; None: any


def read(section: Section, text: str, names: Names) -> Requirement:
    """Read the requirement under the key `text`; mistakes go to the section's report."""
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
            check_roles(section, text, roles, names.roles.declared)
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


def _table(table: Section, ref: RuleRef, names: Names) -> Requirement:
    table.only(REQUIREMENT_KEYS, REQUIREMENT_PLANNED)
    if not table.mapping:
        table.error(
            None,
            "an empty table requires nothing",
            'write "authenticated" if any verified caller may, or name what is required',
        )
    values = {name: _required(table, name) for name in REQUIREMENT_KEYS}
    check_roles(table, "roles", values["roles"], names.roles.declared)
    for permission in values["permissions"]:
        _check_permission(table, permission, names)
    for issuer in values["issuers"]:
        if issuer not in names.issuers:
            table.error(
                "issuers",
                f"`{issuer}` is not one of the [[issuers]]",
                "write it exactly as its tokens name it in `iss`",
            )
    for scope in values["scopes"]:
        if not _SCOPE_CHARACTERS.issuperset(scope):
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


def check_roles(
    section: Section, key: str, roles: Iterable[str], declared: Collection[str] | None
) -> None:
    """Report each of `roles` under `key` that [roles] does not define (None: any name will do)."""
    for role in roles:
        if declared is not None and role not in declared:
            section.error(
                key,
                f"role `{role}` is not defined in [roles]",
                f"add `{quoted(role)} = []` there"
                + (f", or use one of: {', '.join(sorted(declared))}" if declared else ""),
            )


def _check_permission(table: Section, permission: str, names: Names) -> None:
    if WILDCARD in permission:
        table.error(
            "permissions",
            f"`{permission}` is a pattern; a route requires exact permissions",
            "name the permission; patterns belong to [roles]",
        )
    elif not names.token_permissions and not names.roles.could_grant(permission, names.obtainable):
        table.error(
            "permissions",
            f"nobody could ever have permission `{permission}`",
            "give it to a role in [roles] that an issuer grants, or name the claim that carries"
            " permissions in an issuer's `claims.permissions`",
        )
