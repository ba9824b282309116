"""Opaque tokens, the pure half: whom to ask, what to ask, what the answer proves (RFC 7662)."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.facts import Actor
from authz_middleware.tokens import introspection
from authz_middleware.tokens.introspection import NoAnswer, OpaqueToken
from authz_middleware.tokens.introspection_table import Introspection
from authz_middleware.tokens.issuers import ClaimPaths, Discovery, Issuer
from authz_middleware.tokens.rejection import Rejected
from tests.tokens.minting import ISSUER, NOW, b64, issuer, mint

ENDPOINT = "https://login.example.com/introspect"
ANSWER: dict[str, Any] = {"active": True, "aud": "orders", "sub": "ann", "exp": NOW + 60}


def asked(prefix: str = "", name: str = ISSUER, **fields: Any) -> Issuer:
    return issuer(issuer=name, source=Introspection(name, ENDPOINT, prefix), **fields)


def judged(config: Issuer | None = None, now: float = NOW, **members: Any) -> str:
    """Return what becomes of an answer; a member given as `...` is left out."""
    answer = {name: value for name, value in (ANSWER | members).items() if value is not ...}
    try:
        introspection.judge(answer, config or asked(), now)
    except Rejected as rejected:
        return rejected.detail
    return "believed"


def read(body: bytes, status: int = 200, content_type: str = "application/json") -> str:
    try:
        introspection.read(status, content_type, body)
    except Rejected as rejected:
        return f"refused: {rejected.detail}"
    except NoAnswer as error:
        return f"no answer{', in general' if error.general else ''}: {error}"
    return "active"


# Whom to ask


@pytest.mark.parametrize(
    ("token", "named"),
    [
        pytest.param(mint(), True, id="JWT"),
        pytest.param(f"{b64(b'{')}.x.y", True, id="I11 broken JWT"),
        pytest.param("ewogImFsZyI6ICJSUzI1NiJ9.e30.", True, id="header over two lines"),
        pytest.param("eyJ.a.b.c.d", True, id="encrypted"),
        pytest.param("eyJ.a", False, id="one dot"),
        pytest.param("eyJhbGciOiJSUzI1NiJ9", False, id="no dot"),
        pytest.param("2YotnFZFEjr1zCsicMWpAA", False, id="opaque"),
        pytest.param("v4.public.abc", False, id="another format with dots"),
        pytest.param("tok_eyJ.a.b", False, id="prefixed"),
    ],
)
def test_a_jwt_names_its_own_issuer(token: str, named: bool) -> None:
    """I11: what is in the form of a JWT is nobody else's opaque token."""
    assert introspection.names_its_issuer(token) is named


def test_the_one_issuer_of_opaque_tokens() -> None:
    one, with_keys = asked(), issuer(issuer="https://b", source=Discovery("https://b"))
    found = introspection.prefixes([with_keys, one])
    assert found == (("", one),)
    assert introspection.recipient("anything", found) is one


def test_a_token_is_shown_to_the_issuer_of_its_prefix_only() -> None:
    a, b = asked("a_"), asked("b_", "https://b")
    found = introspection.prefixes([a, b])
    assert introspection.recipient("a_x", found) is a
    assert introspection.recipient("b_x", found) is b
    for token in ("c_x", "A_x", "xa_x", "a"):
        with pytest.raises(Rejected, match="unknown_prefix"):
            introspection.recipient(token, found)


# What to ask


def test_the_question() -> None:
    """I01: a form with the token in the body and nowhere else."""
    config = Introspection(ISSUER, ENDPOINT, authorization="Basic eDp5")
    question = introspection.question(config, OpaqueToken("a+b/c=="))
    assert question.url == ENDPOINT
    assert question.body == b"token=a%2Bb%2Fc%3D%3D&token_type_hint=access_token"
    assert question.headers == {
        "accept": "application/json",
        "content-type": "application/x-www-form-urlencoded",
        "authorization": "Basic eDp5",
    }


def test_a_client_in_the_form() -> None:
    """I02: `auth = "post"`."""
    config = Introspection(ISSUER, ENDPOINT, form=(("client_id", "c&d"), ("client_secret", "s=")))
    question = introspection.question(config, OpaqueToken("t"))
    assert "authorization" not in question.headers
    assert parse_qsl(question.body.decode(), strict_parsing=True) == [
        ("token", "t"),
        ("token_type_hint", "access_token"),
        ("client_id", "c&d"),
        ("client_secret", "s="),
    ]


def test_no_repr_shows_a_secret() -> None:
    config = Introspection(
        ISSUER, ENDPOINT, authorization="Basic hush", form=(("client_secret", "hush"),)
    )
    question = introspection.question(config, OpaqueToken("hush"))
    assert "hush" not in repr((config, question, OpaqueToken("hush"), asked()))


# What comes back

READ = {
    # I03: only JSON `true` is active; I05: all but `false` is our failure, never the token's.
    "active": (b'{"active": true}', "active"),
    "inactive": (b'{"active": false}', "refused: inactive"),
    "inactive, with more": (b'{"active": false, "sub": "ann"}', "refused: inactive"),
    "I03 true as text": (b'{"active": "true"}', "no answer: `active` is no boolean"),
    "I03 false as text": (b'{"active": "false"}', "no answer: `active` is no boolean"),
    "I03 one": (b'{"active": 1}', "no answer: `active` is no boolean"),
    "I03 zero": (b'{"active": 0}', "no answer: `active` is no boolean"),
    "I03 null": (b'{"active": null}', "no answer: `active` is no boolean"),
    "I03 absent": (b'{"sub": "ann"}', "no answer: `active` is no boolean"),
    "I03 a list": (b'[{"active": true}]', "no answer: not a JSON object"),
    "I03 a boolean": (b"true", "no answer: not a JSON object"),
    "I03 empty": (b"", "no answer: not strict JSON (not_json)"),
    "a page": (b"<html>", "no answer: not strict JSON (not_json)"),
    "a name twice": (
        b'{"active": false, "active": true}',
        "no answer: not strict JSON (duplicate_member)",
    ),
    "a name twice inside": (
        b'{"active": true, "a": {"b": 1, "b": 2}}',
        "no answer: not strict JSON (duplicate_member)",
    ),
    "UTF-16": ('{"active": true}'.encode("utf-16"), "no answer: not strict JSON (json_not_utf8)"),
    "no UTF-8": (b'{"active": true, "a": "\xff"}', "no answer: not strict JSON (json_not_utf8)"),
    "NaN": (b'{"active": true, "exp": NaN}', "no answer: not strict JSON (not_json)"),
    "deep": (
        b'{"active": true, "a": ' + b"[" * 40 + b"]" * 40 + b"}",
        "no answer: not strict JSON (json_too_deep)",
    ),
}


@pytest.mark.parametrize(("body", "outcome"), READ.values(), ids=READ)
def test_reading(body: bytes, outcome: str) -> None:
    assert read(body) == outcome


STATUS = {
    # I05. Those that say nothing about this token stop the asking for a while.
    204: False,
    301: False,
    302: False,
    307: False,
    308: False,
    400: False,
    401: True,
    403: True,
    404: False,
    429: True,
    500: False,
    502: True,
    503: True,
    504: True,
}


@pytest.mark.parametrize(("status", "general"), STATUS.items(), ids=map(str, STATUS))
def test_only_200_is_an_answer(status: int, general: bool) -> None:
    expected = f"no answer{', in general' if general else ''}: status {status}"
    assert read(b'{"active": true}', status) == expected
    assert read(b'{"active": false}', status) == expected


@pytest.mark.parametrize(
    ("content_type", "taken"),
    [
        ("application/json", True),
        ("application/json;charset=UTF-8", True),
        ("Application/JSON ; charset=utf-8", True),
        ("application/token-introspection+jwt", False),  # I12
        ("application/jwt", False),
        ("application/problem+json", False),
        ("text/html", False),
        ("json", False),
        ("text/plain; x=application/json", False),
        ("", False),
    ],
)
def test_only_json_is_an_answer(content_type: str, taken: bool) -> None:
    """I12: a signed answer (RFC 9701) is refused; nobody here would check its signature."""
    expected = "active" if taken else "no answer: not application/json"
    assert read(b'{"active": true}', content_type=content_type) == expected


@given(st.binary(max_size=60))
def test_no_bytes_are_an_active_token_by_accident(body: bytes) -> None:
    assert read(body).startswith("no answer: ")


# What an answer proves

JUDGED = {
    "as it is": ({}, "believed"),
    "I06 iss": ({"iss": ISSUER}, "believed"),
    "I06 iss of another": ({"iss": "https://evil.example"}, "wrong_issuer"),
    "I06 iss with a slash": ({"iss": f"{ISSUER}/"}, "wrong_issuer"),
    "I06 iss null": ({"iss": None}, "wrong_issuer"),
    "I06 aud in a list": ({"aud": ["x", "orders"]}, "believed"),
    "I06 aud of another": ({"aud": "others"}, "wrong_audience"),
    "I06 aud begins like ours": ({"aud": "orders-admin"}, "wrong_audience"),
    "I06 no aud": ({"aud": ...}, "missing_claim:aud"),
    "I06 aud null": ({"aud": None}, "bad_claim:aud"),
    "I06 aud empty": ({"aud": []}, "wrong_audience"),
    "I06 expired": ({"exp": NOW}, "expired"),
    "I06 no exp": ({"exp": ...}, "missing_claim:exp"),
    "I06 exp as text": ({"exp": str(NOW + 60)}, "bad_claim:exp"),
    "I06 exp true": ({"exp": True}, "bad_claim:exp"),
    "I06 not yet": ({"nbf": NOW + 1}, "not_yet_valid"),
    "I06 nbf as text": ({"nbf": "1"}, "bad_claim:nbf"),
    "I06 issued in the future": ({"iat": NOW + 1}, "not_yet_valid"),
    "no sub": ({"sub": ...}, "missing_claim:sub"),
    "sub empty": ({"sub": ""}, "bad_claim:sub"),
    "sub a number": ({"sub": 7}, "bad_claim:sub"),
    "I09 X14 L06 cnf": ({"cnf": {"jkt": "x"}}, "proof_of_possession_unsupported"),
    "I09 cnf null": ({"cnf": None}, "proof_of_possession_unsupported"),
    "I09 DPoP": ({"token_type": "DPoP"}, "proof_of_possession_unsupported"),
    "Bearer": ({"token_type": "Bearer"}, "believed"),
    "bearer": ({"token_type": "bearer"}, "believed"),
    "a refresh token": ({"token_type": "refresh_token"}, "type_not_allowed"),
    "token_type N_A": ({"token_type": "N_A"}, "type_not_allowed"),
    "token_type null": ({"token_type": None}, "type_not_allowed"),
    "token_type a list": ({"token_type": ["Bearer"]}, "type_not_allowed"),
    "a refresh token of Hydra": ({"token_use": "refresh_token"}, "type_not_allowed"),
    "an access token of Hydra": ({"token_use": "access_token"}, "believed"),
    "a refresh token of Keycloak": ({"typ": "Refresh"}, "type_not_allowed"),
    "an offline token of Keycloak": ({"typ": "Offline"}, "type_not_allowed"),
    "an ID token of Keycloak": ({"typ": "ID"}, "type_not_allowed"),
    "an access token of Keycloak": ({"typ": "Bearer"}, "believed"),
    "RFC 9068": ({"typ": "application/at+jwt"}, "believed"),
}


@pytest.mark.parametrize(("members", "outcome"), JUDGED.values(), ids=JUDGED)
def test_judging(members: dict[str, Any], outcome: str) -> None:
    assert judged(**members) == outcome


def test_the_issuers_table_counts() -> None:
    assert judged(asked(required_claims=("client_id",))) == "missing_claim:client_id"
    assert judged(asked(max_lifetime=30), iat=NOW) == "lifetime_too_long"
    assert judged(asked(leeway=30), NOW + 89) == "believed"
    assert judged(asked(leeway=30), NOW + 90) == "expired"
    subject = ClaimPaths(subject=("client_id",))
    assert judged(asked(claims=subject), sub=...) == "missing_claim:client_id"
    assert judged(asked(claims=subject), sub=..., client_id="batch") == "believed"


def test_what_an_answer_proves() -> None:
    """I10: `act`, `acr`, `auth_time`, `authorization_details` are read from the top level."""
    answer = ANSWER | {
        "scope": "read pay",
        "roles": ["viewer", "admin"],
        "act": {"sub": "proxy"},
        "acr": "urn:mfa",
        "auth_time": NOW - 5,
        "authorization_details": [{"type": "payment"}],
        "iat": NOW - 10,
    }
    config = asked(leeway=10, grants=frozenset({"viewer"}))
    verified = introspection.judge(json.loads(json.dumps(answer)), config, NOW)
    principal = verified.principal
    assert (principal.subject, principal.issuer) == ("ann", ISSUER)
    assert principal.scopes == {"read", "pay"}
    assert principal.roles == {"viewer"}
    assert principal.actor == Actor("proxy", None)
    assert principal.claims["acr"] == "urn:mfa"
    assert principal.claims["auth_time"] == NOW - 5
    assert principal.claims["authorization_details"] == ({"type": "payment"},)
    assert principal.expires_at == NOW + 60
    assert (verified.valid_from, verified.valid_until) == (NOW - 20, NOW + 70)
