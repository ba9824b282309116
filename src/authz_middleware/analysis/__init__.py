"""What a policy means, before anything is served: the functions behind the `authz` command."""

from __future__ import annotations

from authz_middleware.analysis.auditing import Audit, AuditedRoute, Difference, audit
from authz_middleware.analysis.checking import check
from authz_middleware.analysis.comparing import Comparison, compare
from authz_middleware.analysis.drafting import draft
from authz_middleware.analysis.snapshots import NotASnapshot, changes_since, snapshot
from authz_middleware.analysis.tabulating import tabulate

__all__ = [
    "Audit",
    "AuditedRoute",
    "Comparison",
    "Difference",
    "NotASnapshot",
    "audit",
    "changes_since",
    "check",
    "compare",
    "draft",
    "snapshot",
    "tabulate",
]
