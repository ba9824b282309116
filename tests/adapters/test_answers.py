"""Section 4 of the design, through both adapters: the same status, challenge and body."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from authz_middleware import ASGIAuthzMiddleware, Authz, WSGIAuthzMiddleware
from tests.adapters.exchange import (
    NO_APP,
    WORLDS,
    ask,
    call_asgi,
    call_wsgi,
    environ_for,
    scope_for,
)

PLAIN = 'Bearer realm="orders"'
INVALID_REQUEST = f'{PLAIN}, error="invalid_request"'
INVALID_TOKEN = f'{PLAIN}, error="invalid_token"'
INSUFFICIENT = f'{PLAIN}, error="insufficient_scope"'
SCOPES = f'{INSUFFICIENT}, scope="pay transfer"'


@pytest.fixture(scope="module")
def callers(issuer) -> dict[str, list[tuple[str, str]]]:
    """What each caller sends."""

    def bearer(token: str) -> list[tuple[str, str]]:
        return [("Authorization", f"Bearer {token}")]

    viewer = issuer.mint("vi", roles=["viewer"])
    return {
        "nobody": [],
        "basic": [("Authorization", "Basic dXNlcjpwYXNz")],
        "digest": [("Authorization", 'Digest username="a", realm="b", nonce="c"')],
        "malformed": [("Authorization", "Bearer a b")],
        "no token": [("Authorization", "Bearer")],
        "empty": [("Authorization", "")],
        "twice": [*bearer(viewer), *bearer(viewer)],
        "basic and bearer": [("Authorization", "Basic dXNlcjpwYXNz"), *bearer(viewer)],
        "joined": [("Authorization", f"Bearer {viewer}, Bearer {viewer}")],
        "too long": [("Authorization", "Bearer " + "a" * 20_000)],
        "not a JWT": bearer("opaque"),
        "expired": bearer(issuer.expired("vi", roles=["admin"])),
        "wrong audience": bearer(issuer.for_audience("billing-api", "vi", roles=["admin"])),
        "wrong key": bearer(issuer.signed_by_another_key("vi", roles=["admin"])),
        "id token": bearer(issuer.mint("vi", roles=["admin"], headers={"typ": "JWT"})),
        "bound": bearer(issuer.mint("vi", roles=["admin"], cnf={"jkt": "x"})),
        "no roles": bearer(issuer.mint("no")),
        "lower-case scheme": [("authorization", f"bearer {viewer}")],
        "viewer": bearer(viewer),
        "editor": bearer(issuer.mint("ed", roles=["editor"])),
        "admin": bearer(issuer.mint("ad", roles=["admin"])),
        "payer": bearer(issuer.mint("pa", scope="pay transfer other")),
        "half a payer": bearer(issuer.mint("ha", scope="pay")),
        "X-Forwarded-User": [("X-Forwarded-User", "admin"), ("Remote-User", "admin")],
    }


CASES = [
    # request, caller, status, challenge
    ("GET /health", "nobody", 200, None),
    ("GET /health", "basic", 200, None),
    ("GET /health", "malformed", 200, None),
    ("GET /health", "twice", 200, None),
    ("GET /health", "expired", 200, None),
    ("GET /health/", "viewer", 200, None),
    ("HEAD /health", "nobody", 200, None),
    ("head /health", "nobody", 200, None),
    ("POST /health", "nobody", 401, PLAIN),
    ("POST /health", "viewer", 403, INSUFFICIENT),
    ("GET /me", "nobody", 401, PLAIN),
    ("GET /me", "basic", 401, PLAIN),
    ("GET /me", "digest", 401, PLAIN),
    ("GET /me", "X-Forwarded-User", 401, PLAIN),
    ("GET /me", "malformed", 400, INVALID_REQUEST),
    ("GET /me", "no token", 400, INVALID_REQUEST),
    ("GET /me", "empty", 400, INVALID_REQUEST),
    ("GET /me", "twice", 400, INVALID_REQUEST),
    ("GET /me", "basic and bearer", 400, INVALID_REQUEST),
    ("GET /me", "joined", 400, INVALID_REQUEST),
    ("GET /me", "too long", 400, INVALID_REQUEST),
    ("GET /me", "not a JWT", 401, INVALID_TOKEN),
    ("GET /me", "expired", 401, INVALID_TOKEN),
    ("GET /me", "wrong audience", 401, INVALID_TOKEN),
    ("GET /me", "wrong key", 401, INVALID_TOKEN),
    ("GET /me", "id token", 401, INVALID_TOKEN),
    ("GET /me", "bound", 401, INVALID_TOKEN),
    ("GET /me", "no roles", 200, None),
    ("GET /me", "lower-case scheme", 200, None),
    ("get /me", "viewer", 200, None),
    ("GET /closed", "nobody", 401, PLAIN),
    ("GET /closed", "admin", 403, INSUFFICIENT),
    ("GET /articles/1", "viewer", 200, None),
    ("GET /articles/1", "editor", 200, None),
    ("HEAD /articles/1", "viewer", 200, None),
    ("HEAD /articles/1", "nobody", 401, PLAIN),
    ("HEAD /articles/1", "no roles", 403, INSUFFICIENT),
    ("head /articles/1", "nobody", 401, PLAIN),
    ("GET /articles/1", "no roles", 403, INSUFFICIENT),
    ("PUT /articles/1", "viewer", 403, INSUFFICIENT),
    ("PUT /articles/1", "editor", 200, None),
    ("PATCH /articles/1", "admin", 403, INSUFFICIENT),
    ("GET /articles/one", "admin", 403, INSUFFICIENT),
    ("GET /articles/+1", "admin", 400, None),
    ("GET /articles/٣", "admin", 400, None),
    ("DELETE /users/ann", "editor", 403, INSUFFICIENT),
    ("DELETE /users/ann", "admin", 200, None),
    ("POST /transfers", "payer", 200, None),
    ("POST /transfers", "half a payer", 403, SCOPES),
    ("POST /transfers", "admin", 403, SCOPES),
    ("GET /admin", "admin", 200, None),
    ("PROPFIND /admin/x/y", "admin", 200, None),
    ("GET /admin/x", "editor", 403, INSUFFICIENT),
    ("GET /Admin/x", "admin", 403, INSUFFICIENT),
    ("GET /nowhere", "nobody", 401, PLAIN),
    ("GET /nowhere", "malformed", 400, INVALID_REQUEST),
    ("GET /nowhere", "admin", 403, INSUFFICIENT),
    ("GET //admin", "nobody", 400, None),
    ("GET /health/../admin", "nobody", 400, None),
    ("GET /admin\n", "admin", 400, None),
    ("GET /health%2f", "nobody", 400, None),
    ("GET health", "nobody", 400, None),
    ("GET *", "nobody", 400, None),
    ("WS /health", "nobody", 401, PLAIN),  # as an HTTP method in WSGI, see below
    ("GET /feed", "viewer", 403, INSUFFICIENT),
    ("GET /feed", "nobody", 401, PLAIN),
]


def _id(case: Any) -> str:
    return ascii(f"{case[1]}: {case[0]}")


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("case", [case for case in CASES if not case[0].startswith("WS")], ids=_id)
def test_http(case, world, authz, callers):
    """B12-B14, B22, B23, H03, H11, H18: which answer, and no cache keeps a refusal."""
    request, caller, status, challenge = case
    method, _, path = request.partition(" ")
    sent = ask(world, authz, method, path, callers[caller])
    assert (sent.status, sent.header("www-authenticate")) == (status, challenge)
    assert sent.called == (status == 200)
    if status != 200:
        assert sent.header("cache-control") == "no-store"
        # Servers frame the answer to `head` as any other: a length without its body would take the
        # next answer on the connection for it.
        assert len(sent.body) == (
            0 if method == "HEAD" else int(sent.header("content-length") or 0)
        )


@pytest.mark.parametrize("world", WORLDS)
def test_every_challenge_is_one_that_clients_can_read(world, authz, callers):
    """B09-B11, B15-B17, H06-H09: one field, one scheme, each parameter once, quoted, no escapes."""
    for request, caller, *_ in CASES:
        method, _, path = request.partition(" ")
        sent = ask(world, authz, method, path, callers[caller])
        challenge = sent.header("www-authenticate")
        assert (challenge is not None) >= (sent.status in (401, 403)), request
        if challenge is None:
            continue
        parameter = r'[a-z_]+="[ !#-\[\]-~]+"'
        assert re.fullmatch(f"Bearer {parameter}(, {parameter})*", challenge)
        names = re.findall(r'([a-z_]+)="', challenge)
        assert names == [name for name in ("realm", "error", "scope") if name in names]
        if caller in ("nobody", "basic", "digest", "X-Forwarded-User"):
            assert names == ["realm"], request


@pytest.mark.parametrize("world", WORLDS)
def test_head_is_get_without_a_body(world, authz, callers):
    """H13, H14: never looser, never stricter; and methods in other cases open nothing."""
    for caller in callers.values():
        for path in ("/health", "/me", "/closed", "/articles/1", "/transfers", "/admin", "/none"):
            get = ask(world, authz, "GET", path, caller)
            for method in ("HEAD", "head", "Head"):
                sent = ask(world, authz, method, path, caller)
                assert sent.status == get.status
                if sent.status != 200:
                    assert bool(sent.body) == (method != "HEAD")
                    assert sent.header("www-authenticate") == get.header("www-authenticate")
            assert ask(world, authz, "get", path, caller).status == get.status


@pytest.mark.parametrize(
    ("path", "caller", "status", "challenge"),
    [
        ("/feed", "viewer", 101, None),
        ("/feed", "nobody", 401, PLAIN),
        ("/feed", "no roles", 403, INSUFFICIENT),
        ("/feed", "twice", 400, INVALID_REQUEST),
        ("/open", "nobody", 101, None),
        ("/health", "viewer", 403, INSUFFICIENT),
        ("/admin/live", "admin", 101, None),
        ("//feed", "viewer", 400, None),
    ],
)
def test_websocket(path, caller, status, challenge, authz, callers):
    sent = ask("asgi", authz, "WS", path, callers[caller])
    assert (sent.status, sent.header("www-authenticate")) == (status, challenge)
    assert sent.called == (status == 101)


@pytest.mark.parametrize("world", WORLDS)
def test_an_http_method_called_ws_is_no_handshake(world, authz, callers):
    environ, scope = (make("WS", "/feed", callers["viewer"]) for make in (environ_for, scope_for))
    if world == "wsgi":
        sent = call_wsgi(WSGIAuthzMiddleware(NO_APP, authz), environ, validated=False)
    else:
        sent = call_asgi(ASGIAuthzMiddleware(NO_APP, authz), scope)
    assert sent.status == 400


@pytest.mark.parametrize("world", WORLDS)
def test_a_refusal_is_problem_json_with_an_id(world, authz):
    sent = ask(world, authz, "GET", "/me")
    problem = json.loads(sent.body)
    assert sent.header("content-type") == "application/problem+json"
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", problem.pop("instance"))
    assert problem == {"type": "about:blank", "title": "Unauthorized", "status": 401}
    assert sent.header("content-length") == str(len(sent.body))


@pytest.mark.parametrize("world", WORLDS)
def test_plain_text_for_a_client_without_json(world, authz):
    sent = ask(world, authz, "GET", "/me", [("Accept", "text/plain")])
    assert sent.header("content-type") == "text/plain; charset=utf-8"
    assert sent.body.startswith(b"401 Unauthorized\nid: ")


def test_both_worlds_give_the_same_bytes(authz, callers):
    for request, caller, *_ in CASES:
        method, _, path = request.partition(" ")
        if method == "WS":
            continue
        first, second = (ask(world, authz, method, path, callers[caller]) for world in WORLDS)
        assert first.status == second.status
        if first.status != 200:
            assert sorted(first.headers) == sorted(second.headers)
            uuid = rb"[0-9a-f-]{36}"
            assert re.sub(uuid, b"", first.body) == re.sub(uuid, b"", second.body)


@pytest.mark.parametrize("world", WORLDS)
def test_ids_are_random_and_not_the_clients(world, authz):
    headers = [("X-Request-ID", "mine")]
    first, second = (ask(world, authz, "GET", "/me", headers).body for _ in range(2))
    assert first != second
    assert b"mine" not in first


class TestPreflight:
    """What the Fetch standard calls one, and nothing else (H15)."""

    HEADERS = (("Origin", "https://a.example"), ("Access-Control-Request-Method", "PUT"))

    @pytest.mark.parametrize("world", WORLDS)
    @pytest.mark.parametrize(
        ("method", "headers", "status"),
        [
            ("OPTIONS", HEADERS, 200),
            ("OPTIONS", (HEADERS[0], ("Access-Control-Request-Method", "PATCH")), 401),
            ("OPTIONS", (("Origin", ""), HEADERS[1]), 401),
            ("OPTIONS", (*HEADERS, ("Authorization", "Basic dTpw")), 401),
            ("OPTIONS", HEADERS[:1], 401),
            ("OPTIONS", HEADERS[1:], 401),
            ("OPTIONS", (), 401),
            ("PUT", HEADERS, 401),
        ],
    )
    def test_only_a_true_one_passes_where_asked_for(
        self, world, method, headers, status, policy, clock
    ):
        """H15."""
        authz = Authz.from_mapping({**policy, "preflight": "pass"}, clock=clock)
        assert ask(world, authz, method, "/articles/1", headers).status == status

    @pytest.mark.parametrize("world", WORLDS)
    def test_is_refused_by_default(self, world, authz):
        assert ask(world, authz, "OPTIONS", "/articles/1", self.HEADERS).status == 401

    @pytest.mark.parametrize("world", WORLDS)
    def test_an_ambiguous_path_is_still_refused(self, world, policy, clock):
        authz = Authz.from_mapping({**policy, "preflight": "pass"}, clock=clock)
        assert ask(world, authz, "OPTIONS", "//articles/1", self.HEADERS).status == 400


@pytest.fixture(scope="module")
def with_resource(policy, clock):
    resource = {"resource": "https://api.example.com/v1"}
    return Authz.from_mapping({**policy, **resource}, clock=clock)


class TestMetadata:
    """RFC 9728: served at the host's root without a token, and named in every challenge."""

    PATH = "/.well-known/oauth-protected-resource/v1"

    @pytest.mark.parametrize("world", WORLDS)
    def test_document(self, world, with_resource):
        sent = ask(world, with_resource, "GET", self.PATH)
        assert sent.status == 200
        assert json.loads(sent.body) == {
            "resource": "https://api.example.com/v1",
            "authorization_servers": ["https://login.example.com"],
            "bearer_methods_supported": ["header"],
            "scopes_supported": ["pay", "transfer"],
        }
        assert sent.header("access-control-allow-origin") == "*"
        assert not sent.called

    @pytest.mark.parametrize("world", WORLDS)
    def test_head_has_no_body(self, world, with_resource):
        sent = ask(world, with_resource, "HEAD", self.PATH)
        assert (sent.status, sent.body) == (200, b"")

    @pytest.mark.parametrize("world", WORLDS)
    @pytest.mark.parametrize("caller", ["nobody", "expired", "viewer"])
    def test_challenge_names_it(self, world, caller, with_resource, callers):
        sent = ask(world, with_resource, "GET", "/admin", callers[caller])
        url = "https://api.example.com/.well-known/oauth-protected-resource/v1"
        challenge = sent.header("www-authenticate")
        assert challenge
        assert f'resource_metadata="{url}"' in challenge

    @pytest.mark.parametrize("world", WORLDS)
    @pytest.mark.parametrize("path", ["/.well-known/oauth-protected-resource", f"/x{PATH}"])
    def test_nothing_else_is_public(self, world, path, with_resource):
        assert ask(world, with_resource, "GET", path).status == 401
