"""Starlette's own habits: `request.user`, `request.auth.scopes` and `@requires`."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    BaseUser,
    SimpleUser,
    UnauthenticatedUser,
    requires,
)
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, Router, WebSocketRoute
from starlette.websockets import WebSocket

from authz_middleware import ASGIAuthzMiddleware, Principal
from authz_middleware.frameworks.starlette import AuthzUser
from authz_middleware.testing import DevelopmentIssuer
from tests.adapters.exchange import Sent, call_asgi, scope_for


@pytest.fixture(scope="module")
def issuer():
    return DevelopmentIssuer("https://login.example.com", "orders-api")


@pytest.fixture(scope="module")
def policy(issuer):
    return {
        "issuers": [issuer.policy_issuer()],
        "roles": {"editor": ["article:write"]},
        "routes": {"/public/**": "public", "/**": "authenticated"},
    }


def tell(connection: HTTPConnection) -> dict[str, Any]:
    user = connection.user
    return {
        "authenticated": user.is_authenticated,
        "name": user.display_name,
        # Starlette's own users have none in older versions.
        "identity": user.identity if isinstance(user, AuthzUser) else "",
        "scopes": connection.auth.scopes,
        "type": type(user).__name__,
        "is_user": isinstance(user, BaseUser),
    }


async def who(request: Request) -> Response:
    return JSONResponse(tell(request))


def who_synchronously(request: Request) -> Response:
    return JSONResponse(tell(request))


async def talk(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_json(tell(websocket))
    await websocket.close()


@requires("pay")
async def pay(request: Request) -> Response:
    return PlainTextResponse("paid")


@requires(["authenticated", "pay"])
def pay_synchronously(request: Request) -> Response:
    return PlainTextResponse("paid")


@requires("authenticated", redirect="login")
async def private(request: Request) -> Response:
    return PlainTextResponse("private")


@requires("authenticated", status_code=404)
async def hidden(request: Request) -> Response:
    return PlainTextResponse("hidden")


@requires("article:write")
async def permission(request: Request) -> Response:
    raise AssertionError("a permission is no scope")


@requires("editor")
async def role(request: Request) -> Response:
    raise AssertionError("a role is no scope")


@requires("pay")
async def pay_by_socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.close()


def routes() -> list[Any]:
    return [
        Route("/who", who),
        Route("/public/who", who),
        Route("/sync", who_synchronously),
        Route("/pay", pay),
        Route("/pay-sync", pay_synchronously),
        Route("/public/pay", pay),
        Route("/public/private", private),
        Route("/public/hidden", hidden),
        Route("/public/login", who, name="login"),
        Route("/permission", permission),
        Route("/role", role),
        WebSocketRoute("/talk", talk),
        WebSocketRoute("/public/talk", talk),
        WebSocketRoute("/pay", pay_by_socket),
    ]


def around(app: Any) -> Any:
    """A middleware that does not say what it wraps."""

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    return inner


def wrapped(policy: Any) -> Any:
    return ASGIAuthzMiddleware(Starlette(routes=routes()), policy)


def added(policy: Any) -> Any:
    app = Starlette(routes=routes())
    app.add_middleware(ASGIAuthzMiddleware, config=policy)
    return app


def constructed(policy: Any) -> Any:
    middleware = [Middleware(ASGIAuthzMiddleware, config=policy), Middleware(around)]
    return Starlette(routes=routes(), middleware=middleware)


def mounted(policy: Any) -> Any:
    middleware = [Middleware(ASGIAuthzMiddleware, config=policy)]
    return Starlette(routes=[Mount("/", routes=routes(), middleware=middleware)])


def fastapi(policy: Any) -> Any:
    app = FastAPI(routes=routes())
    app.add_middleware(ASGIAuthzMiddleware, config=policy)
    return app


WAYS = [wrapped, added, constructed, mounted, fastapi]


@pytest.fixture(params=WAYS, ids=lambda way: way.__name__)
def app(request, policy):
    return request.param(policy)


@pytest.fixture
def send(app, issuer):
    def send(path: str, token: str | None = None, kind: str = "http", **extra: Any) -> Sent:
        headers = [] if token is None else [("Authorization", f"Bearer {token}")]
        return call_asgi(app, scope_for("GET", path, headers, kind, **extra))

    return functools.partial(send)


ANONYMOUS = (
    b'{"authenticated":false,"name":"","identity":"","scopes":[],"type":"UnauthenticatedUser",'
    b'"is_user":true}'
)
ANN = (
    b'{"authenticated":true,"name":"ann","identity":"https://login.example.com|ann",'
    b'"scopes":["authenticated","pay","read"],"type":"AuthzUser","is_user":true}'
)


@pytest.mark.parametrize("path", ["/who", "/sync", "/public/who"])
def test_a_verified_caller_is_the_user(path, send, issuer):
    token = issuer.mint("ann", scope="read pay", roles=["editor"])
    assert send(path, token).body == ANN


def test_a_router_without_an_app_has_a_user(policy, issuer):
    app = ASGIAuthzMiddleware(Router(routes()), policy)
    headers = [("Authorization", f"Bearer {issuer.mint('ann', scope='read pay')}")]
    assert call_asgi(app, scope_for("GET", "/who", headers)).body == ANN


@pytest.mark.parametrize("endpoint", [who, who_synchronously])
def test_a_route_with_a_middleware_of_its_own_has_a_user(endpoint, policy, issuer):
    guard = [Middleware(ASGIAuthzMiddleware, config=policy)]
    app = Starlette(routes=[Route("/who", endpoint, middleware=guard)])
    headers = [("Authorization", f"Bearer {issuer.mint('ann', scope='read pay')}")]
    assert call_asgi(app, scope_for("GET", "/who", headers)).body == ANN


@pytest.mark.parametrize("token", [None, "x.y.z"])
def test_an_anonymous_caller_of_a_public_route(token, send):
    assert send("/public/who", token).body == ANONYMOUS


def test_requires_reads_the_tokens_scopes(send, issuer):
    for path in ("/pay", "/pay-sync"):
        assert send(path, issuer.mint("ann", scope="pay")).body == b"paid"
        assert send(path, issuer.mint("ann", scope="paying")).status == 403
        assert send(path, issuer.mint("ann")).status == 403


def test_requires_for_an_anonymous_caller(send):
    assert send("/public/pay").status == 403
    assert send("/public/hidden").status == 404


def test_requires_may_redirect(policy, issuer):
    app = wrapped(policy)
    extra: dict[str, Any] = {"server": ("localhost", 80)}
    sent = call_asgi(app, scope_for("GET", "/public/private", **extra))
    assert (sent.status, str(sent.header("location")).split("?")[0]) == (
        303,
        "http://localhost/public/login",
    )
    headers = [("Authorization", f"Bearer {issuer.mint('ann')}")]
    assert call_asgi(app, scope_for("GET", "/public/private", headers, **extra)).body == b"private"


@pytest.mark.parametrize("path", ["/permission", "/role"])
def test_roles_and_permissions_are_no_scopes(path, send, issuer):
    assert send(path, issuer.mint("ann", roles=["editor"])).status == 403


def test_requires_at_a_websocket(send, issuer):
    assert send("/pay", issuer.mint("ann", scope="pay"), "websocket").status == 101
    assert send("/pay", issuer.mint("ann"), "websocket").status == 403
    assert send("/talk", issuer.mint("ann"), "websocket").status == 101
    assert send("/public/talk", None, "websocket").status == 101
    assert send("/talk", None, "websocket").status == 401


class Somebody(AuthenticationBackend):
    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser]:
        return AuthCredentials(["theirs"]), SimpleUser("somebody")


THEIRS = Middleware(AuthenticationMiddleware, backend=Somebody())


def test_an_outer_authentication_is_replaced_on_our_copy(policy, issuer):
    ours = Middleware(ASGIAuthzMiddleware, config=policy)
    app = Starlette(routes=routes(), middleware=[THEIRS, ours])
    assert call_asgi(app, scope_for("GET", "/public/who")).body == ANONYMOUS


def test_an_inner_authentication_replaces_ours(policy, issuer):
    ours = Middleware(ASGIAuthzMiddleware, config=policy)
    app = Starlette(routes=routes(), middleware=[ours, THEIRS])
    body = call_asgi(app, scope_for("GET", "/public/who")).body
    assert b'"name":"somebody"' in body
    assert b'"scopes":["theirs"]' in body


def test_the_servers_scope_is_left_alone(policy, issuer):
    scope = scope_for("GET", "/public/who")
    before = {**scope}
    call_asgi(wrapped(policy), scope)
    assert scope == before


def test_an_app_that_is_hidden_has_no_user_rather_than_a_wrong_one(policy):
    app = ASGIAuthzMiddleware(around(Starlette(routes=routes())), policy)
    with pytest.raises(AssertionError, match="AuthenticationMiddleware must be installed"):
        call_asgi(app, scope_for("GET", "/public/who"))


def test_another_app_gets_neither_key(policy):
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)
        await PlainTextResponse("")(scope, receive, send)

    call_asgi(ASGIAuthzMiddleware(app, policy), scope_for("GET", "/public/who"))
    assert not {"user", "auth"} & seen[0].keys()


def test_what_one_request_adds_to_its_user_the_next_does_not_see(policy):
    async def mark(request: Request) -> Response:
        marked = hasattr(request.user, "mark")
        request.user.mark = True
        request.auth.scopes.append("admin")
        return PlainTextResponse(f"{marked} {request.auth.scopes}")

    app = ASGIAuthzMiddleware(Starlette(routes=[Route("/public/mark", mark)]), policy)
    for _ in range(2):
        assert call_asgi(app, scope_for("GET", "/public/mark")).body == b"False ['admin']"


def principal(issuer: str, subject: str) -> Principal:
    return Principal(issuer=issuer, subject=subject, expires_at=0)


def test_an_identity_is_that_of_one_caller():
    one = AuthzUser(principal("https://x", "y|z"))
    other = AuthzUser(principal("https://x|y", "z"))
    assert one.identity == "https://x|y|z"
    assert other.identity == "https://x%7Cy|z"
    assert one.principal.subject == one.display_name == "y|z"


def test_an_anonymous_user_is_starlettes_own(policy):
    seen: list[Any] = []

    async def look(request: Request) -> Response:
        seen.append(request.user)
        return PlainTextResponse("")

    app = ASGIAuthzMiddleware(Starlette(routes=[Route("/public/x", look)]), policy)
    call_asgi(app, scope_for("GET", "/public/x"))
    assert isinstance(seen[0], UnauthenticatedUser)
