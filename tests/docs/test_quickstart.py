"""The quickstarts, followed to the letter: their files, their commands, what they print."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Block, blocks, write

pytestmark = pytest.mark.e2e

PAGES = [
    "quickstart.md",
    *(
        f"frameworks/{path.name}"
        for path in sorted((ROOT / "docs" / "frameworks").glob("*.md"))
        if path.name != "index.md"
    ),
]
SETUP = ("python -m venv", "python -m pip install")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def steps(block: Block) -> Iterator[tuple[str, str]]:
    """Each command of a console block, and what it should print."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def pattern(output: str) -> str:
    """`...` stands for any text; on a line of its own, for any lines."""
    return re.escape(output.strip()).replace(re.escape("..."), "(?s:.*)")


def listening(port: int) -> None:
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


@pytest.mark.skipif(shutil.which("curl") is None, reason="the quickstarts use curl")
@pytest.mark.parametrize("page", PAGES)
def test_quickstart(page: str, tmp_path: Path):
    ports = {port: str(free_port()) for port in ("8000", "8001", "8799")}

    def here(text: str) -> str:
        for written, free in ports.items():
            text = re.sub(rf"\b{written}\b", free, text)
        return text

    # Where the reader's virtual environment puts `python` and `uvicorn`.
    environ = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": "",
    }
    started: list[subprocess.Popen[str]] = []
    try:
        for block in blocks(ROOT / "docs" / page):
            if block.title is not None:
                write(block, tmp_path, here(block.text))
            if block.language != "console":
                continue
            for command, output in steps(block):
                if command.startswith(SETUP):
                    continue
                shell = here(command)
                if shell.endswith(" &"):
                    process = subprocess.Popen(
                        ["exec " + shell.removesuffix(" &")],
                        shell=True,
                        cwd=tmp_path,
                        env=environ,
                        stdout=subprocess.PIPE if output else subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL,
                        text=True,
                    )
                    started.append(process)
                    if process.stdout:
                        assert process.stdout.readline().strip() == here(output).strip()
                    else:  # a server that says nothing; its port may stand in its file
                        port = re.search(rf"\b({'|'.join(ports.values())})\b", shell)
                        listening(int(port[1] if port else ports["8000"]))
                    continue
                done = subprocess.run(
                    [shell],
                    shell=True,
                    cwd=tmp_path,
                    env=environ,
                    capture_output=True,
                    text=True,
                    timeout=30,
                    check=False,  # what it printed is compared
                )
                printed = done.stdout.replace("\r\n", "\n").strip()
                assert re.fullmatch(pattern(here(output)), printed), (
                    f"{block.place}\n$ {command}\n{printed}\n{done.stderr}"
                )
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(timeout=10)
            if process.stdout:
                process.stdout.close()
