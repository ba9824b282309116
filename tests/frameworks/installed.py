"""Frameworks are imported by name: one that is not installed is a skip here, a failure in CI."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from tests.missing import missing


def installed(module: str) -> Any:
    """The module; a test, or a whole file of tests, is skipped where its package is missing."""
    package = module.partition(".")[0]
    if find_spec(package) is None:
        missing(f"{package} is not installed")
    return import_module(module)
