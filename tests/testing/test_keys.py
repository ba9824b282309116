"""Key pairs that are kept: who may read them, and what is no key."""

from __future__ import annotations

from pathlib import Path

import pytest

from authz_middleware.testing import DevelopmentIssuer
from authz_middleware.testing.keys import ALGORITHMS, DevelopmentKey


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_is_written_is_read(tmp_path: Path, algorithm: str) -> None:
    file = tmp_path / "key.pem"
    key = DevelopmentKey.make(algorithm, named=True)
    key.write(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert [*tmp_path.iterdir()] == [file]
    assert DevelopmentKey.read(file, algorithm).kid == key.kid
    assert "PRIVATE" not in repr(key)


def test_a_key_that_is_kept_is_found_again(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    one, other = DevelopmentIssuer(key_file=file), DevelopmentIssuer(key_file=str(file))
    assert one.jwks == other.jwks
    assert other.introspect(one.mint())["active"]


def test_a_rotated_key_is_kept_and_the_old_one_published(tmp_path: Path) -> None:
    issuer = DevelopmentIssuer(key_file=tmp_path / "key.pem")
    old, token = issuer.kid, issuer.mint()
    issuer.rotate()
    assert [key["kid"] for key in issuer.jwks["keys"]] == [old, issuer.kid]
    assert DevelopmentIssuer(key_file=tmp_path / "key.pem").kid == issuer.kid
    assert issuer.introspect(token)["active"]
    assert issuer.introspect(issuer.mint())["active"]
    assert not issuer.introspect(DevelopmentIssuer().mint())["active"]


@pytest.mark.parametrize(
    ("content", "algorithm", "said"),
    [
        (b"secret things", "ES256", "holds no private key in PEM form"),
        (None, "RS256", "cannot sign with RS256"),
        (None, "ES384", "cannot sign with ES384"),
    ],
    ids=["no key", "another type", "another curve"],
)
def test_what_does_not_sign(
    tmp_path: Path, content: bytes | None, algorithm: str, said: str
) -> None:
    file = tmp_path / "key.pem"
    DevelopmentKey.make("ES256").write(file)
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ValueError, match=said) as caught:
        DevelopmentIssuer(algorithm=algorithm, key_file=file)
    assert "secret" not in str(caught.value)


def test_a_key_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    with pytest.raises(OSError):
        DevelopmentKey.make("ES256").write(target)
    assert [*tmp_path.iterdir()] == [target]
