"""A policy that cannot be served: the process ends, or nobody is served."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from examples.demo.client import Unanswered, send
from examples.demo.servers import ROOT, ServerFailed
from tests.e2e.processes import remaining
from tests.e2e.setups import SETUPS
from tests.e2e.wire import HANDSHAKE, ask

pytestmark = pytest.mark.e2e

ASGI = [setup for setup in SETUPS if setup.world == "asgi"]

BAD = '[routes]\n"GET /health" = "pubic"\n'

EARLY = """
from authz_middleware import Authz

authz = Authz.from_file("bad.toml")
app = None
"""

LATE = """
from starlette.applications import Starlette
from authz_middleware import ASGIAuthzMiddleware

app = Starlette()
app.add_middleware(ASGIAuthzMiddleware, config="bad.toml")
"""


@pytest.fixture
def bad(tmp_path) -> dict[str, str]:
    """The environment in which `early:app` and `late:app` are found, whose policy is bad."""
    path = tmp_path / "bad.toml"
    path.write_text(BAD)
    for name, text in (("early", EARLY), ("late", LATE)):
        (tmp_path / f"{name}.py").write_text(text.replace("bad.toml", str(path)))
    return {"PYTHONPATH": str(tmp_path)}


def assert_ended(failed: ServerFailed, setup) -> None:
    """It ended by itself, said where the mistake is, and no port is left open."""
    ended = re.match(r"\S+ ended with ([0-9]+):", str(failed))
    assert ended is not None, failed
    assert (ended[1] == "0") == setup.hides_failure
    assert re.search(r"bad\.toml:2:1: ", str(failed))
    assert_no_port_is_open(str(failed))


def assert_no_port_is_open(said: str) -> None:
    for port in re.findall(r"127\.0\.0\.1:([1-9][0-9]*)", said):
        with pytest.raises(Unanswered, match="ConnectionRefusedError"):
            send(int(port), "GET", "/health")


@pytest.mark.parametrize("setup", SETUPS, ids=repr)
def test_a_bad_policy_stops_the_process(setup, start, bad, tmp_path):
    with pytest.raises(ServerFailed) as failed, start(setup, app="early:app", **bad):
        pass
    assert_ended(failed.value, setup)
    assert remaining(tmp_path) == []


@pytest.mark.parametrize("setup", [each for each in SETUPS if each.hides_failure], ids=repr)
def test_hypercorn_without_worker_processes_tells_of_its_failure(setup, start, bad):
    with (
        pytest.raises(ServerFailed, match=r"ended with 1:(?s:.*)bad\.toml:2:1: "),
        start(setup, "--workers", "0", app="early:app", **bad),
    ):
        pass


@pytest.mark.parametrize("setup", ASGI, ids=repr)
def test_a_bad_policy_that_the_framework_reads_late(setup, start, bad, tmp_path):
    if setup.ignores_lifespan:
        with start(setup, app="late:app", **bad) as running:
            assert_serves_nobody(running)
        return
    with pytest.raises(ServerFailed) as failed, start(setup, app="late:app", **bad):
        pass
    assert_ended(failed.value, setup)
    assert remaining(tmp_path) == []


def test_a_bad_policy_where_the_lifespan_is_switched_off(start, bad):
    with start(SETUPS[0], "--lifespan", "off", app="late:app", **bad) as running:
        assert_serves_nobody(running)


def assert_serves_nobody(running) -> None:
    for target in ("/health", "/", "//"):
        answer = ask(running.port, "GET", target, "Authorization: Bearer x")
        assert (answer.status, "www-authenticate" in answer.headers) == (503, False)
    handshake = ask(running.port, "GET", "/health", *HANDSHAKE)
    assert handshake.status == running.setup.handshake(503)
    assert "bad.toml:2:1: " in running.server.read_log()


def test_uvicorn_with_workers_goes_on_trying_and_serves_nobody(bad, tmp_path):
    """Its parent takes a worker that cannot import the app for one that has died."""
    setup = SETUPS[0]
    command = [sys.executable, "-m", *setup.command, *setup.workers]
    command += ["--timeout-worker-healthcheck", "1", "early:app"]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **bad},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            said = ""
            while said.count("bad.toml:2:1: ") < 3:  # two workers, and one that took a place
                said += process.stdout.readline()
            assert process.poll() is None
            assert_no_port_is_open(said)
        finally:
            process.terminate()
            process.communicate(timeout=20)
    assert remaining(tmp_path) == []
