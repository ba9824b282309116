"""The page of `authz matrix` in a real browser: filters, keys, why, light, dark and print."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from websockets.sync.client import ClientConnection, connect

from authz_middleware.cli import main
from tests.e2e.test_browser import BROWSER, QUIET
from tests.missing import missing

pytestmark = pytest.mark.e2e

POLICY = """\
[[issuers]]
issuer = "https://login.example.com"
audience = ["orders"]
[roles]
viewer = ["read"]
editor = { inherits = ["viewer"], permissions = ["write"] }
[routes]
"GET /articles/<int:id>" = ["viewer"]
"PUT /articles/<int:id>" = { permissions = ["write"], scopes = ["w"] }
"/admin/**" = ["editor"]
"GET /health" = "public"
"""


class Page:
    """A page, driven over the browser's own protocol."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._ids = count(1)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=30))
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]

    def value(self, expression: str) -> Any:
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def press(self, key: str, text: str = "") -> None:
        more: dict[str, Any] = {"text": text, "unmodifiedText": text} if text else {}
        codes = {"Enter": 13, "Escape": 27, "ArrowUp": 38, "ArrowDown": 40, "ArrowRight": 39}
        if key in codes:
            more["windowsVirtualKeyCode"] = codes[key]
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, code=key, **more)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=key)


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    browser = BROWSER or missing("no Chromium on PATH")
    (tmp_path / "authz.toml").write_text(POLICY)
    file, profile = tmp_path / "matrix.html", tmp_path / "profile"
    words = ["matrix", str(tmp_path / "authz.toml"), "--html", str(file)]
    assert CliRunner().invoke(main, words).exit_code == 0
    command = [browser, *QUIET, f"--user-data-dir={profile}", "--remote-debugging-port=0"]
    process = subprocess.Popen(
        [*command, "--window-size=1000,600", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with connect(address(profile / "DevToolsActivePort"), max_size=None) as socket:
            driven = Page(socket)
            driven.call("Page.enable")
            driven.call("Page.navigate", url=file.as_uri())
            wait(lambda: driven.value("!!document.querySelector('#count')?.textContent"))
            yield driven
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(profile, ignore_errors=True)


def wait(done: Any) -> None:
    ends = time.monotonic() + 30
    while not done():
        assert time.monotonic() < ends, "the browser did not answer"
        time.sleep(0.05)


def address(file: Path) -> str:
    """The address of the one page that the browser shows."""
    wait(lambda: file.exists() and len(file.read_text().split()) == 2)
    port, browser = file.read_text().split()
    with connect(f"ws://127.0.0.1:{port}{browser}") as socket:
        socket.send(json.dumps({"id": 1, "method": "Target.getTargets"}))
        targets = json.loads(socket.recv(timeout=30))["result"]["targetInfos"]
    target = next(each["targetId"] for each in targets if each["type"] == "page")
    return f"ws://127.0.0.1:{port}/devtools/page/{target}"


ROUTES = "[...document.querySelectorAll('tbody tr:not([hidden]) th')].map((th) => th.textContent)"
FOCUS = "[document.activeElement.dataset.may, document.activeElement.parentElement.cells[1].textContent, document.activeElement.dataset.column]"  # noqa: E501
WHY = "[document.querySelector('#why').hidden, ...['what', 'answer'].map((id) => document.getElementById(id).textContent)]"  # noqa: E501


def choose(page: Page, id: str, value: str) -> None:
    page.value(
        f"(() => {{ const e = document.getElementById('{id}'); e.value = '{value}';"
        " e.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )


def test_rows_are_filtered(page: Page) -> None:
    everything = [
        "/admin/**",
        "/articles/<int:id>",
        "/articles/<int:id>",
        "/health",
        "any other path",
    ]
    assert page.value(ROUTES) == everything
    choose(page, "search", "ARTICLES")
    assert page.value(ROUTES) == everything[1:3]
    assert page.value("document.getElementById('count').textContent") == "2 of 5 rows"
    choose(page, "search", "")
    choose(page, "may", "if")
    assert page.value(ROUTES) == ["/articles/<int:id>"]
    choose(page, "may", "yes")
    choose(page, "caller", "0")
    assert page.value(ROUTES) == ["/health"]
    shown = "[...document.querySelectorAll('thead th:not([hidden])')].map((th) => th.textContent)"
    assert page.value(shown) == ["Methods", "Route", "anonymous"]


def test_keys_go_from_cell_to_cell_and_say_why(page: Page) -> None:
    page.value("document.querySelector('td[tabindex=\"0\"]').focus()")
    assert page.value(FOCUS) == ["no", "/admin/**", "0"]
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "ArrowRight"):
        page.press(key)
    assert page.value(FOCUS) == ["if", "/articles/<int:id>", "2"]
    assert page.value("document.querySelectorAll('td[tabindex=\"0\"]').length") == 1
    page.press("Enter", "\r")
    assert page.value(WHY) == [
        False,
        "editor: PUT /articles/<int:id>",
        "yes, if the scope `w`",
    ]
    page.press("Escape")
    assert page.value(WHY)[0] is True
    assert page.value(FOCUS)[0] == "if"
    choose(page, "search", "/health")
    page.value("document.querySelector('tbody tr:not([hidden]) td.c').focus()")
    page.press("ArrowUp")  # there is no row above it any more
    assert page.value(FOCUS) == ["yes", "/health", "0"]


def test_a_click_says_why(page: Page) -> None:
    page.value("document.querySelector('tbody td.c').click()")
    assert page.value(WHY) == [
        False,
        "anonymous: GET|PUT|others /admin/**",
        "no: needs a verified caller",
    ]
    page.value("document.getElementById('close').click()")
    assert page.value(WHY)[0] is True


def test_a_screen_reader_finds_a_table_with_heads(page: Page) -> None:
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    roles = [each["role"]["value"] for each in nodes if not each["ignored"]]
    assert roles.count("table") == 1
    assert roles.count("columnheader") == 6
    assert roles.count("rowheader") == 5
    assert {"search", "searchbox"} & {*roles}


def test_nothing_is_loaded_and_nothing_fails(page: Page) -> None:
    assert page.value("performance.getEntriesByType('resource').length") == 0
    page.call("Log.enable")
    # What a policy could smuggle in would not run.
    page.value(
        "document.body.append(Object.assign(document.createElement('script'),"
        " {text: 'window.ran = 1'}))"
    )
    assert page.value("window.ran === undefined") is True


def colours(page: Page) -> tuple[str, str]:
    found = page.value(
        "(() => { const s = getComputedStyle(document.body);"
        " return [s.color, s.backgroundColor]; })()"
    )
    return found[0], found[1]


def test_light_dark_and_print(page: Page) -> None:
    def media(name: str, scheme: str) -> None:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        page.call("Emulation.setEmulatedMedia", media=name, features=features)

    media("screen", "light")
    light = colours(page)
    assert light[1] == "rgb(255, 255, 255)"
    media("screen", "dark")
    dark = colours(page)
    assert dark != light
    assert contrast(*dark) > 7
    assert contrast(*light) > 7
    media("print", "dark")
    assert colours(page) == ("rgb(0, 0, 0)", "rgb(255, 255, 255)")
    assert page.value("getComputedStyle(document.getElementById('filters')).display") == "none"


def contrast(one: str, other: str) -> float:
    """The contrast of two colours (WCAG 2.2, relative luminance)."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in colour[4:-1].split(",")]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_kind_of_cell_can_be_read(page: Page, scheme: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.call("Emulation.setEmulatedMedia", media="screen", features=features)
    for kind in ("yes", "if"):
        found = page.value(
            f"(() => {{ const s = getComputedStyle(document.querySelector('td.{kind}'));"
            " return [s.color, s.backgroundColor]; })()"
        )
        assert contrast(*found) > 4.5, (scheme, kind, found)
