"""`when` in `[routes]` and `[forbid]`: what is refused at load, and what decides a request."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from authz_middleware.document import Document
from authz_middleware.errors import PolicyError
from authz_middleware.facts import Claims, ContextReads, Decision, Principal
from authz_middleware.policy.binding import bind
from authz_middleware.policy.canonical import readings
from authz_middleware.policy.conditions import UNREADABLE
from authz_middleware.policy.explain import explain
from authz_middleware.policy.model import Policy, Requirement
from authz_middleware.policy.needs import Asked
from authz_middleware.policy.routes import Route, RouteTable
from authz_middleware.policy.template import parse
from authz_middleware.policy.words import who
from authz_middleware.runtime import settings

ISSUER = "https://login.example.com"
NOW = datetime(2026, 3, 2, 12, 30, tzinfo=UTC).timestamp()  # a Monday

HEAD = f"""
[[issuers]]
issuer = "{ISSUER}"
audience = ["orders"]
"""
SEVERAL = f"""
[[issuers]]
issuer = "{ISSUER}"
audience = ["orders"]
grants = ["*"]
[[issuers]]
issuer = "https://partner.example.net"
audience = ["orders"]
grants = ["*"]
"""


@pytest.fixture
def load(tmp_path, monkeypatch) -> Callable[[str], Policy]:
    monkeypatch.chdir(tmp_path)

    def load(text: str) -> Policy:
        (tmp_path / "authz.toml").write_text(text, "utf-8")
        return settings.load(Document.read("authz.toml")).policy

    return load


def rule(when: str, *, more: str = "", key: str = "GET /t/<tenant>/<int:id>") -> str:
    return f"[routes]\n\"{key}\" = {{ {more}when = '{when}' }}\n"


PATTERNS = """
[roles]
chief = { inherits = ["ops"] }
ops = ["deploy:*"]
clerk = ["order:read"]
"""

# name: (text, what stands where the mistake is, part of what, part of the fix)
REFUSED = {
    "a name": (
        rule("subject.rolls == []"),
        "rolls",
        "`subject` has no attribute `rolls`",
        "did you mean `roles`?",
    ),
    "a parameter": (
        rule("resource.params.tenat == subject.id"),
        "tenat ",
        "the path has no parameter `tenat`",
        "did you mean `tenant`?",
    ),
    "the kind of a parameter": (
        rule('resource.params.id == "7"'),
        "==",
        "a whole number and a text are never equal",
        "",
    ),
    "constant": (rule("subject.authenticated || true"), "true'", "always the same", ""),
    "inside any": (
        "[routes]\n'/a' = { any = [['v'], { when = 'subject.rolls == []' }] }\n",
        "rolls",
        "no attribute `rolls`",
        "",
    ),
    "inside not": (
        "[routes]\n'/a' = { not = { when = 'subject.idd == 1' } }\n",
        "idd",
        "no attribute `idd`",
        "",
    ),
    "no text": ("[routes]\n'/a' = { when = true }\n", "when", "`when` must be a string", "when ="),
    "empty": ("[routes]\n'/a' = { when = '' }\n", "when", "`when` is empty", ""),
    "of a forbid": (
        "[forbid]\nf = { path = '/x/<int:id>', when = 'resource.params.ID == 1' }\n",
        "ID",
        "the path has no parameter `ID`",
        "`id`",
    ),
    "of a forbid without a path": (
        "[forbid]\nf = { when = 'resource.params.id == 1' }\n",
        "id ==",
        "the path has no parameter `id`",
        "",
    ),
    "attributes that nothing loads": (
        rule('resource.owner == "x"'),
        "resource",
        "no `load` says where attributes of the resource are from",
        "write `load",
    ),
    "attributes in a forbid": (
        "[forbid]\nf = { when = 'resource.owner == \"x\"' }\n",
        "resource",
        "what is forbidden hangs on no loader",
        "read `resource.params`",
    ),
    "properties of an action in a rule": (
        rule("action.properties.soft"),
        "action.properties",
        "a request has a method, and no properties of its action",
        "`[permissions]`",
    ),
    "properties of an action in a forbid": (
        "[forbid]\nf = { when = 'action.name == \"PUT\" && action.properties.soft' }\n",
        "action.properties",
        "a request has a method, and no properties of its action",
        "`[permissions]`",
    ),
    # What needs more of the policy
    "an address": (
        rule('subject.authenticated && context.ip == "x"'),
        "context",
        "`context.ip` needs `trusted_proxies`",
        "`trusted_proxies = []`",
    ),
    "a scheme": (
        "hosts = ['a']\n" + rule('context.scheme == "https"'),
        "context",
        "`context.scheme` needs `trusted_proxies`",
        "",
    ),
    "a host": (
        "trusted_proxies = []\n" + rule('context.host == "a"'),
        "context",
        "`context.host` needs `hosts`",
        'hosts = ["api.example.com"]',
    ),
    # Patterns of roles
    **{
        f"{condition} with a pattern": (
            rule(condition) + PATTERNS,
            "subject.permissions",
            "does not tell what the pattern `deploy:*` of role `chief` brings",
            '`"a:b" in subject.permissions`',
        )
        for condition in (
            'subject.permissions.exists(p, p == "deploy:prod")',
            "resource.params.tenant in subject.permissions",
            'subject.permissions == ["deploy:prod"]',
        )
    },
    # Names that nobody has: in a forbid, or under `!`, they would let everybody pass
    **{
        f"{name} in {kind}, {where}": (
            text.replace("…", f'"{name}" in subject.{kind}') + PATTERNS,
            f'"{name}"',
            what,
            fix,
        )
        for where, text in (
            ("forbidden", "[forbid]\nf = { when = '…' }\n"),
            ("turned round", rule("!(…)")),
            ("of a permission", "[permissions]\n'deploy:prod' = { when = '…' }\n"),
        )
        for name, kind, what, fix in (
            ("cheif", "roles", "role `cheif` is not defined in [roles]", "did you mean `chief`?"),
            ("order:rid", "permissions", "nobody could ever have permission `order:rid`", ""),
            ("order:*", "permissions", "`order:*` is a pattern", "name the permission"),
        )
    },
    # Header fields
    **{
        f"the field {name}": (rule(f'context.headers["{name}"] == "x"'), f'"{name}"', what, fix)
        for name, what, fix in (
            ("X-A", "in lower case", '`context.headers["x-a"]`'),
            ("x_a", "no name of a header field", '`context.headers["x-a"]`'),
            ("x a", "no name of a header field", ""),
            ("authorization", "credentials are not for conditions", ""),
            ("proxy-authorization", "credentials are not for conditions", ""),
            ("cookie", "credentials are not for conditions", ""),
            ("x-forwarded-for", "everybody can write this field", "`context.ip`"),
            ("x-real-ip", "everybody can write this field", "`context.ip`"),
            ("forwarded", "everybody can write this field", "`context.ip`"),
            ("x-forwarded-proto", "everybody can write this field", "`context.scheme`"),
            ("host", "everybody can write this field", "`context.host`"),
        )
    },
    # Proxies and hosts
    **{
        f"{name} {value}": (f"{name} = [{value}]\n", name, what, fix)
        for name, value, what, fix in (
            ("trusted_proxies", '"10.0.0.1/8"', "bits outside of its mask", "zero"),
            ("trusted_proxies", '"proxy"', "`proxy` is no network", "an address or a network"),
            ("trusted_proxies", '"0.0.0.0/0"', "is everybody", ""),
            ("trusted_proxies", '"::/0"', "is everybody", ""),
            ("trusted_proxies", '"::ffff:10.0.0.0/104"', "for peers over IPv4", "IPv4 network"),
            ("hosts", "", "an empty `hosts` names none", ""),
            ("hosts", '"*.example.com"', "is no host name", "without scheme"),
            ("hosts", '"https://a"', "is no host name", ""),
            ("hosts", '"a:80"', "is no host name", ""),
            ("hosts", '"A"', "is no host name", "lower case"),
        )
    },
}


def place(text: str, of: str) -> str:
    before = text[: text.index(of)]
    return f"authz.toml:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


@pytest.mark.parametrize(("text", "at", "what", "fix"), REFUSED.values(), ids=REFUSED)
def test_refused(load, text, at, what, fix) -> None:
    with pytest.raises(PolicyError) as caught:
        load(text + HEAD)
    (problem,) = caught.value.problems
    assert problem.where == place(text, at), problem
    assert what in problem.what
    assert fix in problem.fix


MISTAKES = rule("subject.rolls == []") + "\"/b\" = { when = 'acton.name == subject.ID' }\n"


def test_every_mistake_is_reported_at_once(load) -> None:
    with pytest.raises(PolicyError) as caught:
        load(MISTAKES + HEAD)
    places = [problem.where for problem in caught.value.problems]
    assert places == [place(MISTAKES, at) for at in ("rolls", "acton", "ID'")]


BARE = "subject.id == resource.params.tenant"
WHO = "{ when = 'subject.id == \"x\"' }"
BOTH = f"issuers = ['{ISSUER}', 'https://partner.example.net']"
OURS = f"issuers = ['{ISSUER}']"


@pytest.mark.parametrize(
    ("text", "at"),
    [
        (rule(BARE), "subject"),
        (rule(f"subject.authenticated && {BARE}"), "subject.id"),
        (rule("subject.claims.sub == resource.params.tenant"), "subject"),
        (rule(f'{BARE} && subject.issuer == "{ISSUER}"'), None),
        (rule(BARE, more=f"{OURS}, "), None),
        (rule(BARE, more=f"{BOTH}, "), "subject"),
        (f"[routes]\n'/a' = {{ {BOTH}, all = [{{ {OURS}, {WHO[2:]}] }}\n", None),
        (f"[forbid]\nf = {{ {BOTH}, {WHO[2:]}\n", "subject"),
        (rule(BARE, more=f"all = [{{ {OURS} }}], "), "subject"),
        (f"[routes]\n'/a' = {{ {OURS}, not = {WHO} }}\n", None),
        (f"[routes]\n'/a' = {{ {OURS}, any = [['a'], {{ not = {WHO} }}] }}\n", None),
        (f"[routes]\n'/a' = {{ any = [{{ {OURS} }}, {WHO}] }}\n", "subject"),
        (f"[forbid]\nf = {WHO}\n", "subject"),
        (f"[forbid]\nf = {{ {OURS}, {WHO[2:]}\n", None),
        (rule("subject.claims.tenant == resource.params.tenant"), None),
    ],
)
def test_of_several_issuers_a_subject_alone_is_nobody(load, text, at) -> None:
    """RFC 8725 §3.8. One issuer has no namesakes."""
    if BOTH not in text:
        load(text + HEAD)
    if at is None:
        load(text + SEVERAL)
        return
    with pytest.raises(PolicyError) as caught:
        load(text + SEVERAL)
    (problem,) = caught.value.problems
    assert problem.where == place(text, at)
    assert problem.what == "subjects of several issuers may be equal"


def test_without_the_extra_it_is_named(load, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "cel", None)
    text = rule("subject.rolls == []") + "'/b' = { when = 'action.name == subject.id' }\n"
    with pytest.raises(PolicyError) as caught:
        load(text + HEAD)
    mistake, uninstalled = caught.value.problems
    assert mistake.where == place(text, "rolls")  # what can be told is told
    assert uninstalled.where == place(text, "when = 'action")
    assert uninstalled.what == "conditions need an evaluator that is not installed"
    assert uninstalled.fix == 'run `pip install "authz-middleware[conditions]"`'


# --- Requests ---


def ann(roles: str = "", **claims: Any) -> Principal:
    return Principal(
        subject="ann",
        issuer=ISSUER,
        roles=frozenset(roles.split()),
        claims=Claims.freeze(claims),
        expires_at=NOW,
    )


def found(policy: Policy, path: str) -> tuple[Requirement, ...]:
    requirements = policy.find("GET", (path,))
    assert requirements is not None
    return requirements


def decided(
    policy: Policy, request: str, who: Principal | None = None, root_path: str = "", **more: Any
) -> Decision:
    method, _, path = request.partition(" ")
    requirements = policy.find(method, readings(path, root_path), **more)
    if requirements is None:
        return Decision(False, "path_ambiguous")
    if forbidden := policy.forbidden(requirements, NOW):
        return forbidden
    if who is None:
        return policy.anonymous(requirements, NOW)
    return policy.decide(requirements, who, NOW)


POLICY = f"""
[routes]
"GET /t/<tenant>/orders"    = {{ when = "resource.params.tenant == subject.claims.tenant" }}
"/items/<int:id>"           = {{ when = "resource.params.id < 10" }}
"/price/<float:x>"          = {{ when = "resource.params.x < 1.5" }}
"/id/<uuid:u>"              = {{ when = 'resource.params.u.startsWith("0b6f")' }}
"/lang/<any(de,en):lang>"   = {{ when = 'resource.params.lang == "de"' }}
"/files/<path:rest>"        = {{ when = "resource.params.rest.startsWith(subject.claims.home)" }}
"GET|POST|WS /method"       = {{ when = 'action.name in ["GET", "WS"]' }}
"/morning"                  = {{ when = "context.time.getHours() < 12" }}
"/noon"                     = {{ when = "context.time.getHours() == 12" }}
"/not"                      = {{ not = {{ when = "subject.claims.level > 3" }} }}
"/any"                      = {{ any = [["admin"], {{ when = "subject.claims.level > 3" }}] }}
"/both"                     = {{ roles = ["admin"], when = "subject.claims.level > 3" }}
"GET /open/<name>"          = "public"

[forbid]
secret = {{ path = "/open/<name>", when = 'resource.params.name == "secret"' }}
number = {{ path = "/open/<int:n>", when = "resource.params.n == 7" }}
writes = {{ path = "/open/**", when = 'action.name != "GET"' }}
{HEAD}
"""

DECIDED = [
    ("GET /t/acme/orders", ann(tenant="acme"), "allowed"),
    ("HEAD /t/acme/orders", ann(tenant="acme"), "allowed"),
    ("GET /t/acme/orders/", ann(tenant="acme"), "allowed"),
    ("GET /t/other/orders", ann(tenant="acme"), "condition_not_met"),
    ("GET /t/ACME/orders", ann(tenant="acme"), "condition_not_met"),
    ("GET /t/acme/orders", ann(), "condition_error"),
    ("GET /t/acme/orders", ann(tenant=["acme"]), "condition_not_met"),
    ("GET /t/acme/orders", None, "no_credentials"),
    # What a reader makes of it who normalises must be right as well
    ("GET /t/\uff41cme/orders", ann(tenant="\uff41cme"), "condition_not_met"),
    ("GET /t/\uff41cme/orders", ann(tenant="acme"), "condition_not_met"),
    ("GET /items/7", ann(), "allowed"),
    ("GET /items/007", ann(), "allowed"),
    ("DELETE /items/10", ann(), "condition_not_met"),
    ("GET /items/99999999999999999999", ann(), "condition_error"),
    ("GET /items/+7", ann(), "path_ambiguous"),
    ("GET /price/1.25", ann(), "allowed"),
    ("GET /price/1.75", ann(), "condition_not_met"),
    ("GET /id/0b6f4c1e-8a3d-4f55-9c3e-7d2f6b1a9e00", ann(), "allowed"),
    ("GET /id/1b6f4c1e-8a3d-4f55-9c3e-7d2f6b1a9e00", ann(), "condition_not_met"),
    ("GET /lang/de", ann(), "allowed"),
    ("GET /lang/en", ann(), "condition_not_met"),
    ("GET /files/ann/a/b", ann(home="ann/"), "allowed"),
    ("GET /files", ann(home="ann/"), "condition_not_met"),
    ("GET /files/bob", ann(home="ann/"), "condition_not_met"),
    ("GET /method", ann(), "allowed"),
    ("HEAD /method", ann(), "allowed"),  # GET covers HEAD
    ("WS /method", ann(), "allowed"),
    ("POST /method", ann(), "condition_not_met"),
    ("GET /morning", ann(), "condition_not_met"),
    ("GET /noon", ann(), "allowed"),
    ("GET /not", ann(level=3), "allowed"),
    ("GET /not", ann(level=4), "excluded"),
    ("GET /not", ann(), "excluded"),  # what is missing never grants
    ("GET /not", ann(level=None), "excluded"),
    ("GET /any", ann(level=4), "allowed"),
    ("GET /any", ann("admin"), "allowed"),  # an error beside what is met does not matter
    ("GET /any", ann(), "condition_error"),
    ("GET /any", ann(level=3), "condition_not_met"),
    ("GET /both", ann("admin", level=4), "allowed"),
    ("GET /both", ann("admin", level=3), "condition_not_met"),
    ("GET /both", ann(level=4), "role_missing"),
    ("GET /open/a", None, "allowed"),
    ("HEAD /open/a", None, "allowed"),
    ("GET /open/secret", None, "forbidden"),
    ("GET /open/secret", ann(), "forbidden"),
    ("GET /open/SECRET", None, "allowed"),
    ("GET /open/\uff53ecret", None, "forbidden"),
    ("GET /OPEN/secret", ann(), "forbidden"),
    ("GET /open/7", None, "forbidden"),
    ("GET /open/8", None, "allowed"),
    ("GET /open/+8", None, "forbidden"),  # who knows what the app takes it for
    ("POST /open/a", ann(), "forbidden"),
    ("WS /open/a", ann(), "forbidden"),
]


@pytest.mark.parametrize(
    ("request_", "who", "reason"), DECIDED, ids=[f"{r}-{reason}" for r, _, reason in DECIDED]
)
def test_decided(load, request_, who, reason) -> None:
    assert decided(load(POLICY), request_, who).reason == reason


def test_a_query_never_poses_as_an_attribute(load) -> None:
    """Parameters stand under `resource.params` alone, whatever they are called."""
    policy = load('[routes]\n"/<owner>" = { when = "resource.params.owner == \'x\'" }\n' + HEAD)
    (requirement,) = found(policy, "/x")
    assert requirement.request is not None
    assert requirement.request.params == {"owner": "x"}
    with pytest.raises(PolicyError):
        load('[routes]\n"/<owner>" = { when = "resource.owner == \'x\'" }\n' + HEAD)


def test_every_reading_counts(load) -> None:
    """Behind a prefix that may or may not be cut off, the parameters of both must do."""
    policy = load(
        '[routes]\n"/<a>" = { when = \'resource.params.a == "x"\' }\n'
        "\"/<a>/<b>\" = { when = 'resource.params.b == subject.claims.b' }\n" + HEAD
    )
    found = policy.find("GET", ("/x", "/svc/x")) or ()
    params = [each.request.params for each in found if each.request]
    assert params == [{"a": "x"}, {"a": "svc", "b": "x"}]
    assert decided(policy, "GET /svc/x", ann(b="x"), "/svc").allowed
    assert not decided(policy, "GET /svc/x", ann(b="y"), "/svc").allowed


def test_only_what_reads_the_request_is_told_of_it(load) -> None:
    policy = load(POLICY)
    for path, told in (("/noon", False), ("/both", False), ("/method", True), ("/items/1", True)):
        (requirement,) = found(policy, path)
        assert (requirement.request is not None) == told
        assert (requirement.origin is requirement) == (not told)


DEPLOYING = f"""
[routes]
"/deploy" = {{ permissions = ["deploy:prod"] }}
"/when" = {{ when = '"deploy:prod" in subject.permissions' }}
"/junior" = {{ not = {{ when = '"deploy:prod" in subject.permissions' }} }}
{PATTERNS}
[forbid]
freeze = {{ path = "/deploy", when = '"deploy:prod" in subject.permissions' }}
{HEAD}
"""


@pytest.mark.parametrize(
    ("roles", "path", "reason"),
    [
        ("ops", "/deploy", "forbidden_to_caller"),
        ("chief", "/deploy", "forbidden_to_caller"),
        ("clerk", "/deploy", "permission_missing"),
        ("ops", "/when", "allowed"),
        ("chief", "/when", "allowed"),
        ("clerk", "/when", "condition_not_met"),
        ("", "/when", "condition_not_met"),
        ("ops", "/junior", "excluded"),
        ("chief", "/junior", "excluded"),
        ("clerk", "/junior", "allowed"),
    ],
)
def test_a_condition_knows_the_patterns_of_roles(load, roles, path, reason) -> None:
    """Or whoever has `deploy:*` is past a `forbid`, and is let in by a `not`."""
    policy = load(DEPLOYING)
    assert decided(policy, f"GET {path}", policy.roles.expand(ann(roles))).reason == reason


def test_nobody_has_no_permission(load) -> None:
    text = """[routes]\n"/a" = "public"\n[forbid]
f = { when = '!("deploy:prod" in subject.permissions)' }\n"""
    assert decided(load(text + PATTERNS + HEAD), "GET /a").reason == "forbidden"


def test_without_roles_any_name_may_be_asked_for(load) -> None:
    policy = load(rule('"editor" in subject.roles', key="/a") + HEAD)
    assert decided(policy, "GET /a", ann("editor")).allowed


def test_without_patterns_the_permissions_are_a_list(load) -> None:
    text = rule('subject.permissions == ["order:read"]', key="/a")
    policy = load(text + '[roles]\nclerk = ["order:read"]\n' + HEAD)
    assert decided(policy, "GET /a", policy.roles.expand(ann("clerk"))).allowed


KIND = "an attribute is not of the kind that is asked for"
TENANT = "the condition `resource.params.tenant == subject.claims.tenant`"


@pytest.mark.parametrize(
    ("request_", "who", "missing", "miss"),
    [
        (
            "GET /t/acme/orders",
            ann(),
            ("subject.claims.tenant",),
            f"needs {TENANT}; `subject.claims.tenant` is missing",
        ),
        (
            "GET /t/acme/orders",
            ann(tenant="top-secret"),
            (),
            f"needs {TENANT}",
        ),
        (
            "GET /files/x",
            ann(home=7),
            (),
            f"needs the condition `resource.params.rest.startsWith(subject.claims.home)`; {KIND}",
        ),
        ("GET /not", ann(), (), "must not meet the condition `subject.claims.level > 3`"),
    ],
)
def test_the_explanation_names_what_is_missing_and_no_value(
    load, request_, who, missing, miss
) -> None:
    decision = decided(load(POLICY), request_, who)
    assert decision.missing == missing
    assert decision.nearest_miss == miss
    assert "top-secret" not in repr(decision)


def test_a_lax_reader_hands_on_the_same_parameters(load) -> None:
    """With an app that may ignore case, the rule that it sees decides too."""
    policy = load(
        '[routes]\n"/Orders/<tenant>" = { when = "resource.params.tenant == subject.claims.t" }\n'
        '"/orders/<name>" = "authenticated"\n' + HEAD
    )
    assert decided(policy, "GET /orders/Acme", ann(t="Acme"), loose=True).allowed
    assert not decided(policy, "GET /orders/Acme", ann(t="acme"), loose=True).allowed
    assert decided(policy, "GET /orders/Acme", ann(t="acme")).allowed


# --- The second look ---


@pytest.mark.parametrize(
    ("path", "at", "who", "allowed"),
    [
        ("/t/main", ("/t/main",), ann(tenant="main"), True),
        ("/t/main", ("/t/main",), ann(tenant="other"), False),
        ("/t/main", ("/t/main", "/svc/t/main"), ann(tenant="main"), True),
        ("/t/main", ("/x/y/z",), ann(tenant="main"), False),  # no path of the template
        ("/t/main", (), ann(tenant="main"), False),
    ],
)
def test_the_route_taken_is_asked_with_the_parameters_of_the_path(
    load, path, at, who, allowed
) -> None:
    """The router takes the route that was declared first, not the more specific one."""
    policy = load(
        '[routes]\n"/t/<tenant>" = { when = "resource.params.tenant == subject.claims.tenant" }\n'
        '"/t/main" = "authenticated"\n' + HEAD
    )
    routes = tuple(
        Route(("", text), text, parse(text).segments, None, "app:view")
        for text in ("/t/<x>", "/t/main")
    )
    binding = bind(policy, RouteTable(routes))
    assert not binding.gaps
    asked = policy.find("GET", (path,)) or ()
    also = binding.also(("", "/t/<x>"), "GET", path, asked, at)
    assert also
    assert policy.decide(also, who, NOW).allowed == allowed
    # Where the rule of the path is that of the route, it has been asked.
    asked = policy.find("GET", ("/t/acme",)) or ()
    assert binding.also(("", "/t/<x>"), "GET", "/t/acme", asked, ("/t/acme",)) == ()


BY_CLIENT = {
    "a header": ('{ when = "has(context.headers.x)" }', True),
    "the query": ('{ when = "has(context.query.x)" }', True),
    "inside not": ('{ not = { when = "has(context.query.x)" } }', True),
    "inside any": ('{ any = [["v"], { when = "has(context.query.x)" }] }', True),
    "the time": ('{ when = "context.time.getHours() < 9" }', False),
    "a proxy": ('{ when = "context.ip == subject.claims.ip" }', False),
}


@pytest.mark.parametrize(("requirement", "chosen"), BY_CLIENT.values(), ids=BY_CLIENT)
def test_what_lets_in_by_what_the_client_chooses_is_named(load, requirement, chosen) -> None:
    forbid = "[forbid]\nf = { when = 'has(context.headers.x)' }\n"  # takes access away only
    policy = load(f"trusted_proxies = []\n[routes]\n'/a' = {requirement}\n{forbid}{HEAD}")
    assert [ref.key for ref in policy.by_client] == (["/a"] if chosen else [])
    rules = found(policy, "/a")[:1]
    said = "(of what the client sends)"
    assert (said in who(rules)) == chosen
    assert (said in explain(rules, Asked(ann(), NOW)).explanation) == chosen


READS = [
    ("subject.id == 'x' && context.time.getHours() < 9", None),
    ("context.ip == 'x'", ContextReads(frozenset(("forwarded", "x-forwarded-for")))),
    (
        "context.scheme == 'https'",
        ContextReads(frozenset(("forwarded", "x-forwarded-for", "x-forwarded-proto"))),
    ),
    ("context.host == 'a'", ContextReads(frozenset(("host", "forwarded", "x-forwarded-host")))),
    ("context.headers['x-a'] == 'a'", ContextReads(frozenset(("x-a",)))),
    ("context.headers.exists(n, n == 'x')", ContextReads(frozenset(), True)),
    ("'x' in context.query", ContextReads(frozenset(), query=True)),
]


@pytest.mark.parametrize(("when", "reads"), READS, ids=[when for when, _ in READS])
@pytest.mark.parametrize("where", ["routes", "forbid"])
def test_only_what_some_condition_reads_is_taken_from_a_request(load, when, reads, where) -> None:
    entry = f"'/a' = {{ any = [['v'], {{ when = \"{when}\" }}] }}"
    if where == "forbid":
        entry = f'f = {{ when = "{when}" }}'
    policy = load(f"trusted_proxies = []\nhosts = ['a']\n[{where}]\n{entry}\n{HEAD}")
    assert policy.context_reads == (reads and reads._replace(hidden=UNREADABLE))
