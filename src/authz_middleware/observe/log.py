"""The decision log of the standard library: refusals at INFO, our outages and defects at ERROR.

A key that is not known yet is no outage, nor are too many unknown tokens: anybody can send such,
and so could fill the log.
"""

from __future__ import annotations

import logging

from authz_middleware.facts import OUTAGES, Decision, Principal, RequestFacts
from authz_middleware.observe import DecisionEvent

__all__ = ["LOGGER", "LogObserver", "log_trial"]

LOGGER = logging.getLogger("authz_middleware")

_ANYBODYS = frozenset({"unknown_key", "busy"})
_OURS = OUTAGES | {"unchecked"}


class LogObserver:
    """Writes one line per decision. Text from the request is escaped, so it cannot forge lines."""

    def observe(self, event: DecisionEvent) -> None:
        """Log `event`; at DEBUG where nobody was refused: also what `access.allows` denied."""
        decision = event.decision
        if not event.id:
            level = logging.DEBUG
        else:
            ours = decision.reason in _OURS and decision.detail not in _ANYBODYS
            level = logging.ERROR if ours else logging.INFO
        if not LOGGER.isEnabledFor(level):
            return
        LOGGER.log(
            level,
            "%s %a %a: %s%s%s%s rule=%s subject=%a issuer=%a asked=%a id=%s",
            "allowed" if decision.allowed else "refused",
            event.method,
            event.path,
            decision.reason,
            f" ({decision.detail})" if decision.detail else "",
            f" missing={list(decision.missing)!a}" if decision.missing else "",
            f" nearest={decision.nearest_miss!a}" if decision.nearest_miss else "",
            decision.rule,
            event.subject,
            event.issuer,
            event.asked,
            event.id,
        )


def log_trial(
    name: str, change: str, facts: RequestFacts, decision: Decision, principal: Principal | None
) -> None:
    """Log what a policy on trial would have decided otherwise. Text is escaped, as above."""
    LOGGER.info(
        "on trial %s: %s %a %a: %s%s%s rule=%s subject=%a issuer=%a",
        name,
        change,
        facts.method,
        facts.path,
        decision.reason,
        f" ({decision.detail})" if decision.detail else "",
        f" nearest={decision.nearest_miss!a}" if decision.nearest_miss else "",
        decision.rule,
        principal.subject if principal else None,
        principal.issuer if principal else None,
    )
