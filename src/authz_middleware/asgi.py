"""The ASGI adapter (ASGI 3): scope to facts, outcome to messages, for HTTP and WebSocket."""

from __future__ import annotations

import asyncio
import inspect
import os
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from authz_middleware import frameworks
from authz_middleware.access import Access, enter, leave
from authz_middleware.answers import RefusalRenderer
from authz_middleware.effects import Admit, Refuse
from authz_middleware.errors import AccessDenied, PolicyError
from authz_middleware.facts import (
    ANONYMOUS,
    Answer,
    Authorization,
    ContextReads,
    RequestFacts,
    assembled,
)
from authz_middleware.observe import DecisionObserver
from authz_middleware.observe.log import LOGGER
from authz_middleware.policy.canonical import holds_encoded_slash
from authz_middleware.runtime.authz import Authz, compiled, not_loaded
from authz_middleware.runtime.guarded import Guarded
from authz_middleware.runtime.loaders import AttributeLoader
from authz_middleware.surroundings import from_scope

__all__ = ["ASGIAuthzMiddleware", "facts_of"]

KEY = "authz"

POLICY_VIOLATION = 1008  # RFC 6455 §7.4.1
SERVER_ERRORS = (1011, 4500)  # RFC 6455 §7.4.1; Litestar's

_NAMES = frozenset((b"authorization", b"accept", b"upgrade", b"sec-websocket-key", b"x-vhm-root"))
_USUAL = (b"authorization", b"accept")
_SEEN: Final[set[bytes]] = {*_USUAL}
"""Names of fields, as they were written: those that say nothing to us, and these two as usual."""

MAX_SEEN: Final = 1024
"""Names that are remembered; whoever sends so many only makes us look again."""

MAX_SEEN_LENGTH: Final = 64
"""Bytes of a name: longer ones are looked at each time."""

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class ASGIAuthzMiddleware:
    """Verifies the bearer token of every request to an ASGI app and enforces the policy.

    `config` is a policy file, a mapping of its shape, or an `Authz`; without it, the file that the
    environment variable AUTHZ_CONFIG names. Raises `PolicyError` if the
    policy cannot be served; built late by a framework, where a server would go on without us, it
    fails the start-up and answers every request with 503 instead. A request that is let through
    carries an `Access` under `scope["authz"]`; the app is never called for one that is refused.
    """

    def __init__(
        self,
        app: Any,
        config: str | os.PathLike[str] | Mapping[str, Any] | Authz | None = None,
        *,
        routes_of: object | None = None,
        loaders: Mapping[str, AttributeLoader] | None = None,
        observers: Sequence[DecisionObserver] = (),
        clock: Callable[[], float] | None = None,
        store: object | None = None,
        renderer: RefusalRenderer | None = None,
    ) -> None:
        self.app = app
        self.authz: Authz | None = None
        self._failure = ""
        try:
            self.authz = compiled(
                config,
                loaders=loaders,
                observers=observers,
                clock=clock,
                store=store,
                renderer=renderer,
            )
        except PolicyError as error:
            if not frameworks.built_late():
                raise
            self._failure = str(error)
            LOGGER.critical("the policy cannot be served: %s", error)
        self.routes_of = routes_of
        self.guarded = Guarded(app, routes_of)
        self._extend = frameworks.prepare(app, routes_of)
        self._use_of_root_path = frameworks.use_of_root_path(app)
        self._own_root_path = frameworks.own_root_path(app)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one connection. The scope is copied, never edited (ASGI, "Middleware")."""
        kind = scope["type"]
        if kind in ("http", "websocket"):
            scope = dict(scope)
            if kind == "http":
                exchange = _HttpExchange(scope, receive, send)
            else:
                exchange = conversation = _WebSocketExchange(scope, receive, send)
                receive = conversation.listen
            token = enter(None)
            try:
                access = await self._admitted(scope, exchange)
                if access is not None:
                    enter(access)
                    exchange.access = access
                    # Here, not in a coroutine of the exchange: whatever the app awaits would come
                    # through that one, too.
                    try:
                        await self.app(scope, receive, exchange.relay)
                    except Exception as error:
                        if not await exchange.settle(error):
                            raise
            finally:
                leave(token)
        elif kind != "lifespan":
            # Passing on what we do not know would pass on what we did not check.
            LOGGER.error("refused a connection of unknown type %a", kind)
        elif self.authz is None:
            await receive()
            await send({"type": "lifespan.startup.failed", "message": self._failure})
        else:
            await self.app(scope, receive, self._starting(self.authz, send))

    def _starting(self, authz: Authz, send: Send) -> Send:
        """Return the `send` of a lifespan: when the app has started, its routes are all there."""

        async def relay(message: Message) -> None:
            complete = message["type"] == "lifespan.startup.complete"
            if complete and self.guarded.served(authz.serving) is None:
                message = {"type": "lifespan.startup.failed", "message": self.guarded.failure}
            await send(message)

        return relay

    async def _admitted(self, scope: dict[str, Any], exchange: _HttpExchange) -> Access | None:
        """Return what a request is let in with, and put it into its scope; None if it is answered.

        The app is called outside: what only a decision needs is gone while the request is served.
        """
        scope.pop(KEY, None)  # nobody outside can hand us a caller
        headers = scope.get("headers")
        if type(headers) is not list and not isinstance(headers, (list, tuple)):
            # Any iterable of any iterables (Falcon's test client has those), read more than once.
            scope["headers"] = [tuple(field) for field in scope.get("headers", ())]
        if self.authz is None:
            await exchange.answer(not_loaded(_fields(scope)[1]))
            return None
        serving = self.authz.serving
        binding = self.guarded.served(serving)
        if binding is None:
            await exchange.answer(not_loaded(_fields(scope)[1]))
            return None
        root_path = scope.get("root_path") or ""
        if self._own_root_path is not None:
            root_path = self._own_root_path() or root_path
        use = self._use_of_root_path
        prefix = "" if use == "kept" else root_path
        facts, authorization, accept = facts_of(
            scope,
            prefix,
            whole=use == "kept inside",
            exact=self.guarded.exact,
            reads=serving.settings.context_reads,
        )
        if serving.settings.metadata is not None and (document := serving.metadata(facts)):
            await exchange.answer(document)
            return None
        outcome = serving.begin(facts, authorization)
        if not isinstance(outcome, (Admit, Refuse)):
            outcome = await outcome
        if isinstance(outcome, Refuse):
            admit = self.guarded.left_to_the_app(outcome, serving, scope)
            if admit is None:
                await exchange.answer(serving.refused(facts, outcome, accept))
                return None
            outcome = admit
        access = serving.admitted(facts, outcome, accept, binding)
        if self.guarded.asks and (asked := self.guarded.asked(facts, scope)):
            try:
                access.look_again(asked)
            except AccessDenied as denied:
                await exchange.answer(denied.answer)
                return None
        scope[KEY] = access
        if self._extend is not None:
            self._extend(scope, access)
        return access


def facts_of(
    scope: Mapping[str, Any],
    root_path: str,
    *,
    whole: bool = False,
    exact: bool = False,
    reads: ContextReads | None = None,
) -> tuple[RequestFacts, Authorization, str | None]:
    """Return what a decision may look at, the credentials, and the Accept field for our answer.

    `root_path` is the prefix that the app may cut off; with `whole` it is what stands around the
    app that may. `exact` is what is known of the app's router, and `reads` of the conditions.
    """
    authorization, accept, upgrade, elsewhere = _fields(scope)
    websocket = scope["type"] == "websocket"
    method = "GET" if websocket else scope["method"]
    raw_path = scope.get("raw_path") or b""
    facts = assembled(
        RequestFacts,
        (
            "websocket" if websocket else "http",
            method,
            scope["path"],
            root_path,
            _preflight(scope) if method == "OPTIONS" else "",
            upgrade and not websocket,
            elsewhere or (b"%" in raw_path and holds_encoded_slash(raw_path.decode("latin-1"))),
            whole,
            "",
            exact,
            from_scope(scope, reads) if reads is not None else None,
        ),
    )
    return facts, authorization, accept


def _preflight(scope: Mapping[str, Any]) -> str:
    fields = {name.lower(): value for name, value in scope["headers"]}
    asked: bytes = fields.get(b"access-control-request-method", b"")
    return asked.decode("latin-1") if fields.get(b"origin") else ""


def _fields(scope: Mapping[str, Any]) -> tuple[Authorization, str | None, bool, bool]:
    """Every Authorization field value, the Accept field, and two marks.

    The marks are for WSGI apps behind a bridge: whether one may take this for a WebSocket
    handshake, and whether Pyramid would begin to look at another path.

    The common request is not walked through: each name comes once, and is one that was seen before
    and says nothing, or one of the two as nearly everybody writes it.
    """
    headers: Sequence[tuple[bytes, bytes]] = scope["headers"]
    try:
        fields = dict(headers)
        if len(fields) == len(headers) and _SEEN.issuperset(fields):
            values = ANONYMOUS
            if b"authorization" in fields:
                values = assembled(Authorization, (fields[b"authorization"],))
            accepted = fields[b"accept"].decode("latin-1") if b"accept" in fields else None
            return values, accepted, False, False
    except (TypeError, ValueError, AttributeError):
        pass  # names or values that are no byte strings, or fields that are no pairs
    return _walked(headers)


def _walked(
    headers: Iterable[tuple[bytes, bytes]],
) -> tuple[Authorization, str | None, bool, bool]:
    """Return what `_fields` does, looking at every field; remember the names that say nothing."""
    authorization: list[bytes] = []
    accept: list[bytes] = []
    upgrade = elsewhere = False
    # Names may come in any case (ASGI, "HTTP Connection Scope"); every field line counts. Two of
    # them count with `_` as well, which a bridge makes of `-`.
    for written, value in headers:
        name = bytes(written.lower().replace(b"_", b"-"))
        if name not in _NAMES:
            _remember(written)
        elif name == b"authorization":
            authorization.append(value)
        elif name == b"accept":
            accept.append(value)
        elif name == b"x-vhm-root":
            elsewhere = True
        elif name == b"sec-websocket-key" or b"websocket" in value.lower():
            upgrade = True
    accepted = b", ".join(accept).decode("latin-1") if accept else None
    return Authorization(authorization), accepted, upgrade, elsewhere


def _remember(name: bytes) -> None:
    if len(name) > MAX_SEEN_LENGTH or type(name) is not bytes:
        return
    if len(_SEEN) >= MAX_SEEN:
        _SEEN.clear()
        _SEEN.update(_USUAL)
    _SEEN.add(name)


def _awaited(function: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Mark as a coroutine function what returns another coroutine: bridges to WSGI ask for one."""
    if sys.version_info >= (3, 12):
        return inspect.markcoroutinefunction(function)
    function._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined] # noqa: SLF001
    return function


class _HttpExchange:
    """One HTTP request: our answer, or the app's messages with an eye on how they start."""

    __slots__ = ("_receive", "_replaced", "_scope", "_send", "_started", "access")

    def __init__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self.access: Access | None = None
        self._started = False
        self._replaced = False

    async def answer(self, answer: Answer) -> None:
        """Send an answer of our own."""
        # Not `head`: methods are case-sensitive (RFC 9110 §9.1), and a server sends a body for it.
        body = b"" if self._scope["method"] == "HEAD" else answer.body
        await self._respond("http.response", answer, body)

    async def settle(self, error: Exception) -> bool:
        """Answer what the app raised, if it is a `require` denied before it started; else False."""
        denied = AccessDenied.within(error)
        if denied is None or self._started:
            return False
        if not self._replaced:
            await self.answer(denied.answer)
        return True

    @_awaited
    def relay(self, message: Message) -> Awaitable[None]:
        """Send a message of the app; no coroutine of our own once the response has started."""
        return self._send(message) if self._started else self._begin(message)

    async def _begin(self, message: Message) -> None:
        """Send what may start the response, judged when it is sent; or our answer instead."""
        if self._replaced:
            return
        kind = message["type"]
        # Some servers send more than the start at once, such as early hints.
        if not self._started and kind.startswith("http.response."):
            access = self.access
            plain = access is not None and access.is_plain
            if not plain and (answer := self._instead(message)):
                self._replaced = True
                await self.answer(answer)
                return
            self._started = kind == "http.response.start"
        await self._send(message)

    def _instead(self, message: Message) -> Answer | None:
        """Return what is answered in place of a response that is about to start."""
        denied = self.access.denied if self.access else None
        if denied is not None and (self._overruled() or message.get("status", 0) >= 500):
            return denied
        return self._unchecked(message)

    def _unchecked(self, message: Message) -> Answer | None:
        """Return what answers if nobody has asked what the policy says must be asked first."""
        return self.access.unchecked(message.get("status")) if self.access else None

    def _overruled(self) -> bool:
        """Whether the second look has refused; then whatever the app makes of it is not sent."""
        return self.access is not None and self.access.overruled is not None

    async def _respond(self, kind: str, answer: Answer, body: bytes) -> None:
        headers = [
            (name.encode("ascii"), value.encode("latin-1")) for name, value in answer.headers
        ]
        await self._send({"type": f"{kind}.start", "status": answer.status, "headers": headers})
        await self._send({"type": f"{kind}.body", "body": body})


class _WebSocketExchange(_HttpExchange):
    """One WebSocket handshake and what follows it."""

    __slots__ = ("_closed", "_connected", "_gone")

    def __init__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        super().__init__(scope, receive, send)
        self._connected = self._closed = self._gone = False

    async def answer(self, answer: Answer) -> None:
        """Refuse the handshake; with the full answer where the server offers it, else 403.

        ASGI, "Websocket Denial Response": after `websocket.connect`, and nothing follows.
        """
        if not self._connected and (await self._receive())["type"] != "websocket.connect":
            return  # the client is gone
        if "websocket.http.response" in (self._scope.get("extensions") or {}):
            await self._respond("websocket.http.response", answer, answer.body)
        else:
            await self._close()

    async def settle(self, error: Exception) -> bool:
        """End the conversation, if it is a `require` that was denied; else False."""
        denied = AccessDenied.within(error)
        if denied is None or (self._closed and not self._replaced):
            return False
        await self._deny(denied.answer)
        return True

    async def listen(self) -> Message:
        """Receive a message, and note what it says of the connection."""
        message: Message = await self._receive()
        self._connected = True
        self._gone = self._gone or message["type"] == "websocket.disconnect"
        return message

    async def relay(self, message: Message) -> None:
        kind = message["type"]
        if self._replaced:
            return
        denied = self.access.denied if self.access else None
        if denied is not None and (self._overruled() or self._failed(message)):
            await self._deny(denied)
            return
        begins = not (self._started or self._closed) and kind != "websocket.close"
        if begins and (unchecked := self._unchecked(message)):
            await self._deny(unchecked)
            return
        self._started = self._started or kind == "websocket.accept"
        self._closed = self._closed or kind not in ("websocket.accept", "websocket.send")
        await self._send(message)

    def _failed(self, message: Message) -> bool:
        """Whether the app gives up with nothing to say: what a framework makes of an exception."""
        if message["type"] == "websocket.close":
            return not self._started or message.get("code") in SERVER_ERRORS
        return bool(message["type"] == "websocket.http.response.start" and message["status"] >= 500)

    async def _deny(self, answer: Answer) -> None:
        if self._replaced:
            return
        self._replaced = True
        if not self._gone:  # else servers raise at whatever is sent
            await (self._close() if self._started else self.answer(answer))

    async def _close(self) -> None:
        await self._send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": ""})
