"""Which processes are there: nothing that a test started may outlive it."""

from __future__ import annotations

from pathlib import Path

import pytest


def mentioning(text: Path) -> list[str]:
    """Return the command lines of the processes whose command or environment names `text`."""
    if not Path("/proc/self/environ").exists():
        pytest.skip("processes are looked up in /proc")
    needle = str(text).encode()
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                command = (process / "cmdline").read_bytes()
                if needle in command or needle in (process / "environ").read_bytes():
                    found.append(command.replace(b"\0", b" ").decode(errors="replace"))
            except OSError:  # it has ended meanwhile, or is somebody else's
                continue
    return found
