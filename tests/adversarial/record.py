"""Drive every server by raw socket with every odd request, and keep what they build from it.

    python -m tests.adversarial.record

writes `recorded/asgi.jsonl.xz`, `recorded/wsgi.jsonl.xz` and `recorded/servers.json`. Nothing in
them is of this machine: no port, no path, no time.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import socket
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from authz_middleware.testing.attack.grammar import Mutation
from tests.adversarial.dump import VARIABLE
from tests.adversarial.routes import PREFIX, requests
from tests.e2e.setups import ADDED, SETUPS, Setup, started

__all__ = ["FOLDER", "Fact", "Way", "digest", "read", "send", "setups", "targets", "ways"]

FOLDER = Path(__file__).resolve().parent / "recorded"

TIMEOUT = 3.0  # seconds for an answer: some wait for more of a request that is broken

CHEROOT = Setup(
    "cheroot",
    "wsgi",
    ("cheroot",),
    ("tests.adversarial.serve_cheroot",),
    workers=(),
    prefix=(),
)
# Others differ only in how they share out the work.
_USED = (
    *("uvicorn-h11", "uvicorn-httptools", "hypercorn", "granian", "daphne", "gunicorn-asgi"),
    *("gunicorn-sync", "hypercorn-wsgi", "granian-wsgi", "waitress"),
)


class Fact(NamedTuple):
    """What servers built from a request: the first request of which they built this."""

    kind: str
    line: str  # the request line, and the fields that matter
    facts: dict[str, Any]
    servers: tuple[str, ...]


class Way(NamedTuple):
    """A server, with or without a prefix."""

    setup: Setup
    prefixed: bool

    @property
    def name(self) -> str:
        return f"{self.setup}{PREFIX}" if self.prefixed else str(self.setup)


def setups() -> tuple[Setup, ...]:
    """Return the servers that are driven."""
    return (*(each for each in SETUPS if each.name in _USED), CHEROOT)


def ways() -> tuple[Way, ...]:
    """Return the servers that are driven, each in every way in which it is."""
    return tuple(
        Way(setup, prefixed)
        for setup in setups()
        for prefixed in ((False, True) if setup.prefix or setup.prefix_variable else (False,))
    )


def digest() -> str:
    """Return what tells one set of requests from another."""
    return hashlib.sha256(repr(requests()).encode()).hexdigest()[:16]


def targets(way: Way) -> Iterator[tuple[Mutation, str]]:
    """Yield each request, with its target as a client of this server would write it."""
    for mutation in requests():
        below = PREFIX + mutation.target if mutation.target.startswith("/") else mutation.target
        if not way.prefixed or way.setup.prefixed is ADDED:
            yield mutation, mutation.target
            continue
        yield mutation, below
        if way.setup.world == "asgi" and below != mutation.target:
            yield mutation, mutation.target


def drive(way: Way) -> list[tuple[Mutation, dict[str, Any]]]:
    """Return what one server makes of each request that it lets through."""
    built: list[tuple[Mutation, dict[str, Any]]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dump = folder / "dump"
        environ = {VARIABLE: str(dump)}
        options: tuple[str, ...] = ()
        if way.prefixed:
            options = way.setup.prefix
            if way.setup.prefix_variable:
                environ[way.setup.prefix_variable] = PREFIX
        app = f"tests.adversarial.dump:{way.setup.world}"
        with started(way.setup, folder, environ, *options, app=app) as server:
            dump.touch()
            with dump.open(encoding="utf-8") as lines:
                for mutation, target in targets(way):
                    lines.read()
                    send(server.port, mutation._replace(target=target))
                    built += [(mutation, json.loads(line)) for line in lines]
    return built


def send(
    port: int, mutation: Mutation, authorization: str = "", *, timeout: float = TIMEOUT
) -> int:
    """Send one request on a connection of its own; return the status, 0 if there is none."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        try:
            connection.sendall(mutation.raw(authorization))
            head = connection.recv(64)
        except OSError:
            return 0
    words = head.split(b" ", 2)
    return int(words[1]) if len(words) > 1 and words[1][:3].isdigit() else 0


def merged(driven: Iterable[tuple[Way, list[tuple[Mutation, dict[str, Any]]]]]) -> Iterator[Fact]:
    """Yield each thing that was built once, plain requests first."""
    found: dict[str, Fact] = {}
    for plain in (True, False):
        for way, built in driven:
            for mutation, facts in built:
                if (mutation.kind == "plain") is not plain:
                    continue
                key = json.dumps(facts, sort_keys=True)
                known = found.get(key) or Fact(mutation.kind, mutation.line, facts, ())
                if way.name not in known.servers:
                    known = known._replace(servers=(*known.servers, way.name))
                found[key] = known
    yield from found.values()


def write(world: str, facts: Iterable[Fact]) -> int:
    """Write the facts of one world, and return how many there are."""
    lines = [json.dumps(fact, sort_keys=True, ensure_ascii=True) for fact in facts]
    data = "".join(f"{line}\n" for line in lines).encode("ascii")
    (FOLDER / f"{world}.jsonl.xz").write_bytes(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))
    return len(lines)


def read(world: str) -> list[Fact]:
    """Return what was recorded, in the order in which it was."""
    data = lzma.decompress((FOLDER / f"{world}.jsonl.xz").read_bytes())
    return [
        Fact(kind, line, facts, tuple(servers))
        for kind, line, facts, servers in map(json.loads, data.decode("ascii").splitlines())
    ]


def main() -> int:
    """Record every server that is installed; all must be."""
    if missing := [str(each) for each in setups() if each.missing()]:
        print("not installed:", ", ".join(missing))
        return 1
    FOLDER.mkdir(exist_ok=True)
    began = time.monotonic()
    all_ways = ways()

    def driven(way: Way) -> tuple[Way, list[tuple[Mutation, dict[str, Any]]]]:
        built = drive(way)
        print(f"{way.name:24} {len(built):6,} came through", flush=True)
        return way, built

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(driven, all_ways))
    counts = {
        world: write(world, merged([each for each in results if each[0].setup.world == world]))
        for world in ("asgi", "wsgi")
    }
    about = {
        "requests": len(requests()),
        "digest": digest(),
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "versions": {
            name: version(name)
            for name in sorted({module for each in setups() for module in each.needs} | {"h11"})
            if name != "uvicorn_worker"
        },
        "came through": {way.name: len(built) for way, built in results},
        "recorded": counts,
    }
    (FOLDER / "servers.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    print(f"{counts} in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
