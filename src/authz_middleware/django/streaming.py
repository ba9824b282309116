"""What becomes of a response: a denial is our refusal, a stream knows its caller throughout."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import suppress
from itertools import chain
from operator import attrgetter
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from authz_middleware.access import Access, enter
from authz_middleware.errors import AccessDenied
from authz_middleware.facts import Answer
from authz_middleware.frameworks.django import respond

__all__ = ["GUARD", "finished"]

GUARD = "_authz_access"
"""Where a request carries the `Access` that its response is held against."""


def finished(request: HttpRequest, response: HttpResponseBase, *, ahead: bool) -> HttpResponseBase:
    """Return what the client gets: `response`, or our refusal where it stands for a denial.

    `ahead` is whether the first chunk is made now, so that a denial in it can still be answered.
    Under WSGI that delays nothing, since no server sends the head before it. Under ASGI the head
    goes first, and an event stream may have nothing to say for long.
    """
    overruled = getattr(request, "_authz_overruled", None)
    if isinstance(overruled, Answer):
        return _instead_of(response, overruled, request)
    access = getattr(request, "authz", None)
    if not isinstance(access, Access):
        return _checked(request, response)
    if access.denied is not None and response.status_code >= 500:
        return _instead_of(response, access.denied, request)
    if not response.streaming or getattr(response, "file_to_stream", None) is not None:
        return _checked(request, response)  # a file is the server's to send
    streamed: Any = response
    chunks = streamed.streaming_content
    # The head goes first there.
    if streamed.is_async or not ahead:
        checked = _checked(request, response)
        if checked is not response:
            return checked
    if streamed.is_async:
        streamed.streaming_content = _known_async(chunks, access)
    else:
        known = _known(chunks, access)
        first: list[bytes] = []
        if ahead:
            try:
                first = _first(known)
            except Exception as error:
                denied = AccessDenied.within(error)
                if denied is None:
                    _release(response)  # another response is sent, and nobody closes this one
                    raise
                return _instead_of(response, denied.answer, request)
            if (checked := _checked(request, response)) is not response:
                return checked
        streamed.streaming_content = chain(first, known)
    _know_at_close(response, access)
    return response


def _checked(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Return `response`, or the refusal of one that starts before `must_check` was asked."""
    access = getattr(request, GUARD, None)
    unchecked = access.unchecked(response.status_code) if isinstance(access, Access) else None
    return response if unchecked is None else _instead_of(response, unchecked, request)


# What a response holds. Its own `close` would tell everybody that the request is finished.
_closers: Callable[[HttpResponseBase], list[Callable[[], object]]] = attrgetter("_resource_closers")


def _instead_of(response: HttpResponseBase, answer: Answer, request: HttpRequest) -> HttpResponse:
    refusal = respond(answer, request)
    _closers(refusal).extend(_closers(response))  # closed with the one that is sent
    return refusal


def _release(response: HttpResponseBase) -> None:
    for closer in _closers(response):
        with suppress(Exception):  # as Django does
            closer()


def _first(chunks: Iterator[bytes]) -> list[bytes]:
    """Return the chunks up to the first that is not empty."""
    first: list[bytes] = []
    for chunk in chunks:
        first.append(chunk)
        if chunk:
            break
    return first


def _known(chunks: Iterable[bytes], access: Access) -> Iterator[bytes]:
    iterator = iter(chunks)
    while True:
        enter(access)
        try:
            chunk = next(iterator)
        except StopIteration:
            return
        finally:
            enter(None)  # the server may serve somebody else on this thread before the next one
        yield chunk


async def _known_async(chunks: AsyncIterator[bytes], access: Access) -> AsyncIterator[bytes]:
    iterator = aiter(chunks)
    while True:
        enter(access)
        try:
            chunk = await anext(iterator)
        except StopAsyncIteration:
            return
        finally:
            enter(None)
        yield chunk


def _know_at_close(response: HttpResponseBase, access: Access) -> None:
    close = response.close

    def close_known() -> None:
        enter(access)
        try:
            close()
        finally:
            enter(None)

    response.close = close_known  # type: ignore[method-assign]  # as Django does for files
