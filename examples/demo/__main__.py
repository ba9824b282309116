"""`python -m examples.demo`: start everything, show the policy, ask every question, print it."""

from __future__ import annotations

import argparse
import re
import signal
import sys
import tempfile
from collections.abc import Generator, Iterable
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple, NoReturn

from authz_middleware.testing import DevelopmentIssuer
from examples.demo.client import Received, Unanswered, send
from examples.demo.commands import CommandFailed, show
from examples.demo.expectations import ROLES, Expected, authorization, expectations
from examples.demo.servers import (
    ROOT,
    Server,
    ServerFailed,
    gunicorn,
    log_settings,
    running,
    uvicorn,
)

AUDIENCE = "newsroom"

# A line of the decision log: refused METHOD PATH: REASON … rule=…, the first two as Python text.
_TEXT = r"""(?:'(?:[^'\\]|\\.)*'|"[^"]*"|None)"""
_REFUSED = re.compile(rf"refused {_TEXT} {_TEXT}: (.+?) rule=")

_ISSUER = re.compile(r'^issuer = "[^"]*"', re.MULTILINE)


class Row(NamedTuple):
    """One line of the table."""

    expected: Expected
    wsgi: str
    asgi: str
    reason: str
    agrees: bool


class Demonstration(NamedTuple):
    """Everything that was started."""

    issuer: DevelopmentIssuer
    wsgi: Server
    asgi: Server
    folder: Path  # of the policy


def main(arguments: list[str] | None = None) -> int:
    """Run the demonstration; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description=__doc__)
    parser.add_argument(
        "--serve", action="store_true", help="keep everything running and print curl lines"
    )
    options = parser.parse_args(arguments)
    # Python leaves SIGINT ignored where a shell started us in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        with started() as demonstration:
            if options.serve:
                serve(demonstration)
            show(demonstration.folder)
            return compare(demonstration)
    except (CommandFailed, ServerFailed) as failed:
        print(failed, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped")
        return 0 if options.serve else 130


def _stop(number: int, _frame: object) -> NoReturn:
    sys.exit(128 + number)  # unwinds, so that what was started is stopped


@contextmanager
def started() -> Generator[Demonstration]:
    """Start an issuer and both servers; stop them at the end of the block."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="authz-demo-")))
        issuer = DevelopmentIssuer(audience=AUDIENCE)
        stack.enter_context(issuer.serve(port=0))
        source = ROOT / "examples" / "fastapi_app" / "authz.toml"
        policy = directory / "authz.toml"
        policy.write_text(
            _ISSUER.sub(f'issuer = "{issuer.issuer}"', source.read_text(encoding="utf-8")),
            encoding="utf-8",
        )
        environ = {"AUTHZ_CONFIG": str(policy)}
        logs = str(log_settings(directory))
        asgi = uvicorn("examples.fastapi_app.app:app", "--log-config", logs)
        wsgi = gunicorn("examples.flask_app.app:app", "--log-config-json", logs)
        yield Demonstration(
            issuer,
            stack.enter_context(running("gunicorn", wsgi, directory, environ)),
            stack.enter_context(running("uvicorn", asgi, directory, environ)),
            directory,
        )


# The table.


def compare(demonstration: Demonstration) -> int:
    """Send every request to both servers, print what came back; 0 if all is as expected."""
    headers = authorization(demonstration.issuer)
    rows = [ask(demonstration, expected, headers[expected.caller]) for expected in expectations()]
    print_table(rows)
    wrong = sum(not row.agrees for row in rows)
    print(f"\n{len(rows)} requests, {len(rows) - wrong} agree, {wrong} disagree")
    if wrong:
        for server in (demonstration.wsgi, demonstration.asgi):
            print(f"\n--- log of {server.name}\n{server.read_log()}", file=sys.stderr)
    return 1 if wrong else 0


def ask(demonstration: Demonstration, expected: Expected, header: str | None) -> Row:
    """Send one request to both servers; a WebSocket handshake only to the one that can."""
    servers = {"asgi": demonstration.asgi, "wsgi": demonstration.wsgi}
    if expected.method == "WS":
        del servers["wsgi"]
    statuses = {"asgi": "-", "wsgi": "-"}
    reasons: dict[str, str] = {}
    for side, server in servers.items():
        try:
            received = send(server.port, expected.method, expected.target, header)
        except Unanswered as unanswered:
            statuses[side], reasons[side] = "none", str(unanswered)
        else:
            statuses[side] = str(received.status)
            reasons[side] = reason(server, received)
    agrees = len(set(reasons.values())) == 1 and all(
        statuses[side] == str(expected.status) for side in servers
    )
    if len(set(reasons.values())) == 1:
        text = reasons["asgi"]
    else:
        text = "; ".join(f"{side.upper()}: {why}" for side, why in reasons.items())
    return Row(expected, statuses["wsgi"], statuses["asgi"], text, agrees)


def reason(server: Server, received: Received) -> str:
    """Return why, as the decision log says: a refusal carries the id of its line."""
    if received.id is None:
        return "let in" if received.status < 400 else "let in; the app's own answer"
    for line in server.read_log().splitlines():
        if line.endswith(f" id={received.id}") and (found := _REFUSED.search(line)):
            return found[1]
    return "not found in the decision log"


def print_table(rows: Iterable[Row]) -> None:
    """Print the rows, aligned."""
    lines = [("", "request", "caller", "expected", "WSGI", "ASGI", "reason")]
    for row in rows:
        expected = row.expected
        lines.append(
            (
                "" if row.agrees else "!",
                f"{expected.method:6} {expected.target}",
                expected.caller,
                str(expected.status),
                row.wsgi,
                row.asgi,
                row.reason,
            )
        )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(map(str.ljust, line, widths)).rstrip())


# `--serve`.


def serve(demonstration: Demonstration) -> NoReturn:
    """Print ready-made requests and wait for Ctrl-C."""
    wsgi, asgi = demonstration.wsgi.port, demonstration.asgi.port
    print(f"issuer            {demonstration.issuer.issuer}")
    print(f"FastAPI, uvicorn  http://127.0.0.1:{asgi}")
    print(f"Flask, gunicorn   http://127.0.0.1:{wsgi}\n")
    print("# without a token")
    print(f"curl -i http://127.0.0.1:{asgi}/health")
    print(f"curl -i http://127.0.0.1:{wsgi}/articles/1")
    headers = authorization(demonstration.issuer)
    for name in ROLES:
        print(f"\n# {name}, for eight hours")
        print(f"{name.upper()}='Authorization: {headers[name]}'")
        for port, target in ((asgi, "me"), (wsgi, "articles/1"), (asgi, "admin/users")):
            print(f'curl -i -H "${name.upper()}" http://127.0.0.1:{port}/{target}')
    print("\nCtrl-C stops everything.", flush=True)
    while True:
        signal.pause()


if __name__ == "__main__":
    sys.exit(main())
