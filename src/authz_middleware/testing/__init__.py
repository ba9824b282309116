"""What users import in their own tests: an issuer, a clock, a policy's own tests, an attack."""

from __future__ import annotations

from authz_middleware.testing.attack import AttackReport, Leak, attack
from authz_middleware.testing.clock import FrozenClock
from authz_middleware.testing.issuer import DevelopmentIssuer
from authz_middleware.testing.policy_tests import (
    PolicyTestReport,
    PolicyTestResult,
    run_policy_tests,
)

__all__ = [
    "AttackReport",
    "DevelopmentIssuer",
    "FrozenClock",
    "Leak",
    "PolicyTestReport",
    "PolicyTestResult",
    "attack",
    "run_policy_tests",
]
