"""The published JSON Schema of a policy and the loader know the same keys and words.

If you came here because a test failed after you gave the policy a new key: write the key, its type
and one line about it into `src/authz_middleware/policy.schema.json`, copy that file to `docs/`, and
use the key in `EVERYTHING` below, so that its table is read.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

import pytest
from jsonschema import Draft202012Validator

from authz_middleware.document import Document, Section
from authz_middleware.errors import PolicyError
from authz_middleware.policy import requirements
from authz_middleware.runtime import settings
from authz_middleware.tokens import presets
from tests.docs.pages import ROOT, blocks, pages
from tests.test_mistakes import DOCUMENTS
from tests.tokens.minting import jwk

TEXT = (files("authz_middleware") / "policy.schema.json").read_text("utf-8")
SCHEMA: dict[str, Any] = json.loads(TEXT)
VALIDATOR = Draft202012Validator(SCHEMA)
WHAT_TO_DO = "see the first lines of tests/test_schema.py"

EVERYTHING = """
default = "deny"
realm = "r"
resource = "https://api.example.com"
preflight = "pass"
remote_user = "iss|sub"
problem_base = "https://api.example.com/"
strict = false
unmatched = "app"
include = []
trusted_proxies = ["10.0.0.1"]
hosts = ["api.example.com"]

[[issuers]]
issuer = "https://login.example.com"
audience = "a"
grants = ["viewer"]
claims = { roles = "roles", permissions = ["p"], scopes = [], subject = "sub" }
jwks_cache = { max_age = 60 }
role_map = { x = "viewer" }

[[issuers]]
issuer = "https://b.example.com"
audience = ["a"]
grants = ["*"]
introspection = { endpoint = "https://b.example.com/i", client_id = "a", client_secret_env = "S_" }

[roles]
viewer = { permissions = ["read"], inherits = [] }

[permissions]
read = { when = "action.name == 'GET'" }

[routes]
"/a" = ["viewer"]
"/d" = { pdp = "orders" }
"/c" = { load = { name = "c" }, when = "resource.owner == 1" }
"/b" = { any = [{ scopes = ["x"] }, ["viewer"]], not = { issuers = ["https://b.example.com"] } }

[pdp.orders]
url = "https://pdp.example.com"
breaker = { failures = 3 }

[forbid]
x = { path = "/x" }

[[tests]]
as = { subject = "ann", claims = { a = 1 } }
context = { host = "api.example.com" }
pdp = { orders = true }
allow = ["/a"]
"""


def resolved(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A schema and all that it refers to or chooses from."""
    yield node
    if "$ref" in node:
        yield from resolved(SCHEMA["$defs"][node["$ref"].removeprefix("#/$defs/")])
    for each in node.get("anyOf", ()):
        yield from resolved(each)


def below(node: Mapping[str, Any], step: str | int) -> Iterator[Mapping[str, Any]]:
    for each in resolved(node):
        if isinstance(step, int):
            found = each.get("items")
        else:
            found = each.get("properties", {}).get(step, each.get("additionalProperties"))
        if isinstance(found, dict):
            yield found


def tables(path: tuple[str | int, ...]) -> list[dict[str, Any]]:
    """What the schema says of the keys of the table at `path`."""
    nodes: list[Mapping[str, Any]] = [SCHEMA]
    for step in path:
        nodes = [found for node in nodes for found in below(node, step)]
    known = [each for node in nodes for each in resolved(node) if "properties" in each]
    return [{**each["properties"]} for each in known]


def words(*path: str | int) -> set[str]:
    """The words that the schema offers at `path`."""
    nodes: list[Mapping[str, Any]] = [SCHEMA]
    for step in path:
        nodes = [found for node in nodes for found in below(node, step)]
    return {word for node in nodes for each in resolved(node) for word in each.get("enum", ())}


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_the_documentation_holds_the_same() -> None:
    assert (ROOT / "docs/policy.schema.json").read_text("utf-8") == TEXT, (
        "copy src/authz_middleware/policy.schema.json to docs/"
    )


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str | int, ...], set[str]]:
    """The keys that the loader knows in each table of EVERYTHING."""
    monkeypatch.setenv("S_", "s3cr3t")
    seen: dict[tuple[str | int, ...], set[str]] = {}
    only = Section.only

    def spy(self: Section, known: Any, planned: Any = (), **more: Any) -> None:
        seen[self.path] = {*known}
        only(self, known, planned, **more)

    monkeypatch.setattr(Section, "only", spy)
    settings.load(Document.from_mapping(tomllib.loads(EVERYTHING)))
    return seen


def test_schema_and_loader_know_the_same_keys(read: dict[Any, set[str]]) -> None:
    assert len(read) > 10
    for path, known in read.items():
        (properties,) = tables(path) or [{}]
        offered = {*properties} - {"$schema"}
        assert known == offered, f"keys of {path or 'the top level'}: {WHAT_TO_DO}"


def test_every_table_of_the_schema_is_read_by_the_loader(read: dict[Any, set[str]]) -> None:
    def all_tables(node: Any) -> Iterator[frozenset[str]]:
        if isinstance(node, dict):
            if (
                isinstance(node.get("properties"), dict)
                and node.get("additionalProperties") is False
            ):
                yield frozenset(node["properties"])
            for each in node.values():
                yield from all_tables(each)
        elif isinstance(node, list):
            for each in node:
                yield from all_tables(each)

    loaded = {frozenset(known) for known in read.values()}
    for table in all_tables(SCHEMA):
        assert table - {"$schema"} in loaded, f"{sorted(table)} is no table of the loader's"


def test_schema_and_loader_know_the_same_words() -> None:
    assert words("routes", "/a") == {*requirements.WORDS}
    assert words("issuers", 0, "preset") == {*presets.PRESETS}
    assert words("remote_user") == {*get_args(settings.RemoteUser)}
    assert words("tests", 0, "as") == {"anonymous"}


@pytest.mark.parametrize(
    "path",
    [
        *[(name,) for name in SCHEMA["properties"] if words(name)],
        ("issuers", 0, "preset"),
        ("issuers", 1, "introspection", "auth"),
        ("pdp", "orders", "on_failure"),
        ("routes", "/a"),
    ],
    ids=lambda path: ".".join(map(str, path)),
)
def test_a_word_of_the_schema_is_one_of_the_loader(path, monkeypatch) -> None:
    """What the loader says of a word that it does not know names all those of the schema."""
    monkeypatch.setenv("S_", "s3cr3t")
    document = tomllib.loads(EVERYTHING)
    table: Any = document
    for step in path[:-1]:
        table = table[step]
    table[path[-1]] = "zzz"
    with pytest.raises(PolicyError) as refused:
        settings.load(Document.from_mapping(document))
    told = " ".join(problem.fix for problem in refused.value.problems)
    listed = {*re.findall(r'"([^"\s]+)"', told), *re.findall(r"[a-z][a-z0-9-]+", told)}
    assert words(*path) <= listed
    assert not VALIDATOR.is_valid(document)


def test_everything_is_a_policy() -> None:
    assert [*VALIDATOR.iter_errors(tomllib.loads(EVERYTHING))] == []


def policies() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every policy that the documentation and the examples show, but the refused ones."""
    for page in pages():
        for block in blocks(page):
            if block.language == "toml" and block.mark != "refused":
                policy = tomllib.loads(block.text)
                for issuer in policy.get("issuers", ()):
                    issuer.setdefault("issuer", "x")  # fragments leave out what is not the point
                    issuer.setdefault("audience", "x")
                yield block.place, policy
    for file in sorted((ROOT / "examples").rglob("*.toml")):
        yield str(file.relative_to(ROOT)), tomllib.loads(file.read_text())


@pytest.mark.parametrize(
    ("place", "policy"), [pytest.param(*each, id=each[0]) for each in policies()]
)
def test_a_policy_that_is_shown_is_valid(place: str, policy: dict[str, Any]) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(policy)] == []


ISSUER = {"issuer": "https://x", "audience": "a", "jwks": {"keys": [jwk("ES256")]}}

# What both refuse. What only the loader can know (roles that are not defined, ties) is not here.
BOTH: dict[str, dict[str, Any]] = {
    "unknown key": {"defualt": "deny"},
    "a planned key": {"insecure_http": True},
    "a public default": {"default": "public"},
    "realm is a number": {"realm": 1},
    "realm is empty": {"realm": ""},
    "strict is a text": {"strict": "yes"},
    "include is a text": {"include": "roles.toml"},
    "include of nothing": {"include": [""]},
    "issuers is a table": {"issuers": {}},
    "issuer without audience": {"issuers": [{"issuer": "https://x"}]},
    "audience is empty": {"issuers": [ISSUER | {"audience": []}]},
    "unknown key of an issuer": {"issuers": [ISSUER | {"audiance": "a"}]},
    "unknown preset": {"issuers": [ISSUER | {"preset": "keyclock"}]},
    "jwks without keys": {"issuers": [ISSUER | {"jwks": {}}]},
    "leeway beyond": {"issuers": [ISSUER | {"leeway": 301}]},
    "leeway is true": {"issuers": [ISSUER | {"leeway": True}]},
    "max_lifetime of 0": {"issuers": [ISSUER | {"max_lifetime": 0}]},
    "prefix alone": {"issuers": [ISSUER | {"prefix": "x"}]},
    "introspection without endpoint": {"issuers": [ISSUER | {"introspection": {}}]},
    "unknown claims": {"issuers": [ISSUER | {"claims": {"role": "r"}}]},
    "no token types": {"issuers": [ISSUER | {"token_types": []}]},
    "role is a text": {"roles": {"a": "read"}},
    "unknown key of a role": {"roles": {"a": {"permission": []}}},
    "a key without a path": {"routes": {"GET": "deny"}},
    "a path without a slash": {"routes": {"a": "deny"}},
    "a role as a word": {"routes": {"/a": "viewer"}},
    "an empty list": {"routes": {"/a": []}},
    "an empty table": {"routes": {"/a": {}}},
    "public inside": {"routes": {"/a": {"any": ["public"]}}},
    "several in not": {"routes": {"/a": {"not": [["a"], ["b"]]}}},
    "an empty any": {"routes": {"/a": {"any": []}}},
    "max_age below 0": {"routes": {"/a": {"max_age": -1}}},
    "a repeated role": {"routes": {"/a": ["a", "a"]}},
    "forbid of nothing": {"forbid": {"x": {}}},
    "forbid by scopes": {"forbid": {"x": {"scopes": ["a"]}}},
    "a test of nothing": {"tests": [{"as": "anonymous"}]},
    "a test by nobody": {"tests": [{"allow": ["/a"]}]},
    "a test by a name": {"tests": [{"as": "ann", "deny": ["/a"]}]},
    "unknown key of a test": {"tests": [{"as": "anonymous", "deny": ["/a"], "then": 1}]},
}


@pytest.mark.parametrize("policy", BOTH.values(), ids=BOTH)
def test_both_refuse(policy: dict[str, Any]) -> None:
    whole = {"issuers": [ISSUER], "roles": {"a": [], "b": []}} | policy
    with pytest.raises(PolicyError):
        settings.load(Document.from_mapping(whole))
    assert not VALIDATOR.is_valid(whole)


def test_the_schema_refuses_a_good_part_of_all_mistakes() -> None:
    """A schema cannot know the names in a policy; it can know types, keys and words."""
    refused = [name for name, each in DOCUMENTS.items() if not VALIDATOR.is_valid(each)]
    assert len(refused) > len(DOCUMENTS) / 3


@pytest.mark.parametrize("word", ["${A_}", "x${A_}"])
def test_references_to_the_environment_are_valid(word: str) -> None:
    policy = {"default": word, "realm": word, "routes": {word: word}, "preflight": word}
    assert [*VALIDATOR.iter_errors(policy)] == []


def test_json_may_name_its_schema(tmp_path: Path) -> None:
    file = tmp_path / "authz.json"
    whole = {"$schema": "./policy.schema.json", "issuers": [ISSUER]}
    file.write_text(json.dumps(whole))
    assert settings.load(Document.read(file)).issuers
    assert VALIDATOR.is_valid(whole)
    with pytest.raises(PolicyError, match=r"`\"\$schema\"` is not a key of the top level"):
        settings.load(Document.from_mapping(whole))  # which no editor reads
