"""The pages of the documentation and the code blocks in them.

A block may carry a mark, a comment just before it that no reader sees:

    <!-- fragment -->          a part of a policy; what it lacks is filled in before it is loaded
    <!-- refused: TEXT -->     such a part, which must not load; the error must hold TEXT
    <!-- added -->             the end of a file that is there already

A block with a title is a file: it is written under that name. Python without a title is run, page
by page from top to bottom; JSON and YAML without a title are only examples of an answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ROOT", "Block", "blocks", "headings", "page_ids", "pages", "prose", "write"]

ROOT = Path(__file__).parents[2]
LANGUAGES = {"console", "diff", "http", "json", "python", "text", "toml", "yaml"}

_fence = re.compile(r"^( *)```(.*)$")
_title = re.compile(r' title="([^"]+)"')
_mark = re.compile(r"^<!-- (added|fragment|refused)(?:: (.*))? -->$")


@dataclass(frozen=True)
class Block:
    """A fenced block; `line` is that of its first line of text."""

    page: Path
    line: int
    language: str
    title: str | None
    mark: str | None
    expected: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def write(block: Block, folder: Path, text: str) -> Path:
    """Write a block with a title under its name in `folder`."""
    assert block.title is not None
    path = folder / block.title
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a" if block.mark == "added" else "w") as file:
        file.write(text)
    return path


def pages() -> list[Path]:
    """README.md and every page of the site."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def page_ids() -> list[str]:
    return [str(page.relative_to(ROOT)) for page in pages()]


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page, in order."""
    return [block for block, _ in _parts(page) if block is not None]


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return "\n".join(line for block, line in _parts(page) if block is None)


def headings(page: Path) -> set[str]:
    """The anchors of a page's headings."""
    found = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    # As the site makes them; it leaves the underscore in `REMOTE_USER`.
    return {re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-") for text in found}


def _parts(page: Path) -> Iterator[tuple[Block | None, str]]:
    lines = page.read_text("utf-8").split("\n")
    number, last = 0, ""
    while number < len(lines):
        line = lines[number]
        number += 1
        fence = _fence.match(line)
        if fence is None:
            last = line if line.strip() else last
            yield None, line
            continue
        if fence[1]:
            raise ValueError(f"{page}:{number}: a fence is indented, and would not be tested")
        language = fence[2].split(" ")[0]
        if language not in LANGUAGES:
            raise ValueError(f"{page}:{number}: a block without a known language: {fence[2]!r}")
        end = lines.index("```", number)
        mark, title = _mark.match(last), _title.search(fence[2])
        yield (
            Block(
                page,
                number + 1,
                language,
                title[1] if title else None,
                mark[1] if mark else None,
                (mark[2] or "") if mark else "",
                "\n".join(lines[number:end]) + "\n",
            ),
            "",
        )
        number, last = end + 1, ""
