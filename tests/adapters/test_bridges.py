"""Under asgiref's own tools: its communicator, and a WSGI app served by way of ASGI."""

from __future__ import annotations

import pytest
from asgiref.testing import ApplicationCommunicator
from asgiref.wsgi import WsgiToAsgi

from authz_middleware import ASGIAuthzMiddleware, WSGIAuthzMiddleware
from tests.adapters.exchange import NO_APP, Recorder, scope_for

pytestmark = pytest.mark.asyncio


async def answer(app, scope):
    communicator = ApplicationCommunicator(app, scope)
    await communicator.send_input({"type": "http.request"})
    start = await communicator.receive_output()
    body = await communicator.receive_output()
    await communicator.wait()
    return start["status"], body["body"]


@pytest.mark.parametrize("path", ["/health", "/me"])
async def test_communicator_sees_whole_exchanges(path, authz):
    status, body = await answer(ASGIAuthzMiddleware(Recorder().asgi, authz), scope_for("GET", path))
    assert (status, bool(body)) == (200 if path == "/health" else 401, True)


async def test_websocket_is_refused_only_after_its_connect(authz):
    communicator = ApplicationCommunicator(
        ASGIAuthzMiddleware(NO_APP, authz), scope_for("", "/feed", kind="websocket")
    )
    assert await communicator.receive_nothing()
    await communicator.send_input({"type": "websocket.connect"})
    assert (await communicator.receive_output())["status"] == 401


@pytest.mark.parametrize(("path", "status"), [("/health", 200), ("/me", 401), ("//me", 400)])
async def test_wsgi_by_way_of_asgi(path, status, authz):
    app = WsgiToAsgi(WSGIAuthzMiddleware(Recorder().wsgi, authz))
    scope = scope_for("GET", path, client=("127.0.0.1", 1), server=("127.0.0.1", 80))
    assert (await answer(app, scope))[0] == status
