"""The Django adapter: one middleware, under WSGI and ASGI, without a change of thread in either."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from authz_middleware.access import enter
from authz_middleware.django.configuration import configured
from authz_middleware.django.requests import accept_of, changed_facts, facts_of, mounted_facts
from authz_middleware.django.streaming import finished
from authz_middleware.engine import Outcome, Refuse
from authz_middleware.facts import RequestFacts
from authz_middleware.frameworks.django import answer_denials, respond
from authz_middleware.runtime.serving import Serving
from authz_middleware.wsgi import set_remote_user

__all__ = ["AuthzMiddleware"]

GetResponse = Callable[[HttpRequest], Any]  # a response, or under ASGI the promise of one


class AuthzMiddleware:
    """Verifies the bearer token of every request to a Django project and enforces the policy.

    The setting AUTHZ_CONFIG is a policy file, a mapping of its shape, or an `Authz`; without it,
    the environment variable of that name is the file. Raises `PolicyError` where Django loads its
    middleware if the policy cannot be served. A request that is let through carries an `Access`
    as `request.authz`; neither a later middleware nor a view sees one that is refused.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.authz = configured()
        answer_denials()
        # Not the one of `inspect`, which knows no marks before Python 3.12.
        self._is_async = iscoroutinefunction(get_response)  # pyright: ignore[reportDeprecated]
        # Django asks each of the two whether it is a coroutine function, and would put one that is
        # not in its own mode on another thread.
        self.process_view: Callable[..., Any] = self._look_again
        if self._is_async:
            markcoroutinefunction(self)
            self.process_view = self._look_again_async

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a `process_view`: each instance has ours, so it would never be asked."""
        super().__init_subclass__(**kwargs)
        if "process_view" in vars(cls):
            raise TypeError(f"put process_view of {cls.__name__} in a middleware of its own")

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Serve one request."""
        return self._serve_async(request) if self._is_async else self._serve(request)

    def _serve(self, request: HttpRequest) -> HttpResponseBase:
        serving = self.authz.serving
        facts = _begin(request)
        if document := serving.metadata(*mounted_facts(request, facts)):
            return respond(document, request)
        if refusal := _concluded(request, serving, facts, serving.outcome(facts)):
            return refusal
        try:
            response: HttpResponseBase = self.get_response(request)
            return finished(request, response, ahead=True)
        finally:
            enter(None)

    async def _serve_async(self, request: HttpRequest) -> HttpResponseBase:
        serving = self.authz.serving
        facts = _begin(request)
        if document := serving.metadata(*mounted_facts(request, facts)):
            return respond(document, request)
        if refusal := _concluded(request, serving, facts, await serving.outcome_async(facts)):
            return refusal
        try:
            response: HttpResponseBase = await self.get_response(request)
            return finished(request, response, ahead=False)
        finally:
            enter(None)

    # Django's hook between its router and the view. What a middleware after us made of the request
    # must be allowed as well.

    def _look_again(self, request: HttpRequest, *_view: object) -> HttpResponseBase | None:
        facts = changed_facts(request)
        if facts is None:
            return None
        serving = self.authz.serving
        return _concluded(request, serving, facts, serving.outcome(facts))

    async def _look_again_async(
        self, request: HttpRequest, *_view: object
    ) -> HttpResponseBase | None:
        facts = changed_facts(request)
        if facts is None:
            return None
        serving = self.authz.serving
        return _concluded(request, serving, facts, await serving.outcome_async(facts))


def _begin(request: Any) -> RequestFacts:
    enter(None)
    request.authz = None
    return facts_of(request)


def _concluded(
    request: Any, serving: Serving, facts: RequestFacts, outcome: Outcome
) -> HttpResponseBase | None:
    """Return the refusal, or None once the request has its `Access`."""
    if isinstance(outcome, Refuse):
        enter(None)
        request.authz = None
        return respond(serving.refused(facts, outcome, accept_of(request)), request)
    request.authz = access = serving.admitted(facts, outcome, accept_of(request))
    if wanted := serving.settings.remote_user:
        set_remote_user(request.META, access, with_issuer=wanted != "sub")
    enter(access)
    return None
