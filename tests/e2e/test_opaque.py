"""Opaque tokens of a real identity provider, which is asked about each, through both adapters."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from authz_middleware import Authz
from tests.adapters.exchange import WORLDS
from tests.e2e.test_provider import Clock, get, policy

pytestmark = pytest.mark.e2e

BOTH = pytest.mark.parametrize("world", WORLDS)
# A client's own token has no `sub` in this provider's answers.
CLIENTS = {"subject": "client_id"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def asking(provider, clock, tmp_path):
    """Return what compiles a policy whose issuer is asked."""
    secret = tmp_path / "secret"
    secret.write_text("secret-of-orders-api")

    def asking(*, cache: float = 30, **members: Any) -> Authz:
        introspection = {
            "endpoint": f"{provider.issuer}/token/introspection",
            "client_id": "orders-api",
            "client_secret_file": str(secret),
            "cache": cache,
        }
        return Authz.from_mapping(
            policy(provider, introspection=introspection, **members), clock=clock
        )

    return asking


@BOTH
def test_a_clients_token(world, provider, asking):
    """I01-I03, I06, I10: who it is and what it may, from the top level of the answer."""
    authz = asking(claims=CLIENTS)
    token = provider.client_token("opaque")
    assert "." not in token
    for _ in range(2):  # asked about, and remembered
        sent = get(world, authz, token)
        assert (sent.status, sent.access.principal.subject) == (200, "orders-batch")
        assert sent.access.principal.scopes == {"orders:read"}
        assert get(world, authz, token, method="POST").status == 403


@BOTH
def test_a_users_token(world, provider, asking):
    tokens = provider.user_tokens("ann", "opaque")
    authz = asking()
    sent = get(world, authz, tokens.access_token, method="POST")
    assert (sent.status, sent.access.principal.subject) == (200, "ann")
    # This provider answers 400 where RFC 7662 §2.2 has `"active": false` for what it never issues.
    assert get(world, authz, tokens.id_token, "/me").status in (401, 503)


@BOTH
def test_what_the_provider_has_never_seen(world, provider, asking):
    """I04."""
    authz = asking(claims=CLIENTS)
    good = provider.client_token("opaque")
    for token in (secrets.token_urlsafe(32), good[:-1], good + "x", "x"):
        sent = get(world, authz, token)
        assert sent.status == 401
        assert str(sent.header("www-authenticate")).endswith('error="invalid_token"')


@BOTH
def test_a_token_for_another_service(world, provider, asking):
    """I06, N03: active, and yet not for us."""
    authz = asking(claims=CLIENTS, audience="billing-api")
    assert get(world, authz, provider.client_token("opaque")).status == 401


@BOTH
def test_a_revoked_token(world, provider, asking, clock):
    """I08, CVE-2024-22513 (simplejwt): it ends when the time of the answer is over, or at once."""
    remembering, forgetting = asking(claims=CLIENTS), asking(claims=CLIENTS, cache=0)
    token = provider.client_token("opaque")
    assert [get(world, authz, token).status for authz in (remembering, forgetting)] == [200, 200]
    provider.revoke(token)
    assert get(world, remembering, token).status == 200
    assert get(world, forgetting, token).status == 401
    clock.ahead += 31
    assert get(world, remembering, token).status == 401


@BOTH
def test_a_token_that_has_expired(world, provider, asking, clock):
    """I07: an answer is not believed past `exp`."""
    authz = asking(claims=CLIENTS)
    token = provider.client_token("opaque")
    assert get(world, authz, token).status == 200
    clock.ahead += 3600 + 31
    assert get(world, authz, token).status == 401


@BOTH
def test_a_provider_that_does_not_take_our_word(world, provider, asking, tmp_path):
    """I02, I05: that is our failure, not the caller's."""
    authz = asking(claims=CLIENTS)
    (tmp_path / "secret").write_text("not the secret")
    mistaken = asking(claims=CLIENTS)
    token = provider.client_token("opaque")
    assert get(world, authz, token).status == 200
    sent = get(world, mistaken, token)
    assert (sent.status, sent.header("www-authenticate")) == (503, None)
    assert get(world, mistaken, token, "/health").status == 200
