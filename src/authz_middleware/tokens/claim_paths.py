"""Where a claim stands, in the grammar of TOML's dotted keys (TOML 1.0, "Keys").

`realm_access.roles`, `"https://x/roles"`, `resource_access."orders.api".roles`. Names inside
quotes are taken whole, so that a claim which is a URL is not taken apart at its dots.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, cast

if TYPE_CHECKING:
    from authz_middleware.document import Section

__all__ = ["ClaimPath", "ClaimPathError", "ClaimPaths", "follow", "parse", "read"]

ClaimPath: TypeAlias = tuple[str, ...]
"""The names to follow from the claims set down."""


@dataclass(frozen=True, slots=True)
class ClaimPaths:
    """Where an issuer's tokens carry what we read. Several places for one set are united."""

    roles: tuple[ClaimPath, ...] = (("roles",),)
    # A token's permissions count only where the policy names their claim.
    permissions: tuple[ClaimPath, ...] = ()
    scopes: tuple[ClaimPath, ...] = (("scope",),)  # RFC 8693 §4.2
    subject: ClaimPath = ("sub",)


_NAME = re.compile(
    r"""[ \t]*(?:(?P<bare>[A-Za-z0-9_-]+)|(?P<quoted>"(?:[^"\\]|\\.)*+"|'[^']*+'))"""
    r"""[ \t]*(?:\.|\Z)"""
)


class ClaimPathError(ValueError):
    """A claim path that cannot be read: what is wrong, and where in it (counted from 0)."""

    def __init__(self, what: str, offset: int) -> None:
        self.what = what
        self.offset = offset
        super().__init__(f"{what} (at character {offset + 1})")


def parse(text: str) -> ClaimPath:
    """Return the names that `text` joins by dots, or raise ClaimPathError."""
    names: list[str] = []
    offset = 0
    while True:
        found = _NAME.match(text, offset)
        if found is None:
            raise ClaimPathError(
                "a name is missing" if not text[offset:].strip(" \t.") else "this is no name",
                offset,
            )
        names.append(found["bare"] or _unquoted(found["quoted"], offset))
        offset = found.end()
        if not found[0].endswith("."):
            return tuple(names)


def follow(payload: Mapping[str, Any], path: ClaimPath) -> Any:
    """The value at `path`, or None."""
    value: Any = payload
    for name in path:
        if not isinstance(value, dict):
            return None
        value = cast("dict[str, Any]", value).get(name)
    return value


def read(section: Section, default: ClaimPaths) -> ClaimPaths:
    """The `claims` table of an issuer; what is wrong in it is reported and reads as the default."""
    table = section.table("claims")
    if table is None:
        return default
    table.only(("roles", "permissions", "scopes", "subject"))
    subject = table.text("subject", example="sub")
    return ClaimPaths(
        roles=_paths(table, "roles", default.roles),
        permissions=_paths(table, "permissions", default.permissions),
        scopes=_paths(table, "scopes", default.scopes),
        subject=(subject and _path(table, "subject", subject)) or default.subject,
    )


def _paths(table: Section, name: str, default: tuple[ClaimPath, ...]) -> tuple[ClaimPath, ...]:
    texts = table.texts(name, one_or_many=True, example=(name,))
    if texts is None:
        return default
    paths = (_path(table, name, text) for text in texts)
    return tuple(path for path in paths if path is not None)


def _path(table: Section, name: str, text: str) -> ClaimPath | None:
    try:
        return parse(text)
    except ClaimPathError as error:
        table.error(
            name,
            f"`{text}` is no claim path: {error}",
            "join names by dots, and put a name with other characters than letters, digits, "
            """- and _ in quotes of its own: '"https://example.com/roles"'""",
        )
        return None


def _unquoted(literal: str, offset: int) -> str:
    try:
        name: str = tomllib.loads(f"name = {literal}")["name"]
    except tomllib.TOMLDecodeError:
        raise ClaimPathError("this is no TOML string", offset) from None
    if not name:
        raise ClaimPathError("a name is empty", offset)
    return name
