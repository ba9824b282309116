"""Pyramid: who answers `AccessDenied`, and what `config.include` adds."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.wsgi import WsgiToAsgi

from authz_middleware import AccessDenied, ASGIAuthzMiddleware
from tests.frameworks.apps import KINDS, call, pyramid_app, talk, who, write
from tests.frameworks.installed import installed

Configurator = installed("pyramid.config").Configurator
Response = installed("pyramid.response").Response
KIND = KINDS["pyramid"]
MODULE = "authz_middleware.frameworks.pyramid"


def own(denied: AccessDenied, request: Any) -> Any:
    return Response(f"no: {denied.decision.missing[0]}", 403)


def configured(view: Any = lambda request: Response(write()), **arguments: Any) -> Any:
    config = Configurator(**arguments)
    config.add_route("me", "/me")
    config.add_view(view, route_name="me")
    return config


def me(app: Any, fields: Any) -> Any:
    return call(KIND, app, "GET", "/me", fields)


@pytest.mark.parametrize("introspection", [True, False])
def test_the_apps_own_view_wins_if_it_was_there_before(introspection, authz, callers):
    config = configured(introspection=introspection)
    config.add_exception_view(own, context=AccessDenied)
    sent = me(KIND.wrap(config.make_wsgi_app(), authz), callers["viewer"]).sent
    assert (sent.status, sent.body) == (403, b"no: article:write")


def test_the_apps_own_view_wins_if_it_comes_after(authz, callers):
    app = configured().make_wsgi_app()
    wrapped = KIND.wrap(app, authz)
    Configurator(registry=app.registry, autocommit=True).add_exception_view(
        own, context=AccessDenied
    )
    assert me(wrapped, callers["viewer"]).sent.body == b"no: article:write"


@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_the_apps_own_view_wins_over_what_is_included(first, authz, callers):
    config = configured()
    if first:
        config.add_exception_view(own, context=AccessDenied)
    config.include(MODULE)
    if not first:
        config.add_exception_view(own, context=AccessDenied)
    sent = me(KIND.wrap(config.make_wsgi_app(), authz), callers["viewer"]).sent
    assert sent.body == b"no: article:write"


def test_an_own_view_for_one_route_wins_there(authz, callers):
    config = configured()
    config.add_exception_view(own, context=AccessDenied, route_name="me")
    assert me(KIND.wrap(config.make_wsgi_app(), authz), callers["viewer"]).sent.body[:3] == b"no:"


def test_an_app_that_catches_everything_still_refuses(authz, callers):
    config = configured()
    config.add_exception_view(lambda error, request: Response("broke", 500), context=Exception)
    assert me(KIND.wrap(config.make_wsgi_app(), authz), callers["viewer"]).sent.status == 403


@pytest.mark.parametrize("included", [True, False])
def test_a_default_permission_does_not_hide_the_refusal(included, authz, callers, quiet):
    config = configured()
    config.set_default_permission("view")
    config.set_default_csrf_options(require_csrf=True)
    if included:
        config.include(MODULE)
    done = me(KIND.wrap(config.make_wsgi_app(), authz), callers["viewer"])
    assert done.sent.status == 403
    assert done.sent.header("content-type") == "application/problem+json"
    quiet(done.errors)


def test_include_adds_the_caller_to_the_request(authz, callers):
    def view(request: Any) -> Any:
        return Response(f"{request.authz.principal.subject} {request.authz.allows('article:read')}")

    config = configured(view)
    config.include(MODULE)
    app = config.make_wsgi_app()
    assert me(KIND.wrap(app, authz), callers["viewer"]).sent.body == b"ann True"


def test_a_subrequest_has_an_environ_of_its_own(policy, callers):
    def view(request: Any) -> Any:
        return request.invoke_subrequest(type(request).blank("/inner"))

    def inner(request: Any) -> Any:
        return Response(f"{request.authz} {who()}")

    config = configured(view)
    config.include(MODULE)
    config.add_route("inner", "/inner")
    config.add_view(inner, route_name="inner")
    ruled = {**policy, "routes": {**policy["routes"], "/inner": "authenticated"}}
    app = KIND.wrap(config.make_wsgi_app(), ruled)
    assert me(app, callers["viewer"]).sent.body == b"None ann"


def test_without_the_middleware_there_is_no_caller():
    config = configured(lambda request: Response(str(request.authz)))
    config.include(MODULE)
    assert me(config.make_wsgi_app(), []).sent.body == b"None"


def over(handler: Any, registry: Any) -> Any:
    def tween(request: Any) -> Any:
        write()
        return handler(request)

    return tween


@pytest.mark.parametrize("where", ["over", "under"])
def test_a_tween_that_asks(where, authz, callers, quiet):
    config = configured(lambda request: Response(who()))
    excview = "pyramid.tweens.excview_tween_factory"
    config.add_tween(f"{__name__}.over", **{where: excview})
    app = KIND.wrap(config.make_wsgi_app(), authz)
    done = me(app, callers["viewer"])
    assert done.sent.status == 403
    assert done.sent.header("content-type") == "application/problem+json"
    quiet(done.errors)
    assert me(app, callers["editor"]).sent.body == b"bob"


def test_the_environ(authz, callers):
    app = configured(lambda request: Response(request.environ["authz"].principal.subject))
    assert me(KIND.wrap(app.make_wsgi_app(), authz), callers["viewer"]).sent.body == b"ann"


def test_wrapped_twice_it_is_registered_once(authz, callers):
    app = pyramid_app()
    KIND.wrap(app, authz)
    assert call(KIND, KIND.wrap(app, authz), "GET", "/write", callers["viewer"]).sent.status == 403


class Root(dict[str, Any]):
    """A tree of one resource, to be traversed."""

    def __init__(self, request: Any) -> None:
        super().__init__(me=self)


def test_a_clients_field_does_not_lead_traversal_elsewhere(authz, callers):
    """path-confusion: `X-Vhm-Root` changes where traversal begins, so `/public` runs `outer`."""
    config = Configurator(root_factory=Root)
    config.add_view(lambda request: Response("public"), name="public")
    config.add_view(lambda request: Response("outer"), name="outer")
    app = KIND.wrap(config.make_wsgi_app(), authz)
    assert call(KIND, app, "GET", "/outer").sent.status == 401
    assert call(KIND, app, "GET", "/public").sent.body == b"public"
    for root in ("/outer", "/", ""):
        assert call(KIND, app, "GET", "/public", [("X-Vhm-Root", root)]).sent.status == 400


@pytest.mark.parametrize("name", ["X-Vhm-Root", "x_vhm_root"])
def test_a_clients_field_does_not_lead_a_bridged_app_elsewhere(name, authz):
    app = ASGIAuthzMiddleware(WsgiToAsgi(pyramid_app()), authz)
    for fields, status in ([], 200), ([(name, "/outer")], 400):
        assert talk(app, "GET", "/public", [("Host", "localhost"), *fields])[0]["status"] == status


def test_a_clients_field_leads_no_route_elsewhere(authz):
    app = KIND.wrap(pyramid_app(), authz)
    assert call(KIND, app, "GET", "/public", [("X-Vhm-Root", "/outer")]).sent.status == 400
