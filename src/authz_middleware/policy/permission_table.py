"""`[permissions]`: conditions that belong to a permission, wherever it is asked about."""

from __future__ import annotations

from typing import Final

from authz_middleware.document import Section
from authz_middleware.policy import when as conditions
from authz_middleware.policy.conditions import Condition
from authz_middleware.policy.names import Names, check_permission
from authz_middleware.policy.needs import All, Load, Need, Permissions
from authz_middleware.policy.resources import HANDED_OVER

__all__ = ["PERMISSION_KEYS", "asked_about", "read"]

PERMISSION_KEYS: Final = ("when",)

HANDED: Final = Load(HANDED_OVER.loader)
"""Stands for the object that a handler hands over when it asks."""


def read(root: Section, names: Names) -> dict[str, Condition]:
    """Read `[permissions]`; mistakes go to the section's report."""
    section = root.table("permissions")
    found: dict[str, Condition] = {}
    if section is None:
        return found
    for permission in section:
        check_permission(section, permission, names, permission)
        condition = _condition(section.table(permission), names)
        if condition is not None:
            found[permission] = condition
    return found


def _condition(table: Section | None, names: Names) -> Condition | None:
    if table is None:
        return None
    table.only(PERMISSION_KEYS)
    if not table.mapping:
        table.error(None, "an empty table says nothing", 'write `when = "…"`, or remove it')
    # Where it is asked about, the path and the object will be known.
    return conditions.checked(table, names, params=None, issuer_named=False)


def asked_about(permission: str, condition: Condition, names: Names) -> Need:
    """Return what a caller needs of whom a handler asks about `permission`."""
    held = Permissions((permission,), names.roles)
    attached = conditions.applied(condition, names, params=None, load=HANDED, permission=permission)
    return All((held, attached))
