"""The caller in a Django project, and what is decided on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import threading
from typing import Any

import pytest
from asgiref.sync import async_to_sync, iscoroutinefunction
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import got_request_exception
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.test import RequestFactory
from django.utils.decorators import (
    async_only_middleware,
    sync_and_async_middleware,
    sync_only_middleware,
)

from authz_middleware import Authz, PolicyError, current_access
from authz_middleware.access import enter
from authz_middleware.django import AuthzMiddleware
from authz_middleware.testing import FrozenClock
from tests.adapters.exchange import environ_for, exchange, ignore, scope_for
from tests.adapters.test_frames import shown
from tests.django.projects import (
    HANDLERS,
    VIEWS,
    WORLDS,
    Project,
    ask,
    changing,
    is_current,
    patient,
    rewriting,
    send_asgi,
    send_wsgi,
)

pytestmark = pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume:Warning")


def subject():
    access = current_access()
    return access.principal.subject if access and access.principal else None


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("world", WORLDS)
class TestCaller:
    def test_in_the_view(self, world, view, authz, editor):
        def body(request):
            assert is_current(request.authz)
            return HttpResponse(f"{subject()} {sorted(request.authz.principal.roles)}")

        with Project(authz, body, view=view):
            assert ask(world, "GET", "/me", editor).body == b"ed ['editor', 'viewer']"
        assert current_access() is None

    def test_an_anonymous_one_of_a_public_route(self, world, view, authz):
        def body(request):
            return HttpResponse(f"{request.authz.principal} {request.authz.credentials}")

        with Project(authz, body, view=view):
            assert ask(world, "GET", "/health").body == b"None absent"

    def test_is_forgotten_after_an_error(self, world, view, authz, editor):
        def body(request):
            raise LookupError("the view's own")

        with Project(authz, body, view=view):
            if "Client" in world:
                with pytest.raises(LookupError):
                    ask(world, "GET", "/me", editor)
            else:
                assert ask(world, "GET", "/me", editor).status == 500
        assert current_access() is None

    def test_is_known_between_all_middlewares(self, world, view, authz, editor):
        seen = []

        @sync_only_middleware
        def sync_one(get_response):
            def middleware(request):
                seen.append(subject())
                response = get_response(request)
                seen.append(subject())
                return response

            return middleware

        @async_only_middleware
        def async_one(get_response):
            async def middleware(request):
                seen.append(subject())
                response = await get_response(request)
                seen.append(subject())
                return response

            return middleware

        mixed = [sync_one, async_one, sync_one, async_one]
        with Project(authz, lambda _: HttpResponse(subject()), view=view, middleware=mixed):
            assert ask(world, "GET", "/me", editor).body == b"ed"
        assert seen == ["ed"] * 8
        assert current_access() is None

    @pytest.mark.parametrize("outer", ["sync", "async"])
    def test_is_forgotten_outside(self, outer, world, view, policy, clock, editor):
        """So is whoever was left over, such as from a request that the server never closed."""
        seen = []

        class Observer:
            def observe(self, event):
                seen.append(current_access())

        authz = Authz.from_mapping(policy, clock=clock, observers=[Observer()])
        with Project(authz, view=view) as project:
            ask(world, "GET", "/me", editor)
        left_over = project.seen[0].authz

        @sync_only_middleware
        def sync_one(get_response):
            def middleware(request):
                enter(left_over)
                response = get_response(request)
                seen.append(current_access())
                return response

            return middleware

        @async_only_middleware
        def async_one(get_response):
            async def middleware(request):
                enter(left_over)
                response = await get_response(request)
                seen.append(current_access())
                return response

            return middleware

        with Project(authz, view=view, before=[sync_one if outer == "sync" else async_one]):
            assert ask(world, "GET", "/me", editor).status == 200
            assert ask(world, "GET", "/me").status == 401
        assert seen == [None] * 5


def lines(finished=None):
    for _ in range(3):
        yield f"{subject()} ".encode()
    if finished is not None:
        finished.append(subject())


async def async_lines(finished=None):
    for _ in range(3):
        yield f"{subject()} ".encode()
        await asyncio.sleep(0)
    if finished is not None:
        finished.append(subject())


def streaming(chunks):
    return StreamingHttpResponse(chunks)


class TestStreaming:
    @pytest.mark.parametrize("view", VIEWS)
    @pytest.mark.parametrize("world", HANDLERS)
    @pytest.mark.parametrize("chunks", [lines, async_lines])
    def test_the_caller_is_known_to_the_end(self, chunks, world, view, authz, editor):
        finished: list[object] = []
        with Project(authz, lambda _: streaming(chunks(finished)), view=view):
            assert ask(world, "GET", "/me", editor).body == b"ed ed ed "
        assert finished == ["ed"]
        assert current_access() is None

    def test_two_responses_read_in_turns_on_one_thread(self, authz, issuer):
        with Project(authz, lambda _: streaming(lines())):
            handler = WSGIHandler()
            bodies = []
            for name in ("ann", "bob"):
                headers = [("Authorization", f"Bearer {issuer.mint(name)}")]
                bodies.append(handler(environ_for("GET", "/me", headers), ignore))
            steps = [iter(body) for body in bodies]
            chunks = []
            for _ in range(3):
                for step in steps:
                    chunks.append(next(step))
                    assert current_access() is None
            assert chunks == [b"ann ", b"bob "] * 3
            for body in bodies:
                body.close()

    def test_a_response_that_is_given_up(self, authz, editor):
        closed = []

        def chunks():
            try:
                yield b"one"
                yield b"two"
            finally:
                closed.append(subject())

        with Project(authz, lambda _: streaming(chunks())):
            body = WSGIHandler()(environ_for("GET", "/me", editor), ignore)
            assert next(iter(body)) == b"one"
            body.close()
        assert closed == ["ed"]
        assert current_access() is None

    def test_the_end_of_a_file_is_the_servers(self, authz, editor, tmp_path):
        (tmp_path / "file").write_bytes(b"contents")
        kept = []

        class FileWrapper:
            def __init__(self, file, size):
                kept.append(file)

        def body(request):
            return FileResponse((tmp_path / "file").open("rb"))

        with Project(authz, body):
            environ = environ_for("GET", "/me", editor, **{"wsgi.file_wrapper": FileWrapper})
            assert isinstance(WSGIHandler()(environ, ignore), FileWrapper)
            assert kept[0].read() == b"contents"
            kept[0].close()

    def test_an_event_stream_that_has_nothing_to_say_yet_begins_under_asgi(self, authz, editor):
        """Its head is sent before the first chunk is asked for."""
        order = []

        async def chunks():
            order.append("first chunk")
            yield b"x"

        async def main():
            async def receive():
                return {"type": "http.request", "body": b""}

            async def send(message):
                order.append(message["type"])

            await patient(ASGIHandler())(scope_for("GET", "/me", editor), receive, send)

        with Project(authz, lambda _: streaming(chunks()), view="async view"):
            asyncio.run(main())
        assert order[:2] == ["http.response.start", "first chunk"]


@pytest.mark.parametrize("world", HANDLERS)
@pytest.mark.parametrize("view", VIEWS)
def test_nothing_changes_the_thread(world, view, policy, clock, editor):
    """Both modes of the middleware are its handler's own."""
    threads = []

    @sync_only_middleware
    def outermost_sync(get_response):
        def middleware(request):
            threads.append(threading.get_ident())
            return get_response(request)

        return middleware

    @async_only_middleware
    def outermost_async(get_response):
        async def middleware(request):
            threads.append(threading.get_ident())
            return await get_response(request)

        return middleware

    class Observer:
        def observe(self, event):
            threads.append(threading.get_ident())

    authz = Authz.from_mapping(policy, clock=clock, observers=[Observer()])
    matching = outermost_sync if world == "wsgi" else outermost_async
    # A later middleware that rewrites the path: the second look is in the mode of the first.
    with Project(authz, view=view, before=[matching], middleware=[rewriting("/health")]):
        assert ask(world, "GET", "/me", editor).status == 200
    assert len(threads) == 3
    assert set(threads) == {threading.get_ident()}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("world", HANDLERS)
class TestSecondLook:
    """path-confusion (C): what a later middleware makes of the request must be allowed too."""

    @pytest.mark.parametrize(
        ("change", "caller", "status"),
        [
            ({"path": "/admin"}, "editor", 403),
            ({"path": "/admin"}, "admin", 200),
            ({"path": "/articles/1"}, "editor", 200),
            ({"path": "/health"}, "editor", 200),
            ({"path": "//admin"}, "admin", 400),
            ({"path": "/nowhere"}, "admin", 403),
            ({"method": "DELETE"}, "editor", 403),
            ({"method": "get"}, "editor", 200),
            ({"path": "/users/ann", "method": "DELETE"}, "editor", 403),
            ({"path": "/users/ann", "method": "DELETE"}, "admin", 200),
        ],
        ids=str,
    )
    def test_after_us(self, change, caller, status, world, view, authz, callers):
        with Project(authz, view=view, middleware=[rewriting(**change)]) as project:
            assert ask(world, "GET", "/me", callers[caller]).status == status
        assert len(project.seen) == (status == 200)

    def test_who_was_refused_is_forgotten(self, world, view, authz, editor):
        seen = []

        @sync_only_middleware
        def watch(get_response):
            def middleware(request):
                seen.append(request.authz.principal.subject)
                response = get_response(request)
                seen.extend([request.authz, current_access()])
                return response

            return middleware

        with Project(authz, view=view, middleware=[watch, rewriting("/admin")]):
            assert ask(world, "GET", "/me", editor).status == 403
        assert seen == ["ed", None, None]

    def test_the_first_must_be_allowed_as_well(self, world, view, authz, editor):
        with Project(authz, view=view, middleware=[rewriting("/health")]) as project:
            assert ask(world, "GET", "/admin", editor).status == 403
        assert project.seen == []

    def test_the_caller_is_as_the_last_look_found(self, world, view, authz, editor):
        def body(request):
            assert is_current(request.authz)
            return HttpResponse(request.authz.decision.rule.key)

        with Project(authz, body, view=view, middleware=[rewriting("/articles/1")]):
            assert ask(world, "GET", "/me", editor).body == b"GET /articles/<int:id>"

    def test_before_us_what_django_routes_on_decides(self, world, view, authz, editor):
        for path, status in (("/admin", 403), ("/me", 200)):
            with Project(authz, view=view, before=[rewriting(path)]):
                assert ask(world, "GET", "/nowhere", editor).status == status

    @pytest.mark.parametrize("where", ["before", "middleware"])
    def test_a_preflight_of_which_another_method_is_made_is_none(self, where, world, view, policy):
        authz = Authz.from_mapping({**policy, "preflight": "pass"})
        preflight = [("Origin", "https://x.example"), ("Access-Control-Request-Method", "GET")]
        for method, status in ((None, 200), ("DELETE", 401)):
            made: dict[str, Any] = {where: [rewriting(method=method)]}
            with Project(authz, view=view, **made) as project:
                assert ask(world, "OPTIONS", "/articles/1", preflight).status == status
            assert len(project.seen) == (status == 200)

    def test_whoever_drops_the_access_is_looked_at_again(self, world, view, authz, editor):
        def drop(request):
            request.authz = "admin"

        with Project(authz, view=view, middleware=[changing(drop)]) as project:
            assert ask(world, "GET", "/me", editor).status == 200
        assert project.seen[0].authz.principal.subject == "ed"


class TestFacts:
    @pytest.mark.parametrize(
        ("script_name", "path_info", "status"),
        [
            ("/svc", "/health", 200),
            ("/svc", "", 401),  # the root of a mount is "/"
            ("/public", "/admin", 401),  # SCRIPT_NAME never decides
            ("/", "admin", 400),
            ("", b"/adm\xffin", 400),
            ("", b"/health\xff", 400),
            ("", b"/caf\xc3\xa9", 401),
        ],
    )
    def test_wsgi_path(self, script_name, path_info, status, authz):
        with Project(authz):
            sent = send_wsgi(WSGIHandler(), "GET", path_info, [], SCRIPT_NAME=script_name)
        assert sent.status == status

    @pytest.mark.parametrize(
        ("root_path", "path", "status"),
        [
            ("/svc", "/svc/health", 200),
            ("/svc", "/health", 200),
            ("/svc", "/svc/admin", 401),
            ("/svc", "/svc", 401),  # as under WSGI
            ("/svc", "/health/svc/admin", 401),
            ("", "", 401),
            ("", "health", 400),
            ("", "http://localhost/health", 400),
        ],
    )
    def test_asgi_path(self, root_path, path, status, authz):
        """Django cuts the prefix off; what is left is judged, and only that."""
        with Project(authz):
            assert send_asgi(ASGIHandler(), "GET", path, [], root_path=root_path).status == status

    def test_asgi_path_without_a_boundary(self, authz):
        """Django 5.2 makes `admin` of it, later ones leave it; neither is let in."""
        with Project(authz) as project:
            sent = send_asgi(ASGIHandler(), "GET", "/svcadmin", [], root_path="/svc")
        assert sent.status in (400, 401)
        assert project.seen == []

    @pytest.mark.parametrize("world", HANDLERS)
    def test_forced_script_name(self, world, authz):
        with Project(authz, FORCE_SCRIPT_NAME="/svc"):
            assert ask(world, "GET", "/health").status == 200
            assert ask(world, "GET", "/svc/health").status == (401 if world == "wsgi" else 200)

    @pytest.mark.parametrize(
        ("target", "status"),
        [("/health", 200), ("/health?next=%2Fme", 200), ("/health%2f", 400), ("/x%2Fhealth", 400)],
    )
    def test_an_encoded_slash(self, target, status, authz):
        with Project(authz):
            for key in ("RAW_URI", "REQUEST_URI"):
                sent = send_wsgi(WSGIHandler(), "GET", "/health", [], **{key: target})
                assert sent.status == status
            sent = send_asgi(ASGIHandler(), "GET", "/health", [], raw_path=target.encode())
            assert sent.status == status

    def test_a_handshake_over_wsgi_must_be_allowed_as_both(self, authz):
        headers = [("Upgrade", "websocket")]
        with Project(authz):
            assert ask("wsgi", "GET", "/health", headers).status == 401
            assert ask("asgi", "GET", "/health", headers).status == 200

    @pytest.mark.parametrize("world", HANDLERS)
    @pytest.mark.parametrize("method", ["ß", "g\u0131t", "GET ", "WS", "ws", ""])
    def test_a_method_that_has_two_readings(self, method, world, authz):
        """Upper-casing, Django makes SS and GIT of the first two."""
        with Project(authz):
            assert ask(world, method, "/health").status == 400

    @pytest.mark.parametrize("world", HANDLERS)
    def test_an_underscore_is_no_hyphen(self, world, authz, editor):
        if world == "wsgi":
            return  # servers drop or refuse such a field, and an environ cannot tell
        with Project(authz):
            token = editor[0][1]
            assert ask(world, "GET", "/me", [("authoriz_ation", token)]).status == 401

    @pytest.mark.parametrize("world", HANDLERS)
    def test_a_middleware_may_bring_the_token(self, world, authz, editor):
        """Such as one that takes it from a cookie; before us, it is the project's word."""

        def bring(request):
            request.META["HTTP_AUTHORIZATION"] = request.COOKIES["token"]

        with Project(authz, before=[changing(bring)]) as project:
            cookie = [("Cookie", f'token="{editor[0][1]}"')]
            assert ask(world, "GET", "/me", cookie).status == 200
        assert project.seen[0].authz.principal.subject == "ed"

    @pytest.mark.parametrize("world", HANDLERS)
    def test_a_middleware_may_take_it_away(self, world, authz, editor):
        def drop(request):
            request.META.pop("HTTP_AUTHORIZATION", None)

        with Project(authz, before=[changing(drop)]):
            assert ask(world, "GET", "/me", editor).status == 401

    def test_two_field_lines_that_look_like_one(self, authz):
        """Joined by a comma they are one Basic field, and absent; under ASGI we see both."""
        headers = [("Authorization", "Digest a=1"), ("Authorization", "b=2")]
        with Project(authz):
            assert ask("asgi", "GET", "/me", headers).status == 400
            assert ask("wsgi", "GET", "/me", headers).status == 401

    @pytest.mark.parametrize("world", HANDLERS)
    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ([("Origin", "https://a"), ("Access-Control-Request-Method", "GET")], 200),
            ([("Access-Control-Request-Method", "GET")], 401),
            ([("Origin", "https://a"), ("Access-Control-Request-Method", "DELETE")], 401),
        ],
    )
    def test_preflight(self, headers, status, world, policy, clock):
        authz = Authz.from_mapping({**policy, "preflight": "pass"}, clock=clock)
        with Project(authz):
            assert ask(world, "OPTIONS", "/me", headers).status == status


@pytest.mark.parametrize("world", HANDLERS)
@pytest.mark.parametrize(
    ("remote_user", "path", "expected"),
    [
        ("sub", "/me", "j\xc3\xbcrgen"),
        ("iss|sub", "/me", "https://login.example.com|j\xc3\xbcrgen"),
        ("sub", "/health", None),
        (None, "/me", "set by the server"),
    ],
)
def test_remote_user(remote_user, path, expected, world, policy, clock, issuer):
    asked = {"remote_user": remote_user} if remote_user else {}
    authz = Authz.from_mapping({**policy, **asked}, clock=clock)
    headers = [] if path == "/health" else [("Authorization", f"Bearer {issuer.mint('jürgen')}")]

    def as_the_server_does(request):
        request.META["REMOTE_USER"] = "set by the server"

    with Project(authz, before=[changing(as_the_server_does)]) as project:
        assert ask(world, "GET", path, headers).status == 200
    assert project.seen[0].META.get("REMOTE_USER") == expected


def test_request_user_is_djangos_own(authz, editor):
    def log_in(request):
        request.user = "of the session"

    with Project(authz, before=[changing(log_in)]) as project:
        assert ask("wsgi", "GET", "/me", editor).status == 200
    assert project.seen[0].user == "of the session"


@pytest.mark.parametrize("world", HANDLERS)
@pytest.mark.parametrize(
    ("mount", "path", "served"),
    [
        ("", "/.well-known/oauth-protected-resource/orders", True),
        ("/svc", "/.well-known/oauth-protected-resource/orders", False),
        ("", "/x/.well-known/oauth-protected-resource/orders", False),
    ],
)
def test_metadata(mount, path, served, world, policy, clock):
    """RFC 9728 §3: at the root of the host, without a token."""
    resource = "https://api.example.com/orders"
    authz = Authz.from_mapping({**policy, "resource": resource}, clock=clock)
    with Project(authz):
        if world == "wsgi":
            sent = send_wsgi(WSGIHandler(), "GET", path, [], SCRIPT_NAME=mount)
        else:
            sent = send_asgi(ASGIHandler(), "GET", mount + path, [], root_path="")
    assert sent.status == (200 if served else 401)
    if served:
        assert json.loads(sent.body)["resource"] == resource


def test_metadata_behind_the_servers_own_prefix(policy, clock):
    resource = "https://api.example.com/orders"
    authz = Authz.from_mapping({**policy, "resource": resource}, clock=clock)
    path = "/svc/.well-known/oauth-protected-resource/orders"
    with Project(authz):
        assert send_asgi(ASGIHandler(), "GET", path, [], root_path="/svc").status == 200


class TestConfiguration:
    def build(self):
        return AuthzMiddleware(lambda request: HttpResponse())

    @pytest.mark.parametrize("handler", [WSGIHandler, ASGIHandler])
    @pytest.mark.parametrize(
        ("config", "message"),
        [
            (None, "AUTHZ_CONFIG: the setting is missing"),
            ({"routes": {"GET /x": "pulbic"}}, "pulbic"),
            ("nowhere.toml", "nowhere.toml"),
            (7, "type int"),
        ],
        ids=["none", "a mistake", "no file", "no config"],
    )
    def test_a_bad_policy_never_serves(self, config, message, handler, monkeypatch):
        monkeypatch.delenv("AUTHZ_CONFIG", raising=False)
        with Project(config), pytest.raises(PolicyError, match=message):
            handler()

    def test_the_environment_names_the_file(self, policy, tmp_path, monkeypatch):
        (tmp_path / "authz.json").write_text(json.dumps(policy))
        monkeypatch.setenv("AUTHZ_CONFIG", str(tmp_path / "authz.json"))
        with Project(None):
            assert "authz.json" in repr(self.build().authz)

    def test_the_setting_wins(self, authz, monkeypatch):
        monkeypatch.setenv("AUTHZ_CONFIG", "nowhere.toml")
        with Project(authz):
            assert self.build().authz is authz

    def test_a_path_object(self, policy, tmp_path):
        path = tmp_path / "authz.json"
        path.write_text(json.dumps(policy))
        with Project(path):
            assert self.build()(RequestFactory().get("/health")).status_code == 200


def test_keys_are_awaited_in_the_mode_of_the_handler(policy, clock, monkeypatch):
    """No event loop is blocked by a fetch: the asynchronous driver is the one that runs."""
    authz = Authz.from_mapping(policy, clock=clock)
    asked = []
    for name in ("outcome", "outcome_async"):
        original = getattr(authz.serving, name)

        def outcome(*request, name=name, original=original):
            asked.append(name)
            return original(*request)

        monkeypatch.setattr(authz.serving, name, outcome)
    for world in HANDLERS:
        with Project(authz, middleware=[rewriting("/open")]):
            ask(world, "GET", "/health")
    assert asked == ["outcome"] * 2 + ["outcome_async"] * 2


def test_eight_threads(authz, issuer):
    with Project(authz, lambda _: streaming(lines())):
        handler = WSGIHandler()
        barrier = threading.Barrier(8)
        wrong = []

        def serve(name):
            headers = [("Authorization", f"Bearer {issuer.mint(name)}")]
            barrier.wait()
            for _ in range(30):
                body = send_wsgi(handler, "GET", "/me", headers).body
                if body != f"{name} ".encode() * 3:
                    wrong.append(body)

        threads = [threading.Thread(target=serve, args=(f"user-{n}",)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_many_tasks(authz, issuer):
    def body(request):
        first = current_access()

        async def later():
            await asyncio.sleep(0)
            assert current_access() is first is request.authz
            return HttpResponse(subject())

        return later()

    names = [f"user-{number % 20}" for number in range(200)]

    async def one(handler, name):
        headers = [("Authorization", f"Bearer {issuer.mint(name)}")]
        messages = await exchange(patient(handler), scope_for("GET", "/me", headers))
        return messages[1]["body"].decode()

    async def main():
        handler = ASGIHandler()
        return await asyncio.gather(*(one(handler, name) for name in names))

    with Project(authz, body, view="async view"):
        assert async_to_sync(main)() == names


def test_an_expired_token_inside_a_long_request(policy, issuer):
    clock = FrozenClock(1_800_000_000.0)
    authz = Authz.from_mapping(policy, clock=clock)
    headers = [("Authorization", f"Bearer {issuer.mint('ed', roles=['editor'], lifetime=300)}")]

    def body(request):
        request.authz.require("article:write")
        clock.advance(330)
        request.authz.require("article:write")

    with Project(authz, body):
        assert ask("wsgi", "GET", "/me", headers).status == 401


def test_a_subclass_cannot_lose_its_own_look_at_the_view():
    """Ours is the instance's, so a check that the subclass defines would silently never run."""
    with pytest.raises(TypeError, match="put process_view of Ours in a middleware of its own"):
        type("Ours", (AuthzMiddleware,), {"process_view": lambda self, *view: None})
    type("Ours", (AuthzMiddleware,), {})  # any other may be made


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("world", HANDLERS)
def test_the_second_look_is_of_the_policy_that_the_first_was(
    world, view, tmp_path, policy, clock, editor
):
    """A policy that is replaced meanwhile opens nothing, and closes nothing."""
    file = tmp_path / "authz.json"
    file.write_text(json.dumps(policy))
    authz = Authz.from_file(file, clock=clock)

    def reload(request):
        file.write_text(json.dumps({**policy, "routes": {"/admin": "public"}}))
        authz.reload()

    with Project(authz, view=view, middleware=[changing(reload), rewriting("/articles/1")]):
        assert ask(world, "GET", "/me", editor).status == 200
    file.write_text(json.dumps(policy))
    authz.reload()
    with Project(authz, view=view, middleware=[changing(reload), rewriting("/admin")]):
        assert ask(world, "GET", "/me", editor).status == 403


@pytest.mark.parametrize("world", HANDLERS)
def test_no_token_stands_in_our_frames(world, authz, editor):
    """Django's report of an error shows local variables, and hides fields by their names alone."""

    def forgetful(get_response):
        async def asynchronous(request):
            await get_response(request)

        def synchronous(request):
            get_response(request)

        return asynchronous if iscoroutinefunction(get_response) else synchronous

    seen: list[tuple[str, str]] = []

    def report(sender, request, **_):
        error = sys.exc_info()[1]
        assert error is not None
        seen.extend(shown(error))

    got_request_exception.connect(report)
    try:
        forgets = sync_and_async_middleware(forgetful)
        with Project(authz, middleware=[forgets]), contextlib.suppress(Exception):
            ask(world, "GET", "/me", editor)
    finally:
        got_request_exception.disconnect(report)
    ((_, value),) = editor
    token = value.removeprefix("Bearer ")
    assert seen
    assert [name for name, text in seen if token in text] == []
