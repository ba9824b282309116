"""The routes that every app of the suite has, who may call them, and the requests that are sent.

Each handler says who it is when it runs. Below a catch-all it is the tail that is protected: what
a file handler would serve for it, dot segments resolved.
"""

from __future__ import annotations

import posixpath
from typing import Any, Literal, NamedTuple

from authz_middleware.testing import DevelopmentIssuer
from authz_middleware.testing.attack.grammar import HANDSHAKE, Mutation, mutations

PREFIX = "/svc"

Caller = Literal["nobody", "garbage", "viewer", "admin"]
CALLERS: tuple[Caller, ...] = ("nobody", "garbage", "viewer", "admin")

ROUTES = {
    "GET /public": "public",
    "GET /pages/<path:rest>": "public",
    "GET /items/<int:id>": ["viewer"],
    "/admin/**": ["admin"],
    "GET /files/<path:rest>": ["viewer"],
    "GET /files/private/<path:rest>": ["admin"],
    "GET /sub/open": "public",
    "GET /sub/admin": ["admin"],
    "GET /users/me": ["viewer"],
    "GET /users/<name>": ["admin"],
    "WS /feed/open": "public",
    "WS /feed/admin": ["admin"],
}

RAN: list[str] = []
"""The handlers that ran since this was emptied, under the names of `NEEDS`."""

NEEDS: dict[str, Caller] = {
    "public": "nobody",
    "page": "nobody",
    "item": "viewer",
    "admin": "admin",
    "written": "admin",
    "file": "viewer",
    "private file": "admin",
    "sub open": "nobody",
    "sub admin": "admin",
    "me": "viewer",
    "user": "admin",
    "feed open": "nobody",
    "feed admin": "admin",
    "escape": "admin",  # a tail that leaves its folder
    "sink": "admin",  # a mount of the framework's own kind
    "deep": "admin",  # a view that is found by its name
}

_RANK = {"nobody": 0, "garbage": 0, "viewer": 1, "admin": 2}


def may(caller: Caller, handler: str) -> bool:
    """Whether `caller` has the right to run `handler`."""
    return _RANK[caller] >= _RANK[NEEDS[handler]]


def ran(handler: str) -> str:
    """Say that a handler runs; every handler calls it first."""
    assert handler in NEEDS
    RAN.append(handler)
    return handler


def ran_tail(rest: str, *, private: str = "") -> str:
    """Say which file a catch-all handler serves."""
    where = posixpath.normpath("/base/" + rest)
    if where != "/base" and not where.startswith("/base/"):
        return ran("escape")
    if not private:
        return ran("page")
    below = where == f"/base/{private}" or where.startswith(f"/base/{private}/")
    return ran("private file" if below else "file")


def policy(issuer: DevelopmentIssuer, default: str, routes: dict[str, Any] | None = None) -> dict:
    """Return the policy of every app; `routes` are what only one of them has."""
    return {
        "issuers": [issuer.policy_issuer()],
        "roles": {"viewer": [], "admin": {"inherits": ["viewer"]}},
        "default": default,
        "routes": {**ROUTES, **(routes or {})},
    }


class Plain(NamedTuple):
    """A plain request, and the handler that it is for."""

    method: str
    path: str
    handler: str


PLAIN = (
    Plain("GET", "/public", "public"),
    Plain("GET", "/pages/a/b", "page"),
    Plain("GET", "/items/1", "item"),
    Plain("GET", "/admin/users", "admin"),
    Plain("POST", "/admin/users", "written"),
    Plain("GET", "/files/a", "file"),
    Plain("GET", "/files/private/a", "private file"),
    Plain("GET", "/sub/open", "sub open"),
    Plain("GET", "/sub/admin", "sub admin"),
    Plain("GET", "/users/me", "me"),
    Plain("GET", "/users/ann", "user"),
    Plain("WS", "/feed/open", "feed open"),
    Plain("WS", "/feed/admin", "feed admin"),
)

MUTATED = (
    ("GET", "/admin/users"),
    ("GET", "/items/1"),
    ("GET", "/files/private/a"),
    ("GET", "/sub/admin"),
    ("WS", "/feed/admin"),
)

# What only the routers of some frameworks make something of.
_OWN = (
    *("/sink", "/sink/", "/sink/admin", "/sinkadmin", "/sink%2fadmin", "/sinK/admin", "/x/sink"),
    *("/deep", "/deep/x/y", "/@@deep", "/x/../deep", "//deep", "/deep/", "/./deep", "/public/deep"),
    *(
        "/public/@@deep",
        "/pages/../deep",
        "/admin/../deep",
        "/deep%0a",
        "/sub",
        "/sub/",
        "/subadmin",
    ),
    *("/users/me/", "/users/ME", "/users/me%20", "/users/m%65", "/users/", "/users"),
)


def requests() -> tuple[Mutation, ...]:
    """Return everything that is sent, the plain requests first; each once."""
    found: dict[tuple, Mutation] = {}
    for plain in PLAIN:
        verb, fields = ("GET", HANDSHAKE) if plain.method == "WS" else (plain.method, ())
        each = Mutation("plain", verb, plain.path, fields)
        found.setdefault(tuple(each[1:]), each)
    for method, path in MUTATED:
        for each in mutations(method, path, "/public"):
            found.setdefault(tuple(each[1:]), each)
        for each in mutations(method, path, "/pages"):
            if each.kind in {"dots", "slashes", "suffixes", "prefixes", "fragments"}:
                found.setdefault(tuple(each[1:]), each)
    for target in _OWN:
        own = Mutation("own routes", "GET", target)
        found.setdefault(tuple(own[1:]), own)
    own = Mutation("own routes", "GET", "/", (("X-Vhm-Root", "/deep"),))
    found.setdefault(tuple(own[1:]), own)
    return tuple(found.values())
