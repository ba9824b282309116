"""A folder in which the blocks of a page find the files that they name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from authz_middleware.testing import DevelopmentIssuer

SECRET = "q3Zr8VnXw1Lk5TfYc0Hs7PjDe2Gm9BuAo4RiKt6W"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, but for keys under the names that the pages use."""
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "jwks.json").write_text(json.dumps(DevelopmentIssuer().jwks))
    (keys / "secret.txt").write_text(SECRET + "\n")
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (keys / "public.pem").write_bytes(pem)
    monkeypatch.setenv("ORDERS_SECRET", SECRET)
    monkeypatch.setenv("LOGIN_HOST", "login.example.com")
    monkeypatch.setenv("STAGE", "test")
    monkeypatch.chdir(tmp_path)
    return tmp_path
