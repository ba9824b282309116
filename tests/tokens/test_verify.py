from __future__ import annotations

from typing import Any

import pytest

from authz_middleware.tokens.compact import parse
from authz_middleware.tokens.keys import KeySet, from_jwks, from_secret
from authz_middleware.tokens.rejection import Rejected
from authz_middleware.tokens.verify import identify, needs_key, verify
from tests.tokens.minting import ISSUER, NOW, SECRET, issuer, jwk, mint, private_key

KEYS = from_jwks({"keys": [jwk("ES256", kid="a"), jwk("RS256", kid="b")]})
KNOWN = {ISSUER: issuer()}


@pytest.mark.parametrize("kid", ["a", ...], ids=["by kid", "without kid"])
def test_a_good_token(kid: Any) -> None:
    """T04, T07."""
    token = parse(mint({"kid": kid}))
    assert identify(token, KNOWN) is KNOWN[ISSUER]
    assert verify(token, KNOWN[ISSUER], KEYS, NOW).principal.subject == "ann"


@pytest.mark.parametrize("algorithm", ["RS256", "RS512", "PS256", "PS512"])
def test_an_rsa_key_without_alg_serves_all_of_its_algorithms(algorithm: str) -> None:
    """K06."""
    token = parse(mint({"kid": "b"}, algorithm=algorithm))
    assert verify(token, KNOWN[ISSUER], KEYS, NOW)


IDENTIFIED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no iss": ({}, {"iss": ...}, "missing_claim:iss"),
    "iss is a list": ({}, {"iss": [ISSUER]}, "bad_claim:iss"),
    "iss is an object": ({}, {"iss": {}}, "bad_claim:iss"),
    "J10 iss is a fragment": ({}, {"iss": "https://login.example"}, "unknown_issuer"),
    "J10 T02 a trailing slash": ({}, {"iss": ISSUER + "/"}, "unknown_issuer"),
    "J10 another case": ({}, {"iss": ISSUER.upper()}, "unknown_issuer"),
    "a type that could never be accepted": ({"typ": "JWT"}, {}, "type_not_allowed"),
}


@pytest.mark.parametrize(("header", "claims", "detail"), IDENTIFIED.values(), ids=IDENTIFIED)
def test_refused_before_any_key_is_looked_at(
    header: dict[str, Any], claims: dict[str, Any], detail: str
) -> None:
    with pytest.raises(Rejected) as refused:
        identify(parse(mint(header, **claims)), KNOWN)
    assert refused.value.detail == detail


VERIFIED: dict[str, tuple[str, str]] = {
    "unknown kid": (mint({"kid": "z"}), "unknown_key"),
    "another key": (mint({"kid": "a"}, key=private_key("ES256", 1)), "bad_signature"),
    "kid of another type": (mint({"kid": "b"}), "unknown_key"),
    "T05 expired": (mint({"kid": "a"}, exp=NOW), "expired"),
    "T03 wrong audience": (mint({"kid": "a"}, aud="x"), "wrong_audience"),
    "S07 algorithm not allowed": (mint({"kid": "a"}, algorithm="ES256K"), "algorithm_not_allowed"),
}


@pytest.mark.parametrize(("token", "detail"), VERIFIED.values(), ids=VERIFIED)
def test_refused(token: str, detail: str) -> None:
    with pytest.raises(Rejected) as refused:
        verify(parse(token), KNOWN[ISSUER], KEYS, NOW)
    assert refused.value.detail == detail


@pytest.mark.parametrize("number", [0, 1])
def test_a_development_key_counts_wherever_it_stands(number: int) -> None:
    """A token without a name for its key may be of any: one of these is enough."""
    kids = ["a", "b"]
    kids[number] = "development-1"
    keys = from_jwks({"keys": [jwk("ES256", kid=kid) for kid in kids]})
    with pytest.raises(Rejected, match="development_key"):
        verify(parse(mint({})), KNOWN[ISSUER], keys, NOW)


@pytest.mark.parametrize("part", [0, 1, 2], ids=["header", "payload", "signature"])
def test_a_changed_token_is_refused(part: int) -> None:
    segments = mint({"kid": "a"}, jti="0123").split(".")
    other = mint({"kid": "a", "x": 1}, jti="4567").split(".")
    segments[part] = other[part]
    with pytest.raises(Rejected, match="bad_signature"):
        verify(parse(".".join(segments)), KNOWN[ISSUER], KEYS, NOW)


NAMELESS = from_secret(SECRET)
FETCH: dict[str, tuple[dict[str, Any], str, KeySet, bool]] = {
    "the key is there": ({"kid": "a"}, "ES256", KEYS, False),
    "no kid, a key that fits": ({}, "ES256", KEYS, False),
    "D09 unknown kid": ({"kid": "z"}, "ES256", KEYS, True),
    "no kid, no key that fits": ({}, "ES384", KEYS, True),
    "known kid, no key that fits": ({"kid": "a"}, "ES384", KEYS, True),
    "a set whose keys have no names": ({"kid": "z"}, "HS256", NAMELESS, False),
}


@pytest.mark.parametrize(("header", "algorithm", "keys", "wanted"), FETCH.values(), ids=FETCH)
def test_when_a_newer_set_might_help(
    header: dict[str, Any], algorithm: str, keys: KeySet, wanted: bool
) -> None:
    assert needs_key(parse(mint(header, algorithm=algorithm)), keys) is wanted
