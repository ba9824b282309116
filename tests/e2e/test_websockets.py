"""WebSocket handshakes: let in, refused with the right status, and over servers that have none."""

from __future__ import annotations

import socket

import pytest
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect

from tests.e2e.setups import SETUPS
from tests.e2e.wire import HANDSHAKE, ask

pytestmark = pytest.mark.e2e

ASGI = [setup for setup in SETUPS if setup.world == "asgi"]
WSGI = [setup for setup in SETUPS if setup.world == "wsgi"]
asgi = pytest.mark.parametrize("running", ASGI, indirect=True, ids=repr)


def opened(running, target, field):
    name, value = field.split(": ")
    return connect(
        f"ws://127.0.0.1:{running.port}{target}", additional_headers={name: value}, proxy=None
    )


@asgi
def test_let_in_it_knows_its_caller(running, vera, eddy):
    with opened(running, "/lab/echo", vera) as one, opened(running, "/lab/echo", eddy) as other:
        for word in ("a", "b"):
            one.send(word)
            other.send(word)
            assert one.recv(10) == f"vera: {word}"
            assert other.recv(10) == f"eddy: {word}"


@asgi
@pytest.mark.parametrize(
    ("target", "caller", "status"),
    [
        ("/lab/echo", "nobody", 401),
        ("/lab/echo", "twice", 400),
        ("/lab/who", "vera", 403),
        ("/lab/nowhere", "vera", 403),
        ("/lab/require", "vera", 403),
        ("/lab//echo", "vera", 400),
        ("/lab/%2e%2e/lab/echo", "vera", 400),
        ("/lab/echo%2f", "vera", 400),
    ],
)
def test_refused(running, vera, eddy, target, caller, status):
    fields = {"nobody": (), "vera": (vera,), "twice": (vera, eddy)}[caller]
    answer = ask(running.port, "GET", target, *HANDSHAKE, *fields)
    assert answer.status == running.setup.handshake(status)
    assert (answer.problem.get("status") == status) == running.setup.refuses_in_full
    assert ("cache-control" in answer.headers) == running.setup.refuses_in_full


@asgi
def test_refused_to_a_client(running):
    with pytest.raises(InvalidStatus) as refused, opened(running, "/lab/echo", "X: y"):
        pass
    assert refused.value.response.status_code == running.setup.handshake(401)


@asgi
def test_denied_after_the_handshake_it_is_closed(running, vera):
    with opened(running, "/lab/require-later", vera) as websocket:
        websocket.send("go")
        with pytest.raises(ConnectionClosedError) as closed:
            websocket.recv(10)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == running.setup.close_code


@asgi
def test_a_client_that_leaves_is_forgotten(running, vera):
    with opened(running, "/lab/echo", vera) as websocket:
        websocket.send("a")
        assert websocket.recv(10) == "vera: a"
        websocket.socket.shutdown(socket.SHUT_RDWR)
    assert b'"subject": null' in ask(running.port, "GET", "/lab/open").body


@pytest.mark.parametrize("running", WSGI, indirect=True, ids=repr)
def test_a_handshake_over_wsgi_must_be_allowed_as_both(running, vera):
    """Only some apps take it for one; hypercorn refuses it before anybody is asked."""
    refuses = running.setup.refuses_upgrades
    for target, status in (("/lab/who", 403), ("/lab/echo", 403), ("/lab/both", 200)):
        answer = ask(running.port, "GET", target, *HANDSHAKE, vera)
        assert answer.status == (403 if refuses else status)
        assert bool(answer.problem) == (status == 403 and not refuses)
    assert ask(running.port, "GET", "/lab/both", *HANDSHAKE).status == (403 if refuses else 401)
