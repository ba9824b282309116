"""Calls apps as a server does, without one: nothing but the app is measured."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import cycle, islice
from time import process_time
from typing import TYPE_CHECKING, Any, Protocol

from benchmarks.material import Request
from benchmarks.timing import Batch

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

__all__ = [
    "AsgiApp",
    "Loop",
    "asgi_batch",
    "asgi_status",
    "bare_asgi",
    "bare_wsgi",
    "event_loop",
    "pull",
    "receive",
    "send",
    "start_response",
    "wsgi_batch",
    "wsgi_status",
]

Loop = asyncio.AbstractEventLoop
BODY = b'{"id": 7}'
HEADERS = [("content-type", "application/json"), ("content-length", "9")]
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(name.encode(), value.encode()) for name, value in HEADERS],
}
END = {"type": "http.response.body", "body": BODY}


class AsgiApp(Protocol):
    """Any ASGI app; what a scope, `receive` and `send` are differs from framework to framework."""

    def __call__(self, scope: Any, receive: Any, send: Any, /) -> Awaitable[None]: ...


# The least that an app can do.


async def bare_asgi(_scope: Any, _receive: Any, send: Any) -> None:
    """Answer every request alike."""
    await send(START)
    await send(END)


def bare_wsgi(_environ: Any, start_response: Any) -> list[bytes]:
    """Answer every request alike."""
    start_response("200 OK", HEADERS)
    return [BODY]


# What servers put around it.


async def receive() -> dict[str, Any]:
    """Return the empty body of a GET."""
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(message: Any) -> None:
    """Take a message, and drop it."""


def start_response(_status: Any, _headers: Any, _exc_info: Any = None) -> Callable[[bytes], object]:
    """Take the head of a response, and drop it."""
    return len


@contextmanager
def event_loop() -> Iterator[Loop]:
    """Give an event loop for as long as the block runs."""
    with closing(asyncio.new_event_loop()) as loop:
        yield loop


def pull(app: WSGIApplication, environ: Any) -> None:
    """Serve one request through a WSGI app, to the end of its body."""
    body = app(environ, start_response)
    for _ in body:
        pass
    close = getattr(body, "close", None)
    if close is not None:
        close()


# Batches. Neither the first request counts, which warms up what `app()` has just made, nor the
# garbage that the making left.


def asgi_batch(
    loop: Loop, app: Callable[[], AsgiApp], requests: Sequence[Request], *, around: bool = False
) -> Batch:
    """Send `requests` in turn, each in a scope of its own, to what `app()` returns.

    `around`: they may come again when all have been sent. Otherwise each is sent once.
    """
    scopes = [request.scope() for request in requests]

    async def many(calls: int) -> float:
        made = app()
        await made(dict(scopes[0]), receive, send)
        gc.collect()
        turns = _turns(scopes, calls, around=around)
        began = process_time()
        for scope in turns:
            await made(dict(scope), receive, send)
        return process_time() - began

    return lambda calls: loop.run_until_complete(many(calls))


def wsgi_batch(app: Callable[[], WSGIApplication], requests: Sequence[Request]) -> Batch:
    """Send `requests` in turn, each in an environ of its own, to what `app()` returns."""
    environs = [request.environ() for request in requests]

    def many(calls: int) -> float:
        made = app()
        pull(made, dict(environs[0]))
        gc.collect()
        turns = _turns(environs, calls)
        began = process_time()
        for environ in turns:
            pull(made, dict(environ))
        return process_time() - began

    return many


def _turns(
    given: Sequence[dict[str, Any]], calls: int, *, around: bool = False
) -> list[dict[str, Any]]:
    if len(given) == 1:
        return [given[0]] * calls
    counted = given[1:]
    if around:
        return list(islice(cycle(counted), calls))
    if calls > len(counted):
        raise ValueError("a token that comes again is not new")
    return list(counted[:calls])


# Whether what is measured does what it should.


def asgi_status(loop: Loop, app: AsgiApp, request: Request) -> int:
    """Return the status that an ASGI app answers with."""
    found: list[int] = []

    async def note(message: Any) -> None:
        if message["type"] == "http.response.start":
            found.append(message["status"])

    async def once() -> None:
        await app(request.scope(), receive, note)

    loop.run_until_complete(once())
    return found[0]


def wsgi_status(app: WSGIApplication, request: Request) -> int:
    """Return the status that a WSGI app answers with."""
    found: list[int] = []

    def note(status: str, _headers: Any, _exc_info: Any = None) -> Callable[[bytes], object]:
        found.append(int(status[:3]))
        return len

    body = app(request.environ(), note)
    for _ in body:
        pass
    close = getattr(body, "close", None)
    if close is not None:
        close()
    return found[0]
