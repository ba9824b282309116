"""Starts real servers as processes of their own, and stops them whatever happens."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from examples.demo.client import Unanswered, send

__all__ = ["Server", "ServerFailed", "gunicorn", "log_settings", "running", "uvicorn"]

ROOT = Path(__file__).resolve().parent.parent.parent

START_SECONDS = 30.0
STOP_SECONDS = 10.0
POLL_SECONDS = 0.02

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# Servers print the address they got: asked for port 0, no other process can take it first.
_ADDRESS = re.compile(r"(?:http://|TCP address )127\.0\.0\.1:([1-9][0-9]*)")


class ServerFailed(Exception):
    """A server did not start; the text holds its log."""


class Server:
    """A running server, and the file that its output goes to."""

    def __init__(
        self, name: str, process: subprocess.Popen[bytes], log: Path, port: int = 0
    ) -> None:
        self.name = name
        self.process = process
        self.log = log
        self.port = port

    def read_log(self) -> str:
        """Return what the server has printed so far, the decision log included."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait(self) -> None:
        """Wait until the server answers; raises `ServerFailed` if it does not."""
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self.process.poll() is not None:
                raise ServerFailed(
                    f"{self.name} ended with {self.process.returncode}:\n{self.read_log()}"
                )
            if time.monotonic() > deadline:
                raise ServerFailed(
                    f"{self.name} did not answer in {START_SECONDS:.0f} seconds:\n{self.read_log()}"
                )
            time.sleep(POLL_SECONDS)

    def _answers(self) -> bool:
        if not self.port:
            found = _ADDRESS.search(self.read_log())
            self.port = int(found[1]) if found else 0
        try:
            return self.port != 0 and send(self.port, "GET", "/health").status > 0
        except Unanswered:
            return False

    def stop(self) -> None:
        """End the server, gently first, and whatever it has started."""
        try:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
        finally:  # a second Ctrl-C included
            # It leads a group of its own; workers that outlived it are still in there.
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def uvicorn(app: str, *options: str) -> list[str]:
    """Return the command that serves an ASGI app on a free port of loopback."""
    return [
        *(sys.executable, "-m", "uvicorn", app, "--host", "127.0.0.1", "--port", "0"),
        *("--no-access-log", *options),
    ]


def gunicorn(app: str, *options: str) -> list[str]:
    """Return the command that serves a WSGI app on a free port of loopback."""
    return [
        *(sys.executable, "-m", "gunicorn", app, "--bind", "127.0.0.1:0"),
        *("--workers", "1", "--threads", "4", *options),
    ]


@contextmanager
def running(
    name: str,
    command: Sequence[str],
    directory: Path,
    environ: Mapping[str, str],
    *,
    port: int = 0,
) -> Generator[Server]:
    """Run a server while the block runs; its output goes to a file in `directory`.

    `port` is for a server that does not print which one it got.
    """
    log = directory / f"{name}.log"
    server: Server | None = None
    try:
        with log.open("wb") as output, signals_held_back():
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                # gunicorn keeps a control socket below XDG_RUNTIME_DIR.
                env={**os.environ, "XDG_RUNTIME_DIR": str(directory), **environ},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is ours to handle
            )
            server = Server(name, process, log, port)
        server.wait()
        yield server
    finally:
        if server is not None:
            with signals_held_back():
                server.stop()


@contextmanager
def signals_held_back() -> Generator[None]:
    """Let a signal that would unwind the stack wait until the block is done.

    A process that is being started is nobody's yet: an exception just then would orphan it.
    """
    came: list[int] = []
    handlers = {number: signal.getsignal(number) for number in _STOPPING}
    held = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in held:
        signal.signal(number, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)
        for late in dict.fromkeys(came):
            signal.raise_signal(late)


def log_settings(directory: Path) -> Path:
    """Write logging settings under which a server prints its decisions; return their file."""
    settings = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"plain": {"format": "%(levelname)s %(name)s: %(message)s"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
        "root": {"level": "INFO", "handlers": ["stderr"]},
        "loggers": {},  # not gunicorn's own, which name handlers of theirs
    }
    path = directory / "logging.json"
    path.write_text(json.dumps(settings), encoding="utf-8")
    return path
