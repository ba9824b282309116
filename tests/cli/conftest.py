"""A folder for the policies of a test, and the command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from authz_middleware.cli import main

ISSUER = '[[issuers]]\nissuer = "https://login.example.com"\naudience = ["orders"]\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and no policy named by the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUTHZ_CONFIG", raising=False)
    return tmp_path


@pytest.fixture
def authz(folder: Path) -> Callable[..., Result]:
    """Run the command in the folder."""
    return lambda *words, **more: CliRunner().invoke(main, words, **more)
