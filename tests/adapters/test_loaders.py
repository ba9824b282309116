"""`load`, `[permissions]` and what a handler asks about an object, through both adapters."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest

from authz_middleware import AccessDenied, Authz, PolicyError
from authz_middleware.effects import Routed
from authz_middleware.testing import FrozenClock
from tests.adapters.exchange import WORLDS, ask

COLOURS = ("sync", "async")
SECRET = "secret-of-the-database"

ARTICLES: dict[int, Any] = {
    1: {"owner": "ann", "locked": False, "tags": ["a"]},
    2: {"owner": "bob"},
    3: None,
    4: ValueError(SECRET),
    5: SystemExit(SECRET),
    6: ["no", "mapping"],
    7: {"owner": 10**400},
    8: {"owner": None},
    9: {"owner": object()},
    10: {},
}
CYCLE: dict[str, Any] = {"locked": False}
CYCLE["owner"] = CYCLE
ARTICLES[11] = CYCLE


class Loading:
    """A loader of either colour; it keeps what it was asked."""

    def __init__(self, colour: str) -> None:
        self.asked: list[Any] = []
        self.release = threading.Event()
        self.loader: Any = self.load if colour == "sync" else self.load_async

    def load(self, params: Any) -> Any:
        self.asked.append(dict(params))
        found = ARTICLES[params["id"]]
        params["id"] = 1
        if isinstance(found, BaseException):
            raise found
        return found

    async def load_async(self, params: Any) -> Any:
        await asyncio.sleep(0)
        return self.load(params)


OWNER = "resource.owner == subject.id"
ROUTES: dict[str, Any] = {
    "GET /articles/<int:id>": {"load": "article"},
    "PUT /articles/<int:id>": {"load": "article", "when": OWNER},
    "PATCH /articles/<int:id>": {
        "any": [["admin"], {"load": {"name": "article", "missing": 404}, "when": OWNER}]
    },
    "DELETE /articles/<int:id>": {"roles": ["editor"], "scopes": ["s"], "load": "article"},
    "POST /articles/<int:id>": {"permissions": ["article:write"], "load": "article"},
    "GET /not/<int:id>": {"not": {"load": "article", "when": "resource.locked"}},
    "GET /params/<int:id>": {"load": "article", "when": "resource.params.id == resource.id"},
    "GET /inner/<int:id>": {"load": "article", "any": [["admin"], {"when": OWNER}]},
    "GET /twice/<int:id>": {
        "any": [
            {"load": "article", "when": "resource.owner == 'nobody'"},
            {"load": "article", "when": OWNER},
        ]
    },
    "GET /ask/<int:id>": "authenticated",
    "GET /tenants/<tenant>": "authenticated",
}
PERMISSIONS = {
    "article:write": {"when": OWNER},
    "tenant:read": {"when": "resource.params.tenant == subject.claims.tenant"},
}


@pytest.fixture(params=COLOURS)
def loading(request):
    return Loading(request.param)


@pytest.fixture
def authz(policy, clock, loading) -> Authz:
    roles = policy["roles"] | {"tenant": ["tenant:read"]}
    return Authz.from_mapping(
        {
            **policy,
            "default": "authenticated",
            "roles": roles,
            "routes": ROUTES,
            "permissions": PERMISSIONS,
        },
        clock=clock,
        loaders={"article": loading.loader},
    )


def bearer(issuer, subject="ann", *roles, **claims):
    return [("Authorization", f"Bearer {issuer.mint(subject, roles=list(roles), **claims)}")]


CASES: dict[str, tuple[str, str, str, tuple[str, ...], int, str, int]] = {
    "there": ("GET", "/articles/1", "ann", (), 200, "allowed", 1),
    "HEAD is GET": ("HEAD", "/articles/1", "ann", (), 200, "allowed", 1),
    "not there": ("GET", "/articles/3", "ann", (), 403, "resource_missing", 1),
    "it raises": ("GET", "/articles/4", "ann", (), 503, "resource_unavailable", 1),
    "it wants to end the process": (
        "GET",
        "/articles/5",
        "ann",
        (),
        503,
        "resource_unavailable",
        1,
    ),
    "it returns garbage": ("GET", "/articles/6", "ann", (), 503, "resource_unavailable", 1),
    "an unknown key": (
        "GET",
        "/articles/77",
        "ann",
        (),
        503,
        "resource_unavailable",
        1,
    ),
    "its owner": ("PUT", "/articles/1", "ann", (), 200, "allowed", 1),
    "another's": ("PUT", "/articles/2", "ann", (), 403, "condition_not_met", 1),
    "a huge integer": ("PUT", "/articles/7", "ann", (), 403, "condition_error", 1),
    "null": ("PUT", "/articles/8", "ann", (), 403, "condition_error", 1),
    "an object of Python's": ("PUT", "/articles/9", "ann", (), 403, "condition_error", 1),
    "an attribute is missing": ("PUT", "/articles/10", "ann", (), 403, "condition_error", 1),
    "a circle": ("PUT", "/articles/11", "ann", (), 403, "condition_error", 1),
    "a role is enough": ("PATCH", "/articles/4", "ann", ("admin",), 200, "allowed", 0),
    "without the role": ("PATCH", "/articles/1", "ann", (), 200, "allowed", 1),
    "404 if so written": (
        "PATCH",
        "/articles/3",
        "ann",
        (),
        404,
        "resource_not_found",
        1,
    ),
    "503 if it matters": ("PATCH", "/articles/4", "ann", (), 503, "resource_unavailable", 1),
    "a role is missing": ("DELETE", "/articles/4", "ann", (), 403, "role_missing", 0),
    "a scope is missing": (
        "DELETE",
        "/articles/4",
        "ann",
        ("editor",),
        403,
        "scope_missing",
        0,
    ),
    "the condition of a permission": ("POST", "/articles/1", "ann", ("editor",), 200, "allowed", 1),
    "... and another's": ("POST", "/articles/2", "ann", ("editor",), 403, "condition_not_met", 1),
    "... without it": ("POST", "/articles/1", "ann", (), 403, "permission_missing", 0),
    "absence under not": ("GET", "/not/3", "ann", (), 403, "resource_missing", 1),
    "failure under not": ("GET", "/not/4", "ann", (), 503, "resource_unavailable", 1),
    "no attribute under not": ("GET", "/not/2", "ann", (), 403, "excluded", 1),
    "false under not": ("GET", "/not/1", "ann", (), 200, "allowed", 1),
    "a path is no attribute": ("GET", "/params/1", "ann", (), 403, "condition_error", 1),
    "for what stands inside": ("GET", "/inner/1", "ann", (), 200, "allowed", 1),
    "asked once for two parts": ("GET", "/twice/1", "ann", (), 200, "allowed", 1),
    "an ambiguous path": ("GET", "/articles/+1", "ann", (), 400, "path_ambiguous", 0),
}


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_loader_is_asked_only_while_it_matters(world, case, authz, issuer, loading, caplog):
    method, path, subject, roles, status, reason, times = case
    with caplog.at_level(logging.DEBUG, "authz_middleware"):
        sent = ask(world, authz, method, path, bearer(issuer, subject, *roles))
    assert sent.status == status
    assert sent.called is (status == 200)
    assert loading.asked == [{"id": int(path.rpartition("/")[2])}] * times
    assert f": {reason}" in caplog.text
    assert (sent.header("retry-after") is not None) is (status == 503)
    everything = f"{caplog.text} {sent.headers} {sent.body!r}"
    assert SECRET not in everything
    assert "bob" not in everything  # the caller is ann: what an object says is nobody's


@pytest.mark.parametrize("world", WORLDS)
def test_nobody_is_asked_for_a_caller_who_is_not_known(world, authz, loading):
    assert ask(world, authz, "GET", "/articles/1").status == 401
    assert (
        ask(world, authz, "GET", "/articles/1", [("Authorization", "Bearer x.y.z")]).status == 401
    )
    assert loading.asked == []


@pytest.mark.parametrize("world", WORLDS)
def test_a_loader_that_hangs_is_waited_for_so_long(world, policy, clock, issuer):
    release = threading.Event()
    routes = {"GET /a/<int:id>": {"load": {"name": "article", "timeout": 0.01}}}
    hangs: Any = lambda _: release.wait()  # noqa: E731
    authz = Authz.from_mapping(
        {**policy, "routes": routes}, clock=clock, loaders={"article": hangs}
    )
    try:
        assert ask(world, authz, "GET", "/a/1", bearer(issuer)).status == 503
    finally:
        release.set()


@pytest.mark.parametrize("world", WORLDS)
def test_a_token_that_expires_meanwhile_lets_nobody_in(world, policy, issuer):
    clock = FrozenClock(1_800_000_000.0)

    def slow(_: Any) -> Any:
        clock.advance(331)  # `exp` and the leeway
        return {}

    authz = Authz.from_mapping(
        {**policy, "routes": {"GET /a/<int:id>": {"load": "article"}}},
        clock=clock,
        loaders={"article": slow},
    )
    sent = ask(world, authz, "GET", "/a/1", bearer(issuer, lifetime=300))
    assert (sent.status, sent.called) == (401, False)


def test_a_policy_whose_loader_is_not_registered_is_not_served(policy):
    routes = {"GET /a/<int:id>": {"load": "artcle"}}
    with pytest.raises(PolicyError, match="no loader `artcle` is registered; did you mean"):
        Authz.from_mapping({**policy, "routes": routes}, loaders={"article": print})
    with pytest.raises(PolicyError, match="give it where the policy is loaded"):
        Authz.from_mapping({**policy, "routes": routes})


# The second look


def look(path: str) -> Any:
    return lambda access: access.look_again(Routed("taken", "http", "PUT", path))


@pytest.mark.parametrize("world", WORLDS)
def test_what_was_loaded_is_not_asked_again_between_router_and_handler(
    world, authz, issuer, loading
):
    sent = ask(world, authz, "PUT", "/articles/1", bearer(issuer), during=look("/articles/1"))
    assert sent.status == 200
    assert loading.asked == [{"id": 1}]


@pytest.mark.parametrize("path", ["/articles/1", "/articles/2", "/articles/3", "/articles/4"])
@pytest.mark.parametrize("world", WORLDS)
def test_the_route_that_was_taken_may_ask_for_another_object(
    world, path, authz, issuer, loading, caplog
):
    """A middleware inside rewrites the path: under WSGI it is loaded, in a loop nobody gets in."""
    sent = ask(world, authz, "GET", "/ask/1", bearer(issuer), during=look(path))
    if world == "asgi":
        assert sent.status == 503
        assert loading.asked == []
        assert "there is no waiting in an event loop" in caplog.text
    else:
        statuses = {"/articles/1": 200, "/articles/4": 503}
        assert sent.status == statuses.get(path, 403)
        assert len(loading.asked) == 1


@pytest.mark.parametrize("world", WORLDS)
def test_where_a_role_is_enough_nothing_has_to_be_loaded_there(world, authz, issuer, loading):
    asked = Routed("taken", "http", "PATCH", "/articles/4")
    headers = bearer(issuer, "ann", "admin")
    sent = ask(world, authz, "GET", "/ask/1", headers, during=lambda a: a.look_again(asked))
    assert sent.status == 200
    assert loading.asked == []


# What a handler asks


QUESTIONS: dict[str, tuple[str, str, Any, dict[str, Any], str]] = {
    "of one's own": ("/ask/1", "article:write", {"owner": "ann"}, {}, "allowed"),
    "of another's": ("/ask/1", "article:write", {"owner": "bob"}, {}, "condition_not_met"),
    "of nothing": ("/ask/1", "article:write", None, {}, "condition_error"),
    "without the attribute": ("/ask/1", "article:write", {"title": "x"}, {}, "condition_error"),
    "of what cannot be read": ("/ask/1", "article:write", {"owner": 10**99}, {}, "condition_error"),
    "without the permission": ("/ask/1", "user:delete", {"owner": "ann"}, {}, "permission_missing"),
    "without a condition": ("/ask/1", "article:read", None, {}, "allowed"),
    "of the path": ("/tenants/t1", "tenant:read", None, {"tenant": "t1"}, "allowed"),
    "of another path": ("/tenants/t2", "tenant:read", None, {"tenant": "t1"}, "condition_not_met"),
    "of a path without it": ("/ask/1", "tenant:read", None, {"tenant": "t1"}, "condition_error"),
    "of a path without a rule": ("/else", "tenant:read", None, {"tenant": "t1"}, "condition_error"),
    "a path is no attribute": ("/tenants/ann", "article:write", None, {}, "condition_error"),
}


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize(
    ("path", "permission", "resource", "claims", "reason"), QUESTIONS.values(), ids=QUESTIONS
)
def test_a_handler_gets_the_answer_of_the_same_condition(
    world, path, permission, resource, claims, reason, authz, issuer, caplog
):
    seen: list[Any] = []

    def during(access: Any) -> None:
        seen.append(access.allows(permission, resource=resource))
        try:
            access.require(permission, resource=resource)
        except AccessDenied as denied:
            seen.append(denied.decision)
            raise

    headers = bearer(issuer, "ann", "editor", "tenant", **claims)
    with caplog.at_level(logging.DEBUG, "authz_middleware"):
        sent = ask(world, authz, "GET", path, headers, during=during)
    allowed = reason == "allowed"
    assert seen[0] is allowed
    assert sent.status == (200 if allowed else 403)
    if not allowed:
        assert (seen[1].reason, seen[1].rule) == (reason, sent.access.decision.rule)
        if reason.startswith("condition"):
            assert f"of the permission `{permission}`" in seen[1].nearest_miss
    # Both questions are in the log.
    lines = [each.getMessage() for each in caplog.records if "asked='" in each.getMessage()]
    assert len([line for line in lines if f"asked='{permission}'" in line]) == 2


@pytest.mark.parametrize("world", WORLDS)
def test_a_question_after_the_token_has_expired_is_denied(world, policy, issuer):
    clock = FrozenClock(1_800_000_000.0)
    authz = Authz.from_mapping(
        {
            **policy,
            "routes": {"GET /a": "authenticated"},
            "permissions": {"article:write": {"when": OWNER}},
        },
        clock=clock,
    )

    def late(access: Any) -> None:
        assert access.allows("article:write", resource={"owner": "ann"})
        clock.advance(330)
        assert not access.allows("article:write", resource={"owner": "ann"})

    headers = bearer(issuer, "ann", "editor", lifetime=300)
    assert ask(world, authz, "GET", "/a", headers, during=late).status == 200


WIDE: dict[str, dict[str, Any]] = {
    "no other rule": {},
    "a rule for everything": {"/**": ["root"]},
    "the same by a parameter": {"/<path:p>": ["root"]},
}


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("routes", WIDE.values(), ids=WIDE)
def test_a_made_up_path_does_not_answer_for_the_real_one(world, routes, policy, clock, issuer):
    """Behind a `root_path` a path has two readings, of which a rule must mean the longer one."""
    routes = {"GET /t/<tenant>": "authenticated", **routes}
    permissions = {"tenant:read": {"when": "resource.params.tenant == subject.claims.tenant"}}
    authz = Authz.from_mapping(
        {**policy, "roles": {"tenant": ["tenant:read"], "root": []}, "routes": routes}
        | {"permissions": permissions},
        clock=clock,
    )
    seen: list[bool] = []

    def during(access: Any) -> None:
        seen.append(access.allows("tenant:read"))

    where: dict[str, Any] = {"root_path": "/svc"} if world == "asgi" else {"SCRIPT_NAME": "/svc"}
    for tenant in ("t1", "t2"):
        headers = bearer(issuer, "ann", "tenant", tenant=tenant)
        path = "/svc/t/t1" if world == "asgi" else "/t/t1"
        assert ask(world, authz, "GET", path, headers, during=during, **where).status == 200
    assert seen == [True, False]


@pytest.mark.parametrize("world", WORLDS)
def test_parameters_that_are_not_known_are_not_absent(world, policy, clock, issuer):
    permissions = {"tenant:read": {"when": "!has(resource.params.tenant)"}}
    authz = Authz.from_mapping(
        {**policy, "roles": {"tenant": ["tenant:read"]}, "permissions": permissions}
        | {"routes": {"GET /known": "authenticated"}, "default": "authenticated"},
        clock=clock,
    )
    seen: list[bool] = []

    def during(access: Any) -> None:
        seen.append(access.allows("tenant:read"))

    for path in ("/known", "/else"):
        ask(world, authz, "GET", path, bearer(issuer, "ann", "tenant"), during=during)
    assert seen == [True, False]
