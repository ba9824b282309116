"""What every test shares: the Hypothesis profiles and the published test vectors."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from tests.missing import missing

REPOSITORY = Path(__file__).resolve().parent.parent
VECTORS = Path(os.environ.get("AUTHZ_VECTORS") or REPOSITORY.parent / "shared" / "vectors")

# No deadline: a slow machine is not a failing law. CI repeats the same examples on every run, so
# that a red run is the change's doing; `thorough` looks for new ones.
settings.register_profile("default", max_examples=40, deadline=None)
settings.register_profile(
    "quick", max_examples=40, deadline=None, derandomize=True, database=None, print_blob=True
)
settings.register_profile(
    "ci", max_examples=200, deadline=None, derandomize=True, database=None, print_blob=True
)
settings.register_profile("thorough", max_examples=5000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or "default")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a conformance test without its vectors; in CI that is a failure, never a skip."""
    if item.get_closest_marker("conformance") is None or VECTORS.is_dir():
        return
    missing(f"no test vectors at {VECTORS}; AUTHZ_VECTORS names their folder")


@pytest.fixture(scope="session")
def vectors() -> Path:
    """Return the folder of the published test vectors; use it in tests marked `conformance`."""
    return VECTORS
