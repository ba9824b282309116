"""Django in this process, with the policy and the callers of the adapters' tests."""

from __future__ import annotations

import pytest

from tests.adapters.conftest import authz, clock, issuer, policy  # noqa: F401 - fixtures
from tests.adapters.test_answers import callers  # noqa: F401 - a fixture
from tests.django.projects import configure


@pytest.fixture(scope="session", autouse=True)
def django() -> None:
    configure()


@pytest.fixture
def editor(callers):  # noqa: F811 - the fixture's name
    return callers["editor"]
