from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from authz_middleware.document import Document
from authz_middleware.errors import PolicyError, Problem
from authz_middleware.facts import RuleRef
from authz_middleware.runtime import settings
from authz_middleware.runtime.settings import KNOWN, PLANNED, Settings
from authz_middleware.tokens.key_sources import Discovery
from tests.runtime.asking import policy, table
from tests.tokens.minting import ISSUER, jwk

OTHER = "https://other.example.com"


def load(**top: Any) -> Settings:
    mapping = policy() | top
    return settings.load(
        Document.from_mapping({name: value for name, value in mapping.items() if value is not None})
    )


def problems(**top: Any) -> tuple[Problem, ...]:
    with pytest.raises(PolicyError) as error:
        load(**top)
    return error.value.problems


def told(**top: Any) -> list[tuple[str, str]]:
    return [(problem.where, problem.what) for problem in problems(**top)]


def test_what_is_there_without_being_written() -> None:
    made = load()
    assert made.answers.realm == "api"
    assert made.answers.resource_metadata is None
    assert made.answers.problem_base is None
    assert (made.metadata, made.metadata_path) == (None, None)
    assert made.remote_user is None
    assert made.preflight is None
    assert made.cases == ()
    assert list(made.issuers) == [ISSUER]


def test_all_that_can_be_written() -> None:
    made = load(
        default="authenticated",
        realm="orders & more",
        resource="https://api.example.com/orders",
        problem_base="https://api.example.com/problems/",
        remote_user="iss|sub",
        preflight="pass",
        tests=[{"as": "anonymous", "allow": ["GET /health"]}],
    )
    url = "https://api.example.com/.well-known/oauth-protected-resource/orders"
    assert made.answers.realm == "orders & more"
    assert made.answers.resource_metadata == url
    assert made.metadata_path == "/.well-known/oauth-protected-resource/orders"
    assert made.answers.problem_base == "https://api.example.com/problems/"
    assert made.remote_user == "iss|sub"
    assert made.preflight == RuleRef("preflight", "preflight")
    assert len(made.cases) == 1


# Keys


@pytest.mark.parametrize("name", [*PLANNED, "insecure_http", "insecure_anything"])
def test_a_key_that_is_not_built_is_refused(name: str) -> None:
    assert told(**{name: {}}) == [(name, f"`{name}` is not supported in this version")]


def test_design_knows_these_keys() -> None:
    """DESIGN 3, first row of the table of keys: each is read or refused, none is ignored."""
    top = (
        "default realm resource strict unmatched preflight remote_user trusted_proxies hosts"
        " close_at_expiry ws_token include candidate problem_base state"
        " issuers roles permissions routes forbid pdp tests"
    )
    insecure = {name for name in KNOWN if name.startswith("insecure_")}
    assert {*KNOWN, *PLANNED} - insecure == {*top.split()}


def test_an_unknown_key_is_refused() -> None:
    (problem,) = problems(relm="x")
    assert problem.where == "relm"
    assert problem.fix == "did you mean `realm`?"


# Values


@pytest.mark.parametrize("realm", ["orders", "The Shop, EU; v2", "<>&'"])
def test_realm(realm: str) -> None:
    assert load(realm=realm).answers.realm == realm


@pytest.mark.parametrize("realm", ['a"b', "a\\b", "a\nb", "a\r\nx: y", "\x7f", "bücher", "\t", ""])
def test_a_realm_that_a_header_cannot_hold(realm: str) -> None:
    """H07, H08."""
    ((where, _),) = told(realm=realm)
    assert where == "realm"


RESOURCES = [
    ("https://api.example.com", "https://api.example.com/.well-known/oauth-protected-resource"),
    (
        "https://api.example.com:8443/a/b",
        "https://api.example.com:8443/.well-known/oauth-protected-resource/a/b",
    ),
    ("http://127.0.0.1:8000", "http://127.0.0.1:8000/.well-known/oauth-protected-resource"),
]


@pytest.mark.parametrize(("resource", "url"), RESOURCES)
def test_resource(resource: str, url: str) -> None:
    """N01, M01."""
    assert load(resource=resource).answers.resource_metadata == url


@pytest.mark.parametrize(
    "resource",
    [
        "orders",
        "urn:orders",
        "http://api.example.com",
        "https://",
        "https://[::1",
        "https://a:b",
        "https://api.example.com/#x",
        "https://api.example.com#",
        "https://ann@api.example.com",
        'https://api.example.com/"',
        "https://api.example.com/\\",
        "https://api.example.com/a b",
        "https://api.example.com/\n",
        "https://bücher.example",
        "https://api.example.com?x=y",
        "https://api.example.com?",
        "https://api.example.com/",
        "https://api.example.com/a//",
        "",
    ],
)
def test_a_resource_that_is_none(resource: str) -> None:
    """M07."""
    ((where, _),) = told(resource=resource)
    assert where == "resource"


@pytest.mark.parametrize("base", ["a b", "a\nb", "ü", "\x00", ""])
def test_a_problem_base_that_is_none(base: str) -> None:
    ((where, _),) = told(problem_base=base)
    assert where == "problem_base"


CHOICES = [
    ("preflight", "block", 'write "pass", or leave it out'),
    ("remote_user", "email", 'write "sub" or "iss|sub", or leave it out'),
    ("remote_user", "SUB", 'write "sub" or "iss|sub", or leave it out'),
]


@pytest.mark.parametrize(("name", "value", "fix"), CHOICES)
def test_a_choice_that_is_none(name: str, value: str, fix: str) -> None:
    assert problems(**{name: value}) == (Problem(name, f'`{name}` cannot be "{value}"', fix),)


TEXTS = ["default", "realm", "resource", "preflight", "remote_user", "problem_base"]


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("value", [1, True, ["x"], {"x": "y"}], ids=repr)
def test_what_is_not_text(name: str, value: Any) -> None:
    ((where, what),) = told(**{name: value})
    assert where == name
    assert what.startswith(f"`{name}` must be a string")


# Issuers


@pytest.mark.parametrize("issuers", [None, []])
def test_without_issuers(issuers: Any) -> None:
    (problem,) = problems(issuers=issuers)
    assert problem.what == "no [[issuers]]: no token could ever be verified"
    assert "write [[issuers]]" in problem.fix


@pytest.mark.parametrize("issuers", ["x", 5, {"issuer": "x"}])
def test_issuers_that_are_no_list(issuers: Any) -> None:
    ((where, what),) = told(issuers=issuers)
    assert where == "issuers"
    assert "must be a list of tables" in what


def test_missing_issuers_are_told_beside_other_mistakes() -> None:
    assert [where for where, _ in told(issuers=None, nonsense=1, realm=2)] == [
        "nonsense",
        "issuers",
        "realm",
    ]


UNDEFINED = [
    pytest.param(
        {"role_map": {"grp-1": "editor", "grp-2": "boss"}}, "issuers[0].role_map.grp-2", id="map"
    ),
    pytest.param({"grants": ["viewer", "editor", "boss"]}, "issuers[0].grants", id="grants"),
]


@pytest.mark.parametrize(("members", "where"), UNDEFINED)
def test_a_role_that_nobody_defined(members: dict[str, Any], where: str) -> None:
    issuer = table(jwks={"keys": [jwk("ES256")]}, **members)
    (problem,) = problems(issuers=[issuer])
    assert problem == Problem(
        where,
        "role `boss` is not defined in [roles]",
        "add `boss = []` there, or use one of: editor, viewer",
    )
    load(issuers=[issuer], roles=None, routes={"GET /": ["boss"]})  # then any name may be used


@pytest.mark.parametrize("grants", [["*"], ["viewer", "editor"], ["editor"]])
def test_roles_that_may_be_granted(grants: list[str]) -> None:
    load(issuers=[table(jwks={"keys": [jwk("ES256")]}, grants=grants)])


@pytest.mark.parametrize("members", [{"grants": "boss"}, {"grants": [1]}, {"role_map": ["boss"]}])
def test_of_the_wrong_type_is_told_once(members: dict[str, Any]) -> None:
    assert len(problems(issuers=[table(jwks={"keys": [jwk("ES256")]}, **members)])) == 1


def test_a_mistake_in_an_issuer_hides_no_other() -> None:
    """Of its roles; and what names that issuer is not a mistake as well."""
    broken = table(
        jwks={"keys": [jwk("ES256")]},
        audience=None,
        grants=["boss"],
        claims={"permissions": "permissions"},
    )
    found = told(
        issuers=[broken],
        routes={"GET /": {"issuers": [ISSUER], "permissions": ["from:token"]}},
        tests=[{"as": {"subject": "ann", "issuer": ISSUER}, "allow": ["GET /"]}],
    )
    assert found == [
        ("issuers[0]", "`audience` is missing"),
        ("issuers[0].grants", "role `boss` is not defined in [roles]"),
    ]


# Everything at once


BROKEN = f"""\
default = "public"
realm = "a\\"b"
resource = "http://api.example.com"
problem_base = "a b"
preflight = "maybe"
remote_user = "email"
strict = 1
insecure_http = true
reosurce = "x"

[[issuers]]
issuer = "{ISSUER}"
audience = ["orders"]
jwks_file = "missing.json"
algorithms = ["none"]
leeway = 10000
role_map = {{ x = "boss" }}

[[issuers]]
issuer = "{OTHER}"
audience = []
grants = ["chief"]

[roles]
viewer = ["a b"]
editor = {{ inherits = ["nobody"] }}

[routes]
"GET me" = "authenticated"
"GET /a" = "open"
"GET /b" = ["unknown"]
"GET /c" = {{ when = "subject.rolls == []" }}
"GET /d" = {{ permissions = ["never:had"] }}
"GET /e" = []

[[tests]]
allow = ["GET /a"]
"""

EXPECTED = """\
1 `default` cannot be "public"
2 `realm` is sent in a header
3 `resource` is an https URL without fragment (RFC 9728 §1.2)
4 `problem_base` is the start of a URI (RFC 9457 §3.1.1)
5 `preflight` cannot be "maybe"
6 `remote_user` cannot be "email"
7 `strict` must be true or false, not a number
8 `insecure_http` is not supported in this version
9 `reosurce` is not a key of the top level
11 with several issuers each needs `grants`, the roles it may give
14 `jwks_file` cannot be read: No such file or directory
15 "none" is no algorithm we verify
16 `leeway` must be from 0 to 300 seconds
17 role `boss` is not defined in [roles]
21 `audience` is empty
22 role `chief` is not defined in [roles]
25 `a b` is not a permission
26 role `editor` inherits `nobody`, which [roles] does not define
29 `GET me` does not name a path
30 "open" is not a requirement
31 role `unknown` is not defined in [roles]
32 `subject` has no attribute `rolls`
34 an empty list lets nobody in
36 `as` says who calls
"""


def test_every_mistake_of_a_document_is_told_at_once_and_where(tmp_path: Path) -> None:
    file = tmp_path / "authz.toml"
    file.write_text(BROKEN)
    with pytest.raises(PolicyError) as error:
        settings.load(Document.read(file))
    found = []
    for problem in error.value.problems:
        name, line, column = problem.where.rsplit(":", 2)
        assert name == str(file)
        assert column.isdigit()
        found.append(f"{line} {problem.what}")
    assert found == EXPECTED.splitlines()
    assert str(error.value).count("\n") == len(found) - 1


# Several files


PARTS = {
    "authz.toml": """\
include = ["i/*.toml", "roles.json", "routes.yaml"]
[[issuers]]
issuer = "https://a.example"
audience = ["x"]
grants = ["*"]
[routes]
"GET /a/<id>" = ["viewer"]
""",
    "i/b.toml": """\
[[issuers]]
issuer = "https://b.example"
audience = ["x"]
secret_file = "b.secret"
grants = ["viewer"]
""",
    "i/b.secret": "4x6YgL0q8rWvN2dTjZ1sKpEoHc7uBmFa",
    "roles.json": '{"roles": {"viewer": []}}',
    "routes.yaml": "routes: {/b: [viewer]}",
}


def parts(directory: Path, **changed: str) -> Document:
    for name, text in (PARTS | changed).items():
        file = directory / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return Document.read(directory / "authz.toml")


def test_several_files_are_one_policy(tmp_path: Path) -> None:
    made = settings.load(parts(tmp_path))
    assert [*made.issuers] == ["https://a.example", "https://b.example"]
    assert made.policy.roles.declared == frozenset({"viewer"})
    requirements = {each.ref.key: each.ref.where for each in made.policy.requirements}
    assert requirements == {
        "GET /a/<id>": f"{tmp_path}/authz.toml:7:1",
        "/b": f"{tmp_path}/routes.yaml:1:10",
    }


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        pytest.param(
            {"routes.yaml": 'routes: {"GET /a/{id}": [viewer]}'},
            "HERE/routes.yaml:1:10: method GET of this path is already ruled by `GET /a/<id>`"
            " (HERE/authz.toml:7:1); keep one of the two",
            id="one route in two spellings",
        ),
        pytest.param(
            {"i/b.toml": PARTS["i/b.toml"].replace("b.example", "a.example")},
            "HERE/i/b.toml:2:1: this issuer is listed twice: at HERE/authz.toml:3:1 too; make one"
            " table of the two",
            id="one issuer",
        ),
        pytest.param(
            {"i/b.toml": PARTS["i/b.toml"].replace("b.secret", "i/b.secret")},
            "HERE/i/b.toml:4:1: `secret_file` cannot be read: No such file or directory; check its"
            " path and permissions",
            id="a key file beside the policy file",
        ),
        pytest.param(
            {"routes.yaml": "routes: {/b: [vewer]}"},
            "HERE/routes.yaml:1:10: role `vewer` is not defined in [roles]; did you mean"
            " `viewer`? If not, add `vewer = []` there",
            id="unknown role",
        ),
        pytest.param(
            {"roles.json": '{"roles": {"viewer": []}, "rotes": {}}'},
            "HERE/roles.json:1:27: `rotes` is not a key of the top level; did you mean `routes`?",
            id="unknown table",
        ),
    ],
)
def test_a_mistake_is_told_in_its_own_file(tmp_path: Path, changed, expected: str) -> None:
    with pytest.raises(PolicyError) as error:
        settings.load(parts(tmp_path, **changed))
    assert expected.replace("HERE", str(tmp_path)) in map(str, error.value.problems)


def test_last_good_keys_of_an_included_issuer_are_kept_beside_its_file(tmp_path: Path) -> None:
    text = PARTS["i/b.toml"].replace('secret_file = "b.secret"', 'jwks_cache = {file = "k.json"}')
    made = settings.load(parts(tmp_path, **{"i/b.toml": text}))
    source = made.issuers["https://b.example"].source
    assert isinstance(source, Discovery)
    assert source.cache.file == str(tmp_path / "i/k.json")


def test_loading_says_nothing_to_the_log(caplog) -> None:
    caplog.set_level(logging.DEBUG)
    load()
    assert caplog.records == []


# What fits together


def test_an_issuer_whose_tokens_carry_no_roles_can_bring_none() -> None:
    """Google, Auth0: else the policy's own tests pass with roles that nobody has."""
    google: dict[str, Any] = {
        "preset": "google",
        "issuer": "https://accounts.google.com",
        "audience": "a",
    }
    roles = {"viewer": ["article:read"], "editor": ["article:write"]}
    case = {"as": {"subject": "1", "roles": ["viewer"]}, "allow": ["GET /me"]}
    routes: dict[str, Any] = {"GET /me": ["viewer"]}
    assert told(issuers=[google], roles=roles, routes=routes, tests=[case]) == [
        (
            "tests[0].as.roles",
            "no token of https://accounts.google.com can bring role `viewer`",
        )
    ]
    routes = {"GET /me": {"permissions": ["article:read"]}}
    assert told(issuers=[google], roles=roles, routes=routes) == [
        ('routes."GET /me".permissions', "nobody could ever have permission `article:read`")
    ]
    google |= {"claims": {"roles": "sub"}, "role_map": {"1": "viewer"}}
    load(issuers=[google], roles=roles, routes=routes, tests=[case])


def test_a_permission_that_no_issuer_can_bring(tmp_path: Path) -> None:
    only = {"jwks": {"keys": [jwk("ES256")]}}
    for members in ({"grants": ["viewer"]}, {"role_map": {"x": "viewer"}}):
        ((where, what),) = told(issuers=[table(**only, **members)])
        assert where == 'routes."POST /articles".permissions'
        assert what == "nobody could ever have permission `article:write`"
    both = {"role_map": {"x": "editor", "y": "viewer"}, "grants": ["viewer"]}
    assert told(issuers=[table(**only, **both)])
    load(issuers=[table(**only, **both | {"grants": ["editor"]})])


def test_a_caller_of_the_tests_that_no_token_can_be() -> None:
    issuer = table(jwks={"keys": [jwk("ES256")]}, grants=["editor"])
    tests = [{"as": {"roles": ["viewer"]}, "deny": ["/closed"]}, {"as": "anonymous", "deny": ["/"]}]
    ((where, what),) = told(issuers=[issuer], tests=tests)
    assert where == "tests[0].as.roles"
    assert what == f"no token of {ISSUER} can bring role `viewer`"


@pytest.mark.parametrize(
    ("chosen", "issuers", "what"),
    [
        ("sub", (ISSUER, OTHER), "subjects of several issuers may be equal"),
        ("iss|sub", ("https://a.example/x|y",), "an issuer holds `|`"),
    ],
)
def test_a_remote_user_names_one_caller(chosen: str, issuers: tuple[str, ...], what: str) -> None:
    keys = {"keys": [jwk("ES256")]}
    tables = [table(issuer=each, jwks=keys, grants=["*"]) for each in issuers]
    found = [problem for where, problem in told(issuers=tables, remote_user=chosen)]
    assert any(problem.startswith(what) for problem in found)


def test_a_key_file_is_a_file_of_reasonable_size(tmp_path: Path) -> None:
    (tmp_path / "huge.json").write_bytes(b" " * (settings.MAX_KEY_FILE + 1))
    for name, reason in {
        str(tmp_path): "not a regular file",
        "/dev/zero": "not a regular file",
        str(tmp_path / "huge.json"): "larger than",
    }.items():
        ((_, what),) = told(issuers=[table(jwks_file=name)])
        assert reason in what


TEMPLATE = "https://login.microsoftonline.com/{tenantid}/v2.0"
TENANTS = ["5f1c5d6e-0a1b-4c2d-8e3f-001122334455", "aaaabbbb-0000-1111-2222-ccccdddd0000"]


def tenants(**top: Any) -> dict[str, Any]:
    issuer = table(preset="entra", issuer=TEMPLATE, tenants=TENANTS, grants=["viewer", "editor"])
    return {"issuers": [issuer]} | top


class TestTenants:
    """Each tenant of a template is an issuer, wherever the policy names issuers."""

    names: tuple[str, ...] = tuple(TEMPLATE.format(tenantid=tenant) for tenant in TENANTS)

    def test_routes_and_tests_name_them(self) -> None:
        caller = {"issuer": self.names[1], "roles": ["viewer"]}
        made = load(
            **tenants(
                routes={"GET /": {"issuers": [self.names[0]]}},
                tests=[{"as": caller, "deny": ["GET /"]}],
            )
        )
        assert tuple(made.issuers) == self.names
        assert made.cases[0].principal is not None
        assert made.cases[0].principal.issuer == self.names[1]

    def test_subjects_of_two_tenants_may_be_equal(self) -> None:
        found = told(**tenants(remote_user="sub"))
        assert ("remote_user", "subjects of several issuers may be equal") in found

    def test_the_template_is_no_issuer(self) -> None:
        ((where, _),) = told(**tenants(routes={"GET /": {"issuers": [TEMPLATE]}}))
        assert where.startswith('routes."GET /"')

    def test_one_mistake_is_told_once(self) -> None:
        """Which roles these tenants give is not known then, so no permission is out of reach."""
        issuer = table(preset="entra", issuer=TEMPLATE, tenants=[*TENANTS, "x"], grants=["viewer"])
        ((where, _),) = told(issuers=[issuer], routes={"GET /": {"permissions": ["p"]}})
        assert where == "issuers[0].tenants"

    def test_metadata_does_not_publish_them(self) -> None:
        made = load(**tenants(resource="https://api.example.com"))
        assert made.metadata is not None
        assert b"authorization_servers" not in made.metadata.body


def cached(file: Any, issuer: str = ISSUER) -> dict[str, Any]:
    return table(issuer=issuer, grants=["*"], jwks_cache={"file": file})


def test_files_for_the_last_good_keys(tmp_path: Path) -> None:
    one, other = cached(str(tmp_path / "a.json")), cached(str(tmp_path / "b.json"), OTHER)
    load(issuers=[one, other])
    load(issuers=[table(jwks_cache={})])


FILES = [
    pytest.param("gone/a.json", "there is no directory ", id="no directory"),
    pytest.param(".", "`file` is a directory", id="a directory"),
    pytest.param("sub/../first.json", "another issuer has this file", id="of another issuer"),
]


@pytest.mark.parametrize(("name", "what"), FILES)
def test_a_file_for_the_last_good_keys_that_cannot_be(tmp_path: Path, name: str, what: str) -> None:
    (tmp_path / "sub").mkdir()
    first = cached(str(tmp_path / "first.json"), OTHER)
    (problem,) = problems(issuers=[first, cached(str(tmp_path / name))])
    assert problem.where == "issuers[1].jwks_cache.file"
    assert problem.what.startswith(what)


def test_several_tenants_have_a_file_each(tmp_path: Path) -> None:
    def named(name: str) -> dict[str, Any]:
        cache = {"file": str(tmp_path / name)}
        return {"issuers": [tenants()["issuers"][0] | {"jwks_cache": cache}]}

    assert told(**named("a.json")) == [
        ("issuers[0].jwks_cache.file", "one file for several tenants")
    ]
    found = load(**named("{tenantid}.json")).issuers
    files = [each.source.cache.file for each in found.values()]  # type: ignore[union-attr]
    assert files == [str(tmp_path / f"{tenant}.json") for tenant in TENANTS]


@pytest.mark.parametrize("cache", ["x", {"file": 5}, {"file": ""}, {"file": "a\0b"}], ids=str)
def test_a_cache_of_the_wrong_type_is_told_once(cache: Any) -> None:
    assert len(problems(issuers=[table(jwks_cache=cache)])) == 1
