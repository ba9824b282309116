from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from authz_middleware.document import Document, Report, Section
from authz_middleware.errors import PolicyError
from authz_middleware.tokens import issuers
from authz_middleware.tokens.claim_paths import ClaimPaths
from authz_middleware.tokens.freshness import Limits
from authz_middleware.tokens.issuers import (
    ASYMMETRIC,
    Discovery,
    Issuer,
    JwksUri,
    StaticKeys,
    secure_url,
)
from authz_middleware.tokens.key_sources import KeyCache
from tests.tokens.minting import SECRET, jwk, pem, private_key, public_key

ISSUER = "https://login.example.com"
BASE: dict[str, Any] = {"issuer": ISSUER, "audience": ["orders"]}
JWKS = {"keys": [jwk("ES256", kid="a")]}
FILES: dict[str, bytes] = {
    "keys.json": json.dumps(JWKS).encode(),
    "twice.json": b'{"keys":[],"keys":[]}',
    "list.json": b"[]",
    "key.pem": pem("RS256"),
    "secret": SECRET,
    "secret.txt": SECRET.hex().encode() + b"\r\n",
    "secret.bin": SECRET + b"\xff\n",
    "weak": b"hunter2\n",
}
ENVIRON = {"KEY": SECRET.hex(), "EMPTY": "", "SHORT": "abc", "BYTES": "\udcff" + SECRET.hex()}


def read_file(name: str) -> bytes:
    if "\0" in name:
        raise ValueError("embedded null byte")
    if name not in FILES:
        raise FileNotFoundError(2, "No such file or directory", name)
    return FILES[name]


def load_all(document: Document) -> tuple[Issuer, ...]:
    report = Report(document)
    found = issuers.load(
        Section.top(report).tables("issuers"), read_file=read_file, environ=ENVIRON
    )
    report.raise_if_any()
    return found


def load(**keys: Any) -> Issuer:
    table = {name: value for name, value in (BASE | keys).items() if value is not ...}
    (issuer,) = load_all(Document.from_mapping({"issuers": [table]}))
    return issuer


def problems(**keys: Any) -> list[str]:
    with pytest.raises(PolicyError) as refused:
        load(**keys)
    return [str(problem) for problem in refused.value.problems]


def test_defaults() -> None:
    issuer = load()
    assert issuer.issuer == ISSUER
    assert issuer.audience == {"orders"}
    assert issuer.source == Discovery(ISSUER)
    assert issuer.algorithms == ASYMMETRIC - {"ES256K"}
    assert issuer.token_types == {"at+jwt"}
    assert issuer.leeway == 30
    assert issuer.claims == ClaimPaths()
    assert (issuer.role_map, issuer.grants, issuer.max_lifetime) == (None, None, None)
    assert issuer.required_claims == ()


def test_everything_written_out() -> None:
    issuer = load(
        audience="orders",
        jwks_uri="https://keys.example.com/jwks",
        algorithms=["RS256", "ES256K"],
        token_types=["application/AT+JWT", "JWT", ""],
        leeway=0,
        claims={
            "roles": "realm_access.roles",
            "permissions": ["permissions", '"https://x/p"'],
            "scopes": [],
            "subject": "user.id",
        },
        role_map={"grp-42": "admin"},
        grants=["admin"],
        required_claims=["jti"],
        max_lifetime=3600,
    )
    assert issuer.audience == {"orders"}
    assert issuer.source == JwksUri(ISSUER, "https://keys.example.com/jwks")
    assert issuer.algorithms == {"RS256", "ES256K"}
    assert issuer.token_types == {"at+jwt", "jwt", ""}
    assert issuer.leeway == 0
    assert issuer.claims == ClaimPaths(
        roles=(("realm_access", "roles"),),
        permissions=(("permissions",), ("https://x/p",)),
        scopes=(),
        subject=("user", "id"),
    )
    assert issuer.role_map == {"grp-42": "admin"}
    assert issuer.grants == frozenset({"admin"})
    assert issuer.required_claims == ("jti",)
    assert issuer.max_lifetime == 3600


def static(**keys: Any) -> Any:
    source = load(**keys).source
    assert isinstance(source, StaticKeys)
    return source.keys.keys[0].key


class TestKeys:
    def test_public_keys(self) -> None:
        assert static(jwks=JWKS) == public_key("ES256")
        assert static(jwks_file="keys.json") == public_key("ES256")
        assert static(public_key_file="key.pem") == public_key("RS256")

    def test_secrets(self) -> None:
        assert static(secret_file="secret") == SECRET
        assert static(secret_env="KEY") == SECRET.hex().encode()
        assert load(secret_env="KEY").algorithms == {"HS256"}
        assert load(secret_env="KEY", algorithms=["HS512"]).algorithms == {"HS512"}

    def test_the_line_end_of_a_text_file_is_not_part_of_the_secret(self) -> None:
        assert static(secret_file="secret.txt") == SECRET.hex().encode()
        assert static(secret_file="secret.bin") == SECRET + b"\xff\n"

    def test_an_environment_variable_that_is_not_utf8(self) -> None:
        assert static(secret_env="BYTES") == b"\xff" + SECRET.hex().encode()

    def test_a_secret_shows_nowhere(self) -> None:
        assert SECRET.hex() not in repr(load(secret_env="KEY"))


def test_a_secret_in_the_place_of_its_name_is_not_repeated() -> None:
    with pytest.raises(PolicyError) as error:
        load(secret_env="s3cr3t-" + SECRET.hex())
    assert "write the name of the variable" in str(error.value)
    assert SECRET.hex() not in str(error.value)


def test_a_secret_that_a_reference_put_there_is_not_repeated(monkeypatch) -> None:
    """`secret_env = "${SIGNING}"`: many a secret looks like the name of a variable."""
    secret = "s" + SECRET.hex()
    monkeypatch.setitem(ENVIRON, "SIGNING", secret)
    (problem,) = problems(secret_env=secret)
    assert "write the name of the variable" in problem
    assert SECRET.hex() not in problem


def test_the_name_of_the_variable_may_come_from_another(monkeypatch) -> None:
    monkeypatch.setitem(ENVIRON, "WHICH", "KEY")
    assert static(secret_env="KEY") == SECRET.hex().encode()


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no issuer": ({"issuer": ...}, "`issuer` is missing"),
    "no audience": ({"audience": ...}, "`audience` is missing"),
    "empty issuer": ({"issuer": ""}, "`issuer` is empty"),
    "empty audience": ({"audience": []}, "`audience` is empty"),
    "an empty name in audience": ({"audience": [""]}, "empty string"),
    "unknown key": ({"audiance": "x"}, "did you mean `audience`?"),
    "dpop": ({"dpop": True}, "`dpop` is not supported in this version"),
    "two sources": ({"jwks": JWKS, "jwks_uri": "https://x/"}, "`jwks` beside `jwks_uri`"),
    "http to a key server": ({"jwks_uri": "http://keys.example.com/"}, "use https"),
    "http to an issuer": ({"issuer": "http://login.example.com"}, "use https"),
    "an issuer that is no URL": ({"issuer": "login"}, "keys are to be discovered there"),
    "an issuer with a query": ({"issuer": "https://x/?a"}, "`issuer` has a query"),
    "a user in a URL": ({"jwks_uri": "https://a:b@x/"}, "a user name or a fragment"),
    "a fragment": ({"jwks_uri": "https://x/#"}, "a user name or a fragment"),
    "no host": ({"jwks_uri": "https:///x"}, "with a host"),
    "a file URL": ({"jwks_uri": "file:///etc/passwd"}, "with a host"),
    "a port that is no number": ({"jwks_uri": "https://x:y/"}, "is not a URL"),
    "half an address": ({"jwks_uri": "https://[::1/"}, "is not a URL"),
    "a line break in a URL": ({"jwks_uri": "https://x/\n"}, "characters"),
    "a backslash in a URL": ({"jwks_uri": "https://x\\@y/"}, "characters"),
    "jwks_uri is a number": ({"jwks_uri": 1}, "must be a string"),
    "jwks is a list": ({"jwks": []}, "must be a table"),
    "jwks without keys": ({"jwks": {}}, "`jwks` is not an object with a list of `keys`"),
    "K08 a secret in jwks": ({"jwks": {"keys": [jwk("HS256")]}}, "no place for one"),
    "jwks_file is missing": ({"jwks_file": "none.json"}, "No such file"),
    "jwks_file with a NUL": ({"jwks_file": "a\0"}, "not a file name"),
    "jwks_file is a number": ({"jwks_file": 1}, "must be a string"),
    "jwks_file with equal names": ({"jwks_file": "twice.json"}, "duplicate_member"),
    "jwks_file is a list": ({"jwks_file": "list.json"}, "`jwks_file` is not an object"),
    "jwks_file is no JSON": ({"jwks_file": "key.pem"}, "not strict JSON"),
    "public_key_file is JSON": ({"public_key_file": "keys.json"}, "0 PEM blocks"),
    "P04 secret_file is a PEM": ({"secret_file": "key.pem"}, "is a PEM key"),
    "K09 secret_file is weak": ({"secret_file": "weak"}, "at least 32"),
    "secret_env is not set": ({"secret_env": "NOPE"}, "NOPE is not set"),
    "CVE-2026-44351 secret_env is empty": ({"secret_env": "EMPTY"}, "EMPTY is not set, or empty"),
    "secret_env is short": ({"secret_env": "SHORT"}, "has 3 bytes"),
    "no algorithms": ({"algorithms": []}, "`algorithms` is empty"),
    "S06 none": ({"algorithms": ["none"]}, "never accepted"),
    "S05 lower case": ({"algorithms": ["es256"]}, "did you mean ES256?"),
    "K20 ES521": ({"algorithms": ["ES521"]}, '"ES521" is no algorithm we verify'),
    "an algorithm for encryption": ({"algorithms": ["dir"]}, "known algorithms: HS256"),
    "P04 both kinds": ({"algorithms": ["HS256", "RS256"]}, "HS256 (secret) beside RS256"),
    "HMAC without a secret": ({"algorithms": ["HS256"]}, "HS256 needs a secret"),
    "a secret without HMAC": (
        {"secret_env": "KEY", "algorithms": ["RS256"]},
        "RS256 cannot be verified with a secret",
    ),
    "keys for another algorithm": (
        {"jwks": JWKS, "algorithms": ["RS256"]},
        "its keys can verify ES256",
    ),
    "no token types": ({"token_types": []}, "`token_types` is empty"),
    "leeway below 0": ({"leeway": -1}, "from 0 to 300 seconds"),
    "leeway above 300": ({"leeway": 301}, "from 0 to 300 seconds"),
    "leeway is nan": ({"leeway": float("nan")}, "not a finite number"),
    "leeway is true": ({"leeway": True}, "must be a number"),
    "max_lifetime of 0": ({"max_lifetime": 0}, "above 0"),
    "max_lifetime without end": ({"max_lifetime": float("inf")}, "not a finite number"),
    "claims is a string": ({"claims": "roles"}, "must be a table"),
    "unknown claims key": ({"claims": {"role": "r"}}, "did you mean `roles`?"),
    "a claim path that is a URL": ({"claims": {"roles": "https://x/r"}}, "quotes of its own"),
    "a subject that is a list": ({"claims": {"subject": ["sub"]}}, "must be a string"),
    "a subject path that is broken": ({"claims": {"subject": "a."}}, "a name is missing"),
    "role_map is a list": ({"role_map": []}, "must be a table"),
    "role_map to a number": ({"role_map": {"a": 1}}, "must be a string"),
    "grants is a string": ({"grants": "admin"}, "must be a list of strings"),
    "grants of all and some": ({"grants": ["*", "admin"]}, "stands for all roles"),
}


@pytest.mark.parametrize(("keys", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_at_load(keys: dict[str, Any], message: str) -> None:
    found = problems(**keys)
    assert any(message in problem for problem in found), found
    assert len(found) == 1, found


def test_a_secret_must_be_long_enough_for_each_algorithm(monkeypatch: pytest.MonkeyPatch) -> None:
    """K09."""
    monkeypatch.setitem(FILES, "secret", SECRET[:32])
    (problem,) = problems(secret_file="secret", algorithms=["HS256", "HS512"])
    assert "too short for HS512; use at least 64 random bytes" in problem


def test_a_private_key_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = private_key("ES256").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    monkeypatch.setitem(FILES, "key.pem", data)
    (problem,) = problems(public_key_file="key.pem")
    assert "private key" in problem


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8080/",
        "http://LOCALHOST",
        "http://127.8.9.1/x",
        "http://[::1]:1/",
        "https://x",
    ],
)
def test_urls_to_fetch_from(url: str) -> None:
    """D04: https, or loopback."""
    assert secure_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost.evil.example/",
        "http://127.0.0.1.evil.example/",
        "http://10.0.0.1/",
        "",
        "x",
    ],
)
def test_urls_not_to_fetch_from(url: str) -> None:
    assert not secure_url(url)


def two(**second: Any) -> list[dict[str, Any]]:
    return [BASE | {"grants": ["viewer"]}, BASE | {"issuer": "https://b", "grants": ["*"]} | second]


def test_several_issuers() -> None:
    first, second = load_all(Document.from_mapping({"issuers": two()}))
    assert first.grants == frozenset({"viewer"})
    assert second.grants is None


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        pytest.param([BASE, BASE | {"issuer": "https://b"}], "each needs `grants`", id="no grants"),
        pytest.param(two(issuer=ISSUER), "this issuer is listed twice", id="twice"),
        pytest.param([*two(), {"audience": "x", "grants": []}], "is missing", id="one broken"),
        pytest.param(two(grants="*"), "a list of strings", id="grants of the wrong type"),
    ],
)
def test_several_issuers_refused(tables: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        load_all(Document.from_mapping({"issuers": tables}))


def test_no_issuer_with_a_mistake_is_returned() -> None:
    report = Report(Document.from_mapping({"issuers": [BASE | {"leeway": 900}, *two()]}))
    sections = Section.top(report).tables("issuers")
    found = issuers.load(sections, read_file=read_file, environ=ENVIRON)
    assert [issuer.issuer for issuer in found] == ["https://b"]


def test_mistakes_are_placed_in_the_text(tmp_path: Path) -> None:
    file = tmp_path / "authz.toml"
    file.write_text(
        '[[issuers]]\nissuer = "http://x"\naudience = "a"\nclaims = { roles = "https://r" }\n'
    )
    with pytest.raises(PolicyError) as refused:
        load_all(Document.read(file))
    places = [problem.where.rpartition("authz.toml")[2] for problem in refused.value.problems]
    assert places == [":2:1", ":4:12"]


# The cache of fetched keys

CACHES = [
    pytest.param({}, KeyCache(Limits(3600, 86400)), id="nothing"),
    pytest.param({"max_age": 600}, KeyCache(Limits(600, 86400)), id="age"),
    pytest.param({"max_age": 60, "stale_limit": 60}, KeyCache(Limits(60, 60)), id="no outage"),
    pytest.param({"max_age": 100_000}, KeyCache(Limits(100_000, 100_000)), id="long"),
    pytest.param(
        {"max_age": 604_800, "stale_limit": 604_800.0, "file": "keys.json"},
        KeyCache(Limits(604_800, 604_800), "keys.json"),
        id="most",
    ),
]


@pytest.mark.parametrize(("table", "cache"), CACHES)
def test_the_cache_of_fetched_keys(table: dict[str, Any], cache: KeyCache) -> None:
    url = f"{ISSUER}/jwks"
    assert load(jwks_cache=table).source == Discovery(ISSUER, cache)
    assert load(jwks_cache=table, jwks_uri=url).source == JwksUri(ISSUER, url, cache)


BAD_CACHES = [
    ("x", "`jwks_cache` must be a table, not a string"),
    ({"ttl": 5}, "`ttl` is not a key of `issuers[0].jwks_cache`"),
    ({"max_age": "1h"}, "`max_age` must be a number of seconds, not a string"),
    ({"max_age": True}, "`max_age` must be a number of seconds, not a boolean"),
    ({"max_age": 59}, "`max_age` must be from 60 to 604800 seconds"),
    ({"max_age": 604_801}, "`max_age` must be from 60 to 604800 seconds"),
    ({"stale_limit": 3599}, "`stale_limit` must be from `max_age` (3600) to 604800 seconds"),
    ({"max_age": 60, "stale_limit": 59}, "`stale_limit` must be from `max_age` (60) to"),
    ({"stale_limit": 604_801}, "to 604800 seconds; write one of these: for so long keys serve"),
    ({"file": ""}, "`file` is empty"),
    ({"file": 5}, "`file` must be a string"),
    ({"file": "a\0b"}, "`file` is not a file name"),
]


@pytest.mark.parametrize(("cache", "message"), BAD_CACHES, ids=str)
def test_a_cache_that_is_none(cache: Any, message: str) -> None:
    (problem,) = problems(jwks_cache=cache)
    assert problem.startswith("issuers[0].jwks_cache")
    assert message in problem


@pytest.mark.parametrize(
    "source", [{"jwks": JWKS}, {"jwks_file": "keys.json"}, {"public_key_file": "key.pem"}], ids=str
)
def test_keys_that_are_not_fetched_have_no_cache(source: dict[str, Any]) -> None:
    (problem,) = problems(**source, jwks_cache={})
    assert "are not fetched; leave it out" in problem
