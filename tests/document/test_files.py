"""What tells one state of a file from another."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from authz_middleware import PolicyError
from authz_middleware.document import Document
from authz_middleware.document.files import Files


def rewritten(file: Path) -> None:
    """With the same size and, as some tools do, with the old time."""
    status = file.stat()
    file.write_text("b")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def replaced(file: Path) -> None:
    other = file.with_name("other")
    other.write_text("a")
    os.utime(other, ns=(0, file.stat().st_mtime_ns))
    other.replace(file)


def led_elsewhere(file: Path) -> None:
    """As Kubernetes changes a mounted ConfigMap."""
    file.rename(file.with_name("first"))
    file.with_name("second").write_text("a")
    file.symlink_to(file.with_name("second"))


CHANGES: list[Callable[[Path], object]] = [
    rewritten,
    replaced,
    led_elsewhere,
    lambda file: file.write_text(""),
    lambda file: file.unlink(),
    lambda file: file.chmod(0o600 if file.stat().st_mode & 0o077 else 0o644),
]


@pytest.mark.parametrize(
    "change",
    CHANGES,
    ids=["rewritten", "replaced", "led elsewhere", "truncated", "vanished", "permissions"],
)
def test_every_change_is_seen(tmp_path: Path, change: Callable[[Path], object]) -> None:
    file = tmp_path / "a"
    file.write_text("a")
    os.utime(file, ns=(0, 0))
    files = Files()
    files.note(file)
    assert not files.changed()
    change(file)
    assert files.changed()
    files.note(file)  # it counts how it was first
    assert files.changed()


def test_a_file_that_is_not_there_yet(tmp_path: Path) -> None:
    files = Files()
    files.note(tmp_path / "a")
    files.note("a\0b")  # nor can be
    assert not files.changed()
    (tmp_path / "a").write_text("a")
    assert files.changed()


def test_a_relative_name_stays_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a").write_text("a")
    files = Files()
    files.note("a")
    monkeypatch.chdir("/")
    assert not files.changed()
    assert repr(files) == f"Files(['{tmp_path}/a'])"


@pytest.mark.parametrize("text", [None, "", " \n", "x"], ids=["missing", "empty", "blank", "wrong"])
def test_a_policy_that_cannot_be_read_has_been_looked_at(tmp_path: Path, text: str | None) -> None:
    file, files = tmp_path / "authz.toml", Files()
    if text is not None:
        file.write_text(text)
    with pytest.raises(PolicyError):
        Document.read(file, files)
    assert not files.changed()
    file.write_text("x = 1")
    assert files.changed()


@pytest.mark.parametrize("suffix", ["toml", "json", "yaml"])
def test_an_empty_file_is_no_policy(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"authz.{suffix}"
    file.write_text("\n")
    with pytest.raises(PolicyError, match="the file is empty; write a policy in it"):
        Document.read(file)
