"""What is answered to an AuthZEN question: the decision, and for a denial why ("Decision Context").

The context holds codes, names from the policy and an id: nothing of the caller, no claim, no text
of a condition.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from authz_middleware.authzen.endpoints import EVALUATION, EVALUATIONS
from authz_middleware.authzen.evaluation import Malformed
from authz_middleware.facts import OUTAGES, Decision, Reason

__all__ = [
    "FAILED",
    "LATE",
    "decided",
    "malformed",
    "metadata",
]

_UNDECIDED_BECAUSE: Final = "it could not be decided"


def _undecided(reason: str, status: int) -> dict[str, Any]:
    error = {"status": status, "message": _UNDECIDED_BECAUSE}
    return {"decision": False, "context": {"reason": reason, "error": error}}


FAILED: Final = _undecided("internal_error", 500)
"""What is answered where deciding failed."""

LATE: Final = _undecided("timeout", 503)
"""What is answered to one of several questions for which there was no time left."""


_UNDECIDED: Final[Mapping[Reason, int]] = {
    "path_ambiguous": 400,
    "method_ambiguous": 400,
    "invalid_token": 400,
    "condition_error": 500,
    **dict.fromkeys(OUTAGES, 503),
}
"""Denials that are none ("Errors"): nothing says that the policy would not permit it."""


def decided(decision: Decision, id: str) -> dict[str, Any]:
    """Return the answer that a decision is. `id` is the one that the log has."""
    if decision.allowed:
        return {"decision": True}
    context: dict[str, Any] = {"reason": decision.reason}
    if id:
        context["id"] = id
    if decision.missing and decision.reason not in ("condition_error", "condition_not_met"):
        context["missing"] = list(decision.missing)
    # Of the caller's credentials the one who asks must be told what it got wrong.
    if decision.reason == "invalid_token":
        context["detail"] = decision.detail
    if decision.acr_values:
        context["acr_values"] = " ".join(decision.acr_values)
    if decision.max_age is not None:
        context["max_age"] = decision.max_age
    if decision.reason in _UNDECIDED:
        status = _UNDECIDED[decision.reason]
        context["error"] = {"status": status, "message": _UNDECIDED_BECAUSE}
    return {"decision": False, "context": context}


def malformed(error: Malformed) -> dict[str, Any]:
    """Return the answer to one of several questions that is none."""
    context = {"reason": "bad_request", "error": {"status": 400, "message": error.message}}
    return {"decision": False, "context": context}


def metadata(url: str) -> dict[str, str]:
    """Return what a decision point at `url` says of itself ("PDP Metadata")."""
    return {
        "policy_decision_point": url,
        "access_evaluation_endpoint": url + EVALUATION,
        "access_evaluations_endpoint": url + EVALUATIONS,
    }
