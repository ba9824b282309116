"""Frameworks are imported by name: one that is not installed is a skip here, a failure in CI."""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest


def installed(module: str) -> Any:
    """The module; a test, or a whole file of tests, is skipped where its package is missing."""
    package = module.partition(".")[0]
    if find_spec(package) is None:
        message = f"{package} is not installed"
        if os.environ.get("CI", "").lower() in {"true", "1"}:
            pytest.fail(message, pytrace=False)
        pytest.skip(message, allow_module_level=True)
    return import_module(module)
