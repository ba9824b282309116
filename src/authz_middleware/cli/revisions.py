"""A policy as it is in a file, or was in a revision of git: `main:authz.toml`."""

from __future__ import annotations

import os
import posixpath
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Final

from authz_middleware.cli.policies import Mistake
from authz_middleware.document import Document
from authz_middleware.document.part import MAX_BYTES, source_of
from authz_middleware.errors import PolicyError, Problem

__all__ = ["read_revision"]


def read_revision(name: str) -> Document:
    """Read a policy file, or one of a revision (`REV:path`, as git writes it).

    What it includes is of the same revision. Files with keys are looked for where they are now.
    Raises `PolicyError`, and `Mistake` if git has no such file.
    """
    revision, colon, path = name.partition(":")
    if Path(name).exists() or not colon or not path:
        return Document.read(name)
    if not revision or revision.startswith("-"):
        raise Mistake(f"`{name}` names no revision; write `main:authz.toml`")
    text = _git("show", name)
    top, prefix = _standing()
    # As git reads it: from the top of the repository, unless it begins with a dot.
    inside = posixpath.normpath(prefix + path if path.startswith(("./", "../")) else path)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary).resolve()
        if b"include" in text:
            for each, content in _files(revision):
                _put(folder / each, content)
        _put(folder / inside, text)

        def named(said: str) -> str:
            for shown in (str(folder), source_of(folder)):
                said = said.replace(f"{shown}{os.sep}", f"{revision}:")
            return said

        try:
            document = Document.read(folder / inside)
        except PolicyError as error:
            problems = (map(named, (each.where, each.what, each.fix)) for each in error.problems)
            raise PolicyError([Problem(*texts) for texts in problems]) from None
        parts = (
            replace(
                part,
                source=named(part.source),
                directory=top / part.directory.relative_to(folder),
            )
            for part in document.parts
        )
        return replace(document, parts=tuple(parts))


def _standing() -> tuple[Path, str]:
    """The top of the work tree, and how git names the directory we are in."""
    try:
        top, prefix, *_ = _git("rev-parse", "--show-toplevel", "--show-prefix").split(b"\n")
    except Mistake:  # a repository without a work tree
        return Path.cwd(), ""
    return Path(os.fsdecode(top)), os.fsdecode(prefix)


_SUFFIXES: Final = frozenset({b".toml", b".json", b".yaml", b".yml"})


def _files(revision: str) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Yield the files of a revision that a policy may include."""
    listed = _git("ls-tree", "-r", "-l", "-z", "--full-tree", revision)
    found: dict[bytes, list[bytes]] = {}  # paths by the name of the object
    for line in listed.split(b"\0")[:-1]:
        told, _, path = line.partition(b"\t")
        mode, kind, name, size = told.split()
        suffix = path[path.rfind(b".") :].lower()
        # A symbolic link (120000) leads to nothing here.
        if kind == b"blob" and mode != b"120000" and suffix in _SUFFIXES and int(size) <= MAX_BYTES:
            found.setdefault(name, []).append(path)
    contents = BytesIO(_git("cat-file", "--batch", given=b"\n".join(found)))
    for paths in found.values():
        size = contents.readline().split()[-1]
        content = contents.read(int(size))
        contents.readline()
        for path in paths:
            yield PurePosixPath(os.fsdecode(path)), content


def _put(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def _git(*words: str, given: bytes = b"") -> bytes:
    try:
        done = subprocess.run(["git", *words], input=given, capture_output=True, check=False)  # noqa: S603, S607 - git as it is on PATH, and no shell
    except OSError as error:
        raise Mistake(f"git cannot be run: {error.strerror}") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise Mistake(f"git has no `{words[-1]}`: {said}")
    return done.stdout
