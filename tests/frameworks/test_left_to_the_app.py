"""`unmatched = "app"`: the app may say 404 where nobody knows the path, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpResponse
from django.urls import path as django_path

from tests.django.projects import configure
from tests.frameworks.apps import Kind, call
from tests.frameworks.asking import Headers, authz, bearer
from tests.frameworks.django_sites import FORMS, Site
from tests.frameworks.installed import installed

SECRET = b"for nobody"
OWN = b"no such page here"


@pytest.fixture(scope="module", autouse=True)
def django() -> None:
    configure()


def answered(path: str) -> tuple[bytes, int] | None:
    """What the app answers outside of its routes: one path it serves, another it moves."""
    return {"/hidden": (SECRET, 200), "/moved": (b"", 302), "/lost": (OWN, 404)}.get(path)


# Each makes an app with one route, `/a`, and answers other paths.
# --- By a function that runs before the router ---


def flask_before() -> Any:
    flask = installed("flask")
    app = flask.Flask("app", static_folder=None)
    app.add_url_rule("/a", "a", lambda: "a")
    app.before_request(lambda: answered(flask.request.path))
    return app


def quart_before() -> Any:
    quart = installed("quart")
    app = quart.Quart("app", static_folder=None)

    async def before() -> Any:
        return answered(quart.request.path)

    async def before_websocket() -> Any:
        await quart.websocket.accept()

    app.add_url_rule("/a", "a", before)
    app.before_request(before)
    # Not by the decorator, which not every release of Quart has on its apps.
    app.before_websocket_funcs.setdefault(None, []).append(before_websocket)
    return app


def falcon_before() -> Any:
    class Before:
        def process_request(self, request: Any, response: Any) -> None:
            _respond(request, response)

    app = installed("falcon").App(middleware=[Before()])
    app.add_route("/a", object())
    return app


def falcon_asgi_before() -> Any:
    class Before:
        async def process_request(self, request: Any, response: Any) -> None:
            _respond(request, response)

    app = installed("falcon.asgi").App(middleware=[Before()])
    app.add_route("/a", object())
    return app


def _respond(request: Any, response: Any) -> None:
    if found := answered(request.path):
        response.data, response.status = found
        response.complete = True


def bottle_before() -> Any:
    bottle = installed("bottle")
    app = bottle.Bottle()
    app.route("/a", callback=lambda: "a")

    def before() -> None:
        if found := answered(bottle.request.path):
            raise bottle.HTTPResponse(*found)

    app.add_hook("before_request", before)
    return app


def tween(handler: Any, _registry: Any) -> Any:
    response = installed("pyramid.response").Response

    def before(request: Any) -> Any:
        found = answered(request.path)
        return response(found[0], found[1]) if found else handler(request)

    return before


def pyramid_before() -> Any:
    config = _pyramid()
    config.add_tween(f"{__name__}.tween")
    return config.make_wsgi_app()


def _pyramid() -> Any:
    config = installed("pyramid.config").Configurator()
    config.add_route("a", "/a")
    config.add_view(lambda _: installed("pyramid.response").Response("a"), route_name="a")
    return config


# --- By what makes the page for 404 ---


def flask_page() -> Any:
    flask = installed("flask")
    app = flask.Flask("app", static_folder=None)
    app.add_url_rule("/a", "a", lambda: "a")
    app.register_error_handler(404, lambda _: answered(flask.request.path))
    return app


def quart_page() -> Any:
    quart = installed("quart")
    app = quart.Quart("app", static_folder=None)

    async def page(_error: Any) -> Any:
        return answered(quart.request.path)

    app.add_url_rule("/a", "a", page)
    app.register_error_handler(404, page)
    return app


def falcon_page() -> Any:
    falcon = installed("falcon")
    app = falcon.App()
    app.add_route("/a", object())
    app.add_error_handler(
        falcon.HTTPNotFound, lambda request, response, error, params: _respond(request, response)
    )
    return app


def bottle_page() -> Any:
    bottle = installed("bottle")
    app = bottle.Bottle()
    app.route("/a", callback=lambda: "a")

    def page(_error: Any) -> Any:
        body, bottle.response.status = answered(bottle.request.path) or (b"", 404)
        return body

    app.error(404)(page)
    return app


def pyramid_page() -> Any:
    response = installed("pyramid.response").Response
    config = _pyramid()
    config.add_notfound_view(lambda request: response(*(answered(request.path) or (b"", 404))))
    return config.make_wsgi_app()


def starlette_page() -> Any:
    response = installed("starlette.responses").Response

    async def page(request: Any, _error: Any) -> Any:
        return response(*(answered(request.url.path) or (b"", 404)))

    routes = [installed("starlette.routing").Route("/a", page)]
    starlette = installed("starlette.applications").Starlette
    return starlette(routes=routes, exception_handlers={404: page})


def litestar_page() -> Any:
    litestar = installed("litestar")

    def page(request: Any, _error: Any) -> Any:
        body, status = answered(request.scope["path"]) or (b"", 404)
        return litestar.Response(body, status_code=status)

    async def view() -> str:
        return "a"

    view.__annotations__ = {"return": str}
    return litestar.Litestar(
        [litestar.get("/a")(view)], exception_handlers={404: page}, logging_config=None
    )


CASES = {
    "flask before": Kind(flask_before),
    "flask 404": Kind(flask_page),
    "quart before": Kind(quart_before, asgi=True),
    "quart 404": Kind(quart_page, asgi=True),
    "falcon before": Kind(falcon_before),
    "falcon 404": Kind(falcon_page),
    "falcon-asgi before": Kind(falcon_asgi_before, asgi=True),
    "bottle before": Kind(bottle_before),
    "bottle 404": Kind(bottle_page),
    "pyramid before": Kind(pyramid_before),
    "pyramid 404": Kind(pyramid_page),
    "starlette 404": Kind(starlette_page, asgi=True),
    "litestar 404": Kind(litestar_page, asgi=True),
}
LEFT = {"/a": ["viewer"]}
INVALID: Headers = [("Authorization", "Bearer no.to.ken")]
CALLERS = {"nobody": ([], 401), "invalid": (INVALID, 401), "viewer": (bearer("viewer"), 403)}


@pytest.mark.parametrize("who", CALLERS)
@pytest.mark.parametrize("name", CASES)
def test_the_app_says_404_or_the_refusal_stands(name: str, who: str) -> None:
    kind = CASES[name]
    bare = call(kind, kind.make(), "GET", "/hidden").sent
    assert (bare.status, bare.body) == (200, SECRET)
    guarded = kind.guard(kind.make(), authz(LEFT, unmatched="app"))
    headers, refused = CALLERS[who]
    for path in ("/hidden", "/moved"):
        sent = call(kind, guarded, "GET", path, headers).sent
        assert (sent.status, SECRET in sent.body) == (refused, False), path
        assert sent.header("www-authenticate") is not None
    own = call(kind, guarded, "GET", "/lost", headers).sent
    assert (own.status, own.body) == (404, OWN)


@pytest.mark.parametrize("who", CALLERS)
@pytest.mark.parametrize("form", FORMS)
def test_django_says_404_or_the_refusal_stands(form: str, who: str) -> None:
    def before(get_response: Any) -> Any:
        def middleware(request: Any) -> Any:
            found = answered(request.path_info)
            if found is None:
                return get_response(request)
            body, status = found
            return HttpResponse(body, status=status)

        return middleware

    urls = [django_path("a", lambda _: HttpResponse("a"))]
    site = Site(urls, authz(LEFT, unmatched="app"), form, [before])
    headers, refused = CALLERS[who]
    for path in ("/hidden", "/moved"):
        sent = site.ask("GET", path, headers)
        assert (sent.status, SECRET in sent.body) == (refused, False), path
    own = site.ask("GET", "/lost", headers)
    assert (own.status, own.body) == (404, OWN)


def test_a_handshake_that_no_route_takes_is_not_accepted() -> None:
    kind = CASES["quart before"]
    guarded = kind.guard(kind.make(), authz(LEFT, unmatched="app"))
    assert call(kind, kind.make(), "WS", "/hidden").sent.status == 101
    assert call(kind, guarded, "WS", "/hidden").sent.status == 401


@pytest.mark.parametrize("name", CASES)
def test_what_is_let_in_by_a_rule_may_answer_what_it_likes(name: str) -> None:
    kind = CASES[name]
    guarded = kind.guard(kind.make(), authz({"/hidden": "public", **LEFT}, unmatched="app"))
    sent = call(kind, guarded, "GET", "/hidden").sent
    assert (sent.status, sent.body) == (200, SECRET)
