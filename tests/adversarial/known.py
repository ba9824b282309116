"""What runs wrongly today, one line each, with the reason.

The whole replay fails where this list is too short, and where it is too long.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["KNOWN", "Leak", "known"]


class Leak(NamedTuple):
    """A handler of an app, and a request that runs it for a caller without the right."""

    app: str
    handler: str
    request: str
    default: Literal["", "authenticated"] = ""
    """Only with this `default`, which lets every valid caller in where no rule is; "" is always."""


KNOWN: frozenset[Leak] = frozenset()
"""Nothing, today."""


def known(app: str, default: str) -> set[tuple[str, str]]:
    """Return the handlers and requests that are known for `app` under this `default`."""
    return {
        (each.handler, each.request)
        for each in KNOWN
        if each.app == app and each.default in ("", default)
    }
