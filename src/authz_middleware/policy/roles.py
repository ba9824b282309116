"""Which permissions a role brings, and which roles it inherits (RBAC with a hierarchy)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import cast

from authz_middleware.facts import Principal

__all__ = ["Role", "Roles", "find_cycle"]

WILDCARD = "*"


@dataclass(frozen=True, slots=True)
class Role:
    """One entry of `[roles]`. A permission may end in `*`, which stands for any rest."""

    permissions: tuple[str, ...] = ()
    inherits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Roles:
    """The compiled `[roles]` table.

    Without a table (`declared` is None) any role name may be used, and no role brings permissions.
    """

    declared: frozenset[str] | None
    closure: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    permissions: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    prefixes: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

    @classmethod
    def compile(cls, table: Mapping[str, Role] | None) -> Roles:
        """Compile a table whose `inherits` are known to be defined and free of cycles."""
        if table is None:
            return cls(declared=None)
        closure = {name: frozenset(_reachable(name, table)) for name in table}
        permissions = {
            name: frozenset(text for each in closure[name] for text in table[each].permissions)
            for name in table
        }
        prefixes = {
            name: tuple(sorted(text[:-1] for text in texts if text.endswith(WILDCARD)))
            for name, texts in permissions.items()
        }
        return cls(frozenset(table), closure, permissions, prefixes)

    def expand(self, principal: Principal) -> Principal:
        """Return `principal` with inherited roles and the roles' permissions added.

        A name that `[roles]` does not know is dropped: it grants nothing (and stays in `claims`).
        """
        if self.declared is None:
            return principal
        known = principal.roles & self.declared
        return Principal(  # member by member: `replace` takes as long as all of the rest
            subject=principal.subject,
            issuer=principal.issuer,
            roles=known.union(*[self.closure[name] for name in known]),
            permissions=principal.permissions.union(*[self.permissions[name] for name in known]),
            scopes=principal.scopes,
            claims=principal.claims,
            expires_at=principal.expires_at,
            actor=principal.actor,
        )

    def contract(self, principal: Principal) -> tuple[frozenset[str], frozenset[str]]:
        """Return the roles and permissions from which `expand` makes those of `principal`.

        The fewest: what the token names twice over is not known any more.
        """
        brought = (self.closure.get(name, frozenset[str]()) - {name} for name in principal.roles)
        roles = principal.roles.difference(*brought)
        granted = (self.permissions.get(name, frozenset[str]()) for name in principal.roles)
        return roles, principal.permissions.difference(*granted)

    def grant(self, principal: Principal, permission: str) -> bool:
        """Whether an expanded `principal` holds `permission`.

        Only a role's text may be a pattern; what the token carries is literal. So a question that
        looks like a pattern has no answer but no.
        """
        if WILDCARD in permission:
            return False
        if permission in principal.permissions:
            return True
        return self.brought_by(principal.roles, permission)

    def brought_by(self, roles: Iterable[str], permission: str) -> bool:
        """Whether any of `roles` brings `permission` by a pattern."""
        prefixes = self.prefixes
        return any(
            permission.startswith(start) for role in roles for start in prefixes.get(role, ())
        )

    def could_grant(self, permission: str, obtainable: Collection[str] | None = None) -> bool:
        """Whether some role brings `permission`: of those that can be had, if that is known."""
        known = self.permissions
        roles = known.keys() if obtainable is None else known.keys() & obtainable
        return any(permission in self.permissions[name] for name in roles) or self.brought_by(
            roles, permission
        )


def find_cycle(table: Mapping[str, Role]) -> tuple[str, ...]:
    """Return a cycle of `inherits` as role names (the first repeated at the end), or ()."""
    try:
        TopologicalSorter({name: role.inherits for name, role in table.items()}).prepare()
    except CycleError as error:
        # What it lists is each one's inheritor; told in the order of `inherits` it reads better.
        return tuple(reversed(cast("list[str]", error.args[1])))
    return ()


def _reachable(name: str, table: Mapping[str, Role]) -> Collection[str]:
    seen = {name}
    queue = [name]
    while queue:
        for parent in table[queue.pop()].inherits:
            if parent not in seen:
                seen.add(parent)
                queue.append(parent)
    return seen
