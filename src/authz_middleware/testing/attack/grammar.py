"""Odd requests for a plain one: every way in which a guard and a router are known to disagree.

Each mutation writes the path of a request as somebody might to get past the guard and still
reach the handler. What one server refuses another passes on, so none is left out as impossible.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from authz_middleware.testing.attack.targets import TARGETS, encoded

__all__ = ["HANDSHAKE", "KINDS", "Mutation", "mutations"]

Fields = tuple[tuple[str, str], ...]

HANDSHAKE: Final[Fields] = (
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "AQIDBAUGBwgJCgsMDQ4PEA=="),
)
"""The fields of a WebSocket handshake (RFC 6455 §4.1)."""


class Mutation(NamedTuple):
    """One request as it goes over the wire. `target` is latin-1: a character is a byte."""

    kind: str
    method: str
    target: str
    fields: Fields = ()
    host: str = "localhost"

    @property
    def line(self) -> str:
        """The request line, and the fields that matter, on one line."""
        shown = [f"{name}: {value}" for name, value in self.fields]
        if self.host != "localhost":
            shown.insert(0, f"Host: {self.host}")
        return " | ".join([f"{self.method} {_visible(self.target)} HTTP/1.1", *shown])

    def raw(self, authorization: str = "") -> bytes:
        """Return the bytes of the request."""
        lines = [f"{self.method} {self.target} HTTP/1.1", f"Host: {self.host}"]
        lines += [f"{name}: {value}" for name, value in self.fields]
        if authorization:
            lines.append(f"Authorization: {authorization}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def curl(self, server: str = "http://localhost:8000", *, credentials: bool = False) -> str:
        """Return a command for a POSIX shell with which the request can be sent again."""
        words = ["curl --http1.1 --path-as-is", "-I" if self.method == "HEAD" else "-i"]
        if self.method not in {"GET", "HEAD"}:
            words.append(f"-X {_quoted(self.method)}")
        words.append(f"--request-target {_quoted(self.target)}")
        fields = (("Host", self.host), *self.fields)
        words += [f"-H {_quoted(f'{name}: {value}')}" for name, value in fields]
        if credentials:
            words.append('-H "Authorization: Bearer $TOKEN"')
        return " ".join([*words, server])


def mutations(method: str, path: str, public: str = "/") -> tuple[Mutation, ...]:
    """Return the mutations of a plain request, in an order that never changes, each once.

    `method` is "WS" for a WebSocket handshake. `path` is plain: percent-decoded and canonical.
    `public` is the path of a route that anybody may call, which some of them pretend to be.
    """
    plain = encoded(path)
    opened = encoded(public).rstrip("/")
    verb, fields = ("GET", HANDSHAKE) if method == "WS" else (method, ())
    found: dict[tuple[object, ...], Mutation] = {}

    def add(each: Mutation) -> None:
        if each[1:] != (verb, plain, fields, "localhost"):
            found.setdefault(each[1:], each)

    for kind, targets in TARGETS.items():
        for target in targets(plain, opened):
            if target and not _breaks_the_line(target):
                add(Mutation(kind, verb, target, fields))
    for each in _requests(verb, plain, opened or "/", fields):
        add(each)
    return tuple(found.values())


_breaks_the_line = re.compile(r"[ \r\n]").search


def _visible(text: str) -> str:
    return "".join(each if "!" <= each <= "~" else f"\\x{ord(each):02x}" for each in text)


def _quoted(text: str) -> str:
    """Quote for a POSIX shell; bytes that do not print as `$'...'` has them (POSIX.1-2024)."""
    if all(" " <= each <= "~" for each in text):
        return "'" + text.replace("'", "'\\''") + "'"
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return "$'" + re.sub(r"[^ -~]", lambda each: f"\\x{ord(each[0]):02x}", escaped) + "'"


KINDS: Final = (*TARGETS, "methods", "headers", "upgrade")
"""The classes of mutations."""

_METHODS = (
    *("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "QUERY"),
    *("PROPFIND", "MKCOL", "COPY", "MOVE", "LOCK", "REPORT", "PURGE", "FOO", "ANY", "PROXY", "WS"),
    *("GETX", "X-GET", "*", "_", "GET%20", "G\xc9T"),
)
# Fields that say "the path is another one"; somebody in front, or inside, may believe them.
_PATH_FIELDS = (
    *("X-Original-URL", "X-Rewrite-URL", "X-Original-URI", "X-Forwarded-Uri", "X-Forwarded-Path"),
    *(
        "X-Envoy-Original-Path",
        "X-Vhm-Root",
        "Path-Info",
        "PATH_INFO",
        "Request-URI",
        "REQUEST_URI",
    ),
    *("X-Request-URI", "X-Replaced-Path", "X-Url", "Raw-URI"),
)
_PREFIX_FIELDS = (
    *("X-Forwarded-Prefix", "X-Script-Name", "SCRIPT_NAME", "Script-Name", "X-Forwarded-Root"),
    *("X-Root-Path", "Root-Path", "X-Vhm-Root", "X-Vhm-Host", "X-Forwarded-Script-Name"),
)
_METHOD_FIELDS = (
    *("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "_method", "Request-Method"),
)
_TRUST_FIELDS: Fields = (
    ("x-middleware-subrequest", "middleware:middleware:middleware:middleware:middleware"),
    ("X-Forwarded-For", "127.0.0.1"),
    ("X-Real-IP", "127.0.0.1"),
    ("X-Remote-User", "admin"),
    ("Remote-User", "admin"),
    ("REMOTE_USER", "admin"),
    ("X-Forwarded-User", "admin"),
    ("X-Auth-Roles", "admin"),
    ("authz", "admin"),
    ("X-Forwarded-Proto", "https"),
    ("X_Forwarded_Proto", "https"),
    ("Forwarded", "for=127.0.0.1;host=localhost;proto=https"),
    ("X-Internal", "1"),
    ("X-Authenticated", "true"),
)


def _requests(method: str, path: str, public: str, fields: Fields) -> Iterator[Mutation]:
    """Yield what is not only another target."""
    if not fields:
        yield from _methods(method, path)
        yield from _upgrades(method, path)
    for name in _PATH_FIELDS:
        for target, value in ((public, path), (path, public), ("/", path), ("/x", path)):
            yield Mutation("headers", method, target, (*fields, (name, value)))
    for name in _PREFIX_FIELDS:
        for value in (public, "/x", "/", "/svc", path, path[: path.rfind("/")] or "/"):
            yield Mutation("headers", method, path, (*fields, (name, value)))
            yield Mutation("headers", method, value.rstrip("/") + path, (*fields, (name, value)))
    for name, value in _TRUST_FIELDS:
        yield Mutation("headers", method, path, (*fields, (name, value)))
    for host in (
        *("evil.example", "LOCALHOST", "localhost.", "localhost:80", "localhost" + public + "?"),
        *("localhost" + public + "#", "x/public?", "localhost\\" + public, "admin.localhost", ""),
        *("localhost, evil.example", "u@localhost", "[::1]", "localhost:x"),
    ):
        yield Mutation("headers", method, path, fields, host)
    for host in ("localhost" + path + "?", "localhost" + path + "#", "x" + path):
        yield Mutation("headers", method, public, fields, host)


def _methods(method: str, path: str) -> Iterator[Mutation]:
    spelled = (method.lower(), method.title(), method.swapcase(), method[:1].lower() + method[1:])
    for each in (*spelled, *_METHODS, *map(str.lower, _METHODS[:7])):
        yield Mutation("methods", each, path)
    for name in _METHOD_FIELDS:
        for sent in ("GET", "POST", "HEAD", "OPTIONS"):
            yield Mutation("headers", sent, path, ((name, method),))
            yield Mutation("headers", sent, path, ((name, "OPTIONS"),))
    for sent in ("GET", "POST"):
        yield Mutation("methods", sent, f"{path}?_method={method}")
        yield Mutation("methods", sent, f"{path}?X-HTTP-Method-Override={method}")
    preflight = (("Origin", "https://evil.example"), ("Access-Control-Request-Method", method))
    for sent in ("OPTIONS", "options", method):
        yield Mutation("methods", sent, path, preflight)
        yield Mutation("methods", sent, path, preflight[1:])


def _upgrades(method: str, path: str) -> Iterator[Mutation]:
    connection, upgrade, version, key = HANDSHAKE
    variants: tuple[Fields, ...] = (
        HANDSHAKE,
        (connection, upgrade),
        (upgrade,),
        (connection, upgrade, key),
        (key,),
        (upgrade, key),
        (version, key),
        (connection, ("Upgrade", "WebSocket"), version, key),
        (("Connection", "keep-alive, Upgrade"), upgrade, version, key),
        (connection, ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA")),
        (("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMA")),
        (connection, ("Upgrade", "websocket, h2c"), version, key),
        (connection, ("Upgrade", "foo/2, websocket"), version, key),
        (connection, upgrade, ("Sec-WebSocket-Version", "8"), key),
        (*HANDSHAKE, ("Sec-WebSocket-Protocol", "bearer, x")),
        (("Connection", "authorization"),),
        (("Connection", "close, authorization, x-forwarded-for"),),
    )
    for fields in variants:
        yield Mutation("upgrade", method, path, fields)
    for target in (
        "/" + path,
        "//localhost" + path,
        path + "/",
        path + "%0a",
        path.upper(),
        path[1:],
    ):
        yield Mutation("upgrade", method, target, HANDSHAKE)
    for other in ("POST", "HEAD", "OPTIONS", "get"):
        yield Mutation("upgrade", other, path, HANDSHAKE)
