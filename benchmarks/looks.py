"""What the second look costs: the same app behind the same guard, with the look inside and without.

The apps have one route. What a framework itself takes for a request is in both, and falls out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import fastapi
import flask
from starlette import applications, requests, responses, routing

from authz_middleware import ASGIAuthzMiddleware, Authz, WSGIAuthzMiddleware
from authz_middleware.runtime.guarded import Guarded
from benchmarks.calling import BODY, Loop, asgi_batch, asgi_status, wsgi_batch, wsgi_status
from benchmarks.figures import Bar, Figure
from benchmarks.material import Request, Signer, policy
from benchmarks.peers import PATH, ROLE, Wrong
from benchmarks.timing import Batch, Runs

__all__ = ["batches", "figures"]

LOOK_BAR = Bar("at most", 15.0)
WITHOUT = "without a second look"
TEMPLATE = PATH.rpartition("/")[0]


def _starlette() -> Any:
    async def order(_request: requests.Request) -> responses.Response:
        return responses.Response(BODY)

    return applications.Starlette(routes=[routing.Route(f"{TEMPLATE}/{{id:int}}", order)])


def _fastapi() -> Any:
    app = fastapi.FastAPI(openapi_url=None)

    async def order(id: int) -> responses.Response:  # noqa: ARG001 - read by FastAPI
        return responses.Response(BODY)

    app.add_api_route(f"{TEMPLATE}/{{id}}", order)
    return app


def _flask() -> Any:
    app = flask.Flask("orders", static_folder=None)
    app.add_url_rule(f"{TEMPLATE}/<int:id>", "order", lambda id: BODY)  # noqa: ARG005 - its view's argument
    return app


MAKE: Mapping[str, Callable[[], Any]] = {
    "Starlette": _starlette,
    "FastAPI": _fastapi,
    "Flask": _flask,
}


def batches(loop: Loop, issuer: Signer) -> Mapping[str, Batch]:
    """Return two batches for each framework."""
    request = Request(PATH, issuer.mint(role=ROLE))
    routes = {f"GET {TEMPLATE}/<int:id>": [ROLE]}
    authz = Authz.from_mapping({**policy([issuer.issuer]), "routes": routes})
    found: dict[str, Batch] = {}
    for name, make in MAKE.items():
        for looks in (True, False):
            label = name if looks else f"{name}, {WITHOUT}"
            if name == "Flask":
                app: Any = WSGIAuthzMiddleware(make(), authz)
                batch = wsgi_batch(partial(_same, app), [request])
                answer = partial(wsgi_status, app)
            else:
                app = ASGIAuthzMiddleware(make(), authz)
                batch = asgi_batch(loop, partial(_same, app), [request])
                answer = partial(asgi_status, loop, app)
            if not looks:
                app.guarded = Guarded(lambda: None)  # it knows nothing of the app inside
            logging.disable(logging.WARNING)  # that is a gap, and no news
            status = answer(request)
            logging.disable(logging.NOTSET)
            if status != 200:
                raise Wrong(f"{label}: {status} where 200 is right")
            found[label] = batch
    return found


def figures(runs: Runs) -> list[Figure]:
    """Return what the look adds in each framework."""
    return [
        Figure(
            f"inside: the second look, {name}",
            runs.added(name, f"{name}, {WITHOUT}") * 1e6,
            "µs",
            LOOK_BAR,
        )
        for name in MAKE
    ]


def _same(app: Any) -> Any:
    return app
