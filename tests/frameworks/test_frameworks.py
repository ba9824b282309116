"""Which framework is wrapped, and when."""

from __future__ import annotations

import threading
from typing import Any

import flask
import pytest
from werkzeug.middleware.proxy_fix import ProxyFix

from authz_middleware import AccessDenied, frameworks
from tests.frameworks.apps import KINDS


def test_what_is_no_framework_is_left_alone():
    for app in (lambda environ, start_response: [], object(), None):
        frameworks.prepare(app)


class Around:
    """A middleware, as most are written."""

    def __init__(self, app: Any) -> None:
        self.app = app


def test_a_framework_is_found_behind_its_middleware():
    app = flask.Flask(__name__)
    for wrapped in (app, app.wsgi_app, ProxyFix(app.wsgi_app), Around(Around(app))):
        assert frameworks.find(wrapped) == (app, "flask")


@pytest.mark.parametrize(
    ("name", "module"), {**{name: name for name in KINDS}, "falcon-asgi": "falcon"}.items()
)
def test_every_framework_is_found(name, module):
    kind = KINDS[name]
    app = kind.make()
    for wrapped in (app, Around(app), getattr(app, kind.attribute or "__call__")):
        found = frameworks.find(wrapped)
        assert found == (app, module)


@pytest.mark.parametrize("name", KINDS)
def test_a_framework_routes_by_the_letter_and_what_stands_around_it_may_not(name):
    kind = KINDS[name]
    app = kind.make()
    assert frameworks.is_exact(getattr(app, kind.attribute or "__call__"))
    assert not frameworks.is_exact(Around(app))
    assert not frameworks.is_exact(Around(None))


def test_django_may_ignore_letter_case():
    app = type("Handler", (), {"__module__": "django.core.handlers.wsgi"})()
    assert not frameworks.is_exact(app)


def test_a_subclass_is_found():
    app = type("Ours", (flask.Flask,), {})(__name__)
    assert frameworks.find(app) == (app, "flask")


def test_a_chain_without_an_end_finds_nothing():
    around = Around(None)
    around.app = around
    assert frameworks.find(around) is None


@pytest.mark.parametrize("wrap", [lambda app: app, lambda app: ProxyFix(app.wsgi_app)])
def test_a_framework_is_prepared_behind_its_middleware(wrap):
    app = flask.Flask(__name__)
    frameworks.prepare(wrap(app))
    assert AccessDenied in app.error_handler_spec[None][None]


def build_middleware_stack() -> bool:
    return frameworks.built_late()


def test_built_late_is_seen_by_who_builds():
    assert build_middleware_stack()
    assert not frameworks.built_late()


def test_built_on_a_short_stack():
    seen: list[bool] = []
    thread = threading.Thread(target=lambda: seen.append(frameworks.built_late()))
    thread.start()
    thread.join()
    assert seen == [False]


def test_falcon_routes_on_the_whole_path():
    """path-confusion: it ignores root_path, so no rule for a tail may decide."""
    falcon = type("App", (), {"__module__": "falcon.asgi.app"})
    assert frameworks.use_of_root_path(falcon()) == "kept"
    assert frameworks.use_of_root_path(type("Ours", (falcon,), {})()) == "kept"
    assert frameworks.use_of_root_path(falcon().__init__) == "kept"


def test_what_is_around_falcon_may_cut_the_path():
    falcon = type("App", (), {"__module__": "falcon.asgi.app"})
    assert frameworks.use_of_root_path(Around(falcon())) == "kept inside"
    assert frameworks.use_of_root_path(object()) == "any"
