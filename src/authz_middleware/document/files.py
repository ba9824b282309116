"""The files that a policy was read from, and whether they are still what they were then."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["Files", "Mark"]

Mark = tuple[int, ...] | None
"""What tells one state of a file from another; None if there is none, or it cannot be seen."""


class Files:
    """Every file that was looked at for one reading of a policy, found or not.

    A file is noted before it is opened, so that what is changed later is never missed.
    """

    __slots__ = ("_marks",)

    def __init__(self) -> None:
        self._marks: dict[Path, Mark] = {}

    def note(self, path: str | os.PathLike[str]) -> None:
        """Remember how the file at `path` is now; how it was first is what counts."""
        file = Path(path).absolute()
        if file not in self._marks:
            self._marks[file] = _mark(file)

    def now(self) -> tuple[Mark, ...]:
        """Return how the same files are now."""
        return tuple(map(_mark, self._marks))

    def changed(self) -> bool:
        """Whether one of them is not what it was."""
        return self.now() != tuple(self._marks.values())

    def __repr__(self) -> str:
        return f"Files({[*map(str, self._marks)]})"


def _mark(file: Path) -> Mark:
    try:
        found = file.stat()  # of what a link leads to
    except (OSError, ValueError):  # a name that no file can have
        return None
    # The size, because the clock of a file system may be slow; the time of the inode, because the
    # other one can be set, and because permissions count.
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
