"""Every row of what routers were measured to serve for a path that is not the plain one.

The rows are those of the table of odd requests, in its order. A request is built as the servers of
its row build it; the app is real. Beside the rule for what is protected, everything else is open:
what that rule misses runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.adversarial.world import (
    ADMIN,
    FRAMEWORKS,
    WSGI,
    Arrival,
    Ran,
    everywhere,
    guarded,
    holds,
    policy,
    send,
    with_urls,
)
from tests.frameworks.installed import installed

# Frameworks that serve a path whose first slash is missing, or there more than once.
SLASHES = ["flask", "werkzeug", "quart", "falcon", "falcon-asgi", "litestar", "traversal"]


@pytest.mark.parametrize("name", SLASHES)
def test_leading_slashes(name):
    everywhere(name, ["//admin", "///admin"])


@pytest.mark.parametrize("name", SLASHES)
def test_no_leading_slash(name):
    everywhere(name, ["admin"])


def dispatched(ran: Ran) -> Any:
    """Werkzeug's dispatcher, with a protected handler in the app itself and in a mounted one."""
    middleware = installed("werkzeug.middleware.dispatcher").DispatcherMiddleware
    werkzeug = FRAMEWORKS["werkzeug"]
    return middleware(werkzeug.app(ran), {"/admin/mount": werkzeug.app(ran, "/users")})


@pytest.mark.parametrize("junk", ["*", ":", "\0", "x", "\\", "lic"])
def test_junk_before_the_first_slash_behind_a_dispatcher(junk):
    holds(dispatched, [f"{junk}/admin"])


@pytest.mark.parametrize("url", ["x:///admin", "http://x/admin"])
def test_junk_before_the_first_slash_in_quart(url):
    everywhere("quart", [url])


@pytest.mark.parametrize("url", ["http://x/admin", "x:///admin", "file:///admin"])
def test_absolute_form(url):
    everywhere("quart", [url])
    holds(dispatched, [url], reaches=not url.startswith("http"))


@pytest.mark.parametrize("name", ["litestar"])
def test_inner_slashes(name):
    everywhere(
        name,
        ["/admin//users", "/admin///users/"],
        paths=("/admin/users",),
        plain="/admin/users",
    )


def test_inner_slashes_behind_a_dispatcher():
    holds(dispatched, ["/admin/mount//users"], protected="users", plain="/admin/mount/users")


def test_inner_slashes_behind_a_subpath():
    holds(subpath, ["/admin//users", "/admin/./users"], plain="/admin/users")


def subpath(ran: Ran) -> Any:
    """Pyramid's `wsgiapp2` below `*subpath`, with a view that is found by traversal."""
    config = installed("pyramid.config").Configurator()
    wsgiapp2 = installed("pyramid.wsgi").wsgiapp2

    def inner(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/users":
            ran.of("admin")()
        start_response("200 OK", [])
        return [b""]

    config.add_route("mount", "/admin/*subpath")
    config.add_view(wsgiapp2(inner), route_name="mount")
    return config.make_wsgi_app()


LAX_ABOUT_TRAILING: dict[str, dict[str, Any]] = {
    "litestar": {},
    "flask": {"strict_slashes": False},
    "werkzeug": {"strict_slashes": False},
    "quart": {"strict_slashes": False},
    "falcon": {"strip": True},
    "falcon-asgi": {"strip": True},
    "traversal": {},
}


@pytest.mark.parametrize("name", LAX_ABOUT_TRAILING)
def test_trailing_slash_added(name):
    everywhere(name, ["/admin/"], options=LAX_ABOUT_TRAILING[name], routes={"/admin": ["admin"]})


@pytest.mark.parametrize("name", ["litestar", "traversal"])
def test_trailing_slash_removed(name):
    everywhere(name, ["/admin"], paths=("/admin/",), routes={"/admin/": ["admin"]}, plain="/admin/")


@pytest.mark.parametrize("name", ["starlette", "fastapi", "flask", "quart", "werkzeug"])
def test_trailing_slash_redirects_only(name):
    everywhere(name, ["/admin/"], reaches=False)


@pytest.mark.parametrize("name", ["starlette", "fastapi", "pyramid"])
def test_newline_at_the_end(name):
    everywhere(name, ["/admin\n"])


@pytest.mark.parametrize(
    ("name", "path", "reaches"),
    [
        ("bottle", "/admin/<x>", True),
        ("litestar", "/admin/{x:int}", True),
        ("django-wsgi", "/admin", False),
        ("django-asgi", "/admin", False),
        ("werkzeug", "/admin", False),
    ],
)
def test_newline_at_the_end_of_what_a_parameter_takes(name, path, reaches):
    plain = path.partition("/<")[0].partition("/{")[0]
    plain += "/1" if plain != path else ""
    everywhere(name, [f"{plain}\n"], paths=(path,), plain=plain, reaches=reaches)


def test_newline_at_the_end_of_a_websocket():
    holds(
        sockets,
        [Arrival("/admin\n", "WS")],
        asgi=True,
        plain=Arrival("/admin", "WS"),
    )


def sockets(ran: Ran) -> Any:
    """Starlette with a WebSocket, a mount and a host, which end in `$` like every route."""
    routing = installed("starlette.routing")

    async def endpoint(socket: Any) -> None:
        ran.of("admin")()
        await socket.accept()
        await socket.close()

    routes = [routing.WebSocketRoute("/admin", endpoint)]
    return installed("starlette.applications").Starlette(routes=routes)


def test_newline_at_the_end_of_a_mount():
    holds(lambda ran: any_method("mount", ran), ["/admin/\n"], asgi=True, plain="/admin/")


def sink(ran: Ran) -> Any:
    app = installed("falcon").App()
    app.add_sink(lambda request, response: ran.of("admin")(), "/admin")
    return app


def test_newline_at_the_end_of_a_sink():
    holds(sink, ["/admin\n"])


def test_a_sink_has_no_end():
    holds(sink, ["/administrator"])


@pytest.mark.parametrize(
    "path", [b"/adm\xffin", b"/\xc0admin", b"/admin\x80", b"/ad\xedmin"], ids=repr
)
def test_invalid_utf_8(path):
    everywhere("bottle", [path])


TYPED: dict[str, tuple[str, dict[str, Any]]] = {
    "flask": ("/admin/<int:id>", {}),
    "werkzeug": ("/admin/<int:id>", {}),
    "quart": ("/admin/<int:id>", {}),
    "django-wsgi": ("/admin/<int:id>", {}),
    "bottle": ("/admin/<id:int>", {}),
    "pyramid": (r"/admin/{id:\d+}", {}),
    "starlette": ("/admin/{id:int}", {}),
    "fastapi": ("/admin/{id}", {"types": {"id": int}}),
    "litestar": ("/admin/{id:int}", {}),
    "falcon": ("/admin/{id:int}", {}),
}
# Texts that some converter takes for a number, with the frameworks whose handler ran.
NUMBERS: dict[str, set[str]] = {
    "\u0661": {"flask", "werkzeug", "quart", "bottle", "pyramid", "falcon", "litestar"},
    "+1": {"fastapi", "litestar", "falcon"},
    "-1": {"bottle", "fastapi", "litestar", "falcon"},
    "1_0": {"fastapi", "litestar", "falcon"},
    " 1": {"fastapi", "litestar"},
    "1\t": {"fastapi", "litestar"},
    "1\u00a0": {"fastapi", "litestar"},
    "1\n": {"fastapi", "litestar", "bottle", "pyramid", "starlette"},
    "01": {*TYPED},
}


@pytest.mark.parametrize("name", TYPED)
@pytest.mark.parametrize("reaches", [True, False], ids=["taken", "not taken"])
def test_parameter_text(reaches, name):
    path, options = TYPED[name]
    everywhere(
        name,
        [f"/admin/{text}" for text, takers in NUMBERS.items() if (name in takers) is reaches],
        paths=(path,),
        options=options,
        routes={"GET /admin/<int:id>": ["admin"]},
        plain="/admin/1",
        reaches=reaches,
    )


# --- file servers: the route is the same, the file is another -------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for folder in ("public", "private"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "s").write_text(folder)
    return tmp_path


def of_files(name: str, folder: Path) -> Any:
    root = str(folder)
    if name == "starlette":
        static = installed("starlette.staticfiles").StaticFiles(directory=root)
        routes = [installed("starlette.routing").Mount("/files", static)]
        return installed("starlette.applications").Starlette(routes=routes)
    if name == "flask":
        flask = installed("flask")
        app = flask.Flask("app", static_folder=None)
        app.add_url_rule("/files/<path:p>", "files", lambda p: flask.send_from_directory(folder, p))
        return app
    if name == "falcon":
        app = installed("falcon").App()
        app.add_static_route("/files", root)
        return app
    if name == "bottle":
        bottle = installed("bottle")
        app = bottle.Bottle()
        app.route("/files/<p:path>", callback=lambda p: bottle.static_file(p, root))
        return app
    if name == "litestar":
        router = installed("litestar.static_files").create_static_files_router
        return installed("litestar").Litestar(
            [router("/files", [root])], logging_config=None, openapi_config=None
        )
    serve = installed("django.views.static").serve
    pattern = installed("django.urls").path("files/<path:path>", serve, {"document_root": root})
    return with_urls("django.core.handlers.wsgi.WSGIHandler", [pattern])


TAILS = ["public/../private/s", "./private/s", "/private/s", "private/./s", "private//s"]
SERVED_BY: dict[str, set[str]] = {
    "starlette": set(TAILS),
    "flask": set(TAILS) - {"/private/s"},
    "django-wsgi": set(TAILS),
    "falcon": set(TAILS) - {"/private/s", "private//s"},
    "bottle": set(TAILS),
    "litestar": set(TAILS),
}


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("name", SERVED_BY)
def test_tail_of_a_catch_all(name, tail, files):
    """No handler to count: what is counted is who was sent the file."""
    framework = FRAMEWORKS[name]

    def make(ran: Ran) -> Any:
        return sniffed(of_files(name, files), framework.asgi, ran)

    holds(
        make,
        [f"/files/{tail}"],
        asgi=framework.asgi,
        routes={"/files/private/**": ["admin"]},
        plain="/files/private/s",
        protected="private",
        reaches=tail in SERVED_BY[name],
    )


def sniffed(app: Any, asgi: bool, ran: Ran) -> Any:
    """The app, with a look at what it sends."""

    def wsgi_app(environ: Any, start_response: Any) -> Any:
        body = app(environ, start_response)
        data = b"".join(body)
        if hasattr(body, "close"):
            body.close()
        if data in (b"public", b"private"):
            ran.append(data.decode())
        return [data]

    if hasattr(app, "urls"):
        wsgi_app.urls = app.urls  # type: ignore[attr-defined]

    async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
        async def relay(message: Any) -> None:
            if message.get("body") in (b"public", b"private"):
                ran.append(message["body"].decode())
            await send(message)

        await app(scope, receive, relay)

    return asgi_app if asgi else wsgi_app


# --- prefixes and mounts --------------------------------------------------------------------------


def below(path: str, root: str = "/svc") -> Arrival:
    return Arrival(path, extra={"root_path": root})


@pytest.mark.parametrize("path", ["/x/svc/admin", "/public/svc/admin", "//svc/admin"])
def test_root_path_anywhere(path):
    everywhere("litestar", [below(path)], plain=below("/admin"))


def test_root_path_without_a_boundary():
    everywhere("litestar", [below("/svcadmin")], plain=below("/svc/admin"))
    everywhere("quart", [below("/svcadmin")], plain=below("/svc/admin"))


@pytest.mark.parametrize("name", ["flask", "werkzeug", "falcon", "traversal"])
def test_script_name_without_a_boundary(name):
    """gunicorn, granian and hypercorn make `admin` of `/svcadmin` below `/svc`."""
    arrival = Arrival("admin", extra={"SCRIPT_NAME": "/svc"})
    everywhere(name, [arrival], plain=Arrival("/admin", extra={"SCRIPT_NAME": "/svc"}))


def asgi_types() -> dict[str, Any]:
    types = installed("litestar.types")
    return {"scope": types.Scope, "receive": types.Receive, "send": types.Send, "return": None}


def mounted(ran: Ran) -> Any:
    response = installed("starlette.responses").PlainTextResponse

    async def mount(scope: Any, receive: Any, send: Any) -> None:
        await response(ran.of("admin")())(scope, receive, send)

    mount.__annotations__ = asgi_types()
    handler = installed("litestar").asgi("/sink", is_mount=True, copy_scope=True)(mount)
    return FRAMEWORKS["litestar"].app(ran, "/open", extra=[handler])


def test_a_mount_has_no_end():
    """Litestar's mounts: `/sinkadmin` for a mount at `/sink`."""
    holds(
        mounted,
        ["/sinkadmin"],
        asgi=True,
        attribute="asgi_handler",
        routes={"/sink/**": ["admin"]},
        plain="/sink/admin",
    )


@pytest.mark.parametrize(
    "path",
    ["/admin/x/y", "/@@admin", "/x/../admin", "//admin"],
)
def test_traversal(path):
    """Pyramid finds the view by name, and what follows is its subpath."""
    everywhere("traversal", [path], routes={"/admin": ["admin"]})


def test_x_vhm_root():
    """A client's field changes where Pyramid's traversal begins."""
    everywhere("traversal", [Arrival("/", headers=(("X-Vhm-Root", "/admin"),))])


@pytest.mark.parametrize("name", WSGI)
def test_script_name_from_the_client(name):
    """gunicorn: the field SCRIPT_NAME of a trusted peer is cut off what the client sent."""
    paths = ("/admin", "/public/admin")
    arrival = Arrival("/admin", extra={"SCRIPT_NAME": "/public", "RAW_URI": "/public/admin"})
    options: dict[str, Any] = {"paths": ("/admin",)} if name == "traversal" else {"paths": paths}
    everywhere(name, [arrival], **options)


@pytest.mark.parametrize("name", ["flask", "werkzeug", "falcon", "traversal"])
def test_script_name_of_a_slash(name):
    everywhere(name, [Arrival("admin", extra={"SCRIPT_NAME": "/", "RAW_URI": "/admin"})])


@pytest.mark.parametrize("name", WSGI)
def test_a_prefix_that_is_cut_blindly(name):
    """granian: `/abc/admin` is cut like `/svc/admin`, and says so nowhere."""
    arrival = Arrival("/admin", extra={"SCRIPT_NAME": "/svc"})
    everywhere(name, [arrival], plain=arrival)


# --- methods and hosts ----------------------------------------------------------------------------

FOLDS_METHODS = ["bottle", "django-wsgi", "django-asgi", "flask", "werkzeug", "quart", "pyramid"]


@pytest.mark.parametrize("name", FOLDS_METHODS)
def test_methods_in_lower_case(name):
    routes = {"GET /admin": ["admin"]}
    everywhere(name, [Arrival("/admin", "get"), Arrival("/admin", "Get")], routes=routes)


# What runs the handler for a method that nobody wrote down.
ANY_METHOD: dict[str, dict[str, Any]] = {
    "django-wsgi": {},
    "django-asgi": {},
    "pyramid": {},
    "werkzeug": {},
    "bottle": {"method": "ANY"},
}
OTHER_METHODS = ["OPTIONS", "FOO", "TRACE", "PROPFIND", "POST", "DELETE"]


@pytest.mark.parametrize("name", ANY_METHOD)
def test_a_method_that_is_not_listed(name):
    arrivals = [Arrival("/admin", method) for method in OTHER_METHODS]
    everywhere(name, arrivals, routes={"GET /admin": ["admin"]}, options=ANY_METHOD[name])


@pytest.mark.parametrize(
    ("name", "reaches"),
    [(name, True) for name in ("flask", "quart", "starlette", "bottle", "django-wsgi", "pyramid")]
    + [(name, False) for name in ("fastapi", "falcon", "litestar")],
)
def test_head_of_what_is_ruled_for_get(name, reaches):
    everywhere(name, [Arrival("/admin", "HEAD")], routes={"GET /admin": ["admin"]}, reaches=reaches)


@pytest.mark.parametrize("method", OTHER_METHODS)
def test_a_method_that_is_not_listed_at_a_sink(method):
    holds(sink, [Arrival("/admin", method)], routes={"GET /admin": ["admin"]})


def any_method(name: str, ran: Ran) -> Any:
    """An endpoint that is a class, or a mount: Starlette and Litestar route it by path alone."""
    response = installed("starlette.responses").PlainTextResponse

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await response(ran.of("admin")())(scope, receive, send)

    if name == "litestar":
        app.__annotations__ = asgi_types()
        handler = installed("litestar").asgi("/admin", copy_scope=True)(app)
        return FRAMEWORKS["litestar"].app(ran, "/open", extra=[handler])

    class Endpoint:
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await app(scope, receive, send)

    routing = installed("starlette.routing")
    route = routing.Mount("/admin", app) if name == "mount" else routing.Route("/admin", Endpoint())
    return installed("starlette.applications").Starlette(routes=[route])


@pytest.mark.parametrize("name", ["endpoint", "mount", "litestar"])
def test_a_method_that_is_not_listed_at_an_asgi_endpoint(name):
    path = "/admin/" if name == "mount" else "/admin"
    holds(
        lambda ran: any_method(name, ran),
        [Arrival(path, method) for method in OTHER_METHODS],
        asgi=True,
        attribute="asgi_handler" if name == "litestar" else "",
        routes={"GET /admin": ["admin"]},
        plain=path,
    )


HOSTS = ["admin.example.org", "ADMIN.example.org", "admin.example.org:8443"]


@pytest.mark.parametrize("host", HOSTS)
def test_host_of_starlette(host):
    def make(ran: Ran) -> Any:
        routing = installed("starlette.routing")
        inner = FRAMEWORKS["starlette"].app(ran, "/admin")
        routes = [routing.Host("admin.example.org", inner)]
        return installed("starlette.applications").Starlette(routes=routes)

    arrival = Arrival("/admin", headers=(("Host", host),))
    plain = Arrival("/admin", headers=(("Host", host.lower()),))
    old = installed("starlette").__version__.startswith("0.")  # tells letters apart
    holds(make, [arrival], asgi=True, plain=plain, reaches=host.islower() or not old)


@pytest.mark.parametrize("host", HOSTS)
def test_host_of_flask(host):
    def make(ran: Ran) -> Any:
        app = installed("flask").Flask("app", static_folder=None, host_matching=True)
        app.add_url_rule("/admin", "admin", ran.of("admin"), host=host.lower())
        return app

    arrival = Arrival("/admin", headers=(("Host", host),))
    holds(make, [arrival], attribute="wsgi_app", plain=arrival)


# --- what is open stays open ----------------------------------------------------------------------


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_plain_requests_run(name):
    framework = FRAMEWORKS[name]
    ran = Ran()
    authz = policy({"/**": "public", **ADMIN})
    app = guarded(framework.app(ran), framework.asgi, authz, framework.attribute)
    for path in ("/open", "/open?next=/admin"):
        ran.clear()
        target, _, query = path.partition("?")
        key = "query_string" if framework.asgi else "QUERY_STRING"
        value: Any = query.encode() if framework.asgi else query
        send(app, framework.asgi, Arrival(target, extra={key: value}), [])
        assert ran == ["open"]
