"""The examples in this process: imported afresh, with a policy whose keys are inline."""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys
from contextlib import ExitStack

import pytest
from django.test.utils import override_settings

from authz_middleware.testing import DevelopmentIssuer
from tests.django.projects import configure
from tests.examples.callers import EXAMPLES


@pytest.fixture(scope="session")
def issuer() -> DevelopmentIssuer:
    return DevelopmentIssuer(audience="newsroom")


@pytest.fixture
def load(issuer, tmp_path, monkeypatch):
    """Return what imports a thing of an example by its name; its newsroom is new.

    Django has the example's settings until the test ends.
    """
    policy = (EXAMPLES / "fastapi_app" / "authz.toml").read_text()
    policy = policy.replace("[[issuers]]\n", '[[issuers]]\njwks_file = "jwks.json"\n')
    (tmp_path / "authz.toml").write_text(policy)
    (tmp_path / "jwks.json").write_text(json.dumps(issuer.jwks))
    monkeypatch.setenv("AUTHZ_CONFIG", str(tmp_path / "authz.toml"))
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "none: these tests bring their own")

    with ExitStack() as stack:

        def load(target: str):
            example = f"examples.{target.partition('.')[0]}"
            forget(example)
            if example.endswith("django_app"):
                configure()
                settings = importlib.import_module(f"{example}.settings")
                options = {name: vars(settings)[name] for name in vars(settings) if name.isupper()}
                stack.enter_context(override_settings(**options))
            stack.callback(forget, example)
            return pkgutil.resolve_name(f"examples.{target}")

        yield load


def forget(package: str) -> None:
    """Let the next import of `package` and the modules in it run them again."""
    for name in [name for name in sys.modules if f"{name}.".startswith(f"{package}.")]:
        del sys.modules[name]
