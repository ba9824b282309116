"""The example for browsers, in this process; `tests/e2e/test_browser.py` opens it in a real one."""

from __future__ import annotations

import importlib
import sys

import pytest
from starlette.testclient import TestClient

from authz_middleware import PolicyError
from authz_middleware.testing import run_policy_tests
from tests.examples.callers import EXAMPLES

NAME = "examples.browser_app.app"
ORIGIN = "http://127.0.0.1:8001"


@pytest.fixture
def client(monkeypatch) -> TestClient:
    monkeypatch.setenv("NOTES_ISSUER", "https://login.example.com")
    monkeypatch.delitem(sys.modules, NAME, raising=False)
    app = importlib.import_module(NAME).app
    monkeypatch.delitem(sys.modules, NAME)
    return TestClient(app)


def test_the_policys_own_tests_pass(monkeypatch):
    monkeypatch.setenv("NOTES_ISSUER", "https://login.example.com")
    report = run_policy_tests(EXAMPLES / "browser_app" / "authz.toml")
    assert report.results
    assert report.ok, str(report)


def test_without_its_issuer_nothing_starts(monkeypatch):
    monkeypatch.delenv("NOTES_ISSUER", raising=False)
    monkeypatch.delitem(sys.modules, NAME, raising=False)
    with pytest.raises(PolicyError, match="the environment variable NOTES_ISSUER is not set"):
        importlib.import_module(NAME)


def test_a_preflight_is_answered_by_cors(client):
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "PUT"}
    answer = client.options("/notes/1", headers=asked)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, ORIGIN)


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_a_refusal_is_marked_as_readable(client, method):
    answer = client.request(method, "/notes", headers={"Origin": ORIGIN})
    assert answer.status_code == 401
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-expose-headers"] == "WWW-Authenticate"
    assert answer.headers["www-authenticate"] == 'Bearer realm="notes"'
