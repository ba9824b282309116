"""`must_check` in Django: a view must ask before its response starts, in every mode."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.http import FileResponse, HttpResponse, HttpResponseRedirect, StreamingHttpResponse

from authz_middleware import Authz
from tests.django.projects import HANDLERS, VIEWS, Project, ask, changing

WRITE = "article:write"


@pytest.fixture(scope="module")
def authz(policy, clock):
    routes = {
        "GET /checked": {"must_check": WRITE},
        "GET /also": {"must_check": "article:read"},
        "GET /free": ["viewer"],
    }
    return Authz.from_mapping({**policy, "routes": routes}, clock=clock)


@pytest.fixture(scope="module")
def editor(issuer):
    return [("Authorization", f"Bearer {issuer.mint('ed', roles=['editor'])}")]


def nothing(request):
    return HttpResponse("secret")


def fails(request):
    raise ZeroDivisionError


def redirects(request):
    return HttpResponseRedirect("/elsewhere")


def a_file(request):
    return FileResponse(Path(__file__).open("rb"))


def a_stream(request):
    return StreamingHttpResponse(iter([b"secret"]))


def an_async_stream(request):
    async def chunks():
        yield b"secret"

    return StreamingHttpResponse(chunks())


def asks(request):
    request.authz.allows(WRITE)
    return HttpResponse("public")


BODIES = {nothing: 500, fails: 500, redirects: 500, a_file: 500, a_stream: 500, asks: 200}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("world", HANDLERS)
@pytest.mark.parametrize(("body", "status"), BODIES.items(), ids=[each.__name__ for each in BODIES])
def test_what_the_view_asked(world, view, body, status, authz, editor, caplog):
    with Project(authz, body, view=view):
        sent = ask(world, "GET", "/checked", editor)
    assert sent.status == status
    assert b"secret" not in sent.body
    said = [each for each in caplog.records if "unchecked missing=" in each.getMessage()]
    assert len(said) == (status == 500)


def test_an_async_stream_has_to_ask_before_its_head(authz, editor):
    with Project(authz, an_async_stream, view="async view"):
        sent = ask("asgi", "GET", "/checked", editor)
    assert sent.status == 500
    assert b"secret" not in sent.body


@pytest.mark.parametrize("world", HANDLERS)
def test_a_stream_may_ask_before_its_first_chunk_where_that_is_the_start(world, authz, editor):
    def body(request):
        def chunks():
            yield b""
            request.authz.allows(WRITE)
            yield b"public"

        return StreamingHttpResponse(chunks())

    with Project(authz, body):
        assert ask(world, "GET", "/checked", editor).status == (200 if world == "wsgi" else 500)


@pytest.mark.parametrize("world", HANDLERS)
def test_whoever_drops_the_access_does_not_drop_the_question(world, authz, editor):
    def drop(request):
        request.authz = None
        return HttpResponse("secret")

    with Project(authz, drop):
        assert ask(world, "GET", "/checked", editor).status == 500


@pytest.mark.parametrize("world", HANDLERS)
def test_a_path_that_is_rewritten_adds_a_question(world, authz, editor):
    """A middleware inside makes another request of it; what both paths ask must be asked."""

    def rewrite(request):
        request.path_info = request.path = "/also"

    def asks_one(request):
        request.authz.allows("article:read")
        return HttpResponse("secret")

    def asks_both(request):
        request.authz.allows(WRITE)
        return asks_one(request)

    for body, status in ((asks_one, 500), (asks_both, 200)):
        with Project(authz, body, middleware=[changing(rewrite)]):
            assert ask(world, "GET", "/checked", editor).status == status
