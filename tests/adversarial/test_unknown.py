"""Apps that we know nothing about: they may decode twice, fold letters, cut, drop and resolve.

No framework of ours was measured to do any of this, and a plain callable may. So public rules are
matched by the letter, protected ones also as a loose reader would, and what could be both is
refused.
"""

from __future__ import annotations

import re
from posixpath import normpath
from typing import Any
from unicodedata import category, normalize
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.adversarial.world import (
    ADMIN,
    FRAMEWORKS,
    RESTS,
    Arrival,
    GotThrough,
    Ran,
    Reader,
    bearing,
    guarded,
    holds,
    intruders,
    policy,
    send,
)

WORLDS = {"wsgi": "flask", "asgi": "starlette"}


def worst(path: str) -> str:
    """What the loosest reader of all makes of a path."""
    for _ in range(3):
        path = re.sub("%u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), path)
        path = unquote(path)
        path = normalize("NFKC", path).upper().casefold()
        path = path.replace("\\", "/")
        path = re.sub(";[^/]*", "", path)
        path = re.split("[?#]", path)[0]
        path = "".join(each for each in path if category(each)[0] != "C" and each != "\ufffd")
        path = "/".join(segment.strip() for segment in path.split("/"))
    return normpath("/" + path.lstrip("/"))


SPELLINGS = {
    "capital": "/Admin",
    "capitals": "/ADMIN",
    "dotless i": "/adm\u0131n",
    "dotted I": "/ADM\u0130N",
    "fullwidth letter": "/\uff41dmin",
    "fullwidth letters": "/\uff21\uff24\uff2d\uff29\uff2e",
    "mathematical letters": "/\U0001d41a\U0001d41d\U0001d426\U0001d422\U0001d427",
    "circled letters": "/\u24d0\u24d3\u24dc\u24d8\u24dd",
    "escape left": "/%61dmin",
    "escape of an escape": "/%2561dmin",
    "UCS-2 escape": "/%u0061dmin",
    "fullwidth escape": "/\uff0561dmin",
    "matrix parameter": "/admin;x=y",
    "matrix parameter before it": "/;x/admin",
    "backslash": "\\admin",
    "escaped backslash": "/%5cadmin",
    "fullwidth solidus": "/open\uff0f..\uff0fadmin",
    "dots of fullwidth": "/open/\uff0e\uff0e/admin",
    "two dot leader": "/open/\u2025/admin",
    "zero width space": "/ad\u200bmin",
    "soft hyphen": "/ad\u00admin",
    "byte order mark": "/\ufeffadmin",
    "right-to-left mark": "/admin\u200f",
    "right-to-left override": "/\u202eadmin",
    "NUL": "/admin\0",
    "C1 control": "/ad\x85min",
    "next line at the end": "/admin\x85",
    "space at the end": "/admin ",
    "no-break space at the end": "/admin\u00a0",
    "ideographic space at the start": "/\u3000admin",
    "replacement character": "/ad\ufffdmin",
    "fragment": "/admin#",
    "query": "/admin?x",
    "dots": "/open/../admin",
    "escaped dots": "/open/%2e%2e/admin",
    "slashes": "//admin",
}


def make(world: str) -> Any:
    return lambda ran: Reader(FRAMEWORKS[WORLDS[world]].app(ran, "/admin", "/open"), worst)


@pytest.mark.parametrize("path", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("world", WORLDS)
def test_another_spelling(world, path):
    reaches = worst(path) == "/admin"
    assert reaches or path == SPELLINGS["dotted I"]  # its lower case is an i with a dot of its own
    holds(make(world), [path], asgi=world == "asgi", reaches=reaches)


@pytest.mark.parametrize("world", WORLDS)
def test_who_may_runs_what_is_spelled_otherwise(world):
    """By letter case alone: a caller who satisfies both rules is let in."""
    ran = Ran()
    authz = policy({"/**": "authenticated", **ADMIN})
    app = guarded(make(world)(ran), world == "asgi", authz)
    send(app, world == "asgi", Arrival("/Admin"), [*bearing("admin")])
    assert ran == ["admin"]


def test_a_framework_that_is_known_tells_letters_apart():
    """A user of the name Admin is no administrator's page."""
    routes = {"/<name>": ["guest"], "/admin": ["admin"]}
    for name in ("flask", "starlette", "falcon", "bottle"):
        framework = FRAMEWORKS[name]
        ran = Ran()
        spelling = {"flask": "/<x>", "bottle": "/<x>"}.get(name, "/{x}")
        app = framework.app(ran, spelling)
        app = guarded(app, framework.asgi, policy(routes), framework.attribute)
        assert send(app, framework.asgi, Arrival("/Admin"), [*bearing("guest")]) == 200
        assert len(ran) == 1
        assert send(app, framework.asgi, Arrival("/admin"), [*bearing("guest")]) == 403


ROOTS = {
    "capitals": "/SVC/admin",
    "after something public": "/open/Svc/admin",
    "fullwidth letters": "/\uff53\uff56\uff43/admin",
    "in a public place": "/open/\uff53vc/admin",
    "long s": "/\u017fvc/admin",
}


@pytest.mark.parametrize("path", ROOTS.values(), ids=ROOTS)
def test_a_root_path_that_is_cut_loosely(path):
    """As loose as the loosest app: letter case, compatibility forms, anywhere."""

    def cut(path: str) -> str:
        return worst(path).partition("/svc")[2] or path

    def app(ran: Ran) -> Any:
        inner = FRAMEWORKS["starlette"].app(ran, "/admin", "/open")

        async def unprefixed(scope: Any, receive: Any, send: Any) -> None:
            await inner({**scope, "root_path": ""}, receive, send)

        return Reader(unprefixed, cut)

    arrival = Arrival(path, extra={"root_path": "/svc"})
    holds(app, [arrival], asgi=True, plain=Arrival("/svc/admin", extra={"root_path": "/svc"}))


PIECES = [
    *("/", "//", "\\", ".", "..", ";", "%", "%2f", "%2e", "%61", "%25", "#", "?", " ", "\t", "\n"),
    *("a", "A", "\uff41", "d", "m", "i", "\u0131", "I", "n", "N", "admin", "Admin", "open", "x"),
    *("\u200b", "\ufeff", "\u202e", "\x85", "\0", "\ufffd", "\uff0f", "\uff0e", "\u2025", "\uff05"),
]
paths = st.lists(st.sampled_from(PIECES), max_size=9).map(lambda pieces: "/" + "".join(pieces))
near = st.tuples(st.sampled_from(PIECES), st.integers(0, 6)).map(
    lambda each: "/admin"[: each[1]] + each[0] + "/admin"[each[1] :]
)
UNKNOWN = {(rest, world): policy({"/**": rest, **ADMIN}) for rest in RESTS for world in WORLDS}


@given(path=paths | near, rest=st.sampled_from(RESTS))
def test_no_path_runs_what_it_may_not(path, rest):
    """For the loosest reader, whatever is pieced together."""
    ran = Ran()
    app = guarded(_loosest(ran), False, UNKNOWN[rest, "wsgi"])
    for _, fields in intruders(rest):
        send(app, False, Arrival(path), fields)
        if "admin" in ran:
            raise GotThrough(ascii(path))


def _loosest(ran: Ran) -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        ran.append("admin" if f"{worst(path)}/".startswith("/admin/") else "open")
        start_response("200 OK", [])
        return [b""]

    return app


# --- what an inner middleware obeys ---------------------------------------------------------------


class Obeying:
    """A middleware behind the guard that lets a client's field name the path, or the method."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, environ: Any, start_response: Any) -> Any:
        path = environ.get("HTTP_X_ORIGINAL_URL", environ["PATH_INFO"])
        method = environ.get("HTTP_X_HTTP_METHOD_OVERRIDE", environ["REQUEST_METHOD"])
        return self.app({**environ, "PATH_INFO": path, "REQUEST_METHOD": method}, start_response)


@pytest.mark.parametrize(
    ("arrival", "routes"),
    [
        (Arrival("/open", "POST", headers=(("X-Original-URL", "/admin"),)), ADMIN),
        (
            Arrival("/admin", "GET", headers=(("X-HTTP-Method-Override", "POST"),)),
            {"GET /admin": "public", "POST /admin": ["admin"]},
        ),
    ],
    ids=["X-Original-URL", "X-HTTP-Method-Override"],
)
def test_a_field_that_an_inner_middleware_obeys(arrival, routes):
    """Only the second look sees it."""
    holds(
        lambda ran: Obeying(FRAMEWORKS["flask"].app(ran, "/admin", methods=["POST"])),
        [arrival],
        routes=routes,
        plain=Arrival("/admin", "POST"),
    )
