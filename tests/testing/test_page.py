"""The page of the development issuer: what its buttons do, and who may press them."""

from __future__ import annotations

from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from authz_middleware.testing import DevelopmentIssuer


@pytest.fixture
def issuer() -> Iterator[DevelopmentIssuer]:
    with DevelopmentIssuer("http://127.0.0.1:1", "api").serve(0, switches=True) as served:
        yield served


def ask(
    issuer: DevelopmentIssuer, path: str = "/", headers: dict[str, str] | None = None, **form: str
) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", urlsplit(issuer.issuer).port or 0, timeout=5)
    try:
        body = urlencode(form) if form else None
        connection.request("POST" if form else "GET", path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_it_mints(issuer: DevelopmentIssuer) -> None:
    status, page = ask(
        issuer,
        do="mint",
        subject="<ann>",
        roles="a b",
        lifetime="60",
        claims='{"tenant": "x", "self": 1}',
    )
    token = page.partition("<output>")[2].partition("</output>")[0]
    told = issuer.introspect(token)
    assert status == 200
    assert (told["sub"], told["roles"], told["tenant"]) == ("<ann>", ["a", "b"], "x")
    assert told["self"] == 1
    assert told["exp"] - told["iat"] == 60
    assert "<ann>" not in page


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("lifetime", "-1", "number of seconds"),
        ("lifetime", "٣", "number of seconds"),
        ("lifetime", "9" * 30, "number of seconds"),
        ("claims", "{", "are no JSON"),
        ("claims", "[]", "no JSON object"),
        ("claims", "[" * 20_000, "are no JSON"),
        ("claims", '{"headers": {}}', "`headers` has a field of its own"),
    ],
)
def test_what_it_does_not_mint(issuer: DevelopmentIssuer, name: str, value: str, said: str) -> None:
    form: dict[str, Any] = {"do": "mint", "subject": "ann", "lifetime": "60", name: value}
    status, page = ask(issuer, **form)
    assert status == 200
    assert said in page
    assert "<output>" not in page


@pytest.mark.parametrize("length", ["", "x", "-1", "65537", "9" * 5000])
def test_a_body_without_a_length_that_will_do(issuer: DevelopmentIssuer, length: str) -> None:
    assert ask(issuer, headers={"Content-Length": length}, do="mint")[0] == 413


def test_it_rotates(issuer: DevelopmentIssuer) -> None:
    before = issuer.kid
    assert "new key" in ask(issuer, do="rotate")[1]
    assert issuer.kid != before
    assert len(issuer.jwks["keys"]) == 2


def test_it_fails_and_recovers(issuer: DevelopmentIssuer) -> None:
    assert "Outage" in ask(issuer, do="fail")[1]
    assert ask(issuer, "/jwks.json")[0] == 503
    assert ask(issuer, "/introspect", token="x")[0] == 503
    assert "Outage" not in ask(issuer, do="recover")[1]
    assert ask(issuer, "/jwks.json")[0] == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://example.com"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "rebound.example.com"}, 421),
        ({"Host": "127.0.0.1.example.com"}, 421),
    ],
    ids=["another page", "a page of nobody", "a name that leads here", "one that looks like us"],
)
def test_pages_elsewhere_can_do_nothing(
    issuer: DevelopmentIssuer, headers: dict[str, str], status: int
) -> None:
    before = issuer.kid
    assert ask(issuer, headers=headers, do="rotate")[0] == status
    assert issuer.kid == before


def test_its_own_page_can(issuer: DevelopmentIssuer) -> None:
    assert ask(issuer, headers={"Origin": issuer.issuer}, do="rotate")[0] == 200


def test_without_switches_there_is_no_page() -> None:
    with DevelopmentIssuer("http://127.0.0.1:1").serve(0) as served:
        assert ask(served)[0] == 404
        assert ask(served, do="mint")[0] == 404
