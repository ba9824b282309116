"""What goes over one connection: several requests and callers, streams, and clients that leave."""

from __future__ import annotations

import json
from http.client import IncompleteRead
from pathlib import Path

import pytest

from tests.e2e.lab import wsgi
from tests.e2e.setups import SETUPS
from tests.e2e.wire import BROKEN, Connection, ask, channel

pytestmark = pytest.mark.e2e

WSGI = [setup for setup in SETUPS if setup.world == "wsgi"]
CHUNK = wsgi.CHUNK


def subject(answer) -> str | None:
    assert answer.status == 200
    return json.loads(answer.body)["subject"]


def goes_on(connection, running, closes: bool, field: str, name: str) -> bool:
    """Whether a connection is of use after a refusal: the next answer on it is the next caller's.

    Closed is as good, if it is really closed: nothing may be left on it for whoever comes next.
    """
    if closes:
        assert connection.at_end()
        return False
    try:
        assert subject(connection.ask("GET", "/lab/who", field)) == name
    except BROKEN:
        assert connection.at_end()
        return False
    return True


# One connection, several requests.


def test_callers_on_one_connection_are_never_mixed(running, vera, eddy):
    callers = [(vera, "vera"), (eddy, "eddy"), ("X: y", None), (vera, "vera"), ("X: y", None)]
    with Connection(running.port) as connection:
        for field, name in callers:
            answer = connection.ask("GET", "/lab/open", field)
            assert subject(answer) == name
            assert answer.closes != running.setup.keeps_alive
            if answer.closes:
                return


def test_pipelined_callers_are_never_mixed(running, vera, eddy):
    with Connection(running.port) as connection:
        for field in (vera, "X: y", eddy):
            connection.send("GET", "/lab/open", field)
        connection.send("GET", "/lab/who")
        for name in ("vera", None, "eddy"):
            answer = connection.answer()
            assert subject(answer) == name
            if answer.closes:
                assert not running.setup.keeps_alive
                return
        assert connection.answer().status == 401


@pytest.mark.parametrize("method", ["HEAD", "GET", "head", "OPTIONS"])
def test_after_a_refusal(running, vera, method):
    with Connection(running.port) as connection:
        if method in running.setup.broken_methods:
            with pytest.raises(IncompleteRead):  # it ends in the middle, and nothing follows
                connection.ask(method, "/lab/who")
            return
        refused = connection.ask(method, "/lab/who")
        assert refused.status == (400 if method in running.setup.unknown_methods else 401)
        assert bool(refused.body) == (method != "HEAD")
        useful = goes_on(connection, running, refused.closes, vera, "vera")
        assert useful == (running.setup.keeps_alive and method not in running.setup.unknown_methods)


@pytest.mark.parametrize("size", [1, 10_000])
def test_after_a_refusal_with_a_body_that_nobody_read(running, vera, size):
    with Connection(running.port) as connection:
        connection.send("POST", "/lab/upload", f"Content-Length: {size}", body=b"x" * size)
        refused = connection.answer("POST")
        assert refused.status == 401
        useful = goes_on(connection, running, refused.closes, vera, "vera")
        assert useful == running.setup.keeps_alive


def test_after_a_refusal_with_a_chunked_body_that_nobody_read(running, vera):
    body = b"5\r\nhello\r\n0\r\n\r\n"
    with Connection(running.port) as connection:
        connection.send("POST", "/lab/upload", "Transfer-Encoding: chunked", body=body)
        refused = connection.answer("POST")
        assert refused.status == 401
        useful = goes_on(connection, running, refused.closes, vera, "vera")
        assert useful == running.setup.keeps_alive


def test_a_large_body_that_nobody_read_harms_nobody(running, vera):
    """A server may cut the connection, and our answer with it; it may do nothing else."""
    size = 2_000_000
    with Connection(running.port) as connection:
        try:
            connection.send("POST", "/lab/upload", f"Content-Length: {size}", body=b"x" * size)
            refused = connection.answer("POST")
            assert refused.status == 401
            goes_on(connection, running, refused.closes, vera, "vera")
        except BROKEN:
            pass
    assert subject(ask(running.port, "GET", "/lab/open")) is None


def test_expect_continue(running, vera):
    """Where the server asks us before it asks for the body, no body is sent for a refusal."""
    size = 10_000
    fields = (f"Content-Length: {size}", "Expect: 100-continue")
    with Connection(running.port) as connection:
        connection.send("POST", "/lab/upload", *fields)
        continued = connection.interim()
        if running.setup.continues_unasked is not None:
            assert continued == running.setup.continues_unasked
        if continued:
            connection.socket.sendall(b"x" * size)
        refused = connection.answer("POST")
        assert refused.status == 401
        try:
            if not continued and not refused.closes:
                connection.socket.sendall(b"x" * size)  # RFC 9110 §10.1.1: it may still read it
        except BROKEN:
            return
        goes_on(connection, running, refused.closes, vera, "vera")


# Streams.


def test_a_stream_is_sent_as_it_is_made_and_knows_its_caller(running, vera):
    with channel() as test, Connection(running.port) as connection:
        connection.send("GET", f"/lab/stream?channel={test.port}", vera)
        test.accept()  # the handler waits for us from here on: what comes was sent before the end
        response = connection.head()
        assert (response.status, response.readline()) == (200, b"vera\n")
        for _ in range(3):
            test.go()
            assert response.read(CHUNK).endswith(b".vera\n")
        test.finish()
        assert response.read() == b""
        assert test.heard() == "closed vera"


def test_an_upload_is_read_as_it_comes(running, vera):
    with channel() as test, Connection(running.port) as connection:
        fields = (vera, f"Content-Length: {2 * CHUNK}")
        connection.send("POST", f"/lab/upload?channel={test.port}", *fields, body=b"x" * CHUNK)
        if running.setup.streams_uploads:
            assert int(test.accept().heard()) == CHUNK  # the rest has not been sent yet
        connection.socket.sendall(b"x" * CHUNK)
        if not running.setup.streams_uploads:
            test.accept()
        answer = connection.answer("POST")
        assert json.loads(answer.body) == {"subject": "vera", "size": 2 * CHUNK}


def test_a_large_body(running, vera):
    answer = ask(running.port, "GET", "/lab/large", vera)
    assert (answer.status, len(answer.body)) == (200, wsgi.LARGE)
    head = ask(running.port, "HEAD", "/lab/large", vera)
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(wsgi.LARGE))


def test_a_client_that_leaves(running, vera):
    """The handler is told, or its body closed, with its own caller; the next one is nobody."""
    with channel() as test:
        with Connection(running.port) as connection:
            connection.send("GET", f"/lab/stream?channel={test.port}", vera)
            test.accept()
            assert connection.head().readline() == b"vera\n"
            connection.reset()
        if not running.setup.stops_streams:
            test.finish()
        assert test.go_until_heard() == "closed vera"
    for _ in range(8):  # as many as there may be threads
        assert subject(ask(running.port, "GET", "/lab/open")) is None


@pytest.mark.parametrize("running", WSGI, indirect=True, ids=repr)
def test_a_file_is_handed_to_the_server_as_it_is(running, vera):
    content = Path(wsgi.__file__).read_bytes()
    if not running.setup.file_wrapper:
        assert ask(running.port, "GET", "/lab/file", vera).status == 501
        return
    assert ask(running.port, "GET", "/lab/file", vera).body == content
    if running.setup.file_wrapper == "sendfile":
        assert ask(running.port, "GET", "/lab/file?sendfile", vera).body == content
