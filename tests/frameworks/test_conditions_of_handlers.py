"""What a handler asks is judged by the route that was taken, and by what the request was before."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse
from django.urls import path as django_path

from authz_middleware import (
    ASGIAuthzMiddleware,
    Authz,
    WSGIAuthzMiddleware,
    current_access,
)
from tests.adapters.exchange import Sent
from tests.django.projects import configure, rewriting
from tests.frameworks.asking import ISSUER, Headers, ask, ask_asgi
from tests.frameworks.asking import rewriting as rewriting_wsgi
from tests.frameworks.django_sites import FORMS, Site
from tests.frameworks.installed import installed
from tests.frameworks.test_starlette_inside import Changing

starlette: Any = installed("starlette.applications")
routing: Any = installed("starlette.routing")
responses: Any = installed("starlette.responses")
flask: Any = installed("flask")
pyramid: Any = installed("pyramid.config")
pyramid_response: Any = installed("pyramid.response")

READ = "order:read"
OWN = "resource.params.tenant == subject.claims.tenant"

Change = dict[str, str]
"""What a middleware inside makes of a request: of its `path`, of its `method`."""

Send = Callable[[Authz, str, str, Headers, Change], Sent]
"""Sends method and path to an app under a policy."""


@pytest.fixture(scope="module", autouse=True)
def django() -> None:
    configure()


def policy(when: str, *paths: str, **more: Any) -> Authz:
    rule = {"roles": ["clerk"], "must_check": READ}
    return Authz.from_mapping(
        {
            "issuers": [ISSUER.policy_issuer()],
            "roles": {"clerk": [READ]},
            "permissions": {READ: {"when": when}},
            "routes": dict.fromkeys(paths, rule),
        },
        **more,
    )


def tenant(name: str) -> Headers:
    token = ISSUER.mint("bob", roles=["clerk"], tenant=name, lifetime=3600)
    return [("Authorization", f"Bearer {token}")]


def asked() -> str:
    access = current_access()
    assert access is not None
    access.require(READ)
    return "served"


# Apps of `paths`, each a route with a handler that asks; the first that fits is taken.


def by_starlette(paths: tuple[str, ...]) -> Send:
    async def handler(request: Any) -> Any:
        return responses.PlainTextResponse(asked())

    def send(authz: Authz, method: str, path: str, headers: Headers, change: Change) -> Sent:
        methods = ["GET", "DELETE"]
        app = starlette.Starlette(
            routes=[routing.Route(each, handler, methods=methods) for each in paths]
        )
        app.add_middleware(Changing, change=lambda scope: change)
        app.add_middleware(ASGIAuthzMiddleware, config=authz)
        return ask_asgi(app, method, path, headers)

    return send


def by_pyramid(paths: tuple[str, ...]) -> Send:
    def handler(request: Any) -> Any:
        return pyramid_response.Response(asked())

    def send(authz: Authz, method: str, path: str, headers: Headers, change: Change) -> Sent:
        config = pyramid.Configurator()
        for each in paths:
            config.add_route(each, each)
            config.add_view(handler, route_name=each)
        app = config.make_wsgi_app()
        guarded = WSGIAuthzMiddleware(in_between(app, change), authz, routes_of=app)
        return ask(guarded, method, path, headers)

    return send


def by_flask(paths: tuple[str, ...]) -> Send:
    def send(authz: Authz, method: str, path: str, headers: Headers, change: Change) -> Sent:
        app = flask.Flask("orders")
        for each in paths:
            rule = each.replace("{", "<").replace("}", ">")
            app.add_url_rule(rule, each, lambda **_: asked(), methods=["GET", "DELETE"])
        inner = app.wsgi_app
        app.wsgi_app = WSGIAuthzMiddleware(in_between(inner, change), authz, routes_of=app)
        return ask(app.wsgi_app, method, path, headers)

    return send


def in_between(app: Any, change: Change) -> Any:
    names = {"path": "PATH_INFO", "method": "REQUEST_METHOD"}
    changes = {names[name]: value for name, value in change.items()}
    return rewriting_wsgi(app, **changes) if changes else app


def by_django(form: str) -> Callable[[tuple[str, ...]], Send]:
    def view(request: Any, **_: Any) -> Any:
        return HttpResponse(asked())

    def of(paths: tuple[str, ...]) -> Send:
        texts = [each.replace("{", "<").replace("}", ">").lstrip("/") for each in paths]
        patterns = [django_path(each, view) for each in texts]

        def send(authz: Authz, method: str, path: str, headers: Headers, change: Change) -> Sent:
            middleware = [rewriting(**change)] if change else []
            return Site(patterns, authz, form, middleware).ask(method, path, headers)

        return send

    return of


FIRST: dict[str, Callable[[tuple[str, ...]], Send]] = {
    "starlette": by_starlette,
    "pyramid": by_pyramid,
    **{f"django {form}": by_django(form) for form in FORMS},
}
ALL = {**FIRST, "flask": by_flask}


@pytest.mark.parametrize("make", FIRST.values(), ids=FIRST)
def test_a_router_that_takes_another_route_than_the_most_specific(
    make: Callable[[tuple[str, ...]], Send],
) -> None:
    """The handler gets the parameters of its own route."""
    paths = "/{tenant}/orders/{id}", "/a/{x}/{tenant}"
    send = make(paths)
    rules = "/<tenant>/orders/<id>", "/a/<x>/<tenant>"
    expected = {
        ("/a/orders/mine", "mine"): 403,  # by the rule of the path; the handler got "a"
        ("/a/orders/mine", "a"): 403,  # the other way round
        ("/a/orders/a", "a"): 200,
        ("/b/orders/mine", "mine"): 403,
        ("/b/orders/mine", "b"): 200,
        ("/a/bills/mine", "mine"): 200,
        ("/a/bills/mine", "a"): 403,
    }
    got = {
        (path, name): send(policy(OWN, *rules), "GET", path, tenant(name), {}).status
        for path, name in expected
    }
    assert got == expected


@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
def test_a_path_that_is_rewritten_inside(
    make: Callable[[tuple[str, ...]], Send], caplog: pytest.LogCaptureFixture
) -> None:
    send = make(("/t/{tenant}/orders",))
    own = policy(OWN, "/t/<tenant>/orders")

    def status(path: str, to: str) -> int:
        return send(own, "GET", path, tenant("a"), {"path": to}).status

    assert status("/t/a/orders", "/t/a/orders") == 200
    assert status("/t/b/orders", "/t/b/orders") == 403
    caplog.set_level(logging.INFO, "authz_middleware")
    caplog.clear()
    assert status("/t/a/orders", "/t/b/orders") == 403
    denied = [each.getMessage() for each in caplog.records if "refused" in each.getMessage()]
    assert len(denied) == 1
    assert "'/t/b/orders'" in denied[0]
    # What it was when it came must hold as well.
    assert status("/t/b/orders", "/t/a/orders") == 403


@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
def test_a_method_that_is_rewritten_inside(
    make: Callable[[tuple[str, ...]], Send], caplog: pytest.LogCaptureFixture
) -> None:
    send = make(("/t/{tenant}/orders",))
    reading = policy("action.name != 'DELETE'", "/t/<tenant>/orders")

    def status(method: str, to: str) -> int:
        return send(reading, method, "/t/a/orders", tenant("a"), {"method": to}).status

    assert status("GET", "GET") == 200
    assert status("DELETE", "DELETE") == 403
    caplog.set_level(logging.INFO, "authz_middleware")
    caplog.clear()
    assert status("GET", "DELETE") == 403
    denied = [each.getMessage() for each in caplog.records if "refused" in each.getMessage()]
    assert len(denied) == 1
    assert "'DELETE'" in denied[0]
    assert status("DELETE", "GET") == 403
