"""Each policy of the cookbook is whole, and its tests would notice if something were missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from authz_middleware.testing import run_policy_tests
from tests.docs.pages import ROOT, Block, blocks

POLICIES = [block for block in blocks(ROOT / "docs/cookbook.md") if block.language == "toml"]


def test_there_are_twenty() -> None:
    titles = [block.title for block in POLICIES]
    assert len({*titles}) == len(titles) >= 20


@pytest.mark.parametrize("block", POLICIES, ids=[str(block.title) for block in POLICIES])
def test_a_policy_passes_its_tests_which_miss_nothing(block: Block, tmp_path: Path) -> None:
    file = tmp_path / str(block.title)
    file.write_text(block.text)
    report = run_policy_tests(file, mutate=True)
    assert report.ok, str(report)
    assert {result.expected for result in report.results} == {"allow", "deny"}
    assert report.untouched == ()
    # That an object is there is asked by whatever reads its attributes.
    missed = [what for _, what in report.unnoticed if not what.startswith("an object")]
    assert missed == []
