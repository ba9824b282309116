"""Every preset on tokens of the shape that the provider documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from authz_middleware.document import Document, Report, Section
from authz_middleware.errors import PolicyError
from authz_middleware.tokens import issuers
from authz_middleware.tokens.issuers import Discovery
from authz_middleware.tokens.presets import PRESETS
from tests.tokens.shapes import (
    OIDC,
    OTHER,
    SHAPES,
    SIGNER,
    TEMPLATE,
    TENANT,
    V1,
    V2,
    WORKLOAD,
    Shape,
    detail,
    entra,
    load,
    mint,
    no_file,
    verified,
)

ACCESS = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


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
    "okta, at_hash": ("okta", {"at_hash": "x"}),
    "kubernetes, nonce": ("kubernetes", {"nonce": "x"}),
    "github, nonce": ("github-actions", {"nonce": "x"}),
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
        assert verified(token, **self.shape.table | {"audience": both}).subject


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
    "entra by another placeholder": (
        entra("https://login.microsoftonline.com/{tenant}/v2.0", tenants=[TENANT]),
        "issuer",
        "/{tenantid}/v2.0",
    ),
    "entra, but B2C": (
        entra(f"https://shop.b2clogin.com/{TENANT}/v2.0/"),
        "issuer",
        "Azure AD B2C",
    ),
    "tenants of another type": (entra(TEMPLATE, tenants=[7]), "tenants[0]", "must be a string"),
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
    issuers.load(Section.top(report).tables("issuers"), read_file=no_file, environ={})
    places = [problem.where.rpartition("authz.toml")[2] for problem in report.problems]
    assert places == [":4:1", ":5:1"]
