"""The WSGI adapter (PEP 3333): environ to facts, outcome to response."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from types import TracebackType
from typing import TYPE_CHECKING, Any

from authz_middleware import frameworks
from authz_middleware.access import Access, enter
from authz_middleware.answers import RefusalRenderer
from authz_middleware.effects import Refuse
from authz_middleware.errors import AccessDenied
from authz_middleware.facts import (
    ANONYMOUS,
    Answer,
    Authorization,
    ContextReads,
    RequestFacts,
    assembled,
)
from authz_middleware.observe import DecisionObserver
from authz_middleware.policy.canonical import from_wsgi, holds_encoded_slash
from authz_middleware.runtime.authz import Authz, compiled, not_loaded
from authz_middleware.runtime.guarded import Guarded
from authz_middleware.runtime.loaders import AttributeLoader
from authz_middleware.surroundings import from_environ

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["WSGIAuthzMiddleware", "facts_of", "set_remote_user"]

KEY = "authz"

ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


class WSGIAuthzMiddleware:
    """Verifies the bearer token of every request to a WSGI app and enforces the policy.

    `config` is a policy file, a mapping of its shape, or an `Authz`; without it, the file that the
    environment variable AUTHZ_CONFIG names. Raises `PolicyError` if the
    policy cannot be served. A request that is let through carries an `Access` under
    `environ["authz"]`; the app is never called for one that is refused.
    """

    def __init__(
        self,
        app: WSGIApplication,
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
        self.authz = compiled(
            config,
            loaders=loaders,
            observers=observers,
            clock=clock,
            store=store,
            renderer=renderer,
        )
        frameworks.prepare(app, routes_of)
        self.routes_of = routes_of
        self.guarded = Guarded(app, routes_of)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        enter(None)
        environ.pop(KEY, None)
        serving = self.authz.serving
        binding = self.guarded.served(serving)
        if binding is None:
            return _send(not_loaded(_accept(environ)), environ, start_response)
        reads = serving.settings.context_reads
        facts, authorization = facts_of(environ, exact=self.guarded.exact, reads=reads)
        if serving.settings.metadata is not None:
            document = serving.metadata(facts, environ.get("SCRIPT_NAME", ""))
            if document is not None:
                return _send(document, environ, start_response)
        outcome = serving.outcome(facts, authorization)
        if isinstance(outcome, Refuse):
            admit = self.guarded.left_to_the_app(outcome, serving, environ)
            if admit is None:
                answer = serving.refused(facts, outcome, _accept(environ))
                return _send(answer, environ, start_response)
            outcome = admit
        access = serving.admitted(facts, outcome, _accept(environ), binding)
        if self.guarded.asks and (asked := self.guarded.asked(facts, environ)):
            try:
                access.look_again(asked)
            except AccessDenied as denied:
                return _send(denied.answer, environ, start_response)
        environ[KEY] = access
        if wanted := serving.settings.remote_user:
            set_remote_user(environ, access, with_issuer=wanted != "sub")
        enter(access)
        return _serve(self.app, environ, start_response, access)


def facts_of(
    environ: WSGIEnvironment, *, exact: bool = False, reads: ContextReads | None = None
) -> tuple[RequestFacts, Authorization]:
    """Return what a decision may look at, and the credentials.

    `exact` is what is known of the app's router, `reads` what the policy's conditions look at.
    """
    field = environ.get("HTTP_AUTHORIZATION")
    authorization = ANONYMOUS if field is None else assembled(Authorization, (_bytes(field),))
    method = environ.get("REQUEST_METHOD", "")
    facts = assembled(
        RequestFacts,
        (
            "http",
            method,
            # The root of a mount may be empty (PEP 3333, "environ Variables"): apps route it as "/"
            from_wsgi(environ.get("PATH_INFO", "") or "/"),
            "",  # PATH_INFO is what the app routes on; SCRIPT_NAME never decides
            _preflight(environ) if method == "OPTIONS" else "",
            # As loose as the loosest app: some look at one of the two only.
            ("HTTP_UPGRADE" in environ and "websocket" in environ["HTTP_UPGRADE"].lower())
            or "HTTP_SEC_WEBSOCKET_KEY" in environ,
            # Not in PEP 3333, but gunicorn and others give the target; it can only speak against.
            # And Pyramid's traversal begins where a client's X-Vhm-Root says.
            "HTTP_X_VHM_ROOT" in environ
            or holds_encoded_slash(environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""),
            False,
            environ.get("SCRIPT_NAME", ""),
            exact,
            from_environ(environ, reads) if reads is not None else None,
        ),
    )
    return facts, authorization


def _preflight(environ: WSGIEnvironment) -> str:
    asked: str = environ.get("HTTP_ACCESS_CONTROL_REQUEST_METHOD", "")
    return asked if environ.get("HTTP_ORIGIN") else ""


def _bytes(value: str) -> bytes:
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return b"\x00"  # not a header a server can have received: malformed


def _accept(environ: WSGIEnvironment) -> str | None:
    return environ.get("HTTP_ACCEPT")


def set_remote_user(environ: WSGIEnvironment, access: Access, *, with_issuer: bool) -> None:
    """Set REMOTE_USER to the verified caller, or delete what somebody else set."""
    environ.pop("REMOTE_USER", None)
    if principal := access.principal:
        user = f"{principal.issuer}|{principal.subject}" if with_issuer else principal.subject
        if user.isprintable():  # a line break in a log or a header is nobody's name
            environ["REMOTE_USER"] = user.encode("utf-8").decode("latin-1")


def _send(answer: Answer, environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    start_response(_status(answer), list(answer.headers))
    return [_body(answer, environ)]


def _status(answer: Answer) -> str:
    return f"{answer.status} {HTTPStatus(answer.status).phrase}"


def _code(status: str) -> int | None:
    return int(status[:3]) if status[:3].isdecimal() else None


def _body(answer: Answer, environ: WSGIEnvironment) -> bytes:
    # Not `head`: methods are case-sensitive (RFC 9110 §9.1), and a server sends a body for it.
    return b"" if environ.get("REQUEST_METHOD") == "HEAD" else answer.body


def _serve(
    app: WSGIApplication,
    environ: WSGIEnvironment,
    start_response: StartResponse,
    access: Access,
) -> Iterable[bytes]:
    head = _Head(start_response, access)
    try:
        body = app(environ, head)
    except BaseException as error:
        denied = AccessDenied.within(error) if isinstance(error, Exception) else None
        if denied is None:
            raise
        head.replace(denied.answer, sys.exc_info())
        return [_body(denied.answer, environ)]
    finally:
        enter(None)
    if head.replaced is None and _is_finished(body, environ):
        head.settle()
        if head.replaced is None:
            return body  # none of the app's code runs any more
    return _Body(body, head, environ, access)


def _is_finished(body: Iterable[bytes], environ: WSGIEnvironment) -> bool:
    """Whether the server should get the app's very own object.

    A list says its length, if it is nothing but a list; a `wsgi.file_wrapper` is recognised by its
    type and sent by sendfile.
    """
    if type(body) in (list, tuple):
        return True
    wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(wrapper, type) and isinstance(body, wrapper)


class _Head:
    """The `start_response` that the app gets: a 5xx after a denied `require` is our refusal.

    The head of a handler that must ask something first is held back until the body begins.
    """

    __slots__ = ("_access", "_called", "_held", "_start_response", "_write", "replaced")

    def __init__(self, start_response: StartResponse, access: Access) -> None:
        self._start_response = start_response
        self._called = False
        self._access = access
        self._held: tuple[str, list[tuple[str, str]]] | None = None
        self._write: Callable[[bytes], object] = _discard
        self.replaced: Answer | None = None

    def __call__(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None, /
    ) -> Callable[[bytes], object]:
        if self.replaced is not None:
            return _discard
        denied = self._access.denied
        if denied is not None and (denied is self._access.overruled or status.startswith("5")):
            self.replace(denied, exc_info)
            return _discard
        if self._held is not None and exc_info is None:
            raise AssertionError("start_response was called twice without exc_info")  # PEP 3333
        if not self._called and self._access.is_unchecked:
            self._held = status, headers
            return self._write_held
        self._held = None
        return self._start(status, headers, exc_info)

    def settle(self) -> None:
        """Send the head that was held back, or our answer if nobody has asked by now."""
        held, self._held = self._held, None
        if held is None:
            return
        unchecked = self._access.unchecked(_code(held[0]))
        if unchecked is not None:
            self.replace(unchecked, None)
        else:
            self._write = self._start(*held, None)

    @property
    def is_held(self) -> bool:
        """Whether the app has given a head that was not sent yet."""
        return self._held is not None

    def _write_held(self, data: bytes) -> None:
        self.settle()
        if self.replaced is None:
            self._write(data)

    def replace(self, answer: Answer, exc_info: ExcInfo | None) -> None:
        """Answer with `answer`; raises `exc_info` again if the head has been sent already."""
        self._held = None
        self._start(_status(answer), list(answer.headers), exc_info if self._called else None)
        self.replaced = answer

    def _start(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None
    ) -> Callable[[bytes], object]:
        self._called = True
        if exc_info is None:
            return self._start_response(status, headers)
        return self._start_response(status, headers, exc_info)


def _discard(_data: bytes) -> None:
    """The `write` of an answer that was replaced."""


class _Body:
    """The app's body, chunk by chunk as it comes, with the caller known while it is made."""

    __slots__ = ("_access", "_body", "_chunks", "_environ", "_head")

    def __init__(
        self, body: Iterable[bytes], head: _Head, environ: WSGIEnvironment, access: Access
    ) -> None:
        self._body = body
        self._chunks = self._relay()
        self._head = head
        self._environ = environ
        self._access = access

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        # Between two chunks the thread is the server's: it may serve somebody else on it, also
        # with an app that we do not guard, and it may forget to close this body.
        enter(self._access)
        try:
            return next(self._chunks)
        finally:
            enter(None)

    def _relay(self) -> Iterator[bytes]:
        sent = False
        try:
            for chunk in self._body:
                if self._head.is_held:
                    if not chunk:
                        continue  # nothing is sent before the head (PEP 3333)
                    self._head.settle()
                if self._head.replaced is not None:
                    break
                sent = sent or bool(chunk)
                yield chunk
            self._head.settle()
        except Exception as error:
            denied = AccessDenied.within(error)
            if sent or denied is None:
                raise
            self._head.replace(denied.answer, sys.exc_info())
        if self._head.replaced is not None:
            yield _body(self._head.replaced, self._environ)

    def close(self) -> None:
        """Close the app's body; whoever consumes it calls this (PEP 3333)."""
        enter(self._access)
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            enter(None)
