"""Several worker processes: each with keys of its own, all with the same answers; and their end."""

from __future__ import annotations

import json
import os
import signal
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from select import select

import pytest

from examples.demo.client import Unanswered, send
from tests.e2e.processes import remaining
from tests.e2e.setups import SETUPS
from tests.e2e.wire import BROKEN, TIMEOUT, Answer, Connection, ask

pytestmark = pytest.mark.e2e


@contextmanager
def stopped(process: int):
    """Hold a worker still, so that another one has to answer."""
    os.kill(process, signal.SIGSTOP)
    try:
        while not Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].startswith(" T"):
            pass
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def ask_anybody(port: int, *fields: str) -> Answer:
    """Return the first answer of any worker.

    A server may share the connections out before it knows that one is held, or that another has
    not started yet: so there are many, and new ones each second.
    """
    with ExitStack() as stack:
        for _ in range(int(TIMEOUT)):
            connections = [stack.enter_context(Connection(port)) for _ in range(8)]
            for connection in connections:
                connection.send("GET", "/lab/who", *fields)
            ready, _, _ = select([connection.socket for connection in connections], [], [], 1.0)
            if ready:
                return next(each for each in connections if each.socket in ready).answer()
    raise TimeoutError("no worker answers")


def worker(answer: Answer) -> int:
    assert answer.status == 200
    return json.loads(answer.body)["pid"]


@pytest.mark.parametrize("setup", [each for each in SETUPS if each.workers], ids=repr)
def test_all_workers_answer_alike_and_leave_nothing(setup, start, vera, issuer, tmp_path):
    forged = f"Authorization: Bearer {issuer.signed_by_another_key('vera', roles=['viewer'])}"
    with start(setup, *setup.workers) as running:
        if setup.spreads:
            found = (worker(ask(running.port, "GET", "/lab/who", vera)) for _ in range(2000))
            first = next(found)
            assert any(another != first for another in found)
            for _ in range(40):
                assert ask(running.port, "GET", "/lab/who", forged).status == 401
                assert ask(running.port, "GET", "/lab/who").status == 401
        else:
            first = worker(ask(running.port, "GET", "/lab/who", vera))
            with stopped(first):
                second = worker(ask_anybody(running.port, vera))
                assert second != first
                assert ask_anybody(running.port, forged).status == 401
                assert ask_anybody(running.port).status == 401
            with stopped(second):
                assert worker(ask_anybody(running.port, vera)) == first
                assert ask_anybody(running.port, forged).status == 401
                assert ask_anybody(running.port).status == 401
        assert leaves_nothing(running, tmp_path)


@pytest.mark.parametrize("setup", [each for each in SETUPS if not each.workers], ids=repr)
def test_one_process_leaves_nothing(setup, start, vera, tmp_path):
    with start(setup) as running:
        assert ask(running.port, "GET", "/lab/who", vera).status == 200  # its threads have started
        assert leaves_nothing(running, tmp_path)


def leaves_nothing(running, tmp_path) -> bool:
    running.server.process.send_signal(signal.SIGTERM)
    assert running.server.process.wait(20) in (0, -signal.SIGTERM)
    with pytest.raises(Unanswered, match="ConnectionRefusedError"):
        send(running.port, "GET", "/health")
    return remaining(tmp_path) == []


def test_gunicorn_reads_the_policy_again_on_sighup(start, laboratory, vera, tmp_path):
    """Between the two policies every answer is of one of them."""
    setup = next(each for each in SETUPS if each.name == "gunicorn-gthread")
    text = Path(laboratory["AUTHZ_CONFIG"]).read_text(encoding="utf-8")
    path = tmp_path / "authz.toml"
    path.write_text(text, encoding="utf-8")
    with start(setup, *setup.workers, AUTHZ_CONFIG=str(path)) as running:
        assert ask(running.port, "GET", "/lab/who", vera).status == 200
        path.write_text(text.replace('who"             = ["viewer"]', 'who" = "deny"'))
        running.server.process.send_signal(signal.SIGHUP)
        statuses: list[int] = []
        for _ in range(10_000):
            if statuses[-20:] == [403] * 20:
                break
            with Connection(running.port) as connection:
                try:
                    statuses.append(connection.ask("GET", "/lab/who", vera).status)
                except BROKEN:  # an old worker had it in its queue
                    continue
        assert statuses[-1] == 403
        assert set(statuses) <= {200, 403}


@pytest.mark.parametrize(("name", "goes_on"), [("gunicorn-gthread", False), ("uvicorn-h11", True)])
def test_a_bad_policy_at_sighup(name, goes_on, start, laboratory, vera, tmp_path):
    """Nobody is served by it: gunicorn ends, the old workers of uvicorn stay."""
    setup = next(each for each in SETUPS if each.name == name)
    path = tmp_path / "authz.toml"
    path.write_text(Path(laboratory["AUTHZ_CONFIG"]).read_text(encoding="utf-8"), encoding="utf-8")
    with start(setup, *setup.workers, AUTHZ_CONFIG=str(path)) as running:
        path.write_text('[routes]\n"GET /health" = "pubic"\n', encoding="utf-8")
        process = running.server.process
        process.send_signal(signal.SIGHUP)
        said = "aborting the restart" if goes_on else "Worker failed to boot"
        for _ in range(10_000):
            if said in running.server.read_log():
                break
            with suppress(*BROKEN):
                assert ask(running.port, "GET", "/lab/who", vera).status == 200
        assert said in running.server.read_log()
        assert "authz.toml:2:1: " in running.server.read_log()
        if goes_on:
            assert ask(running.port, "GET", "/lab/who", vera).status == 200
        else:
            assert process.wait(20) != 0
    assert remaining(tmp_path) == []
