"""Which rule decides a request, and what it asks of the caller."""

from __future__ import annotations

import pytest

from authz_middleware.document import Document, Report, Section
from authz_middleware.facts import Principal, RequestFacts
from authz_middleware.policy import load as loading
from authz_middleware.policy.model import Policy, Requirement
from authz_middleware.policy.rules import Request

ISSUERS = ("https://x", "https://y")


def compiled(routes, *, roles=None, default=None) -> Policy:
    document = {"routes": routes, "roles": roles, "default": default}
    mapping = {name: value for name, value in document.items() if value is not None}
    report = Report(Document.from_mapping(mapping))
    policy = loading.load(Section.top(report), issuers=ISSUERS, token_permissions=True)
    report.raise_if_any()
    return policy


def found(policy: Policy, method: str, *readings: str) -> tuple[str, ...] | None:
    """The keys of the deciding rules; a method that is not listed as `!KEY`."""
    requirements = policy.find(method, readings)
    if requirements is None:
        return None
    return tuple(
        f"!{each.ref.key}" if each.refused_as == "method_not_listed" else each.ref.key
        for each in requirements
    )


RANKED = (
    "/<p>/x",
    "/<int:i>/x",
    "/<any(a,c):c>/x",
    "/a/x",
    "/a/<int:i>",
    "/a/<p>",
    "/a/<path:rest>",
    "/b/**",
    "/**",
)


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/a/x", "/a/x"),
        ("/c/x", "/<any(a,c):c>/x"),
        ("/7/x", "/<int:i>/x"),
        ("/d/x", "/<p>/x"),
        ("/b/x", "/b/**"),  # segment by segment: the first one tells
        ("/a/7", "/a/<int:i>"),
        ("/a/y", "/a/<p>"),
        ("/a", "/a/<path:rest>"),
        ("/a/y/z", "/a/<path:rest>"),
        ("/b", "/b/**"),
        ("/b/y/z", "/b/**"),
        ("/", "/**"),
        ("/A/X", "/**"),
        ("/c/y", "/**"),
        ("/+7/x", None),  # another party's integer
    ],
)
def test_the_most_specific_template_decides(path, key) -> None:
    policy = compiled(dict.fromkeys(RANKED, "deny"))
    assert found(policy, "GET", path) == (None if key is None else (key,))


METHODS = {
    "GET /a": "public",
    "PUT|WS /a": ["editor"],
    "POST /b": ["editor"],
    "/b": "public",
    "WS /c": "public",
    "GET /d": ["viewer"],
    "/**": "public",
}


@pytest.mark.parametrize(
    ("method", "path", "key"),
    [
        ("GET", "/a", "GET /a"),
        ("HEAD", "/a", "GET /a"),
        ("PUT", "/a", "PUT|WS /a"),
        ("WS", "/a", "PUT|WS /a"),
        ("POST", "/a", "!GET /a"),  # never falls to "/**"
        ("OPTIONS", "/a", "!GET /a"),
        ("", "/a", "!GET /a"),
        ("POST", "/b", "POST /b"),
        ("GET", "/b", "/b"),
        ("HEAD", "/b", "/b"),
        ("WS", "/b", "/b"),
        ("WS", "/c", "WS /c"),
        ("GET", "/c", "!WS /c"),
        ("HEAD", "/c", "!WS /c"),
        ("WS", "/d", "!GET /d"),
        ("WS", "/e", "/**"),
        ("PURGE", "/e", "/**"),
    ],
)
def test_methods(method, path, key) -> None:
    assert found(compiled(METHODS), method, path) == (key,)


def test_a_method_that_is_not_listed_is_refused_for_everybody() -> None:
    policy = compiled({"GET /a": "public", "/**": "public"})
    requirements = policy.find("POST", ("/a",))
    assert requirements is not None
    decision = policy.decide(requirements, caller())
    assert (decision.allowed, decision.reason) == (False, "method_not_listed")


READINGS = {"/svc/a": ["x"], "/a": ["y"], "/b": ["z"]}
WHOLE = {**READINGS, "/**": "public"}


@pytest.mark.parametrize(
    ("routes", "readings", "keys"),
    [
        (READINGS, ("/a",), ("/a",)),
        (READINGS, ("/a", "/svc/a"), ("/a", "/svc/a")),
        (READINGS, ("/b", "/svc/b"), ("/b",)),  # the other is named by nobody
        (READINGS, ("/x/svc/a", "/a"), ("default", "/a")),  # only a stripped prefix may be unnamed
        (READINGS, ("/a", "/c"), ("/a", "default")),
        (READINGS, ("/c", "/svc/c"), ("default",)),
        (WHOLE, ("/b", "/svc/b"), ("/b",)),  # ... or by the whole tree only
        (WHOLE, ("/svc/b", "/b"), ("/**", "/b")),  # as the likeliest it does decide
        (WHOLE, ("/c", "/svc/c"), ("/**",)),
        ({**READINGS, "/<path:p>": "deny"}, ("/b", "/svc/b"), ("/b",)),
        ({**READINGS, "/<p>": "deny"}, ("/b", "/c"), ("/b", "/<p>")),
        ({"/<int:i>": "deny", "/a": "public"}, ("/a", "/+1"), None),
        ({"/<int:i>": "deny", "/a": "public"}, ("/+1", "/a"), None),
    ],
)
def test_every_reading_must_be_let_in(routes, readings, keys) -> None:
    assert found(compiled(routes), "GET", *readings) == keys


@pytest.mark.parametrize(
    ("routes", "path", "key"),
    [
        ({"/é": "deny", "/<p>": "public"}, "/é", "/é"),
        ({"/é": "deny", "/<p>": "public"}, "/e\u0301", None),  # NFC is another rule
        ({"/fi": "deny", "/<p>": "public"}, "/\ufb01", None),  # NFKC: the ligature
        ({"/fi": "deny"}, "/\ufb01", None),  # a rule and no rule differ too
        ({"/<p>": "public"}, "/e\u0301", "/<p>"),  # all readings, one rule
        ({"/<p>": "public"}, "/\ufb01", "/<p>"),
        ({}, "/\ufb01", "default"),
    ],
)
def test_another_normal_form_must_see_the_same_rule(routes, path, key) -> None:
    assert found(compiled(routes), "GET", path) == (None if key is None else (key,))


def caller(
    *roles: str, scopes: str = "", permissions: tuple[str, ...] = (), issuer: str = "https://x"
) -> Principal:
    return Principal(
        subject="ann",
        issuer=issuer,
        roles=frozenset(roles),
        permissions=frozenset(permissions),
        scopes=frozenset(scopes.split()),
        expires_at=0,
    )


ROLES = {"viewer": ["read"], "editor": {"inherits": ["viewer"], "permissions": ["draft:*"]}}
ALL = {
    "roles": ["editor", "viewer"],
    "permissions": ["read", "draft:1", "extra"],
    "issuers": ["https://y", "https://x"],
    "scopes": ["b", "a"],
}

DECISIONS = {
    "authenticated": ("authenticated", caller(), "allowed", (), ()),
    "public, with a caller": ("public", caller(), "allowed", (), ()),
    "deny": ("deny", caller("editor"), "denied_by_rule", (), ()),
    "any of the roles": (["viewer", "editor"], caller("viewer"), "allowed", (), ()),
    "an inherited role": (["viewer"], caller("editor"), "allowed", (), ()),
    "no inheritance upwards": (["editor"], caller("viewer"), "role_missing", ("editor",), ()),
    "none of the roles": (["viewer", "editor"], caller(), "role_missing", ("editor", "viewer"), ()),
    "all of the permissions": (
        {"permissions": ["read", "draft:7"]},
        caller("editor"),
        "allowed",
        (),
        (),
    ),
    "some of the permissions": (
        {"permissions": ["read", "b", "a"]},
        caller("editor"),
        "permission_missing",
        ("b", "a"),
        (),
    ),
    "a permission of the token": (
        {"permissions": ["extra"]},
        caller(permissions=("extra",)),
        "allowed",
        (),
        (),
    ),
    "a scope is no permission": (
        {"permissions": ["extra"]},
        caller(scopes="extra"),
        "permission_missing",
        ("extra",),
        (),
    ),
    "a permission is no scope": (
        {"scopes": ["extra"]},
        caller(permissions=("extra",)),
        "scope_missing",
        ("extra",),
        ("extra",),
    ),
    "a scope is no role": (["viewer"], caller(scopes="viewer"), "role_missing", ("viewer",), ()),
    "any of the issuers": ({"issuers": [*ISSUERS]}, caller(issuer="https://y"), "allowed", (), ()),
    "none of the issuers": (
        {"issuers": ["https://y"]},
        caller(),
        "issuer_not_accepted",
        ("https://y",),
        (),
    ),
    "all of the scopes": ({"scopes": ["a", "b"]}, caller(scopes="c b a"), "allowed", (), ()),
    "all scopes of the route are named": (
        {"scopes": ["b", "a"]},
        caller(scopes="b"),
        "scope_missing",
        ("a",),
        ("b", "a"),
    ),
    # All entries of a table, in order of failure
    "first the roles": (ALL, caller(issuer="z"), "role_missing", ("editor", "viewer"), ()),
    "then the permissions": (
        ALL,
        caller("viewer", issuer="z"),
        "permission_missing",
        ("draft:1", "extra"),
        (),
    ),
    "then the issuers": (
        ALL,
        caller("editor", permissions=("extra",), issuer="z"),
        "issuer_not_accepted",
        ISSUERS,
        (),
    ),
    "then the scopes": (
        ALL,
        caller("editor", permissions=("extra",)),
        "scope_missing",
        ("b", "a"),
        ("b", "a"),
    ),
    "all of it": (
        ALL,
        caller("editor", permissions=("extra",), scopes="a b"),
        "allowed",
        (),
        (),
    ),
}


@pytest.mark.parametrize(
    ("requirement", "principal", "reason", "missing", "scopes"), DECISIONS.values(), ids=DECISIONS
)
def test_decide(requirement, principal, reason, missing, scopes) -> None:
    policy = compiled({"/a": requirement}, roles=ROLES)
    requirements = policy.find("GET", ("/a",))
    assert requirements is not None
    decision = policy.decide(requirements, policy.roles.expand(principal))
    assert decision.reason == reason
    assert decision.allowed == (reason == "allowed")
    assert decision.missing == missing
    assert decision.scopes == scopes
    assert decision.rule is requirements[0].ref


@pytest.mark.parametrize(
    ("readings", "keys"),
    [
        (("/admin", "/p/admin"), ("/admin", "default")),
        (("/a", "/p/a"), ("/a", "/p/a")),
        (("/none", "/p/none"), ("default",)),
        (("/p/a/p/none", "/none"), ("default",)),
        (("/p/a",), ("/p/a",)),
    ],
)
def test_where_the_whole_path_is_routed_on_the_rest_decides_by_a_rule_of_its_own(
    readings: tuple[str, ...], keys: tuple[str, ...]
) -> None:
    policy = compiled({"/admin": ["x"], "/a": ["x"], "/p/a": ["x"]}, default="authenticated")
    requirements = policy.find("GET", readings, whole=True)
    assert requirements is not None
    assert tuple(each.ref.key for each in requirements) == keys


def test_several_readings_are_all_asked_and_their_scopes_united() -> None:
    policy = compiled(
        {
            "/a": {"scopes": ["s"]},
            "/p/a": {"roles": ["editor"], "scopes": ["t", "s"]},
            "/p/b": "deny",
        },
        roles=ROLES,
    )

    def decide(principal: Principal, *readings: str):
        requirements = policy.find("GET", readings)
        assert requirements is not None
        return policy.decide(requirements, principal)

    both = ("/a", "/p/a")
    refused = decide(caller("viewer"), *both)
    assert (refused.reason, refused.rule.key) == ("role_missing", "/p/a")  # before any scope
    refused = decide(caller("editor", scopes="s"), *both)
    assert (refused.reason, refused.rule.key) == ("scope_missing", "/p/a")
    assert (refused.missing, refused.scopes) == (("t",), ("s", "t"))
    assert decide(caller("editor", scopes="s t"), *both).allowed
    assert decide(caller("editor", scopes="s"), "/a", "/p/b").reason == "denied_by_rule"


@pytest.mark.parametrize(
    ("default", "kind", "reason"),
    [
        (None, "deny", "no_rule"),
        ("deny", "deny", "no_rule"),
        ("authenticated", "authenticated", "allowed"),
    ],
)
def test_the_default_decides_what_no_rule_names(default, kind, reason) -> None:
    policy = compiled({}, default=default)
    (requirement,) = policy.find("WS", ("/x",)) or ()
    assert requirement.kind == kind
    assert policy.decide((requirement,), caller()).reason == reason


def test_letting_in_makes_no_new_decision() -> None:
    policy = compiled({"/a": "authenticated"})
    requirements = policy.find("GET", ("/a",))
    assert requirements is not None
    assert policy.decide(requirements, caller()) is requirements[0].allowed
    assert isinstance(requirements[0], Requirement)


def test_what_is_asked_of_no_request_is_denied() -> None:
    policy = compiled({"GET /a": "authenticated"})
    caller = Principal(subject="a", issuer="i", permissions=frozenset({"read"}), expires_at=9)
    facts = RequestFacts("http", "GET", "/a", "")
    for requests, allowed in ([Request("GET", None)], True), ([], False):
        decision = policy.ask("read", caller, 0, facts, requests, None, None)
        assert decision.allowed is allowed
