"""Keys of development issuers: believed on this machine, elsewhere where the policy insists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from authz_middleware import Authz, PolicyError
from authz_middleware.testing import DevelopmentIssuer
from authz_middleware.tokens.development import PREFIX, is_development_key, is_local
from tests.runtime.asking import request

ELSEWHERE = "https://login.example.com"


@pytest.mark.parametrize(
    ("kid", "expected"),
    [(None, False), ("", False), ("a", False), (PREFIX + "x", True), ("a" + PREFIX, False)],
)
def test_a_key_is_known_by_its_name(kid: str | None, expected: bool) -> None:
    assert is_development_key(kid) is expected


@pytest.mark.parametrize(
    ("issuer", "expected"),
    {
        "http://127.0.0.1:8799": True,
        "http://[::1]:1/realm": True,
        "http://localhost": True,
        "https://localhost.example.com": False,
        "https://127.0.0.1.example.com": False,
        "https://example.com/127.0.0.1": False,
        "https://127.0.0.1@example.com": False,
        # Two parsers would see two hosts, or it is no address at all.
        "http://example.com\\@localhost": False,
        "http://127.0.0.1#@example.com": False,
        "file://localhost/x": False,
        "//localhost": False,
        "joe": False,
        "": False,
        "http://[": False,
    }.items(),
)
def test_where_an_issuer_is(issuer: str, expected: bool) -> None:
    assert is_local(issuer) is expected


def served(tmp_path: Path, issuer: str, **top: Any) -> tuple[DevelopmentIssuer, dict[str, Any]]:
    development = DevelopmentIssuer(issuer, "api", key_file=tmp_path / "key.pem")
    policy = {
        "issuers": [development.policy_issuer()],
        "routes": {"/**": "authenticated"},
        **top,
    }
    return development, policy


def allowed(development: DevelopmentIssuer, authz: Authz) -> bool:
    outcome = authz.serving.outcome(*request(token=development.mint()))
    return outcome.decision.allowed


def warned(caplog: pytest.LogCaptureFixture) -> bool:
    texts = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    return any("keys of development issuers are believed" in text for text in texts)


def test_on_this_machine_it_is_believed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Which is told: the machine may be another one than the policy was written on."""
    development, policy = served(tmp_path, "http://127.0.0.1:8799")
    assert allowed(development, Authz.from_mapping(policy))
    assert warned(caplog)


@pytest.mark.parametrize(
    ("issuer", "top", "expected"),
    [
        (ELSEWHERE, {"insecure_development_keys": True}, True),
        (ELSEWHERE, {}, False),
        ("http://127.0.0.1:8799", {}, False),  # whether its keys are such is not known yet
    ],
)
def test_fetched_keys_that_may_be_of_development_are_told(
    issuer: str, top: dict[str, Any], expected: bool, caplog: pytest.LogCaptureFixture
) -> None:
    Authz.from_mapping({"issuers": [{"issuer": issuer, "audience": "api"}], **top})
    assert warned(caplog) is expected


def test_elsewhere_it_is_refused_at_start(tmp_path: Path) -> None:
    _, policy = served(tmp_path, ELSEWHERE)
    with pytest.raises(PolicyError, match=r"a key of a development issuer.*insecure_development"):
        Authz.from_mapping(policy)


def test_who_insists_gets_it(tmp_path: Path) -> None:
    development, policy = served(tmp_path, ELSEWHERE, insecure_development_keys=True)
    assert allowed(development, Authz.from_mapping(policy))


def test_elsewhere_it_is_refused_where_keys_are_fetched(tmp_path: Path) -> None:
    """As if somebody had put a provider's name before a development issuer."""
    development, policy = served(tmp_path, ELSEWHERE)
    with DevelopmentIssuer("http://127.0.0.1:1", "api").serve(0) as provider:
        provider._keys = development._keys
        del policy["issuers"][0]["jwks"]
        policy["issuers"][0]["jwks_uri"] = provider.jwks_uri
        authz = Authz.from_mapping(policy)
        outcome = authz.serving.outcome(*request(token=development.mint()))
    assert (outcome.decision.reason, outcome.decision.detail) == (
        "invalid_token",
        "development_key",
    )
