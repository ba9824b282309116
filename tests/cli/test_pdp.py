"""`authz pdp`: what it refuses to start with, and a process that is asked over loopback."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.cli.conftest import ISSUER
from tests.pdp.asking import EVALUATION, METADATA, TOKEN

POLICY = f"""{ISSUER}
[roles]
viewer = ["article:read"]

[routes]
"GET /me" = ["viewer"]
"GET /things/<id>" = {{ load = "thing" }}
"""
ELSEWHERE = ("--host", "192.0.2.1")
URL = ("--url", "https://pdp.example.com")


@pytest.fixture
def files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A policy, and secrets good and bad."""
    (folder / "authz.toml").write_text(POLICY)
    (folder / "broken.toml").write_text(POLICY.replace("viewer", "editor", 1))
    (folder / "tokens").write_text(f"{TOKEN}\n{TOKEN[::-1]}\n")
    (folder / "empty").write_text("\n")
    (folder / "latin").write_bytes(b"\xe4" * 40)
    monkeypatch.setenv("WEAK", "secret")
    monkeypatch.setenv("UNSET", " ")
    monkeypatch.setenv("GOOD", TOKEN)
    return folder


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("none.toml",), "none.toml"),
        (("broken.toml",), "broken.toml:9:"),
        (("--watch", "0"), "watch must be a number of seconds, above 0"),
        (("--token-env", "WEAK"), "needs at least 32"),
        (("--token-env", "UNSET"), "the variable UNSET is not set, or empty"),
        (("--token-file", "nowhere"), "nowhere cannot be read: No such file"),
        (("--token-file", "latin"), "latin cannot be read: not ASCII"),
        (("--token-file", "empty"), "nobody could ask"),
        (("--url", "http://pdp.example.com"), "is no URL of a decision point"),
        (ELSEWHERE, "192.0.2.1 is no loopback address: name a secret"),
        ((*ELSEWHERE, *URL), "192.0.2.1 is no loopback address: name a secret"),
        ((*ELSEWHERE, "--token-env", "GOOD"), "say by --url what others call it"),
        (("--host", "0.0.0.0", *URL), "0.0.0.0 is no loopback address"),
        (("--host", "::", *URL), ":: is no loopback address"),
        (("--host", "127.0.0.1.example.com", *URL), "is no loopback address"),
        # No machine has this address: all else would have been right.
        ((*ELSEWHERE, *URL, "--token-env", "GOOD"), "ssign requested address"),
    ],
    ids=" ".join,
)
def test_a_mistake(
    files: Path, authz: Callable[..., Result], words: tuple[str, ...], said: str
) -> None:
    result = authz("pdp", *words, "--port", "0")
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert TOKEN not in result.stderr


@pytest.fixture
def process(files: Path) -> Generator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "authz_middleware.cli", "pdp", "--port", "0"]
    variables = {name: text for name, text in os.environ.items() if name != "AUTHZ_CONFIG"}
    with subprocess.Popen(
        [*command, "--token-file", "tokens"],
        cwd=files,
        stderr=subprocess.PIPE,
        text=True,
        env=variables,
    ) as started:
        yield started
        started.kill()


def sent(port: int, method: str, path: str, question: Any = None, token: str = TOKEN) -> Any:
    """The status and the answer; what is no JSON is a text."""
    body = b"" if question is None else json.dumps(question).encode()
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(head.encode() + body)
        found = bytearray()
        while more := connection.recv(65_536):
            found += more
    status, _, rest = bytes(found).partition(b"\r\n")
    fields, _, text = rest.partition(b"\r\n\r\n")
    is_json = b"application/json" in fields
    return int(status.split()[1]), json.loads(text) if is_json else text.decode()


def question(path: str, *roles: str) -> dict[str, Any]:
    properties = {"roles": list(roles), "email": "s3cr3t"}
    return {
        "subject": {"type": "user", "id": "ann", "properties": properties},
        "action": {"name": "GET"},
        "resource": {"type": "route", "id": path},
    }


@pytest.mark.slow
def test_a_process_that_is_asked(process: subprocess.Popen[str]) -> None:
    assert process.stderr is not None
    said = process.stderr.readline()
    assert said.endswith(" decides by authz.toml; Ctrl-C ends it\n")
    url = said.split()[0]
    port = int(url.rpartition(":")[2])
    status, metadata = sent(port, "GET", METADATA, token="none")
    assert (status, metadata["policy_decision_point"]) == (200, url)
    assert sent(port, "POST", EVALUATION, question("/me", "viewer")) == (200, {"decision": True})
    for token, expected in ((TOKEN[::-1], 200), (TOKEN + "x", 401)):
        assert sent(port, "POST", EVALUATION, question("/me"), token)[0] == expected
    _, denied = sent(port, "POST", EVALUATION, question("/me"))
    assert denied["context"]["reason"] == "role_missing"
    # No loader can be registered here.
    _, unloaded = sent(port, "POST", EVALUATION, question("/things/1"))
    assert unloaded["context"]["reason"] == "resource_unavailable"
    process.terminate()
    log = process.stderr.read()
    assert f"id={denied['context']['id']}\n" in log
    assert "s3cr3t" not in log
    assert TOKEN not in log
