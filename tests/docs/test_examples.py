"""What the pages show of answers and logs is what is really sent and written."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from authz_middleware import WSGIAuthzMiddleware
from authz_middleware.testing import DevelopmentIssuer
from tests.docs.pages import ROOT, blocks

ANSWERS = blocks(ROOT / "docs" / "answers.md")


def readme_app(framework: str, folder: Path) -> Any:
    """The app of the README, made from its own two blocks."""
    names: dict[str, Any] = {"__name__": "readme"}
    for block in blocks(ROOT / "README.md"):
        if block.title is not None:
            (folder / block.title).write_text(block.text)
        elif block.language == "python" and f"from {framework} " in block.text:
            exec(compile(block.text, block.place, "exec", dont_inherit=True), names)
    return names["app"]


def asgi_status(app: Any, path: str) -> int:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [],
        "client": None,
        "server": None,
    }
    asyncio.run(app(scope, receive, send))
    return int(sent[0]["status"])


# /health is public, but neither app has such a route: the 404 is the app's own.
EXPECTED = {"/me": 401, "/health": 404, "/elsewhere": 401, "/me//": 400}


@pytest.mark.parametrize("path", EXPECTED)
def test_readme_fastapi(path: str, folder: Path):
    assert asgi_status(readme_app("fastapi", folder), path) == EXPECTED[path]


@pytest.mark.parametrize("path", EXPECTED)
def test_readme_flask(path: str, folder: Path):
    app = readme_app("flask", folder)
    assert app.test_client().get(path).status_code == EXPECTED[path]


# What differs from one answer to the next.
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PLACE = re.compile(r"authz\.toml:\d+:\d+")


def shown(text: str) -> str:
    return PLACE.sub("PLACE", UUID.sub("ID", text)).strip()


@pytest.fixture
def requests(folder: Path) -> tuple[Any, DevelopmentIssuer]:
    issuer = DevelopmentIssuer("https://login.example.com", "orders-api")
    (folder / "keys" / "jwks.json").write_text(json.dumps(issuer.jwks))
    (folder / "authz.toml").write_text(
        """
        realm = "orders"
        [[issuers]]
        issuer = "https://login.example.com"
        audience = ["orders-api"]
        jwks_file = "keys/jwks.json"
        [routes]
        "GET /articles/<int:id>" = ["viewer"]
        "POST /transfers" = { scopes = ["pay"] }
        """
    )
    app: Any = Flask(__name__)
    app.wsgi_app = WSGIAuthzMiddleware(app.wsgi_app, "authz.toml")
    return app.test_client(), issuer


def bearer(token: str, **fields: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", **fields}


def test_answers_page_shows_real_log_lines(requests, caplog: pytest.LogCaptureFixture):
    client, issuer = requests
    with caplog.at_level(logging.INFO, "authz_middleware"):
        client.get("/articles/1", headers=bearer(issuer.expired()))
        client.get("/articles/1", headers=bearer(issuer.mint("ann")))
    (block,) = (block for block in ANSWERS if block.text.startswith("refused"))
    lines = [line for line in caplog.messages if not line.startswith("a gap ")]
    assert [shown(line) for line in lines] == [shown(line) for line in block.text.splitlines()]


def test_answers_page_shows_a_real_answer(requests):
    client, issuer = requests
    answer = client.post("/transfers", headers=bearer(issuer.mint()))
    (head,) = (block for block in ANSWERS if block.language == "http")
    status, *fields = head.text.splitlines()
    assert status == f"HTTP/1.1 {answer.status_code} Forbidden"
    sent = {name.lower(): value for name, value in answer.headers}
    assert sent == {
        name.lower(): value for name, _, value in (field.partition(": ") for field in fields)
    }
    (body,) = (block for block in ANSWERS if block.language == "json")
    assert json.loads(shown(body.text)) == json.loads(shown(answer.text))


def test_answers_page_shows_a_real_text(requests):
    client, issuer = requests
    answer = client.post("/transfers", headers=bearer(issuer.mint(), Accept="text/plain"))
    (text,) = (block for block in ANSWERS if block.text.startswith("403 "))
    assert shown(text.text) == shown(answer.text)
