"""Every published hole of this class: the request of its advisory, and the reading it fell for.

Between the guard and a real app stands what the advisory's router did: cut, decode, fold, resolve.
Without the guard the odd request reaches the protected handler by it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from posixpath import normpath
from typing import Any
from urllib.parse import unquote

import pytest

from authz_middleware import PolicyError
from tests.adversarial.world import (
    ADMIN,
    FRAMEWORKS,
    RESTS,
    Arrival,
    Ran,
    Reader,
    everywhere,
    holds,
    policy,
)
from tests.frameworks.installed import installed

WORLDS = {"wsgi": "flask", "asgi": "starlette"}
PATHS = ("/admin", "/x/admin", "/admin/y", "/open")
ROUTES: Mapping[str, Any] = {**ADMIN, "/x/admin": ["admin"]}

Read = Callable[[str], str]


def as_it_is(path: str) -> str:
    return path


def merged(path: str) -> str:
    return re.sub("/+", "/", path.replace("\\", "/"))


def resolved(path: str) -> str:
    return normpath(merged(path))


def decoded(path: str) -> str:
    return resolved(unquote(path))


def until(stop: str) -> Read:
    return lambda path: resolved(path.partition(stop)[0])


def without_parameters(path: str) -> str:
    return resolved(re.sub(";[^/]*", "", unquote(path)))


def trimmed(path: str) -> str:
    return "/" + "/".join(segment.strip() for segment in path.split("/") if segment.strip())


def rooted(path: str) -> str:
    return "/" + path.lstrip("/")


@dataclass(frozen=True)
class Advisory:
    """What arrives, and what the router of the advisory makes of it before it looks."""

    arrivals: tuple[Arrival | str, ...]
    read: Read = as_it_is
    rests: tuple[str, ...] = RESTS
    routes: Mapping[str, Any] = field(default_factory=lambda: ROUTES)


def of(*arrivals: Arrival | str, read: Read = as_it_is, **more: Any) -> Advisory:
    return Advisory(arrivals, read, **more)


def sent(path: str, target: str) -> Arrival:
    """A path, with the target that it was made of: only one of the two says it to each world."""
    return Arrival(path, extra={"RAW_URI": target, "raw_path": target.encode()})


def with_field(name: str, value: str, path: str = "/admin") -> Arrival:
    return Arrival(path, headers=((name, value),))


ADVISORIES = {
    "CVE-2021-31920 Istio": of("//admin", "/x//admin", read=merged),
    "CVE-2021-29492 Envoy": of("/x%2fadmin", "/x%5Cadmin", "/x\\admin", read=decoded),
    "CVE-2019-9901 Envoy": of("/public/../admin", "/./admin", read=resolved),
    "CVE-2021-32779 Envoy": of("/admin#x", "/admin#/../open", read=until("#")),
    "CVE-2020-1957 Shiro": of("/x/..;/admin", read=without_parameters),
    "CVE-2020-11989 Shiro": of("/;/admin", "/admin%3bx", read=without_parameters),
    "CVE-2020-13933 Shiro": of("/admin/;x", "/admin/%3bx", read=without_parameters),
    "CVE-2020-17510 Shiro": of("/admin/.", "/admin/%2e", "/%2e/admin", read=decoded),
    "CVE-2020-17523 Shiro": of("/admin/ ", "/ /admin", read=trimmed),
    "CVE-2022-32532 Shiro": of("/admin\n", "/admin/y\n", "/admin\r", read=trimmed),
    "CVE-2023-22602 Shiro": of("/admin/", read=resolved),
    "CVE-2023-34478 Shiro": of("/public/../admin", "/x/./../admin", read=resolved),
    "CVE-2016-5007 Spring": of("/admin ", "/\radmin", read=trimmed),
    "CVE-2022-22978 Spring": of("/admin\n", "/admin\r\n", read=trimmed),
    "CVE-2021-44420 Django": of("/admin\n", read=trimmed),
    "werkzeug PR 2350": of("/admin\n", "/admin/y\n", read=trimmed),
    "CVE-2025-29927 Next.js": of(
        with_field("x-middleware-subrequest", "middleware:middleware:middleware"),
        with_field("x-middleware-subrequest", "src/middleware"),
    ),
    "CVE-2026-48710 Starlette": of(
        with_field("Host", "x/open?"), with_field("Host", "x/open#")
    ),
    "CVE-2025-54576 oauth2-proxy": of(
        Arrival("/admin", extra={"QUERY_STRING": "/open", "query_string": b"/open"}),
        sent("/admin", "/admin?/open"),
    ),
    "CVE-2025-54576 oauth2-proxy, %3f": of("/admin?/open", read=until("?")),
    "CVE-2026-41059 oauth2-proxy": of("/open/../admin#", "/admin#/open", read=until("#")),
    "CVE-2026-40575 oauth2-proxy": of(
        with_field("X-Forwarded-Uri", "/open"), with_field("X-Forwarded-Prefix", "/open")
    ),
    "CVE-2026-33186 gRPC-Go": of("admin", read=rooted),
    "CVE-2026-22031 @fastify/middie": of("/%61dmin", read=decoded),
    "CVE-2026-22031 @fastify/middie, raw": of(sent("/admin", "/%61dmin")),
    "CVE-2026-2880 @fastify/middie": of("//admin", "/x//admin", read=merged),
    "Astro PR 14771": of("/%61dmin", "/%2561dmin", read=lambda path: decoded(decoded(path))),
    "NestJS": of("//admin", "/%61dmin", read=decoded),
    "CVE-2025-32431 Traefik": of("/public/../admin", read=resolved),
    "CVE-2025-47952 Traefik": of("/public/%2e%2e/admin", "/public/%2E%2e/admin", read=decoded),
    "CVE-2025-66490 Traefik": of(
        "/x%2Fadmin", "/x%5cadmin", "/public%2f..%2fadmin", "/./%2fadmin", read=decoded
    ),
    "CVE-2025-66490 Traefik, delimiters": of(
        "/admin%00", "/admin%3b", "/admin%3F", "/admin%23",
        read=lambda path: re.split(r"[\0;?#]", unquote(path))[0],
    ),
    "GHSA-p224-6x5r-fjpm Oathkeeper": of("/public/../admin", read=resolved),
    "GHSA-3q34-rx83-r6mq heimdall": of(
        "/public/../admin", "/public/%2e%2e/admin", "/x%2Fadmin", read=decoded
    ),
    "CVE-2026-15573 Keycloak": of("/admin;x/y", "/admin%3bx/y", read=without_parameters),
    "CVE-2026-74909 Keycloak": of("/api/x/%2e%2e/%2e%2e/admin", "/x%2Fadmin", read=decoded),
    "CVE-2026-0976 Keycloak": of("/x;a=b/admin", "/admin;/y;", read=without_parameters),
    "CVE-2026-27587 Caddy": of(
        sent("/Admin", "/%41dmin"), "/ADMIN", "/x/aDmIn", "/%41dmin",
        read=lambda path: decoded(path).lower(),
    ),
    "CVE-2026-27588 Caddy": of(
        with_field("Host", "LOCALHOST"), with_field("Host", "Localhost:80")
    ),
    "CVE-2021-43557 APISIX": of("//admin/", "//x/admin", sent("/admin", "//admin"), read=resolved),
    "CVE-2026-34908 UniFi OS": of(
        "/public/..%2fadmin", sent("/public/../admin", "/public/..%2fadmin"), read=decoded
    ),
    "openrag 359": of(
        "/openadmin",
        rests=("deny",),
        routes={"/open": "public", "/open/**": "public", **ADMIN},
    ),
    "Prefect PR 21063": of(
        "/x/admin/health",
        rests=("deny",),
        routes={"/health": "public", **ADMIN},
    ),
}  # fmt: skip


def behind(world: str, read: Read, *paths: str) -> Callable[[Ran], Any]:
    def make(ran: Ran) -> Any:
        return Reader(FRAMEWORKS[WORLDS[world]].app(ran, *(paths or PATHS)), read)

    return make


@pytest.mark.parametrize("name", ADVISORIES)
@pytest.mark.parametrize("world", WORLDS)
def test_advisory(world, name):
    advisory = ADVISORIES[name]
    holds(
        behind(world, advisory.read, *PATHS, "/openadmin", "/x/admin/health"),
        advisory.arrivals,
        asgi=world == "asgi",
        routes=advisory.routes,
        rests=advisory.rests,
    )


# --- the advisories that need a world of their own ------------------------------------------------


@pytest.mark.parametrize("world", ["wsgi", "asgi"])
def test_cve_2022_31692_spring_forward(world):
    """A handler that is reached by a forward inside of the app."""
    make = behind(world, lambda path: "/admin" if path == "/open" else path)
    holds(make, ["/open"], asgi=world == "asgi")


@pytest.mark.parametrize(
    ("advisory", "key"),
    [
        ("CVE-2023-20860 Spring", "**"),
        ("CVE-2023-20860 Spring", "GET **"),
        ("CVE-2023-34034 Spring", "admin/**"),
        ("CVE-2023-34034 Spring", "GET admin"),
    ],
)
def test_a_pattern_without_its_slash_is_refused_at_the_start(advisory, key):
    """It would match nothing, and leave its paths to a looser rule."""
    with pytest.raises(PolicyError, match=re.escape(key)):
        policy({"/open": "public", key: ["admin"]})


@pytest.mark.parametrize("name", ["flask", "django-wsgi", "falcon", "bottle", "pyramid"])
def test_cve_2026_22753_spring_servlet_path(name):
    """A prefix that the matcher forgot: rules are for what stands below it."""
    arrival = Arrival("/admin", extra={"SCRIPT_NAME": "/svc", "RAW_URI": "/svc/admin"})
    everywhere(name, [arrival], plain=arrival)


def test_cve_2023_34035_spring_several_servlets():
    """The same pattern, in an app beside the one that it was written for."""

    def make(ran: Ran) -> Any:
        middleware = installed("werkzeug.middleware.dispatcher").DispatcherMiddleware
        flask = FRAMEWORKS["flask"]
        return middleware(flask.app(ran, "/open"), {"/admin": flask.app(ran, "/y/admin")})

    holds(make, ["/admin/y/admin"], plain="/admin/y/admin")


@pytest.mark.parametrize("name", ["starlette", "fastapi"])
def test_vllm_pr_52794_prefix_without_a_boundary(name):
    arrival = Arrival("/v1/admin", extra={"root_path": "/v"})
    routes = {"/v1/admin": ["admin"], "/1/admin": "public", "/v1/**": ["admin"]}
    everywhere(name, [arrival], paths=("/v1/admin",), routes=routes, plain="/v1/admin")


@pytest.mark.parametrize("field", ["X_Vhm_Root", "X-Vhm_Root", "x-vhm-root"])
def test_cve_2026_3902_django_underscores(field):
    """Two names of one field, once it is a variable of an environ."""
    bridge = installed("asgiref.wsgi").WsgiToAsgi

    def make(ran: Ran) -> Any:
        return bridge(FRAMEWORKS["traversal"].app(ran))

    holds(make, [Arrival("/", headers=((field, "/admin"),))], asgi=True)


@pytest.mark.parametrize("name", ["flask", "werkzeug", "django-wsgi", "falcon", "bottle"])
def test_gunicorn_issue_2650_script_name(name):
    arrival = Arrival("/admin", extra={"SCRIPT_NAME": "/x", "RAW_URI": "/x/admin"})
    everywhere(name, [arrival, Arrival("/admin", extra={"SCRIPT_NAME": "/open"})], plain=arrival)


def test_slowapi_issue_281_an_included_router():
    """A kind of route that is not known is exempt from nothing."""

    def make(ran: Ran) -> Any:
        fastapi = installed("fastapi")
        router = fastapi.APIRouter(prefix="/admin")

        async def handler() -> str:
            return ran.of("admin")()

        router.add_api_route("/y", handler)
        app = FRAMEWORKS["fastapi"].app(ran, "/open")
        app.include_router(router)
        return app

    holds(make, ["/admin/y"], asgi=True, plain="/admin/y")


@pytest.mark.parametrize("name", ["starlette", "pyramid"])
def test_a_newline_before_the_end_of_a_pattern(name):
    """CVE-2022-22978, CVE-2021-44420: the routers that still do it."""
    everywhere(name, ["/admin\n"])
