"""When a file has changed: after how many looks, and on whose thread."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from authz_middleware import Authz
from authz_middleware.runtime import watch as module
from authz_middleware.runtime.watch import Watch
from tests.runtime.asking import became, policy, request, table
from tests.runtime.provider import Clock
from tests.tokens.minting import jwk, mint

OPEN, CLOSED = {"GET /me": "authenticated"}, {"GET /me": "deny"}


class World:
    """A policy of two files, and a watch whose thread is the test."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self.file = directory / "authz.json"
        self.keys = directory / "keys.json"
        self.keys.write_text(json.dumps({"keys": [jwk("ES256", kid="a")]}))
        self.write(OPEN)
        self.authz = Authz.from_file(self.file, clock=clock)
        self.started: list[Callable[[], None]] = []
        self.watch = Watch(self.authz.in_force, 5, self.started.append)

    def write(self, routes: Any) -> None:
        self.file.write_text(json.dumps(policy(table(jwks_file="keys.json"), routes=routes)))

    def look(self, times: int = 1) -> int:
        for _ in range(times):
            self.watch.look()
        return self.authz.serving.generation

    def asked(self) -> str:
        return became(self.authz.serving.outcome(*request(token=mint())))


@pytest.fixture
def world(tmp_path: Path, clock: Clock) -> World:
    return World(tmp_path, clock)


def test_nothing_is_done_while_nothing_changes(world: World) -> None:
    assert world.look(3) == 1


def test_a_change_counts_when_it_has_come_to_rest(world: World) -> None:
    """Half a policy may be one, without the rules that stand last."""
    world.write(CLOSED)
    assert world.look() == 1
    world.write({**CLOSED, "GET /you": ["viewer"]})
    assert world.look() == 1
    assert world.look() == 2
    assert world.asked() == "denied_by_rule"
    assert world.look(3) == 2


def test_files_that_the_policy_names_count(world: World) -> None:
    assert world.asked() == "in"
    world.keys.write_text(json.dumps({"keys": [jwk("ES256", 1, kid="a")]}))
    assert world.look(2) == 2
    assert world.asked() == "invalid_token"


@pytest.mark.parametrize("text", [None, "", "{", "{}"], ids=["vanished", "empty", "half", "hollow"])
def test_what_is_broken_is_tried_once_and_changes_nothing(
    world: World, caplog: pytest.LogCaptureFixture, text: str | None
) -> None:
    if text is None:
        world.file.unlink()
    else:
        world.file.write_text(text)
    assert world.look(6) == 1
    assert [each.levelname for each in caplog.records] == ["CRITICAL"]
    assert world.asked() == "in"
    world.write(CLOSED)
    assert world.look(6) == 2
    assert [each.levelname for each in caplog.records] == ["CRITICAL", "WARNING"]


def test_what_a_broken_policy_lacks_is_waited_for(world: World) -> None:
    """A file that comes later than the policy that names it."""
    text = world.file.read_text()
    world.file.write_text(text.replace("keys.json", "more.json"))
    assert world.look(4) == 1
    world.keys.rename(world.keys.with_name("more.json"))
    assert world.look(4) == 2
    assert world.asked() == "in"


def test_it_is_woken_by_a_request_and_ends_with_its_policy(
    world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Callable[[], None]] = []
    waited: list[float] = []
    monkeypatch.setattr(module, "_on_a_thread", started.append)
    authz = Authz.from_file(world.file, clock=clock, watch=2.5)
    authz.readiness()
    authz.reload()
    assert started == []  # nothing that a fork would meet
    for _ in range(3):
        assert became(authz.serving.outcome(*request(token=mint()))) == "in"
    (run,) = started

    class Pause:
        def wait(self, seconds: float) -> None:
            waited.append(seconds)
            match len(waited):
                case 1:
                    world.write(CLOSED)
                case 3:
                    assert authz.serving.generation == 3
                    forget()

    def forget() -> None:
        nonlocal authz
        del authz
        gc.collect()

    monkeypatch.setattr(module, "Event", Pause)
    run()
    assert waited == [2.5] * 3


def test_a_child_begins_anew(world: World) -> None:
    world.watch.wake()
    world.watch.wake()
    assert len(world.started) == 1
    world.watch._lock.acquire()
    world.watch.renew()
    assert world.watch.asleep
    world.watch.wake()
    assert len(world.started) == 2


def test_no_thread_is_no_outage(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(module, "_on_a_thread", fail)
    authz = Authz.from_file(world.file, watch=2)
    for _ in range(2):
        assert became(authz.serving.outcome(*request())) == "no_credentials"
    assert caplog.messages == ["the policy is not watched: can't start new thread"]


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan"), True, "5"])
def test_seconds_are_a_number(world: World, seconds: Any) -> None:
    with pytest.raises(TypeError, match="watch must be a number of seconds, above 0"):
        Authz.from_file(world.file, watch=seconds)
