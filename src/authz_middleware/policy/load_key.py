"""`load`: the loader of a requirement, by name, or in a table with what is particular here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from authz_middleware.document import Section
from authz_middleware.policy.names import Names, suggestion
from authz_middleware.policy.needs import DEFAULT_TIMEOUT, Load

__all__ = ["LOAD_KEYS", "MAX_TIMEOUT", "read"]

LOAD_KEYS: Final = ("name", "missing", "timeout")

MAX_TIMEOUT: Final = 60.0
"""Seconds that a loader may be given."""

NAME: Final = "load"


def read(table: Section, names: Names) -> Load | None:
    """Read `load`; None if there is none. Mistakes go to the section's report."""
    if table.raw(NAME) is None:
        return None
    inner = table.table(NAME) if isinstance(table.raw(NAME), Mapping) else None
    if inner is None:
        loader = table.text(NAME, example="article")
        if loader is not None:
            _check(table, NAME, loader, names)
        return Load(loader or "")
    inner.only(LOAD_KEYS)
    loader = inner.text("name", example="article")
    if loader is not None:
        _check(inner, "name", loader, names)
    elif inner.raw("name") is None:
        inner.error(None, "`load` names no loader", 'write `name = "article"`')
    return Load(loader or "", _not_found(inner), _timeout(inner))


def _check(table: Section, key: str, loader: str, names: Names) -> None:
    known = names.loaders
    if known is None or loader in known:
        return
    nobody = f'give it where the policy is loaded: loaders={{"{loader}": …}}'
    fix = suggestion(loader, known, nobody, listed="registered")
    table.error(key, f"no loader `{loader}` is registered", fix)


def _not_found(table: Section) -> bool:
    status = table.number("missing", example=404)
    if status is None or status == 403:
        return False
    if status != 404:
        table.error(
            "missing",
            "`missing` is the answer where there is no such object: 403 or 404",
            "write 404, or leave it out: then it is 403",
        )
    return True


def _timeout(table: Section) -> float:
    seconds = table.number("timeout", unit="seconds", example=2)
    if seconds is None:
        return DEFAULT_TIMEOUT
    if not 0 < seconds <= MAX_TIMEOUT:
        what = f"`timeout` is more than 0 and at most {MAX_TIMEOUT:g} seconds"
        table.error("timeout", what, f"write `{table.example('timeout', 2)}`")
        return DEFAULT_TIMEOUT
    return float(seconds)
