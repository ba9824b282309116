"""Keys that are fetched: a JWKS URL, or found by discovery (RFC 8414, OpenID Connect Discovery).

One fetch is in flight per issuer, on a thread of its own; requests of either world wait for the
same future, and only those that cannot go on without it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Any, cast
from urllib.parse import urlsplit

from authz_middleware.observe.log import LOGGER
from authz_middleware.runtime.fetch import FetchFailed, NotFound, fetch
from authz_middleware.tokens import freshness, strict_json
from authz_middleware.tokens.freshness import KeyView
from authz_middleware.tokens.issuers import Discovery, JwksUri, secure_url
from authz_middleware.tokens.keys import KeySet, KeysUnusable, from_jwks
from authz_middleware.tokens.rejection import Rejected

__all__ = ["FixedKeys", "RemoteKeys", "discovery_urls"]

Fetch = Callable[[str], bytes]

_MAX_WORKERS = 64  # one flight an issuer: a provider that hangs holds up nobody else's keys


class FixedKeys:
    """Keys that the policy names; they never change while it is served."""

    __slots__ = ("_view",)

    def __init__(self, keys: KeySet) -> None:
        self._view = KeyView(keys, fetchable=False, failing=False)

    def view(self, now: float) -> KeyView:
        """Return the keys."""
        del now
        return self._view


class RemoteKeys:
    """One issuer's fetched keys. The rules of freshness are `tokens.freshness`."""

    def __init__(
        self, config: JwksUri | Discovery, clock: Callable[[], float], fetch: Fetch = fetch
    ) -> None:
        self._config = config
        self._clock = clock
        self._fetch = fetch
        self._state = freshness.State()
        self._flight = _landed()
        self._flight_pid = os.getpid()

    def view(self, now: float) -> KeyView:
        """Return the keys at hand, and start to renew them if it is time. Never waits."""
        if freshness.due(self._state, now):
            self.refresh()
        return freshness.view(self._state, now)

    def refresh(self) -> Future[None]:
        """Return the fetch in flight, or start one if it is time for it. It never fails."""
        process = _process()
        with process.lock:
            # A future of the parent process would never be done in a forked worker.
            if self._flight_pid != os.getpid():
                self._flight, self._flight_pid = _landed(), os.getpid()
            # Looked at again: the flight that a request wants may have landed since it looked.
            if self._flight.done() and freshness.view(self._state, self._clock()).fetchable:
                self._flight = self._start(process.executor)
            return self._flight

    def _start(self, executor: ThreadPoolExecutor) -> Future[None]:
        try:
            return executor.submit(self._renew)
        except RuntimeError as error:  # no thread can be started, or the interpreter is going down
            LOGGER.error("keys of %s not renewed: %s", self._config.issuer, error)
            self._state = freshness.failed(self._state, self._clock())
            return _landed()

    def _renew(self) -> None:
        try:
            keys = from_jwks(strict_json.loads(self._fetch(self._keys_url())))
        except (FetchFailed, KeysUnusable, Rejected) as error:
            LOGGER.error("keys of %s not renewed: %s", self._config.issuer, error)
            self._state = freshness.failed(self._state, self._clock())
        except Exception:  # noqa: BLE001 - waiting requests get an answer even if we are at fault
            LOGGER.exception("keys of %s not renewed", self._config.issuer)
            self._state = freshness.failed(self._state, self._clock())
        else:
            before = self._state.keys
            self._state = freshness.succeeded(self._state, keys, self._clock())
            if self._state.keys is not before:
                for note in keys.notes:
                    LOGGER.warning("keys of %s: %s", self._config.issuer, note)

    def _keys_url(self) -> str:
        if isinstance(self._config, JwksUri):
            return self._config.url
        for url in discovery_urls(self._config.issuer):
            try:
                body = self._fetch(url)
            except NotFound:
                continue
            return _jwks_uri(strict_json.loads(body), self._config.issuer)
        raise FetchFailed(f"{self._config.issuer}: no discovery document")


def discovery_urls(issuer: str) -> tuple[str, ...]:
    """Return where an issuer's metadata may be, in the order to ask.

    RFC 8414 §3.1 inserts the well-known part before the path; OpenID Connect appends it.
    """
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    urls = (
        f"{origin}{path}/.well-known/openid-configuration",
        f"{origin}/.well-known/oauth-authorization-server{path}",
        f"{origin}/.well-known/openid-configuration{path}",
    )
    return tuple(dict.fromkeys(urls))


def _jwks_uri(document: Any, issuer: str) -> str:
    """Return `jwks_uri` of a metadata document that is really this issuer's (RFC 8414 §3.3)."""
    members = cast("dict[str, Any]", document) if isinstance(document, dict) else {}
    if members.get("issuer") != issuer:
        raise FetchFailed(f"{issuer}: the discovery document is not this issuer's")
    url = members.get("jwks_uri")
    # Plain http on this machine is for an issuer on this machine; nobody else may point there.
    plain = isinstance(url, str) and url.startswith("http:") and not issuer.startswith("http:")
    if not isinstance(url, str) or plain or not secure_url(url):
        raise FetchFailed(f"{issuer}: the discovery document has no https jwks_uri")
    return url


def _landed() -> Future[None]:
    flight: Future[None] = Future()
    flight.set_result(None)
    return flight


class _Process:
    """What one process starts flights with: threads do not survive a fork (gunicorn --preload),
    and a lock that was held at that moment would never be released.
    """

    __slots__ = ("executor", "lock")

    def __init__(self) -> None:
        self.lock = Lock()
        self.executor = ThreadPoolExecutor(_MAX_WORKERS, "authz-keys")


_processes: dict[int, _Process] = {}


def _process() -> _Process:
    pid = os.getpid()
    # `setdefault` is atomic; a `_Process` that loses the race has started nothing.
    return _processes.get(pid) or _processes.setdefault(pid, _Process())
