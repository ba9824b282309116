"""What a decision may look at, read off Django's request: what Django itself routes on."""

from __future__ import annotations

from typing import TypeAlias

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest

from authz_middleware import asgi, wsgi
from authz_middleware.access import Access
from authz_middleware.facts import Authorization, ContextReads, RequestFacts

__all__ = [
    "AuthorizedRequest",
    "Received",
    "accept_of",
    "changed_facts",
    "facts_of",
    "mounted_facts",
    "path_of",
]


class AuthorizedRequest(HttpRequest):
    """For annotations: a request as the views behind `AuthzMiddleware` get it."""

    authz: Access


Received: TypeAlias = tuple[RequestFacts, Authorization]
"""What a decision may look at, and the credentials."""


def facts_of(request: HttpRequest, reads: ContextReads | None = None) -> Received:
    """Return what `request` is now; `reads` are the policy's conditions'.

    Path and method are the request's, so that a rewrite by a middleware before us counts. What can
    only speak against a request is read from the server.
    """
    # META has the keys of an environ in both worlds, and a middleware may have changed it.
    facts, authorization = wsgi.facts_of(request.META, reads=reads)
    sent = facts.method
    if isinstance(request, ASGIRequest):
        # `path_info` is what Django routes on.
        received, lines, _ = asgi.facts_of(request.scope, "", reads=reads)
        authorization = _lines(lines, authorization)
        sent = received.method
        facts = facts._replace(
            upgrade=False,  # the server has decided what is a WebSocket
            ambiguous=received.ambiguous,
            around=received.around,
        )
    # Django upper-cases the method, which is only safe for ASCII: then as it was sent.
    method = sent if sent.upper() == request.method else request.method or ""
    preflight = facts.preflight if method == "OPTIONS" else ""
    facts = facts._replace(method=method, path=path_of(request), preflight=preflight)
    return facts, authorization


def changed_facts(request: HttpRequest, reads: ContextReads | None = None) -> Received | None:
    """Return what `facts_of` does, if Django is about to serve another request than was decided."""
    access = getattr(request, "authz", None)
    if isinstance(access, Access):
        decided = access.facts
        if decided.path == path_of(request) and decided.method.upper() == request.method:
            return None
    return facts_of(request, reads)


def mounted_facts(request: HttpRequest, facts: RequestFacts) -> tuple[RequestFacts, str]:
    """Return where the request stands on its host: facts and mount, for the metadata."""
    if isinstance(request, ASGIRequest):
        scope = request.scope
        return facts._replace(path=scope["path"], root_path=scope.get("root_path") or ""), ""
    return facts, request.META.get("SCRIPT_NAME", "")


def accept_of(request: HttpRequest) -> str | None:
    """Return the client's Accept field."""
    accept: str | None = request.META.get("HTTP_ACCEPT")
    return accept


def path_of(request: HttpRequest) -> str:
    """Return what Django routes on."""
    # Bytes that are not UTF-8 are escapes here, and so refused.
    return request.path_info or "/"


def _lines(received: Authorization, joined: Authorization) -> Authorization:
    """Return the field lines of an ASGI server, unless a middleware put something else there.

    Django joins them with a comma, after which a second line is harder to see.
    """
    return received if b",".join(received) == b",".join(joined) else joined
