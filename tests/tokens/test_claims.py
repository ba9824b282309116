from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.facts import Actor
from authz_middleware.tokens.claim_paths import ClaimPaths
from authz_middleware.tokens.claims import (
    Verified,
    check_header,
    check_times,
    told,
    verify_claims,
)
from authz_middleware.tokens.issuers import Issuer
from authz_middleware.tokens.rejection import Rejected
from tests.tokens.minting import CLAIMS, ISSUER, NOW, issuer

HEADER = {"alg": "ES256", "typ": "at+jwt"}


def verified(config: Issuer | None = None, now: float = NOW, **claims: Any) -> Verified:
    payload = {name: value for name, value in (CLAIMS | claims).items() if value is not ...}
    return verify_claims(payload, HEADER, config or issuer(), now)


HEADERS: dict[str, tuple[dict[str, Any], dict[str, Any], str | None]] = {
    "T01 at+jwt": ({}, {"typ": "at+jwt"}, None),
    "T01 in full and in capitals": ({}, {"typ": "application/AT+JWT"}, None),
    "T01 an ID token": ({}, {"typ": "JWT"}, "type_not_allowed"),
    "T01 no typ": ({}, {}, "type_not_allowed"),
    "P14 a logout token": ({}, {"typ": "logout+jwt"}, "type_not_allowed"),
    "P14 a DPoP proof": ({}, {"typ": "dpop+jwt"}, "type_not_allowed"),
    "named type": ({"token_types": frozenset({"jwt"})}, {"typ": "JWT"}, None),
    "named type is not its absence": ({"token_types": frozenset({"jwt"})}, {}, "type_not_allowed"),
    "absence, where named": ({"token_types": frozenset({""})}, {}, None),
    "P01 another algorithm": ({}, {"alg": "ES256K"}, "algorithm_not_allowed"),
    "S05 an unknown algorithm": ({}, {"alg": "es256"}, "algorithm_not_allowed"),
    "S06 none": ({}, {"alg": "none"}, "algorithm_not_allowed"),
    "P03 the issuer's own list": (
        {"algorithms": frozenset({"RS256"})},
        {"alg": "ES256"},
        "algorithm_not_allowed",
    ),
}


@pytest.mark.parametrize(("config", "header", "detail"), HEADERS.values(), ids=HEADERS)
def test_headers(config: dict[str, Any], header: dict[str, Any], detail: str | None) -> None:
    if detail is None:
        check_header({"alg": "ES256"} | header, issuer(**config))
    else:
        with pytest.raises(Rejected, match=detail):
            check_header({"alg": "ES256"} | header, issuer(**config))


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "J10 no iss": ({"iss": ...}, "wrong_issuer"),
    "J10 a trailing slash": ({"iss": ISSUER + "/"}, "wrong_issuer"),
    "J10 a fragment of it": ({"iss": "https://login"}, "wrong_issuer"),
    "J10 a list": ({"iss": [ISSUER]}, "wrong_issuer"),
    "P10 no aud": ({"aud": ...}, "missing_claim:aud"),
    "J09 another aud": ({"aud": "payments"}, "wrong_audience"),
    "J09 a prefix": ({"aud": "order"}, "wrong_audience"),
    "J09 another case": ({"aud": "Orders"}, "wrong_audience"),
    "J09 joined by a space": ({"aud": "orders payments"}, "wrong_audience"),
    "J09 an empty list": ({"aud": []}, "wrong_audience"),
    "J09 an empty string": ({"aud": [""]}, "wrong_audience"),
    "J09 null": ({"aud": None}, "bad_claim:aud"),
    "J09 a number": ({"aud": 0}, "bad_claim:aud"),
    "J09 an object": ({"aud": {"orders": 1}}, "bad_claim:aud"),
    "J09 a list with a number": ({"aud": ["orders", 1]}, "bad_claim:aud"),
    "J12 no exp": ({"exp": ...}, "missing_claim:exp"),
    "J06 exp is null": ({"exp": None}, "bad_claim:exp"),
    "J06 exp is text": ({"exp": str(NOW + 60)}, "bad_claim:exp"),
    "J06 exp is true": ({"exp": True}, "bad_claim:exp"),
    "J06 exp is a list": ({"exp": [NOW + 60]}, "bad_claim:exp"),
    "J04 exp is NaN": ({"exp": math.nan}, "bad_claim:exp"),
    "J04 exp is infinite": ({"exp": math.inf}, "bad_claim:exp"),
    "J16 exp is huge": ({"exp": 10**400}, "bad_claim:exp"),
    "J05 exp is now": ({"exp": NOW}, "expired"),
    "J05 exp has passed": ({"exp": NOW - 0.5}, "expired"),
    "J07 nbf is to come": ({"nbf": NOW + 1}, "not_yet_valid"),
    "J06 nbf is text": ({"nbf": "0"}, "bad_claim:nbf"),
    "J08 iat is to come": ({"iat": NOW + 1}, "not_yet_valid"),
    "J06 iat is null": ({"iat": None}, "bad_claim:iat"),
    "T06 no sub": ({"sub": ...}, "missing_claim:sub"),
    "sub is empty": ({"sub": ""}, "bad_claim:sub"),
    "sub is a number": ({"sub": 7}, "bad_claim:sub"),
    "sub is null": ({"sub": None}, "bad_claim:sub"),
    "jti is a number": ({"jti": 7}, "bad_claim:jti"),
    "a key-bound token": ({"cnf": {"jkt": "x"}}, "proof_of_possession_unsupported"),
    "cnf is null": ({"cnf": None}, "proof_of_possession_unsupported"),
    "A02 act is a string": ({"act": "bob"}, "bad_claim:act"),
    "A02 act is null": ({"act": None}, "bad_claim:act"),
    "act.sub is a number": ({"act": {"sub": 1}}, "bad_claim:act"),
    "act.iss is a list": ({"act": {"iss": []}}, "bad_claim:act"),
}


@pytest.mark.parametrize(("claims", "detail"), REFUSED.values(), ids=REFUSED)
def test_refused(claims: dict[str, Any], detail: str) -> None:
    with pytest.raises(Rejected) as refused:
        verified(**claims)
    assert refused.value.detail == detail


def test_the_header_is_looked_at_with_the_claims() -> None:
    with pytest.raises(Rejected, match="type_not_allowed"):
        verify_claims(CLAIMS, {"alg": "ES256"}, issuer(), NOW)


@pytest.mark.parametrize("aud", ["orders", ["orders"], ["x", "orders"]], ids=repr)
def test_audiences(aud: object) -> None:
    """J09, N02: a string or a list, one whole member."""
    assert verified(aud=aud).principal.subject == "ann"


class TestTimes:
    config = issuer(leeway=30.0)

    def test_both_ends_with_leeway(self) -> None:
        token = verified(self.config, exp=NOW + 100, nbf=NOW - 50, iat=NOW - 100)
        assert token.valid_from == NOW - 80
        assert token.valid_until == NOW + 130
        assert token.principal.expires_at == NOW + 100

    def test_without_a_start(self) -> None:
        assert verified().valid_from == -math.inf

    @pytest.mark.parametrize(
        ("now", "detail"),
        [
            pytest.param(NOW + 129.9, None, id="just before"),
            pytest.param(NOW + 130, "expired", id="J05 the first moment after"),
            pytest.param(NOW - 30, None, id="J07 the first moment"),
            pytest.param(NOW - 30.1, "not_yet_valid", id="just before the first"),
        ],
    )
    def test_a_remembered_token_is_looked_at_again(self, now: float, detail: str | None) -> None:
        token = verified(self.config, exp=NOW + 100, nbf=NOW)
        if detail is None:
            check_times(token, now)
        else:
            with pytest.raises(Rejected, match=detail):
                check_times(token, now)

    @given(st.floats(0, 4e9), st.floats(0, 4e9), st.floats(0, 300))
    def test_once_expired_always_expired(self, exp: float, later: float, leeway: float) -> None:
        config = issuer(leeway=leeway)
        with pytest.raises(Rejected, match="expired"):
            verified(config, now=exp + leeway + later, exp=exp)

    def test_a_lifetime_may_be_limited(self) -> None:
        config = issuer(max_lifetime=60.0)
        verified(config, iat=NOW - 10, exp=NOW + 50)
        with pytest.raises(Rejected, match="lifetime_too_long"):
            verified(config, iat=NOW - 10, exp=NOW + 51)
        with pytest.raises(Rejected, match="missing_claim:iat"):
            verified(config)


def test_required_claims() -> None:
    """T06."""
    config = issuer(required_claims=("jti", "client_id"))
    verified(config, jti="1", client_id="c")
    with pytest.raises(Rejected, match="missing_claim:client_id"):
        verified(config, jti="1", client_id=None)
    with pytest.raises(Rejected, match="missing_claim:jti"):
        verified(config, client_id="c")


class TestPrincipal:
    def test_identity_and_claims(self) -> None:
        """J11, P09."""
        principal = verified(extra={"a": [1]}).principal
        assert (principal.subject, principal.issuer) == ("ann", ISSUER)
        assert principal.claims["extra"] == {"a": (1,)}
        with pytest.raises(TypeError):
            principal.claims["sub"] = "eve"
        assert principal.actor is None

    def test_another_subject(self) -> None:
        config = issuer(claims=ClaimPaths(subject=("user", "id")))
        assert verified(config, user={"id": "u1"}).principal.subject == "u1"
        with pytest.raises(Rejected, match=r"missing_claim:user\.id"):
            verified(config)
        with pytest.raises(Rejected, match=r"missing_claim:user\.id"):
            verified(config, user="id")
        with pytest.raises(Rejected, match=r"bad_claim:user\.id"):
            verified(config, user={"id": 7})

    def test_only_the_outermost_actor(self) -> None:
        """A01, A03, A04."""
        act = {"sub": "svc", "iss": "https://other", "act": {"sub": "deep"}, "exp": "x"}
        principal = verified(act=act, may_act={"sub": "eve"}).principal
        assert principal.actor == Actor("svc", "https://other")
        assert verified(act={}).principal.actor == Actor(None, None)


NAMES: dict[str, tuple[object, set[str], set[str]]] = {
    # value, read as roles, read as scopes
    "absent": (..., set(), set()),
    "null": (None, set(), set()),
    "one": ("a", {"a"}, {"a"}),
    "with a space": ("a b", {"a b"}, {"a", "b"}),
    "with several spaces": (" a  b ", {" a  b "}, {"a", "b"}),
    "with a tab": ("a\tb", {"a\tb"}, {"a\tb"}),
    "empty": ("", set(), set()),
    "a list": (["a", "b", "a"], {"a", "b"}, {"a", "b"}),
    "a list with a space inside": (["a b"], {"a b"}, {"a b"}),
    "a list with an empty name": (["", "a"], {"a"}, {"a"}),
    "an empty list": ([], set(), set()),
    "a list with a number": (["a", 1], set(), set()),
    "a list of lists": ([["a"]], set(), set()),
    "an object": ({"a": True}, set(), set()),
    "true": (True, set(), set()),
}


@pytest.mark.parametrize(("value", "roles", "scopes"), NAMES.values(), ids=NAMES)
def test_the_names_in_a_claim(value: object, roles: set[str], scopes: set[str]) -> None:
    """B18, T11: a string is one role, a list many; scopes split at spaces; else it is nothing."""
    principal = verified(roles=value, scope=value).principal
    assert principal.roles == roles
    assert principal.scopes == scopes
    assert principal.permissions == set()


class TestWhereNamesStand:
    def test_several_claims_are_united(self) -> None:
        config = issuer(claims=ClaimPaths(scopes=(("scope",), ("scp",)), roles=(("r", "x.y"),)))
        principal = verified(config, scope="a b", scp=["c"], r={"x.y": "z"}).principal
        assert principal.scopes == {"a", "b", "c"}
        assert principal.roles == {"z"}

    def test_permissions_only_where_the_policy_names_the_claim(self) -> None:
        config = issuer(claims=ClaimPaths(permissions=(("permissions",),)))
        principal = verified(config, permissions=["article:*"]).principal
        assert principal.permissions == {"article:*"}
        assert verified(permissions=["article:*"]).principal.permissions == set()

    def test_the_scope_claim_stays_a_list_when_read_for_permissions(self) -> None:
        config = issuer(claims=ClaimPaths(permissions=(("scope",), ("scp",)), scopes=(("scp",),)))
        principal = verified(config, scope="a b", scp="c d").principal
        assert principal.permissions == {"a", "b", "c", "d"}
        assert principal.scopes == {"c", "d"}

    def test_roles_are_not_scopes(self) -> None:
        principal = verified(roles=["admin"], scope="read").principal
        assert principal.roles == {"admin"}
        assert principal.scopes == {"read"}


class TestRoles:
    @pytest.mark.parametrize(
        ("config", "roles"),
        [
            pytest.param({}, {"g1", "g2", "admin"}, id="as they are"),
            pytest.param({"grants": frozenset({"admin"})}, {"admin"}, id="limited"),
            pytest.param({"grants": frozenset()}, set(), id="limited to nothing"),
            pytest.param({"role_map": {"g1": "viewer"}}, {"viewer"}, id="only mapped names count"),
            pytest.param({"role_map": {}}, set(), id="a map of nothing"),
            pytest.param(
                {"role_map": {"g1": "viewer", "g2": "admin"}, "grants": frozenset({"viewer"})},
                {"viewer"},
                id="mapped, then limited",
            ),
            pytest.param(
                {"role_map": {"g1": "viewer"}, "grants": frozenset({"g1"})},
                set(),
                id="grants are our names, not the provider's",
            ),
        ],
    )
    def test_map_and_grants(self, config: dict[str, Any], roles: set[str]) -> None:
        assert verified(issuer(**config), roles=["g1", "g2", "admin"]).principal.roles == roles


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
names = ["iss", "aud", "sub", "exp", "nbf", "iat", "scope", "roles", "act", "jti", "x"]


@given(st.dictionaries(st.sampled_from(names), json_values), st.sampled_from([0.0, NOW]))
def test_any_claims_are_a_principal_or_refused(claims: dict[str, Any], now: float) -> None:
    for payload in (claims, CLAIMS | claims):
        try:
            token = verify_claims(payload, HEADER, issuer(), now)
        except Rejected:
            continue
        assert token.principal.subject
        assert token.valid_from <= now < token.valid_until


# Whom somebody else has verified


@pytest.mark.parametrize(
    ("claims", "detail"),
    [
        ({}, None),
        ({"aud": "theirs", "cnf": {"jkt": "x"}, "typ": "ID"}, None),
        ({"exp": NOW}, "expired"),
        ({"exp": NOW + 1}, None),
        ({"nbf": NOW + 1}, "not_yet_valid"),
        ({"iat": NOW + 1}, "not_yet_valid"),
        ({"exp": True}, "bad_claim:exp"),
        ({"exp": "soon"}, "bad_claim:exp"),
        ({"act": "x"}, "bad_claim:act"),
    ],
    ids=str,
)
def test_of_claims_that_are_told_the_time_still_holds(
    claims: dict[str, Any], detail: str | None
) -> None:
    if detail is None:
        assert told(claims, "ann", issuer(), NOW).principal.subject == "ann"
        return
    with pytest.raises(Rejected, match=detail):
        told(claims, "ann", issuer(), NOW)


def test_names_in_claims_that_are_told_are_held_to_what_the_issuer_may_grant() -> None:
    config = issuer(
        claims=ClaimPaths(roles=(("groups",),)),
        role_map={"ops": "admin", "read": "viewer"},
        grants=frozenset({"viewer"}),
    )
    claims = {"groups": ["ops", "read", "viewer"], "scope": "a b"}
    principal = told(claims, "ann", config, NOW).principal
    assert (sorted(principal.roles), sorted(principal.scopes)) == (["viewer"], ["a", "b"])
    assert principal.expires_at == math.inf
