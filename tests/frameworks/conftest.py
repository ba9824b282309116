"""The policy of the app that every framework serves, its callers, and a watch over the logs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from authz_middleware import Authz
from authz_middleware.testing import DevelopmentIssuer
from tests.frameworks.apps import ROUTES


@pytest.fixture(scope="session")
def issuer() -> DevelopmentIssuer:
    return DevelopmentIssuer("https://login.example.com", "orders-api")


@pytest.fixture(scope="session")
def policy(issuer) -> dict[str, Any]:
    return {
        "issuers": [issuer.policy_issuer()],
        "roles": {"viewer": ["article:read"], "editor": ["article:*"]},
        "routes": ROUTES,
    }


@pytest.fixture(scope="session")
def authz(policy) -> Authz:
    return Authz.from_mapping(policy)


# For the session, which may take longer than a token lives by default.
@pytest.fixture(scope="session")
def callers(issuer) -> Mapping[str, list[tuple[str, str]]]:
    def bearing(token: str) -> list[tuple[str, str]]:
        return [("Authorization", f"Bearer {token}")]

    return {
        "absent": [],
        "invalid": bearing(issuer.expired("ann", roles=["editor"])),
        "malformed": [("Authorization", "Bearer")],
        "viewer": bearing(issuer.mint("ann", roles=["viewer"], lifetime=3600)),
        "editor": bearing(issuer.mint("bob", roles=["editor"], lifetime=3600)),
    }


def is_expected(record: logging.LogRecord) -> bool:
    """Whether it says what has nothing to do with a request.

    That is a gap between policy and app, or asyncio's remark that the machine is busy.
    """
    text = record.getMessage()
    return text.startswith("a gap between policy and app: ") or (
        record.name == "asyncio" and text.startswith("Executing ")
    )


@pytest.fixture
def quiet(caplog, capfd) -> Callable[[str], None]:
    """Fails if a denial is reported like an error of the app."""

    def check(errors: str) -> None:
        loud = [
            each
            for each in caplog.records
            if (each.levelno > logging.INFO or each.exc_info) and not is_expected(each)
        ]
        assert (loud, errors, capfd.readouterr().err) == ([], "", "")

    return check
