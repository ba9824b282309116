"""Functions of ours: parts of a time in a time zone, client addresses, strict conversions.

None of them raises: for what it cannot do it returns None, and the text for the evaluator is
written so that a null there is an error of the condition. (An exception would be logged by the
evaluator on every request.)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sized
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, cast
from zoneinfo import ZoneInfo

from authz_middleware.policy.conditions.lexing import INT_MAX, INT_MIN

__all__ = ["FUNCTIONS", "GETTERS", "duration", "network", "timestamp", "zone"]

GETTERS: Mapping[str, Callable[[datetime], int]] = {
    "getFullYear": lambda time: time.year,
    "getMonth": lambda time: time.month - 1,
    "getDate": lambda time: time.day,
    "getDayOfMonth": lambda time: time.day - 1,
    "getDayOfWeek": lambda time: time.isoweekday() % 7,
    "getDayOfYear": lambda time: time.timetuple().tm_yday - 1,
    "getHours": lambda time: time.hour,
    "getMinutes": lambda time: time.minute,
    "getSeconds": lambda time: time.second,
    "getMilliseconds": lambda time: time.microsecond // 1000,
}
"""CEL's accessors of a timestamp, with its origins: months and days from 0, Sunday is 0."""

_OFFSET = re.compile(r"([+-])([01][0-9]|2[0-3]):([0-5][0-9])")
_TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
    r"(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_DURATION = re.compile(r"-?(?:[0-9]{1,9}(?:\.[0-9]{1,9})?(?:h|ms|m|s))+")
_INTEGER = re.compile(r"-?[0-9]{1,19}")
_DOUBLE = re.compile(r"-?[0-9]{1,300}(?:\.[0-9]{1,300})?(?:[eE][+-]?[0-9]{1,3})?")


@lru_cache(maxsize=1024)
def zone(name: str) -> tzinfo | None:
    """The time zone of that name (`Europe/Vienna`, `+02:00`, `UTC`), or None."""
    if name == "UTC":
        return UTC
    if offset := _OFFSET.fullmatch(name):
        minutes = int(offset[2]) * 60 + int(offset[3])
        return timezone(timedelta(minutes=-minutes if offset[1] == "-" else minutes))
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown; no key at all; a directory of zones
        return None


@lru_cache(maxsize=1024)
def network(text: str) -> IPv4Network | IPv6Network | None:
    """The network that `text` writes in CIDR notation, or None."""
    try:
        return ip_network(text) if "/" in text else None
    except ValueError:  # also with host bits set: `10.0.0.1/8` may mean one host or all
        return None


def timestamp(text: str) -> datetime | None:
    """The time that `text` writes after RFC 3339, or None."""
    if not _TIMESTAMP.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.upper())
    except ValueError:
        return None


def duration(text: str) -> bool:
    """Whether `text` is a duration such as `1h30m`; CEL's grammar without micro and nano."""
    return _DURATION.fullmatch(text) is not None


def _part(time: Any, getter: str, name: str) -> int | None:
    place = zone(name)
    if not isinstance(time, datetime) or place is None:
        return None
    try:
        return GETTERS[getter](time.astimezone(place))
    except (OverflowError, ValueError):  # the first and the last day there is
        return None


def _within(text: str, address: Any) -> bool | None:
    block = network(text)
    if block is None or not isinstance(address, str):
        return None
    try:
        found: IPv4Address | IPv6Address = ip_address(address)
    except ValueError:
        return None
    if isinstance(found, IPv6Address):
        if found.scope_id is not None:
            return None
        found = found.ipv4_mapped or found  # how a socket for both tells an IPv4 client
    return found in block


def _size(value: Any) -> int | None:
    return len(cast("Sized", value)) if isinstance(value, (str, list, dict)) else None


def _int(value: Any) -> int | None:
    match value:
        case bool():
            return None
        case str() if _INTEGER.fullmatch(value):
            value = int(value)
        case float() if INT_MIN <= value < INT_MAX:
            value = int(value)
        case int():
            pass
        case _:
            return None
    return value if INT_MIN <= value <= INT_MAX else None


def _negatable(value: Any) -> int | float | None:
    """The number itself, if there is one of the other sign."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value == INT_MIN:
        return None
    return value


def _double(value: Any) -> float | None:
    match value:
        case bool():
            return None
        case str() if _DOUBLE.fullmatch(value):
            value = float(value)
        case int() | float():
            value = float(value)
        case _:
            return None
    return value if abs(value) != float("inf") else None


def _string(value: Any) -> str | None:
    match value:
        case str():
            return value
        case int() if not isinstance(value, bool):
            return str(value)
        case _:
            return None


def _timestamp(value: Any) -> datetime | None:
    match value:
        case datetime():
            return value
        case str():
            return timestamp(value)
        case int() if not isinstance(value, bool):
            try:
                return datetime.fromtimestamp(value, UTC)
            except (OverflowError, ValueError, OSError):
                return None
        case _:
            return None


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "f_double": _double,
    "f_int": _int,
    "f_negatable": _negatable,
    "f_part": _part,
    "f_size": _size,
    "f_string": _string,
    "f_timestamp": _timestamp,
    "f_within": _within,
}
"""By the names that the evaluator calls them by; no condition can call one itself."""
