"""The runner of `[[tests]]`: what passes, what fails, what decides nothing."""

from __future__ import annotations

import pytest

from authz_middleware import Authz, PolicyError
from authz_middleware.policy.cases import EVERY_METHOD
from authz_middleware.testing import DevelopmentIssuer, FrozenClock, run_policy_tests

ISSUER = DevelopmentIssuer("https://login.example", "orders")

ROUTES = {
    "GET /health": "public",
    "GET /me": "authenticated",
    "GET /articles/<int:id>": ["viewer"],
    "PUT /articles/<int:id>": {"permissions": ["article:write"]},
    "POST /pay": {"scopes": ["pay"]},
    "/admin/**": ["admin"],
    "WS /feed": ["viewer"],
    "/closed": "deny",
}


def policy(*tests, **other) -> dict:
    return {
        "issuers": [ISSUER.policy_issuer()],
        "roles": {
            "viewer": [],
            "editor": {"inherits": ["viewer"], "permissions": ["article:*"]},
            "admin": {"inherits": ["editor"]},
        },
        "routes": ROUTES,
        "tests": list(tests),
        **other,
    }


def run(caller, **expected):
    return run_policy_tests(policy({"as": caller, **expected}))


VIEWER = {"subject": "vera", "roles": ["viewer"]}
EDITOR = {"subject": "eddy", "roles": ["editor"]}
PAYER = {"subject": "pay", "scopes": ["pay"]}
NOBODY = {"subject": "nobody"}
WRITER = {"subject": "w", "permissions": ["article:write"]}


@pytest.mark.parametrize(
    ("caller", "request_line", "allowed", "reason"),
    [
        ("anonymous", "GET /health", True, "allowed"),
        ("anonymous", "HEAD /health", True, "allowed"),
        ("anonymous", "POST /health", False, "no_credentials"),
        ("anonymous", "GET /me", False, "no_credentials"),
        ("anonymous", "GET /articles/1", False, "no_credentials"),
        ("anonymous", "GET /closed", False, "no_credentials"),
        ("anonymous", "GET /nowhere", False, "no_credentials"),
        (NOBODY, "GET /health", True, "allowed"),
        (NOBODY, "GET /me", True, "allowed"),
        (NOBODY, "GET /articles/1", False, "role_missing"),
        (NOBODY, "GET /nowhere", False, "no_rule"),
        (VIEWER, "GET /articles/1", True, "allowed"),
        (VIEWER, "GET /articles/1/", True, "allowed"),
        (VIEWER, "WS /feed", True, "allowed"),
        (VIEWER, "GET /feed", False, "method_not_listed"),
        (VIEWER, "PUT /articles/1", False, "permission_missing"),
        (VIEWER, "GET /closed", False, "denied_by_rule"),
        (EDITOR, "GET /articles/1", True, "allowed"),
        (EDITOR, "PUT /articles/1", True, "allowed"),
        (EDITOR, "DELETE /articles/1", False, "method_not_listed"),
        (EDITOR, "GET /admin", False, "role_missing"),
        (WRITER, "PUT /articles/1", True, "allowed"),
        (NOBODY, "POST /pay", False, "scope_missing"),
        (PAYER, "POST /pay", True, "allowed"),
    ],
)
def test_each_request_is_decided_by_the_policy(caller, request_line, allowed, reason):
    right, wrong = ("allow", "deny") if allowed else ("deny", "allow")
    [passed] = run(caller, **{right: [request_line]}).results
    [failed] = run(caller, **{wrong: [request_line]}).results
    assert (passed.outcome, failed.outcome) == ("PASS", "FAIL")
    assert passed.decision == failed.decision
    assert (passed.decision.allowed, passed.decision.reason) == (allowed, reason)
    assert (passed.expected, failed.expected) == (right, wrong)


@pytest.mark.parametrize("expected", ["allow", "deny"])
@pytest.mark.parametrize("caller", ["anonymous", VIEWER])
def test_an_ambiguous_request_is_in_error_whatever_is_expected(caller, expected):
    report = run(caller, **{expected: ["GET /articles/+1"]})
    [result] = report.results
    assert (result.outcome, result.decision.reason) == ("ERROR", "path_ambiguous")
    assert not report.ok


def test_a_denied_path_without_a_method_is_asked_with_every_one():
    report = run(NOBODY, deny=["/admin/users"])
    assert [result.request for result in report.results] == [
        f"{method} /admin/users" for method in EVERY_METHOD
    ]
    assert report.ok


def test_what_is_forbidden_is_denied():
    report = run_policy_tests(
        policy(
            {"as": "anonymous", "deny": ["GET /health"], "allow": ["GET /open"]},
            {"as": VIEWER, "deny": ["GET /health", "GET /open", "GET /Articles/1"]},
            {"as": EDITOR, "deny": ["GET /articles/1"], "allow": ["WS /feed"]},
            routes={**ROUTES, "GET /open": "public"},
            forbid={
                "closed": {"path": "/health"},
                "viewers": {"path": "/open", "roles": ["viewer"]},
                "frozen": {"path": "/articles/**"},
            },
        )
    )
    assert report.ok, str(report)
    assert [result.decision.reason for result in report.results] == [
        "allowed",
        "forbidden",
        "forbidden",
        "forbidden_to_caller",
        "forbidden",
        "allowed",
        "forbidden",
    ]


def test_a_step_up_has_the_time_of_the_authz():
    clock = FrozenClock(1_800_000_000)
    stepped = {"GET /pay": {"acr": ["urn:mfa"], "max_age": 300}}
    claims = {"acr": "urn:mfa", "auth_time": 1_799_999_900}
    mapping = policy(
        {"as": {"claims": claims}, "allow": ["GET /pay"]},
        {"as": {"claims": {"acr": "urn:mfa"}}, "deny": ["GET /pay"]},
        routes=stepped,
    )
    assert run_policy_tests(Authz.from_mapping(mapping, clock=clock)).ok
    clock.advance(500)
    report = run_policy_tests(Authz.from_mapping(mapping, clock=clock))
    assert [result.outcome for result in report.results] == ["FAIL", "PASS"]
    assert "(needs an authentication in the last 300 seconds)" in str(report)


def test_a_default_of_authenticated_is_no_default_of_public():
    report = run_policy_tests(
        policy(
            {"as": "anonymous", "deny": ["GET /nowhere"]},
            {"as": NOBODY, "allow": ["GET /nowhere"]},
            default="authenticated",
        )
    )
    assert report.ok


def test_the_report_lists_what_did_not_pass():
    report = run_policy_tests(
        policy(
            {"as": VIEWER, "allow": ["GET /me", "PUT /articles/1"], "deny": ["GET /health"]},
            {"as": {**NOBODY, "scopes": ["b", "a"]}, "allow": ["GET /articles/1_0"]},
            {"as": "anonymous", "allow": ["GET /me"]},
        )
    )
    assert not report.ok
    lines = str(report).splitlines()
    assert [line.split()[0] for line in lines[:-1]] == ["FAIL", "FAIL", "ERROR", "FAIL"]
    assert "PUT /articles/1 as vera (roles viewer): expected allow, refused," in lines[0]
    assert "permission_missing (needs the permission `article:write`; has none) by PUT" in lines[0]
    assert "GET /health as vera (roles viewer): expected deny, allowed by GET /health" in lines[1]
    assert lines[2].endswith("as nobody (scopes a, b): expected allow, refused, path_ambiguous")
    assert "GET /me as anonymous: expected allow, refused, no_credentials (needs a v" in lines[3]
    assert lines[-1] == "5 requests: 1 passed, 3 failed, 1 in error"


def test_a_report_of_one():
    assert str(run(VIEWER, allow=["GET /me"])) == "1 request: 1 passed, 0 failed, 0 in error"


def test_a_policy_without_tests_is_ok():
    report = run_policy_tests(policy())
    assert report.ok
    assert str(report) == "0 requests: 0 passed, 0 failed, 0 in error"


def test_it_takes_a_file_or_a_compiled_policy(tmp_path):
    path = tmp_path / "authz.toml"
    path.write_text(
        """
[[issuers]]
issuer = "https://login.example"
audience = ["orders"]

[routes]
"GET /health" = "public"

[[tests]]
as = "anonymous"
allow = [
    "GET /health",
    "POST /health",
]
"""
    )
    report = run_policy_tests(path)
    assert [result.outcome for result in report.results] == ["PASS", "FAIL"]
    assert [result.where[-16:] for result in report.results] == [
        "/authz.toml:12:5",
        "/authz.toml:13:5",
    ]
    assert run_policy_tests(str(path)) == report
    assert run_policy_tests(Authz.from_file(path)) == report


def test_a_bad_policy_is_not_run():
    with pytest.raises(PolicyError):
        run_policy_tests(policy({"as": VIEWER, "allow": ["no path"]}))


def test_what_was_asked_for_and_what_each_rule_found():
    (result,) = run(VIEWER, allow=["PUT /articles/1"]).results
    assert result.got.startswith(
        "refused, permission_missing (needs the permission `article:write`"
    )
    assert result.explanation.splitlines()[0].startswith("table PUT /articles/<int:id> (")
    assert "not met: the permission `article:write`; has none" in result.explanation
    assert run(VIEWER, allow=["GET /articles/1"]).results[0].explanation == ""


def test_what_no_test_touches():
    report = run_policy_tests(
        policy(
            {"as": VIEWER, "allow": ["GET /articles/1"], "deny": ["GET /nowhere", "GET /deploy/x"]},
            routes={"GET /articles/<int:id>": ["viewer"], "GET /me": "authenticated"},
            forbid={
                "freeze": {"path": "/deploy/**"},
                "robots": {"path": "/me", "roles": ["admin"]},
            },
        )
    )
    assert report.ok
    assert [rule.key for rule in report.untouched] == ["GET /me", "forbid.robots"]
    assert report.rules == 4
    assert report.counts == {"PASS": 3, "FAIL": 0, "ERROR": 0}


def test_what_no_test_would_miss():
    tests = [
        {"as": EDITOR, "allow": ["PUT /a"], "deny": ["DELETE /a", "GET /deploy"]},
        {"as": VIEWER, "deny": ["PUT /a", "PUT /n/+1"]},
    ]
    mapping = policy(
        *tests,
        routes={
            "PUT /a": {"roles": ["editor"], "not": ["admin"]},
            "DELETE /a": ["admin"],
            "GET /deploy": "deny",
            "GET /untouched": ["viewer"],
            "/n/<int:id>": ["viewer"],
        },
        forbid={"freeze": {"path": "/deploy"}},
    )
    report = run_policy_tests(mapping, mutate=True)
    assert [(rule.key, dropped) for rule, dropped in report.unnoticed] == [
        ("PUT /a", "not the role `admin`"),
        ("GET /deploy", "`deny`"),  # the entry of [forbid] holds it
        ("forbid.freeze", "all of it"),  # and the other way round
    ]
    assert run_policy_tests(mapping).unnoticed == ()


def test_files_of_tests(tmp_path):
    mapping = policy({"as": VIEWER, "allow": ["GET /articles/1"]})
    good, bad = tmp_path / "more.toml", tmp_path / "bad.toml"
    good.write_text('[[tests]]\nas = "anonymous"\nallow = ["/health", "/me"]\n')
    report = run_policy_tests(mapping, tests=[good])
    assert [result.outcome for result in report.results] == ["PASS", "PASS", "FAIL"]
    assert report.results[2].where == f"{good}:3:21"
    bad.write_text('routes = {}\n[[tests]]\nas = { roles = ["editr"] }\nallow = ["GET /health"]\n')
    with pytest.raises(PolicyError) as caught:
        run_policy_tests(mapping, tests=[good, bad])
    assert [problem.where for problem in caught.value.problems] == [f"{bad}:1:1", f"{bad}:3:8"]


def test_a_role_that_no_token_can_bring_is_a_mistake_in_a_file_of_tests_too(tmp_path):
    issuer = {**ISSUER.policy_issuer(), "grants": ["editor"]}
    file = tmp_path / "more.toml"
    file.write_text('[[tests]]\nas = { roles = ["admin"] }\nallow = ["GET /health"]\n')
    with pytest.raises(PolicyError, match="can bring role `admin`"):
        run_policy_tests(policy(issuers=[issuer]), tests=[file])


OWNER = "resource.owner == subject.id"
EDITING = {"any": [["admin"], {"load": {"name": "article", "missing": 404}, "when": OWNER}]}


@pytest.mark.parametrize(
    ("caller", "resource", "reason", "outcome"),
    [
        ({"subject": "ann"}, {"owner": "ann"}, "allowed", "PASS"),
        ({"subject": "ann"}, {"owner": "bob"}, "condition_not_met", "FAIL"),
        ({"subject": "ann"}, {}, "condition_error", "FAIL"),
        ({"subject": "ann"}, "missing", "resource_not_found", "FAIL"),
        ({"subject": "ann"}, None, "resource_unavailable", "ERROR"),
        ({"subject": "ann", "roles": ["admin"]}, None, "allowed", "PASS"),
    ],
)
def test_what_loaders_find_is_said_by_the_test(caller, resource, reason, outcome):
    case = {"as": caller, "allow": ["PUT /edited/1"]}
    if resource is not None:
        case["resource"] = resource
    mapping = policy(case)
    mapping["routes"] = mapping["routes"] | {"PUT /edited/<int:id>": EDITING}
    [result] = run_policy_tests(mapping).results
    assert (result.decision.reason, result.outcome) == (reason, outcome)


@pytest.mark.parametrize(
    ("pdp", "mode", "reason", "allow", "deny"),
    [
        ({"orders": True}, "unavailable", "allowed", "PASS", "FAIL"),
        ({"orders": False}, "unavailable", "pdp_denied", "FAIL", "PASS"),
        ({"orders": "unavailable"}, "unavailable", "pdp_unavailable", "FAIL", "PASS"),
        ({"orders": "unavailable"}, "deny", "pdp_failed", "FAIL", "PASS"),
        ({}, "unavailable", "pdp_unavailable", "ERROR", "ERROR"),
        ({}, "deny", "pdp_unavailable", "ERROR", "ERROR"),
        ({"more": True}, "unavailable", "pdp_unavailable", "ERROR", "ERROR"),
    ],
)
def test_what_decision_points_say_is_said_by_the_test(pdp, mode, reason, allow, deny):
    who = {"subject": "ann"}
    mapping = policy(
        {"as": who, "pdp": pdp, "allow": ["/orders/1"]},
        {"as": who, "pdp": pdp, "deny": ["GET /orders/1"]},
        {"as": {**who, "roles": ["admin"]}, "allow": ["/orders/1"]},
    )
    one = {"url": "https://pdp.example.com", "on_failure": mode}
    mapping["pdp"] = {"orders": one, "more": one}
    rule = {"any": [["admin"], {"pdp": "orders"}]}
    mapping["routes"] = mapping["routes"] | {"GET /orders/<int:id>": rule}
    allowed, denied, unasked = run_policy_tests(mapping).results
    assert (allowed.decision.reason, allowed.outcome, denied.outcome) == (reason, allow, deny)
    assert unasked.outcome == "PASS"
    if "orders" in pdp and allow == "FAIL":
        assert "decision point `orders`; has no" in allowed.explanation


def test_a_file_of_tests_may_say_what_decision_points_say(tmp_path):
    mapping = policy()
    mapping["pdp"] = {"orders": {"url": "https://pdp.example.com"}}
    mapping["routes"] = mapping["routes"] | {"GET /orders/<int:id>": {"pdp": "orders"}}
    file = tmp_path / "more.toml"
    file.write_text('[[tests]]\nas = {}\npdp = { orders = true }\nallow = ["GET /orders/7"]\n')
    assert [each.outcome for each in run_policy_tests(mapping, tests=[file]).results] == ["PASS"]
    file.write_text('[[tests]]\nas = {}\npdp = { order = true }\nallow = ["GET /orders/7"]\n')
    with pytest.raises(PolicyError, match="no decision point is called `order`; known: `orders`"):
        run_policy_tests(mapping, tests=[file])


def test_what_lets_in_by_the_clients_word_is_named() -> None:
    issuer = {"issuer": "https://login.example.com", "audience": ["x"]}
    rule = {"when": "'x-plan' in context.headers"}
    report = run_policy_tests({"issuers": [issuer], "routes": {"GET /a": rule, "/b": ["v"]}})
    assert [ref.key for ref in report.by_client] == ["GET /a"]
    said = "lets in by header fields or the query, which the client chooses"
    assert str(report).splitlines()[-1] == f'NOTE   GET /a (routes."GET /a") {said}'
