"""JSON as RFC 8259 and RFC 7515 §4 have it, and nothing that Python reads besides.

`json.loads` guesses UTF-16 and UTF-32, takes `NaN`, keeps the last of two equal names, lets
lone surrogates in, and recurses as deep as the text asks. Each of these is a way for two
parties to read one token differently, or to turn a bad token into a 500.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final, NoReturn

from authz_middleware.tokens.rejection import Rejected

__all__ = ["MAX_DEPTH", "MAX_DIGITS", "loads"]

# Access tokens nest three or four levels (`resource_access.<client>.roles`).
MAX_DEPTH = 32

# The least that `sys.set_int_max_str_digits` can be set to: within it `int()` never refuses.
MAX_DIGITS = 640

# A string (to its end, or to the end of the text: the parser will refuse that one) or a bracket.
# Possessive, so that hostile text costs one pass.
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[{\]}]', re.DOTALL)
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


def loads(data: bytes) -> Any:
    """Return the JSON value that `data` spells in UTF-8, or raise Rejected."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Rejected("json_not_utf8") from None
    if text.startswith("\ufeff"):  # RFC 8259 §8.1: no byte order mark
        raise Rejected("json_not_utf8")
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _check_depth(text)
    # A text that is short holds no number that is too long.
    decoder = _DECODER if len(text) > MAX_DIGITS else _SHORT_DECODER
    try:
        value, end = decoder.raw_decode(text) if text[:1] == "{" else (None, -1)
        if end != len(text):  # white space, or another value, or more than one
            value = decoder.decode(text)
    except ValueError:
        raise Rejected("not_json") from None
    if "\\u" in text and _SURROGATE_ESCAPE.search(text):
        _check_surrogates(value)
    return value


def _check_depth(text: str) -> None:
    depth = 0
    for found in _STRING_OR_BRACKET.finditer(text):
        first = found[0][0]
        if first in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise Rejected("json_too_deep")
        elif first in "]}":
            depth -= 1


def _check_surrogates(value: Any) -> None:
    # A lone surrogate cannot be written as UTF-8: not to a log, not to a header, not to a store.
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise Rejected("json_lone_surrogate") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Rejected("duplicate_member")
    return members


def _constant(_name: str) -> NoReturn:
    raise Rejected("not_json")


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise Rejected("json_number_range")
    return value


def _int(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise Rejected("json_number_range")
    return int(text)


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_constant, parse_float=_float, parse_int=_int
)
_SHORT_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_constant, parse_float=_float
)
