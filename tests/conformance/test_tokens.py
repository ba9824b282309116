"""Published vectors for JOSE and JSON: every case judged, the counts asserted."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from authz_middleware.tokens import compact, jwk, signature, strict_json
from authz_middleware.tokens.keys import KeySet, KeysUnusable, from_jwks, from_pem
from authz_middleware.tokens.rejection import Rejected

pytestmark = pytest.mark.conformance


def key_set(jwks: dict[str, Any]) -> KeySet:
    """The keys of a vector. Its HMAC keys are JWKs too, which no key set of ours may hold."""
    if all(members["kty"] == "oct" for members in jwks["keys"]):
        return KeySet(tuple(map(jwk.read, jwks["keys"])))
    return from_jwks(jwks)


def verifies(jwks: dict[str, Any], token: str) -> bool:
    """Whether a JWS passes every rule below the claims; anything but Rejected is a defect."""
    try:
        keys = key_set(jwks)
        signed = compact.decode(token)
        candidates = keys.candidates(signed.header["alg"], signed.header.get("kid"))
    except (Rejected, KeysUnusable):
        return False
    return any(
        signature.verify(signed.header["alg"], key.key, signed.signing_input, signed.signature)
        for key in candidates
    )


def wycheproof(vectors: Path, name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    document = json.loads((vectors / "wycheproof" / name).read_text("utf-8"))
    for group in document["testGroups"]:
        for case in group["tests"]:
            yield group, case


def test_wycheproof_jws_is_read_as_published_with_our_overrides(vectors: Path) -> None:
    """S01-S07, K03-K05, K11, K12: 401 signatures."""
    text = (vectors / "wycheproof" / "overrides.json").read_text("utf-8")
    overrides = json.loads(text)["tests"]
    judged: dict[int, tuple[bool, bool]] = {}
    for group, case in wycheproof(vectors, "json_web_signature_test.json"):
        number = case["tcId"]
        expected = overrides.get(str(number), {}).get("use", case["result"])
        jwks = {"keys": [group.get("public") or group["private"]]}
        judged[number] = (verifies(jwks, case["jws"]), expected == "valid")
    assert {n: pair for n, pair in judged.items() if pair[0] != pair[1]} == {}
    assert len(judged) == 401
    assert sum(accepted for accepted, _ in judged.values()) == 42


def test_wycheproof_key_sets(vectors: Path) -> None:
    """K03, K05, K07-K10, K13, K21: 26 key sets."""
    judged: dict[int, tuple[bool, bool]] = {}
    for group, case in wycheproof(vectors, "json_web_key_test.json"):
        jwks = group.get("public") or group["private"]
        judged[case["tcId"]] = (verifies(jwks, case["jws"]), case["result"] == "valid")
    assert {n: pair for n, pair in judged.items() if pair[0] != pair[1]} == {}
    assert len(judged) == 26


def test_wycheproof_mixed_signatures_and_encryption(vectors: Path) -> None:
    """The mixed file: signatures as published, every encrypted token refused."""
    judged: dict[int, tuple[bool, bool]] = {}
    for group, case in wycheproof(vectors, "json_web_crypto_test.json"):
        key = group.get("public") or group["private"]
        jwks = key if "keys" in key else {"keys": [key]}
        expected = case["result"] == "valid" and "jws" in case
        token = case["jws"] if "jws" in case else case["jwe"]
        # Some are in the JSON serialization, which no bearer token has (S02).
        text = token if isinstance(token, str) else json.dumps(token)
        judged[case["tcId"]] = (verifies(jwks, text), expected and text is token)
    assert {n: pair for n, pair in judged.items() if pair[0] != pair[1]} == {}
    assert len(judged) == 83


def test_wycheproof_encrypted_tokens_are_refused(vectors: Path) -> None:
    """S02: a JWE is no bearer token of ours, whatever its key."""
    count = 0
    for _, case in wycheproof(vectors, "json_web_encryption_test.json"):
        with pytest.raises(Rejected):
            compact.decode(case["jwe"])
        count += 1
    assert count == 139


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_json_files_as_header_payload_and_key_set(vectors: Path) -> None:
    """S03, J02-J04, J15: `n_` refused everywhere; `y_` read, but for equal names; `i_` either."""
    files = json.loads((vectors / "json_test_suite" / "parsing.json").read_text("utf-8"))
    counts = {"n": 0, "y": 0, "i": 0}
    refused: set[str] = set()
    header = b64(b'{"alg":"RS256"}')
    for name, encoded in files.items():
        data = base64.b64decode(encoded)
        counts[name[0]] += 1
        try:
            value = strict_json.loads(data)
        except Rejected:
            refused.add(name)
            with pytest.raises(Rejected):
                compact.parse(f"{b64(data)}.e30.")
            with pytest.raises(Rejected):
                compact.parse(f"{header}.{b64(data)}.")
        else:
            with pytest.raises(KeysUnusable):
                from_jwks(value)
    assert counts == {"n": 188, "y": 95, "i": 35}
    assert {name for name in files if name.startswith("n_")} <= refused
    # Names must be unique (RFC 7515 §4 lets us choose to refuse).
    assert {name for name in refused if name.startswith("y_")} == {
        "y_object_duplicated_key.json",
        "y_object_duplicated_key_and_value.json",
    }


def test_signatures_of_the_rfcs(vectors: Path) -> None:
    """RFC 7515 A.1-A.5, RFC 7519, RFC 8037: what they say verifies does, `none` does not."""
    cases = json.loads((vectors / "rfc-examples" / "jws.json").read_text("utf-8"))
    judged = {
        case["name"]: (verifies({"keys": [case["jwk"]]}, case["jws"]), case["expect"] == "accept")
        for case in cases
        if case.get("jwk")
    }
    assert {name: pair for name, pair in judged.items() if pair[0] != pair[1]} == {}
    for case in cases:
        if not case.get("jwk"):
            assert case["expect"] != "accept"
            assert compact.decode(case["jws"]).header["alg"] == "none"
    assert judged


def test_naughty_strings_as_tokens_and_claims(vectors: Path) -> None:
    """Any text as a token is refused; any text as JSON is itself or refused."""
    strings = json.loads((vectors / "naughty_strings" / "blns.json").read_text("utf-8"))
    for text in strings:
        with pytest.raises(Rejected):
            compact.parse(text)
        data = json.dumps({"sub": text}).encode()
        assert strict_json.loads(data) == {"sub": text}
    assert len(strings) == 515


PRIMITIVES = {
    "ecdsa_secp256k1_sha256_p1363": ("ES256K", 252),
    "ecdsa_secp256r1_sha256_p1363": ("ES256", 262),
    "ecdsa_secp384r1_sha384_p1363": ("ES384", 280),
    "ecdsa_secp521r1_sha512_p1363": ("ES512", 318),
    "ed25519": ("Ed25519", 151),
    "ed448": ("Ed448", 87),
    "hmac_sha256": ("HS256", 174),
    "hmac_sha384": ("HS384", 174),
    "hmac_sha512": ("HS512", 174),
    "rsa_pss_2048_sha256_mgf1_32": ("PS256", 108),
    "rsa_pss_2048_sha384_mgf1_48": ("PS384", 141),
    "rsa_pss_3072_sha256_mgf1_32": ("PS256", 108),
    "rsa_pss_4096_sha512_mgf1_64": ("PS512", 179),
    "rsa_pss_2048_sha256_mgf1_0": ("PS256", 103),
    "rsa_pss_2048_sha256_mgf1sha1_20": ("PS256", 108),
    "rsa_signature_2048_sha256": ("RS256", 259),
    "rsa_signature_2048_sha384": ("RS384", 258),
    "rsa_signature_2048_sha512": ("RS512", 259),
    "rsa_signature_3072_sha256": ("RS256", 259),
    "rsa_signature_4096_sha256": ("RS256", 258),
}
# K12: the salt is as long as the hash, and MGF1 uses the same hash.
# One case of the first file is wrong there for having PS256's very salt length.
SALT_OF_PS256 = ("rsa_pss_2048_sha256_mgf1_0", 69)
NOT_PS256 = {"rsa_pss_2048_sha256_mgf1_0", "rsa_pss_2048_sha256_mgf1sha1_20"}


@pytest.mark.parametrize("name", PRIMITIVES)
def test_wycheproof_primitives(vectors: Path, name: str) -> None:
    """K09, K11, K12, K15: signatures and MACs below JOSE; 3,912 in all."""
    algorithm, total = PRIMITIVES[name]
    count = 0
    for group, case in wycheproof(vectors, f"{name}_test.json"):
        count += 1
        message = bytes.fromhex(case["msg"])
        if "key" in case:
            key: signature.Key = bytes.fromhex(case["key"])
            good = bytes.fromhex(case["tag"])
            least = signature.ALGORITHMS[algorithm].minimum * 8
            whole = group["keySize"] >= least and group["tagSize"] == least
        else:
            key = from_pem(group["publicKeyPem"].encode()).keys[0].key
            good = bytes.fromhex(case["sig"])
            whole = name not in NOT_PS256
        accepted = signature.verify(algorithm, key, message, good)
        if case["result"] != "acceptable":
            expected = whole and case["result"] == "valid"
            expected |= (name, case["tcId"]) == SALT_OF_PS256
            assert accepted is expected, case["tcId"]
    assert count == total


def test_the_primitives_are_all_there() -> None:
    assert sum(total for _, total in PRIMITIVES.values()) == 3912
