"""The provider and the clock of the runtime's tests."""

from __future__ import annotations

from tests.runtime.conftest import clock, provider

__all__ = ["clock", "provider"]
