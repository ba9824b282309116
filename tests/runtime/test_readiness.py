"""`warm` and `readiness`: what an operator may ask for, and what it costs."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from threading import Event

import pytest

from authz_middleware import Authz, KeyReadiness, PolicyReadiness, Readiness
from authz_middleware.tokens.freshness import COOLDOWN, RETRY_AFTER, STALE_LIMIT
from tests.runtime.asking import policy, remote, table
from tests.runtime.provider import JWKS, Clock, Provider, answer, gated
from tests.tokens.minting import ISSUER, jwk

A = jwk("RS256", 0, kid="a")
OTHER = "https://other.example.com"

Warm = Callable[..., Readiness]

FIRST = PolicyReadiness(1, 0)


def warm_async(authz: Authz, *timeout: float) -> Readiness:
    return asyncio.run(authz.warm_async(*timeout))


both = pytest.mark.parametrize("warm", [Authz.warm, warm_async], ids=["sync", "async"])


def landed(authz: Authz) -> None:
    """Wait for what is in flight."""
    for source in authz.serving._remote.values():
        source._flight.result(30)


@both
def test_warm_fetches_the_keys_of_all_issuers(provider: Provider, clock: Clock, warm: Warm) -> None:
    provider.publish(A)
    entries = [
        table(grants=["*"], jwks_uri=f"{provider.origin}{JWKS}"),
        table(issuer=OTHER, grants=["*"], jwks={"keys": [A]}),
    ]
    authz = Authz.from_mapping(policy(*entries), clock=clock)
    assert provider.asked == []  # the start depends on no provider
    expected = Readiness(
        True,
        (
            KeyReadiness(ISSUER, True, "succeeded", 0, clock.now + STALE_LIMIT),
            KeyReadiness(OTHER, True, "fixed"),
        ),
        FIRST,
    )
    assert warm(authz) == expected
    assert warm(authz) == expected
    assert provider.fetched() == 1


@both
def test_warm_raises_nothing(provider: Provider, clock: Clock, warm: Warm) -> None:
    provider.at[JWKS] = answer(b"", 500)
    authz = remote(provider, clock)
    assert warm(authz) == Readiness(False, (KeyReadiness(ISSUER, False, "failed"),), FIRST)


@both
def test_warm_waits_no_longer_than_it_is_told(provider: Provider, clock: Clock, warm: Warm) -> None:
    gate, reached = Event(), Event()
    provider.publish(A)
    provider.at[JWKS] = gated(gate, reached, provider.at[JWKS])
    authz = remote(provider, clock)
    assert warm(authz, 0.01) == Readiness(False, (KeyReadiness(ISSUER, False, "none"),), FIRST)
    gate.set()
    landed(authz)  # the fetch went on
    assert authz.readiness().ready


@both
def test_nothing_to_warm(warm: Warm, clock: Clock) -> None:
    assert warm(Authz.from_mapping(policy(), clock=clock)) == Readiness(
        True, (KeyReadiness(ISSUER, True, "fixed"),), FIRST
    )


def test_readiness_never_waits_and_gets_ready_by_itself(provider: Provider, clock: Clock) -> None:
    """A server that gets no requests before it is ready must become ready without them."""
    gate, reached = Event(), Event()
    provider.publish(A)
    provider.at[JWKS] = gated(gate, reached, provider.at[JWKS])
    authz = remote(provider, clock)
    for _ in range(100):
        assert not authz.readiness().ready
    assert reached.wait(30)
    gate.set()
    landed(authz)
    assert authz.readiness().ready
    assert provider.fetched() == 1


def test_readiness_through_an_outage(provider: Provider, clock: Clock) -> None:
    provider.publish(A)
    authz = remote(provider, clock)
    authz.warm()
    begin = clock.now
    provider.at[JWKS] = answer(b"", 500)
    until = begin + STALE_LIMIT
    for age in (300, STALE_LIMIT):
        clock.now = begin + age
        authz.readiness()
        landed(authz)
        assert authz.readiness() == Readiness(
            True,
            (KeyReadiness(ISSUER, True, "failed", age, until),),
            PolicyReadiness(1, age),
        )
    clock.now = until + 1
    assert not authz.readiness().ready
    landed(authz)
    provider.publish(A)
    clock.now += COOLDOWN
    authz.readiness()
    landed(authz)
    assert authz.readiness().ready


def test_readiness_asks_a_provider_that_is_down_no_more_often_than_requests_do(
    provider: Provider, clock: Clock
) -> None:
    provider.at[JWKS] = answer(b"", 500)
    authz = remote(provider, clock)
    for second in range(60):
        authz.readiness()
        landed(authz)
        assert provider.fetched() == 1 + second // RETRY_AFTER
        clock.now += 1


def test_what_it_says_cannot_be_changed() -> None:
    found = Authz.from_mapping(policy()).readiness()
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.ready = False  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.issuers[0].ready = False  # type: ignore[misc]
