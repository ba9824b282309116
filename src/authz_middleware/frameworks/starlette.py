"""Starlette, FastAPI: `request.user`, `request.auth`, and `AccessDenied` is answered by the app."""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, BaseUser, UnauthenticatedUser
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from authz_middleware.access import Access
from authz_middleware.errors import AccessDenied, AuthzError
from authz_middleware.facts import Principal
from authz_middleware.frameworks.starlette_inside import PLACE, install
from authz_middleware.frameworks.starlette_routes import between, resolve, routes

__all__ = ["AuthzUser", "between", "extend", "install", "prepare", "resolve", "routes"]

AUTHENTICATED = "authenticated"
"""The scope that `@requires` asks for where any verified caller will do, as Starlette has it."""


class AuthzUser(BaseUser):
    """The verified caller as `request.user`; `principal` is all that is known about it."""

    def __init__(self, principal: Principal) -> None:
        self.principal = principal

    @property
    def is_authenticated(self) -> bool:
        """True: an anonymous caller is Starlette's `UnauthenticatedUser`."""
        return True

    @property
    def display_name(self) -> str:
        """The subject."""
        return self.principal.subject

    @property
    def identity(self) -> str:
        """Issuer and subject, joined by the first `|`: only the pair is an identity."""
        # No URL holds a `|` (RFC 3986 §2); percent-encoded it is the same URL.
        return f"{self.principal.issuer.replace('|', '%7C')}|{self.principal.subject}"


def extend(scope: dict[str, Any], access: Access) -> None:
    """Set what `request.user`, `request.auth` and `@requires` read.

    Scopes are the token's, and `authenticated`; roles and permissions are not among them.
    """
    scope.pop(PLACE, None)  # for us the app begins here, whoever has mounted it
    principal = access.principal
    if principal is None:
        scope["user"] = UnauthenticatedUser()
        scope["auth"] = AuthCredentials()
    else:
        scope["user"] = AuthzUser(principal)
        scope["auth"] = AuthCredentials([AUTHENTICATED, *sorted(principal.scopes)])


def prepare(app: Any) -> None:
    """Register a handler, unless the app brings one of its own."""
    if isinstance(app, Starlette):
        handlers: dict[Any, Any] | None = app.exception_handlers
    else:  # built already: the innermost middleware holds them, and does not show them
        handlers = getattr(app, "__dict__", {}).get("_exception_handlers")
    if handlers is not None and AuthzError not in handlers:
        handlers.setdefault(AccessDenied, _answer)


async def _answer(connection: HTTPConnection, denied: AccessDenied) -> Response:
    """Answer a request; a WebSocket is refused by the adapter, which knows how far it has come."""
    if not isinstance(connection, Request):
        raise denied
    answer = denied.answer
    body = b"" if connection.method == "HEAD" else answer.body
    return Response(body, answer.status, dict(answer.headers))
