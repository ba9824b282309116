from __future__ import annotations

import datetime
import random
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, x25519
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.tokens.jwk import read
from authz_middleware.tokens.key_set import MAX_CANDIDATES
from authz_middleware.tokens.keys import (
    MAX_NOTES,
    KeySet,
    KeysUnusable,
    VerificationKey,
    from_jwks,
    from_pem,
    from_secret,
)
from authz_middleware.tokens.rejection import Rejected
from tests.tokens.minting import SECRET, b64, jwk, pem, private_key, public_key, uint, weak_rsa

GOOD = jwk("RS256", kid="good")
RSA = {f"{family}{size}" for family in ("RS", "PS") for size in (256, 384, 512)}


def only(member: object) -> VerificationKey:
    (key,) = from_jwks({"keys": [member]}).keys
    return key


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "ES384", "ES512", "Ed25519", "Ed448"])
def test_a_public_key_is_read(algorithm: str) -> None:
    assert only(jwk(algorithm)).key == public_key(algorithm)


SERVES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "K06 RSA without alg": (jwk("RS256"), RSA),
    "K05 RSA pinned": (jwk("RS256", alg="PS384"), {"PS384"}),
    "K06 P-256 without alg": (jwk("ES256"), {"ES256"}),
    "K22 secp256k1": (jwk("ES256K"), {"ES256K"}),
    "K15 Ed25519": (jwk("Ed25519"), {"EdDSA", "Ed25519"}),
    "K16 Ed25519 pinned by its own name": (jwk("Ed25519", alg="Ed25519"), {"Ed25519"}),
    "K16 Ed448 pinned by the common name": (jwk("Ed448", alg="EdDSA"), {"EdDSA"}),
    "K03 use sig": (jwk("ES256", use="sig"), {"ES256"}),
    "K04 key_ops verify": (jwk("ES256", key_ops=["sign", "verify"]), {"ES256"}),
    "K02 unknown members": (jwk("ES256", x5c=["MII"], x=jwk("ES256")["x"], foo=1), {"ES256"}),
}


@pytest.mark.parametrize(("member", "algorithms"), SERVES.values(), ids=SERVES)
def test_what_a_jwk_may_serve(member: dict[str, Any], algorithms: set[str]) -> None:
    assert only(member).algorithms == algorithms


P256 = jwk("ES256")
ROCA = (
    "AanFpofbj7KjD4Lf-N2hVMKR7yewSyXhhbirIMTGpfYEhZ_lnt5UoK98DnKIgArXGTu3MaW_HhFw16HGaTDUHqPrId7f"
    "e4r11CqRw09yBFuW79V8sYIwHdzCaWflUI6auImYbVfoN9_nD5n8N8SY9DwXw7mwZM9wREPXoDPgOoIWl6q_MPsp7n0z"
    "s3Z5ZaiQWOOzl1S9OhwAfSiiOwz6efnXEaxuTEtPd7BjSx7NaFka8Dx9U7YqXy2RFj1O9PjyaDGuRh7YXsX3iMUSP_wS"
    "yHQg_c_qHRtKUsNSGCT7OZg0hzm2KphtjnayKJvC64vAbROBR4Ubg6Bxg9IQVZ-QYyE"
)
IGNORED: dict[str, Any] = {
    "K01 not an object": 7,
    "K01 no kty": {"n": "AQAB"},
    "K01 unknown kty": {"kty": "AKP", "alg": "ML-DSA-44"},
    "K01 kid is a number": jwk("ES256", kid=7),
    "K01 use is a list": jwk("ES256", use=["sig"]),
    "K01 n is missing": jwk("RS256", n=None),
    "K01 n is a number": jwk("RS256", n=65537),
    "K03 use enc": jwk("RS256", use="enc"),
    "K04 key_ops without verify": jwk("RS256", key_ops=["encrypt"]),
    "K04 key_ops is a string": jwk("RS256", key_ops="verify"),
    "K05 alg for encryption": jwk("RS256", alg="RSA-OAEP"),
    "K05 alg of another type": jwk("ES256", alg="RS256"),
    "K05 HMAC pinned to a public key": jwk("RS256", alg="HS256"),
    "K11 alg of another curve": jwk("ES256", alg="ES384"),
    "K20 ES521": jwk("ES512", alg="ES521"),
    "K10 1024 bits": jwk("RS256", n=uint(weak_rsa().public_key().public_numbers().n)),
    "K10 a modulus of absurd size": jwk("RS256", n=uint(1 << 16384 | 1)),
    "K21 exponent 1": jwk("RS256", e="AQ"),
    "K21 even exponent": jwk("RS256", e="BA"),
    "an exponent of absurd size": jwk("RS256", e=uint(1 << 64 | 1)),
    "K21 the ROCA fingerprint": jwk("RS256", n=ROCA),
    "K14 padded": jwk("RS256", e="AQAB===="),
    "K14 a padded exponent": jwk("RS256", e="AQ=="),
    "K14 a leading zero octet": jwk("RS256", e="AAEAAQ"),
    "K13 short x": jwk("ES256", x=b64(b"\1" * 31)),
    "K13 long y": jwk("ES256", y=b64(b"\0" + b"\1" * 32)),
    "K11 a point off the curve": jwk("ES256", y=b64(b"\1" * 32)),
    "K11 another curve's name": jwk("ES256", crv="secp256k1"),
    "an unknown curve": jwk("ES256", crv="P-224"),
    "K15 X25519": jwk("Ed25519", crv="X25519"),
    "K15 Ed25519 of the wrong length": jwk("Ed25519", x=b64(b"\1" * 31)),
    "K15 Ed448 of the wrong length": jwk("Ed448", x=b64(b"\1" * 56)),
}


@pytest.mark.parametrize("member", IGNORED.values(), ids=IGNORED)
def test_a_key_we_cannot_use_is_left_out_and_the_rest_works(member: object) -> None:
    """K01, RFC 7517 §5."""
    with pytest.raises(KeysUnusable, match="no usable key: key 0 "):
        from_jwks({"keys": [member]})
    keys = from_jwks({"keys": [member, GOOD]})
    assert [key.kid for key in keys.keys] == ["good"]
    assert keys.notes[0].startswith("key 0 ")


def test_what_is_left_out_does_not_flood_the_log() -> None:
    """A megabyte of rubbish is half a million entries."""
    rubbish: list[object] = [0] * 1000
    keys = from_jwks({"keys": [GOOD, *rubbish]})
    assert len(keys.notes) == MAX_NOTES + 1
    assert keys.notes[-1] == f"and {1000 - MAX_NOTES} more"
    with pytest.raises(KeysUnusable, match=r"; and 992 more$") as raised:
        from_jwks({"keys": rubbish})
    assert len(raised.value.reason) < 1000
    few = from_jwks({"keys": [GOOD, *rubbish[:MAX_NOTES]]})
    assert len(few.notes) == MAX_NOTES


@pytest.mark.parametrize(("axis", "scalar"), [("x", 379), ("y", 43)])
def test_a_coordinate_has_the_width_of_the_field(axis: str, scalar: int) -> None:
    """K13: a leading zero octet belongs to it; the same number one octet shorter is no coordinate.

    These multiples of the base point have such a coordinate.
    """
    point = ec.derive_private_key(scalar, ec.SECP256R1()).public_key().public_numbers()
    value = point.x if axis == "x" else point.y
    whole = {"kty": "EC", "crv": "P-256", "x": uint(point.x, 32), "y": uint(point.y, 32)}
    assert only(whole).algorithms == {"ES256"}
    assert value.bit_length() <= 31 * 8
    for width in (31, 33):
        with pytest.raises(KeysUnusable, match="coordinates of the wrong length"):
            only(whole | {axis: uint(value, width)})


UNUSABLE: dict[str, tuple[object, str]] = {
    "not an object": ([], "list of `keys`"),
    "no keys": ({}, "list of `keys`"),
    "keys is an object": ({"keys": {}}, "list of `keys`"),
    "D11 empty": ({"keys": []}, "holds no keys"),
    "K08 a secret": ({"keys": [jwk("HS256")]}, "no place for one"),
    "K08 a secret beside a public key": ({"keys": [jwk("HS256"), GOOD]}, "mixes secrets"),
}


@pytest.mark.parametrize(("document", "reason"), UNUSABLE.values(), ids=UNUSABLE)
def test_sets_without_use(document: object, reason: str) -> None:
    with pytest.raises(KeysUnusable, match=reason):
        from_jwks(document)


def test_a_secret_as_a_jwk() -> None:
    """K09: read, but not a short one. No key set is let through with one."""
    assert read(jwk("HS256", kid="a")).key == SECRET
    with pytest.raises(KeysUnusable):
        read(jwk("HS256", k="AAAA"))


def test_private_members_are_never_used() -> None:
    """K19."""
    numbers = private_key("RS256").private_numbers()
    keys = from_jwks({"keys": [jwk("RS256", d=uint(numbers.d), p="x")]})
    assert keys.keys[0].key == public_key("RS256")
    assert keys.notes == ("key 0 shows its private half; only the public half is used",)


def test_a_key_shows_nothing_of_itself() -> None:
    assert repr(from_secret(SECRET).keys[0].key) not in repr(from_secret(SECRET))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
members = st.dictionaries(
    st.sampled_from(["kty", "kid", "use", "key_ops", "alg", "crv", "n", "e", "x", "y", "k", "d"]),
    st.sampled_from(["RSA", "EC", "OKP", "oct", "P-256", "Ed25519", "AQAB", "AQ", "sig", "RS256"])
    | json_values,
)


@given(json_values | st.lists(members | json_values).map(lambda keys: {"keys": keys}))
def test_any_json_is_a_key_set_or_unusable(document: object) -> None:
    try:
        keys = from_jwks(document)
    except KeysUnusable:
        return
    assert keys.keys


class TestCandidates:
    keys = from_jwks(
        {
            "keys": [
                jwk("RS256", kid="a"),
                jwk("ES256", kid="a"),
                jwk("RS256", 1, kid="b", alg="RS256"),
                jwk("RS256", 1, kid="c", alg="RS256"),
                jwk("RS256", kid="c", alg="PS256"),
                jwk("ES384", kid="twice"),
                jwk("ES384", 1, kid="twice"),
                jwk("ES512"),
                jwk("Ed25519", kid="half-broken"),
                jwk("Ed25519", kid="half-broken", x="A"),
            ]
        }
    )

    @pytest.mark.parametrize(
        ("algorithm", "kid", "found"),
        [
            pytest.param("RS256", "a", ["a"], id="exact kid"),
            pytest.param("ES256", "a", ["a"], id="K07 the same kid on another type"),
            pytest.param("PS256", "c", ["c"], id="K07 the same kid on another pin"),
            pytest.param("RS256", "A", [], id="S09 kid is case-sensitive"),
            pytest.param("PS512", "b", [], id="K05 pinned to another algorithm"),
            pytest.param("RS256", None, ["a", "b", "c"], id="no kid: every compatible key"),
            pytest.param("ES512", "x", [None], id="a key without a name takes any kid"),
            pytest.param("ES512", "a", [], id="but not one that names another key"),
            pytest.param("HS256", None, [], id="P04 never a public key for HMAC"),
        ],
    )
    def test_found(self, algorithm: str, kid: str | None, found: list[str | None]) -> None:
        assert [key.kid for key in self.keys.candidates(algorithm, kid)] == found

    @pytest.mark.parametrize(("algorithm", "kid"), [("ES384", "twice"), ("EdDSA", "half-broken")])
    def test_ambiguous(self, algorithm: str, kid: str) -> None:
        """K07."""
        with pytest.raises(Rejected, match="ambiguous_key"):
            self.keys.candidates(algorithm, kid)

    def test_no_more_than_a_few_are_tried(self) -> None:
        keys = KeySet((VerificationKey(None, frozenset({"RS256"}), b""),) * MAX_CANDIDATES)
        assert len(keys.candidates("RS256", None)) == MAX_CANDIDATES
        with pytest.raises(Rejected, match="too_many_keys"):
            KeySet(keys.keys * 2).candidates("RS256", None)

    def test_asked_again_the_answer_is_the_same(self) -> None:
        """What is remembered for one header says nothing of another."""
        algorithms = [*self.keys.algorithms, "HS256", "none"]
        kids = [key.kid for key in self.keys.keys] + ["z", "", "x" * 1000]
        asked = [(algorithm, kid) for algorithm in algorithms for kid in kids] * 2
        random.Random(1).shuffle(asked)
        warm = replace(self.keys)
        for algorithm, kid in asked:
            assert _chosen(warm, algorithm, kid) == _chosen(replace(self.keys), algorithm, kid)

    def test_no_name_that_a_token_makes_up_is_kept(self) -> None:
        keys = replace(self.keys)
        for number in range(1000):
            _chosen(keys, "ES512", f"made up {number}")
            _chosen(keys, f"made up {number}", "a")
        assert len(keys._found) <= 2

    def test_what_the_set_says_of_itself(self) -> None:
        assert self.keys.has_kid("a")
        assert not self.keys.has_kid("z")
        assert self.keys.uses_kids
        assert not from_secret(SECRET).uses_kids
        assert self.keys.algorithms == RSA | {"ES256", "ES384", "ES512", "EdDSA", "Ed25519"}


def _chosen(keys: KeySet, algorithm: str, kid: str | None) -> tuple[VerificationKey, ...] | str:
    try:
        return keys.candidates(algorithm, kid)
    except Rejected as rejected:
        return rejected.detail


def certificate() -> bytes:
    key = private_key("ES256")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "issuer")])
    day = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, day, day)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def spki(key: Any) -> bytes:
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


class TestPem:
    @pytest.mark.parametrize("algorithm", ["RS256", "ES256", "ES256K", "Ed25519", "Ed448"])
    def test_a_public_key(self, algorithm: str) -> None:
        (key,) = from_pem(pem(algorithm)).keys
        assert key.kid is None
        assert key.key == public_key(algorithm)
        assert algorithm in key.algorithms

    def test_a_certificate(self) -> None:
        (key,) = from_pem(certificate()).keys
        assert key.key == public_key("ES256")

    private = private_key("ES256").private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    refused: ClassVar[dict[str, tuple[bytes, str]]] = {
        "a private key": (private, "private key"),
        "a private key beside its public one": (pem("ES256") + private, "private key"),
        "two keys": (pem("ES256") * 2, "2 PEM blocks"),
        "nothing": (b"", "0 PEM blocks"),
        "text": (b"secret", "0 PEM blocks"),
        "a broken block": (b"-----BEGIN PUBLIC KEY-----\nAAAA", "not a PEM"),
        "a broken certificate": (b"-----BEGIN CERTIFICATE-----\nAAAA", "not a PEM"),
        "X25519": (spki(x25519.X25519PrivateKey.generate().public_key()), "verifies no tokens"),
        "DSA": (spki(dsa.generate_private_key(1024).public_key()), "verifies no tokens"),
        "K10 1024 bits": (spki(weak_rsa().public_key()), "too short"),
        "P-224": (spki(ec.generate_private_key(ec.SECP224R1()).public_key()), "unknown curve"),
    }

    @pytest.mark.parametrize(("data", "reason"), refused.values(), ids=refused)
    def test_refused(self, data: bytes, reason: str) -> None:
        with pytest.raises(KeysUnusable, match=reason):
            from_pem(data)

    @given(st.binary().map(lambda data: b"-----BEGIN PUBLIC KEY-----" + data) | st.binary())
    def test_any_bytes(self, data: bytes) -> None:
        with pytest.raises(KeysUnusable):
            from_pem(data)


class TestSecret:
    def test_a_secret_serves_what_it_is_long_enough_for(self) -> None:
        assert from_secret(SECRET).algorithms == {"HS256", "HS384", "HS512"}
        assert from_secret(SECRET[:32]).algorithms == {"HS256"}

    refused: ClassVar[dict[str, tuple[bytes, str]]] = {
        "K09 short": (SECRET[:31], "at least 32"),
        "CVE-2026-44351 empty": (b"", "at least 32"),
        "P06 jwt.io's": (b"a-string-secret-at-least-256-bits-long", "published"),
        "P06 a placeholder": (b"ChangeMe-9f8a7s6d5f4a3s2d1f0a9s8d7f6a5s4d", "placeholder"),
        "P06 Django's": (b"django-insecure-9f8a7s6d5f4a3s2d1f0a9s8d", "placeholder"),
        "P04 a PEM": (pem("ES256"), "PEM"),
        "CVE-2026-34950 a PEM after a space": (b"\n " + pem("RS256"), "PEM"),
        "P06 one letter": (b"x" * 64, "repeats"),
        "P06 a short word again and again": (b"0f9a8B7c" * 5, "repeats"),
        "P06 a passphrase": (b"correct horse battery staple and so on", "guessed"),
        "P06 few letters": (b"aabbaabababbbabaabbabaabbbabaaabb", "guessed"),
    }

    @pytest.mark.parametrize(("secret", "reason"), refused.values(), ids=refused)
    def test_refused(self, secret: bytes, reason: str) -> None:
        with pytest.raises(KeysUnusable, match=reason) as unusable:
            from_secret(secret)
        assert not secret or secret.decode() not in str(unusable.value)

    @given(st.integers(0), st.integers(32, 64))
    def test_random_secrets_are_good_however_they_are_written(self, seed: int, n: int) -> None:
        data = random.Random(seed).randbytes(n)
        for secret in (data, data.hex().encode(), b64(data).encode()):
            assert from_secret(secret).keys[0].key == secret
