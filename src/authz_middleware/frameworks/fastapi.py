"""FastAPI: dependencies that give the caller, and the policy shown in the app's own description."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Depends, FastAPI, routing
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection

from authz_middleware.access import Access
from authz_middleware.facts import Principal
from authz_middleware.frameworks.openapi import SCHEME, Described, described, wider

if TYPE_CHECKING:
    from authz_middleware.runtime.authz import Authz

__all__ = ["Caller", "CurrentAccess", "OptionalCaller", "describe_security"]


async def _access(connection: HTTPConnection) -> Access:
    access = connection.scope.get("authz")
    if not isinstance(access, Access):
        raise RuntimeError(
            "no authorization stands before this route: wrap the app,"
            " app.add_middleware(ASGIAuthzMiddleware, config=...)"
        )
    return access


async def _optional_caller(connection: HTTPConnection) -> Principal | None:
    return (await _access(connection)).principal


class _Bearer(SecurityBase):
    """What FastAPI shows in its description; it does nothing."""

    model = HTTPBearer(bearerFormat="JWT")
    scheme_name = SCHEME

    async def __call__(self) -> None:
        pass


async def _caller(
    connection: HTTPConnection, shown: Annotated[None, Depends(_Bearer())]
) -> Principal:
    del shown  # it wants a caller on any route, and says so
    return (await _access(connection)).require_principal()


Caller = Annotated[Principal, Depends(_caller)]
"""The verified caller. An anonymous caller of a public route is refused, as by `require`."""

OptionalCaller = Annotated[Principal | None, Depends(_optional_caller)]
"""The verified caller, or None for an anonymous one of a public route."""

CurrentAccess = Annotated[Access, Depends(_access)]
"""The `Access` of the request or the WebSocket, for `require`, `allows` and the decision."""


def describe_security(app: FastAPI, authz: Authz, *, mounted_at: str = "") -> None:
    """Write what `authz` asks of each operation into the app's OpenAPI description.

    `mounted_at` is where the app is mounted in the one that is wrapped. Called again, the last
    call counts. Raises ValueError if `mounted_at` is no path.
    """
    if mounted_at and (mounted_at[0] != "/" or mounted_at[-1] == "/"):
        raise ValueError(f'mounted_at="{mounted_at}" is no path; write "/v2"')
    original = app.openapi
    if isinstance(original, _Description):
        original = original.original
    app.openapi = _Description(app, authz, mounted_at, original)  # type: ignore[method-assign]


class _Description:
    """Stands for `app.openapi`."""

    def __init__(
        self,
        app: FastAPI,
        authz: Authz,
        mounted_at: str,
        original: Callable[[], dict[str, Any]],
    ) -> None:
        self.original: Final = original
        self._app = app
        self._authz = authz
        self._mounted_at = mounted_at
        # FastAPI keeps what it made until its routes change; so do we.
        self._made: tuple[object, object, dict[str, Any]] | None = None

    def __call__(self) -> dict[str, Any]:
        bare, serving = self.original(), self._authz.serving
        if self._made and self._made[0] is bare and self._made[1] is serving:
            return self._made[2]
        about = Described(
            policy=serving.settings.policy,
            converters=_converters(self._app),
            mounted_at=self._mounted_at,
            root_path="" if self._mounted_at else self._app.root_path,
            own_bodies=serving.renderer is not None,
        )
        document = described(bare, about)
        self._made = bare, serving, document
        return document


_parameter = re.compile(r"\{(\w+)(?::(\w+))?\}")


def _converters(app: FastAPI) -> dict[tuple[str, str], dict[str, str]]:
    """The converters of each operation's parameters, which the description leaves out."""
    # Newer versions keep an included router as one route, and have this to list what is in it.
    listed: Callable[[Any], Iterable[Any]] = getattr(routing, "iter_route_contexts", iter)
    found: dict[tuple[str, str], dict[str, str]] = {}
    for route in listed(app.routes):
        path = getattr(route, "path", None)
        if not isinstance(path, str):
            continue
        for method in getattr(route, "methods", None) or ():
            known = found.setdefault((method.lower(), getattr(route, "path_format", path)), {})
            for name, converter in _parameter.findall(path):
                # Two routes may stand in one place of the description.
                known[name] = wider(converter or "str", known.get(name))
    return found
