"""The table `introspection` of an issuer: every way to write it, right and wrong."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any
from urllib.parse import unquote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from authz_middleware.document import Document, Report, Section
from authz_middleware.errors import PolicyError
from authz_middleware.tokens import issuers
from authz_middleware.tokens.introspection import judge
from authz_middleware.tokens.introspection_table import Introspection
from authz_middleware.tokens.issuers import Issuer
from authz_middleware.tokens.rejection import Rejected

ISSUER = "https://login.example.com"
ENDPOINT = "https://login.example.com/introspect"
FILES = {
    "secret": b"s3cr3t+/=\n",
    "empty": b"",
    "lines": b"lineone\ntwo\n",
    "bytes": b"\xffx",
}
ENVIRON = {"SECRET": "s3cr3t", "EMPTY": "", "SPACED": "q w", "ODD": "a\nb", "LATIN": "é"}


def read_file(name: str) -> bytes:
    if "\0" in name:
        raise ValueError("embedded null byte")
    if name not in FILES:
        raise FileNotFoundError(2, "No such file or directory", name)
    return FILES[name]


def load_all(*tables: dict[str, Any]) -> tuple[Issuer, ...]:
    report = Report(Document.from_mapping({"issuers": list(tables)}))
    sections = Section.top(report).tables("issuers")
    found = issuers.load(sections, read_file=read_file, environ=ENVIRON)
    report.raise_if_any()
    return found


def table(issuer: str = ISSUER, *, beside: dict[str, Any] | None = None, **keys: Any) -> Any:
    """One issuer; a key of `introspection` given as `...` is left out."""
    usual = {"endpoint": ENDPOINT, "client_id": "orders", "client_secret_env": "SECRET"}
    introspection = {name: value for name, value in (usual | keys).items() if value is not ...}
    named = {"issuer": issuer, "audience": "orders", "introspection": introspection}
    return named | (beside or {})


def load(**keys: Any) -> Introspection:
    (issuer,) = load_all(table(**keys))
    assert isinstance(issuer.source, Introspection)
    return issuer.source


def problems(*tables: dict[str, Any]) -> list[str]:
    with pytest.raises(PolicyError) as refused:
        load_all(*tables)
    return [str(problem) for problem in refused.value.problems]


BEARER = {"auth": "bearer", "client_id": ..., "client_secret_env": ...}


def test_defaults() -> None:
    source = load()
    assert source == Introspection(
        ISSUER, ENDPOINT, "", 30.0, f"Basic {basic('orders:s3cr3t')}", ()
    )


def basic(pair: str) -> str:
    return b64encode(pair.encode()).decode()


@pytest.mark.parametrize(
    ("keys", "authorization", "form"),
    [
        pytest.param({}, f"Basic {basic('orders:s3cr3t')}", (), id="basic by default"),
        pytest.param({"auth": "basic"}, f"Basic {basic('orders:s3cr3t')}", (), id="basic"),
        pytest.param(
            {"client_id": "a:b c", "client_secret_env": ..., "client_secret_file": "secret"},
            f"Basic {basic('a%3Ab+c:s3cr3t%2B%2F%3D')}",
            (),
            id="basic, encoded first",
        ),
        pytest.param(
            {"auth": "post"},
            None,
            (("client_id", "orders"), ("client_secret", "s3cr3t")),
            id="post",
        ),
        pytest.param(
            {"auth": "post", "client_secret_env": "SPACED"},
            None,
            (("client_id", "orders"), ("client_secret", "q w")),
            id="post, with a space",
        ),
        pytest.param(BEARER | {"bearer_token_env": "SECRET"}, "Bearer s3cr3t", (), id="bearer"),
        pytest.param(
            BEARER | {"bearer_token_file": "secret"}, "Bearer s3cr3t+/=", (), id="bearer, a file"
        ),
    ],
)
def test_how_we_say_who_asks(
    keys: dict[str, Any], authorization: str | None, form: tuple[tuple[str, str], ...]
) -> None:
    """I02: client credentials or a bearer token; RFC 6749 §2.3.1."""
    source = load(**keys)
    assert (source.authorization, source.form) == (authorization, form)


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1))
def test_basic_can_be_undone(client: str) -> None:
    assume("${" not in client)  # that would name a variable of the environment
    authorization = load(client_id=client).authorization
    assert authorization is not None
    name, _, secret = b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
    assert (unquote_plus(name), unquote_plus(secret)) == (client, "s3cr3t")


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:8080/i", "http://[::1]/i?realm=a"])
def test_plain_http_on_this_machine(endpoint: str) -> None:
    assert load(endpoint=endpoint).endpoint == endpoint


@pytest.mark.parametrize("cache", [0, 1.5, 60])
def test_cache(cache: float) -> None:
    """I08: 0 asks each time."""
    assert load(cache=cache).cache == cache


NO_SECRET = {"client_secret_env": ...}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown key": ({"client": "x"}, "is not a key of `issuers[0].introspection`"),
    "no endpoint": ({"endpoint": ...}, "`endpoint` is missing"),
    "endpoint empty": ({"endpoint": ""}, "`endpoint` is empty"),
    "endpoint a list": ({"endpoint": []}, "must be a string"),
    "I02 plain http": ({"endpoint": "http://login.example.com/i"}, "plain http to another"),
    "endpoint with a user": ({"endpoint": "https://a:b@x/i"}, "a user name or a fragment"),
    "endpoint with a fragment": ({"endpoint": "https://x/i#a"}, "a user name or a fragment"),
    "endpoint no URL": ({"endpoint": "introspect"}, "is not an http URL with a host"),
    "I02 no client": ({"client_id": ...}, "`client_id` is missing"),
    "client_id empty": ({"client_id": ""}, "`client_id` is empty"),
    "client_id of other letters": ({"client_id": "é"}, "printable ASCII"),
    "I02 no secret": (NO_SECRET, "there is no secret to say who asks"),
    "two secrets": ({"client_secret_file": "secret"}, "`client_secret_file` beside `client_sec"),
    "secret not set": ({"client_secret_env": "NOPE"}, "the environment variable NOPE is not set"),
    "secret empty": ({"client_secret_env": "EMPTY"}, "EMPTY is not set, or empty"),
    "secret in place of its name": ({"client_secret_env": "hunter 2"}, "not the name of an envir"),
    "secret a number": ({"client_secret_env": 7}, "must be a string"),
    "secret over lines": ({"client_secret_env": "ODD"}, "holds characters that it cannot have"),
    "secret of other letters": ({"client_secret_env": "LATIN"}, "holds characters"),
    "file empty": (NO_SECRET | {"client_secret_file": "empty"}, "holds characters"),
    "file over lines": (NO_SECRET | {"client_secret_file": "lines"}, "holds characters"),
    "file of bytes": (NO_SECRET | {"client_secret_file": "bytes"}, "holds characters"),
    "file not there": (NO_SECRET | {"client_secret_file": "no"}, "No such file or directory"),
    "file no name": (NO_SECRET | {"client_secret_file": "a\0"}, "not a file name"),
    "auth unknown": ({"auth": "none"}, '`auth` cannot be "none"'),
    "auth of another kind": ({"auth": True}, "must be a string"),
    "token for basic": ({"bearer_token_env": "SECRET"}, '`bearer_token_env` is not for `auth = "b'),
    "client for bearer": (
        BEARER | {"client_id": "x", "bearer_token_env": "SECRET"},
        '`client_id` is not for `auth = "bearer"`',
    ),
    "no bearer token": (BEARER, "there is no secret to say who asks"),
    "bearer token with a space": (BEARER | {"bearer_token_env": "SPACED"}, "holds characters"),
    "cache below 0": ({"cache": -1}, "from 0 to 60 seconds"),
    "I07 cache for long": ({"cache": 61}, "from 0 to 60 seconds"),
    "cache true": ({"cache": True}, "must be a number"),
}


@pytest.mark.parametrize(("keys", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_at_load(keys: dict[str, Any], message: str) -> None:
    found = problems(table(**keys))
    assert any(message in problem for problem in found), found
    assert len(found) == 1, found
    assert not any(secret in str(found) for secret in ("s3cr3t", "hunter 2", "q w", "lineone"))


BESIDE: dict[str, tuple[dict[str, Any], str]] = {
    "keys": ({"jwks_uri": "https://x/jwks"}, "`jwks_uri` beside `introspection`"),
    "a secret": ({"secret_env": "SECRET"}, "`secret_env` beside `introspection`"),
    "algorithms": ({"algorithms": ["RS256"]}, "`algorithms` beside `introspection`"),
    "token types": ({"token_types": ["JWT"]}, "`token_types` beside `introspection`"),
    "a preset": ({"preset": "okta"}, "this `preset` beside `introspection`"),
    "no preset": ({"preset": 7}, "must be a string"),
    "no table": ({"introspection": "https://x"}, "must be a table"),
    "an empty table": ({"introspection": {}}, "`endpoint` is missing"),
    "prefix empty": ({"prefix": ""}, "`prefix` is empty"),
    "prefix that no token has": ({"prefix": "tok:"}, "no bearer token can begin with"),
    "prefix with an end": ({"prefix": "tok="}, "no bearer token can begin with"),
    "no issuer": ({"issuer": ""}, "`issuer` is empty"),
}


@pytest.mark.parametrize(("beside", "message"), BESIDE.values(), ids=BESIDE)
def test_what_does_not_go_with_it(beside: dict[str, Any], message: str) -> None:
    found = problems(table(beside=beside))
    assert any(message in problem for problem in found), found


def test_the_preset_whose_answers_are_known() -> None:
    """Keycloak's answers carry what its access tokens carry, `typ` included."""
    realm = "https://login.example.com/realms/shop"
    (issuer,) = load_all(table(realm, beside={"preset": "keycloak"}))
    assert isinstance(issuer.source, Introspection)
    answer = {"active": True, "iss": realm, "aud": "orders", "sub": "ann", "exp": 2e9}
    answer |= {"realm_access": {"roles": ["viewer"]}}
    principal = judge(answer | {"typ": "Bearer"}, issuer, 1e9).principal
    assert principal.roles == {"viewer"}
    for typ in ("Refresh", "ID"):
        with pytest.raises(Rejected, match="type_not_allowed"):
            judge(answer | {"typ": typ}, issuer, 1e9)
    with pytest.raises(Rejected, match="not_an_access_token"):
        judge(answer, issuer, 1e9)


def test_a_prefix_alone() -> None:
    (problem,) = problems({"issuer": ISSUER, "audience": "x", "prefix": "tok_"})
    assert "there is no `introspection`" in problem


def two(first: str | None, second: str | None) -> list[dict[str, Any]]:
    prefixes = [{} if each is None else {"prefix": each} for each in (first, second)]
    return [
        table(name, beside={"grants": ["*"], **prefix})
        for name, prefix in zip((ISSUER, "https://b.example.com"), prefixes, strict=True)
    ]


def test_two_issuers_of_opaque_tokens() -> None:
    first, second = load_all(*two("a_", "b_"))
    assert isinstance(first.source, Introspection)
    assert isinstance(second.source, Introspection)
    assert (first.source.prefix, second.source.prefix) == ("a_", "b_")


@pytest.mark.parametrize(
    ("first", "second", "count", "message"),
    [
        pytest.param(None, None, 2, "each needs a `prefix`", id="neither"),
        pytest.param("a_", None, 1, "each needs a `prefix`", id="one"),
        pytest.param("a_", "a_", 1, "fit the same tokens", id="the same"),
        pytest.param("a_", "a_b", 1, "fit the same tokens", id="longer"),
        pytest.param("a_b", "a_", 1, "fit the same tokens", id="shorter"),
    ],
)
def test_no_token_may_fit_two_issuers(
    first: str | None, second: str | None, count: int, message: str
) -> None:
    found = problems(*two(first, second))
    assert len(found) == count
    assert all(message in problem for problem in found)


def test_beside_an_issuer_with_keys_no_prefix_is_needed() -> None:
    keys = {"issuer": "https://c", "audience": "x", "jwks_uri": "https://c/j", "grants": ["*"]}
    opaque, _ = load_all(table(beside={"grants": ["*"]}), keys)
    assert isinstance(opaque.source, Introspection)
    assert opaque.source.prefix == ""
