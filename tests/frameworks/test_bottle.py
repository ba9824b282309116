"""Bottle: who answers `AccessDenied`, and what a plugin cannot see."""

from __future__ import annotations

import warnings
from functools import wraps
from typing import Any

import pytest

from authz_middleware import AccessDenied, frameworks
from tests.frameworks.apps import KINDS, bottle_app, call, who, write
from tests.frameworks.installed import installed

bottle = installed("bottle")
KIND = KINDS["bottle"]


@pytest.fixture(params=[True, False], ids=["before", "after"])
def wrap(request, authz):
    """Wraps an app after, or before, something is done to it."""

    def wrapped(app: Any, change: Any) -> Any:
        if request.param:
            change(app)
        around = KIND.wrap(app, authz)
        if not request.param:
            change(app)
        return around

    return wrapped


def test_the_apps_own_page_wins_and_keeps_the_challenge(wrap, callers, quiet):
    def change(app: Any) -> None:
        @app.error(403)
        def page(error: Any) -> str:
            return f"no: {error.exception.decision.missing[0]}"

    done = call(KIND, wrap(bottle_app(), change), "GET", "/write", callers["viewer"])
    assert (done.sent.status, done.sent.body) == (403, b"no: article:write")
    assert 'error="insufficient_scope"' in str(done.sent.header("www-authenticate"))
    assert done.sent.header("content-length") == str(len(done.sent.body))
    assert str(done.sent.header("content-type")).startswith("text/html")
    quiet(done.errors)


def test_the_apps_own_plugin_wins(wrap, callers):
    def plugin(callback: Any) -> Any:
        @wraps(callback)
        def called(*args: Any, **kwargs: Any) -> Any:
            try:
                return callback(*args, **kwargs)
            except AccessDenied:
                return "never mind"

        return called

    sent = call(
        KIND,
        wrap(bottle_app(), lambda app: app.install(plugin)),
        "GET",
        "/write",
        callers["viewer"],
    ).sent
    assert (sent.status, sent.body) == (200, b"never mind")


def test_a_plugin_that_asks(wrap, callers, quiet):
    def plugin(callback: Any) -> Any:
        def called(*args: Any, **kwargs: Any) -> Any:
            write()
            return callback(*args, **kwargs)

        return called

    app = wrap(bottle_app(), lambda app: app.install(plugin))
    done = call(KIND, app, "GET", "/me", callers["viewer"])
    assert done.sent.status == 403
    quiet(done.errors)
    assert call(KIND, app, "GET", "/me", callers["editor"]).sent.body == b"bob"


def test_a_route_that_is_added_later(authz, callers, quiet):
    app = bottle.Bottle()
    wrapped = KIND.wrap(app, authz)
    app.route("/write", callback=write)
    done = call(KIND, wrapped, "GET", "/write", callers["viewer"])
    assert done.sent.status == 403
    quiet(done.errors)


def merged() -> Any:
    app, inner = bottle.Bottle(), bottle_app()
    app.merge(inner)
    return app


def mounted() -> Any:
    app, inner = bottle.Bottle(), bottle.Bottle()
    inner.route("/write", callback=write)
    inner.route("/sync", callback=who)
    app.mount("/", inner)
    return app


@pytest.mark.parametrize("make", [merged, mounted])
def test_apps_in_the_app(make, authz, callers, quiet):
    wrapped = KIND.wrap(make(), authz)
    done = call(KIND, wrapped, "GET", "/write", callers["viewer"])
    assert done.sent.status == 403
    quiet(done.errors)
    assert call(KIND, wrapped, "GET", "/sync", callers["viewer"]).sent.body == b"ann"


def test_wrapped_twice_it_is_installed_once(authz):
    app = bottle_app()
    for _ in range(2):
        frameworks.prepare(app)
    assert [type(plugin).__name__ for plugin in app.plugins].count("_Denials") == 1


def hook(app: Any) -> None:
    app.add_hook("before_request", write)


def skipped(app: Any) -> None:
    app.route("/sync", callback=write, skip=True)


def mounted_as_wsgi(app: Any) -> None:
    inner = bottle.Bottle()
    inner.route("/", callback=write)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a prefix without a slash
        app.mount("/sync", inner)


@pytest.mark.parametrize("change", [hook, skipped, mounted_as_wsgi])
def test_what_a_plugin_cannot_see_is_refused_all_the_same(change, authz, callers):
    """Bottle then writes a traceback to `wsgi.errors`: docs/frameworks/bottle.md says so."""
    app = bottle.Bottle()
    change(app)
    done = call(KIND, KIND.wrap(app, authz), "GET", "/sync", callers["viewer"])
    assert done.sent.status == 403
    assert done.sent.header("content-type") == "application/problem+json"
    assert "AccessDenied" in done.errors


def test_the_environ(authz, callers):
    app = bottle.Bottle()

    @app.get("/me")
    def me() -> str:
        return str(bottle.request.environ["authz"].principal.subject)

    assert call(KIND, KIND.wrap(app, authz), "GET", "/me", callers["viewer"]).sent.body == b"ann"


def test_with_its_debug_pages(authz, callers, quiet):
    app = KIND.wrap(bottle_app(), authz)
    bottle.debug(True)
    try:
        done = call(KIND, app, "GET", "/write", callers["viewer"])
        late = call(KIND, app, "GET", "/late", callers["viewer"])
    finally:
        bottle.debug(False)
    for each in (done, late):
        assert each.sent.status == 403
        assert b"Traceback" not in each.sent.body
        quiet(each.errors)


@pytest.mark.parametrize("path", [b"/w\xffrite", b"/\xc0write", b"/write\x80"])
def test_bytes_that_bottle_drops_are_refused(path, authz, callers):
    """path-confusion: Bottle decodes with `ignore`, so these would be `/write`."""
    app = KIND.wrap(bottle_app(), authz)
    assert call(KIND, app, "GET", path, callers["editor"]).sent.status == 400
