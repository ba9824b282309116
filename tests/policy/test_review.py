"""What looks like a mistake in a policy, and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from authz_middleware.document import Document
from authz_middleware.document.paths import dotted
from authz_middleware.policy.review import KINDS, review, role_names
from authz_middleware.policy.rights import Rights
from authz_middleware.runtime import settings

ISSUER: dict[str, Any] = {
    "issuer": "https://login.example.com",
    "audience": ["orders"],
    "claims": {"permissions": "permissions"},
}
ROLES: dict[str, Any] = {
    "viewer": ["read"],
    "editor": {"inherits": ["viewer"], "permissions": ["write"]},
    "admin": {"inherits": ["editor"]},
}
USED = {"GET /used": ["admin"]}


def notices(policy: dict[str, Any], given: frozenset[str] | None = None) -> list[str]:
    loaded = settings.load(Document.from_mapping({"issuers": [ISSUER], **policy})).policy
    rights = Rights(loaded.roles, {ISSUER["issuer"]: given}, token_permissions=True)
    return [f"{each.kind} {each.about}: {each}" for each in review(loaded, rights, dotted)]


def routes(routes: dict[str, Any]) -> dict[str, Any]:
    return {"roles": ROLES, "routes": {"GET /used": ["viewer"], **routes}}


FOUND: dict[str, tuple[dict[str, Any], str]] = {
    "a role without a rule": (
        {"roles": {"a": [], "b": []}, "routes": {"GET /": ["a"]}},
        "unused-role b: roles.b: no rule asks for role `b`; remove it, or name it",
    ),
    "a role whose permissions no rule asks for": (
        {"roles": {"a": [], "b": ["p"]}, "routes": {"GET /": ["a"]}},
        (
            "unused-role b: roles.b: no rule asks for role `b`, nor for a permission that it"
            " brings; remove it, unless the app itself asks"
        ),
    ),
    "what the client says": (
        routes({"GET /x": {"roles": ["admin"], "when": "has(context.headers.x)"}}),
        (
            'by-client GET /x: routes."GET /x": it lets in by header fields or the query, which the'
            " client chooses; ask for"
        ),
    ),
    "a permission no role brings": (
        routes({"GET /x": {"permissions": ["wriet"]}}),
        (
            'ungranted-permission wriet: routes."GET /x": no role brings permission `wriet`; only a'
            " token that carries it can have it; did you mean `write`?"
        ),
    ),
    "one that is like none": (
        routes({"GET /x": {"permissions": ["xyz"]}}),
        (
            'ungranted-permission xyz: routes."GET /x": no role brings permission `xyz`; only a'
            " token that carries it can have it; give it to a role"
        ),
    ),
    "a rule that nobody meets": (
        routes({"GET /x": {"all": [["viewer"], {"not": ["viewer"]}]}}),
        'never-met GET /x: routes."GET /x": nobody can ever meet this; write "deny"',
    ),
    "a rule that every token meets": (
        routes({"GET /x": {"any": [["viewer"], {"not": ["viewer"]}]}}),
        'always-met GET /x: routes."GET /x": every valid token meets this; write "authenticated"',
    ),
    "an issuer where there is one": (
        routes({"GET /x": {"issuers": [ISSUER["issuer"]]}}),
        'always-met GET /x: routes."GET /x": every valid token meets this',
    ),
    "an entry that holds for all": (
        {**routes({}), "forbid": {"f": {"issuers": [ISSUER["issuer"]]}}},
        "never-met forbid.f: forbid.f: it holds for every valid token; leave out whom it names",
    ),
    "a whole tree that is open": (
        routes({"GET /**": "public"}),
        'public-tree GET /**: routes."GET /**": whatever has no rule of its own is open',
    ),
    "wider: everybody": (
        routes({"/a/**": ["viewer"], "/a/b": "public"}),
        (
            'wider-rule /a/b: routes."/a/b": it lets in everybody, whom `/a/**` (routes."/a/**")'
            " around it keeps out; is that meant?"
        ),
    ),
    "wider: any token": (
        routes({"/a/**": ["viewer"], "/a/b/c": "authenticated"}),
        'wider-rule /a/b/c: routes."/a/b/c": it lets in `any valid token`, whom',
    ),
    "wider: other roles": (
        routes({"/a/**": ["admin"], "/a/b": ["viewer"]}),
        'wider-rule /a/b: routes."/a/b": it lets in `editor`, `viewer`, whom',
    ),
    "wider: several roles together": (
        {
            "roles": {name: [] for name in "abcd"},
            "routes": {"/a/**": ["d"], "/a/b": {"all": [["a"], ["b"]]}, "GET /": ["c"]},
        },
        'wider-rule /a/b: routes."/a/b": it lets in `a + b`, whom',
    ),
    "wider: many": (
        {
            "roles": {name: [] for name in "abcdef"},
            "routes": {"/a/**": ["f"], "/a/b": [*"abcde"]},
        },
        'wider-rule /a/b: routes."/a/b": it lets in `a`, `b`, `c` and 2 more, whom',
    ),
    "wider: by a scope that is not asked for": (
        routes({"/a/**": {"scopes": ["s"]}, "/a/b": "authenticated"}),
        'wider-rule /a/b: routes."/a/b": it lets in `any valid token`, whom',
    ),
    "wider: the nearest tree counts": (
        routes({"/a/**": "authenticated", "/a/b/**": ["admin"], "/a/b/c": ["viewer"]}),
        'wider-rule /a/b/c: routes."/a/b/c": it lets in `editor`, `viewer`, whom `/a/b/**`',
    ),
    "wider: one method": (
        routes({"/a/**": ["viewer"], "PUT /a/b": ["viewer"], "GET /a/b": "public"}),
        'wider-rule GET /a/b: routes."GET /a/b": it lets in everybody',
    ),
    "wider: below a parameter": (
        routes({"/<t>/<any(x,y):z>/<int:n>/**": ["admin"], "/t/x/1/<r>": ["viewer"]}),
        (
            'wider-rule /t/x/1/<r>: routes."/t/x/1/<r>": it lets in `editor`, `viewer`, whom'
            " `/<t>/<any(x,y):z>/<int:n>/**`"
        ),
    ),
    "wider: a parameter in it": (
        routes({"/<any(x,y,z):t>/<int:n>/**": ["admin"], "/<any(x,y):t>/<int:m>": ["viewer"]}),
        "wider-rule /<any(x,y):t>/<int:m>: ",
    ),
}


@pytest.mark.parametrize(("policy", "said"), FOUND.values(), ids=FOUND)
def test_what_looks_like_a_mistake(policy: dict[str, Any], said: str) -> None:
    (found,) = notices(policy)
    assert found.startswith(said)
    assert found.split()[0] in KINDS


NOTHING: dict[str, dict[str, Any]] = {
    "roles, permissions and inheritance in use": {
        "roles": ROLES,
        "routes": {"GET /r": {"permissions": ["read"]}, "PUT /w": {"permissions": ["write"]}},
    },
    "a role that only an entry of [forbid] names": {
        "roles": {"robot": [], "viewer": []},
        "routes": USED | {"GET /used": ["viewer"]},
        "forbid": {"robots": {"roles": ["robot"]}},
    },
    "permissions that only tokens bring": {"routes": {"GET /x": {"permissions": ["p"]}}},
    "a narrower rule": routes({"/a/**": ["viewer"], "/a/b": ["admin"], "/a/c": "deny"}),
    "a closed tree": routes({"/a/**": "deny", "/a/b": "public"}),
    "the whole tree": routes({"/**": ["viewer"], "GET /health": "public"}),
    "a rule beside a tree": routes({"/a/**": ["viewer"], "/b": "public", "/": "public"}),
    "other parameters": routes(
        {
            "/<any(x,y):t>/**": ["viewer"],
            "/<any(x,z):t>/c": "public",
            "/z": "public",
            "/<int:n>/<int:m>/**": ["viewer"],
            "/<int:n>/<uuid:m>": "public",
            "/<path:rest>": "authenticated",
        }
    ),
    "every issuer of two": {
        "issuers": [ISSUER | {"grants": ["*"]}, ISSUER | {"issuer": "https://b", "grants": ["*"]}],
        "routes": {"GET /x": {"issuers": [ISSUER["issuer"]]}},
    },
    "an entry of [forbid] for everybody": {
        **routes({}),
        "forbid": {"freeze": {"methods": ["POST"], "path": "/deploy/**"}},
    },
    "a rule by the root": routes({"/": "public"}),
}


@pytest.mark.parametrize("name", NOTHING)
def test_what_does_not(name: str) -> None:
    policy = NOTHING[name]
    loaded = settings.load(Document.from_mapping({"issuers": [ISSUER], **policy})).policy
    issuers = {each["issuer"]: None for each in policy.get("issuers", [ISSUER])}
    assert review(loaded, Rights(loaded.roles, issuers, token_permissions=True), dotted) == []


def test_roles_that_no_issuer_gives() -> None:
    policy = routes({"GET /a": ["admin", "viewer"], "GET /b": ["admin"]})
    assert notices(policy, frozenset({"editor"})) == [
        (
            'unobtainable-role GET /b: routes."GET /b": no issuer gives `admin`; see the `grants`'
            " and the `role_map` of the issuers"
        )
    ]


def test_rules_that_ask_the_same_are_each_told() -> None:
    policy = routes({"/a/**": ["admin"], "/a/b": "public", "/a/c": "public"})
    assert [each.split()[1] for each in notices(policy)] == ["/a/b:", "/a/c:"]


def test_a_role_that_is_excluded_need_not_be_given() -> None:
    policy = {
        "routes": {"GET /a": {"roles": ["x"], "not": ["y"]}},
        "forbid": {"f": {"roles": ["y"]}},
    }
    (found,) = notices(policy, frozenset({"x"}))
    assert found.startswith("unobtainable-role forbid.f:")


def test_the_names_of_roles() -> None:
    def names(policy: dict[str, Any]) -> list[str]:
        mapping = {"issuers": [ISSUER], **policy}
        return role_names(settings.load(Document.from_mapping(mapping)).policy)

    assert names({"roles": ROLES}) == ["admin", "editor", "viewer"]
    free = {"routes": {"GET /x": {"any": [["b"], {"not": ["a"]}]}}}
    assert names(free | {"forbid": {"f": {"roles": ["c"]}}}) == ["a", "b", "c"]
