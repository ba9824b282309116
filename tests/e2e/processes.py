"""Which processes are there: nothing that a test started may outlive it."""

from __future__ import annotations

import os
from pathlib import Path
from select import select

import pytest


def mentioning(text: Path) -> list[str]:
    """Return the command lines of the processes whose command or environment names `text`."""
    return list(_mentioning(text).values())


def remaining(text: Path, seconds: float = 10.0) -> list[str]:
    """The same, after a while in which they may end: a helper ends when it sees its server gone."""
    found = _mentioning(text)
    for process in list(found):
        try:
            end = os.pidfd_open(process)
        except ProcessLookupError:
            continue
        select([end], [], [], seconds)
        os.close(end)
    return mentioning(text)


def _mentioning(text: Path) -> dict[int, str]:
    if not Path("/proc/self/environ").exists():
        pytest.skip("processes are looked up in /proc")
    needle = str(text).encode()
    found = {}
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                command = (process / "cmdline").read_bytes()
                if needle in command or needle in (process / "environ").read_bytes():
                    found[int(process.name)] = command.replace(b"\0", b" ").decode(errors="replace")
            except OSError:  # it has ended meanwhile, or is somebody else's
                continue
    return found
