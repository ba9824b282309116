"""A policy with every kind of rule, and tokens for its callers."""

from __future__ import annotations

from typing import Any

import pytest

from authz_middleware import Authz
from authz_middleware.testing import DevelopmentIssuer, FrozenClock

NOW = 1_800_000_000.0


@pytest.fixture(scope="session")
def clock():
    return FrozenClock(NOW)


@pytest.fixture(scope="session")
def issuer(clock):
    return DevelopmentIssuer("https://login.example.com", "orders-api", clock=clock)


@pytest.fixture(scope="session")
def policy(issuer) -> dict[str, Any]:
    return {
        "realm": "orders",
        "issuers": [issuer.policy_issuer()],
        "roles": {
            "viewer": ["article:read"],
            "editor": {"inherits": ["viewer"], "permissions": ["article:write"]},
            "admin": {"inherits": ["editor"], "permissions": ["user:*"]},
        },
        "routes": {
            "GET /health": "public",
            "GET /me": "authenticated",
            "GET /closed": "deny",
            "GET /articles/<int:id>": ["viewer"],
            "PUT /articles/{id:int}": {"permissions": ["article:write"]},
            "DELETE /users/<name>": {"permissions": ["user:delete"]},
            "POST /transfers": {"scopes": ["pay", "transfer"]},
            "WS /feed": ["viewer"],
            "WS /open": "public",
            "/admin/**": ["admin"],
        },
    }


@pytest.fixture(scope="session")
def authz(policy, clock) -> Authz:
    return Authz.from_mapping(policy, clock=clock)
