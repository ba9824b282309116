"""A preset, from the policy's one line to the answer, through both adapters."""

from __future__ import annotations

from typing import Any

import pytest

from authz_middleware import Authz
from authz_middleware.testing import DevelopmentIssuer
from tests.adapters.exchange import WORLDS, ask

TENANT = "5f1c5d6e-0a1b-4c2d-8e3f-001122334455"
OTHER = "aaaabbbb-0000-1111-2222-ccccdddd0000"
ENTRA = "https://login.microsoftonline.com/{tenantid}/v2.0"


@pytest.fixture(scope="module")
def entra(clock):
    return DevelopmentIssuer(ENTRA.format(tenantid=TENANT), "orders", clock=clock)


@pytest.fixture(scope="module")
def authz(entra, clock) -> Authz:
    table = entra.policy_issuer(
        preset="entra", issuer=ENTRA, tenants=[TENANT, OTHER], grants=["Editor"]
    )
    routes = {
        "PUT /articles/<int:id>": {"roles": ["Editor"], "scopes": ["Orders.Write"]},
        "GET /partner": {"issuers": [ENTRA.format(tenantid=OTHER)]},
    }
    return Authz.from_mapping({"issuers": [table], "routes": routes}, clock=clock)


ACCESS: dict[str, Any] = {"tid": TENANT, "azp": "spa", "scp": "Orders.Write", "roles": ["Editor"]}
PARTNER: dict[str, Any] = {"tid": OTHER, "iss": ENTRA.format(tenantid=OTHER)}

CASES: dict[str, tuple[str, str, dict[str, Any], int, str]] = {
    "access token": ("PUT", "/articles/1", {}, 200, ""),
    "ID token": ("PUT", "/articles/1", {"scp": None, "azp": None}, 401, "not_an_access_token"),
    "tenant in `tid` only": ("PUT", "/articles/1", {"tid": OTHER}, 401, "wrong_tenant"),
    "without the scope": ("PUT", "/articles/1", {"scp": "Orders.Read"}, 403, ""),
    "another tenant": ("PUT", "/articles/1", PARTNER, 200, ""),
    "another tenant's route": ("GET", "/partner", PARTNER, 200, ""),
    "not that tenant": ("GET", "/partner", {}, 403, ""),
}


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize(
    ("method", "path", "claims", "status", "detail"), CASES.values(), ids=CASES
)
def test_preset(world, authz, entra, caplog, method, path, claims, status, detail):
    caplog.set_level("INFO", "authz_middleware")
    token = entra.mint("ann", headers={"typ": "JWT"}, **ACCESS | claims)
    for _ in range(2):  # the second time the token is remembered, if it was good
        sent = ask(world, authz, method, path, [("Authorization", f"Bearer {token}")])
        assert sent.status == status
        if status == 200:
            assert sent.access.principal.issuer == claims.get("iss", entra.issuer)
        assert detail in caplog.text
