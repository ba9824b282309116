"""Django: `AccessDenied` is answered wherever Django makes a response of an exception."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import Any

from django.conf import settings
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.core.handlers import exception as handling
from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.core.handlers.wsgi import WSGIHandler
from django.http import Http404, HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError

from authz_middleware.errors import AccessDenied
from authz_middleware.facts import Answer

__all__ = ["answer_denials", "own_root_path", "prepare", "respond"]

# What Django has an answer of its own for. A view that raises one of them while it handles a
# denial has chosen that answer.
_ANSWERED = (
    Http404,
    PermissionDenied,
    BadRequest,
    SuspiciousOperation,
    MultiPartParserError,
)


def prepare(handler: Any) -> None:
    """Let Django answer denials, and its requests have `request.authz`."""
    answer_denials()
    handler = getattr(handler, "application", handler)  # behind a StaticFilesHandler
    if isinstance(handler, (WSGIHandler, ASGIHandler)):
        entry = "get_response" if isinstance(handler, WSGIHandler) else "get_response_async"
        setattr(handler, entry, _telling(getattr(handler, entry)))


def _telling(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def tell(request: Any) -> Any:
        under_asgi = isinstance(request, ASGIRequest)
        request.authz = (request.scope if under_asgi else request.environ).get("authz")
        return get_response(request)

    return tell


def own_root_path() -> str:
    """Return the prefix that Django cuts off the ASGI path, whatever the server says."""
    return settings.FORCE_SCRIPT_NAME or ""


@cache
def answer_denials() -> None:
    """Answer `AccessDenied` where Django answers all exceptions; in this process, once.

    Django does so around the view and around every middleware, by this one function. No documented
    hook is asked about what a middleware raises: it would be logged as a server's error, and told
    to the receivers of `got_request_exception`. The decision records say what else was tried.
    """
    original = handling.response_for_exception

    @wraps(original)
    def response_for_exception(request: HttpRequest, exc: Exception) -> HttpResponse:
        denied = None if isinstance(exc, _ANSWERED) else AccessDenied.within(exc)
        return original(request, exc) if denied is None else respond(denied.answer, request)

    handling.response_for_exception = response_for_exception


def respond(answer: Answer, request: HttpRequest) -> HttpResponse:
    """Return our answer as Django's response."""
    # As received: Django's own `method` is HEAD for `head` too, but servers send a body for that.
    if isinstance(request, ASGIRequest):
        method = request.scope["method"]
    else:
        method = request.META["REQUEST_METHOD"]
    body = b"" if method == "HEAD" else answer.body
    return HttpResponse(body, status=answer.status, headers=dict(answer.headers))
