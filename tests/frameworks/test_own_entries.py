"""What an app has where its framework begins to serve is a gap, and opens nothing."""

from __future__ import annotations

from typing import Any

import pytest

from authz_middleware import Authz, frameworks
from tests.frameworks.apps import KINDS, Kind, call

# `/outer` asks for a permission that a viewer has not.
REWRITTEN = [("X-Path", "/outer")]


def entered(kind: Kind, app: Any) -> Any:
    """Make the app one of a subclass, whose `__call__` believes a header more than the server."""
    base = type(app)

    def call_wsgi(self: Any, environ: Any, start_response: Any) -> Any:
        path = environ.get("HTTP_X_PATH", environ["PATH_INFO"])
        return base.__call__(self, {**environ, "PATH_INFO": path}, start_response)

    async def call_asgi(self: Any, scope: Any, receive: Any, send: Any) -> None:
        headers = {name.lower(): value for name, value in scope.get("headers", ())}
        path = headers.get(b"x-path", scope.get("path", "").encode()).decode()
        await base.__call__(self, {**scope, "path": path}, receive, send)

    call = call_asgi if kind.asgi else call_wsgi
    own = type("Own", (base,), {"__slots__": (), "__module__": __name__, "__call__": call})
    object.__setattr__(app, "__class__", own)  # Bottle 0.13.0 would keep it as an attribute
    return app


@pytest.mark.parametrize("name", KINDS)
def test_an_entry_of_its_own_is_a_gap_and_opens_nothing(
    name: str, policy: Any, callers: Any
) -> None:
    kind = KINDS[name]
    app = entered(kind, kind.make())
    guarded = kind.guard(app, policy)
    allowed = call(kind, guarded, "GET", "/outer", [*callers["editor"], *REWRITTEN]).sent
    assert (allowed.status, allowed.body) == (200, b"bob")
    for who, refused in (("absent", 401), ("viewer", 403)):
        sent = call(kind, guarded, "GET", "/public", [*callers[who], *REWRITTEN]).sent
        assert sent.status == refused
    assert f"{__name__}:Own.__call__" in guarded.guarded.routes().between
    assert not guarded.guarded.exact
    strict = kind.guard(entered(kind, kind.make()), {**policy, "strict": True})
    assert call(kind, strict, "GET", "/public").sent.status == 503
    left = kind.guard(entered(kind, kind.make()), {**policy, "unmatched": "app"})
    assert call(kind, left, "GET", "/nowhere").sent.status == 401


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.attribute])
def test_an_entry_outside_of_the_guard_is_none(name: str, policy: Any, callers: Any) -> None:
    kind = KINDS[name]
    app = entered(kind, kind.make())
    kind.wrap(app, Authz.from_mapping(policy))
    guard = getattr(app, kind.attribute)
    sent = call(kind, app, "GET", "/public", [*callers["viewer"], *REWRITTEN]).sent
    assert sent.status == 403
    assert guard.guarded.routes().between == ()
    assert guard.guarded.exact


class Around:
    """A middleware of the app's own, as most are written."""

    def __init__(self, app: Any) -> None:
        self.app = app


def execution_policy(environ: Any, router: Any) -> Any:
    with router.request_context(environ) as request:
        return router.invoke_request(request)


@pytest.mark.parametrize(
    ("name", "attribute", "put", "gap"),
    [
        ("litestar", "asgi_handler", Around, "Around"),
        ("bottle", "wsgi", Around, "Around"),
        ("pyramid", "execution_policy", lambda _: execution_policy, "execution_policy"),
    ],
)
def test_what_is_put_into_an_app_is_a_gap(name: str, attribute: str, put: Any, gap: str) -> None:
    app = KINDS[name].make()
    assert frameworks.see(app).between == ()
    setattr(app, attribute, put(getattr(app, attribute)))
    assert frameworks.see(app).between == (f"{__name__}:{gap}",)
    assert frameworks.see(app, routes_of=app).between == ()


@pytest.mark.parametrize("name", ["flask", "quart"])
def test_dispatching_of_its_own_is_a_gap(name: str, policy: Any) -> None:
    app = KINDS[name].make()
    own = {"dispatch_request": lambda self, *_: "own", "__module__": __name__}
    app.__class__ = type("Own", (type(app),), own)
    binding = Authz.from_mapping(policy).bind(app)
    assert "opaque" in [gap.kind for gap in binding.gaps]
