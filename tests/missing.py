"""What a test needs and this machine may lack: skipped with a line that says what; failed in CI."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

__all__ = ["missing"]


def missing(what: str) -> NoReturn:
    """Skip the test, or a whole file of them, for want of `what`; in CI that is a failure."""
    if os.environ.get("CI", "").lower() in {"true", "1"}:
        pytest.fail(what, pytrace=False)
    pytest.skip(what, allow_module_level=True)
