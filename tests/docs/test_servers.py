"""The page of servers says what the end-to-end tests hold the servers to."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import ROOT
from tests.e2e.setups import PREFIX, SETUPS, Setup

PAGE = (ROOT / "docs" / "servers.md").read_text()
ROWS = [
    [cell.strip() for cell in row.split(" | ")]
    for row in re.findall(r"^\| (.*) \|$", PAGE, re.MULTILINE)
    if row.count(" | ") == 4
][2:]

# What only our tests say: where to listen, and which of its parts a server takes.
OURS = {
    *("--host", "127.0.0.1", "--port", "0", "{port}", "--no-access-log", "--bind", "127.0.0.1:0"),
    *("--timeout-worker-healthcheck", "30"),
    *("-b", "-p", "--listen", "--loop", "asyncio", "uvloop", "--ws", "wsproto"),
}


def row(setup: Setup) -> list[str]:
    """What the page should say of a server, but for its name."""
    program, *options = [word for word in setup.command if word not in OURS]
    program = {"waitress": "waitress-serve"}.get(program, program)
    app = "wsgi:app:app" if setup.name == "hypercorn-wsgi" else "app:app"
    prefix = " ".join(setup.prefix) or f"{setup.prefix_variable}={PREFIX}"
    if setup.name == "gunicorn-uvicorn":
        prefix = ""  # the option is there and does nothing
    refused = "the full answer" if setup.refuses_in_full else "403"
    return [
        f"`{' '.join([program, *options, app])}`",
        f"`{prefix}`" if prefix else "-",
        f"`{' '.join(setup.workers)}`" if setup.workers else "-",
        refused if setup.world == "asgi" else "-",
    ]


@pytest.mark.parametrize(
    ("said", "setup"), list(zip(ROWS, SETUPS, strict=True)), ids=[*map(repr, SETUPS)]
)
def test_a_row(said: list[str], setup: Setup):
    assert said[1:] == row(setup)


@pytest.mark.parametrize("setup", SETUPS, ids=repr)
def test_what_differs_is_told(setup: Setup):
    server = setup.name.partition("-")[0]
    for differs, section in (
        (setup.hides_failure or setup.ignores_lifespan, "A policy that cannot be served"),
        (setup.close_code != 1008 or not setup.refuses_in_full, "WebSockets"),
        (setup.refuses_upgrades, "WebSockets"),
        (setup.targets, "Odd targets"),
        (setup.unknown_methods or setup.broken_methods, "Odd targets"),
        (not setup.keeps_alive or setup.continues_unasked, "Bodies and connections"),
        (not setup.streams_uploads or not setup.stops_streams, "Bodies and connections"),
    ):
        if differs:
            text = PAGE[PAGE.index(f"\n## {section}\n") + 4 :]
            assert server in text.partition("\n## ")[0], section
