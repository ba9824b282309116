"""Every preset on tokens of the shape that the provider documents."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from authz_middleware.document import Document, Report, Section
from authz_middleware.errors import PolicyError
from authz_middleware.facts import Principal
from authz_middleware.testing import DevelopmentIssuer, FrozenClock
from authz_middleware.tokens import issuers, verify
from authz_middleware.tokens.compact import parse
from authz_middleware.tokens.issuers import Discovery, Issuer, JwksUri, StaticKeys
from authz_middleware.tokens.keys import from_jwks
from authz_middleware.tokens.presets import PRESETS
from authz_middleware.tokens.rejection import Rejected

NOW = 1_800_000_000.0
SIGNER = DevelopmentIssuer("unused", clock=FrozenClock(NOW))

TENANT = "5f1c5d6e-0a1b-4c2d-8e3f-001122334455"
OTHER = "aaaabbbb-0000-1111-2222-ccccdddd0000"
V2 = f"https://login.microsoftonline.com/{TENANT}/v2.0"
V1 = f"https://sts.windows.net/{TENANT}/"
TEMPLATE = "https://login.microsoftonline.com/{tenantid}/v2.0"
API = "11112222-bbbb-3333-cccc-4444dddd5555"
SPA = "00001111-aaaa-2222-bbbb-3333cccc4444"
PERSON = "auth0|6553da60a54af58e29493993"
WORKLOAD = "system:serviceaccount:shop:billing"
MAIN = "repo:octo-org/shop:ref:refs/heads/main"

EXTRA = ("jti", "client_id", "aud", "roles", "sub")


@dataclass(frozen=True)
class Shape:
    """A kind of token of a provider: its `typ`, its claims, and what an access token brings."""

    preset: str
    issuer: str
    audience: str
    claims: dict[str, Any]
    typ: str = "JWT"
    id_token: dict[str, Any] = field(default_factory=dict[str, Any])
    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    permissions: frozenset[str] = frozenset()

    @property
    def table(self) -> dict[str, Any]:
        return {"preset": self.preset, "issuer": self.issuer, "audience": self.audience}


def names(*names: str) -> frozenset[str]:
    return frozenset(names)


OIDC = {"name": "Ann", "email": "ann@example.com", "email_verified": True, "nonce": "n-0S6_WzA2Mj"}

SHAPES: dict[str, Shape] = {
    "keycloak": Shape(
        "keycloak",
        "https://login.example.com/realms/shop",
        "orders-api",
        {
            "typ": "Bearer",
            "aud": ["orders-api", "account"],
            "sub": "f1888f4d-5172-4359-be0c-af338505d86c",
            "azp": "shop-web",
            "sid": "8a9e4b9c",
            "acr": "1",
            "allowed-origins": ["https://shop.example.com"],
            "realm_access": {"roles": ["viewer", "offline_access"]},
            "resource_access": {
                "orders-api": {"roles": ["editor"]},
                "account": {"roles": ["view-profile"]},
            },
            "scope": "openid profile orders",
            "preferred_username": "ann",
        },
        id_token={
            "typ": "ID",
            "aud": "orders-api",
            "sub": "f1888f4d-5172-4359-be0c-af338505d86c",
            "azp": "orders-api",
            "at_hash": "x",
            "realm_access": {"roles": ["viewer"]},
        },
        roles=names("viewer", "offline_access", "editor"),
        scopes=names("openid", "profile", "orders"),
    ),
    "keycloak with at+jwt": Shape(
        "keycloak",
        "https://login.example.com/auth/realms/shop",
        "orders-api",
        {"typ": "Bearer", "aud": "orders-api", "sub": "x", "scope": ""},
        typ="at+jwt",
    ),
    "auth0": Shape(
        "auth0",
        "https://shop.eu.auth0.com/",
        "https://orders.example.com",
        {
            "sub": PERSON,
            "aud": ["https://orders.example.com", "https://shop.eu.auth0.com/userinfo"],
            "azp": "K1AUPhZq8mRi0Q0pjhkfu1D7y6KjDQja",
            "scope": "openid profile read:orders",
            "permissions": ["read:orders", "create:orders"],
        },
        id_token={"sub": PERSON, "aud": "https://orders.example.com", "sid": "s"},
        scopes=names("openid", "profile", "read:orders"),
        permissions=names("read:orders", "create:orders"),
    ),
    "auth0, a machine without scopes": Shape(
        "auth0",
        "https://login.example.com/",
        "https://orders.example.com",
        {
            "sub": "awZfdIir8YFdGZWkvCejDoUb7SjTDicx@clients",
            "aud": "https://orders.example.com",
            "azp": "awZfdIir8YFdGZWkvCejDoUb7SjTDicx",
            "gty": "client-credentials",
        },
    ),
    "auth0, RFC 9068 profile": Shape(
        "auth0",
        "https://shop.eu.auth0.com/",
        "https://orders.example.com",
        {
            "sub": PERSON,
            "aud": "https://orders.example.com",
            "client_id": "K1AUPhZq8mRi0Q0pjhkfu1D7y6KjDQja",
            "jti": "73WakrfVbNJBaAmhQtEeDv",
            "scope": "read:orders",
        },
        typ="at+jwt",
        scopes=names("read:orders"),
    ),
    "entra v2": Shape(
        "entra",
        V2,
        API,
        {
            "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ",
            "aud": API,
            "azp": SPA,
            "azpacr": "0",
            "oid": "99998888-7777-6666-5555-444433332222",
            "tid": TENANT,
            "scp": "Orders.Read Orders.Write",
            "roles": ["Editor"],
            "ver": "2.0",
        },
        # One registration for app and API: the audience is the same, and it has the roles too.
        id_token={
            "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ",
            "aud": API,
            "tid": TENANT,
            "roles": ["Editor"],
            "ver": "2.0",
        },
        roles=names("Editor"),
        scopes=names("Orders.Read", "Orders.Write"),
    ),
    "entra v2, an app alone": Shape(
        "entra",
        V2,
        API,
        {
            "sub": "99998888-7777-6666-5555-444433332222",
            "aud": API,
            "azp": SPA,
            "tid": TENANT,
            "roles": ["Orders.Read.All"],
            "idtyp": "app",
            "ver": "2.0",
        },
        roles=names("Orders.Read.All"),
    ),
    "entra v1": Shape(
        "entra",
        V1,
        "api://orders",
        {
            "sub": "AAAAAAAA",
            "aud": "api://orders",
            "appid": SPA,
            "tid": TENANT,
            "scp": "user_impersonation",
            "ver": "1.0",
        },
        id_token={"sub": "A", "aud": "api://orders", "tid": TENANT, "roles": ["a"], "ver": "1.0"},
        scopes=names("user_impersonation"),
    ),
    "okta": Shape(
        "okta",
        "https://shop.okta.com/oauth2/default",
        "api://default",
        {
            "ver": 1,
            "sub": "ann@example.com",
            "aud": "api://default",
            "cid": "0oabskvc6442nkvQO0h7",
            "uid": "00ujmkLgagxeRrAg20g3",
            "scp": ["openid", "orders"],
            "groups": ["Everyone", "editor"],
        },
        typ="",
        id_token={
            "ver": 1,
            "sub": "00ujmkLgagxeRrAg20g3",
            "aud": "api://default",
            "idp": "00o",
            "amr": ["pwd"],
            "groups": ["editor"],
        },
        roles=names("Everyone", "editor"),
        scopes=names("openid", "orders"),
    ),
    "cognito": Shape(
        "cognito",
        "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_A1b2C3d4E",
        "7g6b4example",
        {
            "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
            "client_id": "7g6b4example",
            "token_use": "access",
            "cognito:groups": ["editor"],
            "scope": "openid orders/read",
            "username": "ann",
            "version": 2,
        },
        typ="",
        id_token={
            "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
            "aud": "7g6b4example",
            "client_id": "7g6b4example",  # not documented; even so it does not pass
            "token_use": "id",
            "cognito:groups": ["editor"],
        },
        roles=names("editor"),
        scopes=names("openid", "orders/read"),
    ),
    "cognito, newer issuer, bound to a resource": Shape(
        "cognito",
        "https://issuer-cognito-idp.eu-west-1.amazonaws.com/eu-west-1_A1b2C3d4E",
        "7g6b4example",
        {"sub": "a", "client_id": "7g6b4example", "aud": "7g6b4example", "token_use": "access"},
        typ="",
    ),
    "google": Shape(
        "google",
        "https://accounts.google.com",
        "1008719970978.apps.googleusercontent.com",
        {
            "sub": "110169484474386276334",
            "azp": "1008719970978.apps.googleusercontent.com",
            "aud": "1008719970978.apps.googleusercontent.com",
            "hd": "example.com",
            "roles": ["editor"],
            **OIDC,
        },
    ),
    "google, old clients": Shape(
        "google",
        "accounts.google.com",
        "1008719970978.apps.googleusercontent.com",
        {"sub": "1101694844", "aud": "1008719970978.apps.googleusercontent.com", **OIDC},
    ),
    "kubernetes": Shape(
        "kubernetes",
        "https://kubernetes.default.svc.cluster.local",
        "orders-api",
        {
            "sub": WORKLOAD,
            "aud": ["orders-api"],
            "kubernetes.io": {
                "namespace": "shop",
                "node": {"name": "node-1", "uid": "646e7c5e"},
                "pod": {"name": "billing-7d4", "uid": "5e0bd49b"},
                "serviceaccount": {"name": "billing", "uid": "14ee3fa4"},
            },
        },
        typ="",
        id_token={"sub": "ann", "aud": "orders-api"},
        roles=names(WORKLOAD),
    ),
    "github-actions": Shape(
        "github-actions",
        "https://token.actions.githubusercontent.com",
        "https://orders.example.com",
        {
            "sub": MAIN,
            "aud": "https://orders.example.com",
            "ref": "refs/heads/main",
            "repository": "octo-org/shop",
            "repository_owner": "octo-org",
            "repository_owner_id": "65",
            "run_id": "1234567890",
            "job_workflow_ref": "octo-org/shop/.github/workflows/ci.yml@refs/heads/main",
            "runner_environment": "github-hosted",
        },
        id_token={"sub": "octocat", "aud": "https://orders.example.com"},
        roles=names(MAIN),
    ),
}

ACCESS = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


def load(**table: Any) -> dict[str, Issuer]:
    document = Document.from_mapping({"issuers": [table]})
    report = Report(document)
    found = issuers.load(Section.top(report).tables("issuers"), read_file=_no_file, environ={})
    report.raise_if_any()
    return {issuer.issuer: issuer for issuer in found}


def _no_file(name: str) -> bytes:
    raise FileNotFoundError(2, "No such file or directory", name)


def mint(shape: Shape, claims: dict[str, Any] | None = None, typ: str | None = None) -> str:
    """A token of the shape; claims given as None are left out."""
    bare: dict[str, Any] = dict.fromkeys(EXTRA)
    bare |= {"iss": shape.issuer} | (shape.claims if claims is None else claims)
    return SIGNER.mint(headers={"typ": shape.typ if typ is None else typ}, **bare)


def verified(token: str, **table: Any) -> Principal:
    found = load(**{"jwks": SIGNER.jwks} | table)
    unverified = parse(token)
    issuer = verify.identify(unverified, found)
    assert isinstance(issuer.source, StaticKeys)
    return verify.verify(unverified, issuer, issuer.source.keys, NOW).principal


def detail(token: str, **table: Any) -> str:
    with pytest.raises(Rejected) as refused:
        verified(token, **table)
    return refused.value.detail


def test_every_preset_has_a_shape() -> None:
    assert {shape.preset for shape in SHAPES.values()} == PRESETS.keys()


@ACCESS
def test_the_documented_token_is_accepted(shape: Shape) -> None:
    principal = verified(mint(shape), **shape.table)
    assert (principal.subject, principal.issuer) == (shape.claims["sub"], shape.issuer)
    assert principal.roles == shape.roles
    assert principal.scopes == shape.scopes
    assert principal.permissions == shape.permissions


WITH_ID = {name: shape for name, shape in SHAPES.items() if shape.id_token}


@pytest.mark.parametrize("shape", WITH_ID.values(), ids=WITH_ID)
@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"token_types": ["at+jwt", "JWT", ""]},
        {"claims": {"roles": "roles", "scopes": "scope", "permissions": "p", "subject": "sub"}},
    ],
    ids=["as it is", "token_types", "claims"],
)
def test_its_id_token_is_refused(shape: Shape, keys: dict[str, Any]) -> None:
    """For our audience, signed with the same key; and no key of the table lifts the mark."""
    assert detail(mint(shape, shape.id_token), **shape.table, **keys) == "not_an_access_token"
    with_nonce = shape.id_token | OIDC
    assert detail(mint(shape, with_nonce), **shape.table, **keys) == "not_an_access_token"


def test_every_preset_but_google_refuses_an_id_token() -> None:
    assert {shape.preset for shape in WITH_ID.values()} == PRESETS.keys() - {"google"}


@pytest.mark.parametrize("shape", WITH_ID.values(), ids=WITH_ID)
def test_the_mark_is_looked_at_before_the_audience(shape: Shape) -> None:
    """Else the log would ask for the client's id in `audience`."""
    claims = shape.id_token | {"aud": "some-client", "client_id": None}
    assert detail(mint(shape, claims), **shape.table) == "not_an_access_token"


@ACCESS
def test_another_audience_is_refused(shape: Shape) -> None:
    claim = "client_id" if shape.preset == "cognito" else "aud"
    claims = shape.claims | {claim: "another", "azp": "x"}
    assert detail(mint(shape, claims), **shape.table) == "wrong_audience"


@ACCESS
def test_another_type_is_refused(shape: Shape) -> None:
    for typ in ("logout+jwt", "dpop+jwt", "secevent+jwt"):
        assert detail(mint(shape, typ=typ), **shape.table) == "type_not_allowed"


MARKS: dict[str, tuple[str, dict[str, Any]]] = {
    "keycloak, no typ": ("keycloak", {"typ": None}),
    "keycloak, in lower case": ("keycloak", {"typ": "bearer"}),
    "keycloak, a list": ("keycloak", {"typ": ["Bearer"]}),
    "keycloak, Refresh": ("keycloak", {"typ": "Refresh"}),
    "auth0, no client": ("auth0", {"azp": None}),
    "auth0, client is empty": ("auth0", {"azp": ""}),
    "auth0, client is a number": ("auth0", {"azp": 7}),
    "auth0, at_hash": ("auth0", {"at_hash": "x"}),
    "auth0, nonce": ("auth0", {"nonce": "x"}),
    "auth0, for its own client": ("auth0", {"azp": "https://orders.example.com"}),
    "auth0, for its own client alone": (
        "auth0",
        {"azp": "https://orders.example.com", "aud": "https://orders.example.com"},
    ),
    "entra, no scp and no roles": ("entra v2", {"scp": None, "roles": None}),
    "entra, roles without client": ("entra v2", {"scp": None, "azp": None}),
    "entra, roles are empty": ("entra v2", {"scp": None, "roles": []}),
    "entra, scp is empty": ("entra v2", {"scp": "", "roles": None}),
    "entra, scp is an object": ("entra v2", {"scp": {"a": 1}, "roles": None}),
    "entra, c_hash": ("entra v2", {"c_hash": "x"}),
    "okta, no cid": ("okta", {"cid": None}),
    "okta, cid is true": ("okta", {"cid": True}),
    "okta, scp holds a number": ("okta", {"scp": ["a", 1]}),
    "cognito, no token_use": ("cognito", {"token_use": None}),
    "cognito, refresh": ("cognito", {"token_use": "refresh"}),
    "cognito, true": ("cognito", {"token_use": True}),
    "kubernetes, no kubernetes.io": ("kubernetes", {"kubernetes.io": None}),
    "kubernetes, text": ("kubernetes", {"kubernetes.io": "shop"}),
    "kubernetes, no account": ("kubernetes", {"kubernetes.io": {"namespace": "shop"}}),
    "github, no repository": ("github-actions", {"repository": None}),
    "github, run_id is a number": ("github-actions", {"run_id": 7}),
}


@pytest.mark.parametrize(("name", "claims"), MARKS.values(), ids=MARKS)
def test_a_missing_or_broken_mark(name: str, claims: dict[str, Any]) -> None:
    shape = SHAPES[name]
    token = mint(shape, shape.claims | claims)
    assert detail(token, **shape.table) == "not_an_access_token"


class TestCognito:
    shape = SHAPES["cognito"]

    @pytest.mark.parametrize(
        ("claims", "expected"),
        [
            pytest.param({"client_id": None}, "missing_claim:client_id", id="no client_id"),
            pytest.param({"client_id": ["7g6b4example"]}, "bad_claim:client_id", id="a list"),
            pytest.param({"client_id": None, "aud": "7g6b4example"}, "missing_claim", id="aud"),
            pytest.param({"aud": "https://elsewhere"}, "wrong_audience", id="bound elsewhere"),
            pytest.param({"aud": 7}, "bad_claim:aud", id="aud is a number"),
        ],
    )
    def test_where_the_audience_stands(self, claims: dict[str, Any], expected: str) -> None:
        token = mint(self.shape, self.shape.claims | claims)
        assert detail(token, **self.shape.table).startswith(expected)

    def test_client_and_resource(self) -> None:
        token = mint(self.shape, self.shape.claims | {"aud": "https://orders.example.com"})
        both = ["7g6b4example", "https://orders.example.com"]
        assert verified(token, **self.shape.table | {"audience": both})


class TestWhatTheTableWritesWins:
    def test_claims_one_by_one(self) -> None:
        shape = SHAPES["auth0"]
        token = mint(shape, shape.claims | {"https://shop/roles": ["editor"]})
        principal = verified(token, **shape.table, claims={"roles": '"https://shop/roles"'})
        assert principal.roles == {"editor"}
        assert principal.permissions == shape.permissions

    def test_token_types(self) -> None:
        shape = SHAPES["auth0"]
        assert detail(mint(shape), **shape.table, token_types=["at+jwt"]) == "type_not_allowed"

    def test_roles_and_subject(self) -> None:
        shape = SHAPES["entra v2"]
        keys = {"claims": {"subject": "oid"}, "role_map": {"Editor": "editor"}}
        principal = verified(mint(shape), **shape.table, **keys)
        assert principal.subject == shape.claims["oid"]
        assert principal.roles == {"editor"}

    def test_a_workload_is_given_a_role(self) -> None:
        shape = SHAPES["kubernetes"]
        principal = verified(mint(shape), **shape.table, role_map={WORKLOAD: "billing"})
        assert principal.roles == {"billing"}


@pytest.mark.parametrize(
    ("keys", "permissions"),
    [
        pytest.param({}, {"read:orders", "create:orders"}, id="by the preset"),
        pytest.param({"grants": ["*"]}, {"read:orders", "create:orders"}, id="grants all"),
        pytest.param({"grants": ["viewer"]}, set(), id="not beyond grants"),
        pytest.param(
            {"grants": ["viewer"], "claims": {"permissions": "permissions"}},
            {"read:orders", "create:orders"},
            id="named beside grants",
        ),
    ],
)
def test_permissions_and_grants(keys: dict[str, Any], permissions: set[str]) -> None:
    shape = SHAPES["auth0"]
    assert verified(mint(shape), **shape.table, **keys).permissions == permissions


def test_roles_of_other_clients_are_not_ours() -> None:
    shape = SHAPES["keycloak"]
    table = shape.table | {"audience": ["orders.api", "account"]}
    claims = shape.claims | {
        "resource_access": {"orders.api": {"roles": ["a"]}, "account": {"roles": ["b"]}},
        "aud": "orders.api",
        "realm_access": "viewer",
    }
    assert verified(mint(shape, claims), **table).roles == {"a", "b"}
    assert verified(mint(shape, claims), **table | {"audience": "orders.api"}).roles == {"a"}


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

    def test_keys_at_one_address_for_all(self) -> None:
        found = load(**self.table, jwks_uri="https://login.microsoftonline.com/common/keys")
        assert [issuer.source for issuer in found.values()] == [
            JwksUri(name, "https://login.microsoftonline.com/common/keys") for name in found
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
        assert verified(mint(shape), **shape.table, tenants=[theirs, ours])
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
            assert verified(self.entra(TENANT), **table)
        else:
            assert detail(self.entra(TENANT), **table) == expected

    def test_a_key_of_another_provider_is_not_looked_at_so(self) -> None:
        (jwk,) = SIGNER.jwks["keys"]
        keys = from_jwks({"keys": [jwk | {"issuer": "whoever"}]})
        shape = SHAPES["okta"]
        found = load(**shape.table)
        assert verify.verify(parse(mint(shape)), found[shape.issuer], keys, NOW)


LOADS: dict[str, tuple[dict[str, Any], Any]] = {
    **{
        name: (shape.table, Discovery(shape.issuer))
        for name, shape in SHAPES.items()
        if shape.preset != "kubernetes" and shape.issuer.startswith("https")
    },
    "google, old clients": (
        SHAPES["google, old clients"].table,
        Discovery("https://accounts.google.com"),
    ),
    "kubernetes": (
        {
            "preset": "kubernetes",
            "issuer": "https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF",
            "audience": "orders-api",
        },
        Discovery("https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF"),
    ),
    "keycloak on this machine": (
        {"preset": "keycloak", "issuer": "http://localhost:8080/realms/shop", "audience": "a"},
        Discovery("http://localhost:8080/realms/shop"),
    ),
}


@pytest.mark.parametrize(("table", "source"), LOADS.values(), ids=LOADS)
def test_preset_issuer_and_audience_are_enough(table: dict[str, Any], source: object) -> None:
    assert table.keys() == {"preset", "issuer", "audience"}
    (issuer,) = load(**table).values()
    assert issuer.source == source


def entra(issuer: str, **keys: Any) -> dict[str, Any]:
    return {"preset": "entra", "issuer": issuer, "audience": "a"} | keys


def of(preset: Any, issuer: str, **keys: Any) -> dict[str, Any]:
    return {"preset": preset, "issuer": issuer, "audience": "a"} | keys


MISTAKES: dict[str, tuple[dict[str, Any], str, str]] = {
    "a slip in the name": (of("keyclaok", "https://x"), "preset", 'did you mean "keycloak"?'),
    "in capitals": (of("Entra", "https://x"), "preset", 'did you mean "entra"?'),
    "unknown": (of("ldap", "https://x"), "preset", "known presets: keycloak, auth0, entra, okta"),
    "unknown, with tenants": (of("ldap", "https://x", tenants=["a"]), "preset", "known presets"),
    "a list": (of(["okta"], "https://x"), "preset", "must be a string"),
    "keycloak without realm": (of("keycloak", "https://x"), "issuer", '/realms/shop"'),
    "keycloak with a slash": (of("keycloak", "https://x/realms/a/"), "issuer", "ends in a slash"),
    "auth0 without slash": (
        of("auth0", "https://a.auth0.com"),
        "issuer",
        'write "https://a.auth0.com/"',
    ),
    "auth0 with a path": (of("auth0", "https://a.auth0.com/oauth"), "issuer", "does not look like"),
    "entra common": (
        entra("https://login.microsoftonline.com/common/v2.0"),
        "issuer",
        "{tenantid}/v2.0",
    ),
    "entra by domain": (
        entra("https://login.microsoftonline.com/x.com/v2.0"),
        "issuer",
        "looks like",
    ),
    "entra v2 with a slash": (entra(V2 + "/"), "issuer", "v2.0 tokens do not"),
    "entra v1 without slash": (entra(V1[:-1]), "issuer", f'write "{V1}"'),
    "entra in capitals": (
        entra(V2.replace(TENANT, TENANT.upper())),
        "issuer",
        "does not look like",
    ),
    "okta org server": (of("okta", "https://a.okta.com"), "issuer", 'a.okta.com/oauth2/default"'),
    "okta with a slash": (of("okta", "https://a.okta.com/oauth2/default/"), "issuer", "in a slash"),
    "cognito domain": (of("cognito", "https://auth.example.com"), "issuer", "does not look like"),
    "google with a slash": (of("google", "https://accounts.google.com/"), "issuer", "in a slash"),
    "google elsewhere": (of("google", "https://securetoken.google.com/x"), "issuer", "look like"),
    "kubernetes in its cluster": (
        of("kubernetes", "https://kubernetes.default.svc.cluster.local"),
        "issuer",
        "kubectl get --raw /openid/v1/jwks",
    ),
    "kubernetes Secrets": (
        of("kubernetes", "kubernetes/serviceaccount", jwks=SIGNER.jwks),
        "issuer",
        "projected",
    ),
    "github with a slash": (
        of("github-actions", "https://token.actions.githubusercontent.com/"),
        "issuer",
        "ends in a slash",
    ),
    "template without tenants": (entra(TEMPLATE), "issuer", "no `tenants` are listed"),
    "tenants without template": (entra(V2, tenants=[TENANT]), "tenants", "names its one tenant"),
    "no tenants": (entra(TEMPLATE, tenants=[]), "tenants", "`tenants` is empty"),
    "tenants is text": (entra(TEMPLATE, tenants=TENANT), "tenants", "a list of strings"),
    "a tenant twice": (entra(TEMPLATE, tenants=[TENANT, TENANT]), "tenants[1]", "repeats"),
    "any tenant": (entra(TEMPLATE, tenants=["*"]), "tenants", "any tenant would be anybody"),
    "a domain as tenant": (entra(TEMPLATE, tenants=["x.com"]), "tenants", "a GUID in lower case"),
    "a template of another form": (
        entra("https://login.microsoftonline.com/{tenantid}", tenants=[TENANT]),
        "issuer",
        "lacks the slash",
    ),
    "a template elsewhere": (
        of("okta", "https://{tenantid}.okta.com/oauth2/default"),
        "issuer",
        "only entra has templates",
    ),
    "a template without preset": (
        {"issuer": TEMPLATE, "audience": "a"},
        "issuer",
        "only entra has templates",
    ),
    "tenants without preset": (
        {"issuer": "https://x", "audience": "a", "tenants": ["a"]},
        "tenants",
        "those presets are entra, google, github-actions",
    ),
    "tenants elsewhere": (
        of("okta", "https://a.okta.com/oauth2/default", tenants=["a"]),
        "tenants",
        "those presets are entra, google, github-actions",
    ),
    "github owner by name": (
        of("github-actions", "https://token.actions.githubusercontent.com", tenants=["octo-org"]),
        "tenants",
        "a number in quotes",
    ),
    "google domain in capitals": (
        of("google", "https://accounts.google.com", tenants=["Example.com"]),
        "tenants",
        "in lower case",
    ),
    "several tenants without grants": (
        entra(TEMPLATE, tenants=[TENANT, OTHER]),
        "",
        "with several issuers each needs `grants`",
    ),
}


@pytest.mark.parametrize(("table", "key", "message"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes(table: dict[str, Any], key: str, message: str) -> None:
    with pytest.raises(PolicyError) as refused:
        load(**table)
    (problem,) = refused.value.problems
    assert message in str(problem)
    assert problem.where == f"issuers[0].{key}".rstrip(".")


def test_mistakes_have_a_place_in_the_text(tmp_path: Path) -> None:
    file = tmp_path / "authz.toml"
    file.write_text(
        '[[issuers]]\npreset = "entra"\naudience = "a"\n'
        'issuer = "https://login.microsoftonline.com/common/v2.0"\ntenants = ["*"]\n'
    )
    report = Report(Document.read(file))
    issuers.load(Section.top(report).tables("issuers"), read_file=_no_file, environ={})
    places = [problem.where.rpartition("authz.toml")[2] for problem in report.problems]
    assert places == [":4:1", ":5:1", ":5:1"]


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
    found = issuers.load(Section.top(report).tables("issuers"), read_file=_no_file, environ={})
    assert len(found) == 2
    assert "listed twice" in str(report.problems[0])
