"""Who may do what, as a table."""

from __future__ import annotations

from collections.abc import Sequence

from authz_middleware.analysis.guards import target_of
from authz_middleware.analysis.rights import rights_of
from authz_middleware.document import Document
from authz_middleware.policy.alike import alike
from authz_middleware.policy.review import role_names
from authz_middleware.policy.table import Table, table, table_of_app
from authz_middleware.progress import Progress, untold
from authz_middleware.runtime import settings
from authz_middleware.runtime.settings import Settings

__all__ = ["UnknownRole", "tabulate", "tabulate_app"]


class UnknownRole(LookupError):
    """A role that the policy does not know: a column for it would say no for want of a question."""


def tabulate(
    document: Document, roles: Sequence[str] | None = None, *, progress: Progress = untold
) -> Table:
    """Compile `document` and return who may do what; of the roles only `roles`, if given.

    Raises `PolicyError` with every mistake that keeps it from being served, and `UnknownRole`.
    """
    loaded = settings.load(document)
    _check(roles, loaded)
    return table(loaded.policy, rights_of(loaded), roles, progress=progress)


def tabulate_app(
    app: object,
    document: Document | None = None,
    roles: Sequence[str] | None = None,
    *,
    progress: Progress = untold,
) -> Table:
    """Return who may do what on the routes of `app`, under the policy of its guard or `document`.

    Raises `PolicyError` if there is none that can be served, and `UnknownRole`.
    """
    serving, guarded = target_of(app, document)
    loaded = serving.settings
    _check(roles, loaded)
    found = alike(guarded.laid(serving))
    return table_of_app(found, loaded.policy, rights_of(loaded), roles, progress=progress)


def _check(roles: Sequence[str] | None, loaded: Settings) -> None:
    known = role_names(loaded.policy)
    for role in roles or ():
        if role not in known:
            raise UnknownRole(f"role `{role}` is in no rule and not in [roles]")
