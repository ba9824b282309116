from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.tokens import base64url

REFUSED = {
    "S01 padding": "YQ==",
    "S01 a space": "Y Q",
    "S01 a line break": "YQ\n",
    "the other alphabet": "_+8",
    "a length of one": "A",
    "a length of five": "AAAAA",
    "unused bits": "YR",
    "unused bits after two bytes": "YWJ",
    "letters beyond ASCII": "ÄÖ",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_refused(text: str) -> None:
    with pytest.raises(ValueError):
        base64url.decode(text)


@given(st.binary())
def test_each_value_has_one_spelling(data: bytes) -> None:
    text = base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    assert base64url.decode(text) == data


@given(st.text(alphabet="AQgw_-Zz09", max_size=9))
def test_two_spellings_never_mean_the_same(text: str) -> None:
    try:
        data = base64url.decode(text)
    except ValueError:
        return
    assert base64.urlsafe_b64encode(data).rstrip(b"=").decode() == text
