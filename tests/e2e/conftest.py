"""Real servers on loopback, with an issuer whose keys they discover."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import pytest

from authz_middleware.testing import DevelopmentIssuer
from examples.demo import servers
from tests.e2e import identity

EXAMPLE = servers.ROOT / "examples" / "fastapi_app" / "authz.toml"


@pytest.fixture(scope="session")
def issuer():
    with DevelopmentIssuer(audience="newsroom").serve(port=0) as issuer:
        yield issuer


@pytest.fixture(scope="session")
def policy(issuer, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("policy") / "authz.toml"
    path.write_text(EXAMPLE.read_text().replace("http://127.0.0.1:8799", issuer.issuer))
    return path


@pytest.fixture
def serve(tmp_path, policy):
    """Return what runs a command as a server while a block runs."""

    @contextmanager
    def serve(command, **environ):
        with servers.running(
            "server", command, tmp_path, {"AUTHZ_CONFIG": str(policy), **environ}
        ) as server:
            yield server

    return serve


@pytest.fixture(scope="module")
def provider(tmp_path_factory):
    """A real identity provider, and whoever may ask it for tokens."""
    with identity.serving(tmp_path_factory.mktemp("provider")) as provider:
        yield provider
