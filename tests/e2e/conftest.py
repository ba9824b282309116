"""Real servers on loopback, with an issuer whose keys they discover."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from authz_middleware.testing import DevelopmentIssuer
from examples.demo import servers
from tests.e2e import identity
from tests.e2e.lab.policy import SOURCE, policy
from tests.e2e.processes import remaining
from tests.e2e.setups import SETUPS, Setup, started
from tests.e2e.wire import ask
from tests.missing import missing


@pytest.fixture(scope="session")
def issuer():
    with DevelopmentIssuer(audience="newsroom").serve(port=0) as issuer:
        yield issuer


@pytest.fixture(scope="session")
def example(issuer, tmp_path_factory) -> Path:
    """The policy of the examples."""
    path = tmp_path_factory.mktemp("policy") / "authz.toml"
    path.write_text(SOURCE.read_text().replace("http://127.0.0.1:8799", issuer.issuer))
    return path


@pytest.fixture
def serve(tmp_path, example):
    """Return what runs a command as a server while a block runs."""

    @contextmanager
    def serve(command, **environ):
        with servers.running(
            "server", command, tmp_path, {"AUTHZ_CONFIG": str(example), **environ}
        ) as server:
            yield server

    return serve


@pytest.fixture(scope="module")
def provider(tmp_path_factory):
    """A real identity provider, and whoever may ask it for tokens."""
    with identity.serving(tmp_path_factory.mktemp("provider")) as provider:
        yield provider


@pytest.fixture(scope="session")
def laboratory(issuer, tmp_path_factory) -> dict[str, str]:
    """The environment of a server that serves the laboratory."""
    path = tmp_path_factory.mktemp("laboratory") / "authz.toml"
    path.write_text(policy(issuer.issuer), encoding="utf-8")
    return {"AUTHZ_CONFIG": str(path)}


@pytest.fixture(scope="session")
def vera(issuer) -> str:
    return f"Authorization: Bearer {issuer.mint('vera', roles=['viewer'], lifetime=3600)}"


@pytest.fixture(scope="session")
def eddy(issuer) -> str:
    return f"Authorization: Bearer {issuer.mint('eddy', roles=['viewer'], lifetime=3600)}"


@dataclass(frozen=True, slots=True)
class Running:
    """A server that runs the laboratory, and what is known of it."""

    setup: Setup
    port: int
    server: servers.Server


@pytest.fixture(scope="session", params=SETUPS, ids=repr)
def running(request, laboratory, vera, tmp_path_factory):
    """Every server in its turn, started once; pytest sorts the tests by it.

    It holds the issuer's keys: a public route waits for none, and would name nobody until then.
    """
    setup = request.param
    need(setup)
    directory = tmp_path_factory.mktemp(setup.name)
    with started(setup, directory, laboratory) as server:
        assert ask(server.port, "GET", "/lab/who", vera).status == 200
        yield Running(setup, server.port, server)
    assert remaining(directory) == []


def need(setup: Setup) -> None:
    """Skip a server that is not installed; in CI that is a failure, never a skip."""
    if absent := setup.missing():
        missing(f"{setup} needs {', '.join(absent)}")


@pytest.fixture
def start(tmp_path, laboratory):
    """Return what runs a set-up in its own way while a block runs."""

    @contextmanager
    def start(setup, *options, app="", **environ):
        need(setup)
        with started(setup, tmp_path, {**laboratory, **environ}, *options, app=app) as server:
            yield Running(setup, server.port, server)

    return start
