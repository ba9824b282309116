"""Templates, tenants and the keys that sign for them."""

from __future__ import annotations

from typing import Any

import pytest

from authz_middleware.document import Document, Report, Section
from authz_middleware.errors import PolicyError
from authz_middleware.tokens import issuers, verify
from authz_middleware.tokens.compact import parse
from authz_middleware.tokens.issuers import Discovery, JwksUri
from authz_middleware.tokens.keys import from_jwks
from tests.tokens.shapes import (
    API,
    NOW,
    OTHER,
    SHAPES,
    SIGNER,
    TEMPLATE,
    TENANT,
    V1,
    V2,
    detail,
    entra,
    load,
    mint,
    no_file,
    verified,
)

KEY_ISSUERS: dict[str, tuple[str | None, str | None]] = {
    "no issuer": (None, None),
    "any tenant": (TEMPLATE, None),
    "this tenant": (V2, None),
    "this tenant's version 1": (V1, None),
    "another tenant (Storm-0558)": (V2.replace(TENANT, OTHER), "unknown_key"),
    "no issuer of theirs": (TENANT + ".example.com", "unknown_key"),
}


class TestTenants:
    table: dict[str, Any] = SHAPES["entra v2"].table | {
        "issuer": TEMPLATE,
        "tenants": [TENANT, OTHER],
        "grants": ["Editor"],
    }

    def entra(self, tenant: str, **claims: Any) -> str:
        shape = SHAPES["entra v2"]
        return mint(shape, shape.claims | {"iss": TEMPLATE.format(tenantid=tenant)} | claims)

    def test_each_is_an_issuer_of_its_own(self) -> None:
        found = load(**self.table)
        assert [*found] == [V2, V2.replace(TENANT, OTHER)]
        assert [issuer.source for issuer in found.values()] == [Discovery(name) for name in found]
        assert verified(self.entra(TENANT), **self.table).issuer == V2
        other = verified(self.entra(OTHER, tid=OTHER), **self.table)
        assert other.issuer == V2.replace(TENANT, OTHER)

    @pytest.mark.parametrize("place", ["common", "{tenantid}"])
    def test_keys_at_a_named_address(self, place: str) -> None:
        url = f"https://login.microsoftonline.com/{place}/discovery/v2.0/keys"
        found = load(**self.table, jwks_uri=url)
        assert [issuer.source for issuer in found.values()] == [
            JwksUri(V2.replace(TENANT, tenant), url.replace("{tenantid}", tenant))
            for tenant in (TENANT, OTHER)
        ]

    @pytest.mark.parametrize(
        ("token", "expected"),
        [
            pytest.param({"tenant": API}, "unknown_issuer", id="not listed"),
            pytest.param({"tenant": TENANT.upper()}, "unknown_issuer", id="in capitals"),
            pytest.param({"tenant": "{tenantid}"}, "unknown_issuer", id="the template itself"),
            pytest.param({"tenant": "common"}, "unknown_issuer", id="common"),
            pytest.param({"tenant": TENANT, "tid": OTHER}, "wrong_tenant", id="tid of another"),
            pytest.param({"tenant": TENANT, "tid": None}, "wrong_tenant", id="no tid"),
            pytest.param({"tenant": TENANT, "tid": [TENANT]}, "wrong_tenant", id="tid is a list"),
        ],
    )
    def test_refused(self, token: dict[str, Any], expected: str) -> None:
        assert detail(self.entra(**token), **self.table) == expected

    def test_an_issuer_without_template_has_its_tenant(self) -> None:
        shape = SHAPES["entra v1"]
        assert detail(mint(shape, shape.claims | {"tid": OTHER}), **shape.table) == "wrong_tenant"

    @pytest.mark.parametrize(
        ("name", "claim", "ours", "theirs"),
        [("google", "hd", "example.com", "evil.com"), ("github-actions", "", "65", "66")],
    )
    def test_tenants_without_a_template(
        self, name: str, claim: str, ours: str, theirs: str
    ) -> None:
        shape, claim = SHAPES[name], claim or "repository_owner_id"
        assert verified(mint(shape), **shape.table, tenants=[theirs, ours]).subject
        assert detail(mint(shape), **shape.table, tenants=[theirs]) == "wrong_tenant"
        for value in (None, 65, [ours], ours + "\n"):
            token = mint(shape, shape.claims | {claim: value})
            assert detail(token, **shape.table, tenants=[ours]) == "wrong_tenant"

    @pytest.mark.parametrize(("key_issuer", "expected"), KEY_ISSUERS.values(), ids=KEY_ISSUERS)
    def test_a_key_signs_for_its_own_tenant(
        self, key_issuer: str | None, expected: str | None
    ) -> None:
        (jwk,) = SIGNER.jwks["keys"]
        if key_issuer is not None:
            jwk |= {"issuer": key_issuer}
        table = self.table | {"jwks": {"keys": [jwk]}}
        if expected is None:
            assert verified(self.entra(TENANT), **table).subject
        else:
            assert detail(self.entra(TENANT), **table) == expected

    def test_a_key_of_another_provider_is_not_looked_at_so(self) -> None:
        (jwk,) = SIGNER.jwks["keys"]
        keys = from_jwks({"keys": [jwk | {"issuer": "whoever"}]})
        shape = SHAPES["okta"]
        found = load(**shape.table)
        assert verify.verify(parse(mint(shape)), found[shape.issuer], keys, NOW).valid_until > NOW


@pytest.mark.parametrize(
    "table",
    [
        pytest.param({"issuer": "https://x", "audience": "a"}, id="no preset"),
        pytest.param(SHAPES["okta"].table, id="okta"),
        pytest.param(SHAPES["google"].table | {"tenants": ["example.com"]}, id="google"),
    ],
)
def test_no_tenant_to_put_into_an_address(table: dict[str, Any]) -> None:
    """It was filled in with nothing, and keys were fetched from another address."""
    with pytest.raises(PolicyError) as refused:
        load(**table, jwks_uri="https://keys.example.com/{tenantid}/jwks")
    (problem,) = refused.value.problems
    assert problem.where == "issuers[0].jwks_uri"
    assert "holds {tenantid}, and its issuer names no tenant" in str(problem)


def test_an_issuer_with_one_tenant_puts_it_into_the_address() -> None:
    (issuer,) = load(**entra(V2, jwks_uri="https://keys.example.com/{tenantid}/jwks")).values()
    assert issuer.source == JwksUri(V2, f"https://keys.example.com/{TENANT}/jwks")


def test_a_tenant_and_its_own_table_are_one_issuer_twice() -> None:
    document = Document.from_mapping(
        {
            "issuers": [
                entra(TEMPLATE, tenants=[OTHER, TENANT], grants=["a"]),
                entra(V2, grants=["b"]),
            ]
        }
    )
    report = Report(document)
    found = issuers.load(Section.top(report).tables("issuers"), read_file=no_file, environ={})
    assert len(found) == 2
    assert "listed twice" in str(report.problems[0])
