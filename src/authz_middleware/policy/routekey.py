"""A key of `[routes]`, and a request line of `[[tests]]`: `[METHOD|METHOD ]PATH`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from authz_middleware.policy.template import Template, TemplateError, parse

__all__ = [
    "WEBSOCKET",
    "RouteKey",
    "RouteKeyError",
    "check_head",
    "check_methods",
    "parse_key",
    "request_method",
    "split_key",
]

WEBSOCKET = "WS"
"""The pseudo-method of a WebSocket handshake; no HTTP request can pose as it."""

WORDS_FOR_EVERY_METHOD = frozenset({"*", "ANY", "ALL"})
"""What other configurations write for "every method"; here it would be a method of that name."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2
# As nearly every request has them: they need no reading.
_USUAL = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})


class RouteKeyError(ValueError):
    """A key that names no method and path: `what` is wrong, `fix` is what to write."""

    def __init__(self, what: str, fix: str) -> None:
        self.what, self.fix = what, fix
        super().__init__(f"{what}; {fix}")


@dataclass(frozen=True, slots=True)
class RouteKey:
    """A parsed key; no methods means every HTTP method and the WebSocket handshake."""

    methods: tuple[str, ...]
    template: Template


def parse_key(text: str) -> RouteKey:
    """Parse a route key; raises `RouteKeyError`."""
    methods, path = split_key(text)
    check_head(methods)
    try:
        return RouteKey(methods, parse(path))
    except TemplateError as error:
        raise RouteKeyError(f"{error.what} in `{path}`", error.fix) from None


def check_head(methods: tuple[str, ...]) -> None:
    """Raise `RouteKeyError` for HEAD among `methods`."""
    if "HEAD" in methods:
        raise RouteKeyError("HEAD is covered by GET and cannot be ruled apart", "write GET")


def split_key(text: str) -> tuple[tuple[str, ...], str]:
    """Split `GET|POST /path` into its upper-case methods and its path."""
    if text.startswith("/"):
        return (), text
    before, space, path = text.partition(" ")
    if not space or not path.startswith("/"):
        raise RouteKeyError(
            f"`{text}` does not name a path", 'write "/path", "GET /path" or "GET|POST /path"'
        )
    methods = tuple(before.split("|"))
    check_methods(methods, f'write "{path}": a key without one covers them all')
    if len(set(methods)) < len(methods):
        raise RouteKeyError(f"`{before}` names a method twice", "name each once")
    return methods, path


def check_methods(methods: tuple[str, ...], every: str) -> None:
    """Raise `RouteKeyError` for what is no method; `every` says how all of them are written."""
    if any(method.upper() in WORDS_FOR_EVERY_METHOD for method in methods):
        raise RouteKeyError(f"`{'|'.join(methods)}` is not a method", every)
    for method in methods:
        # A bar may stand in a token, but such a method would be a list that never matches.
        if not _TOKEN.fullmatch(method) or method != method.upper() or "|" in method:
            raise RouteKeyError(
                f"`{method}` is not a method", "write it in capitals: GET, POST, WS"
            )


def request_method(kind: str, method: str) -> str | None:
    """Return the method to match a request by, or None if two parties could read it in two ways.

    Upper-cased, since many routers do so themselves. Upper-casing is only safe for ASCII: "ß"
    would become "SS". An HTTP request whose method is literally "WS" is no handshake.
    """
    if kind == "websocket":
        return WEBSOCKET
    if method in _USUAL:
        return method
    if not _TOKEN.fullmatch(method):
        return None
    upper = method.upper()
    return None if upper == WEBSOCKET else upper
