"""Tokens and keys of a real identity provider, discovered over loopback, through both adapters."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from authz_middleware import Authz
from authz_middleware.runtime.fetch import TOTAL_SECONDS
from authz_middleware.tokens.freshness import COOLDOWN, REFRESH_AFTER
from examples.demo.client import send
from examples.demo.servers import gunicorn, uvicorn
from tests.adapters.exchange import WORLDS, Sent, ask
from tests.e2e.identity import ALGORITHMS, AUDIENCE, Identity

pytestmark = pytest.mark.e2e

ROUTES = {
    "GET /health": "public",
    "GET /me": "authenticated",
    "GET /orders": {"roles": ["viewer"], "scopes": ["orders:read"]},
    "POST /orders": ["editor"],
}


class Clock:
    """The provider's time, which a test may run ahead of."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


def policy(provider: Identity, **members: Any) -> dict[str, Any]:
    return {
        "issuers": [{"issuer": provider.issuer, "audience": AUDIENCE} | members],
        "roles": {"viewer": [], "editor": {"inherits": ["viewer"]}},
        "routes": ROUTES,
    }


@pytest.fixture
def authz(provider, clock) -> Authz:
    return Authz.from_mapping(policy(provider), clock=clock)


def get(world: str, authz: Authz, token: str, path: str = "/orders", method: str = "GET") -> Sent:
    return ask(world, authz, method, path, [("Authorization", f"Bearer {token}")])


def tampered(token: str) -> list[str]:
    """The token with another claim, another header, another signature, and none."""
    header, payload, signature = token.split(".")
    middle = len(payload) // 2
    changed = "A" if payload[middle] != "A" else "B"
    other = signature[:10][::-1] + signature[10:]
    return [
        f"{header}.{payload[:middle]}{changed}{payload[middle + 1 :]}.{signature}",
        f"{header[:-2]}.{payload}.{signature}",
        f"{header}.{payload}.{other}",
        f"{header}.{payload}.",
    ]


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm(algorithm, world, authz, provider):
    """T01-T07, K06, K16, S05, D01-D03: accepted as issued, refused if one character differs."""
    token = provider.client_token(algorithm)
    sent = get(world, authz, token)
    assert sent.status == 200
    principal = sent.access.principal
    assert (principal.subject, principal.issuer) == ("orders-batch", provider.issuer)
    assert (principal.roles, principal.scopes) == ({"viewer"}, {"orders:read"})
    assert get(world, authz, token, method="POST").status == 403
    for forged in tampered(token):
        sent = get(world, authz, forged)
        assert sent.status == 401
        assert 'error="invalid_token"' in str(sent.header("www-authenticate"))


@pytest.mark.parametrize("world", WORLDS)
def test_an_algorithm_that_the_policy_does_not_list(world, provider, clock):
    """P01, S07, D12: whatever the provider's metadata says."""
    authz = Authz.from_mapping(policy(provider, algorithms=["ES256"]), clock=clock)
    assert get(world, authz, provider.client_token("ES256")).status == 200
    assert get(world, authz, provider.client_token("RS256")).status == 401


@pytest.mark.parametrize("world", WORLDS)
def test_a_user_comes_with_the_access_token_and_not_with_the_id_token(world, provider, clock):
    """P14, T13: the same keys sign both; type and audience tell them apart."""
    tokens = provider.user_tokens("ann", "RS256")
    usual = Authz.from_mapping(policy(provider), clock=clock)
    sent = get(world, usual, tokens.access_token, method="POST")
    assert (sent.status, sent.access.principal.subject) == (200, "ann")
    assert get(world, usual, tokens.id_token, "/me").status == 401
    lenient = Authz.from_mapping(policy(provider, token_types=["at+jwt", "JWT"]), clock=clock)
    assert get(world, lenient, tokens.access_token, "/me").status == 200
    assert get(world, lenient, tokens.id_token, "/me").status == 401


@pytest.mark.parametrize("world", WORLDS)
def test_a_token_for_another_service(world, provider, clock):
    """N03, G01."""
    authz = Authz.from_mapping(policy(provider, audience="billing-api"), clock=clock)
    assert get(world, authz, provider.client_token("RS256"), "/me").status == 401


@pytest.mark.parametrize("world", WORLDS)
def test_new_keys_work_without_a_restart_and_withdrawn_ones_end(world, authz, provider, clock):
    """D09."""
    old = provider.client_token("ES256")
    assert get(world, authz, old).status == 200
    provider.new_keys(keep=True)
    new = provider.client_token("ES256")
    clock.ahead += COOLDOWN + 1
    assert get(world, authz, new).status == 200
    assert get(world, authz, old).status == 200
    provider.new_keys(keep=False)
    newest = provider.client_token("ES256")
    clock.ahead += COOLDOWN + 1
    assert get(world, authz, newest).status == 200
    assert [get(world, authz, token).status for token in (old, new)] == [401, 401]


@pytest.mark.parametrize("world", WORLDS)
def test_an_outage_of_the_key_set(world, authz, provider, clock):
    """D10: what is known is served; what cannot be told is our failure, not the caller's."""
    known = provider.client_token("ES256")
    assert get(world, authz, known).status == 200
    provider.new_keys(keep=True)
    unknown = provider.client_token("ES256")
    clock.ahead += COOLDOWN + 1
    with provider.key_set_answers("error"):
        sent = get(world, authz, unknown)
        assert (sent.status, sent.header("www-authenticate")) == (503, None)
        assert int(str(sent.header("retry-after"))) > 0
        assert get(world, authz, known).status == 200
        assert get(world, authz, tampered(known)[0]).status == 401
        assert get(world, authz, unknown, "/health").status == 200
    clock.ahead += COOLDOWN + 1
    assert get(world, authz, unknown).status == 200


@pytest.mark.parametrize("world", WORLDS)
def test_a_key_set_that_was_never_reached(world, provider, clock):
    """D10, D11: without keys nothing is accepted, and nobody is to blame but us."""
    authz = Authz.from_mapping(policy(provider), clock=clock)
    token = provider.client_token("PS256")
    with provider.key_set_answers("error"):
        assert get(world, authz, token).status == 503
        assert get(world, authz, token, "/health").status == 200
    clock.ahead += COOLDOWN + 1
    assert get(world, authz, token).status == 200


def test_a_key_set_that_hangs_holds_nobody_who_is_known(provider, clock):
    """D08, D10: one request waits, no longer than a fetch may take; the others go on."""
    authz = Authz.from_mapping(policy(provider), clock=clock)
    known = provider.client_token("ES384")
    assert get("wsgi", authz, known).status == 200
    provider.new_keys(keep=True)
    unknown = provider.client_token("ES384")
    clock.ahead += REFRESH_AFTER + 1
    waited: list[int] = []
    with provider.key_set_answers("hang"):
        waiting = threading.Thread(
            target=lambda: waited.append(get("asgi", authz, unknown).status), daemon=True
        )
        waiting.start()
        assert [get(world, authz, known).status for world in WORLDS] == [200, 200]
        assert waited == []  # they were answered while it waits
        waiting.join(2 * TOTAL_SECONDS)
    assert waited == [503]


APP = """
from authz_middleware import ASGIAuthzMiddleware, WSGIAuthzMiddleware

async def hello(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})

def hello_wsgi(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]

POLICY = __POLICY__
app = ASGIAuthzMiddleware(hello, POLICY)
wsgi = WSGIAuthzMiddleware(hello_wsgi, POLICY)
"""


@pytest.mark.parametrize("world", WORLDS)
def test_under_a_real_server(world, provider, serve, tmp_path):
    """Discovery, keys and decisions in a process of its own."""
    (tmp_path / "orders.py").write_text(APP.replace("__POLICY__", repr(policy(provider))))
    command = (
        uvicorn("orders:app", "--app-dir", str(tmp_path), "--lifespan", "off")
        if world == "asgi"
        else gunicorn("orders:wsgi", "--chdir", str(tmp_path))
    )
    with serve(command) as server:
        for algorithm in ALGORITHMS:
            token = provider.client_token(algorithm)
            assert send(server.port, "GET", "/orders", f"Bearer {token}").status == 200
            assert send(server.port, "POST", "/orders", f"Bearer {token}").status == 403
            forged = tampered(token)[0]
            assert send(server.port, "GET", "/orders", f"Bearer {forged}").status == 401
        tokens = provider.user_tokens("ann", "Ed25519")
        assert send(server.port, "POST", "/orders", f"Bearer {tokens.access_token}").status == 200
        assert send(server.port, "POST", "/orders", f"Bearer {tokens.id_token}").status == 401
