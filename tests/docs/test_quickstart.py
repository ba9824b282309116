"""The pages that a newcomer follows, followed to the letter."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.docs.followed import WHO, follow
from tests.docs.pages import ROOT
from tests.missing import missing

pytestmark = pytest.mark.e2e

PAGES = [
    "quickstart.md",
    "tutorial.md",
    *(
        f"frameworks/{path.name}"
        for path in sorted((ROOT / "docs" / "frameworks").glob("*.md"))
        if path.name != "index.md"
    ),
]


@pytest.mark.parametrize("page", PAGES)
def test_a_newcomer_follows(page: str, tmp_path: Path) -> None:
    for program in ("curl", "git"):
        if shutil.which(program) is None:
            missing(f"{program} is not installed")
    follow(ROOT / "docs" / page, tmp_path, WHO)
