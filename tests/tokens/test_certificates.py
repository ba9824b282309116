"""What is said of the certificates that keys came in, and that no token is refused for them."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.tokens.certificates import SOON, Certified, concerns, of_jwks, of_pem
from authz_middleware.tokens.keys import KeysUnusable, from_jwks, from_pem
from tests.tokens.minting import NOW, jwk, private_key

DAY = timedelta(days=1)
TODAY = datetime.fromtimestamp(NOW, UTC)


def certificate(begin: timedelta, end: timedelta, number: int = 0) -> x509.Certificate:
    key = private_key("ES256", number)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "issuer")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(TODAY + begin)
        .not_valid_after(TODAY + end)
        .sign(key, hashes.SHA256())
    )


def der(begin: timedelta = -DAY, end: timedelta = 400 * DAY, number: int = 0) -> bytes:
    return certificate(begin, end, number).public_bytes(Encoding.DER)


def pem(begin: timedelta = -DAY, end: timedelta = 400 * DAY) -> bytes:
    return certificate(begin, end).public_bytes(Encoding.PEM)


def said(*found: Certified) -> list[tuple[str, bool]]:
    return [(each.what, each.dates) for one in found for each in concerns(one, NOW)]


DATES = {
    "good for long": (-DAY, SOON + DAY, None),
    "ending soon": (-DAY, SOON - DAY, f"ends on {TODAY + SOON - DAY:%Y-%m-%d}"),
    "ending today": (-DAY, timedelta(hours=1), f"ends on {TODAY + timedelta(hours=1):%Y-%m-%d}"),
    "ended": (-5 * DAY, -DAY, f"ended on {TODAY - DAY:%Y-%m-%d}"),
    "not begun": (DAY, 400 * DAY, f"begins on {TODAY + DAY:%Y-%m-%d}"),
}


@pytest.mark.parametrize(("begin", "end", "expected"), DATES.values(), ids=DATES)
def test_dates(begin: timedelta, end: timedelta, expected: str | None) -> None:
    in_set = {"keys": [jwk("ES256", x5c=[b64encode(der(begin, end)).decode()])]}
    wanted = [] if expected is None else [expected]
    assert said(*of_pem(pem(begin, end))) == [(f"its certificate {text}", True) for text in wanted]
    assert said(*of_jwks(in_set)) == [
        (f"the certificate (`x5c`) of key 0 {text}", True) for text in wanted
    ]
    # The keys are what they were.
    assert len(from_jwks(in_set).keys) == len(from_pem(pem(begin, end)).keys) == 1


def test_a_key_file_without_a_certificate() -> None:
    public = certificate(-DAY, DAY).public_key()
    assert of_pem(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)) == ()
    assert of_jwks({"keys": [jwk("ES256")]}) == ()


ODD: dict[str, tuple[Any, str]] = {
    "another key": ([b64encode(der(number=1)).decode()], "holds another key (RFC 7517 §4.7)"),
    "no list": (b64encode(der()).decode(), "cannot be read"),
    "an empty list": ([], "cannot be read"),
    "no text": ([1], "cannot be read"),
    "no base64": (["!"], "cannot be read"),
    "base64url": (["_-_-"], "cannot be read"),
    "no certificate": (["AAAA"], "cannot be read"),
    "a part of one": ([b64encode(der()[:-9]).decode()], "cannot be read"),
    "letters that are none": (["é"], "cannot be read"),
}


@pytest.mark.parametrize(("chain", "expected"), ODD.values(), ids=ODD)
def test_what_is_no_certificate_of_the_key(chain: Any, expected: str) -> None:
    found = of_jwks({"keys": [jwk("ES256"), jwk("ES256", x5c=chain)]})
    assert said(*found) == [(f"the certificate (`x5c`) of key 1 {expected}", False)]


def test_a_key_that_is_no_key_is_not_compared() -> None:
    chain = [b64encode(der()).decode()]
    assert said(*of_jwks({"keys": [{"kty": "EC", "x5c": chain}]})) == []


@pytest.mark.parametrize("document", [None, [], {}, {"keys": 1}, {"keys": [1, None, "x5c"]}])
def test_what_is_no_key_set(document: Any) -> None:
    assert of_jwks(document) == ()


@given(st.binary(max_size=60))
def test_no_bytes_break_it(data: bytes) -> None:
    for found in (Certified("it", data), Certified("it", data, {"kty": "EC"})):
        assert said(found) == [("it cannot be read", False)]


def test_a_certificate_of_a_version_that_nobody_knows() -> None:
    # RFC 5280 §4.1: v3 is 2, the only integer of that form before the serial number.
    odd = der().replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07", 1)
    assert said(Certified("it", odd, {})) == [("it cannot be read", False)]
    text = b"-----BEGIN CERTIFICATE-----\n" + b64encode(odd) + b"\n-----END CERTIFICATE-----\n"
    with pytest.raises(KeysUnusable, match="is not a PEM public key or certificate"):
        from_pem(text)
