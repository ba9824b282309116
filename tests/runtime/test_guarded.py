"""One wrapped app, and the policy bound to its routes once they exist."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from werkzeug.routing import Map, Rule

from authz_middleware import Authz, PolicyError, WSGIAuthzMiddleware
from authz_middleware.facts import RequestFacts
from authz_middleware.policy.routes import UNSEEN
from authz_middleware.runtime import guarded as module
from authz_middleware.runtime.guarded import Guarded
from authz_middleware.testing import DevelopmentIssuer
from tests.adapters.exchange import call_wsgi, environ_for

ISSUER = DevelopmentIssuer(audience="x")


def authz(routes: dict[str, Any], **more: Any) -> Authz:
    return Authz.from_mapping({"issuers": [ISSUER.policy_issuer()], "routes": routes, **more})


def a_map(*paths: str) -> Map:
    return Map([Rule(path, endpoint=path) for path in paths])


def test_routes_are_read_once_and_bound_to_each_policy() -> None:
    first, second = authz({"/a": ["x"]}), authz({"/**": ["x"]})
    guarded = Guarded(a_map("/a", "/b"))
    binding = guarded.binding(first.serving)
    assert guarded.binding(first.serving) is binding
    other = guarded.binding(second.serving)
    assert other.table is binding.table
    assert (len(binding.gaps), len(other.gaps)) == (1, 0)


def test_threads_that_come_first_get_one_binding() -> None:
    guarded, serving = Guarded(a_map("/a")), authz({"/a": ["x"]}).serving
    found: list[object] = []
    threads = [
        threading.Thread(target=lambda: found.append(guarded.binding(serving))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len({id(each) for each in found}) == 1


def test_many_gaps_are_counted(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_REPORTED", 2)
    Guarded(a_map("/a", "/b", "/c", "/d")).binding(authz({}).serving)
    assert caplog.messages[-1] == "2 more gaps between policy and app"
    assert len(caplog.messages) == 3


def test_a_report_logs_nothing_and_raises_nothing(caplog: pytest.LogCaptureFixture) -> None:
    strict = authz({}, strict=True)
    guarded = Guarded(a_map("/a"))
    assert len(guarded.laid(strict.serving).gaps) == 1
    assert caplog.messages == []
    with pytest.raises(PolicyError) as raised:
        guarded.binding(strict.serving)
    (problem,) = raised.value.problems
    assert (problem.where, problem.what) == ("/a (/a)", "no rule covers it")
    assert problem.fix == "write a rule, or leave `strict` out"


def test_an_app_that_nobody_knows_is_one_opaque_part() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        raise NotImplementedError

    guarded = Guarded(app)
    (gap,) = guarded.binding(authz({"/a": ["x"]}).serving).gaps
    assert (gap.kind, gap.where) == ("opaque", "/** (builtins:function)")
    assert guarded.resolve({}) is UNSEEN
    assert guarded.asked(RequestFacts("http", "GET", "/a", ""), {}) is None


class Breaking(Map):
    def bind_to_environ(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("no")


def test_what_a_router_fails_at_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        raise NotImplementedError

    url_map = Breaking([Rule("/a", endpoint="a")])
    guard = WSGIAuthzMiddleware(app, authz({"/a": ["x"]}, unmatched="app"), routes_of=url_map)
    token = [("Authorization", f"Bearer {ISSUER.mint('ann', roles=['x'])}")]
    assert call_wsgi(guard, environ_for("GET", "/a", token)).status == 400
    assert call_wsgi(guard, environ_for("GET", "/b", token)).status == 403
    assert sum("the app's router failed" in each for each in caplog.messages) == 2


class Unreadable(Map):
    def iter_rules(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("no")


def test_routes_that_cannot_be_read_are_an_opaque_part(caplog: pytest.LogCaptureFixture) -> None:
    guarded = Guarded(Unreadable([Rule("/a", endpoint="a")]))
    (gap,) = guarded.binding(authz({"/a": ["x"]}).serving).gaps
    assert gap.kind == "opaque"
    assert caplog.messages[0] == "the app's routes cannot be read"


@pytest.mark.parametrize("first", [(), ("/a",)])
def test_a_route_added_late_without_a_hook_is_left_to_the_default(
    first: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody looks inside, so the router is asked from outside for what it did not have."""
    ran: list[str] = []
    url_map = a_map(*first)

    def app(environ: Any, start_response: Any) -> Any:
        ran.append(url_map.bind_to_environ(environ).match()[0])
        start_response("204 No Content", [])
        return []

    guard = WSGIAuthzMiddleware(app, authz({"/**": ["x"]}), routes_of=url_map)
    token = [("Authorization", f"Bearer {ISSUER.mint('ann', roles=['x'])}")]
    for path in first:
        assert call_wsgi(guard, environ_for("GET", path, token)).status == 204
    guard.guarded.binding(guard.authz.serving)
    url_map.add(Rule("/late", endpoint="late"))
    assert call_wsgi(guard, environ_for("GET", "/late", token)).status == 403
    assert ran == [*first]
    assert [each for each in caplog.messages if "added after the start" in each] != []
