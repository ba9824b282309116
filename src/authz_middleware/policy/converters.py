"""What a typed segment takes for certain, and what some framework would take in its place.

`strict` is what every framework's `int`, `float` or `uuid` converter accepts. `loose` is what at
least one accepts beyond that: a sign, an underscore, a space, another script's digits, a number
with an exponent, an identifier without its hyphens. Such a segment reaches the typed handler in
one app and not in another, so no looser rule may decide it. `loose` may name too much (that is a
400 too many), never too little.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, Literal
from uuid import UUID

__all__ = ["KINDS", "Kind", "loose", "strict"]

Kind = Literal["int", "float", "uuid"]
KINDS: Final[tuple[Kind, ...]] = ("int", "float", "uuid")

_strict: Mapping[Kind, Callable[[str], object]] = {
    "int": re.compile(r"[0-9]{1,4000}").fullmatch,  # int() itself gives up at 4,300 digits
    "float": re.compile(r"[0-9]+\.[0-9]+").fullmatch,  # Werkzeug's needs the point
    "uuid": re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch,  # Django's case
}


# Signs, also behind leading zeros (pydantic strips those first), underscores, a fraction, an
# exponent (msgspec takes `1e3` for an int), white space around. Possessive: no retries.
_number = re.compile(
    r"\s*+[+-]?[0_]*+[+-]?[\d_]*+(?P<fraction>\.[\d_]*+)?(?P<exponent>[eE][+-]?[\d_]++)?\s*+"
).fullmatch


def _loose_int(text: str) -> bool:
    """Python's int(), `\\d+` in regular expressions, pydantic (`0-1`, `1.0`), msgspec (`1e3`)."""
    if text.strip(" +-_").isdigit():
        return True  # also the digits that are no number to int(), such as superscripts
    number = _number(text)
    if number is None or not any(map(str.isdecimal, text)):
        return False
    return bool(number["exponent"]) or not (number["fraction"] or "").strip("._0")


def _loose_float(text: str) -> bool:
    """float() of Python, with an underscore anywhere as pydantic takes it."""
    if _loose_int(text):
        return True
    if _number(text) and any(map(str.isdecimal, text)):
        return True
    try:
        float(text.replace("_", ""))
    except ValueError:
        return False
    return True


def _loose_uuid(text: str) -> bool:
    """uuid.UUID() of Python: braces, `urn:uuid:`, hyphens anywhere or nowhere."""
    if len(text) < 32:
        return False
    try:
        UUID(text.lower())  # its `urn:` is lower case only; RFC 9562 §4 says any case
    except ValueError:
        return False
    return True


_loose: Mapping[Kind, Callable[[str], bool]] = {
    "int": _loose_int,
    "float": _loose_float,
    "uuid": _loose_uuid,
}


def strict(kind: Kind, text: str) -> bool:
    """Say whether every framework's `kind` converter takes `text`."""
    return _strict[kind](text) is not None


def loose(kind: Kind, text: str) -> bool:
    """Say whether some framework's `kind` converter takes `text`, which `strict` refused."""
    return _loose[kind](text)
