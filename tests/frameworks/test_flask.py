"""Flask: `require` is answered by the app's own error handling, in every mode of the app."""

from __future__ import annotations

import logging

import flask
import pytest

from authz_middleware import Access, AccessDenied, WSGIAuthzMiddleware, current_access
from authz_middleware.testing import DevelopmentIssuer


def caller() -> Access:
    access = current_access()
    assert access is not None
    return access


@pytest.fixture
def issuer():
    return DevelopmentIssuer("https://login.example.com", "orders-api")


def make(issuer, **config):
    app = flask.Flask(__name__)
    app.config.update(config)

    @app.get("/write")
    def write():
        caller().require("article:write")
        return "written"

    policy = {
        "issuers": [issuer.policy_issuer()],
        "roles": {"editor": ["article:write"]},
        "routes": {"GET /write": "authenticated"},
    }
    app.wsgi_app = WSGIAuthzMiddleware(app.wsgi_app, policy)  # type: ignore[method-assign]
    return app


def get(app, token):
    headers = {"Authorization": f"Bearer {token}"}
    return app.test_client().get("/write", headers=headers, buffered=True)


@pytest.mark.parametrize("config", [{}, {"DEBUG": True}, {"TESTING": True}])
def test_a_denied_require_is_403_and_logs_no_error(config, issuer, caplog):
    response = get(make(issuer, **config), issuer.mint("ann"))
    assert response.status_code == 403
    assert response.content_type == "application/problem+json"
    assert 'error="insufficient_scope"' in response.headers["WWW-Authenticate"]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_what_is_held_passes(issuer):
    assert get(make(issuer), issuer.mint("ann", roles=["editor"])).text == "written"


def test_the_apps_own_handler_is_kept(issuer):
    app = flask.Flask(__name__)

    @app.errorhandler(AccessDenied)
    def own(denied):
        return f"no: {denied.decision.missing[0]}", denied.answer.status

    @app.get("/write")
    def write():
        caller().require("article:write")

    policy = {"issuers": [issuer.policy_issuer()], "routes": {"/write": "authenticated"}}
    app.wsgi_app = WSGIAuthzMiddleware(app.wsgi_app, policy)  # type: ignore[method-assign]
    response = get(app, issuer.mint("ann"))
    assert (response.status_code, response.text) == (403, "no: article:write")


def test_a_handler_that_is_registered_later_wins(issuer):
    app = make(issuer)
    app.register_error_handler(AccessDenied, lambda denied: ("mine", 403))
    assert get(app, issuer.mint("ann")).text == "mine"


def test_an_app_that_catches_everything_still_refuses(issuer):
    app = make(issuer)
    app.error_handler_spec[None][None].clear()
    app.register_error_handler(Exception, lambda error: ("something broke", 500))
    assert get(app, issuer.mint("ann")).status_code == 403
