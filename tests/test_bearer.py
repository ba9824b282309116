"""The Authorization field in, WWW-Authenticate out; ids name rules of RFC 6750 and RFC 9110."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import WWWAuthenticate

from authz_middleware.bearer import MAX_LENGTH, Presented, challenge, parse

ABSENT, MALFORMED = Presented.ABSENT, Presented.MALFORMED

ONE_FIELD = {
    # Bearer
    "B01 a token": (b"Bearer abc.def.ghi", "abc.def.ghi"),
    "B02 every character": (b"Bearer aZ09-._~+/==", "aZ09-._~+/=="),
    "B02 several spaces": (b"Bearer   abc", "abc"),
    "B03 lower case": (b"bearer abc", "abc"),
    "B03 H01 mixed case": (b"bEaReR abc", "abc"),
    "H05 white space around": (b" \tBearer abc\t ", "abc"),
    "B02 padding only": (b"Bearer ==", MALFORMED),
    "B02 padding inside": (b"Bearer a=b", MALFORMED),
    "B02 a quoted token": (b'Bearer "abc"', MALFORMED),
    "B02 a parameter": (b'Bearer token="abc"', MALFORMED),
    "B02 a tab between": (b"Bearer\tabc", MALFORMED),
    "B02 a tab after a space": (b"Bearer \tabc", MALFORMED),
    "B02 no space": (b"Bearer:abc", MALFORMED),
    "B02 percent": (b"Bearer a%2e", MALFORMED),
    "B02 non-ASCII": ("Bearer é".encode(), MALFORMED),
    "B02 latin-1": (b"Bearer \xe9", MALFORMED),
    "H02 two words": (b"Bearer abc def", MALFORMED),
    "H02 a scheme and Bearer": (b"Bearer Bearer abc", MALFORMED),
    "B22 scheme alone": (b"Bearer", MALFORMED),
    "B22 scheme and a space": (b"Bearer ", MALFORMED),
    "B22 lower-case scheme alone": (b"bearer", MALFORMED),
    "H05 NUL in the token": (b"Bearer a\x00b", MALFORMED),
    "H05 NUL at the end": (b"Bearer abc\x00", MALFORMED),
    "H05 LF at the end": (b"Bearer abc\n", MALFORMED),
    "H05 LF before": (b"\nBearer abc", MALFORMED),
    "H05 CR LF and a field": (b"Bearer abc\r\nX: y", MALFORMED),
    "H05 vertical tab at the end": (b"Bearer abc\x0b", MALFORMED),
    # Repeated: WSGI servers join with a comma
    "H04 Y12 two tokens": (b"Bearer abc, Bearer def", MALFORMED),
    "H04 Y12 the same twice": (b"Bearer abc,Bearer abc", MALFORMED),
    "H04 Y12 a comma after": (b"Bearer abc,", MALFORMED),
    "H04 Y12 a comma before": (b", Bearer abc", MALFORMED),
    "H04 Y12 Basic, then Bearer": (b"Basic dTpw, Bearer abc", MALFORMED),
    "H04 Y12 Basic,Bearer": (b"Basic dTpw,Bearer abc", MALFORMED),
    "H04 Y12 Bearer, then Basic": (b"Bearer abc, Basic dTpw", MALFORMED),
    "H04 Y12 Digest, then Bearer": (b'Digest username="u", realm="r", Bearer abc', MALFORMED),
    "H04 Y12 DPoP, then Bearer": (b"DPoP abc, Bearer def", MALFORMED),
    # Schemes that we do not speak
    "H02 Basic": (b"Basic dTpw", ABSENT),
    "H02 Negotiate alone": (b"Negotiate", ABSENT),
    "H02 Digest": (b'Digest username="u", realm="r", nc=00000001, qop=auth', ABSENT),
    "H02 AWS4": (b"AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host;date, Signature=c", ABSENT),
    "H02 DPoP, not built yet": (b"DPoP abc.def.ghi", ABSENT),
    "H02 a scheme that begins so": (b"Bearers abc", ABSENT),
    "H02 a token without a scheme": (b"abc.def.ghi", ABSENT),
    "H02 a tab in the rest": (b"Basic\tdTpw", MALFORMED),
    "H02 no scheme": (b'"Bearer" abc', MALFORMED),
    "H02 a colon": (b"Authorization: Bearer abc", MALFORMED),
    "H05 NUL in another scheme": (b"Basic a\x00", MALFORMED),
    "H05 LF in another scheme": (b"Basic a\n", MALFORMED),
    "H02 non-ASCII scheme": ("Bäsic abc".encode(), MALFORMED),
    "H02 empty": (b"", MALFORMED),
    "H05 white space only": (b" \t ", MALFORMED),
    # H18
    "H18 the longest": (b"Bearer " + b"a" * (MAX_LENGTH - 7), "a" * (MAX_LENGTH - 7)),
    "H18 too long": (b"Bearer " + b"a" * (MAX_LENGTH - 6), MALFORMED),
    "H18 too long by spaces": (b"Bearer abc" + b" " * MAX_LENGTH, MALFORMED),
    "H18 too long, another scheme": (b"Basic " + b"a" * MAX_LENGTH, MALFORMED),
}


@pytest.mark.parametrize(("value", "presented"), ONE_FIELD.values(), ids=ONE_FIELD)
def test_one_field(value: bytes, presented: str | Presented) -> None:
    assert parse((value,)) == presented


def test_no_field_is_absent() -> None:
    assert parse(()) is ABSENT


@pytest.mark.parametrize(
    "values",
    [
        (b"Bearer abc", b"Bearer def"),
        (b"Bearer abc", b"Bearer abc"),
        (b"Bearer abc", b""),
        (b"", b"Bearer abc"),
        (b"Basic dTpw", b"Bearer abc"),
        (b"Basic dTpw", b"Basic dTpw"),
        (b"Bearer abc",) * 3,
    ],
)
def test_h04_repeated_fields_are_malformed(values: tuple[bytes, ...]) -> None:
    assert parse(values) is MALFORMED


GRAMMAR = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
near = st.lists(
    st.sampled_from(
        [b"Bearer", b"bearer", b"Basic", b"DPoP", b" ", b"\t", b",", b"=", b"abc", b'"', b"\x00"]
    ),
    max_size=8,
).map(b"".join)


@given(st.lists(st.one_of(st.binary(), near), max_size=3).map(tuple))
def test_any_bytes_have_an_outcome_and_a_token_is_of_the_grammar(values: tuple[bytes, ...]) -> None:
    presented = parse(values)
    if isinstance(presented, str):
        (value,) = values
        assert GRAMMAR.fullmatch(presented)
        scheme, _, rest = value.strip(b" \t").partition(b" ")
        assert scheme.lower() == b"bearer"
        assert rest.strip(b" ").decode() == presented
    else:
        assert presented in Presented


@given(st.from_regex(GRAMMAR, fullmatch=True))
def test_every_token_of_the_grammar_is_read(token: str) -> None:
    assert parse((b"Bearer " + token.encode(),)) == token


@pytest.mark.parametrize(
    "start", [b"Basic", b"Bearer", b"Basic ,", b"Basic , a", b"a", b'Digest a="', b"Basic a,b "]
)
@pytest.mark.parametrize("filler", [b" ", b"\t", b",", b", ", b",a ", b"a", b" ="])
def test_h18_the_work_grows_with_the_length_only(start: bytes, filler: bytes) -> None:
    """Two ways to share the spaces once made this a second and a half per request."""
    value = (start + filler * MAX_LENGTH)[: MAX_LENGTH - 1] + b"\x80"
    began = time.process_time()
    assert parse((value,)) is MALFORMED
    assert time.process_time() - began < 0.25


# Challenges

texts = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters='"\\'), min_size=1
)
scope_texts = st.lists(
    st.text(
        st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='"\\'), min_size=1
    ),
    max_size=4,
).map(tuple)


@given(
    texts,
    st.sampled_from((None, "invalid_token", "insufficient_scope", "invalid_request")),
    scope_texts,
    scope_texts,
    st.none() | st.integers(0),
    st.sampled_from((None, "https://api.example.com/.well-known/oauth-protected-resource/a?b")),
)
def test_another_parser_reads_the_challenge_back(
    realm, error, scopes, acr, max_age, resource_metadata
) -> None:
    text = challenge(
        realm,
        error=error,
        scopes=scopes,
        acr_values=acr,
        max_age=max_age,
        resource_metadata=resource_metadata,
    )
    read = WWWAuthenticate.from_header(text)
    assert read is not None
    assert read.type == "bearer"
    expected = {"realm": realm, "error": error, "resource_metadata": resource_metadata}
    expected["scope"] = " ".join(scopes) or None
    expected["acr_values"] = " ".join(acr) or None
    expected["max_age"] = None if max_age is None else str(max_age)
    assert dict(read.parameters) == {name: text for name, text in expected.items() if text}


def test_b10_a_challenge_is_never_a_bare_scheme() -> None:
    assert challenge("api") == 'Bearer realm="api"'


def test_b15_b16_each_parameter_once_and_quoted() -> None:
    text = challenge(
        "api", error="insufficient_scope", scopes=("a", "b:c"), resource_metadata="https://x/y"
    )
    assert text == (
        'Bearer realm="api", error="insufficient_scope", scope="a b:c",'
        ' resource_metadata="https://x/y"'
    )
    names = re.findall(r'([a-z_]+)="', text)
    assert len(names) == len(set(names))
