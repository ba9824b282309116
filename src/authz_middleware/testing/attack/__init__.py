"""An attack on an app that is wrapped: every odd request that is known, and what got through."""

from __future__ import annotations

from authz_middleware.testing.attack.report import AttackReport, Leak
from authz_middleware.testing.attack.running import attack

__all__ = ["AttackReport", "Leak", "attack"]
