"""`python -m examples.demo` as a user runs it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import pytest

from examples.demo.client import send
from examples.demo.commands import COMMANDS
from examples.demo.expectations import expectations
from examples.demo.servers import ROOT
from tests.e2e.processes import mentioning

pytestmark = pytest.mark.e2e

DEMO = [sys.executable, "-m", "examples.demo"]


@pytest.fixture
def environ(tmp_path) -> dict[str, str]:
    """Everything that the demonstration starts carries the name of this folder."""
    return {**os.environ, "TMPDIR": str(tmp_path)}


def test_all_agree(environ, tmp_path):
    done = subprocess.run(
        DEMO, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    (start,) = (number for number, line in enumerate(lines) if line.split()[:1] == ["request"])
    assert [line[2:] for line in lines[:start] if line.startswith("$ ")] == list(COMMANDS)
    title, *rows, blank, count = lines[start:]
    assert title.split() == ["request", "caller", "expected", "WSGI", "ASGI", "reason"]
    total = len(list(expectations()))
    assert (len(rows), blank) == (total, "")
    assert count == f"{total} requests, {total} agree, 0 disagree"
    assert mentioning(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_serve_prints_requests_that_work_and_stops_everything(number, status, environ, tmp_path):
    process = subprocess.Popen(
        [*DEMO, "--serve"],
        cwd=ROOT,
        env={**environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line.rstrip())
            if line.startswith("Ctrl-C"):
                break
        headers = dict(re.findall(r"^(\w+)='Authorization: (.*)'$", "\n".join(lines), re.MULTILINE))
        assert set(headers) == {"VIEWER", "EDITOR", "ADMIN"}
        curls = re.findall(
            r'^curl -i (?:-H "\$(\w+)" )?http://127\.0\.0\.1:([0-9]+)(/\S*)$',
            "\n".join(lines),
            re.MULTILINE,
        )
        assert len(curls) == sum(line.startswith("curl") for line in lines)
        assert [
            send(int(port), "GET", path, headers.get(name)).status for name, port, path in curls
        ] == [200, 401, 200, 200, 403, 200, 200, 403, 200, 200, 200]
        assert mentioning(tmp_path) != []
        process.send_signal(number)
        process.stdout.read()
        assert process.wait(30) == status
    finally:
        process.kill()
        process.communicate()
    assert mentioning(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_does_not_start_fails_it_with_its_log(environ, tmp_path):
    """A gunicorn that cannot be configured: the demonstration says why, and leaves nothing."""
    done = subprocess.run(
        DEMO,
        cwd=ROOT,
        env={**environ, "GUNICORN_CMD_ARGS": "--worker-class no.such.worker"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("gunicorn ended with ")
    assert "no.such.worker" in done.stderr
    assert mentioning(tmp_path) == []


@pytest.mark.parametrize("program", ["gunicorn", "uvicorn"])
def test_stopped_while_it_starts_it_leaves_nothing(program, environ, tmp_path):
    process = subprocess.Popen(DEMO, cwd=ROOT, env=environ, stdout=subprocess.DEVNULL)
    try:
        while not any(f"-m {program}" in command for command in mentioning(tmp_path)):
            assert process.poll() is None
        process.terminate()
        assert process.wait(30) == 143
    finally:
        process.kill()
        process.wait()
    assert mentioning(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
