"""What looks like a mistake in the table of an issuer, and what does not."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from authz_middleware.document import Document, Report, Section
from authz_middleware.tokens import issuers
from authz_middleware.tokens.review import KINDS, review
from tests.tokens.minting import NOW, jwk
from tests.tokens.test_certificates import DAY, der

ISSUER: dict[str, Any] = {"issuer": "https://login.example.com", "audience": ["orders"]}


def notices(table: dict[str, Any]) -> list[str]:
    report = Report(Document.from_mapping({"issuers": [ISSUER | table]}))
    sections = Section.top(report).tables("issuers")
    (issuer,) = issuers.load(sections, read_file=lambda _: b"", environ={"ID_SECRET": "s" * 40})
    return [f"{each.kind} {each.about}: {each}" for each in review(sections[0], issuer, NOW)]


OLD = b64encode(der(-5 * DAY, -DAY)).decode()
OTHER = b64encode(der(number=1)).decode()

FOUND: dict[str, tuple[dict[str, Any], str]] = {
    "a private key": (
        {"jwks": {"keys": [jwk("ES256", d="x")]}},
        "insecure-key https://login.example.com: issuers[0]: of its keys, key 0 shows its private",
    ),
    "an old certificate": (
        {"jwks": {"keys": [jwk("ES256", x5c=[OLD])]}},
        (
            "certificate-dates https://login.example.com: issuers[0]: of its keys, the certificate"
            " (`x5c`) of key 0 ended on 2023-11-13; the key is used all the same; ask the issuer"
        ),
    ),
    "a certificate of another key": (
        {"jwks": {"keys": [jwk("ES256", x5c=[OTHER])]}},
        (
            "insecure-key https://login.example.com: issuers[0]: of its keys, the certificate"
            " (`x5c`) of key 0 holds another key"
        ),
    ),
    "plain http to the keys": (
        {"jwks_uri": "http://127.0.0.1/keys"},
        (
            "keys-over-http https://login.example.com: issuers[0].jwks_uri: its keys come"
            " unprotected over http://127.0.0.1/keys; write https"
        ),
    ),
    "plain http to the issuer": (
        {"issuer": "http://localhost:8080"},
        "keys-over-http http://localhost:8080: issuers[0].issuer: its keys come unprotected",
    ),
    "any JWT": (
        {"token_types": ["at+jwt", "JWT"]},
        'odd-token-type https://login.example.com: issuers[0].token_types: a token of type "jwt"',
    ),
    "a token without a type": ({"token_types": ["", "jwt"]}, "odd-token-type"),
}


@pytest.mark.parametrize(("table", "said"), FOUND.values(), ids=FOUND)
def test_what_looks_like_a_mistake(table: dict[str, Any], said: str) -> None:
    (found,) = notices(table)
    assert found.startswith(said)
    assert found.split()[0] in KINDS


NOTHING: dict[str, dict[str, Any]] = {
    "discovery": {},
    "public keys": {"jwks": {"keys": [jwk("ES256")]}},
    "keys over https": {"jwks_uri": "https://login.example.com/keys"},
    "what a preset knows to tell apart": {
        "issuer": "https://x.auth0.com/",
        "preset": "auth0",
        "token_types": ["JWT"],
    },
    "a claim that only access tokens have": {"token_types": ["JWT"], "required_claims": ["scope"]},
    "access tokens": {"token_types": ["at+jwt"]},
    "opaque tokens": {
        "introspection": {
            "endpoint": "https://login.example.com/introspect",
            "client_id": "orders",
            "client_secret_env": "ID_SECRET",
        }
    },
}


@pytest.mark.parametrize("table", NOTHING.values(), ids=NOTHING)
def test_what_does_not(table: dict[str, Any]) -> None:
    assert notices(table) == []
