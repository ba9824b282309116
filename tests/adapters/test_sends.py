"""What an app sends is judged when it is sent, not when its `send` is called.

ASGI alone: under WSGI `start_response` is no awaitable.
"""

from __future__ import annotations

import asyncio
from contextlib import closing, suppress
from typing import Any

import pytest
from starlette.applications import Starlette

from authz_middleware import AccessDenied, ASGIAuthzMiddleware, Authz
from tests.adapters.exchange import call_asgi, scope_for

WRITE = "article:write"
SECRET = {"type": "http.response.body", "body": b"secret"}


def start(status: int = 200) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": []}


async def never_awaited(send: Any, access: Any) -> None:
    send(start(404)).close()


async def cancelled(send: Any, access: Any) -> None:
    task = asyncio.ensure_future(send(start(404)))
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def answers(send: Any, access: Any) -> None:
    await send(start())
    await send(SECRET)


async def in_other_tasks(send: Any, access: Any) -> None:
    await asyncio.gather(send(start()), send(SECRET))


async def body_made_first(send: Any, access: Any) -> None:
    body = send(SECRET)
    await send(start())
    await body


async def asks(send: Any, access: Any) -> None:
    access.require(WRITE)


async def made_before_it_asks(send: Any, access: Any) -> None:
    with closing(send(start())) as made:
        access.require(WRITE)
        await made
    await send(SECRET)


async def failure_made_before_it_asks(send: Any, access: Any) -> None:
    made = send(start(500))
    with suppress(AccessDenied):
        access.require(WRITE)
    await made
    await send(SECRET)


# What the app does, one after the other; what an editor and a viewer are answered.
CASES: dict[str, tuple[tuple[Any, ...], int, int]] = {
    "in other tasks": ((in_other_tasks,), 500, 500),
    "the body made before the start": ((body_made_first,), 500, 500),
    "a start never awaited, then one without a question": ((never_awaited, answers), 500, 500),
    "a start cancelled, then one without a question": ((cancelled, answers), 500, 500),
    "a start never awaited, then a question": ((never_awaited, asks, answers), 200, 403),
    "a start cancelled, then a question": ((cancelled, asks, answers), 200, 403),
    "a start made before the question": ((made_before_it_asks,), 200, 403),
    "a failure made before the question": ((failure_made_before_it_asks,), 500, 403),
}


def does(*steps: Any) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for step in steps:
            await step(send, scope["authz"])

    return app


def bearer(issuer: Any, role: str) -> list[tuple[str, str]]:
    return [("Authorization", f"Bearer {issuer.mint('ann', roles=[role])}")]


@pytest.mark.parametrize(("steps", "editor", "viewer"), CASES.values(), ids=CASES)
def test_a_start_is_judged_when_it_is_sent(
    steps: Any, editor: int, viewer: int, policy: Any, clock: Any, issuer: Any
) -> None:
    rule = {"roles": ["viewer"], "must_check": WRITE}
    authz = Authz.from_mapping({**policy, "routes": {"GET /checked": rule}}, clock=clock)
    guarded = ASGIAuthzMiddleware(does(*steps), authz)
    for role, status in (("editor", editor), ("viewer", viewer)):
        sent = call_asgi(guarded, scope_for("GET", "/checked", bearer(issuer, role)))
        assert sent.status == status
        assert (b"secret" in sent.body) == (status == 200 or (role, steps) == _ITS_OWN)


_ITS_OWN = ("editor", (failure_made_before_it_asks,))
"""A failure of the app that is not ours to answer."""


@pytest.mark.parametrize("dropped", [never_awaited, cancelled])
def test_a_404_that_was_not_sent_opens_nothing(
    dropped: Any, policy: Any, clock: Any, issuer: Any
) -> None:
    lenient = {**policy, "routes": {"GET /a": ["viewer"]}, "unmatched": "app"}
    authz = Authz.from_mapping(lenient, clock=clock)
    guarded = ASGIAuthzMiddleware(does(dropped, answers), authz, routes_of=Starlette())
    for fields, status in (([], 401), (bearer(issuer, "editor"), 403)):
        sent = call_asgi(guarded, scope_for("GET", "/nowhere", fields))
        assert sent.status == status
        assert b"secret" not in sent.body
