"""The development issuer: what it mints is accepted, and what it mints wrong is refused."""

from __future__ import annotations

import json
import os
import time
from base64 import b64encode
from http.client import HTTPConnection
from urllib.parse import urlsplit

import jwt
import pytest
from werkzeug.test import Client

from authz_middleware import Authz, WSGIAuthzMiddleware, current_access
from authz_middleware.testing import DevelopmentIssuer, FrozenClock

ALGORITHMS = ["ES256", "ES384", "ES512", "EdDSA", "RS256", "RS384", "PS256", "PS512"]


def whoami(_environ, start_response):
    start_response("200 OK", [("content-type", "text/plain")])
    access = current_access()
    return [access.principal.subject.encode() if access and access.principal else b"nobody"]


def client(issuer: DevelopmentIssuer, clock=None, **overrides) -> Client:
    policy = {
        "issuers": [issuer.policy_issuer(**overrides)],
        "roles": {"viewer": []},
        "routes": {"GET /me": "authenticated", "GET /articles": ["viewer"]},
    }
    return Client(WSGIAuthzMiddleware(whoami, Authz.from_mapping(policy, clock=clock)))


def ask(client: Client, token: str, path: str = "/me"):
    return client.get(path, headers={"Authorization": f"Bearer {token}"})


def claims(token: str) -> dict:
    return jwt.decode(token, options={"verify_signature": False})


def get(url: str) -> tuple[int, dict | None]:
    parts = urlsplit(url)
    connection = HTTPConnection(str(parts.hostname), parts.port, timeout=5)
    try:
        connection.request("GET", parts.path)
        response = connection.getresponse()
        body = response.read()
        return response.status, json.loads(body) if response.status == 200 else None
    finally:
        connection.close()


# Tokens.


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_minted_token_is_accepted(algorithm):
    issuer = DevelopmentIssuer(algorithm=algorithm)
    answer = ask(client(issuer), issuer.mint("bob"))
    assert (answer.status_code, answer.text) == (200, "bob")


@pytest.mark.parametrize(
    ("roles", "status"), [(None, 403), ([], 403), (["viewer"], 200), (("other",), 403)]
)
def test_roles_are_in_the_token(roles, status):
    issuer = DevelopmentIssuer()
    assert ask(client(issuer), issuer.mint(roles=roles), "/articles").status_code == status


@pytest.mark.parametrize(
    "mint",
    [
        pytest.param(lambda i: i.expired(), id="expired"),
        pytest.param(lambda i: i.expired("bob", roles=["viewer"], scope="x"), id="expired, named"),
        pytest.param(lambda i: i.signed_by_another_key(), id="signed by another key"),
        pytest.param(lambda i: i.for_audience("other"), id="for another audience"),
        pytest.param(lambda i: i.for_audience(["a", "b"]), id="for other audiences"),
        pytest.param(lambda i: i.mint(lifetime=-3600), id="negative lifetime"),
        pytest.param(lambda i: i.mint(iss="https://other.example"), id="of another issuer"),
        pytest.param(lambda i: i.mint(exp=None), id="without exp"),
        pytest.param(lambda i: i.mint(sub=None), id="without sub"),
        pytest.param(lambda i: i.mint(headers={"typ": "JWT"}), id="of another type"),
        pytest.param(lambda i: i.mint(headers={"typ": None}), id="of no type"),
        pytest.param(lambda i: i.mint(headers={"kid": "other"}), id="naming another key"),
        pytest.param(lambda i: i.mint(headers={"crit": ["x"], "x": 1}), id="with unknown crit"),
        pytest.param(lambda _: DevelopmentIssuer().mint(), id="of a namesake"),
    ],
)
def test_a_token_that_is_wrong_is_refused(mint):
    issuer = DevelopmentIssuer()
    answer = ask(client(issuer), mint(issuer))
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_what_a_token_carries():
    issuer = DevelopmentIssuer(
        "https://login.example", ["orders", "stock"], clock=FrozenClock(1000.5)
    )
    found = claims(issuer.mint("bob", roles={"viewer"}, lifetime=60, scope="pay", deep={"a": [1]}))
    assert found.pop("jti")
    assert found == {
        "iss": "https://login.example",
        "sub": "bob",
        "aud": ["orders", "stock"],
        "iat": 1000,
        "exp": 1060,
        "client_id": "development",
        "roles": ["viewer"],
        "scope": "pay",
        "deep": {"a": [1]},
    }


def test_the_usual_header():
    issuer = DevelopmentIssuer()
    header = {"typ": "at+jwt", "alg": "ES256", "kid": issuer.kid}
    assert jwt.get_unverified_header(issuer.mint()) == header
    assert jwt.get_unverified_header(issuer.signed_by_another_key()) == header
    assert jwt.get_unverified_header(issuer.mint(headers={"kid": None})) == {
        "typ": "at+jwt",
        "alg": "ES256",
    }


def test_no_two_tokens_are_alike():
    issuer = DevelopmentIssuer(clock=FrozenClock())
    assert claims(issuer.mint())["jti"] != claims(issuer.mint())["jti"]


def test_time_is_the_clocks():
    clock = FrozenClock()
    issuer = DevelopmentIssuer(clock=clock)
    wrapped = client(issuer, clock, leeway=0)
    token = issuer.mint(lifetime=60)
    assert ask(wrapped, token).status_code == 200
    clock.advance(60)
    assert ask(wrapped, token).status_code == 401


def test_an_expired_token_is_so_beyond_any_leeway():
    clock = FrozenClock()
    issuer = DevelopmentIssuer(clock=clock)
    assert ask(client(issuer, clock, leeway=300), issuer.expired()).status_code == 401


# Opaque tokens.


def test_what_is_told_of_an_opaque_token():
    clock = FrozenClock(1000)
    issuer = DevelopmentIssuer("https://login.example", "orders", clock=clock)
    token = issuer.mint_opaque("bob", roles=["viewer"], lifetime=60, prefix="tok_", jti="j")
    assert token.startswith("tok_")
    assert len(token) > 40
    assert issuer.introspect(token) == {
        "active": True,
        "token_type": "Bearer",
        "iss": "https://login.example",
        "sub": "bob",
        "aud": "orders",
        "iat": 1000,
        "exp": 1060,
        "jti": "j",
        "client_id": "development",
        "roles": ["viewer"],
    }
    clock.advance(60)
    assert issuer.introspect(token) == {"active": False}


def test_what_is_told_of_other_tokens():
    issuer = DevelopmentIssuer()
    opaque, signed = issuer.mint_opaque(exp=None), issuer.mint("bob")
    assert issuer.introspect(opaque)["active"] is True
    assert issuer.introspect(signed)["sub"] == "bob"
    for token in ("", "unknown", issuer.signed_by_another_key(), DevelopmentIssuer().mint()):
        assert issuer.introspect(token) == {"active": False}
    for token in (opaque, signed):
        issuer.revoke(token)
        assert issuer.introspect(token) == {"active": False}
    assert issuer.mint_opaque() != issuer.mint_opaque()


def test_the_table_of_an_issuer_that_is_asked(monkeypatch):
    issuer = DevelopmentIssuer("https://login.example", "orders")
    table = issuer.policy_issuer(opaque=True, prefix="tok_")
    variable = table["introspection"]["client_secret_env"]
    assert table == {
        "issuer": "https://login.example",
        "audience": ["orders"],
        "introspection": {
            "endpoint": "https://login.example/introspect",
            "client_id": "development",
            "client_secret_env": variable,
        },
        "prefix": "tok_",
    }
    assert os.environ[variable] not in repr(table)


def post(issuer: DevelopmentIssuer, body: str | None, authorization: str | None, path: str = ""):
    parts = urlsplit(issuer.introspection_endpoint)
    connection = HTTPConnection(str(parts.hostname), parts.port, timeout=5)
    headers = {"authorization": authorization} if authorization else {}
    if body is None:
        headers["content-length"] = "1000000"
    try:
        connection.request("POST", path or parts.path, body, headers)
        response = connection.getresponse()
        data = response.read()
        found = json.loads(data) if response.headers["content-type"] == "application/json" else None
        return response.status, found
    finally:
        connection.close()


def test_the_introspection_endpoint():
    with DevelopmentIssuer("https://login.example/realms/shop").serve(port=0) as issuer:
        table = issuer.policy_issuer(opaque=True)["introspection"]
        secret = os.environ[table["client_secret_env"]]
        basic = "Basic " + b64encode(f"development:{secret}".encode()).decode()
        token = issuer.mint_opaque("bob")
        status, found = post(issuer, f"token={token}", basic)
        assert (status, found["sub"]) == (200, "bob")
        assert post(issuer, "token=x", basic) == (200, {"active": False})
        for body in ("", "token=a&token=b", "x=1"):
            assert post(issuer, body, basic) == (400, {"error": "invalid_request"})
        for wrong in (None, "Basic eDp5", f"Bearer {secret}"):
            assert post(issuer, f"token={token}", wrong) == (401, {"error": "invalid_client"})
        assert post(issuer, "token=x", basic, "/other") == (404, None)
        assert post(issuer, None, basic) == (413, None)


# What a verifier may know.


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_key_set_is_public(algorithm):
    issuer = DevelopmentIssuer(algorithm=algorithm)
    [key] = issuer.jwks["keys"]
    assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & key.keys()
    assert (key["kid"], key["use"], key["alg"]) == (issuer.kid, "sig", algorithm)
    assert jwt.decode(
        issuer.mint("bob"), jwt.PyJWK(key), algorithms=[algorithm], audience="development"
    )


def test_its_repr_shows_no_key():
    issuer = DevelopmentIssuer("https://login.example", "orders")
    assert repr(issuer) == "DevelopmentIssuer('https://login.example', 'orders', ES256)"


def test_an_algorithm_without_a_key_is_refused():
    with pytest.raises(ValueError, match="'HS256'; choose one of ES256, "):
        DevelopmentIssuer(algorithm="HS256")


def test_policy_issuer_can_be_overridden():
    issuer = DevelopmentIssuer("http://127.0.0.1:1", ["a", "b"], algorithm="EdDSA")
    assert issuer.policy_issuer(jwks=None, leeway=5, algorithms=["ES256"]) == {
        "issuer": "http://127.0.0.1:1",
        "audience": ["a", "b"],
        "algorithms": ["ES256"],
        "leeway": 5,
    }


def test_what_policy_issuer_returns_is_the_callers_own():
    issuer = DevelopmentIssuer()
    issuer.policy_issuer()["jwks"]["keys"].clear()
    issuer.jwks["keys"].clear()
    assert ask(client(issuer), issuer.mint()).status_code == 200


# Over HTTP.


def test_keys_are_found_by_discovery():
    with DevelopmentIssuer().serve(port=0) as issuer:
        assert ask(client(issuer, jwks=None), issuer.mint("bob")).text == "bob"


@pytest.mark.parametrize("path", ["", "/", "/realms/shop"])
def test_what_is_served(path):
    with DevelopmentIssuer(f"https://login.example{path}").serve(port=0) as issuer:
        origin = f"http://127.0.0.1:{urlsplit(issuer.issuer).port}"
        assert issuer.issuer == f"{origin}{path}"
        path = path.rstrip("/")
        for url in (
            f"{origin}{path}/.well-known/openid-configuration",
            f"{origin}/.well-known/oauth-authorization-server{path}",
        ):
            assert get(url) == (200, issuer.discovery)
        assert issuer.discovery["issuer"] == issuer.issuer
        assert get(issuer.discovery["jwks_uri"]) == (200, issuer.jwks)
        assert get(f"{origin}/other") == (404, None)


def test_it_is_quiet(capfd):
    with DevelopmentIssuer().serve(port=0) as issuer:
        get(f"{issuer.issuer}/other")
    assert capfd.readouterr() == ("", "")


def test_it_answers_no_more_after_the_block():
    with DevelopmentIssuer().serve(port=0) as issuer:
        pass
    with pytest.raises(ConnectionRefusedError):
        get(issuer.jwks_uri)


def test_it_keeps_its_port():
    with DevelopmentIssuer().serve(port=0) as issuer:
        named = issuer.issuer
    with issuer.serve():
        assert issuer.issuer == named
        assert get(issuer.jwks_uri)[0] == 200


def test_a_port_that_is_taken_is_an_error():
    with (
        DevelopmentIssuer().serve(port=0) as issuer,
        pytest.raises(OSError, match="in use"),
        DevelopmentIssuer(issuer.issuer).serve(),
    ):
        pass


@pytest.mark.parametrize(
    "name", ["https://127.0.0.1:8799", "http://login.example:8799", "http://127.0.0.1"]
)
def test_an_issuer_elsewhere_needs_a_port_to_be_served(name):
    with (
        pytest.raises(ValueError, match=r"give serve\(\) a port"),
        DevelopmentIssuer(name).serve(),
    ):
        pass


def test_a_token_that_is_minted_while_the_key_rotates_names_the_key_that_signed_it() -> None:
    issuer = DevelopmentIssuer()

    def rotating() -> float:
        issuer.clock = time.time
        issuer.rotate()
        return time.time()

    issuer.clock = rotating
    assert issuer.introspect(issuer.mint())["active"]
    assert len(issuer.jwks["keys"]) == 2
