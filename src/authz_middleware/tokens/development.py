"""Keys of development issuers: their private half lies in a file on somebody's disk.

They are known by their name, which is all that a published key has of its own. A policy that is
carried from a laptop to a server must not go on believing whoever has that file.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from authz_middleware.tokens.key_sources import is_loopback, url_problem

__all__ = ["PREFIX", "is_development_key", "is_local"]

PREFIX: Final = "development-"
"""What the `kid` of such a key begins with."""


def is_development_key(kid: str | None) -> bool:
    """Whether a key of this name belongs to a development issuer."""
    return kid is not None and kid.startswith(PREFIX)


def is_local(issuer: str) -> bool:
    """Whether the issuer's identifier is an address of this machine, where such keys belong."""
    return url_problem(issuer) is None and is_loopback(urlsplit(issuer).hostname or "")
