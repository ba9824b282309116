"""Opaque tokens through both adapters, with a real issuer on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from authz_middleware import Authz
from authz_middleware.testing import DevelopmentIssuer, FrozenClock
from tests.adapters.exchange import WORLDS, Sent, ask

NOW = 1_800_000_000.0

pytestmark = pytest.mark.parametrize("world", WORLDS)


@dataclass
class Served:
    """An issuer that is up, and a policy that asks it."""

    issuer: DevelopmentIssuer
    clock: FrozenClock
    authz: Authz

    def status(self, world: str, token: str, path: str = "/me", method: str = "GET") -> int:
        return self.ask(world, token, path, method).status

    def ask(self, world: str, token: str, path: str = "/me", method: str = "GET") -> Sent:
        return ask(world, self.authz, method, path, [("Authorization", f"Bearer {token}")])


def policy(issuer: DevelopmentIssuer, **issuer_keys: Any) -> dict[str, Any]:
    return {
        "issuers": [issuer.policy_issuer(opaque=True, **issuer_keys)],
        "roles": {"viewer": ["article:read"]},
        "routes": {
            "GET /me": "authenticated",
            "GET /health": "public",
            "GET /articles": ["viewer"],
            "POST /transfers": {"scopes": ["pay"]},
        },
    }


@pytest.fixture
def served() -> Iterator[Served]:
    clock = FrozenClock(NOW)
    with DevelopmentIssuer(audience="orders-api", clock=clock).serve(port=0) as issuer:
        yield Served(issuer, clock, Authz.from_mapping(policy(issuer), clock=clock))


def test_an_opaque_token_and_what_it_may(world: str, served: Served) -> None:
    token = served.issuer.mint_opaque("bob", roles=["viewer"], scope="read")
    sent = served.ask(world, token, "/articles")
    assert (sent.status, sent.access.principal.subject) == (200, "bob")
    assert sent.access.principal.scopes == {"read"}
    refused = served.ask(world, token, "/transfers", "POST")
    assert refused.status == 403
    assert 'scope="pay"' in str(refused.header("www-authenticate"))


def test_a_token_nobody_minted_is_invalid_and_no_more_is_said(world: str, served: Served) -> None:
    """I04."""
    sent = served.ask(world, "nobodys-token")
    assert sent.status == 401
    assert sent.header("www-authenticate") == 'Bearer realm="api", error="invalid_token"'
    assert b"inactive" not in sent.body
    assert not sent.called


def test_a_revoked_token_is_refused_after_the_cache_time(world: str, served: Served) -> None:
    """I08."""
    token = served.issuer.mint_opaque()
    assert served.status(world, token) == 200
    served.issuer.revoke(token)
    served.clock.advance(29)
    assert served.status(world, token) == 200
    served.clock.advance(1)
    assert served.status(world, token) == 401


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"lifetime": -60}, id="expired"),
        pytest.param({"aud": "another"}, id="I06 for another service"),
        pytest.param({"iss": "https://another.example"}, id="I06 of another issuer"),
        pytest.param({"cnf": {"jkt": "x"}}, id="I09 bound to a key"),
        pytest.param({"sub": None}, id="of nobody"),
    ],
)
def test_a_token_that_is_wrong(world: str, served: Served, claims: dict[str, Any]) -> None:
    assert served.status(world, served.issuer.mint_opaque(**claims)) == 401


def test_a_jwt_of_this_issuer_is_asked_about_too(world: str, served: Served) -> None:
    """I11."""
    good, revoked = served.issuer.mint("ann"), served.issuer.mint("ann")
    served.issuer.revoke(revoked)
    assert served.status(world, good) == 200
    assert served.status(world, revoked) == 401
    assert served.status(world, served.issuer.signed_by_another_key()) == 401


def test_an_issuer_out_of_reach_is_503(world: str) -> None:
    """I05: never 401, never let in; a public route goes on."""
    clock = FrozenClock(NOW)
    issuer = DevelopmentIssuer("http://127.0.0.1:9", "orders-api", clock=clock)
    down = Served(issuer, clock, Authz.from_mapping(policy(issuer), clock=clock))
    token = issuer.mint_opaque()
    sent = down.ask(world, token)
    assert sent.status == 503
    assert (sent.header("retry-after"), sent.header("www-authenticate")) == ("5", None)
    assert not sent.called
    public = down.ask(world, token, "/health")
    assert public.status == 200
    assert (public.access.principal, public.access.credentials) == (None, "unavailable")


def test_require_on_a_public_route_says_503_too(world: str, served: Served) -> None:
    def during(access: Any) -> None:
        access.require("article:read")

    token = served.issuer.mint_opaque()
    fields = [("Authorization", f"Bearer {token}")]
    assert ask(world, served.authz, "GET", "/health", fields, during=during).status == 503


def test_the_wrong_secret_is_our_failure(world: str, served: Served, monkeypatch) -> None:
    """I02, I05: the endpoint answers 401 to us, not to the caller."""
    variable = served.issuer.policy_issuer(opaque=True)["introspection"]["client_secret_env"]
    document = policy(served.issuer)
    monkeypatch.setenv(variable, "wrong")
    wrong = Served(served.issuer, served.clock, Authz.from_mapping(document, clock=served.clock))
    assert wrong.status(world, served.issuer.mint_opaque()) == 503


def test_a_prefix(world: str, served: Served) -> None:
    document = policy(served.issuer, prefix="tok_")
    with_prefix = Served(
        served.issuer, served.clock, Authz.from_mapping(document, clock=served.clock)
    )
    assert with_prefix.status(world, served.issuer.mint_opaque(prefix="tok_")) == 200
    assert with_prefix.status(world, served.issuer.mint_opaque()) == 401
