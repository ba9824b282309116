"""The second look: what the hooks between a framework's router and its handlers ask.

They hand over the scope or environ in which the outer look has put its `Access`. That is an object
of this process: no header and no text can be one. Where something in between has taken it out, it
is the one of the running task or thread.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any
from uuid import uuid4

from authz_middleware.access import Access, current_access
from authz_middleware.answers import Answers
from authz_middleware.effects import Routed
from authz_middleware.errors import AccessDenied
from authz_middleware.facts import Decision
from authz_middleware.observe.log import LOGGER
from authz_middleware.policy.canonical import from_wsgi

__all__ = ["KEY", "look_again", "look_again_asgi", "look_again_wsgi", "mount_of"]

KEY = "authz"

UNREADABLE = "\ufffd"
"""Stands for a mount that is no text; every path with it is a 400."""


def look_again(carrier: Mapping[str, Any], asked: Routed) -> None:
    """Raise `AccessDenied` unless the caller may have what the app's router has chosen.

    Where no guard stood before the router, nobody may.
    """
    _look(_access(carrier), carrier, asked)


def _look(access: Access | None, carrier: Mapping[str, Any], asked: Routed) -> None:
    if access is None:
        raise _unguarded(asked)
    access.look_again(asked, overrule=carrier.get(KEY) is access)


def look_again_wsgi(
    environ: Mapping[str, Any],
    key: Hashable,
    *,
    method: str = "",
    path: str = "",
    late: bool = False,
) -> Routed:
    """Do so for a WSGI app that takes its route `key`, and knows nothing of where it is mounted.

    In the policy's table the route is named by the pair of that place and `key`. `path` is what the
    router got, if that is not the environ's; `method` what the view is told, if it is another than
    the router was: both must be allowed. Returns what was asked last.
    """
    sent = from_wsgi(environ.get("PATH_INFO", "") or "/") or ""
    access = _access(environ)
    mount = _mount_of(access, environ, sent)
    routed = environ.get("REQUEST_METHOD", "")
    asked = Routed((mount, key), "http", routed, mount + (path or sent), late)
    _look(access, environ, asked)
    if method and method != routed:
        asked = asked._replace(method=method)
        _look(access, environ, asked)
    return asked


def mount_of(environ: Mapping[str, Any], path: str) -> str:
    """Return what was cut off the path on the way from the guard; `path` is what came of it."""
    return _mount_of(_access(environ), environ, path)


def _mount_of(access: Access | None, environ: Mapping[str, Any], path: str) -> str:
    # Whoever mounts an app cuts the prefix off the path. A prefix that somebody adds, as ProxyFix
    # does, is no mount.
    if access is None or path == access.facts.path:
        return ""
    mount = from_wsgi(environ.get("SCRIPT_NAME", "").removeprefix(access.facts.mount))
    return UNREADABLE if mount is None else mount


def look_again_asgi(
    scope: Mapping[str, Any],
    key: Hashable,
    path: str,
    method: str | None = None,
    *,
    late: bool = False,
) -> None:
    """Do so for an ASGI app that cuts `root_path` off; `path` is what it routes on then.

    `method` is what it goes by, if that is not what stands in the scope.

    Whoever mounts an app puts the prefix behind the `root_path` of the guard. One that was put in
    its place is the prefix of an app that is not in the policy's table.
    """
    access = _access(scope)
    mount = (scope.get("root_path") or "").removeprefix(access.facts.root_path if access else "")
    mount = mount.removesuffix("/")
    if scope["type"] == "websocket":
        look_again(scope, Routed((mount, key), "websocket", "GET", mount + path, late))
    else:
        asked = scope["method"] if method is None else method
        look_again(scope, Routed((mount, key), "http", asked, mount + path, late))


def _access(carrier: Mapping[str, Any]) -> Access | None:
    access = carrier.get(KEY)
    return access if isinstance(access, Access) else current_access()


def _unguarded(asked: Routed) -> AccessDenied:
    id = str(uuid4())
    LOGGER.error(
        "a request came to a handler by another way than through the guard: %a %a, id %s",
        asked.method,
        asked.path,
        id,
    )
    decision = Decision(False, "unguarded")
    answers = Answers()
    return AccessDenied(decision, answers.answer(answers.refusal(decision, id=id, accept=None)))
