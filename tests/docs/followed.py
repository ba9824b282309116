"""A page of the documentation, followed to the letter: its files, its commands, what they print.

Every command is run in a shell, in an empty folder. A command that ends in ` &` stays until the
end, or until `kill %NAME` ends it. Ports are free ones in the place of those on the page. What a
command prints, on both of its outputs, is what stands below it; there `...` stands for any text,
and on a line of its own for any lines.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.docs.pages import Block, blocks, write

__all__ = ["WHO", "follow", "pattern", "steps"]

WHO = {
    "GIT_AUTHOR_NAME": "Ann",
    "GIT_AUTHOR_EMAIL": "ann@example.com",
    "GIT_COMMITTER_NAME": "Ann",
    "GIT_COMMITTER_EMAIL": "ann@example.com",
    "GIT_CONFIG_GLOBAL": "/dev/null",
}
"""What git knows of a reader."""

PORTS = ("8000", "8001", "8799")
SETUP = ("python -m venv", "python -m pip install")
"""What only a reader does: here everything is installed."""


def follow(page: Path, folder: Path, environ: Mapping[str, str] | None = None) -> None:
    """Do what `page` says in `folder`; fail where something else comes of it."""
    shell = _Shell(folder, environ or {})
    try:
        for block in blocks(page):
            if block.title is not None:
                write(block, folder, shell.here(block.text))
            if block.language == "console":
                for command, output in steps(block):
                    if not command.startswith(SETUP):
                        shell.run(command, output, block.place)
    finally:
        shell.end()


def steps(block: Block) -> Iterator[tuple[str, str]]:
    """Each command of a console block, and what it should print."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def pattern(output: str) -> str:
    """`...` stands for any text; on a line of its own, for any lines."""
    return re.escape(output.strip()).replace(re.escape("..."), "(?s:.*)")


class _Shell:
    """Runs commands in a folder, and knows what runs in the background."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._folder = folder
        self._ports = {port: str(_free_port()) for port in PORTS}
        # Where the reader's virtual environment puts `python` and `uvicorn`.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        issuer = f"http://127.0.0.1:{self._ports['8799']}"
        # Unbuffered: on a reader's terminal, too, what is printed comes in its order.
        python = {"PYTHONPATH": "", "PYTHONUNBUFFERED": "1"}
        own = {"PATH": path, **python, "AUTHZ_ISSUER": issuer}
        self._environ = {**os.environ, **own, **environ}
        # A reader sees what Python says by itself; in development mode it says more.
        for name in ("AUTHZ_CONFIG", "PYTHONDEVMODE"):
            self._environ.pop(name, None)
        self._started: list[subprocess.Popen[str]] = []

    def here(self, text: str) -> str:
        """Return `text` with the ports that are free here."""
        for written, free in self._ports.items():
            text = re.sub(rf"\b{written}\b", free, text)
        return text

    def run(self, command: str, output: str, place: str) -> None:
        if command.endswith(" &"):
            self._start(self.here(command.removesuffix(" &")), self.here(output), place)
        elif command.startswith("kill %"):
            (job,) = (each for each in self._started if _is(each, command.removeprefix("kill %")))
            _end(job)
        else:
            done = subprocess.run(
                self.here(command),
                shell=True,
                cwd=self._folder,
                env=self._environ,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=30,
                check=False,  # what it printed is compared
            )
            printed = done.stdout.replace("\r\n", "\n").strip()
            assert re.fullmatch(pattern(self.here(output)), printed), (
                f"{place}\n$ {command}\n{printed}"
            )

    def _start(self, command: str, output: str, place: str) -> None:
        process = subprocess.Popen(
            f"exec {command}",
            shell=True,
            cwd=self._folder,
            env=self._environ,
            stdout=subprocess.PIPE if output else subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._started.append(process)
        if process.stdout:
            for line in output.splitlines():
                printed = process.stdout.readline().rstrip()
                assert printed == line, f"{place}\n$ {command}\n{printed}"
        else:  # a server that says nothing; its port may stand in its file
            port = re.search(rf"\b({'|'.join(self._ports.values())})\b", command)
            _listening(int(port[1] if port else self._ports["8000"]))

    def end(self) -> None:
        for process in self._started:
            _end(process)


def _is(process: subprocess.Popen[str], name: str) -> bool:
    return process.poll() is None and str(process.args).startswith(f"exec {name}")


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
        process.wait(timeout=10)
    if process.stdout:
        process.stdout.close()


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _listening(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
            return
        except urllib.error.HTTPError as error:
            error.close()  # any answer is an answer
            return
        except OSError:
            time.sleep(0.05)
    pytest.fail(f"nothing listens on port {port}")
