"""Who may do what in the newsroom, written by hand: the demonstration compares against it.

Nothing here is computed from the policy or by the code under test. A row is a request; a column
is a caller, with the HTTP status that the request must get.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from authz_middleware.testing import DevelopmentIssuer

__all__ = ["ROLES", "Expected", "authorization", "expectations"]

ROLES = {
    # subject, roles, scope
    "viewer": ("vera", ["viewer"], None),
    "editor": ("eddy", ["editor"], "export"),
    "admin": ("ada", ["admin"], None),
}

CALLERS = (
    "no token",
    "malformed header",
    "expired",
    "wrong audience",
    "wrong key",
    "viewer",
    "editor",
    "admin",
)

# "." is not asked: the request would change what a later row expects, or add nothing to it.
TABLE = """
                                  none malf expd aud  key  view edit admin
GET    /health                     200  200  200  200  200   200  200  200
POST   /health                     401  400  401  401  401   403  403  403
GET    /me                         401  400  401  401  401   200  200  200
GET    /articles                   401  400  401  401  401   200  200  200
POST   /articles                   401  400  401  401  401   403  201  201
GET    /articles.csv               401  400  401  401  401   403  200  403
GET    /articles/1                 401  400  401  401  401   200  200  200
GET    /articles/99                401  400  401  401  401   404  404  404
PUT    /articles/1                 401  400  401  401  401   403  200  200
PUT    /articles/2                 401  400  401  401  401   403  403  200
PATCH  /articles/1                 401  400  401  401  401   403  403  403
DELETE /articles/3                 401  400  401  401  401   403  403  200
GET    /admin/users                401  400  401  401  401   403  403  200
GET    /admin/nothing/here         401  400  401  401  401   403  403  404
GET    /%61dmin/users              401  400  401  401  401   403  403  200
GET    /Admin/users                401  400  401  401  401   403  403  403
GET    /metrics                    401  400  401  401  401   403  403  403
GET    /nowhere                    401    .    .    .    .   403    .  403
GET    //admin/users               400    .    .    .    .   400  400  400
GET    /admin//users               400    .    .    .    .   400  400  400
GET    /articles/../admin/users    400    .    .    .    .   400  400  400
GET    /articles/%2e%2e/admin      400    .    .    .    .   400  400  400
GET    /admin;v=1/users            400    .    .    .    .   400  400  400
GET    /articles/1%252e            400    .    .    .    .   400  400  400
GET    /articles/+1                400    .    .    .    .   400  400  400
GET    /articles/1_0               400    .    .    .    .   400  400  400
GET    /.well-known/oauth-protected-resource  200 . . . .  200 . .
WS     /feed                       401  400  401  401  401   101  101  101
WS     /articles                   401  400  401  401  401   403  403  403
GET    /feed                       401    .    .    .    .   403    .  403
"""


class Expected(NamedTuple):
    """One request, who makes it, and the status that it must get."""

    method: str  # "WS" is a WebSocket handshake
    target: str  # sent as written
    caller: str
    status: int


def expectations() -> Iterator[Expected]:
    """Yield the cells of the table, row by row."""
    for row in TABLE.strip().splitlines()[1:]:
        method, target, *statuses = row.split()
        for caller, status in zip(CALLERS, statuses, strict=True):
            if status != ".":
                yield Expected(method, target, caller, int(status))


def authorization(issuer: DevelopmentIssuer) -> dict[str, str | None]:
    """Return what each caller sends in Authorization; None sends none."""
    tokens = {
        "expired": issuer.expired("ada", roles=["admin"]),
        "wrong audience": issuer.for_audience("another-service", "ada", roles=["admin"]),
        "wrong key": issuer.signed_by_another_key("ada", roles=["admin"]),
    }
    for name, (subject, roles, scope) in ROLES.items():
        tokens[name] = issuer.mint(subject, roles=roles, scope=scope, lifetime=8 * 3600)
    return {
        "no token": None,
        "malformed header": f"Bearer {tokens['admin']}, Bearer {tokens['viewer']}",
    } | {name: f"Bearer {token}" for name, token in tokens.items()}
