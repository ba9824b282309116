"""A page in a real browser calls the API from another origin: what its script can read."""

from __future__ import annotations

import functools
import html
import json
import re
import shutil
import subprocess
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlencode

import pytest

from authz_middleware.testing import DevelopmentIssuer
from examples.demo.servers import ROOT, running, uvicorn
from tests.missing import missing

pytestmark = pytest.mark.e2e

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-sync"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
)


@pytest.fixture(autouse=True)
def browser() -> str:
    return BROWSER or missing("no Chromium on PATH")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_line):
        pass


@pytest.fixture
def origin():
    """Serve the example's folder, from another origin than the API's."""
    handler = functools.partial(Quiet, directory=str(ROOT / "examples" / "browser_app"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def notes():
    with DevelopmentIssuer(audience="notes").serve(port=0) as issuer:
        yield issuer


@pytest.fixture
def read(browser, origin, notes, tmp_path):
    """Return what opens the page and returns the rows that its script wrote."""

    def read(command, **environ):
        served = {"NOTES_ISSUER": notes.issuer, "NOTES_ORIGINS": origin, **environ}
        with running("api", command, tmp_path, served) as server:
            token = notes.mint("ann", roles=["reader"])
            fragment = urlencode({"api": f"http://127.0.0.1:{server.port}", "token": token})
            done = subprocess.run(
                [
                    *(browser, *QUIET, f"--user-data-dir={tmp_path / 'profile'}"),
                    # Time stands still for the page while an answer is awaited.
                    *(
                        "--virtual-time-budget=20000",
                        "--dump-dom",
                        f"{origin}/page.html#{fragment}",
                    ),
                ],
                capture_output=True,
                text=True,
                timeout=120,
                check=True,
            )
            assert '<output id="state">done</output>' in done.stdout, done.stdout + done.stderr
            return rows(done.stdout), server.read_log()

    return read


def rows(page: str) -> dict[str, list[str]]:
    """The table of the page: its first column, and the others."""
    found = re.findall(r'<tr id="([a-z-]+)">(.*?)</tr>', page, re.DOTALL)
    return {
        name: [html.unescape(cell) for cell in re.findall("<td>(.*?)</td>", cells, re.DOTALL)][1:]
        for name, cells in found
    }


OUTSIDE = uvicorn("examples.browser_app.app:app")


def test_with_cors_outside_a_script_reads_every_answer(read):
    # With access lines: they show the preflights.
    seen, log = read([option for option in OUTSIDE if option != "--no-access-log"])
    plain = 'Bearer realm="notes"'
    invalid, short = f'{plain}, error="invalid_token"', f'{plain}, error="insufficient_scope"'
    assert {name: cells[:2] for name, cells in seen.items()} == {
        "no-token": ["401", plain],
        "bad-token": ["401", invalid],
        "reader-reads": ["200", ""],
        "reader-writes": ["403", short],
    }
    assert json.loads(seen["reader-reads"][2]) == {"1": "buy milk"}
    for name, status in (("no-token", 401), ("bad-token", 401), ("reader-writes", 403)):
        assert json.loads(seen[name][2])["status"] == status
    # One for each address that a token was sent to, and each passed.
    assert re.findall(r'"OPTIONS (\S+) HTTP/1.1" (\d+)', log) == [
        ("/notes", "200"),
        ("/notes/1?text=done", "200"),
    ]


def test_an_origin_that_is_not_allowed_reads_nothing(read):
    seen, _ = read(OUTSIDE, NOTES_ORIGINS="http://127.0.0.1:1")
    assert [cells[0] for cells in seen.values()] == ["TypeError"] * 4


INSIDE = """
from examples.browser_app.app import app

app.user_middleware.reverse()
"""


def test_with_cors_inside_a_script_cannot_tell_a_refusal_from_an_outage(read, tmp_path):
    """Why the order matters: what the page would see, and the same example turned round."""
    (tmp_path / "inside.py").write_text(INSIDE)
    seen, _ = read(uvicorn("inside:app", "--app-dir", str(tmp_path)), PYTHONPATH=str(ROOT))
    assert [cells[0] for cells in seen.values()] == ["TypeError"] * 4
