"""Which refusal a requirement of many parts gives, and what is told of every part."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.document import Document, Report, Section
from authz_middleware.facts import Claims, Decision, Principal, RuleRef
from authz_middleware.policy import load as loading
from authz_middleware.policy.explain import explain
from authz_middleware.policy.findings import named
from authz_middleware.policy.model import Policy
from authz_middleware.policy.needs import All, Asked, ConditionFailed, Need, Not, OneOf, When
from authz_middleware.policy.rules import Requirement
from tests.policy.says import Says

NOW = 1_700_000_000.0
ISSUERS = ("https://x", "https://y")


def compiled(routes: dict[str, Any], **more: Any) -> Policy:
    document = {
        "roles": {
            "viewer": ["read"],
            "editor": {"inherits": ["viewer"], "permissions": ["write"]},
            "banned": [],
        },
        "routes": routes,
        **more,
    }
    report = Report(Document.from_mapping(document))
    policy = loading.load(Section.top(report), issuers=ISSUERS, token_permissions=True)
    report.raise_if_any()
    return policy


def caller(*roles: str, scopes: str = "", **claims: Any) -> Principal:
    return Principal(
        subject="ann",
        issuer="https://x",
        roles=frozenset(roles),
        scopes=frozenset(scopes.split()),
        claims=Claims.freeze(claims),
        expires_at=0,
    )


def decide(policy: Policy, who: Principal, path: str = "/a", method: str = "GET") -> Decision:
    requirements = policy.find(method, (path,))
    assert requirements is not None
    expanded = policy.roles.expand(who)
    decision = policy.decide(requirements, expanded, NOW)
    assert explain(requirements, Asked(expanded, NOW)) == decision
    return decision


STEP = {"acr": ["urn:mfa"], "max_age": 300}
LOGGED_IN: dict[str, Any] = {"acr": "urn:mfa", "auth_time": NOW - 60}

# name: (requirement, caller, reason, missing, nearest miss)
REFUSALS: dict[str, tuple[Any, Principal, str, tuple[str, ...], str]] = {
    "a role": (
        ["editor"],
        caller("viewer"),
        "role_missing",
        ("editor",),
        "needs the role `editor`; has viewer",
    ),
    "one of several roles": (
        ["editor", "banned"],
        caller(),
        "role_missing",
        ("banned", "editor"),
        "needs one of the roles `banned`, `editor`; has none",
    ),
    "a permission": (
        {"permissions": ["read", "write"]},
        caller("viewer"),
        "permission_missing",
        ("write",),
        "needs the permission `write`; has read",
    ),
    "an issuer": (
        {"issuers": ["https://y"]},
        caller(),
        "issuer_not_accepted",
        ("https://y",),
        "needs a token of `https://y`; has https://x",
    ),
    "a scope": (
        {"scopes": ["a", "b"]},
        caller(scopes="b"),
        "scope_missing",
        ("a",),
        "needs the scopes `a`, `b`; has b",
    ),
    "an acr": (
        STEP,
        caller(acr="urn:pwd", auth_time=NOW),
        "acr_not_met",
        ("urn:mfa",),
        "needs an authentication of `urn:mfa`",  # never what the token says
    ),
    "no acr": (STEP, caller(), "acr_not_met", ("urn:mfa",), "needs an authentication of `urn:mfa`"),
    "too long ago": (
        STEP,
        caller(acr="urn:mfa", auth_time=NOW - 301),
        "authentication_too_old",
        (),
        "needs an authentication in the last 300 seconds",
    ),
    "nobody knows when": (
        STEP,
        caller(acr="urn:mfa"),
        "authentication_too_old",
        (),
        "needs an authentication in the last 300 seconds",
    ),
    # The order of failures
    "role before scope before step-up": (
        {"roles": ["editor"], "scopes": ["a"], **STEP},
        caller(),
        "role_missing",
        ("editor",),
        "needs the role `editor`; has none",
    ),
    "scope before step-up": (
        {"roles": ["editor"], "scopes": ["a"], **STEP},
        caller("editor"),
        "scope_missing",
        ("a",),
        "needs the scope `a`; has none",
    ),
    "a role deep inside before a scope outside": (
        {"scopes": ["a"], "all": [{"all": [["editor"]]}]},
        caller(),
        "role_missing",
        ("editor",),
        "needs the role `editor`; has none",
    ),
    # The nearest miss of `any`: what came furthest, then what lacks least
    "any of two roles": (
        {"any": [["editor"], ["banned"]]},
        caller("viewer"),
        "role_missing",
        ("banned",),
        "needs the role `banned`; has viewer",
    ),
    "any: a scope is nearer than a role": (
        {"any": [["editor"], {"scopes": ["a", "b"]}]},
        caller(),
        "scope_missing",
        ("a", "b"),
        "needs the scopes `a`, `b`; has none",
    ),
    "any: but not if that part lacks a role too": (
        {"any": [["editor"], {"roles": ["banned"], "scopes": ["a"]}]},
        caller(),
        "role_missing",
        ("banned",),
        "needs the role `banned`; has none",
    ),
    "any: a step-up is nearest": (
        {"any": [["editor"], {"roles": ["viewer"], **STEP}]},
        caller("viewer", acr="urn:pwd"),
        "acr_not_met",
        ("urn:mfa",),
        "needs an authentication of `urn:mfa`",
    ),
    "any: fewer names": (
        {"any": [{"scopes": ["a", "b"]}, {"scopes": ["c"]}]},
        caller(),
        "scope_missing",
        ("c",),
        "needs the scope `c`; has none",
    ),
    "any beside a role that lacks": (
        {"roles": ["editor"], "any": [{"scopes": ["a"]}, STEP]},
        caller(),
        "role_missing",
        ("editor",),
        "needs the role `editor`; has none",
    ),
    # `not`: no client can make it good
    "not": (
        {"not": ["banned"]},
        caller("banned"),
        "excluded",
        (),
        "must not meet the role `banned`",
    ),
    "not before scopes": (
        {"not": ["banned"], "scopes": ["a"]},
        caller("banned"),
        "excluded",
        (),
        "must not meet the role `banned`",
    ),
    "not after roles": (
        {"roles": ["editor"], "not": ["banned"]},
        caller("banned"),
        "role_missing",
        ("editor",),
        "needs the role `editor`; has banned",
    ),
    "not any": (
        {"not": {"any": [["banned"], {"scopes": ["a"]}]}},
        caller(scopes="a"),
        "excluded",
        (),
        "must not meet (the role `banned` or the scope `a`)",
    ),
    "not with an error in it": (
        {"not": {"acr": ["urn:pwd"]}},
        caller(),
        "excluded",
        (),
        "must not meet an authentication of `urn:pwd`",
    ),
    "not all": (
        {"not": {"all": [["viewer"], {"not": ["editor"]}]}},
        caller("viewer"),
        "excluded",
        (),
        "must not meet (the role `viewer` and not the role `editor`)",
    ),
    "deny": ("deny", caller("editor"), "denied_by_rule", (), "the rule lets nobody in"),
}


@pytest.mark.parametrize(
    ("requirement", "who", "reason", "missing", "nearest"), REFUSALS.values(), ids=REFUSALS
)
def test_refusals(requirement, who, reason, missing, nearest) -> None:
    decision = decide(compiled({"/a": requirement}), who)
    assert (decision.allowed, decision.reason, decision.missing) == (False, reason, missing)
    assert decision.nearest_miss == nearest
    turned = decide(compiled({"/a": backwards(requirement)}), who)
    assert (turned.reason, turned.missing) == (reason, missing)


def backwards(requirement: Any) -> Any:
    """The same requirement, its tables and its `any` and `all` written in another order."""
    if not isinstance(requirement, dict):
        return requirement
    turned = {key: backwards(value) for key, value in reversed(requirement.items())}
    for name in ("any", "all"):
        if name in turned:
            turned[name] = [backwards(part) for part in reversed(turned[name])]
    return turned


@pytest.mark.parametrize(
    ("requirement", "who"),
    [
        ({"any": [["editor"], {"scopes": ["a"]}]}, caller(scopes="a")),
        ({"all": [["viewer"], {"scopes": ["a"]}]}, caller("editor", scopes="a")),
        ({"not": ["banned"]}, caller()),
        ({"not": {"acr": ["urn:pwd"]}}, caller(acr="urn:mfa")),
        ({"roles": ["viewer"], "not": {"all": [["banned"], ["editor"]]}}, caller("editor")),
        ({"any": [STEP, ["editor"]]}, caller("editor")),  # an error beside what is met
        (STEP, caller(**LOGGED_IN)),
    ],
)
def test_let_in(requirement, who) -> None:
    policy = compiled({"/a": requirement})
    requirements = policy.find("GET", ("/a",))
    assert requirements is not None
    assert decide(policy, who) is requirements[0].allowed


def test_details_of_a_step_up_name_the_claim_and_never_its_value() -> None:
    policy = compiled({"/a": STEP})
    assert decide(policy, caller()).detail == "missing_claim:acr"
    assert decide(policy, caller(acr=["x"])).detail == "bad_claim:acr"
    assert decide(policy, caller(acr="x")).detail == ""
    assert decide(policy, caller(acr="urn:mfa")).detail == "missing_claim:auth_time"
    assert decide(policy, caller(acr="urn:mfa", auth_time="x")).detail == "bad_claim:auth_time"
    assert decide(policy, caller(acr="urn:mfa", auth_time=0)).detail == ""
    assert decide(compiled({"/a": {"not": STEP}}), caller()).detail == "missing_claim:acr"


# What a challenge asks for


@pytest.mark.parametrize(
    ("requirement", "who", "scopes"),
    [
        ({"scopes": ["a"], "all": [{"scopes": ["b"]}]}, caller(scopes="a"), ("a", "b")),
        # Of alternatives the nearest, and none that would exclude
        ({"scopes": ["a"], "any": [{"scopes": ["b", "c"]}, {"scopes": ["d"]}]}, caller(), "ad"),
        ({"scopes": ["a"], "not": {"scopes": ["b"]}}, caller(), ("a",)),
        # What another alternative rests on must stay
        ({"scopes": ["a"], "any": [["editor"], {"scopes": ["b"]}]}, caller(scopes="b"), "ab"),
        ({"scopes": ["a"], "any": [{"scopes": ["b"]}, ["viewer"]]}, caller("viewer"), "a"),
    ],
)
def test_the_scopes_that_one_new_token_needs(requirement, who, scopes) -> None:
    decision = decide(compiled({"/a": requirement}), who)
    assert decision.reason == "scope_missing"
    assert sorted(decision.scopes) == sorted(scopes)
    assert set(decision.missing) == set(scopes) - who.scopes


@pytest.mark.parametrize(
    ("requirement", "who", "acr", "max_age"),
    [
        (STEP, caller(auth_time=NOW), ("urn:mfa",), 300),
        (STEP, caller(acr="urn:mfa"), ("urn:mfa",), 300),  # the level is kept
        ({"acr": ["b", "a"]}, caller(acr="c"), ("b", "a"), None),
        ({"max_age": 0}, caller(), (), 0),
        ({"max_age": 9, "all": [{"max_age": 5}]}, caller(auth_time=NOW - 7), (), 5),
        (
            {"acr": ["a", "b"], "all": [{"acr": ["b", "c"]}]},
            caller(acr="a"),
            ("b", "c"),  # the list that is not met
            None,
        ),
        ({"any": [["editor"], {"acr": ["a"]}]}, caller(acr="b"), ("a",), None),
    ],
)
def test_u06_what_a_step_up_asks_for(requirement, who, acr, max_age) -> None:
    decision = decide(compiled({"/a": requirement}), who)
    assert decision.reason in ("acr_not_met", "authentication_too_old")
    assert (decision.acr_values, decision.max_age) == (acr, max_age)
    assert decision.scopes == ()


def test_over_several_readings_the_earliest_stage_answers() -> None:
    policy = compiled({"/a": {"scopes": ["s"], **STEP}, "/p/a": {"scopes": ["t"], "max_age": 60}})
    requirements = policy.find("GET", ("/a", "/p/a"))
    assert requirements is not None

    def refused(who: Principal) -> Decision:
        return policy.decide(requirements, who, NOW)

    assert refused(caller(scopes="s")).scopes == ("s", "t")
    stepped = refused(caller(scopes="s t", **LOGGED_IN | {"auth_time": NOW - 200}))
    assert stepped.rule is requirements[1].ref
    assert (stepped.acr_values, stepped.max_age) == (("urn:mfa",), 60)
    assert refused(caller(scopes="s t", **LOGGED_IN)).allowed


# Forbids

FORBIDS = {
    "all": {"path": "/all"},
    "banned": {"path": "/a", "roles": ["banned"]},
    "partner": {"path": "/a", "issuers": ["https://y"], "roles": ["viewer"]},
}


@pytest.mark.parametrize(
    ("who", "reason", "key", "nearest"),
    [
        (caller("viewer"), "allowed", "/a", ""),
        (
            caller("banned"),
            "forbidden_to_caller",
            "forbid.banned",
            "forbidden to the role `banned`",
        ),
        (caller(), "role_missing", "/a", "needs the role `viewer`; has none"),
    ],
)
def test_a_forbid_comes_before_what_the_rule_requires(who, reason, key, nearest) -> None:
    decision = decide(compiled({"/a": ["viewer"]}, forbid=FORBIDS), who)
    assert (decision.reason, str(decision.rule and decision.rule.key)) == (reason, key)
    assert decision.nearest_miss == nearest


def test_all_that_a_forbid_names_must_be_so() -> None:
    policy = compiled({"/a": "authenticated"}, forbid={"partner": FORBIDS["partner"]})
    requirements = policy.find("GET", ("/a",))
    assert requirements is not None
    for issuer in ISSUERS:
        for roles in ((), ("viewer",)):
            who = Principal(subject="a", issuer=issuer, roles=frozenset(roles), expires_at=0)
            allowed = policy.decide(requirements, who, NOW).allowed
            assert allowed == (issuer == "https://x" or not roles)


def test_a_forbid_for_everybody() -> None:
    policy = compiled({"/all": "public"}, forbid=FORBIDS)
    requirements = policy.find("GET", ("/all",))
    assert requirements is not None
    refused = policy.forbidden(requirements, NOW)
    assert refused is not None
    assert (refused.reason, refused.nearest_miss) == ("forbidden", "forbidden to everybody")
    assert policy.anonymous(requirements, NOW) == refused
    # Also if nobody had asked before.
    assert policy.decide(requirements, caller("editor"), NOW) == refused
    other = policy.find("GET", ("/a",))
    assert other is not None
    assert policy.forbidden(other, NOW) is None


def test_an_anonymous_caller_has_no_roles_to_be_forbidden_for() -> None:
    policy = compiled({"/a": "public"}, forbid=FORBIDS)
    requirements = policy.find("GET", ("/a",))
    assert requirements is not None
    assert policy.anonymous(requirements, NOW).allowed
    assert not policy.decide(requirements, caller("banned"), NOW).allowed


# Conditions


def ruled(kind: Any, need: Need | None) -> tuple[Requirement, ...]:
    return (Requirement(kind, RuleRef("/a", "x:1:1"), need),)


@pytest.mark.parametrize(
    ("result", "reason", "detail"),
    [
        (True, "allowed", ""),
        (False, "condition_not_met", ""),
        (ConditionFailed("missing: resource.owner"), "condition_error", "missing: resource.owner"),
        (ValueError("of a secret"), "condition_error", "ValueError"),
    ],
)
def test_an_error_of_a_condition_is_no_access_and_holds_in_a_forbid(result, reason, detail) -> None:
    policy = compiled({})
    requirements = ruled("table", When(Says(result, "resource.owner == subject.id")))
    decision = policy.decide(requirements, caller(), NOW)
    assert (decision.reason, decision.detail) == (reason, detail)
    if not decision.allowed:
        said = f"; {detail}" if detail else ""
        assert decision.nearest_miss == f"needs the condition `resource.owner == subject.id`{said}"
    assert not policy.decide(ruled("table", Not(When(Says(ValueError())))), caller(), NOW).allowed
    forbidding = (*ruled("authenticated", None), *ruled("forbid", When(Says(result))))
    decision = policy.decide(forbidding, caller(), NOW)
    assert decision.allowed == (result is False)
    if not decision.allowed:
        assert (decision.reason, decision.detail) == ("forbidden_to_caller", detail)


@pytest.mark.parametrize("reads_caller", [True, False])
@pytest.mark.parametrize("result", [True, False, ConditionFailed("x")])
def test_a_forbid_with_a_condition_on_a_public_route(result, reads_caller) -> None:
    policy = compiled({}, forbid={"f": {"path": "/nowhere"}})
    need = When(Says(result, reads_caller=reads_caller))
    requirements = (*ruled("public", None), *ruled("forbid", need))
    first = policy.forbidden(requirements, NOW)
    assert (first is not None) == (not reads_caller and result is not False)
    decision = policy.anonymous(requirements, NOW)
    assert decision.allowed == (result is False)
    if not decision.allowed:
        assert decision.reason == "forbidden"  # nobody is told that another token would help


def test_conditions_come_after_issuers_and_before_scopes() -> None:
    policy = compiled({"/a": {"issuers": ["https://y"]}, "/b": {"scopes": ["s"]}})
    needs = {}
    for path in ("/a", "/b"):
        (requirement,) = policy.find("GET", (path,)) or ()
        assert requirement.need is not None
        needs[path] = requirement.need
    when = When(Says(False))
    for path, reason in (("/a", "issuer_not_accepted"), ("/b", "condition_not_met")):
        requirements = ruled("table", All((when, needs[path])))
        assert policy.decide(requirements, caller(), NOW).reason == reason
    nearest = ruled("table", OneOf((when, needs["/b"])))
    assert policy.decide(nearest, caller(), NOW).reason == "scope_missing"


def test_a_condition_that_changes_its_mind_lets_nobody_in() -> None:
    answers = iter((False, True, True))
    policy = compiled({})
    requirements = ruled("table", When(Says(lambda _: next(answers))))
    decision = policy.decide(requirements, caller(), NOW)
    assert (decision.allowed, decision.reason, decision.detail) == (
        False,
        "condition_error",
        "unsteady",
    )


@pytest.mark.parametrize("kind", ["deny", "table", "forbid"])
def test_what_has_no_need_lets_nobody_in(kind) -> None:
    (requirement,) = ruled(kind, None)
    assert not requirement.met(Asked(caller(), NOW))
    assert not requirement.at_once(caller())


def test_nobody_is_no_caller() -> None:
    for kind, met in (("public", True), ("authenticated", False), ("deny", False)):
        (requirement,) = ruled(kind, None)
        assert requirement.met(Asked(None, NOW)) == met
    (requirement,) = ruled("table", Not(When(Says(False))))
    assert not requirement.met(Asked(None, NOW))  # every table needs a valid caller


# For people

EXPLAINED = """\
refused, scope_missing by /a (routes."/a"): needs the scope `b`; has none
table /a (routes."/a"): not met
  not met: (the role `viewer` and (the scopes `a`, `c` or the scope `b`) and not the role `banned`)
    met: the role `viewer`; has viewer
    not met: (the scopes `a`, `c` or the scope `b`)
      not met: the scopes `a`, `c`; has none
      not met: the scope `b`; has none
    met: not the role `banned`
      not met: the role `banned`; has viewer
forbid forbid.f (forbid.f): met
  not met: the role `banned`; has viewer"""


def test_an_explanation_reads_like_a_tree() -> None:
    policy = compiled(
        {
            "/a": {
                "roles": ["viewer"],
                "any": [{"scopes": ["a", "c"]}, {"scopes": ["b"]}],
                "not": ["banned"],
            }
        },
        forbid={"f": {"roles": ["banned"]}},
    )
    requirements = policy.find("GET", ("/a",))
    assert requirements is not None
    assert explain(requirements, Asked(caller("viewer"), NOW)).explanation == EXPLAINED


@pytest.mark.parametrize(
    ("path", "method", "who", "head"),
    [
        ("/pub", "GET", None, "allowed by /pub"),
        ("/me", "GET", None, "refused, no_credentials by GET /me"),
        ("/me", "GET", caller(), "allowed by GET /me"),
        ("/me", "PUT", caller(), "refused, method_not_listed by GET /me"),
        ("/me", "PUT", None, "refused, no_credentials by GET /me"),
        ("/nowhere", "GET", caller(), "refused, no_rule by default"),
        ("/nowhere", "GET", None, "refused, no_credentials by default"),
        ("/table", "GET", None, "refused, no_credentials by /table"),
        ("/off", "GET", None, "refused, forbidden by forbid.off"),
        ("/off", "GET", caller(), "refused, forbidden by forbid.off"),
        # A forbid that looks at the caller does not come before the question who calls.
        ("/table", "DELETE", None, "refused, no_credentials by /table"),
        ("/table", "DELETE", caller("viewer"), "refused, forbidden_to_caller by forbid.banned"),
    ],
)
def test_every_denial_is_explained(path, method, who, head) -> None:
    policy = compiled(
        {"/pub": "public", "GET /me": "authenticated", "/table": ["viewer"], "/off": "public"},
        forbid={
            "off": {"path": "/off"},
            "banned": {"methods": ["DELETE"], "roles": ["viewer"]},
        },
    )
    requirements = policy.find(method, (path,))
    assert requirements is not None
    explained = explain(requirements, Asked(who, NOW))
    assert explained.explanation.startswith(head)
    assert bool(explained.nearest_miss) != explained.allowed


def test_errors_are_told_apart() -> None:
    explained = explain(ruled("table", When(Says(ConditionFailed("x"), "c"))), Asked(caller(), NOW))
    assert [rule.outcome for rule in explained.findings] == ["error"]
    assert explained.explanation.splitlines()[1:] == [
        "table /a (x:1:1): error",
        "  error: the condition `c`",
    ]
    forbidding = ruled("forbid", When(Says(ConditionFailed("x"), "c")))
    assert explain(forbidding, Asked(caller(), NOW)).findings[0].outcome == "error"


SECRET = "top-secret"


def test_no_claim_but_the_sets_and_the_issuer_is_ever_told() -> None:
    claims = dict.fromkeys(("acr", "auth_time", "email", "jti", "sub"), SECRET)
    policy = compiled(
        {"/a": {"any": [["editor"], STEP, {"permissions": ["p"]}, {"issuers": ["https://y"]}]}},
        forbid={"f": {"roles": ["banned"]}},
    )
    requirements = policy.find("GET", ("/a",))
    assert requirements is not None
    explained = explain(requirements, Asked(caller("viewer", scopes="s", **claims), NOW))
    assert SECRET not in explained.explanation + repr(explained.findings)


def test_a_thousand_roles_are_not_listed() -> None:
    assert named(()) == "none"
    assert named({"b", "a"}) == "a, b"
    assert named(f"r{n:04}" for n in range(1000)).endswith("r0009 and 990 more")
    assert named(["x" * 200]) == "x" * 100 + "…"


def test_a_name_forges_no_line() -> None:
    assert named(["a\nallowed by x", "é"]) == "a\\nallowed by x, é"
    assert named(["\x1b[2J", "\u202e"]) == "\\x1b[2J, \\u202e"


@given(st.lists(st.sampled_from((True, False, None)), min_size=1, max_size=4), st.booleans())
def test_what_is_explained_is_what_is_decided(values, forbidden) -> None:
    parts = tuple(map(Says.need, values))
    for need in (All(parts), OneOf(parts), Not(All(parts)), Not(OneOf(parts))):
        (requirement,) = ruled("forbid" if forbidden else "table", need)
        asked = Asked(caller(), NOW)
        explained = explain((requirement,), asked)
        assert explained.allowed == requirement.met(asked)
        (rule,) = explained.findings
        assert (rule.outcome == "met") == requirement.met(asked)
        assert rule.finding is not None
        value = need.value(asked)
        assert rule.finding.outcome == {True: "met", False: "not met", None: "error"}[value]
