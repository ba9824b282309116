"""Asking an identity provider for a small JSON document: the one door to the HTTP client.

Bounded in time and size, no redirects, no proxy or credentials from the environment, certificates
verified (RFC 8414 §6). What it does not get it reports as `FetchFailed`, whatever went wrong.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from threading import Event, Timer
from types import TracebackType
from typing import Any, NamedTuple, TypeAlias

import httpx2

__all__ = [
    "MAX_BYTES",
    "TOTAL_SECONDS",
    "FetchFailed",
    "Fetched",
    "NotFound",
    "NotTaken",
    "Response",
    "TimedOut",
    "fetch",
    "post",
]

MAX_BYTES = 1024 * 1024
"""Real key sets are a few kilobytes."""

TOTAL_SECONDS = 5.0
"""From the first byte sent to the last received; a provider that trickles gains nothing by it."""


class Fetched(NamedTuple):
    """A document, and the fields that say how long it is good for; "" where there is none."""

    body: bytes
    cache_control: str = ""
    age: str = ""


_Exchanged: TypeAlias = tuple[int, Mapping[str, str], bytes]
"""Status, fields and body."""


class FetchFailed(Exception):
    """The document could not be had; the text says why and is fit for a log."""


class NotFound(FetchFailed):
    """The provider answered that there is no such document."""


class TimedOut(FetchFailed):
    """The provider did not answer in time."""


class NotTaken(FetchFailed):
    """The provider answered, with more than is taken or in a coding that was not asked for."""


class Response(NamedTuple):
    """What came back; `content_type` is "" if it was not said."""

    status: int
    content_type: str
    body: bytes


def fetch(url: str, *, max_bytes: int = MAX_BYTES, total_seconds: float = TOTAL_SECONDS) -> Fetched:
    """Return the document at `url`; raises `FetchFailed`.

    Neither the name service nor a host with many addresses that are all silent is held to
    `total_seconds`: whoever cannot wait must not call this on a thread of its own need.
    """
    status, fields, body = _exchange("GET", url, {}, None, max_bytes, total_seconds)
    if _is_absent(status):
        raise NotFound(f"{url}: status {status}")
    if status != 200:
        raise FetchFailed(f"{url}: status {status}")
    return Fetched(body, fields.get("cache-control", ""), fields.get("age", ""))


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    max_bytes: int = MAX_BYTES,
    total_seconds: float = TOTAL_SECONDS,
) -> Response:
    """Return what `url` answers to `body`, whatever its status; raises `FetchFailed`.

    What `fetch` says of time holds here too.
    """
    status, fields, data = _exchange("POST", url, headers, body, max_bytes, total_seconds)
    return Response(status, fields.get("content-type", ""), data)


def _exchange(
    method: str,
    url: str,
    headers: Mapping[str, str],
    content: bytes | None,
    max_bytes: int,
    total_seconds: float,
) -> _Exchanged:
    response = None
    with _Deadline(total_seconds) as deadline:
        try:
            response = _ask(method, url, headers, content, max_bytes, total_seconds, deadline)
        # UnicodeError: a host name that no name service can be asked for.
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, UnicodeError) as error:
            if not deadline.passed:
                late = isinstance(error, httpx2.TimeoutException)
                kind = TimedOut if late else FetchFailed
                raise kind(f"{url}: {type(error).__name__}") from error
    # Also where all seems well: a body without a length ends where the connection was cut.
    if response is None or deadline.passed:
        raise TimedOut(f"{url}: took longer than {total_seconds} s")
    return response


def _ask(
    method: str,
    url: str,
    headers: Mapping[str, str],
    content: bytes | None,
    max_bytes: int,
    total_seconds: float,
    deadline: _Deadline,
) -> _Exchanged:
    # The connection and its TLS handshake, one half each, cannot be cut by the deadline.
    timeout = httpx2.Timeout(total_seconds, connect=total_seconds / 2)
    with (
        httpx2.Client(
            trust_env=False, follow_redirects=False, timeout=timeout, verify=_authorities()
        ) as client,
        client.stream(
            method,
            url,
            content=content,
            # No compression: a small answer must not unfold into a large one.
            headers={"accept": "application/json", "accept-encoding": "identity", **headers},
            extensions={"trace": deadline.watch},
        ) as response,
    ):
        # An answer of another status is not looked into, but for its status.
        if response.status_code != 200:
            return response.status_code, {}, b""
        if response.headers.get("content-encoding", "identity") != "identity":
            raise NotTaken(f"{url}: a compressed answer was not asked for")
        body = bytearray()
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > max_bytes:
                raise NotTaken(f"{url}: more than {max_bytes} bytes")
        return 200, response.headers, bytes(body)


@cache
def _authorities() -> ssl.SSLContext:
    """Whom we trust for certificates. To read them takes longer than most fetches."""
    return httpx2.create_ssl_context(trust_env=False)


def _is_absent(status: int) -> bool:
    """Whether the provider says that this is no address of its; object stores do so with 403.

    408 and 429 speak of this moment, not of the address.
    """
    return 400 <= status < 500 and status not in (408, 429)


class _Deadline:
    """Cuts the connection when the time is up.

    The client's own time-outs are for one read each: a provider that trickles its header, or sends
    interim answers (1xx) without end, would be listened to for ever.
    """

    def __init__(self, seconds: float) -> None:
        self._passed = Event()
        self._socket: socket.socket | None = None
        self._timer = Timer(seconds, self._expire)
        self._timer.daemon = True

    @property
    def passed(self) -> bool:
        """Whether the time is up."""
        return self._passed.is_set()

    def watch(self, event: str, info: dict[str, Any]) -> None:
        """Learn of the connection; the `trace` extension of the client."""
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            self._socket = info["return_value"].get_extra_info("socket")
            if self.passed:
                self._cut()

    def _expire(self) -> None:
        self._passed.set()
        self._cut()

    def _cut(self) -> None:
        if self._socket is not None:
            # Below TLS, whose state belongs to the thread that reads. Its socket may be gone.
            with suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def __enter__(self) -> _Deadline:
        self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._timer.cancel()
