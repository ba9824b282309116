"""The server of `authz pdp` over loopback: what is sent to it byte by byte, and by many at once."""

from __future__ import annotations

import json
import socket
from collections.abc import Generator

import pytest

from authz_middleware.authzen.evaluation import MAX_BODY
from authz_middleware.pdp import server
from tests.pdp.asking import EVALUATION, TOKEN, serve

BODY = json.dumps(
    {
        "subject": {"type": "anonymous", "id": "-"},
        "action": {"name": "GET"},
        "resource": {"type": "route", "id": "/open"},
    }
).encode()
POINT = serve({"routes": {"GET /open": "public"}}, tokens=[TOKEN])


@pytest.fixture
def port() -> Generator[int]:
    with server.serving(lambda _: POINT, "127.0.0.1", 0) as bound:
        yield bound


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def received(connection: socket.socket) -> bytes:
    """All that comes until the server closes the connection."""
    found = bytearray()
    while more := connection.recv(65_536):
        found += more
    return bytes(found)


def sent(port: int, *texts: bytes) -> bytes:
    with connected(port) as connection:
        for text in texts:
            connection.sendall(text)
        return received(connection)


def request(
    *fields: str,
    body: bytes = BODY,
    length: bool = True,
    token: str = TOKEN,
    path: str = EVALUATION,
) -> bytes:
    kind = () if any(each.startswith("Content-Type") for each in fields) else ("application/json",)
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {token}",
        *(f"Content-Type: {each}" for each in kind),
        *([f"Content-Length: {len(body)}"] if length else []),
        *fields,
    ]
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1") + b"\r\n" + body


def status(answer: bytes) -> int:
    """The one status in an answer."""
    assert answer.count(b"HTTP/1.") == 1
    return int(answer.split(b" ", 2)[1])


def test_a_question(port: int) -> None:
    answer = sent(port, request("X-Request-ID: 77"))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert (status(answer), json.loads(body)) == (200, {"decision": True})
    assert b"\r\nX-Request-ID: 77\r\n" in head + b"\r\n"
    assert b"\r\nConnection: close\r\n" in head
    assert b"\r\nServer:" not in head


HOSTILE = {
    "two lengths": (request("Content-Length: 5"), 400),
    "one length twice": (request(f"Content-Length: {len(BODY)}"), 400),
    "a length and chunks": (request("Transfer-Encoding: chunked"), 400),
    "chunks": (request("Transfer-Encoding: chunked", length=False), 411),
    "chunks in other words": (request("transfer-encoding: xchunked", length=False), 411),
    "no length": (request(length=False), 400),
    "a negative length": (request("Content-Length: -1", length=False), 400),
    "two types": (request("Content-Type: application/json", "Content-Type: text/plain"), 400),
    "two secrets": (request(f"Authorization: Bearer {TOKEN}"), 401),
    "another secret": (request(token=TOKEN[::-1]), 401),
    "another path": (request(path="/access/v1/evaluation/../evaluation"), 404),
    "an escape in the path": (request(path="/access/v1/e%76aluation"), 200),
    "a query": (request(path=EVALUATION + "?x=1"), 200),
    "two in one connection": (request() + request(), 200),
    "one behind a refusal": (request("Content-Length: 0") + request(), 400),
    "more than its length": (request() + b"x" * 100_000, 200),
    "a body that nobody reads": (request(token="x", body=b"x" * 2 * MAX_BODY), 401),
    "a body that is too long": (request(body=b"x" * (MAX_BODY + 1)), 413),
    "no request": (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
    "a line without end": (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
    "a field without end": (request("X: " + "a" * 70_000), 431),
    "fields without end": (request(*(f"X-{each}: 1" for each in range(200))), 431),
    "a line alone": (b"GET /access/v1/evaluation\r\n\r\n", 505),
    "a space before the colon": (request("Content-Length : 5", length=False), 400),
    "a field of two lines": (request("X: 1\r\n Content-Length: 5"), 200),
    "another version": (b"GET / HTTP/3.0\r\n\r\n", 505),
}


@pytest.mark.parametrize(("text", "expected"), HOSTILE.values(), ids=HOSTILE)
def test_what_is_hostile_gets_one_answer(port: int, text: bytes, expected: int) -> None:
    """Also where the client still sends: it is not cut off before it has the answer."""
    assert status(sent(port, text)) == expected
    assert status(sent(port, request())) == 200


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", b""),
        (b"POST /acc", b""),
        (request()[:60], b""),
        (request()[:-1], b"HTTP/1.1 408"),
    ],
    ids=["nothing", "half a line", "half a head", "half a body"],
)
def test_who_is_slow_is_given_up_on(
    port: int, text: bytes, expected: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MAX_SECONDS", 0.1)
    assert sent(port, text)[:12] == expected
    monkeypatch.undo()
    assert status(sent(port, request())) == 200


def test_a_drip_does_not_prolong_it(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time is for all of it, however little comes each time."""
    monkeypatch.setattr(server, "MAX_SECONDS", 0.3)
    with connected(port) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nX: ")
        connection.settimeout(0.01)
        answer = None
        while answer is None:
            try:
                answer = connection.recv(1)
            except TimeoutError:
                connection.sendall(b"a")
            except ConnectionError:
                answer = b""
        assert answer == b""


def test_who_goes_away_is_no_matter(port: int, capfd: pytest.CaptureFixture[str]) -> None:
    for text in (b"", b"POST", request()[:-5], request()):
        with connected(port) as connection:
            connection.sendall(text)
    assert status(sent(port, request())) == 200
    assert capfd.readouterr() == ("", "")


def test_only_so_many_are_served_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others wait, and have their turn."""
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 2)
    with server.serving(lambda _: POINT, "127.0.0.1", 0) as port:
        idle = [connected(port) for _ in range(2)]
        waiting = [connected(port) for _ in range(5)]
        for connection in waiting:
            connection.sendall(request())
        for connection in idle:
            connection.close()
        for connection in waiting:
            with connection:
                assert status(received(connection)) == 200


def test_it_ends_when_the_block_ends() -> None:
    with server.serving(lambda _: POINT, "127.0.0.1", 0) as port:
        pass
    with pytest.raises(ConnectionRefusedError):
        connected(port)


def test_an_app_that_cannot_be_made_serves_nothing() -> None:
    bound: list[int] = []

    def fails(port: int) -> object:
        bound.append(port)
        raise ValueError

    with pytest.raises(ValueError), server.serving(fails, "127.0.0.1", 0):  # type: ignore[arg-type]
        pass
    with pytest.raises(ConnectionRefusedError):
        connected(bound[0])
