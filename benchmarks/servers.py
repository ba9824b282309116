"""Under real servers, with wrk: requests per second of apps bare and wrapped, in pairs.

Both servers of a pair are up at once, and get their load in turns; the one without load waits. Each
has one worker, and wrk one thread, so that two processors are enough.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from socket import create_server
from statistics import median
from typing import NamedTuple

from authz_middleware.testing import DevelopmentIssuer
from benchmarks.figures import Bar, Figure, Group
from benchmarks.material import policy
from benchmarks.peers import Wrong
from benchmarks.plan import Plan
from examples.demo.servers import Server, gunicorn, running, uvicorn

__all__ = ["servers"]

EXAMPLES = Path(__file__).parent.parent / "examples"
AS_FAST = Bar("at least", 0.95)
CONNECTIONS = 16

_RATE = re.compile(r"^Requests/sec:\s+([0-9.]+)$", re.MULTILINE)
_BAD = re.compile(r"^\s*(Non-2xx.*|Socket errors.*)$", re.MULTILINE)
_ISSUER = re.compile(r'^issuer = "[^"]*"', re.MULTILINE)


class Setting(NamedTuple):
    """One server with one app."""

    server: str
    command: Callable[[str], list[str]]
    app: str  # as `served` calls it
    judged: bool
    path: str


def _granian(interface: str) -> Callable[[str], list[str]]:
    def command(app: str) -> list[str]:
        with create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        return [
            *(sys.executable, "-m", "granian", app, "--interface", interface),
            *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        ]

    return command


ARTICLE = "/articles/2"
RESOURCE = "/api/resource12/7"
SETTINGS = (
    Setting("uvicorn", uvicorn, "fastapi", True, ARTICLE),
    Setting("gunicorn", gunicorn, "flask", True, ARTICLE),
    Setting("uvicorn", uvicorn, "empty_asgi", False, RESOURCE),
    Setting("gunicorn", gunicorn, "empty_wsgi", False, RESOURCE),
    Setting("granian", _granian("asgi"), "fastapi", True, ARTICLE),
    Setting("granian", _granian("wsgi"), "flask", True, ARTICLE),
    Setting("granian", _granian("asgi"), "empty_asgi", False, RESOURCE),
    Setting("granian", _granian("wsgi"), "empty_wsgi", False, RESOURCE),
)
FEW = 2


def servers(plan: Plan) -> Group:
    """Measure the examples and the empty apps under every server."""
    title = "Under real servers: requests per second, wrapped beside bare"
    wrk = shutil.which("wrk")
    if wrk is None:
        return Group("servers", title, [], ["Skipped: there is no wrk on PATH."])
    settings = SETTINGS if plan.every_server else SETTINGS[:FEW]
    figures = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="authz-bench-")))
        issuer = DevelopmentIssuer(audience="newsroom", algorithm="RS256")
        stack.enter_context(issuer.serve(port=0))
        environ = _policies(issuer, folder)
        token = issuer.mint(roles=["editor", "viewer"], lifetime=86_400)
        for setting in settings:
            figures += _pairs(setting, plan, folder, environ, [wrk, token])
    return Group(
        "servers",
        title,
        figures,
        [
            (
                f"wrk with one thread and {CONNECTIONS} connections; one worker, gunicorn with four"
                f" threads. Paired runs: {plan.pairs}, of {plan.load} s. An empty app does nothing"
                " at all: no real one is hurt as much."
            ),
        ],
    )


def _policies(issuer: DevelopmentIssuer, folder: Path) -> dict[str, str]:
    """Write both policies; return the variables that name them."""
    text = (EXAMPLES / "fastapi_app" / "authz.toml").read_text(encoding="utf-8")
    newsroom = folder / "authz.toml"
    newsroom.write_text(_ISSUER.sub(f'issuer = "{issuer.issuer}"', text), encoding="utf-8")
    empty = folder / "empty.toml"
    routes = policy([])["routes"]
    lines = [
        "[[issuers]]",
        f'issuer = "{issuer.issuer}"',
        'audience = ["newsroom"]',
        "[routes]",
        *(f'"{key}" = ["{roles[0]}"]' for key, roles in routes.items()),
    ]
    empty.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {"AUTHZ_CONFIG": str(newsroom), "AUTHZ_EMPTY_CONFIG": str(empty)}


def _pairs(
    setting: Setting, plan: Plan, folder: Path, environ: dict[str, str], wrk: list[str]
) -> list[Figure]:
    pairs: list[tuple[float, float]] = []
    with ExitStack() as stack:
        both = [
            stack.enter_context(
                running(
                    f"{setting.server}-{setting.app}-{state}",
                    setting.command(f"benchmarks.served:{setting.app}_{state}"),
                    folder,
                    environ,
                )
            )
            for state in ("bare", "wrapped")
        ]
        for server in both if plan.judged else ():
            _load(server, setting.path, 1, *wrk)  # warms up
        for turn in range(plan.pairs):
            # The first of a pair is another one each time.
            order = both if turn % 2 else both[::-1]
            rates = {server.name: _load(server, setting.path, plan.load, *wrk) for server in order}
            pairs.append((rates[both[0].name], rates[both[1].name]))
    name = f"{setting.server}, {setting.app}"
    ratio = median(wrapped / bare for bare, wrapped in pairs)
    return [
        Figure(f"{name}: bare", median(bare for bare, _ in pairs), "req/s"),
        Figure(f"{name}: wrapped", median(wrapped for _, wrapped in pairs), "req/s"),
        Figure(f"{name}: wrapped ÷ bare", ratio, "x", AS_FAST if setting.judged else None),
    ]


def _load(server: Server, path: str, seconds: int, wrk: str, token: str) -> float:
    """Return the requests per second that a server answers with 2xx, all of them."""
    done = subprocess.run(
        [
            *(wrk, "--threads", "1", "--connections", str(CONNECTIONS)),
            *("--duration", f"{seconds}s", "--header", f"Authorization: Bearer {token}"),
            f"http://127.0.0.1:{server.port}{path}",
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    found, bad = _RATE.search(done.stdout), _BAD.search(done.stdout)
    if found is None or bad is not None:
        raise Wrong(f"{server.name}: {done.stdout}\n{server.read_log()}")
    return float(found[1])
