"""What users import in their own tests: an issuer, a clock, and the policy's own tests."""

from __future__ import annotations

from authz_middleware.testing.clock import FrozenClock
from authz_middleware.testing.issuer import DevelopmentIssuer
from authz_middleware.testing.policy_tests import (
    PolicyTestReport,
    PolicyTestResult,
    run_policy_tests,
)

__all__ = [
    "DevelopmentIssuer",
    "FrozenClock",
    "PolicyTestReport",
    "PolicyTestResult",
    "run_policy_tests",
]
