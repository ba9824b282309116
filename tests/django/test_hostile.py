"""Whatever arrives, Django's middleware says what the adapter around a whole app says, or less."""

from __future__ import annotations

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware import ASGIAuthzMiddleware, WSGIAuthzMiddleware
from tests.adapters.exchange import Recorder, call_asgi, call_wsgi, environ_for, scope_for
from tests.adapters.test_hostile import METHODS, PATHS, STATUSES, VALUES
from tests.django.projects import Project, patient


@pytest.fixture(scope="module")
def wsgi(authz):
    with Project(authz) as project:
        yield project, WSGIHandler()


@pytest.fixture(scope="module")
def asgi(authz):
    with Project(authz, view="async view") as project:
        yield project, ASGIHandler()


def seen(project):
    """The requests that the view was asked for since the last time."""
    requests = list(project.seen)
    project.seen.clear()
    return requests


@given(method=METHODS, path=PATHS, value=st.none() | VALUES)
def test_wsgi(method, path, value, authz, wsgi):
    project, handler = wsgi
    headers = [] if value is None else [("Authorization", value.decode("latin-1"))]
    sent = call_wsgi(handler, environ_for(method, path, headers), validated=False)
    app = WSGIAuthzMiddleware(Recorder().wsgi, authz)
    outside = call_wsgi(app, environ_for(method, path, headers), validated=False)
    assert sent.status in STATUSES
    assert sent.status == outside.status
    assert sent.header("www-authenticate") == outside.header("www-authenticate")
    only_public(seen(project), sent)


@given(
    method=METHODS, path=PATHS, root_path=st.just("") | PATHS, values=st.lists(VALUES, max_size=2)
)
def test_asgi(method, path, root_path, values, authz, asgi):
    project, handler = asgi

    def scope():
        headers = [(b"authorization", value) for value in values]
        return scope_for(method, path, root_path=root_path) | {"headers": headers}

    sent = call_asgi(patient(handler), scope())
    assert sent.status in STATUSES
    if not root_path and path:  # else the adapter outside must judge several readings
        outside = call_asgi(ASGIAuthzMiddleware(Recorder().asgi, authz), scope())
        assert sent.status == outside.status
        assert sent.header("www-authenticate") == outside.header("www-authenticate")
    only_public(seen(project), sent)


def only_public(requests, sent):
    """No token of these tests is valid: whoever got in came by a public rule."""
    assert len(requests) == (sent.status == 200)
    for request in requests:
        assert request.authz.principal is None
        assert request.authz.decision.rule.key == "GET /health"
        assert request.path_info.rstrip("/") == "/health"
