from __future__ import annotations

import json
import logging
import os
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier, Event
from typing import Any

import pytest

from authz_middleware.runtime import keys as module
from authz_middleware.runtime.fetch import FetchFailed, NotFound
from authz_middleware.runtime.keys import FixedKeys, RemoteKeys, discovery_urls
from authz_middleware.tokens.freshness import COOLDOWN, REFRESH_AFTER, RETRY_AFTER, STALE_LIMIT
from authz_middleware.tokens.issuers import Discovery, JwksUri
from authz_middleware.tokens.keys import from_jwks
from tests.runtime.provider import APPENDED, JWKS, Clock, Provider, answer, gated
from tests.tokens.minting import ISSUER, jwk

A, B = jwk("ES256", kid="a"), jwk("RS256", kid="b")


def kids(source: RemoteKeys, clock: Clock) -> list[str | None] | None:
    found = source.view(clock()).keys
    return None if found is None else [key.kid for key in found.keys]


def at_url(provider: Provider, clock: Clock) -> RemoteKeys:
    return RemoteKeys(JwksUri(ISSUER, f"{provider.origin}{JWKS}"), clock)


def renew(source: RemoteKeys) -> None:
    source.refresh().result(30)


def test_keys_of_the_policy_never_change() -> None:
    fixed = from_jwks({"keys": [A]})
    for now in (0.0, 1e12):
        view = FixedKeys(fixed).view(now)
        assert view.keys is fixed
        assert not view.fetchable
        assert not view.failing


# Discovery


URLS = [
    (
        "https://x.example",
        (
            "https://x.example/.well-known/openid-configuration",
            "https://x.example/.well-known/oauth-authorization-server",
        ),
    ),
    (
        "https://x.example/",
        (
            "https://x.example/.well-known/openid-configuration",
            "https://x.example/.well-known/oauth-authorization-server",
        ),
    ),
    (
        "https://x.example:8443/realms/shop",
        (
            "https://x.example:8443/realms/shop/.well-known/openid-configuration",
            "https://x.example:8443/.well-known/oauth-authorization-server/realms/shop",
            "https://x.example:8443/.well-known/openid-configuration/realms/shop",
        ),
    ),
    (
        "https://x.example/a/",
        (
            "https://x.example/a/.well-known/openid-configuration",
            "https://x.example/.well-known/oauth-authorization-server/a",
            "https://x.example/.well-known/openid-configuration/a",
        ),
    ),
]


@pytest.mark.parametrize(("issuer", "urls"), URLS)
def test_where_metadata_may_be(issuer: str, urls: tuple[str, ...]) -> None:
    """D01, D02."""
    assert discovery_urls(issuer) == urls


@pytest.mark.parametrize("path", ["", "/", "/realms/shop", "/realms/shop/"])
@pytest.mark.parametrize("refusal", [404, 403, 405])
def test_the_first_form_that_exists_is_taken(
    provider: Provider, clock: Clock, path: str, refusal: int
) -> None:
    issuer = f"{provider.origin}{path}"
    forms = [url.removeprefix(provider.origin) for url in discovery_urls(issuer)]
    provider.publish(A)
    for index, form in enumerate(forms):
        provider.at = {form: answer(b"", refusal) for form in forms} | {JWKS: provider.at[JWKS]}
        provider.at[form] = answer({"issuer": issuer, "jwks_uri": f"{provider.origin}{JWKS}"})
        provider.asked.clear()
        source = RemoteKeys(Discovery(issuer), clock)
        renew(source)
        assert kids(source, clock) == ["a"]
        assert provider.asked == [*forms[: index + 1], JWKS]


def test_no_form_exists(provider: Provider, clock: Clock, caplog) -> None:
    source = RemoteKeys(Discovery(provider.origin), clock)
    renew(source)
    assert kids(source, clock) is None
    assert "no discovery document" in caplog.text


def test_a_provider_in_trouble_is_not_asked_for_the_next_form(
    provider: Provider, clock: Clock
) -> None:
    provider.at[APPENDED] = answer(b"", 503)
    source = RemoteKeys(Discovery(provider.origin), clock)
    renew(source)
    assert provider.asked == [APPENDED]
    assert source.view(clock()).failing


HERE = "<origin>"  # stands for the provider's own

DOCUMENTS = [
    pytest.param({"issuer": "https://evil.example", "jwks_uri": HERE}, id="D03 of another"),
    pytest.param({"issuer": f"{HERE}/", "jwks_uri": HERE}, id="D03 a slash more"),
    pytest.param({"issuer": [HERE], "jwks_uri": HERE}, id="D03 a list"),
    pytest.param({"jwks_uri": HERE}, id="D03 of nobody"),
    pytest.param({"issuer": HERE}, id="no jwks_uri"),
    pytest.param({"issuer": HERE, "jwks_uri": None}, id="jwks_uri null"),
    pytest.param({"issuer": HERE, "jwks_uri": [HERE]}, id="jwks_uri a list"),
    pytest.param({"issuer": HERE, "jwks_uri": "http://x.example/jwks"}, id="D04 plain http"),
    pytest.param({"issuer": HERE, "jwks_uri": "http://169.254.169.254/"}, id="D04 metadata"),
    pytest.param({"issuer": HERE, "jwks_uri": "file:///etc/passwd"}, id="D04 a file"),
    pytest.param({"issuer": HERE, "jwks_uri": "/jwks"}, id="D04 relative"),
    pytest.param({"issuer": HERE, "jwks_uri": "https://a@x.example/"}, id="D04 a user name"),
    pytest.param([{"issuer": HERE, "jwks_uri": HERE}], id="a list"),
    pytest.param("text", id="a text"),
    pytest.param(None, id="null"),
    pytest.param(b"", id="nothing"),
    pytest.param(b"<!doctype html>", id="a page"),
    pytest.param(b'{"issuer": "<origin>", "jwks_uri": "<origin>"', id="cut off"),
    pytest.param(
        b'{"issuer": "x", "issuer": "<origin>", "jwks_uri": "<origin>"}', id="duplicate members"
    ),
    pytest.param(b'\xef\xbb\xbf{"issuer": "<origin>", "jwks_uri": "<origin>"}', id="a mark"),
    pytest.param(b'{"issuer": "<origin>", "jwks_uri": "<origin>", "x": NaN}', id="NaN"),
    pytest.param(b"[" * 100_000, id="deep"),
    pytest.param(b"\xff\xfe", id="not UTF-8"),
]


def placed(value: Any, origin: str) -> Any:
    match value:
        case dict():
            return {name: placed(member, origin) for name, member in value.items()}
        case list():
            return [placed(item, origin) for item in value]
        case bytes():
            return value.replace(HERE.encode(), origin.encode())
        case str():
            return value.replace(HERE, origin)
    return value


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_that_is_not_believed(
    provider: Provider, clock: Clock, document: Any, caplog
) -> None:
    provider.at[APPENDED] = answer(placed(document, provider.origin))
    source = RemoteKeys(Discovery(provider.origin), clock)
    renew(source)
    assert source.view(clock()).keys is None
    assert source.view(clock()).failing
    assert provider.asked == [APPENDED]
    (record,) = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert record.getMessage().startswith(f"keys of {provider.origin} not renewed: ")
    assert record.exc_info is None  # nothing went wrong with us


def test_members_we_do_not_know_change_nothing(provider: Provider, clock: Clock) -> None:
    """D05, D12."""
    provider.publish(A)
    document = {"issuer": provider.origin, "jwks_uri": f"{provider.origin}{JWKS}", "x": {"y": []}}
    document["id_token_signing_alg_values_supported"] = ["none", "HS256"]
    provider.at[APPENDED] = answer(document)
    source = RemoteKeys(Discovery(provider.origin), clock)
    renew(source)
    assert kids(source, clock) == ["a"]


def test_keys_on_another_host(provider: Provider, clock: Clock) -> None:
    """D07: by the verified document only."""
    with Provider().running() as other:
        other.publish(A)
        provider.at[APPENDED] = answer(
            {"issuer": provider.origin, "jwks_uri": f"{other.origin}{JWKS}"}
        )
        source = RemoteKeys(Discovery(provider.origin), clock)
        renew(source)
        assert kids(source, clock) == ["a"]


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
    assert source.view(clock()).failing


def test_the_last_good_keys_serve_up_to_the_limit(provider: Provider, clock: Clock) -> None:
    """D10."""
    source = at_url(provider, clock)
    provider.publish(A)
    renew(source)
    provider.at[JWKS] = answer(b"", 500)
    begin = clock.now
    for age in (REFRESH_AFTER, STALE_LIMIT / 2, STALE_LIMIT):
        clock.now = begin + age
        assert kids(source, clock) == ["a"]
        renew(source)
    clock.now = begin + STALE_LIMIT + 1
    assert kids(source, clock) is None
    renew(source)
    provider.publish(B)
    clock.now += RETRY_AFTER
    renew(source)
    assert kids(source, clock) == ["b"]
    assert not source.view(clock()).failing


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


def test_a_fault_of_ours_is_an_outage_not_a_hang(clock: Clock, caplog) -> None:
    def broken(url: str) -> bytes:
        raise ZeroDivisionError

    source = RemoteKeys(JwksUri(ISSUER, "https://x.example"), clock, broken)
    renew(source)
    assert source.view(clock()).failing
    assert "ZeroDivisionError" in caplog.text


def test_no_thread_can_be_started(clock: Clock, monkeypatch, caplog) -> None:
    class Full:
        def submit(self, *args: object) -> None:
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr(module._process(), "executor", Full())
    source = RemoteKeys(JwksUri(ISSUER, "https://x.example"), clock)
    assert source.view(clock()).failing
    assert source.refresh().done()
    assert "not renewed: can't start new thread" in caplog.text
    assert len(caplog.records) == 1


def test_which_failures_lead_on() -> None:
    """Only an answer says that a document is not there."""
    asked: list[str] = []

    def fetch(url: str) -> bytes:
        asked.append(url)
        raise (NotFound if len(asked) == 1 else FetchFailed)(url)

    source = RemoteKeys(Discovery("https://x.example/a"), Clock(0.0), fetch)
    renew(source)
    assert asked == list(discovery_urls("https://x.example/a"))[:2]


def test_a_flight_of_another_process_is_not_waited_for(provider: Provider, clock: Clock) -> None:
    """As in a worker after a fork; `test_fork` does it with real ones."""
    provider.publish(A)
    source = at_url(provider, clock)
    source._flight, source._flight_pid = Future(), -1
    renew(source)
    assert kids(source, clock) == ["a"]


def test_a_process_has_one_executor() -> None:
    assert module._process() is module._process() is module._processes[os.getpid()]


def test_what_a_set_leaves_out_is_logged_once(provider: Provider, clock: Clock, caplog) -> None:
    source = at_url(provider, clock)
    provider.publish(A, {"kty": "RSA", "n": "AQAB", "e": "AQAB"})
    for _ in range(2):
        renew(source)
        clock.now += REFRESH_AFTER
    (record,) = caplog.records
    assert record.getMessage().startswith(f"keys of {ISSUER}: key 1 ")


@pytest.mark.parametrize("url", ["http://127.0.0.1:8500/jwks", "http://localhost/jwks"])
def test_an_issuer_elsewhere_cannot_point_to_plain_http_on_this_machine(
    url: str, clock: Clock, caplog
) -> None:
    """P12, D04: another user of this machine may listen there."""
    document = json.dumps({"issuer": "https://x.example", "jwks_uri": url}).encode()
    asked: list[str] = []

    def fetch(address: str) -> bytes:
        asked.append(address)
        return document

    renew(RemoteKeys(Discovery("https://x.example"), clock, fetch))
    assert url not in asked
    assert "no https jwks_uri" in caplog.text
