"""gunicorn --preload: what was made before the fork works after it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from threading import Event

import pytest

from tests.runtime.provider import JWKS, Provider, gated
from tests.tokens.minting import jwk

SCRIPT = Path(__file__).with_name("forking.py")
A, B = jwk("ES256", kid="a"), jwk("ES256", kid="b")


def start(scenario: str, provider: Provider) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), scenario, f"{provider.origin}{JWKS}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def say(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{word}\n")
    process.stdin.flush()


def hear(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["in flight", "lock held"])
def test_a_worker_fetches_for_itself(provider: Provider, scenario: str) -> None:
    """The parent's flight never lands in the child, and nobody there would free a lock."""
    gate, reached = Event(), Event()
    provider.publish(A)
    at_once = provider.at[JWKS]
    provider.at[JWKS] = gated(gate, reached, at_once)
    with start(scenario, provider) as process:
        assert reached.wait(30)
        provider.at[JWKS] = at_once
        say(process, "fork")
        assert hear(process) == "child a"
        gate.set()
        assert hear(process) == "parent a"
    assert process.returncode == 0
    assert provider.fetched() == 2


@pytest.mark.slow
def test_a_worker_inherits_keys_and_renews_them(provider: Provider) -> None:
    provider.publish(A)
    with start("landed", provider) as process:
        assert hear(process) == "parent a"
        provider.publish(B)
        say(process, "fork")
        assert hear(process) == "child a"  # nothing was asked for yet
        assert hear(process) == "child b"
    assert process.returncode == 0
    assert provider.fetched() == 2
