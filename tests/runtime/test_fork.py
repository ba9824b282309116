"""gunicorn --preload: what was made before the fork works after it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from threading import Event

import pytest

from tests.runtime.asking import table
from tests.runtime.decider import EVALUATION, deciding
from tests.runtime.provider import INTROSPECT, JWKS, Provider, answer, gated, said
from tests.tokens.minting import NOW, jwk

SCRIPT = Path(__file__).with_name("forking.py")
TOKENS = Path(__file__).with_name("forking_tokens.py")
PDP = Path(__file__).with_name("forking_pdp.py")
WATCH = Path(__file__).with_name("forking_watch.py")
A, B = jwk("ES256", kid="a"), jwk("ES256", kid="b")


def start(
    scenario: str, provider: Provider, script: Path = SCRIPT, path: str = JWKS
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(script), scenario, f"{provider.origin}{path}"],
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


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["in the air", "locks held"])
def test_a_worker_asks_about_tokens_for_itself(provider: Provider, scenario: str) -> None:
    """It has its own digest key, its own locks, and waits for no thread of its parent."""
    gate, reached = Event(), Event()
    good = said(active=True, aud="orders", sub="ann", exp=NOW + 60)
    provider.at[INTROSPECT] = good
    with start(scenario, provider, TOKENS, INTROSPECT) as process:
        assert hear(process) == "parent in"
        # The question about the second token may be here already: both are answered the same.
        provider.at[INTROSPECT] = gated(gate, reached, good)
        say(process, "fork")
        assert hear(process) == "child 0 False"
        gate.set()
        assert hear(process) == "child in in in"
        say(process, "end")
        assert hear(process) == "parent in in"
    assert process.returncode == 0
    assert provider.fetched(INTROSPECT) == 5


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_worker_reloads_and_watches_for_itself(tmp_path: Path) -> None:
    """The parent's thread is not there, and nobody would free the parent's locks."""
    file = tmp_path / "authz.json"

    def write(rule: str) -> None:
        whole = {"issuers": [table(jwks={"keys": [A]})], "routes": {"GET /health": rule}}
        file.with_suffix(".new").write_text(json.dumps(whole))
        file.with_suffix(".new").replace(file)

    write("public")
    with subprocess.Popen(
        [sys.executable, str(WATCH), str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert hear(process) == "child in 2"
        write("authenticated")
        say(process, "go on")
        assert hear(process) == "child no_credentials"
    assert process.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["in flight", "lock held", "open"])
def test_a_worker_asks_decision_points_for_itself(scenario: str) -> None:
    """The parent's threads are not there, and what failed there says nothing here."""
    gate, reached, yes = Event(), Event(), {"decision": True}
    with deciding() as decider:
        decider.becomes(gated(gate, reached, answer(status=503)))
        with start(scenario, decider.provider, PDP, EVALUATION) as process:
            assert reached.wait(30)
            decider.becomes(answer(yes, content_type="application/json"))
            if scenario == "open":
                gate.set()
                assert hear(process).startswith("parent (Unanswered(why='status')")
            say(process, "fork")
            assert hear(process) == "child (True,)"
            gate.set()
            if scenario != "open":
                assert hear(process).startswith("parent (Unanswered(why='status')")
        assert process.returncode == 0
