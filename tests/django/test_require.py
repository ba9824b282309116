"""A denied `require` is our refusal, wherever it is raised, and no error for Django."""

from __future__ import annotations

import gc
import logging

import pytest
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.core.signals import got_request_exception, request_finished
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.template import engines
from django.template.response import TemplateResponse
from django.urls import re_path
from django.utils.decorators import sync_only_middleware

from authz_middleware import AccessDenied, current_access
from tests.adapters import exchange
from tests.django.projects import HANDLERS, VIEWS, WORLDS, Project, ask, changing
from tests.django.test_parity import shown

TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates"}]


@pytest.fixture
def signals():
    """How often Django said that a request failed."""
    sent = []

    def receive(**_):
        sent.append(1)

    got_request_exception.connect(receive)
    yield sent
    got_request_exception.disconnect(receive)


@pytest.fixture
def quiet(signals, caplog):
    """Fails the test if Django took anything for a server's error."""
    yield
    assert signals == []
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def deny(request):
    request.authz.require("user:delete")


def deny_from(request):
    try:
        deny(request)
    except AccessDenied as denied:
        raise RuntimeError("the view's own") from denied


def deny_in_a_group(request):
    try:
        deny(request)
    except AccessDenied as denied:
        raise ExceptionGroup("tasks", [ValueError("x"), denied]) from None


def deny_in_a_template(request):
    template = engines["django"].from_string("{{ ask }}")
    return TemplateResponse(request, template, {"ask": lambda: deny(request)})


def deny_behind_a_catch_all(request):
    try:
        deny(request)
    except Exception:  # noqa: BLE001 - as such code does
        return HttpResponse("something broke", status=500)


BODIES = [deny, deny_from, deny_in_a_group, deny_in_a_template, deny_behind_a_catch_all]


def by_name(function):
    return function.__name__


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("world", WORLDS)
class TestInAView:
    @pytest.mark.parametrize("options", [{}, {"DEBUG": True}, {"DEBUG_PROPAGATE_EXCEPTIONS": True}])
    @pytest.mark.parametrize("body", BODIES, ids=by_name)
    def test_it_is_the_refusal(self, body, options, world, view, authz, editor, signals, caplog):
        with Project(authz, body, view=view, TEMPLATES=TEMPLATES, **options):
            sent = ask(world, "GET", "/me", editor)
        outside = exchange.ask("wsgi", authz, "GET", "/me", editor, during=self.denied)
        assert shown(sent) == shown(outside)
        assert sent.status == 403
        assert signals == []
        assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
        assert current_access() is None

    @staticmethod
    def denied(access):
        access.require("user:delete")

    @pytest.mark.usefixtures("quiet")
    def test_what_is_held_passes(self, world, view, authz, editor):
        def body(request):
            request.authz.require("article:write")

        with Project(authz, body, view=view):
            assert ask(world, "GET", "/me", editor).status == 200

    def test_an_anonymous_caller_is_asked_for_credentials(self, world, view, authz):
        with Project(authz, deny, view=view):
            sent = ask(world, "GET", "/health")
        assert (sent.status, sent.header("www-authenticate")) == (401, 'Bearer realm="orders"')

    def test_head(self, world, view, authz, editor):
        with Project(authz, deny, view=view):
            sent = ask(world, "HEAD", "/me", editor)
        assert (sent.status, sent.body) == (403, b"")


@pytest.mark.parametrize("world", HANDLERS)
class TestInAMiddleware:
    @pytest.mark.usefixtures("quiet")
    @pytest.mark.parametrize("body", [deny, deny_from, deny_in_a_group], ids=by_name)
    def test_before_the_view(self, body, world, authz, editor):
        middleware = [changing(lambda request: None), changing(body)]
        with Project(authz, middleware=middleware) as project:
            sent = ask(world, "GET", "/me", editor)
        outside = exchange.ask("asgi", authz, "GET", "/me", editor, during=TestInAView.denied)
        assert shown(sent) == shown(outside)
        assert project.seen == []

    @pytest.mark.usefixtures("quiet")
    def test_after_the_view(self, world, authz, editor):
        @sync_only_middleware
        def late(get_response):
            def middleware(request):
                get_response(request)
                deny(request)

            return middleware

        with Project(authz, middleware=[late]):
            assert ask(world, "GET", "/me", editor).status == 403


class TestInAStream:
    @pytest.mark.usefixtures("quiet")
    def test_before_the_first_chunk_under_wsgi(self, authz, editor):
        closed = []

        class Chunks:
            def __init__(self, request):
                self.request = request

            def __iter__(self):
                yield b""
                deny(self.request)
                yield b"secret"

            def close(self):
                closed.append(current_access() is None)

        finished = []

        def count(**_):
            finished.append(1)

        request_finished.connect(count)
        try:
            with Project(authz, lambda request: StreamingHttpResponse(Chunks(request))):
                sent = ask("wsgi", "GET", "/me", editor)
        finally:
            request_finished.disconnect(count)
        assert (sent.status, b"secret" in sent.body) == (403, False)
        assert (closed, finished) == ([True], [1])

    def test_none_at_all(self, authz, editor):
        with Project(authz, lambda request: StreamingHttpResponse(iter([b""]))):
            sent = ask("wsgi", "GET", "/me", editor)
        assert (sent.status, sent.body) == (200, b"")

    def test_another_error_there_is_the_projects(self, authz, editor):
        closed = []

        class Chunks:
            def __iter__(self):
                return self

            def __next__(self):
                raise LookupError("the view's own")

            def close(self):
                closed.append(current_access())

        with Project(authz, lambda request: StreamingHttpResponse(Chunks())):
            assert ask("wsgi", "GET", "/me", editor).status == 500
        assert closed == [None]
        assert current_access() is None

    def test_after_the_first_chunk_it_breaks_off(self, authz, editor):
        def chunks(request):
            yield b"part"
            deny(request)
            yield b"secret"

        with (
            Project(authz, lambda request: StreamingHttpResponse(chunks(request))),
            pytest.raises(AccessDenied),
        ):
            ask("wsgi", "GET", "/me", editor)
        assert current_access() is None

    # Django 5.2 does not close the file with the request's body then.
    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    def test_under_asgi_the_head_is_gone_and_it_breaks_off(self, authz, editor):
        async def chunks(request):
            deny(request)
            yield b"secret"

        body = lambda request: StreamingHttpResponse(chunks(request))  # noqa: E731
        with (
            Project(authz, body, view="async view") as project,
            pytest.raises((AccessDenied, ExceptionGroup)) as caught,
        ):
            ask("asgi", "GET", "/me", editor)
        assert AccessDenied.within(caught.value)
        project.seen.clear()  # the policy is bound to the view, which keeps them
        del caught
        gc.collect()


def urls(view, **handlers):
    return type("Urls", (), {"urlpatterns": [re_path(r"^.*\Z", view)], **handlers})


@pytest.mark.parametrize("world", HANDLERS)
class TestTheProjectsOwn:
    """What a project does about a denial stands, unless it is a server's error."""

    def test_a_middlewares_process_exception(self, world, authz, editor):
        class Own:
            sync_capable = async_capable = True

            def __new__(cls, get_response):
                instance = changing(lambda request: None)(get_response)
                instance.process_exception = cls.process_exception
                return instance

            @staticmethod
            def process_exception(request, exception):
                if isinstance(exception, AccessDenied):
                    return HttpResponse(f"no: {exception.decision.missing[0]}", status=403)
                return None

        with Project(authz, deny, middleware=[Own]):
            sent = ask(world, "GET", "/me", editor)
        assert (sent.status, sent.body) == (403, b"no: user:delete")

    @pytest.mark.parametrize(
        ("instead", "status"),
        [(Http404, 404), (PermissionDenied, 403), (SuspiciousOperation, 400)],
    )
    def test_an_answer_of_djangos_in_its_place(self, instead, status, world, authz, editor):
        """Such as hiding that there is anything."""

        def body(request):
            try:
                deny(request)
            except AccessDenied:
                raise instead("hidden") from None

        def chained(request):
            try:
                deny(request)
            except AccessDenied as denied:
                raise instead("hidden") from denied

        for each in (body, chained):
            with Project(authz, each):
                sent = ask(world, "GET", "/me", editor)
            assert (sent.status, sent.header("www-authenticate")) == (status, None)

    def test_a_page_for_permission_denied_is_not_for_us(self, world, authz, editor):
        def page(request, exception):
            return HttpResponse("the project's page", status=403)

        with Project(authz, ROOT_URLCONF=urls(deny, handler403=page)):
            sent = ask(world, "GET", "/me", editor)
        assert sent.header("content-type") == "application/problem+json"

    def test_a_handled_denial(self, world, authz, editor):
        def body(request):
            with pytest.raises(AccessDenied):
                deny(request)
            return HttpResponse("less")

        with Project(authz, body):
            assert ask(world, "GET", "/me", editor).body == b"less"

    def test_another_error(self, world, authz, editor, signals, caplog):
        def body(request):
            raise LookupError("the view's own")

        with Project(authz, body):
            assert ask(world, "GET", "/me", editor).status == 500
        assert signals
        assert [record for record in caplog.records if record.levelno >= logging.ERROR]
