from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event, Thread
from typing import Any

import pytest

from authz_middleware.facts import KeyReadiness
from authz_middleware.observe.log import LOGGER
from authz_middleware.runtime import keys as module
from authz_middleware.runtime.fetch import Fetched
from authz_middleware.runtime.keys import FixedKeys, RemoteKeys
from authz_middleware.tokens import freshness
from authz_middleware.tokens.freshness import COOLDOWN, REFRESH_AFTER, RETRY_AFTER, STALE_LIMIT
from authz_middleware.tokens.issuers import JwksUri
from authz_middleware.tokens.key_sources import KeyCache
from authz_middleware.tokens.keys import from_jwks
from tests.runtime.asking import kids, renew
from tests.runtime.provider import JWKS, Clock, Provider, answer, gated
from tests.tokens.minting import ISSUER, jwk

A, B = jwk("ES256", kid="a"), jwk("RS256", kid="b")


def at_url(provider: Provider, clock: Clock) -> RemoteKeys:
    return RemoteKeys(JwksUri(ISSUER, f"{provider.origin}{JWKS}"), clock)


def test_keys_of_the_policy_never_change() -> None:
    fixed = from_jwks({"keys": [A]})
    for now in (0.0, 1e12):
        source = FixedKeys(fixed)
        view = source.view(now)
        assert view.keys is fixed
        assert not view.fetchable
        assert source.refresh().done()
        assert view.as_of >= now  # a key that is not there is none
        assert source.readiness(ISSUER, now) == KeyReadiness(ISSUER, True, "fixed")


# Key sets


SETS = [
    pytest.param({"keys": []}, id="D11 empty"),
    pytest.param({}, id="no keys"),
    pytest.param([A], id="a list"),
    pytest.param({"keys": [{"kty": "XX"}]}, id="D11 unusable"),
    pytest.param({"keys": [jwk("HS256", kid="a")]}, id="a secret"),
    pytest.param(b'{"keys": [], "keys": []}', id="duplicate members"),
    pytest.param(b"<html>", id="a page"),
]


@pytest.mark.parametrize("published", SETS)
def test_an_unusable_set_leaves_the_last_good_one(
    provider: Provider, clock: Clock, published: Any
) -> None:
    source = at_url(provider, clock)
    provider.publish(A)
    renew(source)
    provider.at[JWKS] = answer(published)
    clock.now += REFRESH_AFTER
    renew(source)
    assert provider.fetched() == 2
    assert kids(source, clock) == ["a"]
    assert source.readiness(ISSUER, clock()).latest_fetch == "failed"


def test_the_last_good_keys_serve_up_to_the_limit(provider: Provider, clock: Clock) -> None:
    """D10."""
    source = at_url(provider, clock)
    provider.publish(A)
    renew(source)
    provider.at[JWKS] = answer(b"", 500)
    begin = clock.now
    for age in (REFRESH_AFTER, STALE_LIMIT / 2, STALE_LIMIT):
        clock.now = begin + age
        renew(source)
        assert kids(source, clock) == ["a"]
    clock.now = begin + STALE_LIMIT + 1
    assert kids(source, clock) is None
    renew(source)
    provider.publish(B)
    clock.now += RETRY_AFTER
    renew(source)
    assert kids(source, clock) == ["b"]
    assert source.readiness(ISSUER, clock()).latest_fetch == "succeeded"


def test_a_failure_is_not_repeated_at_once(provider: Provider, clock: Clock) -> None:
    source = at_url(provider, clock)
    for _ in range(3):
        renew(source)
    assert provider.fetched() == 1
    clock.now += RETRY_AFTER
    for _ in range(3):
        renew(source)
    assert provider.fetched() == 2


def test_one_fetch_in_a_cooldown(provider: Provider, clock: Clock) -> None:
    """D09: however many ask for it, also after it has landed."""
    source = at_url(provider, clock)
    provider.publish(A)
    for _ in range(5):
        renew(source)
    assert provider.fetched() == 1
    clock.now += COOLDOWN
    for _ in range(5):
        renew(source)
    assert provider.fetched() == 2


def test_fifty_threads_share_one_fetch(provider: Provider, clock: Clock) -> None:
    """D08."""
    gate, reached, together = Event(), Event(), Barrier(50)
    provider.publish(A)
    provider.at[JWKS] = gated(gate, reached, provider.at[JWKS])
    source = at_url(provider, clock)

    def wait() -> Any:
        together.wait(30)
        flight = source.refresh()
        gate.set()
        flight.result(30)
        return kids(source, clock)

    with ThreadPoolExecutor(50) as threads:
        found = [each.result(30) for each in [threads.submit(wait) for _ in range(50)]]
    assert found == [["a"]] * 50
    assert provider.fetched() == 1


def test_looking_at_keys_never_waits(provider: Provider, clock: Clock) -> None:
    gate, reached = Event(), Event()
    source = at_url(provider, clock)
    provider.publish(A)
    renew(source)
    provider.publish(B)
    provider.at[JWKS] = gated(gate, reached, provider.at[JWKS])
    clock.now += REFRESH_AFTER
    assert kids(source, clock) == ["a"]
    assert reached.wait(30)  # it has been asked for, by nobody who waits
    for _ in range(100):
        assert kids(source, clock) == ["a"]
    flight = source.refresh()
    assert not flight.done()
    gate.set()
    flight.result(30)
    assert kids(source, clock) == ["b"]
    assert provider.fetched() == 2


def test_an_equal_set_stays_the_same_object(provider: Provider, clock: Clock) -> None:
    source = at_url(provider, clock)
    provider.publish(A)
    renew(source)
    before = source.view(clock()).keys
    clock.now += REFRESH_AFTER
    renew(source)
    assert provider.fetched() == 2
    assert source.view(clock()).keys is before


class Panic(BaseException):
    """What a library in Rust raises where it gives up: no `Exception`."""


@pytest.mark.parametrize("fault", [ZeroDivisionError, Panic, SystemExit])
def test_a_fault_of_ours_is_an_outage_not_a_hang(
    clock: Clock, caplog, fault: type[BaseException]
) -> None:
    asked: list[str] = []

    def broken(url: str) -> Fetched:
        asked.append(url)
        raise fault

    source = RemoteKeys(JwksUri(ISSUER, "https://x.example"), clock, broken)
    renew(source)
    assert source.readiness(ISSUER, clock()).latest_fetch == "failed"
    assert fault.__name__ in caplog.text
    clock.now += RETRY_AFTER
    renew(source)
    assert len(asked) == 2


class Full(logging.Filter):
    """A log that fails."""

    def filter(self, record: logging.LogRecord) -> bool:
        raise OSError(record.getMessage())


@pytest.fixture
def failing_log() -> Iterator[None]:
    full = Full()
    LOGGER.addFilter(full)
    yield
    LOGGER.removeFilter(full)


@pytest.mark.usefixtures("failing_log")
def test_a_log_that_fails_leaves_no_fetch_in_flight(provider: Provider, clock: Clock) -> None:
    """Else nobody would ever start another, and the keys would run out."""
    source = at_url(provider, clock)
    provider.at[JWKS] = answer(b"", 500)
    renew(source)
    assert source.readiness(ISSUER, clock()).latest_fetch == "failed"
    provider.publish(A)
    clock.now += RETRY_AFTER
    renew(source)
    assert kids(source, clock) == ["a"]


@pytest.mark.usefixtures("failing_log")
def test_a_log_that_fails_keeps_no_good_keys_from_the_file(
    provider: Provider, clock: Clock, tmp_path: Path
) -> None:
    config = JwksUri(ISSUER, f"{provider.origin}{JWKS}", KeyCache(file="keys.json"))
    provider.publish(A, {"kty": "RSA", "n": "AQAB", "e": "AQAB"})
    source = RemoteKeys(config, clock, directory=tmp_path, start=lambda work: work())
    renew(source)
    assert (tmp_path / "keys.json").exists()


def test_no_thread_can_be_started(clock: Clock, monkeypatch, caplog) -> None:
    def start(thread: Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Thread, "start", start)
    source = RemoteKeys(JwksUri(ISSUER, "https://x.example"), clock)
    source.view(clock())
    assert source.readiness(ISSUER, clock()).latest_fetch == "failed"
    assert source.refresh().done()
    assert "not renewed: can't start new thread" in caplog.text
    assert len(caplog.records) == 1


def test_a_flight_of_another_process_is_not_waited_for(provider: Provider, clock: Clock) -> None:
    """As in a worker after a fork; `test_fork` does it with real ones."""
    provider.publish(A)
    source = at_url(provider, clock)
    source._state, source._pid = freshness.started(source._state, clock(), joined=True), -1
    assert source.view(clock()).fetchable
    renew(source)
    assert kids(source, clock) == ["a"]


def test_a_worker_does_not_give_up_a_flight_of_its_own(clock: Clock) -> None:
    """Its first one after the fork, with the parent's keys at hand: it would be started twice."""
    flights: list[object] = []
    source = RemoteKeys(JwksUri(ISSUER, "https://x.example"), clock, start=flights.append)
    source._pid = -1
    for _ in range(3):
        source.view(clock())
    assert len(flights) == 1


def test_of_two_that_would_refresh_ahead_one_does(clock: Clock) -> None:
    """The other one finds it done when it gets the lock."""
    asked: list[str] = []

    def fetch(url: str) -> Fetched:
        asked.append(url)
        source._refresh_ahead()
        return Fetched(json.dumps({"keys": [A]}).encode())

    source = RemoteKeys(
        JwksUri(ISSUER, "https://x.example"), clock, fetch, start=lambda work: work()
    )
    assert kids(source, clock) == ["a"]
    source._refresh_ahead()
    assert len(asked) == 1


def test_a_process_has_one_lock() -> None:
    assert module._lock() is module._lock() is module._locks[os.getpid()]


def test_what_a_set_leaves_out_is_logged_once(provider: Provider, clock: Clock, caplog) -> None:
    source = at_url(provider, clock)
    provider.publish(A, {"kty": "RSA", "n": "AQAB", "e": "AQAB"})
    for _ in range(2):
        renew(source)
        clock.now += REFRESH_AFTER
    (record,) = caplog.records
    assert record.getMessage().startswith(f"keys of {ISSUER}: key 1 ")
