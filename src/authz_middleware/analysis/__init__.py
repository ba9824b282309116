"""What a policy means, before anything is served: the functions behind the `authz` command."""

from __future__ import annotations

from authz_middleware.analysis.auditing import Audit, AuditedRoute, Difference, audit
from authz_middleware.analysis.checking import check
from authz_middleware.analysis.comparing import Comparison, IssuerChange, compare
from authz_middleware.analysis.drafting import draft
from authz_middleware.analysis.explaining import (
    ANONYMOUS,
    Caller,
    Explained,
    Step,
    by_claims,
    by_record,
    by_roles,
    by_token,
    explain,
)
from authz_middleware.analysis.guards import routes_of
from authz_middleware.analysis.records import (
    Flip,
    Replayed,
    Suggestion,
    read_records,
    replay,
    suggest,
)
from authz_middleware.analysis.snapshots import NotASnapshot, changes_since, snapshot
from authz_middleware.analysis.tabulating import UnknownRole, tabulate, tabulate_app
from authz_middleware.document import Document
from authz_middleware.errors import Notice
from authz_middleware.observe.record import RecordedDecision, RecordedError
from authz_middleware.policy.binding import Gap
from authz_middleware.policy.changes import Changed
from authz_middleware.policy.table import Cell, Row, Table
from authz_middleware.runtime.settings import Settings, load

__all__ = [
    "ANONYMOUS",
    "Audit",
    "AuditedRoute",
    "Caller",
    "Cell",
    "Changed",
    "Comparison",
    "Difference",
    "Document",
    "Explained",
    "Flip",
    "Gap",
    "IssuerChange",
    "NotASnapshot",
    "Notice",
    "RecordedDecision",
    "RecordedError",
    "Replayed",
    "Row",
    "Settings",
    "Step",
    "Suggestion",
    "Table",
    "UnknownRole",
    "audit",
    "by_claims",
    "by_record",
    "by_roles",
    "by_token",
    "changes_since",
    "check",
    "compare",
    "draft",
    "explain",
    "load",
    "read_records",
    "replay",
    "routes_of",
    "snapshot",
    "suggest",
    "tabulate",
    "tabulate_app",
]
