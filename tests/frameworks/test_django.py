"""Django wrapped from outside: denials are no errors, and requests know their caller."""

from __future__ import annotations

import inspect
import logging
from typing import Any

import pytest
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler, StaticFilesHandler
from django.core.handlers import exception as handling
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import got_request_exception
from django.http import HttpResponse

from authz_middleware import ASGIAuthzMiddleware, Authz, WSGIAuthzMiddleware, frameworks
from authz_middleware.frameworks.django import answer_denials
from tests.adapters.conftest import authz, clock, issuer, policy  # noqa: F401 - fixtures
from tests.adapters.test_answers import callers  # noqa: F401 - a fixture
from tests.django.projects import (
    HANDLERS,
    VIEWS,
    Project,
    changing,
    configure,
    is_current,
    send_asgi,
    send_wsgi,
)


@pytest.fixture(scope="module", autouse=True)
def django():
    configure()


@pytest.fixture(autouse=True)
def unprepared(monkeypatch):
    """Django as it is before anything of ours was built."""
    original = inspect.unwrap(handling.response_for_exception)
    monkeypatch.setattr(handling, "response_for_exception", original)
    answer_denials.cache_clear()
    yield
    answer_denials.cache_clear()


@pytest.fixture
def editor(callers):  # noqa: F811 - the fixture's name
    return callers["editor"]


class Outside(Project):
    """A project whose MIDDLEWARE does not have ours."""

    def __init__(self, *args, middleware=(), **options):
        super().__init__(None, *args, middleware=middleware, **options)
        self.options["MIDDLEWARE"] = self.options["MIDDLEWARE"][1:]


def wrapped(world, authz, around=None):  # noqa: F811 - as the fixture
    """What a project's wsgi.py or asgi.py would make."""
    handler: Any = WSGIHandler() if world == "wsgi" else ASGIHandler()
    if around is not None:
        handler = around(handler)
    return (WSGIAuthzMiddleware if world == "wsgi" else ASGIAuthzMiddleware)(handler, authz)


def send(world, app, headers):
    return (send_wsgi if world == "wsgi" else send_asgi)(app, "GET", "/me", headers)


def deny(request):
    request.authz.require("user:delete")


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("world", HANDLERS)
class TestWrapped:
    def test_the_caller(self, world, view, authz, editor):  # noqa: F811
        def body(request):
            assert is_current(request.authz)
            return HttpResponse(request.authz.principal.subject)

        with Outside(body, view=view):
            assert send(world, wrapped(world, authz), editor).body == b"ed"
            assert send(world, wrapped(world, authz), []).status == 401

    @pytest.mark.parametrize("place", ["view", "middleware"])
    def test_a_denial_is_no_error(self, place, world, view, authz, editor, caplog):  # noqa: F811
        sent = []

        def receive(**_):
            sent.append(1)

        got_request_exception.connect(receive)
        try:
            options = {"body": deny} if place == "view" else {"middleware": [changing(deny)]}
            with Outside(view=view, **options):
                answer = send(world, wrapped(world, authz), editor)
        finally:
            got_request_exception.disconnect(receive)
        assert answer.status == 403
        assert 'error="insufficient_scope"' in str(answer.header("www-authenticate"))
        assert sent == []
        assert not [record for record in caplog.records if record.levelno >= logging.ERROR]

    def test_both_around_and_inside(self, world, view, authz, editor):  # noqa: F811
        def body(request):
            assert is_current(request.authz)
            return HttpResponse(request.authz.principal.subject)

        with Project(authz, body, view=view):
            assert send(world, wrapped(world, authz), editor).body == b"ed"

    def test_behind_the_handler_of_static_files(self, world, view, authz, editor):  # noqa: F811
        """As `runserver` builds it, where the project wraps that."""
        around = StaticFilesHandler if world == "wsgi" else ASGIStaticFilesHandler
        with Outside(deny, view=view, STATIC_URL="/static/", DEBUG=True):
            assert send(world, wrapped(world, authz, around), editor).status == 403


def test_a_handler_that_is_wrapped_twice(authz, editor):  # noqa: F811
    with Outside() as project:
        handler = WSGIHandler()
        for _ in range(2):
            assert (
                send_wsgi(WSGIAuthzMiddleware(handler, authz), "GET", "/me", editor).status == 200
            )
        assert [request.authz.principal.subject for request in project.seen] == ["ed", "ed"]
        assert "get_response" not in vars(WSGIHandler)


def test_static_files_around_something_else():
    application: Any = lambda environ, start_response: []  # noqa: E731
    with Outside(STATIC_URL="/static/", DEBUG=True):
        frameworks.prepare(StaticFilesHandler(application))


def test_without_an_adapter_nobody_is_known(editor):
    def body(request):
        return HttpResponse(str(request.authz))

    with Outside(body):
        handler = WSGIHandler()
        frameworks.prepare(handler)
        assert send_wsgi(handler, "GET", "/me", editor).body == b"None"


@pytest.mark.parametrize("around", [None, ASGIStaticFilesHandler])
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/admin/users", 403),
        ("/svc/admin/users", 403),
        ("/svc/other", 200),
        ("/svcadmin/users", 400),
    ],
)
def test_a_forced_script_name_is_cut_off_under_asgi(path, status, around, policy, clock, editor):  # noqa: F811
    """path-confusion: the guard saw `/svc/admin`, Django routed `/admin`."""
    rules = {"/**": "authenticated", "/admin/**": ["admin"]}
    guard = Authz.from_mapping(policy | {"routes": rules}, clock=clock)
    with Outside(FORCE_SCRIPT_NAME="/svc", STATIC_URL="/static/", DEBUG=True):
        assert send_asgi(wrapped("asgi", guard, around), "GET", path, editor).status == status
