"""Published vectors: every case judged as it should be, and the counts on the page."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from authz_middleware import Authz
from authz_middleware.bearer import challenge
from authz_middleware.facts import Actor
from authz_middleware.tokens import introspection
from authz_middleware.tokens.claims import verify_claims
from authz_middleware.tokens.introspection import NoAnswer
from tests.conformance.judging import DOORS, REFUSALS, VECTORS
from tests.conformance.report import rows, table
from tests.tokens.minting import CLAIMS, NOW, issuer

pytestmark = pytest.mark.conformance

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"

# What a file must hold, so that one that shrank does not pass.
COUNTS = {
    "Wycheproof: JWS": 401,
    "Wycheproof: JWK": 26,
    "Wycheproof: JWE": 139,
    "JSONTestSuite as header": 318,
    "JSONTestSuite as payload": 318,
    "JSONTestSuite as key set": 318,
    "JSONTestSuite as introspection answer": 318,
    "Naughty strings as token": 515,
}


@pytest.mark.parametrize("name", [each.name for each in VECTORS])
def test_every_case_is_judged_as_it_should_be(vectors: Path, name: str) -> None:
    """S01-S07, S11, S13, K03-K05, K07-K15, K21, J02-J04, J15, I03: as on the page."""
    (row,) = [row for row in rows(vectors) if row.name == name]
    assert row.wrong == ()
    assert row.judged == COUNTS.get(name, row.judged)
    assert (row.otherwise > 0) <= bool(row.why)


def test_the_counts_that_matter(vectors: Path) -> None:
    found = {row.name: row for row in rows(vectors)}
    assert found["Wycheproof: JWS"].otherwise == 8
    beside = [found[f"Wycheproof: {kind}"] for kind in ("JWS beside JWE", "JWE beside JWS")]
    assert sum(row.judged for row in beside) == 83
    assert sum(row.judged for row in found.values() if " as ES" in row.name) == 1112
    primitives = [row for name, row in found.items() if name.startswith("Wycheproof: ")]
    assert sum(row.judged for row in primitives) == 401 + 26 + 83 + 139 + 3912


def test_the_page_shows_the_report(vectors: Path) -> None:
    """`python -m tests.conformance` prints what should stand there."""
    assert table(rows(vectors)) in PAGE.read_text("utf-8")


@pytest.mark.parametrize("door", DOORS)
def test_json_files_in_the_place_of_the_whole_object(vectors: Path, door: str) -> None:
    """S03, J02-J04, J15: none is one that could be used; all are refused, nothing else happens."""
    files = json.loads((vectors / "json_test_suite" / "parsing.json").read_text("utf-8"))
    for encoded in files.values():
        try:
            DOORS[door](base64.b64decode(encoded))
        except REFUSALS:
            continue
        assert door == "payload"  # any object could be claims, as far as parsing goes
    assert sum(name.startswith("n_") for name in files) == 188


def test_json_files_as_introspection_answers(vectors: Path) -> None:
    """I03, I05: `n_` is no answer, alone and as a member; nothing there is an active token."""
    files = json.loads((vectors / "json_test_suite" / "parsing.json").read_text("utf-8"))
    unreadable: set[str] = set()
    for name, encoded in files.items():
        data = base64.b64decode(encoded)
        with pytest.raises(NoAnswer):
            introspection.read(200, "application/json", data)
        try:
            introspection.read(200, "application/json", b'{"active": true, "x": ' + data + b"}")
        except NoAnswer:
            unreadable.add(name)
    assert len(files) == 318
    assert {name for name in files if name.startswith("n_")} <= unreadable


def examples(vectors: Path, name: str) -> Any:
    return json.loads((vectors / "rfc-examples" / f"{name}.json").read_text("utf-8"))


def test_the_challenge_of_rfc_6750(vectors: Path) -> None:
    """B10, B11: section 3's first example, which is all that a request without a token gets."""
    answers = {each["when"]: each for each in examples(vectors, "bearer")["responses"]}
    assert challenge("example") == answers["no credentials"]["www_authenticate"]
    # Section 3's second has a description besides, for which we have no words.
    expired = challenge("example", error="invalid_token")
    assert answers["expired token"]["www_authenticate"].startswith(expired)


def test_the_addresses_of_rfc_9728(vectors: Path) -> None:
    """M01, N01."""
    for resource, url in examples(vectors, "bearer")["metadata_urls"]:
        authz = Authz.from_mapping(
            {
                "resource": resource,
                "issuers": [{"issuer": "https://login.example.com", "audience": "orders"}],
                "routes": {"GET /": "authenticated"},
            }
        )
        assert authz.serving.settings.answers.resource_metadata == url


def test_the_actors_of_rfc_8693(vectors: Path) -> None:
    """A01, A02, A04: the outermost actor, whatever is nested in it; `may_act` is none."""
    given = examples(vectors, "delegation")
    header = {"alg": "ES256", "typ": "at+jwt"}

    def actor(claims: dict[str, Any]) -> Actor | None:
        acting = {name: claims[name] for name in ("act", "may_act") if name in claims}
        return verify_claims(CLAIMS | acting, header, issuer(), NOW).principal.actor

    assert actor(given["act"]) == Actor("admin@example.com", None)
    assert actor(given["act_nested"]) == Actor(given["expect_nested"]["current_actor"], None)
    assert actor(given["may_act"]) is None
