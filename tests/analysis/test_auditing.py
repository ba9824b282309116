"""A policy laid against apps of every framework: what is found, and that nothing runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from authz_middleware import PolicyError
from authz_middleware.analysis import Document, audit, routes_of, snapshot, tabulate_app
from authz_middleware.analysis.auditing import FINDINGS
from tests.cli import apps as cli_apps
from tests.frameworks import apps

POLICY = Document.from_mapping(
    {
        "issuers": [{"issuer": "https://login.example.com", "audience": ["a"]}],
        "roles": {"editor": ["article:write"]},
        "routes": apps.ROUTES,
    }
)
APPS: dict[str, Callable[[], Any]] = {
    "Bottle": apps.bottle_app,
    "Falcon": apps.falcon_app,
    "Falcon, ASGI": apps.falcon_asgi_app,
    "Flask": apps.flask_app,
    "Litestar": apps.litestar_app,
    "Pyramid": apps.pyramid_app,
    "Quart": apps.quart_app,
}


@pytest.mark.parametrize("make", APPS.values(), ids=APPS)
def test_every_framework(make: Callable[[], Any], caplog: pytest.LogCaptureFixture) -> None:
    found = audit(make(), POLICY)
    read = [each for each in found.routes if "GET" in each.methods]
    by_key = {rule.key: each for each in read for rule in each.rules}
    assert by_key["GET /public"].state == "open"
    assert by_key["GET /me"].who == "every valid token"
    assert (by_key["GET /outer"].state, by_key["GET /outer"].roles) == ("guarded", ("editor",))
    assert by_key["GET /outer"].looks != "path"
    assert found.differences == ()
    assert found.found <= {*FINDINGS}
    # The router can be asked, and an app that is made again is the same.
    assert caplog.messages == []
    assert snapshot(found) == snapshot(audit(make(), POLICY))
    assert " at 0x" not in snapshot(found)


@pytest.mark.parametrize("make", APPS.values(), ids=APPS)
def test_the_table_says_what_the_audit_says(make: Callable[[], Any]) -> None:
    app = make()
    rows = {
        (row.route, method, row.example if not row.whole else ""): row.cells[1].may
        for row in tabulate_app(app, POLICY).rows
        for method in row.methods
    }
    for each in audit(app, POLICY).routes:
        expected = "yes" if each.who in ("everybody", "every valid token") else "no"
        for method in each.methods:
            assert rows[each.route, method, each.example] == expected


def test_an_app_of_no_framework_is_one_opaque_route() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("an audit calls no app")

    found = audit(app, POLICY)
    assert {each.state for each in found.routes} == {"opaque"}
    assert {each.looks for each in found.routes} == {"path"}
    assert "opaque" in found.found


def test_an_app_without_a_guard_needs_a_policy() -> None:
    with pytest.raises(PolicyError, match="no guard stands before it"):
        audit(cli_apps.bare())
    assert len(routes_of(cli_apps.bare()).routes) == len(routes_of(cli_apps.shop()).routes) == 4


def test_names_that_are_no_text_are_told() -> None:
    app = Starlette(routes=[Route("/\ud800", lambda _: Response())])
    found = audit(app, POLICY)
    assert "\nGET /\\ud800\n" in snapshot(found)
    snapshot(found).encode()
