"""FastAPI: dependencies that give the caller, and a description that tells the truth."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any, get_args
from uuid import UUID

import pytest
from fastapi import APIRouter, Depends, FastAPI, Security, WebSocket
from fastapi.openapi.models import HTTPBearer, OpenAPI
from fastapi.security import APIKeyHeader

from authz_middleware import Access, ASGIAuthzMiddleware, Authz, Body, current_access
from authz_middleware.frameworks.fastapi import (
    Caller,
    CurrentAccess,
    OptionalCaller,
    describe_security,
)
from authz_middleware.policy.needs import (
    Acr,
    All,
    AnyIssuer,
    AnyRole,
    Load,
    MaxAge,
    Need,
    Not,
    OneOf,
    Pdp,
    Permissions,
    Scopes,
    When,
)
from authz_middleware.policy.rules import Kind
from authz_middleware.testing import DevelopmentIssuer
from tests.adapters.exchange import call_asgi, scope_for


@pytest.fixture(scope="module")
def issuer():
    return DevelopmentIssuer("https://login.example.com", "orders-api")


def authz_for(
    issuer: DevelopmentIssuer, routes: dict[str, Any], forbid: Any = None, **rest: Any
) -> Authz:
    roles = {"viewer": ["article:read"], "editor": ["article:write"], "admin": ["user:*"]}
    policy = {"issuers": [issuer.policy_issuer()], "roles": roles, "routes": routes}
    policy["forbid"] = forbid or {}
    return Authz.from_mapping(policy, **rest)


def bearer(issuer: DevelopmentIssuer, *roles: str, **claims: Any) -> list[tuple[str, str]]:
    return [("Authorization", f"Bearer {issuer.mint('ann', roles=list(roles), **claims)}")]


async def name(caller: Caller) -> str:
    return caller.subject


class TestDependencies:
    @pytest.fixture
    def app(self):
        app = FastAPI()

        @app.get("/me")
        @app.get("/public/me")
        def me(caller: Caller, name: Annotated[str, Depends(name)]) -> list[str]:
            return [caller.subject, name]

        @app.get("/public/maybe")
        async def maybe(caller: OptionalCaller) -> str | None:
            return caller.subject if caller else None

        @app.get("/access")
        async def access(access: CurrentAccess) -> bool:
            access.require("article:write")
            return access is current_access()

        @app.websocket("/public/feed")
        async def feed(websocket: WebSocket, caller: Caller) -> None:
            await websocket.accept()
            await websocket.close(reason=caller.subject)

        return app

    @pytest.fixture
    def wrapped(self, app, issuer):
        routes = {"/public/**": "public", "/**": "authenticated"}
        app.add_middleware(ASGIAuthzMiddleware, config=authz_for(issuer, routes))
        return app

    @pytest.mark.parametrize("path", ["/me", "/public/me"])
    def test_the_caller_is_handed_over(self, path, wrapped, issuer):
        sent = call_asgi(wrapped, scope_for("GET", path, bearer(issuer)))
        assert sent.body == b'["ann","ann"]'

    @pytest.mark.parametrize(
        ("headers", "status", "challenge"),
        [
            ([], 401, 'Bearer realm="api"'),
            ([("Authorization", "Bearer x.y.z")], 401, 'Bearer realm="api", error="invalid_token"'),
            ([("Authorization", "Bearer")], 400, 'Bearer realm="api", error="invalid_request"'),
        ],
    )
    def test_an_anonymous_caller_is_refused_as_by_require(
        self, headers, status, challenge, wrapped
    ):
        sent = call_asgi(wrapped, scope_for("GET", "/public/me", headers))
        assert (sent.status, sent.header("www-authenticate")) == (status, challenge)
        assert sent.header("content-type") == "application/problem+json"

    def test_an_optional_caller(self, wrapped, issuer):
        assert call_asgi(wrapped, scope_for("GET", "/public/maybe")).body == b"null"
        sent = call_asgi(wrapped, scope_for("GET", "/public/maybe", bearer(issuer)))
        assert sent.body == b'"ann"'

    def test_the_access(self, wrapped, issuer):
        sent = call_asgi(wrapped, scope_for("GET", "/access", bearer(issuer, "editor")))
        assert sent.body == b"true"
        assert call_asgi(wrapped, scope_for("GET", "/access", bearer(issuer))).status == 403

    def test_at_a_websocket(self, wrapped, issuer):
        scope = scope_for("GET", "/public/feed", bearer(issuer), "websocket")
        assert call_asgi(wrapped, scope).status == 101
        assert call_asgi(wrapped, scope_for("GET", "/public/feed", kind="websocket")).status == 401

    @pytest.mark.parametrize("path", ["/me", "/public/maybe", "/access"])
    @pytest.mark.parametrize("planted", [{}, {"authz": None}, {"authz": "admin"}])
    def test_an_app_that_is_not_wrapped_fails_closed(self, path, planted, app, issuer):
        with pytest.raises(RuntimeError, match="wrap the app"):
            call_asgi(app, scope_for("GET", path, bearer(issuer), **planted))


# --- The description ---


def operation(app: FastAPI, path: str, method: str = "get") -> dict[str, Any]:
    found: dict[str, Any] = app.openapi()["paths"][path][method]
    return found


ROUTES = {
    "GET /health": "public",
    "GET /me": "authenticated",
    "GET /articles": ["viewer", "editor"],
    "POST /articles": {"permissions": ["article:write"], "scopes": ["write", "audit"]},
    "GET /articles/<int:id>": ["viewer"],
    "DELETE /articles/<int:id>": "deny",
    "GET /items/<uuid:id>": ["viewer"],
    "GET /users/me": "authenticated",
    "GET /users/<name>": ["admin"],
    "GET /mixed/open": "public",
    "GET /mixed/<name>": ["viewer"],
    "/files/**": ["viewer"],
    "GET /files/secret/keys": ["admin"],
    "GET /typed/<int:n>": "public",
    "GET /v1/things": {"issuers": ["https://login.example.com"]},
    "GET /wants": "public",
}


def sample() -> FastAPI:
    app = FastAPI()

    def answer() -> str:
        return "here"

    for path in ("/health", "/me", "/articles", "/users/me", "/mixed/open", "/unruled"):
        app.get(path)(answer)
    app.post("/articles")(answer)

    @app.get("/articles/{id}")
    @app.delete("/articles/{id}")
    @app.patch("/articles/{id}")
    @app.get("/typed/{id:int}")
    def by_number(id: int) -> str:
        """By its number."""
        return "here"

    @app.get("/items/{id}")
    def by_uuid(id: UUID) -> str:
        return "here"

    @app.get("/users/{name}")
    @app.get("/mixed/{name}")
    def by_name(name: str) -> str:
        return "here"

    @app.get("/wants")
    def wants(caller: Caller) -> str:
        return "here"

    router = APIRouter(prefix="/v1")
    router.get("/things")(answer)
    files = APIRouter()

    @files.get("/{rest:path}")
    def file(rest: str) -> str:
        return "here"

    app.host("other.example.com", FastAPI())  # no operation of this app's
    app.include_router(router)
    app.include_router(files, prefix="/files")
    return app


# One request for each operation, and a token with which it is let in (None: nobody is).
ASKED: dict[tuple[str, str], tuple[str, dict[str, Any] | None]] = {
    ("get", "/health"): ("/health", {}),
    ("get", "/me"): ("/me", {}),
    ("get", "/articles"): ("/articles", {"roles": ["editor"]}),
    ("post", "/articles"): ("/articles", {"roles": ["editor"], "scope": "write audit"}),
    ("get", "/articles/{id}"): ("/articles/7", {"roles": ["viewer"]}),
    ("delete", "/articles/{id}"): ("/articles/7", None),
    ("patch", "/articles/{id}"): ("/articles/7", None),
    ("get", "/typed/{id}"): ("/typed/7", {}),
    ("get", "/items/{id}"): ("/items/0b6f4c1e-8a3d-4f55-9c3e-7d2f6b1a9e00", {"roles": ["viewer"]}),
    ("get", "/users/me"): ("/users/me", {}),
    ("get", "/users/{name}"): ("/users/bob", {"roles": ["admin"]}),
    ("get", "/mixed/open"): ("/mixed/open", {}),
    ("get", "/mixed/{name}"): ("/mixed/bob", {"roles": ["viewer"]}),
    ("get", "/unruled"): ("/unruled", None),
    ("get", "/v1/things"): ("/v1/things", {}),
    ("get", "/files/{rest}"): ("/files/a/b", {"roles": ["viewer"]}),
    ("get", "/wants"): ("/wants", {}),
}


@pytest.fixture(scope="module")
def authz(issuer):
    return authz_for(issuer, ROUTES)


@pytest.fixture
def described(authz):
    app = sample()
    app.add_middleware(ASGIAuthzMiddleware, config=authz)
    describe_security(app, authz)
    return app


def test_every_operation_is_asked():
    operations = {
        (method, path) for path, item in sample().openapi()["paths"].items() for method in item
    }
    assert operations == ASKED.keys()


@pytest.mark.parametrize("asked", ASKED, ids=" ".join)
def test_what_is_said_is_what_a_request_gets(asked, described, issuer):
    method, path = asked
    concrete, token = ASKED[asked]
    said = operation(described, path, method)

    def status(headers: list[tuple[str, str]]) -> int:
        return call_asgi(described, scope_for(method.upper(), concrete, headers)).status

    if said["security"] == []:
        assert status([]) == 200
        assert not {"401", "403"} & said["responses"].keys()
    else:
        assert said["security"] == [{"authz": []}]
        assert status([]) == 401
        assert "401" in said["responses"]
    if path != "/v1/things":  # which asks for the one issuer there is
        assert status(bearer(issuer)) == (403 if "403" in said["responses"] else 200)
    assert ("**Access:** nobody." in said["description"]) == (token is None)
    if token is not None:
        assert status(bearer(issuer, *token.get("roles", ()), scope=token.get("scope", ""))) == 200


FILES = """**Access:** depends on the path.

- the role `admin`, by `GET /files/secret/keys`
- the role `viewer`, by `/files/**`"""


@pytest.mark.parametrize(
    ("method", "path", "text"),
    [
        ("get", "/health", "**Access:** everybody."),
        ("get", "/me", "**Access:** every valid token."),
        ("get", "/articles", "**Access:** one of the roles `editor`, `viewer`."),
        (
            "post",
            "/articles",
            "**Access:** the permission `article:write` and the scopes `write`, `audit`.",
        ),
        ("get", "/articles/{id}", "By its number.\n\n**Access:** the role `viewer`."),
        ("delete", "/articles/{id}", "By its number.\n\n**Access:** nobody."),
        ("get", "/unruled", "**Access:** nobody."),
        ("get", "/users/{name}", "**Access:** the role `admin`."),
        ("get", "/v1/things", "**Access:** a token of `https://login.example.com`."),
        ("get", "/wants", "**Access:** every valid token."),
        ("get", "/files/{rest}", FILES),
    ],
)
def test_who_may_is_said(method, path, text, described):
    assert operation(described, path, method)["description"] == text


def test_all_that_can_be_required_is_put_into_words():
    """Whoever adds to it finds the words in `frameworks.openapi`, and this table."""
    said = {AnyRole, Permissions, AnyIssuer, Load, When, Scopes, Acr, MaxAge, All, OneOf, Not, Pdp}
    assert {*get_args(Need)} == said
    assert {*get_args(Kind)} == {"public", "authenticated", "deny", "table", "forbid"}


def test_a_route_that_is_open_for_some_paths_only(issuer):
    app = FastAPI()
    app.get("/{name}")(lambda name: name)
    authz = authz_for(issuer, {"GET /open": "public", "GET /both": "authenticated"})
    describe_security(app, authz)
    said = operation(app, "/{name}")
    assert said["security"] == [{}, {"authz": []}]
    assert said["responses"].keys() >= {"401", "403"}
    assert said["description"] == (
        "**Access:** depends on the path.\n\n"
        "- every valid token, by `GET /both`\n- everybody, by `GET /open`\n- nobody, by `default`"
    )


@pytest.mark.parametrize(
    ("requirement", "text"),
    [
        (
            {"any": [["viewer"], {"scopes": ["x", "y"]}]},
            "(the role `viewer` or the scopes `x`, `y`)",
        ),
        (
            {"roles": ["viewer"], "not": ["editor"], "acr": ["urn:mfa"], "max_age": 60},
            (
                "the role `viewer` and an authentication of `urn:mfa` and an authentication in"
                " the last 60 seconds and not the role `editor`"
            ),
        ),
        (
            {"not": {"all": [["viewer"], {"any": [["editor"], ["admin"]]}]}},
            "not (the role `viewer` and (the role `editor` or the role `admin`))",
        ),
        (
            {"must_check": "article:write"},
            "every valid token and what the handler asks about `article:write`",
        ),
    ],
)
def test_requirements_inside_requirements_are_put_into_words(requirement, text, issuer):
    app = FastAPI()
    app.get("/a")(lambda: None)
    describe_security(app, authz_for(issuer, {"/a": requirement}))
    assert operation(app, "/a")["description"] == f"**Access:** {text}."
    assert operation(app, "/a")["security"] == [{"authz": []}]
    assert operation(app, "/a")["responses"].keys() >= {"401", "403"}


@pytest.mark.parametrize(
    ("forbid", "security", "answers", "text"),
    [
        ({"path": "/x"}, [], set(), "everybody"),
        ({"path": "/A"}, [{"authz": []}], {"401", "403"}, "nobody"),
        ({"path": "/a", "methods": ["POST"]}, [], set(), "everybody"),
        (
            {"path": "/**", "roles": ["viewer"]},
            [],
            {"403"},
            "everybody, but not with the role `viewer`",
        ),
    ],
)
def test_what_is_forbidden_on_a_public_route(forbid, security, answers, text, issuer):
    app = FastAPI()
    app.get("/a")(lambda: None)
    describe_security(app, authz_for(issuer, {"/a": "public"}, forbid={"f": forbid}))
    said = operation(app, "/a")
    assert said["description"] == f"**Access:** {text}."
    assert said["security"] == security
    assert said["responses"].keys() & {"401", "403"} == answers


def test_what_is_forbidden_for_some_paths_of_a_route(issuer):
    app = FastAPI()
    app.get("/{name}")(lambda name: name)
    authz = authz_for(issuer, {"/<name>": ["viewer"]}, forbid={"f": {"path": "/closed"}})
    describe_security(app, authz)
    assert operation(app, "/{name}")["description"] == (
        "**Access:** depends on the path.\n\n"
        "- nobody, by `/<name>` and `forbid.f`\n- the role `viewer`, by `/<name>`"
    )


def test_a_path_that_is_always_400_is_for_nobody(issuer):
    app = FastAPI()
    app.get("/a//b")(lambda: None)
    describe_security(app, authz_for(issuer, {"/**": "public"}))
    assert operation(app, "/a//b")["description"] == "**Access:** nobody."
    assert operation(app, "/a//b")["security"] == [{"authz": []}]


def test_part_of_a_segment_is_any_segment(issuer):
    app = FastAPI()
    app.get("/{name}.json")(lambda name: name)
    describe_security(app, authz_for(issuer, {"GET /<name>": ["viewer"]}))
    assert operation(app, "/{name}.json")["description"] == "**Access:** the role `viewer`."


@pytest.mark.parametrize("declared", [["{v}", "{v:int}"], ["{v:int}", "{v}"]])
@pytest.mark.parametrize("second", ["get", "post"])
def test_a_converter_of_another_route_narrows_nothing(second, declared, issuer):
    """They share a place in the description: `/x/{v}` is said to be what takes any text, too."""
    app = FastAPI()
    for place, method in zip(declared, ("get", second), strict=True):
        route = app.api_route(f"/x/{place}", methods=[method.upper()], operation_id=place)
        route(lambda v: v)
    routes = {"GET|POST /x/<int:v>": "public", "GET|POST /x/<v>": ["admin"]}
    describe_security(app, authz_for(issuer, routes))
    wide = "get" if second == "get" else ("get", "post")[declared.index("{v}")]
    assert operation(app, "/x/{v}", wide)["security"] == [{}, {"authz": []}]
    if second == "post":
        narrow = ("get", "post")[declared.index("{v:int}")]
        assert operation(app, "/x/{v}", narrow)["security"] == []


def test_a_tail_in_the_place_of_another_converter_is_the_widest(issuer):
    for declared in (["{v:path}", "{v:int}"], ["{v:int}", "{v:path}"]):
        app = FastAPI()
        for place in declared:
            app.get(f"/x/{place}", operation_id=place)(lambda v: v)
        describe_security(app, authz_for(issuer, {"/x/**": ["admin"], "GET /x/<v>": "public"}))
        assert operation(app, "/x/{v}")["security"] == [{}, {"authz": []}]


def test_a_scheme_of_the_whole_description_is_kept(issuer):
    app = FastAPI()
    for path in ("/open", "/closed", "/waived"):
        app.get(path, openapi_extra={"security": []} if path == "/waived" else None)(lambda: None)
    bare = app.openapi
    theirs: dict[str, list[str]] = {"key": []}

    def keyed() -> dict[str, Any]:
        return bare() | {"security": [theirs]}

    app.openapi = keyed  # type: ignore[method-assign]
    routes = {"/open": "public", "/closed": ["admin"], "/waived": ["admin"]}
    describe_security(app, authz_for(issuer, routes))
    assert operation(app, "/open")["security"] == [theirs]
    assert operation(app, "/closed")["security"] == [theirs | {"authz": []}]
    assert operation(app, "/waived")["security"] == [{"authz": []}]


@pytest.mark.parametrize(
    ("kind", "place", "ruled", "asked"),
    [
        (float, "{v}", "<int:v>", "1"),
        (float, "{v:float}", "<int:v>", "1"),
        (int, "{v}", "-1", "-1"),
        (UUID, "{v}", "AAAAAAAA-0000-0000-0000-000000000000", None),
    ],
)
def test_what_a_converter_takes_loosely_is_asked_too(kind, place, ruled, asked, issuer):
    """The handler runs for it, so what decides it is part of what the operation asks."""
    app = FastAPI()

    def answer(v: Any) -> str:
        return "here"

    answer.__annotations__["v"] = kind
    app.get(f"/x/{place}")(answer)
    authz = authz_for(issuer, {f"GET /x/{ruled}": ["admin"], "GET /x/<v>": "public"})
    describe_security(app, authz)
    app.add_middleware(ASGIAuthzMiddleware, config=authz)
    path = f"/x/{asked or ruled}"
    assert call_asgi(app, scope_for("GET", path)).status == 401
    assert call_asgi(app, scope_for("GET", path, bearer(issuer, "admin"))).body == b'"here"'
    assert operation(app, "/x/{v}")["security"] == [{}, {"authz": []}]


def test_another_scheme_is_kept_beside_ours(issuer):
    app = FastAPI()
    key = [Security(APIKeyHeader(name="x-key"))]
    for path in ("/open", "/closed", "/x/{name}"):
        app.get(path, dependencies=key)(lambda: None)

    @app.get("/wants", dependencies=key)
    def wants(caller: Caller) -> None: ...

    routes = {"/open": "public", "/closed": ["admin"], "/wants": "public", "/x/a": "public"}
    describe_security(app, authz_for(issuer, routes))
    theirs: dict[str, list[str]] = {"APIKeyHeader": []}
    assert operation(app, "/open")["security"] == [theirs]
    assert operation(app, "/closed")["security"] == [theirs | {"authz": []}]
    assert operation(app, "/wants")["security"] == [theirs | {"authz": []}]
    assert operation(app, "/x/{name}")["security"] == [theirs, theirs | {"authz": []}]
    schemes = app.openapi()["components"]["securitySchemes"]
    assert schemes.keys() == {"APIKeyHeader", "authz"}
    assert schemes["authz"] == {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


def test_a_caller_is_shown_without_a_policy_too():
    app = FastAPI()

    @app.get("/me")
    def me(caller: Caller, access: CurrentAccess, maybe: OptionalCaller) -> None: ...

    assert operation(app, "/me")["security"] == [{"authz": []}]
    assert app.openapi()["components"]["securitySchemes"]["authz"]["scheme"] == "bearer"


def test_what_an_operation_says_itself_is_kept(issuer):
    app = FastAPI()
    app.get("/me", responses={401: {"description": "Mine."}})(lambda: None)
    describe_security(app, authz_for(issuer, {"/me": ["viewer"]}))
    answers = operation(app, "/me")["responses"]
    assert answers["401"] == {"description": "Mine."}
    assert answers["403"] == {"$ref": "#/components/responses/AuthzForbidden"}


def test_refusals_are_described_as_they_are_sent(described, issuer):
    components = described.openapi()["components"]
    content = components["responses"]["AuthzForbidden"]["content"]
    assert content.keys() == {"application/problem+json", "text/plain"}
    problem = components["schemas"]["AuthzProblem"]
    sent = call_asgi(described, scope_for("GET", "/users/bob", bearer(issuer)))
    body = json.loads(sent.body)
    assert body.keys() <= problem["properties"].keys()
    assert body.keys() >= set(problem["required"])


def test_bodies_of_a_renderer_are_not_made_up(issuer):
    class Renderer:
        def render(self, refusal: Any) -> Body | None:
            return None

    app = FastAPI()
    app.get("/me")(lambda: None)
    describe_security(app, authz_for(issuer, {"/me": ["viewer"]}, renderer=Renderer()))
    components = app.openapi()["components"]
    assert "content" not in components["responses"]["AuthzForbidden"]
    assert "AuthzProblem" not in components.get("schemas", {})


class TestMounted:
    def app(self) -> FastAPI:
        app = FastAPI()
        app.get("/")(lambda: "root")
        app.get("/who")(lambda: "who")
        app.get("/{name}")(lambda name: name)
        return app

    def test_in_an_app_that_is_wrapped(self, issuer):
        inner, outer = self.app(), FastAPI()
        outer.mount("/v2", inner)
        routes = {"/v2": "public", "/v2/who": ["viewer"], "/who": "public", "/v2/<x>": ["admin"]}
        authz = authz_for(issuer, routes)
        outer.add_middleware(ASGIAuthzMiddleware, config=authz)
        describe_security(inner, authz, mounted_at="/v2")
        assert operation(inner, "/")["security"] == []
        assert operation(inner, "/who")["description"] == "**Access:** the role `viewer`."
        assert operation(inner, "/{name}")["description"] == "**Access:** the role `admin`."
        assert call_asgi(outer, scope_for("GET", "/v2/")).status == 200
        assert call_asgi(outer, scope_for("GET", "/v2/who")).status == 401

    def test_wrapped_itself(self, issuer):
        inner, outer = self.app(), FastAPI()
        outer.mount("/v2", inner)
        authz = authz_for(issuer, {"/": "public", "/who": ["viewer"]})
        inner.add_middleware(ASGIAuthzMiddleware, config=authz)
        describe_security(inner, authz)
        assert operation(inner, "/")["security"] == []
        assert operation(inner, "/who")["security"] == [{"authz": []}]
        assert call_asgi(outer, scope_for("GET", "/v2/")).status == 200
        assert call_asgi(outer, scope_for("GET", "/v2/who")).status == 401

    def test_with_parameters_in_the_mount(self, issuer):
        app = self.app()
        describe_security(
            app, authz_for(issuer, {"/t/<t>/who": ["viewer"]}), mounted_at="/t/{tenant}"
        )
        assert operation(app, "/who")["description"] == "**Access:** the role `viewer`."

    @pytest.mark.parametrize("wrong", ["v2", "/v2/", "/"])
    def test_what_is_no_path_is_refused(self, wrong, issuer):
        with pytest.raises(ValueError, match="mounted_at="):
            describe_security(self.app(), authz_for(issuer, {"/": "public"}), mounted_at=wrong)

    @pytest.mark.filterwarnings("ignore:The `root_path` parameter is deprecated")
    def test_below_a_root_path_of_its_own(self, issuer):
        app = FastAPI(root_path="/api")
        app.get("/who")(lambda: "who")
        routes = {"/who": "public", "/api/who": ["viewer"]}
        authz = authz_for(issuer, routes)
        describe_security(app, authz)
        said = operation(app, "/who")
        assert said["security"] == [{}, {"authz": []}]
        outer = ASGIAuthzMiddleware(app, authz)
        assert call_asgi(outer, scope_for("GET", "/who")).status == 200
        assert call_asgi(outer, scope_for("GET", "/api/who")).status == 401


def test_it_is_a_description_that_fastapi_itself_can_read(described):
    read = OpenAPI.model_validate(described.openapi())
    assert read.components is not None
    assert read.components.securitySchemes is not None
    assert type(read.components.securitySchemes["authz"]) is HTTPBearer


class TestOpenapi:
    """`app.openapi()` stays what it was, to everybody who calls it."""

    def test_frameworks_own_description_is_not_touched(self, authz):
        app = sample()
        before = FastAPI.openapi(app)
        copy = str(before)
        describe_security(app, authz)
        assert app.openapi() is not before
        assert str(FastAPI.openapi(app)) == copy

    def test_it_is_made_once(self, described):
        assert described.openapi() is described.openapi()

    def test_a_route_that_is_added_later_is_described(self, described):
        described.openapi()
        described.get("/late")(lambda: None)
        described.openapi_schema = None  # as FastAPI's own documentation has it
        assert operation(described, "/late")["description"] == "**Access:** nobody."

    def test_the_last_call_counts(self, issuer, authz):
        app = FastAPI()
        app.get("/me")(lambda: None)
        describe_security(app, authz)
        describe_security(app, authz_for(issuer, {"/me": "public"}))
        assert operation(app, "/me")["description"] == "**Access:** everybody."

    def test_a_description_of_the_apps_own_is_described(self, authz):
        app = FastAPI()
        own: dict[str, Any] = {
            "openapi": "3.1.0",
            "info": {},
            "components": None,
            "paths": {
                "/me": {
                    "summary": "me",
                    "parameters": [{"in": "path", "name": "x"}, {"$ref": "#/x"}],
                    "get": {"parameters": [{"in": "query"}]},
                    "put": {"parameters": None, "security": None, "responses": None},
                    "x-get": {"not": "an operation"},
                },
                "/none": None,
            },
        }
        app.openapi = lambda: own  # type: ignore[method-assign]
        describe_security(app, authz)
        item = app.openapi()["paths"]["/me"]
        for method in ("get", "put"):
            assert item[method]["security"] == [{"authz": []}]
        assert item["x-get"] == {"not": "an operation"}
        assert app.openapi()["paths"]["/none"] is None

    @pytest.mark.parametrize("paths", [None, {}, []])
    def test_a_description_without_paths(self, paths, authz):
        app = FastAPI()
        app.openapi = lambda: {"paths": paths}  # type: ignore[method-assign]
        describe_security(app, authz)
        assert app.openapi()["paths"] == paths

    def test_the_page_and_the_description_need_rules_themselves(self, described, issuer):
        for path in ("/docs", "/openapi.json"):
            assert call_asgi(described, scope_for("GET", path)).status == 401
            assert call_asgi(described, scope_for("GET", path, bearer(issuer))).status == 403

    def test_the_page_shows_it_where_it_is_let_in(self, issuer):
        app = FastAPI()
        authz = authz_for(issuer, {"GET /openapi.json": "public"})
        app.add_middleware(ASGIAuthzMiddleware, config=authz)
        describe_security(app, authz)
        sent = call_asgi(app, scope_for("GET", "/openapi.json"))
        assert b'"securitySchemes":{"authz"' in sent.body


def test_dependencies_do_not_leave_the_event_loop(issuer):
    """No thread is taken to hand over a caller."""
    app, threads = FastAPI(), []

    @app.get("/me")
    async def me(caller: Caller, access: CurrentAccess, maybe: OptionalCaller) -> None:
        assert isinstance(access, Access)
        threads.append(asyncio.get_running_loop()._default_executor)  # type: ignore[attr-defined]

    outer = ASGIAuthzMiddleware(app, authz_for(issuer, {"/me": "authenticated"}))
    assert call_asgi(outer, scope_for("GET", "/me", bearer(issuer))).status == 200
    assert threads == [None]
