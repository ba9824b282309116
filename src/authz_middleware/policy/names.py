"""What the rest of the policy defines, and whether the names in a requirement are among it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from authz_middleware.document import Report, Section
from authz_middleware.document.paths import KeyPath, quoted
from authz_middleware.policy.clients import Clients
from authz_middleware.policy.conditions import Condition
from authz_middleware.policy.questions import Elsewhere
from authz_middleware.policy.roles import WILDCARD, Roles

__all__ = [
    "Names",
    "check_issuers",
    "check_permission",
    "check_roles",
    "check_tokens",
    "suggestion",
    "wrong_permission",
    "wrong_role",
]

# RFC 6749 §3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
_SCOPE_CHARACTERS = frozenset(map(chr, (0x21, *range(0x23, 0x5C), *range(0x5D, 0x7F))))


@dataclass(frozen=True, slots=True)
class Names:
    """What the rest of the policy defines, against which a requirement is checked."""

    roles: Roles
    issuers: Collection[str]
    token_permissions: bool  # whether some issuer's tokens may carry permissions
    obtainable: Collection[str] | None  # the roles that issuers may give; None: any
    leeways: Mapping[str, float] = field(default_factory=dict[str, float])  # seconds, by issuer
    loaders: Collection[str] | None = ()  # those that are registered; None: not known here
    conditions: Mapping[str, Condition] = field(default_factory=dict[str, Condition])
    """The conditions of `[permissions]`."""
    clients: Clients = field(default_factory=Clients)
    pdps: Mapping[str, Elsewhere] = field(default_factory=dict[str, Elsewhere])
    """The decision points."""


def check_tokens(
    table: Section, name: str, word: str, values: Iterable[str], standard: str
) -> None:
    """Report what cannot stand between spaces in a challenge."""
    for value in values:
        if not _SCOPE_CHARACTERS.issuperset(value):
            table.error(
                name,
                f"{'an' if word == 'acr' else 'a'} {word} is printable ASCII without spaces,"
                f" quotes and backslashes ({standard})",
                f'write one {word} an entry: {name} = ["…", "…"]',
            )


def check_issuers(table: Section, issuers: Iterable[str], known: Collection[str]) -> None:
    """Report each of `issuers` that is not configured."""
    for issuer in issuers:
        if issuer not in known:
            table.error(
                "issuers",
                f"`{issuer}` is not one of the [[issuers]]",
                "write it exactly as its tokens name it in `iss`",
            )


def check_roles(
    report: Report, path: KeyPath, roles: Iterable[str], declared: Collection[str] | None
) -> None:
    """Report each of `roles` at `path` that [roles] does not define (None: any name will do)."""
    for role in roles:
        if wrong := wrong_role(role, declared):
            report.error(path, *wrong)


def wrong_role(role: str, declared: Collection[str] | None) -> tuple[str, str] | None:
    """Return what is wrong with a role, and what to write, if [roles] does not define it."""
    if declared is None or role in declared:
        return None
    what = f"role `{role}` is not defined in [roles]"
    if near := get_close_matches(role, sorted(declared), n=1):
        return what, f"did you mean `{near[0]}`? If not, add `{quoted(role)} = []` there"
    others = f", or use one of: {', '.join(sorted(declared))}" if declared else ""
    return what, f"add `{quoted(role)} = []` there{others}"


def suggestion(name: str, known: Collection[str], otherwise: str, *, listed: str = "known") -> str:
    """Return what to write instead of a name that is not `known`; `otherwise` if nothing is."""
    if near := get_close_matches(name, sorted(known), n=1):
        return f"did you mean `{near[0]}`?"
    return f"{listed}: {', '.join(f'`{each}`' for each in sorted(known))}" if known else otherwise


def check_permission(
    table: Section, permission: str, names: Names, key: str = "permissions"
) -> None:
    """Report a permission that is none, or that nobody could have."""
    if wrong := wrong_permission(permission, names):
        table.error(key, *wrong)


def wrong_permission(permission: str, names: Names) -> tuple[str, str] | None:
    """Return what is wrong with a permission, and what to write, if nobody could have it."""
    if WILDCARD in permission:
        return (
            f"`{permission}` is a pattern; a route requires exact permissions",
            "name the permission; patterns belong to [roles]",
        )
    if not names.token_permissions and not names.roles.could_grant(permission, names.obtainable):
        return (
            f"nobody could ever have permission `{permission}`",
            (
                "give it to a role in [roles] that an issuer grants, or name the claim that carries"
                " permissions in an issuer's `claims.permissions`"
            ),
        )
    return None
