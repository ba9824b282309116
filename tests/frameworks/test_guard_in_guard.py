"""A guard inside of a guard: each judges the request that it got, and by its own policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.frameworks.apps import KINDS, Kind, call


def between(kind: Kind, app: Any) -> Any:
    """A middleware that believes a header more than the server."""

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        headers = {name.lower(): value for name, value in scope.get("headers", ())}
        path = headers.get(b"x-path", scope.get("path", "").encode()).decode()
        await app({**scope, "path": path}, receive, send)

    def wsgi(environ: Any, start_response: Any) -> Any:
        path = environ.get("HTTP_X_PATH", environ["PATH_INFO"])
        return app({**environ, "PATH_INFO": path}, start_response)

    return asgi if kind.asgi else wsgi


Ask = Callable[[str, str, str], int]


@pytest.fixture
def guarded_twice(policy: Mapping[str, Any], callers: Mapping[str, Any]) -> Callable[..., Ask]:
    def make(kind: Kind, **rules: Any) -> Ask:
        """Return what asks for a path that becomes another, if one is given, for a caller."""
        app = kind.make()
        inner = kind.guard(app, {**policy, "routes": {**policy["routes"], **rules}})
        guarded = kind.guard(between(kind, inner), policy, routes_of=app)

        def ask(path: str, becomes: str, who: str) -> int:
            fields = [*callers[who], *([("X-Path", becomes)] if becomes else [])]
            return call(kind, guarded, "GET", path, fields).sent.status

        return ask

    return make


CALLERS = ("absent", "viewer", "editor")


@pytest.mark.parametrize("name", KINDS)
def test_both_policies_hold(name: str, guarded_twice: Callable[..., Ask]) -> None:
    kind = KINDS[name]
    loose = guarded_twice(kind, **{"GET /outer": "public"})
    assert [loose("/outer", "", who) for who in CALLERS] == [401, 403, 200]
    strict = guarded_twice(kind, **{"GET /public": {"permissions": ["article:write"]}})
    assert [strict("/public", "", who) for who in CALLERS] == [401, 403, 200]


@pytest.mark.parametrize("name", KINDS)
def test_what_is_rewritten_between_is_for_the_inner_one(
    name: str, guarded_twice: Callable[..., Ask]
) -> None:
    kind = KINDS[name]
    ask = guarded_twice(kind)
    assert [ask("/public", "/outer", who) for who in CALLERS] == [401, 403, 200]
    assert [ask("/outer", "/public", who) for who in CALLERS] == [401, 403, 200]
    # Its policy alone: as docs/security-model.md says.
    loose = guarded_twice(kind, **{"GET /outer": "public"})
    assert loose("/public", "/outer", "absent") == 200
