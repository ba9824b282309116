"""Who may do what, as a table."""

from __future__ import annotations

from collections.abc import Sequence

from authz_middleware.analysis.rights import rights_of
from authz_middleware.document import Document
from authz_middleware.policy.review import role_names
from authz_middleware.policy.table import Table, table
from authz_middleware.progress import Progress, untold
from authz_middleware.runtime import settings

__all__ = ["UnknownRole", "tabulate"]


class UnknownRole(LookupError):
    """A role that the policy does not know: a column for it would say no for want of a question."""


def tabulate(
    document: Document, roles: Sequence[str] | None = None, *, progress: Progress = untold
) -> Table:
    """Compile `document` and return who may do what; of the roles only `roles`, if given.

    Raises `PolicyError` with every mistake that keeps it from being served, and `UnknownRole`.
    """
    loaded = settings.load(document)
    known = role_names(loaded.policy)
    for role in roles or ():
        if role not in known:
            raise UnknownRole(f"role `{role}` is in no rule and not in [roles]")
    return table(loaded.policy, rights_of(loaded), roles, progress=progress)
