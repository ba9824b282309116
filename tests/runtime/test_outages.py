"""A provider, or a name service, that is slow or mad: whom it holds up, and for how long.

Real HTTP on loopback; deadlines are shortened rather than waited for.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from authz_middleware import ASGIAuthzMiddleware, Authz, WSGIAuthzMiddleware
from authz_middleware.effects import Pending
from authz_middleware.runtime import drivers
from authz_middleware.runtime.fetch import Fetched, fetch
from authz_middleware.runtime.keys import RemoteKeys
from authz_middleware.tokens.freshness import COOLDOWN, MAX_AGE, OVERDUE, REFRESH_AFTER, RETRY_AFTER
from authz_middleware.tokens.issuers import JwksUri
from tests.runtime.asking import (
    Ask,
    ask,
    ask_async,
    became,
    kids,
    policy,
    remote,
    renew,
    request,
    table,
)
from tests.runtime.provider import APPENDED, JWKS, Behaviour, Clock, Provider, answer, gated, raw
from tests.tokens.minting import ISSUER, jwk, mint, private_key

A, B = jwk("RS256", 0, kid="a"), jwk("RS256", 1, kid="b")
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
QUICK = 0.2
SLOW = "https://slow.example"

both = pytest.mark.parametrize("ask", [ask, ask_async], ids=["sync", "async"])


def token(kid: str = "a", number: int = 0, **claims: object) -> str:
    return mint({"kid": kid}, algorithm="RS256", key=private_key("RS256", number), **claims)


def silent(provider: Provider, start: bytes = b"") -> Behaviour:
    """Return a behaviour that says `start` and then nothing until the test is over."""

    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(start)
        provider.stopping.wait(30)

    return send


def endless(provider: Provider, start: bytes) -> Behaviour:
    """Return a behaviour that never stops sending."""

    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(start)
        while not provider.stopping.is_set():
            handler.wfile.write(b"[" * 65536)

    return send


# What a provider may do instead of publishing its keys. Each is a failed fetch and no more.
MAD = {
    "answers after the deadline": silent,
    "hangs in the header": lambda p: silent(p, OK),
    "hangs in the body": lambda p: silent(p, OK + b'content-length: 99\r\n\r\n{"keys": ['),
    "hangs up": lambda p: raw(b""),
    "sends garbage": lambda p: raw(b"\0\xff\x16\x03garbage\r\n\r\n"),
    "sends a page": lambda p: answer(b"<!doctype html><title>Sign in</title>"),
    "500": lambda p: answer({"keys": [A]}, 500),
    "503": lambda p: answer(b"", 503, retry_after="3600"),
    "404": lambda p: answer(b"", 404),
    "429": lambda p: answer(b"", 429),
    "an endless body": lambda p: endless(p, OK + b"\r\n"),
    "an endless body of a length": lambda p: endless(p, OK + b"content-length: 9999999999\r\n\r\n"),
    "an endless header": lambda p: endless(p, OK + b"x-a: "),
    "a cut-off body": lambda p: raw(OK + b'content-length: 99\r\n\r\n{"keys": []}'),
    "compressed": lambda p: answer(b"\x1f\x8b\x08\0", content_encoding="gzip"),
    "a redirect elsewhere": lambda p: answer(b"", 302, location="https://evil.example/jwks"),
    "a redirect here": lambda p: answer(b"", 307, location="/elsewhere"),
    "no keys": lambda p: answer({"keys": []}),
    "no object": lambda p: answer([A]),
    "a truncated document": lambda p: answer(b'{"keys": [{"kty": "RSA"'),
}


@pytest.mark.parametrize("mad", MAD)
def test_whatever_a_provider_does_the_last_good_keys_serve(
    provider: Provider, clock: Clock, mad: str
) -> None:
    """D08, D10, D11; and without keys it is 503, never 401, never in."""
    url = f"{provider.origin}{JWKS}"
    seconds = 30.0

    def hasty(url: str) -> Fetched:
        return fetch(url, total_seconds=seconds)

    source = RemoteKeys(JwksUri(ISSUER, url), clock, hasty)
    provider.publish(A)
    provider.at["/elsewhere"] = answer({"keys": [B]})
    renew(source)
    provider.at[JWKS], seconds = MAD[mad](provider), QUICK
    clock.now += MAX_AGE + 1  # so old that requests wait for the new ones
    renew(source)
    assert kids(source, clock) == ["a"]
    assert source.readiness(ISSUER, clock()).latest_fetch == "failed"
    empty = RemoteKeys(JwksUri(ISSUER, url), clock, hasty)
    renew(empty)
    view = empty.view(clock())
    assert (view.keys, view.fetchable) == (None, False)
    # And it recovers by itself.
    provider.publish(B)
    seconds = 30.0
    clock.now += RETRY_AFTER
    renew(empty)
    assert kids(empty, clock) == ["b"]


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/jwk-set+json", "text/plain", "text/html", "", "x"],
)
def test_the_type_of_a_document_decides_nothing(
    provider: Provider, clock: Clock, content_type: str
) -> None:
    """D05: providers label key sets as they like; what is parsed is strict JSON or nothing."""
    provider.at[JWKS] = answer({"keys": [A]}, content_type=content_type)
    provider.at[APPENDED] = answer(
        {"issuer": provider.origin, "jwks_uri": f"{provider.origin}{JWKS}"},
        content_type=content_type,
    )
    authz = Authz.from_mapping(policy(table(issuer=provider.origin)), clock=clock)
    assert became(ask(authz, request(token=token(iss=provider.origin)))) == "in"


@both
def test_a_discovery_document_of_another_issuer_is_an_outage(
    provider: Provider, clock: Clock, ask: Ask
) -> None:
    """D03; CVE-2026-22748."""
    provider.publish(A)
    provider.at[APPENDED] = answer(
        {"issuer": "https://evil.example", "jwks_uri": f"{provider.origin}{JWKS}"}
    )
    authz = Authz.from_mapping(policy(table(issuer=provider.origin)), clock=clock)
    caller = request(token=token(iss=provider.origin))
    assert became(ask(authz, caller)) == "keys_unavailable"
    assert provider.asked == [APPENDED]


# Rotation while a fetch is in flight


def rotating(provider: Provider, gate: Event, reached: Event) -> Behaviour:
    """Return a behaviour that has made up its answer before the gate opens."""
    old = json.dumps({"keys": [A]}).encode()
    return gated(gate, reached, answer(old))


def test_a_rotation_while_a_fetch_is_in_flight(provider: Provider) -> None:
    """The answer under way does not have the new key yet: its caller is told to come again."""
    gate, reached = Event(), Event()
    provider.at[JWKS] = rotating(provider, gate, reached)
    # A clock that moves: the token arrives after the provider has made up its answer.
    clock = Clock(1_700_000_000.0)
    authz = remote(provider, clock)
    far = clock.now + 1000
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(ask, authz, request(token=token(exp=far)))
        assert reached.wait(30)
        clock.now += 1
        provider.publish(A, B)  # from now on
        joined = [
            authz.serving._engine.start(*request(token=token("b", 1, exp=far)), clock.now)
            for _ in range(2)
        ]
        steps = [authz.serving._engine.resume(each) for each in joined if isinstance(each, Pending)]
        waiting = [threads.submit(drivers.drive, each, authz.serving._outside) for each in steps]
        gate.set()
        assert became(first.result(30)) == "in"
        assert [became(each.result(30)) for each in waiting] == ["keys_unavailable"] * 2
    clock.now += COOLDOWN
    assert became(ask(authz, request(token=token("b", 1, exp=far)))) == "in"
    assert provider.fetched() == 2


# While one provider hangs


@pytest.fixture
def half(provider: Provider, clock: Clock) -> Any:
    """Return an `Authz` with two issuers, of which the provider of one hangs, and its gate."""
    gate, reached = Event(), Event()
    provider.publish(A)
    provider.at["/slow"] = gated(gate, reached, answer({"keys": [B]}))
    entries = [
        table(grants=["*"], jwks_uri=f"{provider.origin}{JWKS}"),
        table(issuer=SLOW, grants=["*"], jwks_uri=f"{provider.origin}/slow"),
    ]
    yield Authz.from_mapping(policy(*entries), clock=clock), gate, reached
    gate.set()


def test_while_one_provider_hangs_an_event_loop_goes_on(half: Any) -> None:
    """Through the middleware: other issuers, public routes, and other tasks of the loop."""
    authz, gate, reached = half
    served: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        served.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    guarded = ASGIAuthzMiddleware(app, authz)

    async def get(path: str, bearer: str | None) -> int:
        headers = [(b"authorization", f"Bearer {bearer}".encode())] if bearer else []
        scope = {"type": "http", "method": "GET", "path": path, "root_path": "", "headers": headers}
        statuses: list[int] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        await guarded(scope, receive, send)
        return statuses[0]

    async def main() -> None:
        slow = [
            asyncio.create_task(get("/me", token("b", 1, iss=SLOW, sub=f"user {number}")))
            for number in range(20)
        ]
        # That this very task comes on is what "goes on" means: the gate opens only below.
        assert await asyncio.to_thread(reached.wait, 30)
        assert await get("/me", token()) == 200
        assert await get("/me", "a.b.c") == 401
        assert await get("/health", token("b", 1, iss=SLOW)) == 200
        assert not any(each.done() for each in slow)
        gate.set()
        assert set(await asyncio.gather(*slow)) == {200}

    asyncio.run(main())
    assert served.count("/health") == 1


def test_while_one_provider_hangs_a_sync_server_goes_on(half: Any, clock: Clock) -> None:
    """With four threads: once the fetch is overdue, not one is held up by that issuer."""
    authz, gate, reached = half

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b""]

    guarded = WSGIAuthzMiddleware(app, authz)

    def get(path: str, bearer: str) -> str:
        environ = {
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "HTTP_AUTHORIZATION": f"Bearer {bearer}",
            "SERVER_PROTOCOL": "HTTP/1.1",
        }
        statuses: list[str] = []

        def start_response(status: str, headers: Any, info: Any = None) -> Any:
            statuses.append(status)

        list(guarded(environ, start_response))
        return statuses[0][:3]

    slow = token("b", 1, iss=SLOW)
    with ThreadPoolExecutor(4) as server:
        first = server.submit(get, "/me", slow)
        assert reached.wait(30)
        assert server.submit(get, "/me", token()).result(30) == "200"
        clock.now += OVERDUE
        assert [server.submit(get, "/me", slow).result(30) for _ in range(8)] == ["503"] * 8
        assert server.submit(get, "/me", token()).result(30) == "200"
        assert server.submit(get, "/health", slow).result(30) == "200"
        assert not first.done()
        gate.set()
        assert first.result(30) == "200"


# A name service that hangs: nothing can cut it short


@pytest.fixture
def nameless(monkeypatch: pytest.MonkeyPatch) -> Any:
    gate, reached = Event(), Event()
    real = socket.getaddrinfo

    def hang(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host == "127.0.0.1":
            return real(host, *args, **kwargs)
        reached.set()
        assert gate.wait(30)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    yield reached
    gate.set()
    for thread in _threads():
        thread.join(30)


def _threads() -> list[Thread]:
    return [each for each in threading.enumerate() if each.name == "authz-keys"]


@both
def test_a_name_service_that_hangs_holds_up_nobody_for_longer_than_is_said(
    nameless: Event, clock: Clock, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    authz = Authz.from_mapping(policy(table(jwks_uri="https://x.example/jwks")), clock=clock)
    with monkeypatch.context() as hasty:
        hasty.setattr(drivers, "MAX_WAIT", 0.01)
        assert became(ask(authz, request(token=token()))) == "keys_unavailable"
    assert nameless.wait(30)
    clock.now += OVERDUE
    for _ in range(20):  # nobody waits any more, nor are more threads lost to it
        assert became(ask(authz, request(token=token(exp=clock.now + 60)))) == "keys_unavailable"
    assert len(_threads()) == 1
    assert authz.readiness().issuers[0].latest_fetch == "failed"


def test_a_name_service_that_hangs_leaves_the_keys_at_hand(
    nameless: Event, clock: Clock, provider: Provider
) -> None:
    provider.publish(A)
    source = RemoteKeys(
        JwksUri(ISSUER, "https://x.example/jwks"),
        clock,
        lambda url: fetch(url if hung else f"{provider.origin}{JWKS}"),
    )
    hung = False
    renew(source)
    hung = True
    clock.now += REFRESH_AFTER
    assert kids(source, clock) == ["a"]
    assert nameless.wait(30)
    clock.now += MAX_AGE
    assert kids(source, clock) == ["a"]


@pytest.mark.slow
def test_a_name_service_that_hangs_does_not_hold_up_the_end_of_the_process() -> None:
    script = Path(__file__).with_name("leaving.py")
    ended = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=30, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "True False\n", "")
