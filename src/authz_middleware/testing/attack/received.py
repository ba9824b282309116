"""What servers make of one raw request: WSGI environs and ASGI scopes (PEP 3333; ASGI, "HTTP").

Servers differ in what they cut, decode, fold and put in front. Each way that one of them was seen
to take is here once, whatever it calls itself: the suite `tests/adversarial` holds these models
against what real servers built.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple
from urllib.parse import unquote_to_bytes

from authz_middleware.testing.attack.grammar import Mutation

__all__ = ["ROOT", "Received", "environs", "scopes"]

ROOT: Final = "/svc"
"""The prefix below which some of the servers run."""


class Received(NamedTuple):
    """What an app behind a server of this kind is called with, without streams and callables."""

    server: str
    facts: dict[str, Any]


class _Target(NamedTuple):
    """A request target as a server has split it; still percent-encoded."""

    path: str
    query: str


def _whole(target: str) -> _Target:
    """The target as it came, up to `?`."""
    path, _, query = target.partition("?")
    return _Target(path, query)


def _cut(target: str) -> _Target:
    """Without scheme, authority and fragment."""
    path, query = _whole(target.partition("#")[0])
    absolute = re.match(r"[A-Za-z][A-Za-z0-9+.-]*://[^/]*", path)
    if absolute:
        path = path[absolute.end() :] or "/"
    return _Target(path, query)


def _reference(target: str) -> _Target:
    """The path as RFC 3986 (Appendix B) finds it: what may be scheme or authority is cut."""
    path, query = _whole(target.partition("#")[0])
    return _Target(re.sub(r"\A(?:[^:/]+:)?(?://[^/]*)?", "", path), query)


def _unsplit(target: str) -> _Target:
    """As `urlsplit` leaves it, after TAB, CR and LF are dropped and leading slashes are one."""
    return _reference(re.sub(r"[\t\r\n]", "", re.sub(r"\A/+", "/", target)))


def _resolved(target: str) -> _Target:
    """With dot segments resolved, encoded ones too."""
    path, query = _whole(target)
    kept: list[str] = []
    for segment in path.split("/"):
        if unquote_to_bytes(segment) == b"..":
            kept = kept[: max(len(kept) - 1, 1)]
        elif unquote_to_bytes(segment) != b".":
            kept.append(segment)
    return _Target("/".join(kept), query)


def _decoded(path: str) -> bytes:
    return unquote_to_bytes(path.encode("latin-1"))


def _except_slashes(path: str) -> bytes:
    """Decode, but leave `%2F` as it is."""
    return b"%2F".join(map(_decoded, re.split("(?i)%2f", path)))


def _replaced(path: str) -> bytes:
    """Decode with U+FFFD in the place of what is not UTF-8."""
    return _decoded(path).decode("utf-8", "replace").encode("utf-8")


_ASGI: Final[dict[str, Callable[[str], _Target]]] = {
    "asgi, whole target": _whole,  # uvicorn with h11, hypercorn, daphne, gunicorn
    "asgi, path only": _cut,  # uvicorn with httptools, granian
}

_WSGI: Final[dict[str, tuple[Callable[[str], _Target], Callable[[str], bytes], bool]]] = {
    # How the target is split, how the path is decoded, and whether the app gets the target too.
    "wsgi, path only": (_cut, _decoded, True),  # gunicorn
    "wsgi, path only, no target": (_cut, _decoded, False),  # granian
    "wsgi, whole target": (_whole, _decoded, True),  # uWSGI, gevent
    "wsgi, whole target, U+FFFD": (_whole, _replaced, False),  # hypercorn, a2wsgi
    "wsgi, slashes folded": (_unsplit, _decoded, True),  # waitress, wsgiref
    "wsgi, dots resolved": (_resolved, _decoded, True),  # uWSGI
    "wsgi, %2F kept": (_whole, _except_slashes, True),  # cheroot
}


def scopes(mutation: Mutation) -> Iterator[Received]:
    """Yield the ASGI scopes that servers make of a request; each is another one."""
    fields = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in (("host", mutation.host), *mutation.fields)
    ]
    handshake = _is_handshake(mutation)
    seen: set[tuple[str, str, bytes]] = set()
    splits = {**_ASGI, "asgi, path of a reference": _reference} if handshake else _ASGI  # daphne
    for server, split in splits.items():
        for target, root, front in (
            (mutation.target, "", ""),
            (mutation.target, ROOT, ROOT),  # the server puts its root path in front
            (mutation.target, ROOT, ""),  # it does not
            (_below(mutation.target), ROOT, ""),
        ):
            path, query = split(target)
            text = front + _decoded(path).decode("utf-8", "replace")
            raw = (front + path).encode("latin-1")
            if (root, text, raw) in seen:
                continue
            seen.add((root, text, raw))
            scope: dict[str, Any] = {
                "type": "websocket" if handshake else "http",
                "asgi": {"version": "3.0", "spec_version": "2.3"},
                "http_version": "1.1",
                "scheme": "ws" if handshake else "http",
                "path": text,
                "raw_path": raw,
                "query_string": query.encode("latin-1"),
                "root_path": root,
                "headers": list(fields),
            }
            if handshake:
                scope["subprotocols"] = []
            else:
                scope["method"] = mutation.method
            yield Received(f"{server}, root path {root}" if root else server, scope)


def environs(mutation: Mutation) -> Iterator[Received]:
    """Yield the WSGI environs that servers make of a request; each is another one."""
    fields = _environ_fields(mutation)
    named = dict(mutation.fields).get("SCRIPT_NAME")
    seen: set[tuple[str, str, str | None]] = set()
    for server, (split, decode, has_target) in _WSGI.items():
        path, query = split(mutation.target)
        below, _ = split(_below(mutation.target))
        for name, script, encoded in (
            (server, "", path),
            (f"{server}, below {ROOT}", ROOT, _without(below, ROOT)),
            (f"{server}, below {ROOT}", ROOT, _without(path, ROOT)),
            # Cut without a look at what is cut.
            (f"{server}, cut at {len(ROOT)}", ROOT, path[len(ROOT) :]),
            # gunicorn lets a proxy on this machine say it in a field.
            (f"{server}, SCRIPT_NAME", named, None if named is None else _without(path, named)),
        ):
            if script is None or encoded is None:
                continue
            info = decode(encoded).decode("latin-1")
            sent = mutation.target if has_target else None
            if (script, info, sent) in seen:
                continue
            seen.add((script, info, sent))
            environ: dict[str, Any] = {
                "REQUEST_METHOD": mutation.method,
                "SCRIPT_NAME": script,
                "PATH_INFO": info,
                "QUERY_STRING": query,
                "SERVER_NAME": "localhost",
                "SERVER_PORT": "80",
                "SERVER_PROTOCOL": "HTTP/1.1",
                "wsgi.url_scheme": "http",
                **fields,
            }
            if sent is not None:
                environ["RAW_URI"] = environ["REQUEST_URI"] = sent
            yield Received(name, environ)


def _below(target: str) -> str:
    """The target below the root path, as a client sends it."""
    return ROOT + target if target.startswith("/") else target


def _without(path: str, prefix: str) -> str | None:
    """Cut `prefix` off, without a look at the boundary; None if it is not there."""
    return path[len(prefix) :] if path.startswith(prefix) else None


def _is_handshake(mutation: Mutation) -> bool:
    """Whether ASGI servers take the request for a WebSocket handshake."""
    fields = {name.lower(): value.lower() for name, value in mutation.fields}
    return (
        mutation.method == "GET"
        and fields.get("upgrade") == "websocket"
        and "sec-websocket-key" in fields
    )


def _environ_fields(mutation: Mutation) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, value in (("Host", mutation.host), *mutation.fields):
        key = "HTTP_" + name.upper().replace("-", "_")
        fields[key] = f"{fields[key]},{value}" if key in fields else value
    return fields
