from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.tokens import signature
from authz_middleware.tokens.signature import ALGORITHMS, algorithms_for
from tests.tokens.minting import private_key, public_key, sign, weak_rsa

MESSAGE = b"a.b"
KEYS = sorted(ALGORITHMS)


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_good_signature_and_a_bad_one(algorithm: str) -> None:
    good = sign(algorithm, MESSAGE, private_key(algorithm))
    key = public_key(algorithm)
    assert signature.verify(algorithm, key, MESSAGE, good)
    assert not signature.verify(algorithm, key, MESSAGE + b"x", good)
    assert not signature.verify(algorithm, key, MESSAGE, good[:-1])
    assert not signature.verify(algorithm, key, MESSAGE, good + b"\0")
    assert not signature.verify(algorithm, key, MESSAGE, b"")
    other = public_key(algorithm, 1)
    assert not signature.verify(algorithm, other, MESSAGE, good)


@pytest.mark.parametrize("algorithm", KEYS)
@given(st.binary(max_size=300))
def test_any_bytes_are_no_signature_and_no_exception(algorithm: str, noise: bytes) -> None:
    assert not signature.verify(algorithm, public_key(algorithm), MESSAGE, noise)


@pytest.mark.parametrize("name", ["none", "None", "", "hs256", "ES521", "HS1", "RSA-OAEP"])
def test_unknown_algorithms_verify_nothing(name: str) -> None:
    """S05, S06, K20."""
    assert name not in ALGORITHMS
    for algorithm in KEYS:
        assert not signature.verify(name, public_key(algorithm), MESSAGE, b"")


SERVES: dict[str, tuple[Any, set[str]]] = {
    "RSA": (
        lambda: public_key("RS256"),
        {f"{f}{n}" for f in ("RS", "PS") for n in (256, 384, 512)},
    ),
    "K10 RSA of 1024 bits": (lambda: weak_rsa().public_key(), set()),
    "K11 P-256": (lambda: public_key("ES256"), {"ES256"}),
    "K11 P-384": (lambda: public_key("ES384"), {"ES384"}),
    "K11 P-521": (lambda: public_key("ES512"), {"ES512"}),
    "K22 secp256k1": (lambda: public_key("ES256K"), {"ES256K"}),
    "K15 Ed25519": (lambda: public_key("Ed25519"), {"EdDSA", "Ed25519"}),
    "K16 Ed448": (lambda: public_key("Ed448"), {"EdDSA", "Ed448"}),
    "K09 64 bytes": (lambda: b"x" * 64, {"HS256", "HS384", "HS512"}),
    "K09 63 bytes": (lambda: b"x" * 63, {"HS256", "HS384"}),
    "K09 32 bytes": (lambda: b"x" * 32, {"HS256"}),
    "K09 31 bytes": (lambda: b"x" * 31, set()),
    "an empty secret": (lambda: b"", set()),
}


@pytest.mark.parametrize(("key", "names"), SERVES.values(), ids=SERVES)
def test_what_a_key_may_serve(key: Any, names: set[str]) -> None:
    assert algorithms_for(key()) == names


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_key_never_serves_another_algorithm(algorithm: str) -> None:
    """P02, P04: also when somebody asks for it."""
    good = sign(algorithm, MESSAGE, private_key(algorithm))
    for name in KEYS:
        key = public_key(name)
        if algorithm not in algorithms_for(key):
            assert not signature.verify(algorithm, key, MESSAGE, good)


PSS: dict[str, tuple[hashes.HashAlgorithm, hashes.HashAlgorithm, int, bool]] = {
    # hash, hash of MGF1, octets of salt
    "K12 PS256": (hashes.SHA256(), hashes.SHA256(), 32, True),
    "K12 no salt": (hashes.SHA256(), hashes.SHA256(), 0, False),
    "K12 a longer salt": (hashes.SHA256(), hashes.SHA256(), 48, False),
    "K12 the longest salt": (hashes.SHA256(), hashes.SHA256(), 222, False),
    "K12 MGF1 with SHA-1": (hashes.SHA256(), hashes.SHA1(), 32, False),
    "K12 another hash": (hashes.SHA512(), hashes.SHA512(), 64, False),
}


@pytest.mark.parametrize(("digest", "mask", "salt", "good"), PSS.values(), ids=PSS)
def test_the_parameters_of_pss_are_those_of_the_algorithm(
    digest: hashes.HashAlgorithm, mask: hashes.HashAlgorithm, salt: int, good: bool
) -> None:
    scheme = padding.PSS(padding.MGF1(mask), salt)
    made = private_key("PS256").sign(MESSAGE, scheme, digest)
    assert signature.verify("PS256", public_key("PS256"), MESSAGE, made) is good


def test_an_algorithm_says_whether_it_takes_a_secret() -> None:
    assert {n for n in KEYS if ALGORITHMS[n].symmetric} == {"HS256", "HS384", "HS512"}
