from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.tokens import compact
from authz_middleware.tokens.compact import MAX_TOKEN_LENGTH, parse
from authz_middleware.tokens.rejection import Rejected
from tests.tokens.minting import b64, mint, raw

GOOD = mint()
H, P, S = GOOD.split(".")

MALFORMED = {
    "empty": ("", "not_a_jwt"),
    "one segment": (H, "not_a_jwt"),
    "S02 two segments": (f"{H}.{P}", "not_a_jwt"),
    "S02 four segments": (f"{GOOD}.{S}", "not_a_jwt"),
    "S02 P05 five segments, a JWE": (f"{GOOD}.{S}.{S}", "not_a_jwt"),
    "S02 JSON serialization": ('{"payload":""}', "not_a_jwt"),
    "S01 padded header": (f"{H}=.{P}.{S}", "not_a_jwt"),
    "S01 padded signature": (f"{H}.{P}.{S}==", "not_a_jwt"),
    "S01 a line break at the end": (GOOD + "\n", "not_a_jwt"),
    "P16 a brace": (f"{{{GOOD}", "not_a_jwt"),
    "J15 a lone surrogate": (GOOD + "\ud800", "not_a_jwt"),
    "fullwidth dots": (GOOD.replace(".", "\uff0e"), "not_a_jwt"),
    "S01 a length that nothing has": (f"{H}.{P}.{S}AAA", "not_base64url"),
    "S01 unused bits": (f"{H}.{P}.AB", "not_base64url"),
    "too long": ("A" * (MAX_TOKEN_LENGTH + 1), "too_long"),
    "empty header": (f".{P}.{S}", "not_json"),
    "empty payload": (f"{H}..{S}", "not_json"),
}


@pytest.mark.parametrize(("token", "detail"), MALFORMED.values(), ids=MALFORMED)
def test_malformed(token: str, detail: str) -> None:
    with pytest.raises(Rejected) as refused:
        parse(token)
    assert refused.value.detail == detail


HEADERS = {
    "S03 a list": (b"[]", "header_not_an_object"),
    "S03 a string": (b'"alg"', "header_not_an_object"),
    "S03 two algs": (b'{"alg":"ES256","alg":"none"}', "duplicate_member"),
    "S05 no alg": (b'{"typ":"at+jwt"}', "missing_header:alg"),
    "S05 alg is a list": (b'{"alg":["ES256"]}', "bad_header:alg"),
    "S05 alg is null": (b'{"alg":null}', "bad_header:alg"),
    "S09 kid is a number": (b'{"alg":"ES256","kid":1}', "bad_header:kid"),
    "S09 kid is null": (b'{"alg":"ES256","kid":null}', "bad_header:kid"),
    "S10 typ is an object": (b'{"alg":"ES256","typ":{}}', "bad_header:typ"),
    "S10 typ is empty": (b'{"alg":"ES256","typ":""}', "bad_header:typ"),
    "S10 cty is true": (b'{"alg":"ES256","cty":true}', "bad_header:cty"),
    "S04 crit": (b'{"alg":"ES256","crit":["x"],"x":1}', "header_not_allowed:crit"),
    "S04 empty crit": (b'{"alg":"ES256","crit":[]}', "header_not_allowed:crit"),
    "S04 crit names b64": (b'{"alg":"ES256","crit":["b64"],"b64":true}', "header_not_allowed:crit"),
    "S11 b64": (b'{"alg":"ES256","b64":false}', "header_not_allowed:b64"),
    "S13 P07 zip": (b'{"alg":"ES256","zip":"DEF"}', "header_not_allowed:zip"),
    "S13 enc": (b'{"alg":"ES256","enc":"A128GCM"}', "header_not_allowed:enc"),
    "S13 epk": (b'{"alg":"ES256","epk":{}}', "header_not_allowed:epk"),
    "P15 p2c": (b'{"alg":"ES256","p2c":9999999}', "header_not_allowed:p2c"),
    "J14 nested": (b'{"alg":"ES256","cty":"JWT"}', "nested_token"),
    "J14 nested, spelled out": (b'{"alg":"ES256","cty":"application/jwt"}', "nested_token"),
}


@pytest.mark.parametrize(("header", "detail"), HEADERS.values(), ids=HEADERS)
def test_headers_refused(header: bytes, detail: str) -> None:
    with pytest.raises(Rejected) as refused:
        parse(raw(header, b"{}"))
    assert refused.value.detail == detail


@pytest.mark.parametrize("payload", [b"[]", b'"foo"', b"1", b"null"], ids=repr)
def test_a_payload_is_an_object(payload: bytes) -> None:
    """J02, RFC 7519 §7.2 step 10."""
    with pytest.raises(Rejected) as refused:
        parse(raw(b'{"alg":"ES256"}', payload))
    assert refused.value.detail == "payload_not_an_object"


def test_the_parts_of_a_token() -> None:
    header: dict[str, Any] = {"kid": "k", "cty": "json", "jku": 1, "jwk": 2, "x5u": 3, "x5c": 4}
    token = mint(header)
    parts = parse(token)
    assert parts.header == {"alg": "ES256", "typ": "at+jwt", **header}
    assert parts.payload["sub"] == "ann"
    assert parts.signing_input == token.rpartition(".")[0].encode()
    assert b64(parts.signature) == token.rpartition(".")[2]


def test_a_token_never_shows_in_a_representation() -> None:
    assert repr(parse(GOOD)) == "Unverified()"
    assert repr(compact.decode(GOOD)) == "Signed()"


pieces = st.sampled_from([H, P, S, ".", "=", "e30", "A", "", "_", "\u0661", "{}", " "])


@given(st.text() | st.lists(pieces).map("".join))
def test_any_text_is_a_token_or_refused(text: str) -> None:
    try:
        parts = parse(text)
    except Rejected as rejected:
        quoted = len(text) >= 20 and text in rejected.detail
        assert not quoted, "a detail never holds token text"
    else:
        assert isinstance(parts.payload, dict)


@given(st.binary(), st.binary())
def test_any_bytes_inside_are_a_token_or_refused(header: bytes, payload: bytes) -> None:
    for head in (header, b'{"alg":"ES256"}'):
        try:
            parse(f"{b64(head)}.{b64(payload)}.")
        except Rejected:
            continue
