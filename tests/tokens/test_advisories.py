"""One test for each published hole that a token or a key made possible somewhere."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from authz_middleware.tokens import freshness
from authz_middleware.tokens.compact import parse
from authz_middleware.tokens.freshness import State
from authz_middleware.tokens.issuers import Issuer
from authz_middleware.tokens.keys import KeySet, KeysUnusable, from_jwks, from_pem, from_secret
from authz_middleware.tokens.rejection import Rejected
from authz_middleware.tokens.signature import ALGORITHMS
from authz_middleware.tokens.verify import identify, needs_key, verify
from tests.tokens.minting import (
    ISSUER,
    NOW,
    b64,
    issuer,
    jwk,
    mint,
    pem,
    private_key,
    public_key,
    raw,
)

KEYS = from_jwks({"keys": [jwk("ES256", kid="a"), jwk("RS256", kid="r")]})


def outcome(token: str, keys: KeySet = KEYS, config: Issuer | None = None) -> str:
    config = config or issuer()
    try:
        unverified = parse(token)
        identify(unverified, {ISSUER: config})
        verify(unverified, config, keys, NOW)
    except Rejected as rejected:
        return rejected.detail
    return "accepted"


def test_the_good_token_of_this_module_is_accepted() -> None:
    assert outcome(mint({"kid": "a"})) == "accepted"


@pytest.mark.parametrize("kid", ["z", ...], ids=["unknown kid", "no kid"])
def test_cve_2026_27962_authlib_key_from_the_header(kid: Any) -> None:
    """S08, P11: a key in the header is never used, not even when no other is found."""
    mine = private_key("ES256", 1)
    header = {"kid": kid, "jwk": jwk("ES256", 1), "jku": "https://evil", "x5u": "https://evil"}
    header["x5c"] = ["MII"]
    keys = KEYS if kid == "z" else from_jwks({"keys": [jwk("RS256")]})
    assert outcome(mint(header, key=mine), keys) == "unknown_key"
    assert outcome(mint(header | {"kid": "a"}, key=mine)) == "bad_signature"


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "NoNe", "nOnE", ""])
def test_cve_2026_28802_authlib_alg_none(alg: str) -> None:
    """S05, S06."""
    token = mint({"alg": alg})
    assert outcome(token) == "algorithm_not_allowed"
    assert outcome(token[: token.rindex(".") + 1]) == "algorithm_not_allowed"


@pytest.mark.parametrize("crit", [["x"], ["b64"], [], "x", None, ["exp"]], ids=repr)
def test_cve_2025_59420_and_2026_32597_unknown_crit(crit: object) -> None:
    """S04."""
    assert outcome(mint({"kid": "a", "crit": crit, "x": 1})) == "header_not_allowed:crit"


def secrets_from_public_keys() -> list[bytes]:
    text = pem("RS256")
    return [text, text.strip(), b" " + text, b64(text).encode(), str(jwk("RS256")).encode()]


@pytest.mark.parametrize("secret", secrets_from_public_keys(), ids=range(5))
def test_cve_2022_29217_pyjwt_public_key_as_hmac_secret(secret: bytes) -> None:
    """P04: HS256 keyed with the public key's own text."""
    token = mint({"kid": "r"}, algorithm="HS256", key=secret)
    assert outcome(token) == "algorithm_not_allowed"
    lenient = issuer(algorithms=frozenset({"HS256", "RS256"}))
    assert outcome(token, config=lenient) == "unknown_key"


@pytest.mark.parametrize("iss", ["https", ISSUER[:-1], ISSUER + "/", "", ISSUER.title()])
def test_cve_2024_53861_pyjwt_issuer_as_a_substring(iss: str) -> None:
    """J10."""
    assert outcome(mint({"kid": "a"}, iss=iss)) == "unknown_issuer"


@pytest.mark.parametrize("alg", sorted(set(ALGORITHMS) - {"ES256"}))
def test_cve_2026_22817_and_22818_hono_alg_from_the_token(alg: str) -> None:
    """K06, P02: a JWK without `alg` serves what its type allows, and nothing else."""
    keys = from_jwks({"keys": [jwk("ES256", kid="a")]})
    token = mint({"kid": "a"}, algorithm=alg)
    everything = issuer(algorithms=frozenset(ALGORITHMS))
    assert outcome(token, keys, everything) == "unknown_key"


@pytest.mark.parametrize("before", [b" ", b"\n", b"\xef\xbb\xbf", b"\t\r\n", b"x\n"], ids=repr)
def test_cve_2026_34950_and_2023_48223_fast_jwt_sniffed_key_type(before: bytes) -> None:
    """The kind of a key is declared: a PEM is a public key or nothing, never a secret."""
    with suppress(KeysUnusable):
        assert from_pem(before + pem("RS256")).keys[0].key == public_key("RS256")
    with pytest.raises(KeysUnusable):
        from_secret(before.strip(b"x\xef\xbb\xbf") + pem("RS256"))


@pytest.mark.parametrize("key", [None, "", b"", {}, {"keys": []}], ids=repr)
def test_cve_2026_44351_fast_jwt_empty_key(key: Any) -> None:
    """No key is no key, not an empty secret."""
    with pytest.raises(KeysUnusable):
        from_jwks(key)
    with pytest.raises(KeysUnusable):
        from_secret(b"")


@pytest.mark.parametrize(
    "aud", [[], [""], 0, {}, "a b", None, [[]], "", ["orders", None]], ids=repr
)
def test_cve_2020_26160_jwt_go_odd_audiences(aud: object) -> None:
    """J09."""
    assert outcome(mint({"kid": "a"}, aud=aud)) in ("wrong_audience", "bad_claim:aud")


def test_python_sdk_1435_audience_not_checked() -> None:
    """P10: there is no way to leave the check out."""
    assert outcome(mint({"kid": "a"}, aud="https://other")) == "wrong_audience"
    assert outcome(mint({"kid": "a"}, aud=...)) == "missing_claim:aud"


@pytest.mark.parametrize(
    ("claims", "detail"),
    [
        ({"nbf": NOW + 3600}, "not_yet_valid"),
        ({"iat": NOW + 86400}, "not_yet_valid"),
        ({"exp": ...}, "missing_claim:exp"),
    ],
    ids=["nbf +1 h", "iat +1 d", "no exp"],
)
def test_fastmcp_times_not_checked(claims: dict[str, Any], detail: str) -> None:
    """J07, J08, J12."""
    assert outcome(mint({"kid": "a"}, **claims)) == detail


def test_cve_2026_22748_spring_another_issuer_with_the_same_keys() -> None:
    """P08: the keys are the issuer's, and the token must name it."""
    assert outcome(mint({"kid": "a"}, iss="https://other")) == "unknown_issuer"
    unverified = parse(mint({"kid": "a"}, iss="https://other"))
    with pytest.raises(Rejected, match="wrong_issuer"):
        verify(unverified, issuer(), KEYS, NOW)


def test_cve_2026_31837_istio_keys_that_cannot_be_fetched_verify_nothing() -> None:
    state = freshness.failed(State(), NOW)
    assert freshness.view(state, NOW, freshness.Limits()).keys is None
    assert outcome(mint({"kid": "a"}), KeySet(())) == "unknown_key"
    assert needs_key(parse(mint({"kid": "a"})), KeySet(()))


@pytest.mark.parametrize("email", ["a@evil@company.com", "a\0@company.com", "a@company\u3002com"])
def test_cve_2026_40574_oauth2_proxy_claims_are_compared_whole(email: str) -> None:
    """A role that looks like another one in part is another one."""
    config = issuer(role_map={"a@company.com": "admin"})
    unverified = parse(mint({"kid": "a"}, roles=[email]))
    assert verify(unverified, config, KEYS, NOW).principal.roles == frozenset()


def test_pyjwt_duplicate_claims_last_wins() -> None:
    """J02."""
    payload = b'{"iss":"%s","sub":"ann","sub":"root"}' % ISSUER.encode()
    assert outcome(raw(b'{"alg":"ES256"}', payload)) == "duplicate_member"


def test_pyjwt_utf_16_payload() -> None:
    """J03."""
    assert outcome(raw(b'{"alg":"ES256"}', '{"iss":"x"}'.encode("utf-16"))) == "json_not_utf8"


def test_pyjwt_second_spelling_of_a_signature() -> None:
    """S01: a token has one text, so that what is remembered by text is remembered once."""
    token = mint({"kid": "a"})
    last = token[-1]
    twin = token[:-1] + chr(ord(last) + 1)
    assert outcome(twin) in ("not_base64url", "not_a_jwt")
    assert outcome(token + "==") == "not_a_jwt"
