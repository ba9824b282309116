"""The servers that the end-to-end tests run, and what each of them does in its own way.

What a field says was looked at with the server that is named in `docs/servers.md`; a test that
compares fails when a newer one does something else, and then the field and that page are mended.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import pytest

from examples.demo import servers

__all__ = ["SETUPS", "Setup", "started"]

PREFIX = "/svc"


@dataclass(frozen=True, slots=True)
class Setup:
    """One server, how it is started, and what it can do."""

    name: str
    world: Literal["asgi", "wsgi"]
    command: tuple[str, ...]  # {app} and {port} are filled in
    needs: tuple[str, ...]
    """Modules without which it cannot run."""

    workers: tuple[str, ...] = ()
    """Options for two workers; none if it has no such thing."""

    prefix: tuple[str, ...] = ()
    """Options to run below `PREFIX`; gunicorn has a variable instead."""

    def __repr__(self) -> str:
        return self.name

    def line(self, app: str, port: int, *options: str) -> list[str]:
        words = [word.format(app=app, port=port) for word in self.command]
        return [sys.executable, "-m", *words[:-1], *options, words[-1]]  # the app comes last

    def app(self) -> str:
        return f"tests.e2e.lab.{self.world}:app"


UVICORN = ("uvicorn", "--host", "127.0.0.1", "--port", "0", "--no-access-log")
GUNICORN = ("gunicorn", "--bind", "127.0.0.1:0", "--workers", "1")
GRANIAN = ("granian", "--host", "127.0.0.1", "--port", "{port}", "--interface")

SETUPS = (
    Setup(
        "uvicorn-h11",
        "asgi",
        (*UVICORN, "--http", "h11", "--loop", "asyncio", "{app}"),
        ("uvicorn", "h11", "websockets"),
        workers=("--workers", "2"),
        prefix=("--root-path", PREFIX),
    ),
    Setup(
        "uvicorn-httptools",
        "asgi",
        (*UVICORN, "--http", "httptools", "--loop", "uvloop", "--ws", "websockets-sansio", "{app}"),
        ("uvicorn", "httptools", "uvloop", "websockets"),
        workers=("--workers", "2"),
        prefix=("--root-path", PREFIX),
    ),
    Setup(
        "hypercorn",
        "asgi",
        ("hypercorn", "--bind", "127.0.0.1:0", "{app}"),
        ("hypercorn",),
        workers=("--workers", "2"),
        prefix=("--root-path", PREFIX),
    ),
    Setup(
        "granian",
        "asgi",
        (*GRANIAN, "asgi", "{app}"),
        ("granian",),
        workers=("--workers", "2"),
        prefix=("--url-path-prefix", PREFIX),
    ),
    Setup(
        "daphne",
        "asgi",
        ("daphne", "-b", "127.0.0.1", "-p", "0", "{app}"),
        ("daphne",),
        prefix=("--root-path", PREFIX),
    ),
    Setup(
        "gunicorn-asgi",
        "asgi",
        (*GUNICORN, "--worker-class", "asgi", "{app}"),
        ("gunicorn",),
        workers=("--workers", "2"),
        prefix=("--root-path", PREFIX),
    ),
    Setup(
        "gunicorn-uvicorn",
        "asgi",
        (*GUNICORN, "--worker-class", "uvicorn_worker.UvicornWorker", "{app}"),
        ("gunicorn", "uvicorn_worker"),
        workers=("--workers", "2"),
    ),
    Setup(
        "gunicorn-sync",
        "wsgi",
        (*GUNICORN, "{app}"),
        ("gunicorn",),
        workers=("--workers", "2"),
    ),
    Setup(
        "gunicorn-gthread",
        "wsgi",
        (*GUNICORN, "--threads", "4", "{app}"),
        ("gunicorn",),
        workers=("--workers", "2"),
    ),
    Setup(
        "gunicorn-preload",
        "wsgi",
        (*GUNICORN, "--threads", "4", "--preload", "{app}"),
        ("gunicorn",),
        workers=("--workers", "2"),
    ),
    Setup(
        "hypercorn-wsgi",
        "wsgi",
        ("hypercorn", "--bind", "127.0.0.1:0", "wsgi:{app}"),
        ("hypercorn",),
        workers=("--workers", "2"),
        prefix=("--root-path", PREFIX),
    ),
    Setup(
        "granian-wsgi",
        "wsgi",
        (*GRANIAN, "wsgi", "--blocking-threads", "4", "{app}"),
        ("granian",),
        workers=("--workers", "2"),
        prefix=("--url-path-prefix", PREFIX),
    ),
    Setup(
        "waitress",
        "wsgi",
        ("waitress", "--listen", "127.0.0.1:0", "{app}"),
        ("waitress",),
        prefix=("--url-prefix", PREFIX),
    ),
)


@contextmanager
def started(
    setup: Setup,
    directory: Path,
    environ: Mapping[str, str],
    *options: str,
    app: str = "",
) -> Generator[servers.Server]:
    """Run a server while the block runs."""
    with reserved_port() as port:
        command = setup.line(app or setup.app(), port, *options)
        given = port if any("{port}" in word for word in setup.command) else 0
        with servers.running(setup.name, command, directory, environ, port=given) as server:
            yield server


@contextmanager
def reserved_port() -> Generator[int]:
    """Keep a free port from everybody who asks for any; a server that names it still gets it."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]
