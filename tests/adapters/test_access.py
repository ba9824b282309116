"""The caller in the app: Access, current_access, require and allows, through both adapters."""

from __future__ import annotations

import asyncio
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest

from authz_middleware import (
    AccessDenied,
    ASGIAuthzMiddleware,
    Authz,
    WSGIAuthzMiddleware,
    current_access,
)
from authz_middleware.testing import FrozenClock
from tests.adapters.exchange import (
    NO_APP,
    WORLDS,
    Recorder,
    ask,
    call_asgi,
    call_wsgi,
    environ_for,
    exchange,
    ignore,
    scope_for,
)


def bearer(token: str) -> list[tuple[str, str]]:
    return [("Authorization", f"Bearer {token}")]


def subject() -> bytes:
    """Who `current_access` says is calling."""
    access = current_access()
    return access.principal.subject.encode() if access and access.principal else b""


@pytest.fixture(scope="module")
def editor(issuer):
    token = issuer.mint("ed", roles=["editor", "unknown"], scope="a b", act={"sub": "svc"})
    return bearer(token)


@pytest.mark.parametrize("world", WORLDS)
def test_principal(world, authz, editor, clock):
    access = ask(world, authz, "GET", "/me", editor).access
    principal = access.principal
    assert access.credentials == "valid"
    assert (principal.subject, principal.issuer) == ("ed", "https://login.example.com")
    assert principal.roles == {"editor", "viewer"}
    assert principal.permissions == {"article:read", "article:write"}
    assert principal.scopes == {"a", "b"}
    assert principal.claims["roles"] == ("editor", "unknown")
    assert principal.expires_at == clock() + 300
    assert principal.actor.subject == "svc"
    assert access.decision.allowed
    assert access.decision.rule.key == "GET /me"


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize(
    ("headers", "credentials"),
    [
        ([], "absent"),
        ([("Authorization", "Basic dTpw")], "absent"),
        ([("Authorization", "Bearer")], "invalid"),
        ([("Authorization", "Bearer x.y.z")], "invalid"),
    ],
)
def test_anonymous_caller_of_a_public_route(world, headers, credentials, authz):
    access = ask(world, authz, "GET", "/health", headers).access
    assert (access.principal, access.credentials) == (None, credentials)
    assert not access.allows("article:read")


@pytest.mark.parametrize("world", WORLDS)
def test_a_public_route_knows_a_verified_caller(world, authz, editor):
    assert ask(world, authz, "GET", "/health", editor).access.principal.subject == "ed"


@pytest.mark.parametrize("world", WORLDS)
def test_claims_cannot_be_changed_for_the_next_request(world, authz, editor):
    claims = ask(world, authz, "GET", "/me", editor).access.principal.claims
    for change in (
        lambda: claims.update(roles=["admin"]),
        lambda: claims.__setitem__("sub", "root"),
        lambda: claims["act"].pop("sub"),
        lambda: claims["roles"].append("admin"),
    ):
        with pytest.raises((TypeError, AttributeError)):
            change()
    assert ask(world, authz, "GET", "/me", editor).access.principal.claims["sub"] == "ed"


@pytest.mark.parametrize("world", WORLDS)
def test_current_access_is_the_requests_own(world, authz, editor):
    seen: list[Any] = []

    def look(access: Any) -> None:
        seen.append(current_access() is access)
        inherited = access if getattr(sys.flags, "thread_inherit_context", False) else None
        thread = threading.Thread(target=lambda: seen.append(current_access() is inherited))
        thread.start()
        thread.join()
        with ThreadPoolExecutor() as pool:
            seen.append(pool.submit(copy_context().run, current_access).result() is access)

    ask(world, authz, "GET", "/me", editor, during=look)
    assert seen == [True, True, True]
    assert current_access() is None


def deny(permission: str) -> Any:
    return lambda access: access.require(permission)


@pytest.mark.parametrize("world", WORLDS)
class TestRequire:
    def test_what_is_held_passes(self, world, authz, editor):
        assert ask(world, authz, "GET", "/me", editor, during=deny("article:write")).status == 200

    @pytest.mark.parametrize("permission", ["user:delete", "article:*", "*", "", "ARTICLE:READ"])
    def test_what_is_not_held_is_the_same_refusal_as_from_outside(
        self, world, permission, authz, editor
    ):
        sent = ask(world, authz, "GET", "/me", editor, during=deny(permission))
        assert sent.status == 403
        assert (
            sent.header("www-authenticate") == 'Bearer realm="orders", error="insufficient_scope"'
        )
        assert sent.header("content-type") == "application/problem+json"

    def test_a_pattern_of_a_role_counts(self, world, authz, issuer):
        admin = bearer(issuer.mint("ad", roles=["admin"]))
        assert ask(world, authz, "GET", "/me", admin, during=deny("user:delete")).status == 200

    def test_an_anonymous_caller_is_asked_for_credentials(self, world, authz):
        sent = ask(world, authz, "GET", "/health", during=deny("article:read"))
        assert (sent.status, sent.header("www-authenticate")) == (401, 'Bearer realm="orders"')

    def test_refuses_once_the_token_has_expired(self, world, policy, issuer):
        clock = FrozenClock(1_800_000_000.0)
        authz = Authz.from_mapping(policy, clock=clock)
        headers = bearer(issuer.mint("ed", roles=["editor"], lifetime=300))

        def late(access: Any) -> None:
            access.require("article:write")
            clock.advance(329.9)  # `exp` and the default leeway of 30 s
            access.require("article:write")
            clock.advance(0.1)
            assert not access.allows("article:write")
            access.require("article:write")

        sent = ask(world, authz, "GET", "/me", headers, during=late)
        assert sent.status == 401
        assert 'error="invalid_token"' in str(sent.header("www-authenticate"))


@pytest.mark.parametrize("world", WORLDS)
class TestRequirePrincipal:
    @pytest.mark.parametrize("path", ["/me", "/health"])
    def test_a_verified_caller_passes(self, world, path, authz, editor):
        seen: list[Any] = []

        def look(access: Any) -> None:
            seen.append(access.require_principal() is access.principal)

        assert ask(world, authz, "GET", path, editor, during=look).status == 200
        assert seen == [True]

    @pytest.mark.parametrize(
        ("headers", "status", "challenge"),
        [
            ([], 401, 'Bearer realm="orders"'),
            (
                [("Authorization", "Bearer x.y.z")],
                401,
                'Bearer realm="orders", error="invalid_token"',
            ),
            ([("Authorization", "Bearer")], 400, 'Bearer realm="orders", error="invalid_request"'),
        ],
    )
    def test_an_anonymous_caller_is_asked_for_credentials(
        self, world, headers, status, challenge, authz
    ):
        sent = ask(
            world,
            authz,
            "GET",
            "/health",
            headers,
            during=lambda access: access.require_principal(),
        )
        assert (sent.status, sent.header("www-authenticate")) == (status, challenge)

    def test_refuses_once_the_token_has_expired(self, world, policy, issuer):
        clock = FrozenClock(1_800_000_000.0)
        authz = Authz.from_mapping(policy, clock=clock)
        headers = bearer(issuer.mint("ed", lifetime=300))

        def late(access: Any) -> None:
            access.require_principal()
            clock.advance(330)
            access.require_principal()

        sent = ask(world, authz, "GET", "/me", headers, during=late)
        assert sent.status == 401
        assert 'error="invalid_token"' in str(sent.header("www-authenticate"))

    def test_what_is_no_permission_is_never_held(self, world, authz, editor):
        """Asking for nothing by mistake must not be the same as asking for a caller."""
        with pytest.raises(TypeError):
            ask(world, authz, "GET", "/me", editor, during=lambda access: access.require(None))


def wsgi(authz: Authz, app: Any, headers: Any, **extra: Any) -> Any:
    environ = environ_for("GET", "/me", headers, **extra)
    return call_wsgi(WSGIAuthzMiddleware(app, authz), environ)


class TestWsgiBodies:
    def test_generator_sees_the_caller_at_every_chunk(self, authz, editor, issuer):
        def app(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            for _ in range(3):
                yield subject()

        assert wsgi(authz, app, editor).body == b"ededed"
        assert current_access() is None

    def test_between_two_chunks_nobody_is_known(self, authz, editor):
        """The thread may serve an app that nothing guards, or this body be given up unclosed."""
        seen = []

        def app(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            return chunks()

        def chunks():
            seen.append(subject())
            yield b""
            seen.append(subject())

        wrapped = WSGIAuthzMiddleware(app, authz)
        body = iter(wrapped(environ_for("GET", "/me", editor), ignore))
        assert current_access() is None
        next(body)
        assert current_access() is None
        assert next(body, None) is None
        assert current_access() is None
        assert seen == [b"ed", b"ed"]

    def test_two_responses_read_in_turns_on_one_thread(self, authz, issuer):
        def app(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            for _ in range(2):
                yield subject()

        wrapped = WSGIAuthzMiddleware(app, authz)
        bodies = [
            wrapped(environ_for("GET", "/me", bearer(issuer.mint(name))), ignore)
            for name in ("ann", "bob")
        ]
        steps = [iter(body) for body in bodies]
        chunks = [next(step) for _ in range(2) for step in steps]
        assert chunks == [b"ann", b"bob", b"ann", b"bob"]

    def test_require_before_the_first_chunk_is_refused(self, authz, editor):
        def app(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            environ["authz"].require("user:delete")
            yield b"secret"

        sent = wsgi(authz, app, editor)
        assert sent.status == 403
        assert b"secret" not in sent.body

    def test_require_after_the_first_chunk_breaks_off(self, authz, editor):
        def app(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            yield b"part"
            environ["authz"].require("user:delete")
            yield b"secret"

        with pytest.raises(AccessDenied):
            wsgi(authz, app, editor)

    def test_an_empty_body_after_a_denied_require_is_the_refusal(self, authz, editor):
        def app(environ, start_response):
            with pytest.raises(AccessDenied):
                environ["authz"].require("user:delete")
            start_response("503 Oops", [("Content-Type", "text/plain")])
            return iter([])

        sent = wsgi(authz, app, editor)
        assert (sent.status, bool(sent.body)) == (403, True)

    @pytest.mark.parametrize("twice", [False, True], ids=["at once", "after a first head"])
    def test_a_5xx_after_a_denied_require_is_the_refusal(self, authz, editor, twice):
        def app(environ, start_response):
            if twice:
                start_response("200 OK", [("Content-Type", "text/plain")])
            try:
                environ["authz"].require("user:delete")
            except AccessDenied:
                exc_info = sys.exc_info() if twice else None
                write = start_response(
                    "500 Oops", [("Content-Type", "text/plain")], *([exc_info] if twice else [])
                )
                write(b"trace")
                return iter([b"trace"])

        sent = wsgi(authz, app, editor)
        assert sent.status == 403
        assert b"trace" not in sent.body

    def test_a_5xx_of_the_apps_own_stays(self, authz, editor):
        def app(environ, start_response):
            start_response("500 Oops", [("Content-Type", "text/plain")])
            return [b"trace"]

        assert wsgi(authz, app, editor).status == 500

    def test_a_handled_denial_stays_the_apps_answer(self, authz, editor):
        def app(environ, start_response):
            with pytest.raises(AccessDenied):
                environ["authz"].require("user:delete")
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [b"less"]

        assert wsgi(authz, app, editor).body == b"less"

    def test_a_replaced_head_of_the_apps_own_is_passed_on(self, authz, editor):
        def app(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            try:
                raise LookupError
            except LookupError:
                start_response("404 Gone", [("Content-Type", "text/plain")], sys.exc_info())
            return iter([b"gone"])

        assert wsgi(authz, app, editor).status == 404

    def test_who_ends_the_process_after_a_denial_does(self, authz, editor):
        def app(environ, start_response):
            try:
                environ["authz"].require("user:delete")
            except AccessDenied:
                raise SystemExit(1)  # noqa: B904 - as gunicorn's abort handler does

        with pytest.raises(SystemExit):
            wsgi(authz, app, editor)

    def test_nothing_replaces_the_refusal(self, authz, editor):
        def app(environ, start_response):
            with pytest.raises(AccessDenied):
                environ["authz"].require("user:delete")
            start_response("500 Oops", [("Content-Type", "text/plain")])
            try:
                raise LookupError
            except LookupError:
                start_response("200 OK", [("Content-Type", "text/plain")], sys.exc_info())
            return iter([b"secret"])

        sent = wsgi(authz, app, editor)
        assert (sent.status, b"secret" in sent.body) == (403, False)

    def test_write_is_passed_through(self, authz, editor):
        def app(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])(b"written ")
            return [b"returned"]

        assert wsgi(authz, app, editor).body == b"written returned"

    def test_an_exception_of_the_app_is_passed_on_and_leaves_no_caller(self, authz, editor):
        def app(environ, start_response):
            raise LookupError("the app's own")

        with pytest.raises(LookupError):
            wsgi(authz, app, editor)
        assert current_access() is None

    def test_close_of_the_apps_body_is_called(self, authz, editor):
        closed: list[Any] = []

        class Body:
            def __iter__(self):
                return iter([b"x"])

            def close(self):
                closed.append(current_access())

        def app(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            return Body()

        wsgi(authz, app, editor)
        assert [access.principal.subject for access in closed] == ["ed"]
        assert current_access() is None

    def test_lists_and_file_wrappers_reach_the_server_as_they_are(self, authz, editor):
        class FileWrapper:
            def __init__(self, *_):
                pass

            def __iter__(self):
                return iter(())

        for made in (lambda environ: environ["wsgi.file_wrapper"](None), lambda environ: [b"x"]):
            kept: list[Any] = []

            def app(environ, start_response, made=made, kept=kept):
                start_response("200 OK", [("Content-Type", "text/plain")])
                kept.append(made(environ))
                return kept[0]

            environ = environ_for("GET", "/me", editor, **{"wsgi.file_wrapper": FileWrapper})
            body = WSGIAuthzMiddleware(app, authz)(environ, ignore)
            assert body is kept[0]
            assert current_access() is None


class TestWsgiEnviron:
    def test_an_inbound_access_is_dropped(self, authz):
        environ = environ_for("GET", "/me", authz="admin")
        assert call_wsgi(WSGIAuthzMiddleware(NO_APP, authz), environ).status == 401
        assert "authz" not in environ

    @pytest.mark.parametrize(
        ("remote_user", "path", "expected"),
        [
            ("sub", "/me", "j\xc3\xbcrgen"),
            ("iss|sub", "/me", "https://login.example.com|j\xc3\xbcrgen"),
            ("sub", "/health", None),
            ("sub", "/me?", None),
            (None, "/me", "set by the server"),
        ],
    )
    def test_remote_user(self, remote_user, path, expected, policy, clock, issuer):
        asked = {"remote_user": remote_user} if remote_user else {}
        authz = Authz.from_mapping({**policy, **asked}, clock=clock)
        subject = "jürgen" if path == "/me" else "jürgen\r\nadmin"
        headers = [] if path == "/health" else bearer(issuer.mint(subject))
        path = path.rstrip("?")
        environ = environ_for("GET", path, headers, REMOTE_USER="set by the server")

        def app(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [environ.get("REMOTE_USER", "").encode("latin-1")]

        sent = call_wsgi(WSGIAuthzMiddleware(app, authz), environ, validated=False)
        assert sent.body.decode("latin-1") == (expected or "")

    @pytest.mark.parametrize(
        ("script_name", "path_info", "status"),
        [
            ("/svc", "/health", 200),
            ("/svc", "", 401),  # the root of a mount is "/"
            ("/public", "/admin", 401),  # SCRIPT_NAME never decides
            ("/", "admin", 400),
            ("", b"/adm\xffin", 400),
            ("", b"/caf\xc3\xa9", 401),
        ],
    )
    def test_only_path_info_decides(self, script_name, path_info, status, authz):
        environ = environ_for("GET", path_info, SCRIPT_NAME=script_name)
        app = WSGIAuthzMiddleware(Recorder().wsgi, authz)
        assert call_wsgi(app, environ, validated=False).status == status

    def test_text_that_no_server_can_have_received(self, authz):
        environ = environ_for("GET", "/me") | {"HTTP_AUTHORIZATION": "Bearer \u20ac"}
        assert call_wsgi(WSGIAuthzMiddleware(NO_APP, authz), environ, validated=False).status == 400
        environ = environ_for("GET", "/") | {"PATH_INFO": "/\u20ac"}
        assert call_wsgi(WSGIAuthzMiddleware(NO_APP, authz), environ, validated=False).status == 400


@pytest.mark.parametrize("world", WORLDS)
class TestHandshakeAsHttp:
    """Werkzeug matches its WebSocket rules on an `Upgrade: websocket` field, also by a bridge."""

    @pytest.mark.parametrize("upgrade", ["websocket", "h2c, WebSocket", "websocket/13"])
    @pytest.mark.parametrize(("path", "status"), [("/health", 401), ("/live", 200), ("/feed", 401)])
    def test_must_be_allowed_as_both(self, world, upgrade, path, status, policy, clock):
        routes = policy["routes"] | {"GET|WS /live": "public"}
        authz = Authz.from_mapping({**policy, "routes": routes}, clock=clock)
        sent = ask(world, authz, "GET", path, [("Upgrade", upgrade)])
        assert sent.status == status

    @pytest.mark.parametrize("name", ["Sec-WebSocket-Key", "Sec_WebSocket_Key"])
    def test_a_key_alone_may_do_for_some_servers(self, world, name, authz):
        assert ask(world, authz, "GET", "/health", [(name, "x")]).status == 401

    def test_a_true_handshake_is_decided_as_one(self, world, authz):
        headers = [("Upgrade", "websocket"), ("Sec-WebSocket-Key", "x")]
        if world == "asgi":
            assert ask(world, authz, "WS", "/open", headers).status == 101

    def test_other_upgrades_are_nothing_to_us(self, world, authz):
        assert ask(world, authz, "GET", "/health", [("Upgrade", "h2c")]).status == 200


class TestEncodedSlash:
    """V03: what the server decoded to a separator, an app on the raw path keeps as text."""

    TARGETS = (
        ("/health", 200),
        ("/health?next=%2Fme", 200),
        ("/he%61lth", 200),
        ("/health%2f", 400),
        ("/x%2Fhealth?", 400),
    )

    @pytest.mark.parametrize(("target", "status"), TARGETS)
    def test_asgi(self, target, status, authz):
        scope = scope_for("GET", "/health", raw_path=target.encode())
        app = ASGIAuthzMiddleware(Recorder().asgi, authz)
        assert call_asgi(app, scope).status == status

    @pytest.mark.parametrize(("target", "status"), TARGETS)
    @pytest.mark.parametrize("key", ["RAW_URI", "REQUEST_URI"])
    def test_wsgi(self, key, target, status, authz):
        environ = environ_for("GET", "/health", **{key: target})
        app = WSGIAuthzMiddleware(Recorder().wsgi, authz)
        assert call_wsgi(app, environ).status == status

    def test_a_raw_path_may_be_missing(self, authz):
        app = ASGIAuthzMiddleware(Recorder().asgi, authz)
        assert call_asgi(app, scope_for("GET", "/health", raw_path=None)).status == 200


@pytest.mark.parametrize("world", WORLDS)
class TestWrappedDenial:
    """A denial that the app raises inside another exception is still the same refusal."""

    def during(self, wrap: Any) -> Any:
        def handler(access: Any) -> None:
            try:
                access.require("user:delete")
            except AccessDenied as denied:
                wrap(denied)

        return handler

    def test_raised_from(self, world, authz, editor):
        def wrap(denied: AccessDenied) -> None:
            raise RuntimeError("the app's own") from denied

        assert ask(world, authz, "GET", "/me", editor, during=self.during(wrap)).status == 403

    def test_in_a_group(self, world, authz, editor):
        def wrap(denied: AccessDenied) -> None:
            raise ExceptionGroup("tasks", [ValueError("x"), denied])

        assert ask(world, authz, "GET", "/me", editor, during=self.during(wrap)).status == 403

    def test_another_failure_is_not_hidden(self, world, authz, editor):
        def later(access: Any) -> None:
            with pytest.raises(AccessDenied):
                access.require("user:delete")
            raise LookupError("the app's own")

        with pytest.raises(LookupError):
            ask(world, authz, "GET", "/me", editor, during=later)


@pytest.mark.parametrize("world", WORLDS)
def test_no_repr_shows_the_token(world, authz, editor):
    """B20."""
    access = ask(world, authz, "GET", "/me", editor).access
    token = editor[0][1].split()[1]
    for shown in (repr(access), repr(access.facts), repr(access.principal), str(access.decision)):
        assert not any(part in shown for part in token.split("."))


class TestAsgi:
    def test_headers_may_be_any_iterable(self, authz, editor):
        seen: list[Any] = []

        async def app(scope, receive, send):
            seen.extend(scope["headers"])
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        scope = scope_for("GET", "/me", editor)
        scope["headers"] = iter([iter(field) for field in scope["headers"]])
        assert call_asgi(ASGIAuthzMiddleware(app, authz), scope).status == 200
        assert len(seen) == 1

    def test_the_scope_is_copied(self, authz, editor):
        scope = scope_for("GET", "/me", editor, authz="forged", state={"kept": 1})
        before = dict(scope)
        seen: list[Any] = []

        async def app(scope, receive, send):
            seen.append(scope)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        call_asgi(ASGIAuthzMiddleware(app, authz), scope)
        assert scope == before
        assert seen[0]["authz"].principal.subject == "ed"
        assert seen[0]["state"] is scope["state"]

    def test_header_names_in_any_case_and_every_line_counts(self, authz, issuer):
        scope = scope_for("GET", "/me", bearer(issuer.mint("ann")))
        scope["headers"].append((b"AUTHORIZATION", b"Bearer x"))
        assert call_asgi(ASGIAuthzMiddleware(NO_APP, authz), scope).status == 400

    @pytest.mark.parametrize(
        ("path", "root_path", "status"),
        [
            ("/svc/health", "/svc", 200),
            ("/health", "/svc", 200),
            ("/svc/me", "/svc", 401),
            ("/svcme", "/svc", 400),
            ("/health/svc/admin", "/svc", 401),
            ("/files/svc/health", "/svc", 401),  # no rule for what most apps would route on
            ("/health/svc/files", "/svc", 401),
            ("/svc", "/svc", 401),
            ("", "", 400),
        ],
    )
    def test_root_path_readings(self, path, root_path, status, authz):
        async def app(scope, receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        scope = scope_for("GET", path, root_path=root_path)
        assert call_asgi(ASGIAuthzMiddleware(app, authz), scope).status == status

    def test_of_two_rules_the_one_that_asks_is_named(self, authz, caplog):
        caplog.set_level("INFO", "authz_middleware")
        scope = scope_for("GET", "/admin/svc/health", root_path="/svc")
        assert call_asgi(ASGIAuthzMiddleware(NO_APP, authz), scope).status == 401
        assert "rule=/admin/**" in caplog.text

    def test_an_app_that_ignores_root_path_is_judged_by_the_whole_path(self, authz):
        class App(Recorder):
            __module__ = "falcon.asgi.app"

            async def __call__(self, *args):
                await self.asgi(*args)

        scope = scope_for("GET", "/svc/health", root_path="/svc")
        assert call_asgi(ASGIAuthzMiddleware(App(), authz), scope).status == 401
        assert call_asgi(ASGIAuthzMiddleware(Recorder().asgi, authz), scope).status == 200

    @pytest.mark.parametrize(
        ("path", "status"),
        [
            ("/svc/admin/x", 403),  # what is around it may cut the prefix
            ("/svc/health", 200),  # by `default`: the whole path is what decides
            ("/svc/deep", 200),
            ("/me", 200),
            ("/svcme", 400),
        ],
    )
    def test_an_app_that_ignores_root_path_behind_what_may_cut_it(
        self, path, status, policy, issuer, clock
    ):
        class App:
            __module__ = "falcon.asgi.app"

        class Around(Recorder):
            app = App()

            async def __call__(self, *args):
                await self.asgi(*args)

        authz = Authz.from_mapping(policy | {"default": "authenticated"}, clock=clock)
        fields = bearer(issuer.mint("vi", roles=["viewer"]))
        scope = scope_for("GET", path, fields, root_path="/svc")
        assert call_asgi(ASGIAuthzMiddleware(Around(), authz), scope).status == status
        if path == "/svc/health":  # the tail is public, and opens nothing
            anonymous = scope_for("GET", path, root_path="/svc")
            assert call_asgi(ASGIAuthzMiddleware(Around(), authz), anonymous).status == 401

    def test_a_request_given_up_from_another_context(self, authz):
        async def app(scope, receive, send):
            await receive()

        async def never():
            await asyncio.get_running_loop().create_future()

        async def main():
            request = ASGIAuthzMiddleware(app, authz)(scope_for("GET", "/health"), never, never)
            copy_context().run(request.send, None)
            request.close()

        asyncio.run(main())

    def test_many_authorization_fields_cost_little(self, authz):
        scope = scope_for("GET", "/me")
        scope["headers"] = [(b"authorization", b"Bearer x")] * 200_000
        assert call_asgi(ASGIAuthzMiddleware(NO_APP, authz), scope).status == 400

    def test_lifespan_passes(self, authz):
        seen: list[Any] = []

        async def app(scope, receive, send):
            seen.append(scope)

        scope = {"type": "lifespan", "state": {}}
        asyncio.run(exchange(ASGIAuthzMiddleware(app, authz), scope))
        assert seen[0] is scope

    def test_an_unknown_scope_type_is_refused(self, authz, caplog):
        assert (
            asyncio.run(exchange(ASGIAuthzMiddleware(NO_APP, authz), {"type": "webtransport"}))
            == []
        )
        assert "webtransport" in caplog.text

    def test_an_exception_of_the_app_is_passed_on(self, authz, editor):
        async def app(scope, receive, send):
            raise LookupError("the app's own")

        with pytest.raises(LookupError):
            call_asgi(ASGIAuthzMiddleware(app, authz), scope_for("GET", "/me", editor))
        assert current_access() is None

    @pytest.mark.parametrize("reraised", [False, True])
    def test_a_5xx_after_a_denied_require_is_the_refusal(self, reraised, authz, editor):
        async def app(scope, receive, send):
            try:
                scope["authz"].require("user:delete")
            except AccessDenied:
                await send({"type": "http.response.start", "status": 500, "headers": []})
                await send({"type": "http.response.body", "body": b"trace"})
                if reraised:
                    raise

        sent = call_asgi(ASGIAuthzMiddleware(app, authz), scope_for("GET", "/me", editor))
        assert sent.status == 403
        assert b"trace" not in sent.body

    def test_a_denial_after_the_start_breaks_off(self, authz, editor):
        async def app(scope, receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            scope["authz"].require("user:delete")

        with pytest.raises(AccessDenied):
            call_asgi(ASGIAuthzMiddleware(app, authz), scope_for("GET", "/me", editor))

    def test_a_background_task_inherits_the_caller(self, authz, editor):
        async def app(scope, receive, send):
            inner = await asyncio.create_task(self.subject())
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": inner})

        sent = call_asgi(ASGIAuthzMiddleware(app, authz), scope_for("GET", "/me", editor))
        assert sent.body == b"ed"

    @staticmethod
    async def subject() -> bytes:
        return subject()


class TestWebSocket:
    def refuse(self, authz: Authz, **extra: Any) -> list[Any]:
        scope = scope_for("", "/feed", kind="websocket", **extra)
        return asyncio.run(exchange(ASGIAuthzMiddleware(NO_APP, authz), scope))

    def test_denial_response_where_the_server_offers_it(self, authz):
        start, body = self.refuse(authz)
        assert (start["type"], start["status"]) == ("websocket.http.response.start", 401)
        assert body["type"] == "websocket.http.response.body"

    @pytest.mark.parametrize("extensions", [{}, None])
    def test_close_where_it_does_not(self, extensions, authz):
        assert self.refuse(authz, extensions=extensions) == [
            {"type": "websocket.close", "code": 1008, "reason": ""}
        ]

    def test_nothing_is_sent_to_a_client_that_is_gone(self, authz):
        async def run() -> list[Any]:
            sent: list[Any] = []

            async def receive():
                return {"type": "websocket.disconnect", "code": 1006}

            async def send(message):
                sent.append(message)

            scope = scope_for("", "/feed", kind="websocket")
            await ASGIAuthzMiddleware(NO_APP, authz)(scope, receive, send)
            return sent

        assert asyncio.run(run()) == []

    @pytest.mark.parametrize(
        ("before", "expected"),
        [
            ((), ["websocket.http.response.start", "websocket.http.response.body"]),
            (("accept",), ["websocket.accept", "websocket.close"]),
        ],
    )
    @pytest.mark.parametrize("listened", [False, True])
    def test_a_denied_require(self, before, expected, listened, authz, issuer):
        async def app(scope, receive, send):
            if listened:
                await receive()
            for kind in before:
                await send({"type": f"websocket.{kind}"})
            scope["authz"].require("user:delete")

        scope = scope_for(
            "", "/feed", bearer(issuer.mint("vi", roles=["viewer"])), kind="websocket"
        )
        messages = asyncio.run(exchange(ASGIAuthzMiddleware(app, authz), scope))
        assert [message["type"] for message in messages] == expected

    @pytest.mark.parametrize(
        ("sends", "expected"),
        [
            pytest.param([("close", 1000)], "http.response.body", id="closed-unaccepted"),
            pytest.param(
                [("http.response.start", 500), ("http.response.body", 0)],
                "http.response.body",
                id="error-page",
            ),
            pytest.param([("http.response.start", 302)], 302, id="answered-otherwise"),
            pytest.param([("accept", 0), ("close", 1011)], 1008, id="server-error"),
            pytest.param([("accept", 0), ("close", 4500)], 1008, id="litestar"),
            pytest.param([("accept", 0), ("close", 1000)], 1000, id="closed-on-purpose"),
            pytest.param([("accept", 0), ("close", 3003)], 3003, id="closed-with-a-code"),
        ],
    )
    @pytest.mark.parametrize("raises", [False, True])
    def test_what_an_app_makes_of_a_denial(self, sends, expected, raises, authz, issuer):
        """Giving up is our refusal, also if the exception comes after; an answer is the app's."""

        async def app(scope, receive, send):
            await receive()
            try:
                scope["authz"].require("user:delete")
            except AccessDenied:
                for kind, code in sends:
                    await send({"type": f"websocket.{kind}", "code": code, "status": code})
                if raises and expected in (1008, "http.response.body"):
                    raise

        headers = bearer(issuer.mint("vi", roles=["viewer"]))
        scope = scope_for("", "/feed", headers, kind="websocket")
        *before, last = asyncio.run(exchange(ASGIAuthzMiddleware(app, authz), scope))
        if expected == "http.response.body":
            assert [(each["type"], each["status"]) for each in before] == [
                ("websocket.http.response.start", 403)
            ]
            assert b"insufficient_scope" in last["body"]
        else:
            assert expected == last["code"]

    @pytest.mark.parametrize("accepted", [False, True])
    @pytest.mark.parametrize("closes", [False, True])
    def test_a_denied_require_after_the_client_has_gone(self, closes, accepted, authz, issuer):
        """Servers raise at whatever is sent then, and log it as an error of the app."""
        before = ["websocket.accept"] if accepted else []

        async def app(scope, receive, send):
            await receive()
            for kind in before:
                await send({"type": kind})
            await receive()
            try:
                scope["authz"].require("user:delete")
            except AccessDenied:
                if not closes:
                    raise
                await send({"type": "websocket.close", "code": 1011})

        headers = bearer(issuer.mint("vi", roles=["viewer"]))
        scope = scope_for("", "/feed", headers, kind="websocket")
        gone = {"type": "websocket.disconnect", "code": 1001}
        sent = asyncio.run(exchange(ASGIAuthzMiddleware(app, authz), scope, gone))
        assert [message["type"] for message in sent] == before

    def test_a_denied_require_after_the_close_is_passed_on(self, authz, issuer):
        async def app(scope, receive, send):
            await send({"type": "websocket.close"})
            scope["authz"].require("user:delete")

        scope = scope_for("", "/open", kind="websocket")
        with pytest.raises(AccessDenied):
            asyncio.run(exchange(ASGIAuthzMiddleware(app, authz), scope))


class TestIsolation:
    """No identity of one request is ever seen in another."""

    def test_a_thousand_tasks(self, authz, issuer):
        async def app(scope, receive, send):
            first = current_access()
            await asyncio.sleep(0)
            second = await asyncio.create_task(self.after_a_turn())
            assert first is second is scope["authz"]
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": subject()})

        wrapped = ASGIAuthzMiddleware(app, authz)
        names = [f"user-{number % 50}" for number in range(1000)]
        tokens = {name: issuer.mint(name) for name in set(names)}

        async def run() -> list[Any]:
            return await asyncio.gather(
                *(exchange(wrapped, scope_for("GET", "/me", bearer(tokens[n]))) for n in names)
            )

        assert [messages[1]["body"].decode() for messages in asyncio.run(run())] == names

    @staticmethod
    async def after_a_turn() -> Any:
        await asyncio.sleep(0)
        return current_access()

    def test_eight_threads(self, authz, issuer):
        barrier = threading.Barrier(8)

        def app(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            for _ in range(3):
                yield subject() + b" "

        wrapped = WSGIAuthzMiddleware(app, authz)

        def serve(name: str) -> bool:
            barrier.wait()
            headers = bearer(issuer.mint(name))
            want = f"{name} ".encode() * 3
            return all(
                call_wsgi(wrapped, environ_for("GET", "/me", headers)).body == want
                for _ in range(50)
            )

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(serve, [f"user-{number}" for number in range(8)]))
