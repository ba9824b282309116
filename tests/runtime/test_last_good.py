"""The file of last good keys: what is believed, what is written, and who may write it."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware import Authz
from authz_middleware.runtime import last_good as module
from authz_middleware.runtime.fetch import MAX_BYTES
from authz_middleware.runtime.keys import RemoteKeys
from authz_middleware.runtime.last_good import FileUnusable, LastGood
from authz_middleware.tokens.freshness import MAX_AGE, STALE_LIMIT, Limits
from authz_middleware.tokens.issuers import Discovery, JwksUri
from authz_middleware.tokens.key_sources import KeyCache
from authz_middleware.tokens.keys import KeysUnusable, from_jwks
from tests.runtime.asking import ask, became, kids, policy, renew, request, table
from tests.runtime.provider import APPENDED, JWKS, Clock, Provider, answer
from tests.tokens.minting import ISSUER, NOW, jwk, mint, private_key

A, B = jwk("RS256", 0, kid="a"), jwk("RS256", 1, kid="b")
SET = {"keys": [A]}
URL = "https://login.example.com/jwks"

posix = pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")


@pytest.fixture
def file(tmp_path: Path) -> LastGood:
    return LastGood(tmp_path / "last-good.json", ISSUER, URL)


def refused(file: LastGood, now: float = NOW) -> str:
    with pytest.raises(FileUnusable) as reason:
        file.load(now)
    return str(reason.value)


def content(**members: Any) -> str:
    whole = {"issuer": ISSUER, "source": URL, "fetched_at": NOW - 60, "keys": [A]} | members
    return json.dumps({name: value for name, value in whole.items() if value is not ...})


def write(file: LastGood, text: str | bytes) -> None:
    file.path.write_bytes(text if isinstance(text, bytes) else text.encode())
    file.path.chmod(0o600)


def test_what_was_saved_is_found(file: LastGood) -> None:
    assert file.load(NOW) is None
    file.save(SET, NOW - 0.5)
    assert file.load(NOW) == (from_jwks(SET), NOW - 1)  # whole seconds, never younger
    file.save({"keys": [A, B]}, NOW)
    assert file.load(NOW) == (from_jwks({"keys": [A, B]}), NOW)
    assert [each.name for each in file.path.parent.iterdir()] == ["last-good.json"]


@posix
def test_it_is_ours_alone(file: LastGood) -> None:
    before = os.umask(0)
    try:
        file.save(SET, NOW)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_only_public_members_are_written(file: LastGood) -> None:
    private = A | {"d": "AQAB", "p": "AQAB", "x5c": ["..."], "note": "hunter2"}
    shared = A | {"issuer": f"{ISSUER}/{{tenantid}}"}  # whose key it is must not be lost
    file.save({"keys": [shared]}, NOW)
    assert file.load(NOW) == (from_jwks({"keys": [shared]}), NOW)
    file.save({"keys": [private, 5, {"kty": "XX", "k": "secret"}], "note": "hunter2"}, NOW)
    text = file.path.read_text()
    assert json.loads(text)["keys"] == [A, {"kty": "XX"}]
    assert "hunter2" not in text
    assert "secret" not in text


MEMBERS = st.dictionaries(
    st.sampled_from([*module._PUBLIC, "d", "k", "x5c"]),
    st.sampled_from(["RSA", "EC", "oct", "sig", "enc", "AQAB", "", 5, None, ["verify"], ["sign"]]),
)


@given(st.lists(st.one_of(MEMBERS, st.builds(lambda more: {**A, **more}, MEMBERS), st.none())))
def test_a_key_is_worth_the_same_from_the_file(tmp_path_factory, entries: list[Any]) -> None:
    """Nothing that is left out makes a key usable that was not."""
    document = {"keys": entries}
    try:
        keys = from_jwks(document)
    except KeysUnusable:
        return  # never saved
    file = LastGood(tmp_path_factory.mktemp("file") / "x.json", ISSUER, URL)
    file.save(document, NOW)
    assert file.load(NOW) == (keys, NOW)


BROKEN = [
    pytest.param(b"", "not strict JSON", id="empty"),
    pytest.param(content()[:-1], "not strict JSON", id="cut off"),
    pytest.param(b"\xff", "not strict JSON", id="not UTF-8"),
    pytest.param('{"keys": [], "keys": []}', "not strict JSON", id="duplicate members"),
    pytest.param("[]", "is not an object with a list", id="a list"),
    pytest.param(content(keys=[]), "holds no keys", id="D11 no keys"),
    pytest.param(content(keys=[{"kty": "XX"}]), "holds no usable key", id="D11 no usable key"),
    pytest.param(content(keys=[jwk("HS256")]), "holds no usable key", id="a secret"),
    pytest.param(content(issuer="https://evil.example"), "another issuer", id="another issuer"),
    pytest.param(content(issuer=f"{ISSUER}/"), "another issuer", id="a slash more"),
    pytest.param(content(source="discovery"), "another issuer or source", id="another source"),
    pytest.param(content(source=...), "another issuer or source", id="no source"),
    pytest.param(content(fetched_at=NOW + 1), "its time", id="from the future"),
    pytest.param(content(fetched_at=-1), "its time", id="before all time"),
    pytest.param(content(fetched_at="1"), "its time", id="a text for a time"),
    pytest.param(content(fetched_at=True), "its time", id="a boolean for a time"),
    pytest.param(content(fetched_at=...), "its time", id="no time"),
    pytest.param(content(x=" " * MAX_BYTES), "larger than 1048576 bytes", id="too large"),
]


@pytest.mark.parametrize(("text", "reason"), BROKEN)
def test_a_broken_file_is_not_believed(file: LastGood, text: str | bytes, reason: str) -> None:
    write(file, text)
    assert reason in refused(file)


@posix
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666, 0o777])
def test_a_file_that_others_may_write_is_not_believed(file: LastGood, mode: int) -> None:
    """Who writes it chooses the keys."""
    write(file, content())
    file.path.chmod(mode)
    assert refused(file) == "others may write it: chmod go-w"
    file.path.chmod(0o644)
    assert file.load(NOW) is not None


@posix
def test_a_file_of_somebody_else_is_not_believed(file: LastGood, monkeypatch) -> None:
    write(file, content())
    owner = file.path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    if owner == 0:
        assert file.load(NOW) is not None  # root may write anything anyway
        os.chown(file.path, 12345, -1)
    assert refused(file) == "it belongs to another user"


@posix
def test_a_link_and_a_pipe_are_not_believed(file: LastGood, tmp_path: Path) -> None:
    target = LastGood(tmp_path / "target.json", ISSUER, URL)
    write(target, content())
    file.path.symlink_to(target.path)
    assert refused(file)
    file.path.unlink()
    os.mkfifo(file.path, 0o600)
    assert refused(file) == "not a regular file"  # and nobody waits for its other end


def test_what_cannot_be_written_leaves_the_old_one(file: LastGood, monkeypatch) -> None:
    file.save(SET, NOW)
    before = file.path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileUnusable, match="No space left"):
        file.save({"keys": [B]}, NOW)
    assert file.path.read_bytes() == before
    assert len(list(file.path.parent.iterdir())) == 1
    monkeypatch.undo()
    with pytest.raises(FileUnusable, match="larger than"):
        file.save({"keys": [A | {"kid": "x" * MAX_BYTES}]}, NOW)
    with pytest.raises(FileUnusable):
        LastGood(file.path.parent / "gone" / "x.json", ISSUER, URL).save(SET, NOW)


# In use


def source_of(provider: Provider, clock: Clock, file: Path, **limits: float) -> RemoteKeys:
    cache = KeyCache(Limits(**limits), str(file))
    return RemoteKeys(JwksUri(ISSUER, f"{provider.origin}{JWKS}", cache), clock)


@pytest.fixture
def saved(provider: Provider, clock: Clock, tmp_path: Path) -> Path:
    """Return a file that an earlier process has left; the provider is down by now."""
    file = tmp_path / "keys.json"
    provider.publish(A)
    source = source_of(provider, clock, file)
    source._start = lambda work: work()  # it is written after the flight has landed
    renew(source)
    provider.at[JWKS] = answer(b"", 503)
    provider.asked.clear()
    return file


def test_a_restart_in_an_outage_serves_at_once(
    provider: Provider, clock: Clock, saved: Path
) -> None:
    clock.now += MAX_AGE
    source = source_of(provider, clock, saved)
    assert kids(source, clock) == ["a"]
    assert source.readiness(ISSUER, clock()).ready


def test_what_is_older_is_used_only_if_the_provider_is_out_of_reach(
    provider: Provider, clock: Clock, saved: Path
) -> None:
    clock.now += MAX_AGE + 1
    source = source_of(provider, clock, saved)
    assert source.view(clock()).keys is None
    renew(source)
    assert kids(source, clock) == ["a"]
    provider.publish(B)
    fresh = source_of(provider, clock, saved)
    renew(fresh)
    assert kids(fresh, clock) == ["b"]


def test_never_beyond_the_stale_limit(provider: Provider, clock: Clock, saved: Path) -> None:
    clock.now += STALE_LIMIT + 1
    source = source_of(provider, clock, saved)
    renew(source)
    assert kids(source, clock) is None
    assert not source.readiness(ISSUER, clock()).ready


def test_an_unknown_key_beside_keys_from_a_file_is_nobodys_fault(
    provider: Provider, clock: Clock, saved: Path, tmp_path: Path
) -> None:
    entry = table(jwks_uri=f"{provider.origin}{JWKS}", jwks_cache={"file": str(saved)})
    authz = Authz.from_mapping(policy(entry), clock=clock)

    def token(kid: str, number: int) -> str:
        return mint({"kid": kid}, algorithm="RS256", key=private_key("RS256", number))

    assert became(ask(authz, request(token=token("a", 0)))) == "in"
    assert became(ask(authz, request(token=token("b", 1)))) == "keys_unavailable"
    assert became(ask(authz, request(token=token("a", 1)))) == "invalid_token"


def test_a_broken_file_is_told_and_stops_nothing(
    provider: Provider, clock: Clock, tmp_path: Path, caplog
) -> None:
    file = tmp_path / "keys.json"
    file.write_text("{")
    file.chmod(0o600)
    source = source_of(provider, clock, file)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage().startswith(f"keys of {ISSUER} not read from file: not strict JSON")
    provider.publish(A)
    renew(source)
    assert kids(source, clock) == ["a"]


def test_a_file_that_cannot_be_written_is_told_and_stops_nothing(
    provider: Provider, clock: Clock, tmp_path: Path, caplog
) -> None:
    source = source_of(provider, clock, tmp_path / "gone" / "keys.json")
    provider.publish(A)
    source._start = lambda work: work()
    renew(source)
    assert kids(source, clock) == ["a"]
    (record,) = caplog.records
    assert record.getMessage().startswith(f"keys of {ISSUER} not saved: ")


def test_a_disk_that_hangs_is_written_to_once(
    provider: Provider, clock: Clock, tmp_path: Path
) -> None:
    file = tmp_path / "keys.json"
    source = source_of(provider, clock, file)
    source._start = lambda work: work()
    source._saving_pid = os.getpid()  # another thread does
    provider.publish(A)
    renew(source)
    assert kids(source, clock) == ["a"]
    assert not file.exists()


def test_the_file_is_of_the_policys_directory(
    provider: Provider, clock: Clock, tmp_path: Path
) -> None:
    provider.publish(A)
    provider.at[APPENDED] = answer(
        {"issuer": provider.origin, "jwks_uri": f"{provider.origin}{JWKS}"}
    )
    config = Discovery(provider.origin, KeyCache(file="keys.json"))
    source = RemoteKeys(config, clock, directory=tmp_path, start=lambda work: work())
    renew(source)
    found = json.loads((tmp_path / "keys.json").read_text())
    assert (found["issuer"], found["source"]) == (provider.origin, "discovery")
