"""What a policy means, before anything is served: the functions behind the `authz` command."""

from __future__ import annotations

from authz_middleware.analysis.checking import check

__all__ = ["check"]
