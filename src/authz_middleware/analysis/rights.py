"""What the issuers of a policy may give, for the questions who may do what."""

from __future__ import annotations

from authz_middleware.policy.rights import Rights
from authz_middleware.runtime.settings import Settings, obtainable

__all__ = ["rights_of"]


def rights_of(settings: Settings) -> Rights:
    """Return what is needed of a policy to say who may do what."""
    return Rights(
        settings.policy.roles,
        {name: obtainable([issuer]) for name, issuer in settings.issuers.items()},
        token_permissions=any(each.claims.permissions for each in settings.issuers.values()),
    )
