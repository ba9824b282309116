"""`context` of a test in `[[tests]]`: when its requests are made, by whom, and with what."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlencode

from authz_middleware.document import Section
from authz_middleware.facts import Surroundings
from authz_middleware.policy.conditions import UNREADABLE, timestamp

__all__ = ["HERE_AND_NOW", "CaseContext", "read"]

KEYS = ("time", "ip", "scheme", "host", "headers", "query")


class CaseContext(NamedTuple):
    """What the requests of a test come with. `time` is in seconds since the epoch; None: now.

    Without more it is nobody's address, no header fields, and no query.
    """

    time: float | None = None
    around: Surroundings = Surroundings(None, "", {}, "")


HERE_AND_NOW = CaseContext()


def read(case: Section) -> CaseContext:
    """Read `context`; mistakes go to the section's report."""
    table = case.table("context")
    if table is None:
        return HERE_AND_NOW
    table.only(KEYS)
    ip, scheme, host = (table.text(name) for name in ("ip", "scheme", "host"))
    if scheme is not None and ip is None:
        table.error("scheme", "a scheme is that of a client's connection", 'write `ip = "…"` too')
    fields = _fields(table)
    if host is not None:
        fields["host"] = host
    around = Surroundings(ip, scheme or "", fields, _query(table))
    return CaseContext(_time(table), around)


def _time(table: Section) -> float | None:
    value: object = table.raw("time")
    if value is None:
        return None
    found = timestamp(value) if isinstance(value, str) else value
    if isinstance(found, datetime) and found.tzinfo is not None:
        return found.timestamp()
    table.error("time", "`time` is no time with a zone", "write `time = 2026-01-31T09:00:00Z`")
    return None


def _fields(table: Section) -> dict[str, str]:
    headers = table.table("headers")
    fields: dict[str, str] = {}
    if headers is None:
        return fields
    for name in headers:
        if name != name.lower() or name in UNREADABLE:
            fix = "write names in lower case, without those of credentials and proxies"
            headers.error(name, f"no condition reads the field `{name}`", fix)
        fields[name] = headers.text(name) or ""
    return fields


def _query(table: Section) -> str:
    query = table.table("query")
    pairs = [
        (name, value)
        for name in query or ()
        if query is not None
        for value in query.texts(name, one_or_many=True, allow_empty=True) or ()
    ]
    return urlencode(pairs)
