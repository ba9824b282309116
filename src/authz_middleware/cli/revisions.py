"""A policy as it is in a file, or was in a revision of git: `main:authz.toml`."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from authz_middleware.cli.policies import Mistake
from authz_middleware.document import Document
from authz_middleware.errors import PolicyError, Problem

__all__ = ["read_revision"]


def read_revision(name: str) -> Document:
    """Read a policy file, or one of a revision (`REV:path`, as git writes it).

    Files that such a policy names are looked for where they are now. Raises `PolicyError`, and
    `Mistake` if git has no such file.
    """
    revision, colon, path = name.partition(":")
    if Path(name).exists() or not colon or not path:
        return Document.read(name)
    if not revision or revision.startswith("-"):
        raise Mistake(f"`{name}` names no revision; write `main:authz.toml`")
    with TemporaryDirectory() as folder:
        file = Path(folder, PurePosixPath(path).name)
        file.write_bytes(_shown(name))
        try:
            document = Document.read(file)
        except PolicyError as error:
            raise PolicyError(
                [
                    Problem(each.where.replace(str(file), name), each.what, each.fix)
                    for each in error.problems
                ]
            ) from None
    main, *others = document.parts
    main = replace(main, source=name, directory=Path(path).absolute().parent)
    return replace(document, parts=(main, *others))


def _shown(name: str) -> bytes:
    try:
        done = subprocess.run(["git", "show", name], capture_output=True, check=False)  # noqa: S603, S607 - git as it is on PATH, and no shell
    except OSError as error:
        raise Mistake(f"git cannot be run: {error.strerror}") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise Mistake(f"git has no `{name}`: {said}")
    return done.stdout
