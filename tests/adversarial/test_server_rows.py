"""Every row of what servers were measured to put in the environ and the scope.

A decision rests on what the router will use: `PATH_INFO` or `path`. What else a server says of the
target differs from it somewhere. It opens nothing, and what it closes is an encoded slash alone.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.adversarial.test_rows import LAX_ABOUT_TRAILING, SLASHES, sockets
from tests.adversarial.world import (
    ADMIN,
    ASGI,
    FRAMEWORKS,
    WSGI,
    Arrival,
    Ran,
    bearing,
    everywhere,
    guarded,
    holds,
    policy,
    send,
)
from tests.frameworks.installed import installed

NAMES = [*FRAMEWORKS]


def told(name: str, path: str | bytes, target: str, method: str = "GET") -> list[Arrival]:
    """A path as servers of the framework's kind hand it over, with what they say of the target."""
    if FRAMEWORKS[name].asgi:
        return [
            Arrival(path, method, extra={"raw_path": target.partition("?")[0].encode("latin-1")}),
            Arrival(path, method),
        ]
    return [
        Arrival(path, method, extra={"RAW_URI": target}),  # gunicorn
        Arrival(path, method, extra={"REQUEST_URI": target}),  # waitress, uWSGI, werkzeug
        Arrival(path, method),  # gevent, wsgiref, granian, hypercorn, a2wsgi
    ]


# What the server made a plain path of, whatever it says of the target.
PLAIN = (
    "/%61dmin",
    "//admin",  # waitress, wsgiref and werkzeug-dev fold it
    "/x/../admin",  # uWSGI resolves it
    "/admin#x",  # most cut it
    "/ad\tmin",  # waitress and cheroot drop the tab
    "http://h/admin",  # most cut it
    "/open",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_plain_path_decides_whatever_the_target_was(name):
    arrivals = [arrival for target in PLAIN for arrival in told(name, "/admin", target)]
    everywhere(name, arrivals, plain=arrivals)


@pytest.mark.parametrize("name", LAX_ABOUT_TRAILING)
def test_encoded_slash(name):
    """`/admin%2f`: decoded by all servers but cheroot; refused to everybody where it is seen."""
    framework = FRAMEWORKS[name]
    options = LAX_ABOUT_TRAILING[name]
    arrivals = [*told(name, "/admin/", "/admin%2f")[:-1], *told(name, "/admin/", "/admin%2F")[:-1]]
    everywhere(name, arrivals, options=options)
    ran = Ran()
    app = framework.app(ran, **options)
    app = guarded(app, framework.asgi, policy(ADMIN), framework.attribute)
    for arrival in [*arrivals, Arrival("/admin%2F")]:
        assert send(app, framework.asgi, arrival, [*bearing("admin")]) == 400
    assert ran == []


@pytest.mark.parametrize("name", SLASHES)
def test_slashes_as_sent(name):
    everywhere(name, told(name, "//admin", "//admin"))


@pytest.mark.parametrize("path", ["/x/../admin", "/./admin"])
def test_dots_as_sent(path):
    everywhere("traversal", told("traversal", path, path))


@pytest.mark.parametrize("name", NAMES)
def test_fragment_as_sent(name):
    """Harmless here, since no framework of ours cuts it; `test_advisories` has one that does."""
    everywhere(name, told(name, "/admin#x", "/admin#x"), reaches=False)


@pytest.mark.parametrize("name", NAMES)
def test_tab_as_sent(name):
    """uWSGI keeps it."""
    everywhere(name, told(name, "/ad\tmin", "/ad\tmin"), reaches=False)


@pytest.mark.parametrize("url", ["http://h/admin", "http://localhost/admin"])
def test_absolute_form_as_sent(url):
    everywhere("quart", told("quart", url, url))


@pytest.mark.parametrize("name", NAMES)
def test_a_byte_that_is_not_utf_8(name):
    """WSGI servers hand it over, ASGI servers put U+FFFD; Bottle drops it."""
    everywhere(name, told(name, b"/adm\xffin", "/adm%ffin"), reaches=name == "bottle")


@pytest.mark.parametrize("name", NAMES)
def test_raw_bytes(name):
    """granian, gevent, uWSGI and wsgiref pass them on, and they mean what their escapes mean."""
    path = "/caf\u00e9"
    arrivals = told(name, path, "/caf\xc3\xa9")
    expected: dict[str, Any] = {"routes": {path: ["admin"]}, "protected": path[1:]}
    everywhere(name, arrivals, paths=(path,), plain=arrivals, **expected)


# What runs the handler of `/` for an empty path. Werkzeug redirects.
EMPTY_IS_ROOT = {"bottle", "django-wsgi", "falcon", "falcon-asgi", "litestar", "pyramid"}
EMPTY_IS_ROOT |= {"traversal"}


@pytest.mark.parametrize("path", ["*", ""])
@pytest.mark.parametrize("name", NAMES)
def test_no_path(name, path):
    """`OPTIONS *`, `?x`. Under WSGI an empty path is the root of a mount, to us as well."""
    everywhere(
        name,
        told(name, path, path or "?x"),
        paths=() if name == "traversal" else ("/",),
        routes={"/": ["admin"]},
        protected="root",
        plain="/",
        reaches=path == "" and name in EMPTY_IS_ROOT,
    )


def test_websocket_with_a_host_in_its_path():
    """`//ws/admin`: Daphne takes the first segment for a host."""
    arrival = Arrival("/admin", "WS", extra={"raw_path": b"//ws/admin"})
    holds(sockets, [arrival], asgi=True, plain=arrival)


# --- below a prefix -------------------------------------------------------------------------------

# Server: the path that it makes of a target below `--root-path /svc`.
PREFIXED = {
    "uvicorn": lambda target: f"/svc{target}",
    "hypercorn, granian, daphne, gunicorn": lambda target: target,
}
# What runs the handler of `/admin`, where path is the target.
WITHOUT = {"starlette", "fastapi", "django-asgi", "litestar", "falcon-asgi"}
WITH = {"starlette", "fastapi", "django-asgi", "litestar", "quart"}


@pytest.mark.parametrize("server", PREFIXED)
@pytest.mark.parametrize("name", ASGI)
def test_root_path(name, server):
    for target in ("/admin", "/svc/admin", "/svc/svc/admin"):
        path = PREFIXED[server](target)
        arrival = Arrival(path, extra={"root_path": "/svc"})
        runs = name in {"/admin": WITHOUT, "/svc/admin": WITH}.get(path, set())
        plain = Arrival("/admin" if name in WITHOUT else "/svc/admin", extra=arrival.extra)
        everywhere(name, [arrival], plain=arrival if runs else plain, reaches=runs)


# What WSGI servers make of a target below `/svc`: PATH_INFO.
CUT = {
    "gunicorn, at a boundary": ("/admin", True),
    "gunicorn, without one": ("admin", False),
    "waitress, without one": ("/svcadmin", False),
    "waitress, outside": ("/admin", True),
    "granian, blindly": ("/admin", True),
}


@pytest.mark.parametrize(("path", "plain"), CUT.values(), ids=CUT)
@pytest.mark.parametrize("name", WSGI)
def test_script_name(name, path, plain):
    arrival = Arrival(path, extra={"SCRIPT_NAME": "/svc"})
    expected = {"plain": arrival} if plain else {"reaches": path == "admin" and name in SLASHES}
    everywhere(name, [arrival], **expected)


@pytest.mark.parametrize("path", ["admin", "\\admin", "http://evil/admin", "*", "/admin#x"])
@pytest.mark.parametrize("name", ASGI)
def test_http_2(name, path):
    """hypercorn passes `:path` on as it is."""
    reached = {
        "admin": {"quart", "falcon-asgi", "litestar"},
        "http://evil/admin": {"quart"},
    }.get(path, set())
    everywhere(name, [Arrival(path, extra={"http_version": "2"})], reaches=name in reached)


# --- what routers do with all this, as far as it is seen from outside -----------------------------


def test_an_app_with_a_root_path_of_its_own():
    """FastAPI's takes the place of the server's."""

    def make(ran: Ran) -> Any:
        app = FRAMEWORKS["fastapi"].app(ran)
        app.root_path = "/open"
        return app

    arrivals = [Arrival("/open/admin"), Arrival("/open/admin", extra={"root_path": "/svc"})]
    holds(make, arrivals, asgi=True)


def test_a_project_with_a_prefix_of_its_own():
    """Django's FORCE_SCRIPT_NAME takes the place of the server's root_path."""
    override_settings = installed("django.test.utils").override_settings
    FRAMEWORKS["django-asgi"].app(Ran())
    with override_settings(FORCE_SCRIPT_NAME="/open"):
        everywhere("django-asgi", [Arrival("/open/admin")])


def websocket_rules(ran: Ran) -> Any:
    """Werkzeug's router, with a WebSocket where a GET is public."""
    routing = installed("werkzeug.routing")
    url_map = routing.Map(
        [
            routing.Rule("/feed", endpoint="open", methods=["GET"]),
            routing.Rule("/feed", endpoint="feed", websocket=True),
        ]
    )
    response = installed("werkzeug.wrappers").Response

    def app(environ: Any, start_response: Any) -> Any:
        endpoint, _ = url_map.bind_to_environ(environ).match()
        return response(ran.of(endpoint)())(environ, start_response)

    return app


HANDSHAKE = (("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Key", "x"))
FEED: dict[str, Any] = {"GET /feed": "public", "WS /feed": ["admin"]}
UPGRADE = Arrival("/feed", headers=HANDSHAKE)


def test_an_upgrade_request_is_a_handshake_to_werkzeug():
    holds(websocket_rules, [UPGRADE], routes=FEED, protected="feed", plain=UPGRADE)


def test_an_upgrade_request_is_a_handshake_to_werkzeug_behind_a_bridge():
    """An ASGI server without WebSockets hands it over as HTTP, and the bridge as WSGI."""
    bridge = installed("asgiref.wsgi").WsgiToAsgi

    def make(ran: Ran) -> Any:
        return bridge(websocket_rules(ran))

    holds(make, [UPGRADE], asgi=True, routes=FEED, protected="feed", plain=UPGRADE)


@pytest.mark.parametrize("kind", ["webtransport", "HTTP", "", "lifespan.startup"])
def test_a_scope_of_unknown_type(kind, caplog):
    """An app that takes every scope for HTTP, as hand-written ones do."""
    ran = Ran()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        ran.of("admin")()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    arrival = Arrival("/admin", extra={"type": kind})
    with pytest.raises(IndexError):  # no message was sent
        send(guarded(app, True, policy({"/**": "public"})), True, arrival, [])
    assert ran == []
    send(app, True, arrival, [])
    assert ran == ["admin"]


def lifespan_app(name: str, seen: list[str]) -> Any:
    async def started() -> None:
        seen.append("start")

    async def stopped() -> None:
        seen.append("stop")

    if name == "litestar":
        return installed("litestar").Litestar(
            [], logging_config=None, on_startup=[started], on_shutdown=[stopped]
        )
    app = FRAMEWORKS["quart"].app(Ran())
    app.before_serving(started)
    app.after_serving(stopped)
    return app


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["litestar", "quart"])
async def test_lifespan_passes(name):
    seen: list[str] = []
    app = lifespan_app(name, seen)
    app = guarded(app, True, policy(ADMIN), FRAMEWORKS[name].attribute if name == "quart" else "")
    incoming = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent: list[str] = []

    async def receive() -> Any:
        return incoming.pop(0)

    async def send_message(message: Any) -> None:
        sent.append(message["type"])

    await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send_message)
    assert seen == ["start", "stop"]
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
