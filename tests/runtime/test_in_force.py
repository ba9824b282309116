"""One policy takes the place of another while requests are served."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from werkzeug.routing import Map, Rule

from authz_middleware import Authz, PolicyError
from authz_middleware.document import Document
from authz_middleware.document.files import Files
from authz_middleware.facts import PolicyReadiness
from authz_middleware.observe.log import LOGGER
from authz_middleware.runtime.guarded import Guarded
from authz_middleware.tokens.freshness import STALE_LIMIT
from tests.runtime.asking import became, policy, remote, request, table
from tests.runtime.provider import JWKS, Clock, Provider, answer, gated
from tests.tokens.minting import jwk, mint

KEYS = {"keys": [jwk("ES256", kid="a")]}
OPEN, CLOSED = {"GET /me": "authenticated"}, {"GET /me": "deny"}


def write(file: Path, routes: Any, *issuers: Any, **top: Any) -> None:
    file.write_text(json.dumps(policy(*issuers, routes=routes, **top)))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "authz.json"
    write(path, OPEN)
    return path


@pytest.fixture
def authz(file: Path, clock: Clock) -> Authz:
    return Authz.from_file(file, clock=clock)


def asked(authz: Authz, path: str = "/me") -> str:
    return became(authz.serving.outcome(*request(path, token=mint())))


def test_a_policy_takes_the_place_of_another(
    authz: Authz, file: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    began = authz.serving
    assert authz.readiness().policy == PolicyReadiness(1, 0, "none")
    write(file, CLOSED)
    clock.now += 10
    assert authz.readiness().policy == PolicyReadiness(1, 10, "none")
    assert asked(authz) == "in"
    authz.reload()
    assert asked(authz) == "denied_by_rule"
    assert became(began.outcome(*request(token=mint()))) == "in"  # a request in flight
    clock.now += 5
    assert authz.readiness().policy == PolicyReadiness(2, 5, "succeeded")
    clock.now -= 60  # set back
    assert authz.warm().policy == PolicyReadiness(2, 0, "succeeded")
    assert [(each.levelname, each.getMessage()) for each in caplog.records] == [
        ("WARNING", f"the policy was reloaded: {file}, generation 2")
    ]


def test_a_token_is_verified_anew(authz: Authz, file: Path) -> None:
    """What was remembered of it is the old policy's."""
    assert asked(authz) == "in"
    write(file, OPEN, table(audience="another", jwks=KEYS))
    authz.reload()
    assert asked(authz) == "invalid_token"


def truncated(file: Path) -> None:
    text = file.read_text()
    file.write_text(text[: len(text) // 2])


def directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


def pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


BREAKING: dict[str, tuple[Callable[[Path], object], str]] = {
    "vanished": (lambda file: file.unlink(), "there is no such file"),
    "empty": (lambda file: file.write_text(""), "the file is empty"),
    "truncated": (truncated, "this is not JSON"),
    "a directory": (directory, "this is a directory"),
    "a pipe": (pipe, "this is not a regular file"),
    "half a character": (lambda file: file.write_bytes(b'{"a": "\xc3'), "the file is not UTF-8"),
    "no issuers": (lambda file: file.write_text("{}"), "no [[issuers]]"),
    "a mistake": (lambda file: write(file, {"GET /me": ["viwer"]}), "viwer"),
}


@pytest.mark.parametrize(("broken", "why"), BREAKING.values(), ids=BREAKING)
def test_what_cannot_be_served_changes_nothing(
    authz: Authz,
    file: Path,
    caplog: pytest.LogCaptureFixture,
    broken: Callable[[Path], object],
    why: str,
) -> None:
    serving = authz.serving
    broken(file)
    with pytest.raises(PolicyError) as raised:
        authz.reload()
    assert why in str(raised.value)
    assert authz.serving is serving
    assert asked(authz) == "in"
    assert authz.readiness().policy.latest_reload == "failed"
    assert authz.readiness().ready
    (record,) = caplog.records
    assert record.levelno == logging.CRITICAL
    assert "the policy was not reloaded, generation 1 stays in force:" in record.getMessage()
    assert why in record.getMessage()
    assert record.exc_info is None
    # It is mended, and goes on.
    if file.is_dir():
        file.rmdir()
    file.unlink(missing_ok=True)
    write(file, CLOSED)
    authz.reload()
    assert asked(authz) == "denied_by_rule"
    assert authz.readiness().policy.latest_reload == "succeeded"


def test_a_fault_of_ours_changes_nothing(
    authz: Authz, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RecursionError("too deep")

    monkeypatch.setattr("authz_middleware.runtime.settings.load", fail)
    with pytest.raises(RecursionError):
        authz.reload()
    assert asked(authz) == "in"
    assert authz.readiness().policy.latest_reload == "failed"
    assert caplog.records[0].exc_info is not None


def test_a_log_that_fails_hides_no_mistake(
    authz: Authz, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(LOGGER, "critical", fail)
    file.unlink()
    with pytest.raises(PolicyError):
        authz.reload()


def test_a_file_that_is_written_while_it_is_read(
    authz: Authz, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read is perhaps half of each."""
    read = Document.read

    def slowly(*arguments: Any) -> Any:
        document = read(*arguments)
        write(file, CLOSED)
        return document

    monkeypatch.setattr(Document, "read", slowly)
    with pytest.raises(PolicyError) as raised:
        authz.reload()
    assert str(raised.value) == (
        f"{file}: it was changed while it was read; reload when it is written"
    )
    assert asked(authz) == "in"


def test_the_working_directory_may_change(
    file: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a server that becomes a daemon does."""
    monkeypatch.chdir(file.parent)
    authz = Authz.from_file(file.name, clock=clock)
    monkeypatch.chdir("/")
    write(file, CLOSED)
    authz.reload()
    assert asked(authz) == "denied_by_rule"


def test_of_a_mapping_the_files_are_read_anew(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps(KEYS))
    mapping = policy(table(jwks_file="keys.json"))
    authz = Authz.from_mapping(mapping, clock=clock)
    assert asked(authz) == "in"
    mapping["routes"] = CLOSED  # it was copied
    keys.write_text(json.dumps({"keys": [jwk("ES256", 1, kid="a")]}))
    assert asked(authz) == "in"
    authz.reload()
    assert asked(authz) == "invalid_token"
    keys.unlink()
    with pytest.raises(PolicyError):
        authz.reload()
    assert asked(authz) == "invalid_token"


# Keys that are fetched


def test_keys_of_an_issuer_outlive_a_reload_in_an_outage(
    provider: Provider, file: Path, clock: Clock
) -> None:
    provider.publish(jwk("ES256", kid="a"))
    uri = f"{provider.origin}{JWKS}"
    write(file, OPEN, table(jwks_uri=uri))
    authz = Authz.from_file(file, clock=clock)
    assert asked(authz) == "in"
    provider.at[JWKS] = answer(status=500)
    (source,) = authz.serving._remote.values()
    # Other rules, another audience; other limits, which are what an outage makes one change.
    write(file, OPEN, table(jwks_uri=uri, audience=["orders", "more"]))
    authz.reload()
    assert [*authz.serving._remote.values()] == [source]
    limit = 2 * STALE_LIMIT
    write(file, OPEN, table(jwks_uri=uri, jwks_cache={"stale_limit": limit}))
    authz.reload()
    assert asked(authz) == "in"
    assert provider.fetched() == 1
    assert authz.readiness().issuers[0].usable_until == clock.now + limit


def test_a_fetch_in_flight_lands_in_the_new_policy(
    provider: Provider, file: Path, clock: Clock
) -> None:
    gate, reached = Event(), Event()
    provider.publish(jwk("ES256", kid="a"))
    provider.at[JWKS] = gated(gate, reached, provider.at[JWKS])
    write(file, OPEN, table(jwks_uri=f"{provider.origin}{JWKS}"))
    authz = Authz.from_file(file, clock=clock)
    (source,) = authz.serving._remote.values()
    flight = source.refresh()
    assert reached.wait(30)
    authz.reload()
    gate.set()
    flight.result(30)
    assert asked(authz) == "in"
    assert provider.fetched() == 1


@pytest.mark.parametrize("other", ["url", "kind"])
def test_keys_from_elsewhere_are_not_kept(
    provider: Provider, file: Path, clock: Clock, other: str
) -> None:
    """They are fetched as soon as the policy is in force, before a token needs them."""
    provider.publish(jwk("ES256", kid="a"))
    provider.at["/other"] = answer({"keys": [jwk("ES256", 1, kid="a")]})
    write(file, OPEN, table(jwks_uri=f"{provider.origin}{JWKS}"))
    authz = Authz.from_file(file, clock=clock)
    assert asked(authz) == "in"
    entry = table(jwks_uri=f"{provider.origin}/other") if other == "url" else table(jwks=KEYS)
    write(file, OPEN, entry)
    authz.reload()
    for source in authz.serving._remote.values():
        source._flight.result(30)
    assert provider.fetched("/other") == (other == "url")
    assert asked(authz) == ("invalid_token" if other == "url" else "in")


def test_a_policy_without_a_file_keeps_its_keys(provider: Provider, clock: Clock) -> None:
    provider.publish(jwk("ES256", kid="a"))
    authz = remote(provider, clock)
    assert asked(authz) == "in"
    authz.reload()
    assert asked(authz) == "in"
    assert provider.fetched() == 1


# The routes of apps


def a_map(*paths: str) -> Map:
    return Map([Rule(path, endpoint=path) for path in paths])


def test_a_strict_policy_that_leaves_a_gap_changes_nothing(authz: Authz, file: Path) -> None:
    guarded = Guarded(a_map("/me"))
    serving = authz.serving
    guarded.binding(serving)
    write(file, {"GET /you": "authenticated"}, strict=True)
    with pytest.raises(PolicyError, match="no rule covers it"):
        authz.reload()
    assert authz.serving is serving
    write(file, OPEN, strict=True)
    authz.reload()
    assert guarded.binding(authz.serving).table is guarded.binding(serving).table


def test_routes_are_laid_before_requests_come(
    authz: Authz, file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    guarded = Guarded(a_map("/me", "/you"))
    began = authz.serving
    guarded.binding(began)
    write(file, CLOSED)
    authz.reload()

    def fail(*_: object) -> None:
        raise AssertionError("on the path of a request")

    monkeypatch.setattr("authz_middleware.runtime.serving.bind", fail)
    caplog.clear()
    for serving in (authz.serving, began, authz.serving):
        guarded.binding(serving)
    # What the new policy leaves open is said, once.
    assert len(caplog.messages) == 1
    assert "no rule covers it" in caplog.messages[0]


# Threads


@pytest.mark.slow
def test_no_request_is_decided_by_halves(file: Path, clock: Clock) -> None:
    """Each policy lets in to one of two paths; none to both or neither."""
    one = {"GET /me": "authenticated", "GET /you": "deny"}
    two = {"GET /me": "deny", "GET /you": "authenticated"}
    write(file, one)
    authz = Authz.from_file(file, clock=clock)
    token, stop = mint(), Event()
    seen: set[tuple[str, str]] = set()
    generations: list[list[int]] = []

    def hammer() -> None:
        own: list[int] = []
        while not stop.is_set():
            serving = authz.serving
            own.append(serving.generation)
            seen.add(
                (
                    became(serving.outcome(*request("/me", token=token))),
                    became(serving.outcome(*request("/you", token=token))),
                )
            )
        generations.append(own)

    def turn() -> None:
        for _ in range(10):
            authz.reload()

    threads = [threading.Thread(target=hammer) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(20):
        write(file.with_suffix(".new"), two if number % 2 else one)
        file.with_suffix(".new").replace(file)
        authz.reload()
    turning = [threading.Thread(target=turn) for _ in range(3)]
    for thread in turning:
        thread.start()
    for thread in turning:
        thread.join()
    stop.set()
    for thread in threads:
        thread.join()
    assert seen == {("in", "denied_by_rule"), ("denied_by_rule", "in")}
    assert all(own == sorted(own) for own in generations)
    assert authz.serving.generation == 51  # no reload was lost


def test_a_reload_within_a_reload_is_not_undone(
    authz: Authz, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal's handler reloads on the thread that reloads; what it has read is newer."""
    read = Document.read
    interrupted: list[bool] = []

    def interrupt(*arguments: Any) -> Any:
        document = read(*arguments)
        if not interrupted:
            interrupted.append(True)
            write(file, CLOSED)
            authz.reload()
        return document

    monkeypatch.setattr(Document, "read", interrupt)
    with pytest.raises(PolicyError, match="it was changed while it was read"):
        authz.reload()
    assert asked(authz) == "denied_by_rule"
    interrupted.clear()
    monkeypatch.setattr(Files, "changed", lambda _: False)
    authz.reload()
    assert authz.serving.generation == 4
    assert asked(authz) == "denied_by_rule"
