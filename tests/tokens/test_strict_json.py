from __future__ import annotations

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.tokens import strict_json
from authz_middleware.tokens.rejection import Rejected
from authz_middleware.tokens.strict_json import MAX_DEPTH, MAX_DIGITS, loads

REFUSED = {
    "empty text": (b"", "not_json"),
    "two values": (b"{}{}", "not_json"),
    "J03 UTF-16": ('{"a":1}'.encode("utf-16"), "json_not_utf8"),
    "J03 UTF-16 without a mark": ('{"a":1}'.encode("utf-16-le"), "not_json"),
    "J03 UTF-32": ('{"a":1}'.encode("utf-32-be"), "not_json"),
    "J03 byte order mark": (b"\xef\xbb\xbf{}", "json_not_utf8"),
    "a surrogate in UTF-8": (b'"\xed\xa0\x80"', "json_not_utf8"),
    "overlong UTF-8": (b'"\xc0\xaf"', "json_not_utf8"),
    "S03 two equal names": (b'{"a":1,"a":2}', "duplicate_member"),
    "S03 equal after unescaping": (b'{"a":1,"\\u0061":2}', "duplicate_member"),
    "S03 equal names below": (b'[{"b":{"a":1,"a":1}}]', "duplicate_member"),
    "J04 NaN": (b"NaN", "not_json"),
    "J04 Infinity": (b"[Infinity]", "not_json"),
    "J04 -Infinity": (b'{"exp":-Infinity}', "not_json"),
    "J16 a float beyond range": (b"1e400", "json_number_range"),
    "J16 a negative one": (b"[-1e400]", "json_number_range"),
    "J15 too many digits": (b"1" * (MAX_DIGITS + 1), "json_number_range"),
    "J13 a lone surrogate": (b'"\\ud800"', "json_lone_surrogate"),
    "J13 the second half alone": (b'["\\uDFFF"]', "json_lone_surrogate"),
    "J13 a lone surrogate in a name": (b'{"\\udbff":1}', "json_lone_surrogate"),
    "J13 halves in the wrong order": (b'"\\udc00\\ud800"', "json_lone_surrogate"),
    "J15 too deep": (b"[" * 33 + b"]" * 33, "json_too_deep"),
    "J15 much too deep": (b'{"a":' * 100_000, "json_too_deep"),
    "a control character in a string": (b'"\n"', "not_json"),
    "a string without an end, full of brackets": (b'"' + b"[" * 99, "not_json"),
    "a comment": (b"{} // no", "not_json"),
    "single quotes": (b"{'a':1}", "not_json"),
    "trailing comma": (b"[1,]", "not_json"),
}


@pytest.mark.parametrize(("data", "detail"), REFUSED.values(), ids=REFUSED)
def test_refused(data: bytes, detail: str) -> None:
    with pytest.raises(Rejected) as refused:
        loads(data)
    assert refused.value.detail == str(refused.value) == detail


ACCEPTED = {
    "white space around": b' \t{"a": 1}\r\n',
    "white space behind": b'{"a": 1} ',
    "spaces around": b' \r\n\t{"a": 1} ',
    "a pair of surrogates": b'"\\ud83d\\ude00"',
    "an escaped backslash before ud800": b'"\\\\ud800"',
    "as deep as allowed": b"[" * MAX_DEPTH + b"]" * MAX_DEPTH,
    "brackets in a string are no depth": b'"' + b"[" * 99 + b'"',
    "an escaped quote among brackets": b'["\\"' + b"[" * 99 + b'"]',
    "many brackets side by side": b"[" + b",".join([b"[]"] * 99) + b"]",
    "as many digits as allowed": b"9" * MAX_DIGITS,
    "a float that is too small to tell": b"1e-400",
}


@pytest.mark.parametrize("data", ACCEPTED.values(), ids=ACCEPTED)
def test_read_as_python_reads_it(data: bytes) -> None:
    assert loads(data) == json.loads(data)


def test_as_many_digits_as_python_always_allows() -> None:
    """The interpreter's own limit can be set, but not below ours."""
    assert sys.int_info.str_digits_check_threshold >= MAX_DIGITS


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=20,
)


@given(json_values, st.booleans())
def test_whatever_python_writes_is_read_back(value: object, ascii_only: bool) -> None:
    assert loads(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@given(st.binary() | st.text(alphabet='[]{}",:\\ud80eE+-.019tfnNaIl ').map(str.encode))
def test_total_and_never_more_lenient_than_python(data: bytes) -> None:
    try:
        value = loads(data)
    except Rejected:
        return
    assert value == json.loads(data)


def test_hostile_strings_cost_one_pass() -> None:
    """A text of half a million escaped quotes in a string without an end is no work."""
    with pytest.raises(Rejected):
        strict_json.loads(b"[" * 40 + b'"' + b'\\"' * 500_000)
