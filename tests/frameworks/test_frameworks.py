"""Which framework is wrapped, and when."""

from __future__ import annotations

import threading

from authz_middleware import frameworks


def test_what_is_no_framework_is_left_alone():
    for app in (lambda environ, start_response: [], object(), None):
        frameworks.prepare(app)


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
    assert not frameworks.honours_root_path(falcon())
    assert not frameworks.honours_root_path(type("Ours", (falcon,), {})())
    assert frameworks.honours_root_path(object())
