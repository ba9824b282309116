"""The servers that the end-to-end tests run, and what each of them does in its own way.

A field says what a server really does, good or bad: a test compares it, and fails when a newer
server does something else. Then the field, and `docs/servers.md`, are to be mended.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from examples.demo import servers

__all__ = ["PREFIX", "SETUPS", "Setup", "started"]

PREFIX = "/svc"

Reached = int | tuple[str, str]
"""The status of a refusal; or that the app was reached, with which `root_path` and path."""

# What comes through to `/lab/who` when a server runs below PREFIX: three ways, and what strays.

ADDED: dict[str, Reached] = {
    # The proxy in front has cut the prefix; the server puts it back.
    "/lab/who": (PREFIX, "/svc/lab/who"),
    "/svc/lab/who": 403,
    "/svclab/who": 403,
    "/svc/svc/lab/who": 403,
    "/abc/lab/who": 403,
    "//svc/lab/who": 400,
}
KEPT: dict[str, Reached] = {
    # The target is handed on as it is, so both forms reach the app.
    "/lab/who": (PREFIX, "/lab/who"),
    "/svc/lab/who": (PREFIX, "/svc/lab/who"),
    "/svclab/who": 400,
    "/svc/svc/lab/who": 403,
    "/abc/lab/who": 403,
    "//svc/lab/who": 400,
}
CUT: dict[str, Reached] = {
    # WSGI: the server cuts the prefix off, without a look at the boundary; 500 without it.
    "/lab/who": 500,
    "/svc/lab/who": (PREFIX, "/lab/who"),
    "/svclab/who": 400,
    "/svc/svc/lab/who": 403,
    "/abc/lab/who": 500,
    "//svc/lab/who": 500,
}


@dataclass(frozen=True, slots=True, eq=False)
class Setup:
    """One server, how it is started, and what it can do."""

    name: str
    world: Literal["asgi", "wsgi"]
    needs: tuple[str, ...]
    """Modules without which it cannot run."""
    command: tuple[str, ...]
    """Its module and options, {port} where it must be told one; the app comes last."""

    workers: tuple[str, ...] = ("--workers", "2")
    """Options for two workers; none if it has only one process."""
    spreads: bool = False
    """Whether the kernel shares the connections out to the workers; else whoever is awake takes
    them. One that was held and goes on may then miss the signal to end."""
    prefix: tuple[str, ...] = ("--root-path", PREFIX)
    """Options to run below `PREFIX`."""
    prefix_variable: str = ""
    """The variable of the environment that does so instead."""
    prefixed: Mapping[str, Reached] = field(default_factory=lambda: KEPT)

    targets: Mapping[str, int] = field(default_factory=dict)
    """Odd targets that it makes plain, or hands on in another form, before we see them."""
    folds_slashes: bool = False
    """Whether leading slashes are one slash before we see them."""
    unknown_methods: tuple[str, ...] = ()
    """Methods that it refuses itself."""
    broken_methods: tuple[str, ...] = ()
    """Methods whose answers it breaks off, those of any app: it takes them for HEAD too late."""

    refuses_in_full: bool = True
    """Whether a refused handshake gets our answer; else a plain 403."""
    close_code: int = 1008
    """What a client gets where we close with 1008."""
    refuses_upgrades: bool = False
    """WSGI: whether it refuses handshakes itself."""

    keeps_alive: bool = True
    continues_unasked: bool | None = False
    """Whether it sends 100 before it asks us; None if that depends on who is faster."""
    streams_uploads: bool = True
    """Whether the app is called before the whole body is there."""
    stops_streams: bool = True
    """Whether the app's stream is stopped when its client has left."""
    file_wrapper: Literal["", "reads", "sendfile"] = ""

    hides_failure: bool = False
    """Whether a failed start ends with status 0."""
    ignores_lifespan: bool = False
    """Whether it serves an app that said that its start failed."""

    def __repr__(self) -> str:
        return self.name

    def missing(self) -> list[str]:
        """Return the modules that are not installed."""
        return [module for module in self.needs if find_spec(module) is None]

    def handshake(self, status: int) -> int:
        """Return the status in which a client sees the refusal of a handshake."""
        return status if status == 101 or self.refuses_in_full else 403


def uvicorn(*options: str) -> tuple[str, ...]:
    listen = ("--host", "127.0.0.1", "--port", "0", "--no-access-log")
    # A busy machine may take its time to import an app; 5 seconds are uvicorn's own choice.
    return ("uvicorn", *listen, "--timeout-worker-healthcheck", "30", *options)


def gunicorn(*options: str) -> tuple[str, ...]:
    return ("gunicorn", "--bind", "127.0.0.1:0", *options)


def granian(*options: str) -> tuple[str, ...]:
    return ("granian", "--host", "127.0.0.1", "--port", "{port}", "--interface", *options)


ABSOLUTE = {"http://localhost/lab/open": 200, "/lab/open#x": 200}
"""The absolute form and a fragment, which many servers make plain."""

SETUPS = (
    Setup(
        "uvicorn-h11",
        "asgi",
        ("uvicorn", "h11", "websockets"),
        uvicorn("--loop", "asyncio", "--http", "h11"),
        prefixed=ADDED,
    ),
    Setup(
        "uvicorn-httptools",
        "asgi",
        ("uvicorn", "httptools", "uvloop", "wsproto"),
        uvicorn("--loop", "uvloop", "--ws", "wsproto", "--http", "httptools"),
        prefixed=ADDED,
        targets=ABSOLUTE,
        unknown_methods=("get", "head", "FOO"),
    ),
    Setup(
        "hypercorn",
        "asgi",
        ("hypercorn",),
        ("hypercorn", "--bind", "127.0.0.1:0"),
        broken_methods=("head",),
        continues_unasked=None,
        hides_failure=True,
    ),
    Setup(
        "granian",
        "asgi",
        ("granian",),
        granian("asgi"),
        spreads=True,
        prefix=("--url-path-prefix", PREFIX),
        targets=ABSOLUTE,
    ),
    Setup(
        "daphne",
        "asgi",
        ("daphne",),
        ("daphne", "-b", "127.0.0.1", "-p", "0"),
        workers=(),
        refuses_in_full=False,
        close_code=1011,
        continues_unasked=True,
        streams_uploads=False,
        ignores_lifespan=True,
    ),
    Setup(
        "gunicorn-asgi",
        "asgi",
        ("gunicorn",),
        gunicorn("--worker-class", "asgi"),
        unknown_methods=("get", "head"),
        refuses_in_full=False,
    ),
    Setup(
        "gunicorn-uvicorn",
        "asgi",
        ("gunicorn", "uvicorn_worker", "httptools"),
        gunicorn("--worker-class", "uvicorn_worker.UvicornWorker"),
        # The worker does not take gunicorn's root path: nothing is different below a prefix.
        prefixed=ADDED | {"/lab/who": ("", "/lab/who")},
        targets=ABSOLUTE,
        unknown_methods=("get", "head", "FOO"),
    ),
    Setup(
        "gunicorn-sync",
        "wsgi",
        ("gunicorn",),
        gunicorn(),
        prefix=(),
        prefix_variable="SCRIPT_NAME",
        prefixed=CUT,
        targets=ABSOLUTE,
        unknown_methods=("get", "head"),
        keeps_alive=False,
        continues_unasked=True,
        file_wrapper="sendfile",
    ),
    Setup(
        "gunicorn-gthread",
        "wsgi",
        ("gunicorn",),
        gunicorn("--threads", "4"),
        prefix=(),
        prefix_variable="SCRIPT_NAME",
        prefixed=CUT,
        targets=ABSOLUTE,
        unknown_methods=("get", "head"),
        continues_unasked=True,
        file_wrapper="sendfile",
    ),
    Setup(
        "gunicorn-preload",
        "wsgi",
        ("gunicorn",),
        gunicorn("--threads", "4", "--preload"),
        prefix=(),
        prefix_variable="SCRIPT_NAME",
        prefixed=CUT,
        targets=ABSOLUTE,
        unknown_methods=("get", "head"),
        continues_unasked=True,
        file_wrapper="sendfile",
    ),
    Setup(
        "hypercorn-wsgi",
        "wsgi",
        ("hypercorn",),
        ("hypercorn", "--bind", "127.0.0.1:0"),
        prefixed=CUT | {"/lab/who": 404, "/abc/lab/who": 404, "//svc/lab/who": 404},
        targets={"/lab%2fopen": 200},  # it gives no raw target
        refuses_upgrades=True,
        continues_unasked=True,
        streams_uploads=False,
        stops_streams=False,
        broken_methods=("head",),
        hides_failure=True,
    ),
    Setup(
        "granian-wsgi",
        "wsgi",
        ("granian",),
        granian("wsgi", "--blocking-threads", "4"),
        spreads=True,
        prefix=("--url-path-prefix", PREFIX),
        # Four characters are cut off, whatever they are.
        prefixed=CUT
        | {"/lab/who": 403, "/abc/lab/who": (PREFIX, "/lab/who"), "//svc/lab/who": 400},
        targets=ABSOLUTE | {"/lab%2fopen": 200},  # it gives no raw target
    ),
    Setup(
        "waitress",
        "wsgi",
        ("waitress",),
        ("waitress", "--listen", "127.0.0.1:0"),
        workers=(),
        prefix=(f"--url-prefix={PREFIX}",),
        # What is not below the prefix is served too, as if it were.
        prefixed=CUT
        | {
            "/lab/who": (PREFIX, "/lab/who"),
            "/svclab/who": 403,
            "/abc/lab/who": 403,
            "//svc/lab/who": (PREFIX, "/lab/who"),
        },
        targets=ABSOLUTE | {"//lab/open": 200, "/lab/op\ten": 200},
        folds_slashes=True,
        unknown_methods=("get", "head"),
        continues_unasked=True,
        streams_uploads=False,
        file_wrapper="reads",
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
    """Run a server while the block runs; `app` is the laboratory if nothing else is said."""
    app = app or f"tests.e2e.lab.{setup.world}:app"
    if setup.name == "hypercorn-wsgi":
        app = f"wsgi:{app}"
    with reserved_port() as port:
        words = [word.format(port=port) for word in setup.command]
        with servers.running(
            setup.name,
            [sys.executable, "-m", *words, *options, app],
            directory,
            environ,
            port=port if "{port}" in setup.command else 0,
        ) as server:
            yield server


@contextmanager
def reserved_port() -> Generator[int]:
    """Keep a free port from everybody who asks for any; a server that names it still gets it."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]
