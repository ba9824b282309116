"""The provider and the clock of the runtime's tests."""

from __future__ import annotations

from tests.runtime.conftest import clock, patience, provider

__all__ = ["clock", "patience", "provider"]
