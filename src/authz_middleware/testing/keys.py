"""The key pairs of the development issuer: made on the spot, or kept in a file of their own."""

from __future__ import annotations

import json
import os
from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias
from uuid import uuid4

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt import algorithms

from authz_middleware.tokens.development import PREFIX
from authz_middleware.tokens.signature import ALGORITHMS as KNOWN

__all__ = ["ALGORITHMS", "DevelopmentKey", "PrivateKey", "public_jwk"]

PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | Ed25519PrivateKey

_CURVES: Final[dict[str, ec.EllipticCurve]] = {
    "ES256": ec.SECP256R1(),
    "ES384": ec.SECP384R1(),
    "ES512": ec.SECP521R1(),
}
ALGORITHMS: Final = (
    *_CURVES,
    "EdDSA",
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
)

# RFC 7638 §3.2: what a thumbprint is made of, by the type of the key. All of it is public.
_MEMBERS: Final = ("crv", "e", "kty", "n", "x", "y")


class DevelopmentKey(NamedTuple):
    """A private key, and the name under which its public half is published."""

    private: PrivateKey
    kid: str

    def __repr__(self) -> str:
        """Only the name: the key itself must not get into a log."""
        return f"DevelopmentKey({self.kid!r})"

    @classmethod
    def make(cls, algorithm: str, *, named: bool = False) -> DevelopmentKey:
        """Make a key for an algorithm of RFC 7518 §3.1 or RFC 8037 §3.1; RSA takes the longest.

        With `named` it has the name of a key that is kept.
        """
        private: PrivateKey
        if curve := _CURVES.get(algorithm):
            private = ec.generate_private_key(curve)
        elif algorithm == "EdDSA":
            private = Ed25519PrivateKey.generate()
        else:
            private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return cls(private, _name(private) if named else uuid4().hex)

    @classmethod
    def read(cls, file: Path, algorithm: str) -> DevelopmentKey:
        """Read a key that `write` has written. Raises OSError, or ValueError if it is another."""
        try:
            private = serialization.load_pem_private_key(file.read_bytes(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            # Not what they say: that may quote what they read.
            raise ValueError(f"{file} holds no private key in PEM form") from None
        if isinstance(
            private, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, Ed25519PrivateKey)
        ) and KNOWN[algorithm].fits(private.public_key()):
            return cls(private, _name(private))
        raise ValueError(f"the key in {file} cannot sign with {algorithm}")

    def write(self, file: Path) -> None:
        """Put the key into `file`, in place of what is there, for its owner alone to read."""
        data = self.private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        aside = file.with_name(f".{file.name}.{uuid4().hex}")
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(data)
            aside.replace(file)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise


def public_jwk(private: PrivateKey) -> dict[str, Any]:
    """Return the public half as the members of a JWK (RFC 7517 §4), without a name."""
    public = private.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        jwk = algorithms.RSAAlgorithm.to_jwk(public, as_dict=True)
    elif isinstance(public, ec.EllipticCurvePublicKey):
        jwk = algorithms.ECAlgorithm.to_jwk(public, as_dict=True)
    else:
        jwk = algorithms.OKPAlgorithm.to_jwk(public, as_dict=True)
    return {name: jwk[name] for name in _MEMBERS if name in jwk}


def _name(private: PrivateKey) -> str:
    """The same for the same key, wherever it is read (RFC 7638 §3)."""
    text = json.dumps(public_jwk(private), separators=(",", ":"), sort_keys=True)
    thumbprint = urlsafe_b64encode(sha256(text.encode()).digest()).rstrip(b"=").decode()
    return PREFIX + thumbprint
