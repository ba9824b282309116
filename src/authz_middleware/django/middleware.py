"""The Django adapter: one middleware, under WSGI and ASGI, without a change of thread in either."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from authz_middleware.access import Access, enter
from authz_middleware.django.configuration import configured, guarded
from authz_middleware.django.requests import (
    Received,
    accept_of,
    changed_facts,
    facts_of,
    mounted_facts,
    path_of,
)
from authz_middleware.django.streaming import GUARD, finished
from authz_middleware.effects import Outcome, Refuse, Routed
from authz_middleware.errors import AccessDenied
from authz_middleware.facts import Answer, RequestFacts
from authz_middleware.frameworks.django import (
    answer_denials,
    look_at_changes,
    looked,
    respond,
)
from authz_middleware.frameworks.django_routes import key
from authz_middleware.runtime.authz import not_loaded
from authz_middleware.runtime.guarded import Guarded
from authz_middleware.runtime.serving import Serving
from authz_middleware.wsgi import set_remote_user

__all__ = ["AuthzMiddleware"]

GetResponse = Callable[[HttpRequest], Any]  # a response, or under ASGI the promise of one
Refusing = Callable[[HttpRequest, Answer], HttpResponseBase]


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
        look_at_changes()
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
        facts, authorization = _begin(request, serving)
        if answer := self._answer(request, serving, facts):
            return respond(answer, request)
        outcome = self._left(request, serving, serving.outcome(facts, authorization))
        if refusal := self._concluded(request, serving, facts, outcome, _refused):
            return refusal
        try:
            response: HttpResponseBase = self.get_response(request)
            return finished(request, response, ahead=True)
        finally:
            enter(None)

    async def _serve_async(self, request: HttpRequest) -> HttpResponseBase:
        serving = self.authz.serving
        facts, authorization = _begin(request, serving)
        if answer := self._answer(request, serving, facts):
            return respond(answer, request)
        outcome = self._left(request, serving, await serving.outcome_async(facts, authorization))
        if refusal := self._concluded(request, serving, facts, outcome, _refused):
            return refusal
        try:
            response: HttpResponseBase = await self.get_response(request)
            return finished(request, response, ahead=False)
        finally:
            enter(None)

    @cached_property
    def _guarded(self) -> Guarded:
        return guarded()  # with the first request: then the routes are all there

    def _answer(self, request: HttpRequest, serving: Serving, facts: RequestFacts) -> Answer | None:
        """Return what is answered without asking who calls."""
        if self._guarded.served(serving) is None:
            return not_loaded(accept_of(request))
        return serving.metadata(*mounted_facts(request, facts))

    def _left(self, request: HttpRequest, serving: Serving, outcome: Outcome) -> Outcome:
        """Let Django say 404 where the policy wants that, and nobody knows the path."""
        if isinstance(outcome, Refuse):
            return self._guarded.left_to_the_app(outcome, serving, vars(request)) or outcome
        return outcome

    # Django's hook between its router and the view. What a middleware after us made of the request
    # must be allowed as well, and so must the view that was taken.

    def _look_again(
        self, request: HttpRequest, view: object, *_arguments: object
    ) -> HttpResponseBase | None:
        serving = self._served_under(request)
        changed = changed_facts(request, serving.settings.context_reads)
        if changed is not None:
            facts, authorization = changed
            outcome = serving.outcome(facts, authorization)
            if refusal := self._concluded(request, serving, facts, outcome, _overruled):
                return refusal
        return _look_at(request, view)

    async def _look_again_async(
        self, request: HttpRequest, view: object, *_arguments: object
    ) -> HttpResponseBase | None:
        serving = self._served_under(request)
        changed = changed_facts(request, serving.settings.context_reads)
        if changed is not None:
            facts, authorization = changed
            outcome = await serving.outcome_async(facts, authorization)
            if refusal := self._concluded(request, serving, facts, outcome, _overruled):
                return refusal
        return _look_at(request, view)

    def _served_under(self, request: Any) -> Serving:
        """Return the policy that the request began with, whatever has replaced it since."""
        began: Serving | None = getattr(request, "_authz_serving", None)
        return began or self.authz.serving

    def _concluded(
        self,
        request: Any,
        serving: Serving,
        facts: RequestFacts,
        outcome: Outcome,
        refuse: Refusing,
    ) -> HttpResponseBase | None:
        """Return the refusal, made by `refuse`, or None once the request has its `Access`."""
        accept = accept_of(request)
        if isinstance(outcome, Refuse):
            return refuse(request, serving.refused(facts, outcome, accept))
        binding = self._guarded.binding(serving)
        request._authz_serving = serving  # noqa: SLF001 - ours
        request.authz = access = serving.admitted(facts, outcome, accept, binding)
        # Our own, since `request.authz` is the project's to drop.
        if isinstance(earlier := getattr(request, GUARD, None), Access):
            access.take_over(earlier)
        setattr(request, GUARD, access)
        if wanted := serving.settings.remote_user:
            set_remote_user(request.META, access, with_issuer=wanted != "sub")
        enter(access)
        return None


def _begin(request: Any, serving: Serving) -> Received:
    enter(None)
    request.authz = None
    return facts_of(request, serving.settings.context_reads)


def _look_at(request: Any, view: object) -> HttpResponseBase | None:
    """Return the refusal of the view that was taken, or None."""
    asked = Routed(("", key(request, view)), "http", request.method, path_of(request))
    try:
        request.authz.look_again(asked)
    except AccessDenied as denied:
        return _overruled(request, denied.answer)
    looked(request, "inside", asked, request.authz.look_again)
    return None


def _refused(request: Any, answer: Answer) -> HttpResponseBase:
    """Return a refusal; from now on nobody calls."""
    enter(None)
    request.authz = None
    setattr(request, GUARD, None)
    return respond(answer, request)


def _overruled(request: Any, answer: Answer) -> HttpResponseBase:
    """Return one that is sent whatever the middlewares after us make of it."""
    request._authz_overruled = answer  # noqa: SLF001 - ours
    return _refused(request, answer)
