"""Quart: who answers `AccessDenied`, and the caller in the habits of its users."""

from __future__ import annotations

import asyncio

import pytest

from authz_middleware import AccessDenied, ASGIAuthzMiddleware
from tests.frameworks.apps import KINDS, call, quart_app, talk, who, write
from tests.frameworks.installed import installed

quart = installed("quart")
KIND = KINDS["quart"]


async def own(denied: AccessDenied) -> tuple[str, int]:
    return f"no: {denied.decision.missing[0]}", denied.answer.status


def own_sync(denied: AccessDenied) -> tuple[str, int]:
    return f"no: {denied.decision.missing[0]}", 403


@pytest.mark.parametrize("handler", [own, own_sync])
@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_the_apps_own_handler_wins(first, handler, authz, callers):
    app = quart_app()
    if first:
        app.register_error_handler(AccessDenied, handler)
    KIND.wrap(app, authz)
    if not first:
        app.register_error_handler(AccessDenied, handler)
    sent = call(KIND, app, "GET", "/write", callers["viewer"]).sent
    assert (sent.status, sent.body) == (403, b"no: article:write")


def test_a_blueprints_own_handler_wins(authz, callers):
    app = quart_app()
    blueprint = quart.Blueprint("blueprint", "app")
    blueprint.add_url_rule("/me", "me", write)
    blueprint.register_error_handler(AccessDenied, own)
    app.url_map = quart.Quart("app").url_map
    app.register_blueprint(blueprint)
    assert (
        call(KIND, KIND.wrap(app, authz), "GET", "/me", callers["viewer"]).sent.body[:3] == b"no:"
    )


def test_an_app_that_catches_everything_still_refuses(authz, callers):
    app = KIND.wrap(quart_app(), authz)
    app.error_handler_spec[None][None].clear()
    app.register_error_handler(Exception, lambda error: ("something broke", 500))
    assert call(KIND, app, "GET", "/write", callers["viewer"]).sent.status == 403


def test_before_request(authz, callers):
    app = KIND.wrap(quart_app(), authz)

    @app.before_request
    async def ask():
        write()

    assert call(KIND, app, "GET", "/me", callers["viewer"]).sent.status == 403
    assert call(KIND, app, "GET", "/me", callers["editor"]).sent.body == b"bob"


def test_the_scope_and_the_thread_pool(authz, callers):
    app = quart_app()

    @app.get("/me/scope")
    async def scope():
        subject = quart.request.scope["authz"].principal.subject
        return [subject, await quart.utils.run_sync(who)(), await asyncio.to_thread(who)]

    app.view_functions["me"] = app.view_functions["scope"]
    sent = call(KIND, KIND.wrap(app, authz), "GET", "/me", callers["viewer"]).sent
    assert sent.body.split() == [b'["ann","ann","ann"]']


def test_a_sync_generator_is_streamed_with_its_caller(authz, callers):
    app = quart_app()

    def body():
        yield who()
        yield who()

    app.view_functions["stream"] = lambda: quart.Response(body())
    assert call(KIND, KIND.wrap(app, authz), "GET", "/stream", callers["viewer"]).sent.body == (
        b"annann"
    )


def test_a_background_task_knows_the_caller(authz, callers):
    app = quart_app()
    seen = []

    async def later():
        await asyncio.sleep(0)
        seen.append(who())

    async def me():
        app.add_background_task(later)
        return "soon"

    app.view_functions["me"] = me

    async def run():
        await app.test_client().get("/me", headers=dict(callers["viewer"]))
        await asyncio.gather(*app.background_tasks)

    KIND.wrap(app, authz)
    asyncio.run(run())
    assert seen == ["ann"]


def test_its_own_client(authz, callers):
    app = KIND.wrap(quart_app(), authz)

    async def run():
        client = app.test_client()
        refused = await client.get("/write", headers=dict(callers["viewer"]))
        let_in = await client.get("/write", headers=dict(callers["editor"]))
        async with client.websocket("/feed", headers=dict(callers["viewer"])) as socket:
            said = await socket.receive()
        return refused.status_code, await let_in.get_data(as_text=True), said

    assert asyncio.run(run()) == (403, "written", "ann")


def test_wrapped_around_the_whole_app(authz, callers):
    app = ASGIAuthzMiddleware(quart_app(), authz)
    assert call(KIND, app, "GET", "/write", callers["viewer"]).sent.status == 403


def test_a_prefix_is_cut_off_before_matching(authz, callers):
    app = KIND.wrap(quart_app(), authz)
    for path, status in (("/svc/me", 200), ("/svcme", 400), ("/me", 404)):
        start = talk(app, "GET", path, callers["viewer"], root_path="/svc")[0]
        assert start["status"] == status, path


@pytest.mark.parametrize("path", ["http://localhost/me", "me", "", ":/me"])
def test_what_quart_would_parse_again_is_refused(path, authz, callers):
    """path-confusion: a path without a slash in front goes through `urlparse`."""
    app = KIND.wrap(quart_app(), authz)
    assert talk(app, "GET", path, callers["editor"])[0]["status"] == 400
