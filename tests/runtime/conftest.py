"""A provider for each test, and its certificate."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from authz_middleware.runtime import drivers
from authz_middleware.runtime.fetch import fetch, post
from tests.runtime.provider import Clock, Provider
from tests.tokens.minting import NOW


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider().running() as provider:
        yield provider


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long a machine takes for what a test does while a provider hangs decides nothing."""
    for asks in (fetch, post):
        defaults = {**(asks.__kwdefaults__ or {}), "total_seconds": 30.0}
        monkeypatch.setattr(asks, "__kwdefaults__", defaults)
    monkeypatch.setattr(drivers, "MAX_WAIT", 30.0)


@pytest.fixture(autouse=True)
def introspection_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """The secret of `asking.introspected`."""
    monkeypatch.setenv("INTROSPECTION_SECRET", "hush-hush")


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory) -> Path:
    """Return a PEM file: a certificate for 127.0.0.1 that nobody else has signed, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "provider of a test")])
    today = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "certificate.pem"
    file.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return file


@pytest.fixture
def tls_provider(certificate: Path) -> Iterator[Provider]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    with Provider(context).running() as provider:
        yield provider
