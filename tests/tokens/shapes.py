"""Tokens of the shapes that providers document, and a policy of one table to hold them against."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from authz_middleware.document import Document, Report, Section
from authz_middleware.facts import Principal
from authz_middleware.testing import DevelopmentIssuer, FrozenClock
from authz_middleware.tokens import issuers, verify
from authz_middleware.tokens.compact import parse
from authz_middleware.tokens.issuers import Issuer, StaticKeys
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


def load(**table: Any) -> dict[str, Issuer]:
    document = Document.from_mapping({"issuers": [table]})
    report = Report(document)
    found = issuers.load(Section.top(report).tables("issuers"), read_file=no_file, environ={})
    report.raise_if_any()
    return {issuer.issuer: issuer for issuer in found}


def no_file(name: str) -> bytes:
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


def entra(issuer: str, **keys: Any) -> dict[str, Any]:
    return {"preset": "entra", "issuer": issuer, "audience": "a"} | keys
