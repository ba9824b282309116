"""Who may do what, as a table."""

from __future__ import annotations

from collections.abc import Sequence

from authz_middleware.analysis.rights import rights_of
from authz_middleware.document import Document
from authz_middleware.policy.table import Table, table
from authz_middleware.runtime import settings

__all__ = ["tabulate"]


def tabulate(document: Document, roles: Sequence[str] | None = None) -> Table:
    """Compile `document` and return who may do what; of the roles only `roles`, if given.

    Raises `PolicyError` with every mistake that keeps it from being served.
    """
    loaded = settings.load(document)
    return table(loaded.policy, rights_of(loaded), roles)
