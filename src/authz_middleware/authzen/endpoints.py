"""Where a decision point is asked, below its URL (AuthZEN 1.0, "HTTPS JSON Binding")."""

from __future__ import annotations

from typing import Final

__all__ = ["EVALUATION", "EVALUATIONS", "METADATA"]

EVALUATION: Final = "/access/v1/evaluation"
EVALUATIONS: Final = "/access/v1/evaluations"
METADATA: Final = "/.well-known/authzen-configuration"
