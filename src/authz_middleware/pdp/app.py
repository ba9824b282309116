"""The decision point as a WSGI app (AuthZEN Authorization API 1.0, "Transport").

Whoever asks brings a secret of its own as a bearer token. A question that is malformed is 400; one
that cannot be decided is a denial, never an error that somebody could take for something else.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import traceback
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from http import HTTPStatus
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

from authz_middleware import bearer
from authz_middleware.authzen import endpoints, responses
from authz_middleware.authzen.evaluation import (
    MAX_BODY,
    Batch,
    Evaluation,
    Malformed,
    read_evaluation,
    read_evaluations,
)
from authz_middleware.observe.log import LOGGER
from authz_middleware.pdp.asked import SUBJECT_TYPES, Questions
from authz_middleware.runtime.authz import Authz
from authz_middleware.tokens import weak_secrets
from authz_middleware.tokens.key_sources import is_loopback

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["DecisionPoint"]

REALM: Final = "authz pdp"

MAX_SECONDS: Final = 30.0
"""After which no more of several questions is begun: each may wait for loaders."""

_STOPS_AT: Final[Mapping[str, bool | None]] = {
    "execute_all": None,
    "deny_on_first_deny": False,
    "permit_on_first_permit": True,
}
"""The decision behind which nothing more is asked."""


class _Failed(Exception):
    """The request is answered with this status, and nothing is decided."""

    def __init__(self, status: int, message: str, *fields: tuple[str, str]) -> None:
        self.status, self.message, self.fields = status, message, fields
        super().__init__(message)


class DecisionPoint:
    """A WSGI app that answers AuthZEN's Access Evaluation and Access Evaluations requests.

    `tokens` are the secrets, at least 32 random characters each, of which whoever asks must bring
    one; with None anybody on this machine may ask. `url` is what others call it, its scheme and
    host; without it there is no metadata. `subject_types` are those of callers with a token of an
    issuer. The policy in force answers, so that a reload is seen by the next request. Raises
    ValueError for a weak secret, and for a `url` that cannot be one.
    """

    def __init__(
        self,
        authz: Authz,
        *,
        tokens: Iterable[str] | None,
        url: str | None = None,
        subject_types: Collection[str] = SUBJECT_TYPES,
    ) -> None:
        if not isinstance(cast("object", authz), Authz):
            raise TypeError("authz is an Authz: Authz.from_file(path) makes one")
        self._authz: Final = authz
        self._digests: Final = None if tokens is None else _digests(tokens)
        self._types: Final = frozenset(subject_types)
        self._metadata: Final = None if url is None else _json(responses.metadata(_checked(url)))
        self._host: Final = url and urlsplit(url).hostname

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        fields: list[tuple[str, str]] = []
        kind = "application/json"
        try:
            status, body = 200, self._answer(environ)
        except _Failed as failed:
            status, body, kind = failed.status, failed.message.encode(), "text/plain; charset=utf-8"
            fields += failed.fields
        except Exception as error:  # noqa: BLE001 - whatever happened, nobody is let in by it
            _complain(error)
            status, body, kind = 500, b"it could not be answered", "text/plain; charset=utf-8"
        fields += [
            ("Content-Type", kind),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ]
        id: object = environ.get("HTTP_X_REQUEST_ID")
        if isinstance(id, str) and _may_be_sent(id):
            fields.append(("X-Request-ID", id))
        start_response(f"{status} {HTTPStatus(status).phrase}", fields)
        return [b"" if environ.get("REQUEST_METHOD") == "HEAD" else body]

    def __repr__(self) -> str:
        return f"DecisionPoint({self._authz!r})"

    def _answer(self, environ: WSGIEnvironment) -> bytes:
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        method = environ.get("REQUEST_METHOD", "")
        if path == endpoints.METADATA and self._metadata is not None:
            _check_method(method, "GET", "HEAD")
            self._check_host(environ)
            return self._metadata
        if path not in (endpoints.EVALUATION, endpoints.EVALUATIONS):
            raise _Failed(404, "there is nothing here")
        _check_method(method, "POST")
        self._check_host(environ)
        self._check_caller(environ)
        _check_type(environ)
        body = _body(environ)
        questions = Questions(self._authz.serving, self._types)
        try:
            asked = (read_evaluation if path == endpoints.EVALUATION else read_evaluations)(body)
            if isinstance(asked, Batch):
                return _json({"evaluations": _all(questions, asked)})
            return _json(_one(questions, asked))
        except Malformed as malformed:
            raise _Failed(400, malformed.message) from None

    def _check_caller(self, environ: WSGIEnvironment) -> None:
        if self._digests is None:
            return
        value: object = environ.get("HTTP_AUTHORIZATION")
        given = (value.encode("latin-1", "replace"),) if isinstance(value, str) else ()
        token = bearer.parse(given)
        known = False
        if isinstance(token, str):
            digest = _digest(token)
            for each in self._digests:  # all of them, so that the time tells nothing
                known |= hmac.compare_digest(digest, each)
        if not known:
            error = None if token is bearer.Presented.ABSENT else "invalid_token"
            challenge = bearer.challenge(REALM, error=error)
            what = "whoever asks must bring its secret as a bearer token"
            raise _Failed(401, what, ("WWW-Authenticate", challenge))

    def _check_host(self, environ: WSGIEnvironment) -> None:
        """Without a secret: a page in a browser must not ask under a name that leads here."""
        if self._digests is not None:
            return
        try:
            name: str = environ.get("HTTP_HOST", "")
            host = urlsplit(f"//{name}").hostname or "localhost"
        except ValueError:
            raise _Failed(400, "the Host field is none") from None
        if host != self._host and not is_loopback(host):
            raise _Failed(421, "it is not asked under this name")


def _all(questions: Questions, batch: Batch) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    until = monotonic() + MAX_SECONDS
    for asked in batch.evaluations:
        try:
            if isinstance(asked, Malformed):
                raise asked
            late = monotonic() >= until
            found.append(responses.LATE if late else _one(questions, asked))
        except Malformed as malformed:
            found.append(responses.malformed(malformed))
        if found[-1]["decision"] is _STOPS_AT[batch.semantic]:
            break
    return found


def _one(questions: Questions, asked: Evaluation) -> dict[str, Any]:
    try:
        return responses.decided(*questions.answer(asked))
    except Malformed:
        raise
    except Exception as error:  # noqa: BLE001 - what cannot be decided is denied
        _complain(error)
        return responses.FAILED


# --- The request ---


def _check_method(method: str, *allowed: str) -> None:
    if method not in allowed:
        listed = ", ".join(allowed)
        raise _Failed(405, f"the method must be {listed}", ("Allow", listed))


def _check_type(environ: WSGIEnvironment) -> None:
    kind = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise _Failed(400, "the Content-Type must be application/json")


def _body(environ: WSGIEnvironment) -> bytes:
    """Return the body, if its length is known for certain and it is not too long."""
    length = environ.get("CONTENT_LENGTH") or ""
    chunked = "HTTP_TRANSFER_ENCODING" in environ
    if chunked and length:
        # RFC 9112 §6.3: perhaps an attempt at smuggling.
        raise _Failed(400, "Content-Length and Transfer-Encoding stand together")
    if chunked:
        if not environ.get("wsgi.input_terminated"):
            raise _Failed(411, "the length must be given by Content-Length")
        body = _read(environ, MAX_BODY + 1)
    elif not length:
        return b""
    elif not (length.isascii() and length.isdecimal()):
        raise _Failed(400, "Content-Length is no number")
    elif len(length) > 18 or int(length) > MAX_BODY:
        raise _Failed(413, f"the body has more than {MAX_BODY} bytes")
    else:
        body = _read(environ, int(length))
        if len(body) < int(length):
            raise _Failed(400, "the body is shorter than its Content-Length")
    if len(body) > MAX_BODY:
        raise _Failed(413, f"the body has more than {MAX_BODY} bytes")
    return body


def _read(environ: WSGIEnvironment, size: int) -> bytes:
    found = bytearray()
    try:
        while len(found) < size and (more := environ["wsgi.input"].read(size - len(found))):
            found += more
    except OSError:
        raise _Failed(408, "the body did not come in time") from None
    except Exception:  # noqa: BLE001 - each server has its own for chunks that are none
        raise _Failed(400, "the body cannot be read") from None
    return bytes(found)


def _may_be_sent(id: str) -> bool:
    """Whether an X-Request-ID can be sent back as it came (PEP 3333)."""
    return all(" " <= each <= "\xff" and each != "\x7f" for each in id)


# --- What it is made with ---


def _digests(tokens: Iterable[str]) -> tuple[bytes, ...]:
    if isinstance(tokens, str):
        raise TypeError("tokens are several: write [token]")
    found = tuple(dict.fromkeys(tokens))
    if not found:
        raise ValueError("no token is given: nobody could ask")
    for token in found:
        text = token.encode("ascii", "replace")
        if bearer.parse((b"Bearer " + text,)) != token:
            raise ValueError("a token has characters that a bearer token cannot have (RFC 6750)")
        if weakness := weak_secrets.weakness(text):
            raise ValueError(f"a token {weakness}; make one with `openssl rand -hex 32`")
    return tuple(map(_digest, found))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("ascii")).digest()


def _checked(url: str) -> str:
    """Return `url` if it can name a decision point ("PDP Metadata": https, nothing behind it)."""
    parts = urlsplit(url)
    local = parts.scheme == "http" and is_loopback(parts.hostname or "")
    plain = not (parts.path or parts.query or parts.fragment or "@" in parts.netloc)
    if not plain or not parts.hostname or not (parts.scheme == "https" or local):
        raise ValueError(f"{url!r} is no URL of a decision point: write https://pdp.example.com")
    return url


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value).encode("ascii")


def _complain(error: Exception) -> None:
    with suppress(Exception):  # the log itself may be what fails
        # Where it happened, and no values: in the text of an error may be a claim.
        stack = "".join(traceback.format_tb(error.__traceback__))
        LOGGER.error("a decision point failed: %s\n%s", type(error).__name__, stack)
