from __future__ import annotations

import gzip
import socket
import ssl
from http.server import BaseHTTPRequestHandler
from threading import Event, Timer
from typing import Any

import pytest

from authz_middleware.runtime import fetch as module
from authz_middleware.runtime.fetch import FetchFailed, NotFound, NotTaken, TimedOut, fetch, post
from tests.runtime.provider import Provider, answer, gated, raw

BODY = b'{"keys": []}'
QUICK = 0.2
OK = b"HTTP/1.1 200 OK\r\n"


def test_the_body_as_it_is(provider: Provider) -> None:
    provider.at["/x"] = answer(BODY)
    assert fetch(f"{provider.origin}/x").body == BODY
    (headers,) = provider.headers
    assert headers["accept"] == "application/json"
    assert headers["accept-encoding"] == "identity"
    assert not {"authorization", "cookie"} & headers.keys()


def test_a_body_without_a_length_ends_with_the_connection(provider: Provider) -> None:
    provider.at["/x"] = raw(OK + b"\r\n", BODY[:5], BODY[5:])
    assert fetch(f"{provider.origin}/x").body == BODY


@pytest.mark.parametrize("status", [201, 204, 206, 300, 304, 408, 429, 500, 502, 503])
def test_any_other_status_is_a_failure(provider: Provider, status: int) -> None:
    """D05: 200 and nothing else."""
    provider.at["/x"] = answer(b"", status)
    with pytest.raises(FetchFailed, match=f"/x: status {status}$") as failure:
        fetch(f"{provider.origin}/x")
    assert not isinstance(failure.value, NotFound)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 406, 410])
def test_no_such_document(provider: Provider, status: int) -> None:
    provider.at["/x"] = answer(BODY, status)
    with pytest.raises(NotFound, match=f"status {status}$"):
        fetch(f"{provider.origin}/x")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("target", ["/y", "https://169.254.169.254/latest", "file:///etc/passwd"])
def test_a_redirect_is_not_followed(provider: Provider, status: int, target: str) -> None:
    """D08."""
    provider.at["/x"] = answer(b"", status, location=target)
    provider.at["/y"] = answer(BODY)
    with pytest.raises(FetchFailed, match=f"status {status}$"):
        fetch(f"{provider.origin}/x")
    assert provider.asked == ["/x"]


@pytest.mark.parametrize(
    ("size", "fits"), [(99, True), (100, True), (101, False), (100_000, False)]
)
@pytest.mark.parametrize("length", [True, False], ids=["with a length", "without a length"])
def test_size(provider: Provider, size: int, fits: bool, length: bool) -> None:
    """D08."""
    body = b"x" * size
    provider.at["/x"] = answer(body) if length else raw(OK + b"\r\n", body)
    if fits:
        assert fetch(f"{provider.origin}/x", max_bytes=100).body == body
    else:
        with pytest.raises(FetchFailed, match=r"more than 100 bytes$"):
            fetch(f"{provider.origin}/x", max_bytes=100)


def test_the_limits_are_real(provider: Provider) -> None:
    assert module.MAX_BYTES == 1024 * 1024
    assert module.TOTAL_SECONDS == 5.0
    provider.at["/x"] = answer(b"x" * (module.MAX_BYTES + 1))
    with pytest.raises(FetchFailed, match=r"more than 1048576 bytes$"):
        fetch(f"{provider.origin}/x")


def trickle(provider: Provider, start: bytes, drop: bytes) -> Any:
    """Send a drop now and then, always sooner than a time-out for one read would notice."""

    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(start)
        while not provider.stopping.wait(QUICK / 10):
            handler.wfile.write(drop)

    return send


TRICKLES = [
    pytest.param(OK + b"content-length: 1000000\r\n\r\n", b" ", id="body"),
    pytest.param(OK + b"\r\n", b" ", id="body without a length"),
    pytest.param(OK + b"transfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n", id="chunks"),
    pytest.param(OK + b"x-a: ", b"a", id="header"),
    pytest.param(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", id="interim answers"),
    pytest.param(b"HTTP/1.1 2", b"", id="silence"),
]


@pytest.mark.parametrize(("start", "drop"), TRICKLES)
def test_a_provider_that_trickles_is_cut_off(provider: Provider, start: bytes, drop: bytes) -> None:
    provider.at["/x"] = trickle(provider, start, drop)
    with pytest.raises(FetchFailed):
        fetch(f"{provider.origin}/x", total_seconds=QUICK)


def test_the_deadline_is_named(provider: Provider) -> None:
    provider.at["/x"] = trickle(provider, OK + b"x-a: ", b"a")
    with pytest.raises(TimedOut, match=r"took longer than 0\.2 s$"):
        fetch(f"{provider.origin}/x", total_seconds=QUICK)


def test_the_deadline_holds_under_tls(
    tls_provider: Provider, certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.create_default_context(cafile=certificate)
    monkeypatch.setattr(module, "_authorities", lambda: context)
    tls_provider.at["/good"] = answer(BODY)
    tls_provider.at["/slow"] = trickle(tls_provider, OK + b"x-a: ", b"a")
    assert fetch(f"{tls_provider.origin}/good").body == BODY
    with pytest.raises(TimedOut, match="took longer"):
        fetch(f"{tls_provider.origin}/slow", total_seconds=QUICK)


def test_a_deadline_that_passes_while_it_connects(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time is up before there is a connection to cut."""
    provider.at["/x"] = answer(BODY)
    connect = socket.create_connection
    late = Event()

    def expire(deadline: Any) -> None:
        real(deadline)
        late.set()

    def slow(*args: Any, **kwargs: Any) -> socket.socket:
        assert late.wait(30)
        return connect(*args, **kwargs)

    real = module._Deadline._expire
    monkeypatch.setattr(module._Deadline, "_expire", expire)
    monkeypatch.setattr(socket, "create_connection", slow)
    with pytest.raises(TimedOut, match="took longer"):
        fetch(f"{provider.origin}/x", total_seconds=0.05)


def test_an_answer_that_comes_after_the_deadline_is_not_taken(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Event()

    def expire(deadline: Any) -> None:
        deadline._passed.set()  # the connection stays
        gate.set()

    monkeypatch.setattr(module._Deadline, "_expire", expire)
    # Long before the client's own time-out for a read, which is as long.
    monkeypatch.setattr(module, "Timer", lambda seconds, work: Timer(seconds / 100, work))
    provider.at["/x"] = gated(gate, Event(), answer(BODY))
    with pytest.raises(TimedOut, match="took longer"):
        fetch(f"{provider.origin}/x")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "x-gzip", "gzip, identity"])
def test_a_compressed_answer_is_refused(provider: Provider, encoding: str) -> None:
    """D08: a bomb is never unfolded."""
    provider.at["/x"] = answer(gzip.compress(bytes(10_000)), content_encoding=encoding)
    with pytest.raises(FetchFailed, match="compressed"):
        fetch(f"{provider.origin}/x")


def test_said_to_be_identity(provider: Provider) -> None:
    provider.at["/x"] = answer(BODY, content_encoding="identity")
    assert fetch(f"{provider.origin}/x").body == BODY


def test_nobody_there() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(FetchFailed, match=f":{port}/x: ConnectError$"):
            fetch(f"http://127.0.0.1:{port}/x")


GARBAGE = [
    b"",
    b"\0\0\0\0",
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"HTTP/1.1 2000 OK\r\n\r\n",
    OK + b"content-length: 5\r\n\r\nabc",
    OK + b"content-length: -5\r\n\r\nabc",
    OK + b"content-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
    OK + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
    OK + b"x: " + b"y" * 500_000 + b"\r\n\r\n",
    OK + b"no colon\r\n\r\n",
]


@pytest.mark.parametrize("bytes_", GARBAGE, ids=lambda value: repr(value[:40]))
def test_garbage(provider: Provider, bytes_: bytes) -> None:
    provider.at["/x"] = raw(bytes_)
    with pytest.raises(FetchFailed, match=r"/x: [A-Za-z]+$"):
        fetch(f"{provider.origin}/x")


ADDRESSES = [
    "https://a..b/jwks",
    f"https://{'a' * 64}.example/jwks",
    "https://xn--\u0669/jwks",
    "https://\udcff/jwks",
    "ftp://example.com/",
    "relative",
    "http://[::1",
    "http://127.0.0.1:99999/",
    "",
]


@pytest.mark.parametrize("url", ADDRESSES, ids=ascii)
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(FetchFailed):
        fetch(url)


def test_proxies_and_credentials_of_the_environment_are_not_used(
    provider: Provider, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who sets a variable must not choose the keys, nor learn a password."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ann password hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    provider.at["/x"] = answer(BODY)
    assert fetch(f"{provider.origin}/x").body == BODY
    assert "authorization" not in provider.headers[0]


def test_a_certificate_of_nobody(
    tls_provider: Provider, certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D06: whatever the environment says."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    module._authorities.cache_clear()  # read anew, with the variable set
    tls_provider.at["/x"] = answer(BODY)
    with pytest.raises(FetchFailed, match=r"ConnectError$"):
        fetch(f"{tls_provider.origin}/x")
    assert tls_provider.asked == []


def test_https_to_a_server_that_speaks_http(provider: Provider) -> None:
    provider.at["/x"] = answer(BODY)
    with pytest.raises(FetchFailed):
        fetch(f"{provider.origin.replace('http', 'https')}/x")


# Questions


def test_a_question_is_posted(provider: Provider) -> None:
    provider.at["/q"] = answer(BODY, content_type="application/json; charset=utf-8")
    url = f"{provider.origin}/q"
    response = post(url, b"a=1", {"content-type": "x/y", "authorization": "Basic eA=="})
    assert response == (200, "application/json; charset=utf-8", BODY)
    assert provider.bodies == [b"a=1"]
    assert provider.headers[0]["content-type"] == "x/y"
    assert provider.headers[0]["authorization"] == "Basic eA=="
    assert provider.headers[0]["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    "status", [201, 204, 301, 302, 307, 308, 400, 401, 403, 404, 429, 500, 503]
)
def test_other_statuses_are_told_and_not_followed(provider: Provider, status: int) -> None:
    """I02: credentials never go where a redirect points."""
    elsewhere = f"{provider.origin}/elsewhere"
    provider.at["/q"] = answer(b"" if status == 204 else BODY, status, location=elsewhere)
    assert post(f"{provider.origin}/q", b"", {}) == (status, "", b"")
    assert provider.asked == ["/q"]


def test_a_question_is_bounded_too(provider: Provider) -> None:
    provider.at["/large"] = answer(b"x" * 101)
    provider.at["/packed"] = answer(gzip.compress(BODY), content_encoding="gzip")
    provider.at["/slow"] = trickle(provider, OK + b"x-a: ", b"a")
    with pytest.raises(NotTaken, match="more than 100 bytes"):
        post(f"{provider.origin}/large", b"", {}, max_bytes=100)
    with pytest.raises(NotTaken, match="compressed"):
        post(f"{provider.origin}/packed", b"", {})
    with pytest.raises(TimedOut, match="took longer") as slow:
        post(f"{provider.origin}/slow", b"", {}, total_seconds=QUICK)
    assert not isinstance(slow.value, NotTaken)


def test_a_question_to_a_certificate_of_nobody(tls_provider: Provider) -> None:
    """I02: verified TLS, or nothing is sent."""
    tls_provider.at["/q"] = answer(BODY)
    with pytest.raises(FetchFailed, match=r"ConnectError$"):
        post(f"{tls_provider.origin}/q", b"secret", {})
    assert tls_provider.bodies == []
