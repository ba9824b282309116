"""The pages of the providers: each shows a token, and the policy beside it takes it or not."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest

from authz_middleware import WSGIAuthzMiddleware
from authz_middleware.testing import DevelopmentIssuer
from authz_middleware.tokens.presets import PRESETS
from tests.adapters.exchange import Recorder, call_wsgi, environ_for
from tests.docs.pages import ROOT, Block, blocks

FOLDER = ROOT / "docs" / "providers"
TOKENS = [
    pytest.param(block, id=f"{block.page.stem}:{block.line}")
    for page in sorted(FOLDER.glob("*.md"))
    for block in blocks(page)
    if block.language == "json"
]
SOURCES = ("jwks_file", "role_map")


def test_every_preset_has_a_page():
    assert {page.stem for page in FOLDER.glob("*.md")} == PRESETS.keys() | {"index"}


@pytest.mark.parametrize("name", PRESETS)
def test_a_page_shows_tokens_of_both_kinds(name: str):
    shown = [block for block in blocks(FOLDER / f"{name}.md") if block.language == "json"]
    assert {block.mark for block in shown} == {None, "refused"}
    first = tomllib.loads(blocks(FOLDER / f"{name}.md")[0].text)
    assert first["issuers"][0]["preset"] == name


@pytest.mark.parametrize("block", TOKENS)
def test_a_token_of_a_page(block: Block, caplog: pytest.LogCaptureFixture):
    """What is shown is taken by the first policy of its page, or refused for the reason given."""
    table: dict[str, Any] = tomllib.loads(blocks(block.page)[0].text)["issuers"][0]
    signer = DevelopmentIssuer(table["issuer"])
    table = {name: value for name, value in table.items() if name not in SOURCES}
    app = WSGIAuthzMiddleware(
        Recorder().wsgi,
        {"issuers": [table | {"jwks": signer.jwks}], "routes": {"GET /": "authenticated"}},
    )
    usual = dict.fromkeys(("aud", "client_id", "jti"))
    caplog.set_level("DEBUG", "authz_middleware")
    for typ in PRESETS[table["preset"]].token_types:
        token = signer.mint(headers={"typ": typ}, **usual | json.loads(block.text))
        fields = [("Authorization", f"Bearer {token}")]
        sent = call_wsgi(app, environ_for("GET", "/", fields), validated=False)
        if block.mark is None:
            assert sent.status == 200, block.place
        else:
            assert sent.status == 401, block.place
            assert f"({block.expected})" in caplog.messages[-1], block.place
