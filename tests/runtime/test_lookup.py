"""Where the keys of an issuer are, and which documents are believed."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from authz_middleware.runtime.fetch import Fetched, FetchFailed, NotFound
from authz_middleware.runtime.keys import RemoteKeys
from authz_middleware.runtime.lookup import Lookup, discovery_urls
from authz_middleware.tokens.freshness import REFRESH_AFTER, RETRY_AFTER
from authz_middleware.tokens.issuers import Discovery
from tests.runtime.asking import kids, renew
from tests.runtime.provider import APPENDED, JWKS, Clock, Provider, answer
from tests.tokens.minting import ISSUER, jwk

A = jwk("ES256", kid="a")


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
    assert source.readiness(ISSUER, clock()).latest_fetch == "failed"


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
    assert source.readiness(ISSUER, clock()).latest_fetch == "failed"
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


def test_which_failures_lead_on() -> None:
    """Only an answer says that a document is not there."""
    asked: list[str] = []

    def fetch(url: str) -> Fetched:
        asked.append(url)
        raise (NotFound if len(asked) == 1 else FetchFailed)(url)

    source = RemoteKeys(Discovery("https://x.example/a"), Clock(0.0), fetch)
    renew(source)
    assert asked == list(discovery_urls("https://x.example/a"))[:2]


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:8500/jwks", "http://localhost/jwks", "HTTP://127.0.0.1/", "Http://[::1]/"],
)
def test_an_issuer_elsewhere_cannot_point_to_plain_http_on_this_machine(
    url: str, clock: Clock, caplog
) -> None:
    """P12, D04: another user of this machine may listen there."""
    document = json.dumps({"issuer": "https://x.example", "jwks_uri": url}).encode()
    asked: list[str] = []

    def fetch(address: str) -> Fetched:
        asked.append(address)
        return Fetched(document)

    renew(RemoteKeys(Discovery("https://x.example"), clock, fetch))
    assert url not in asked
    assert "no https jwks_uri" in caplog.text


METADATA_TIMES = [
    # What the metadata say, seconds until the next look in the background, and whether they are
    # read again for it.
    pytest.param("max-age=3600", 400, False, id="still good"),
    pytest.param("max-age=300", 400, True, id="over"),
    pytest.param("no-store", 59, False, id="kept for a minute at least"),
    pytest.param("no-store", 400, True, id="not to be kept"),
    pytest.param("max-age=99999999", 3601, True, id="kept for max_age at most"),
]


@pytest.mark.parametrize(("said", "pause", "again"), METADATA_TIMES)
def test_metadata_are_relied_on_for_as_long_as_they_say(
    clock: Clock, said: str, pause: float, again: bool
) -> None:
    """RFC 9111; but a request that waits wants the truth."""
    lookup, asked = scripted(clock, said)
    lookup.look(anew=True)
    clock.now += pause
    lookup.look(anew=False)
    assert asked == ["metadata", "jwks", *(["metadata"] if again else []), "jwks"]
    asked.clear()
    lookup.look(anew=True)
    assert asked == ["metadata", "jwks"]


def scripted(clock: Clock, said: str, age: str = "") -> tuple[Lookup, list[str]]:
    issuer = "https://x.example"
    asked: list[str] = []

    def fetch(url: str) -> Fetched:
        asked.append("jwks" if url.endswith("/jwks") else "metadata")
        if asked[-1] == "jwks":
            return Fetched(json.dumps({"keys": [A]}).encode())
        document = {"issuer": issuer, "jwks_uri": f"{issuer}/jwks"}
        return Fetched(json.dumps(document).encode(), said, age)

    return Lookup(Discovery(issuer), fetch, clock), asked


def test_a_clock_set_back_makes_metadata_worth_nothing(clock: Clock) -> None:
    lookup, asked = scripted(clock, "max-age=3600")
    lookup.look(anew=False)
    clock.now -= 1e6
    lookup.look(anew=False)
    assert asked == ["metadata", "jwks"] * 2


def test_keys_are_as_old_as_what_led_to_them(clock: Clock) -> None:
    """The set may have moved since the metadata were made out."""
    lookup, _ = scripted(clock, "max-age=3600", "100")
    begin = clock.now
    assert lookup.look(anew=True).as_of == begin - 101
    clock.now += 500
    assert lookup.look(anew=False).as_of == begin - 101


@pytest.mark.parametrize(("age", "held"), [("", 0), ("soon", 0), ("0", 1), ("7", 8)])
def test_a_copy_is_up_to_a_second_older_than_a_cache_says(
    clock: Clock, age: str, held: float
) -> None:
    """RFC 9111 §5.1: Age has whole seconds, and says that it is a copy."""
    lookup, _ = scripted(clock, "", age)
    assert lookup.look(anew=True).as_of == clock.now - held


def test_after_a_failure_metadata_are_read_again(provider: Provider, clock: Clock) -> None:
    """The set has moved, and the old address is gone."""
    metadata = {"issuer": provider.origin, "jwks_uri": f"{provider.origin}{JWKS}"}
    provider.at[APPENDED] = answer(metadata, cache_control="max-age=3600")
    provider.publish(A)
    source = RemoteKeys(Discovery(provider.origin), clock, start=lambda work: work())
    assert kids(source, clock) == ["a"]
    del provider.at[JWKS]
    provider.at["/moved"] = answer({"keys": [jwk("ES256", kid="b")]})
    metadata["jwks_uri"] = f"{provider.origin}/moved"
    provider.at[APPENDED] = answer(metadata)
    clock.now += REFRESH_AFTER
    assert kids(source, clock) == ["a"]  # looked at the old address
    clock.now += RETRY_AFTER
    assert kids(source, clock) == ["b"]
    assert provider.asked == [APPENDED, JWKS, JWKS, APPENDED, "/moved"]
