"""The examples in this process: imported afresh, with a policy whose keys are inline."""

from __future__ import annotations

import importlib
import json
import sys

import pytest

from authz_middleware.testing import DevelopmentIssuer
from tests.examples.callers import EXAMPLES


@pytest.fixture(scope="session")
def issuer() -> DevelopmentIssuer:
    return DevelopmentIssuer(audience="newsroom")


@pytest.fixture
def load(issuer, tmp_path, monkeypatch):
    """Return what imports an example's `app.py`; its newsroom is new."""
    policy = (EXAMPLES / "fastapi_app" / "authz.toml").read_text()
    policy = policy.replace("[[issuers]]\n", '[[issuers]]\njwks_file = "jwks.json"\n')
    (tmp_path / "authz.toml").write_text(policy)
    (tmp_path / "jwks.json").write_text(json.dumps(issuer.jwks))
    monkeypatch.setenv("AUTHZ_CONFIG", str(tmp_path / "authz.toml"))

    def load(example: str):
        name = f"examples.{example}.app"
        monkeypatch.delitem(sys.modules, name, raising=False)
        module = importlib.import_module(name)
        monkeypatch.delitem(sys.modules, name)
        return module

    return load
