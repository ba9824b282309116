"""What an app keeps of its caller holds nothing of the token (RFC 9700 §4.9.3)."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from authz_middleware import Authz
from authz_middleware.testing import DevelopmentIssuer
from tests.adapters.exchange import WORLDS, ask

pytestmark = pytest.mark.parametrize("world", WORLDS)


def reachable(root: object) -> Iterator[object]:
    """Every object that hangs on `root`, but for modules, classes and code."""
    seen: set[int] = set()
    queue = [root]
    while queue:
        found = queue.pop()
        # A `partial` is code and what it was given.
        if id(found) in seen or isinstance(found, (type, type(gc), type(reachable))):
            continue
        seen.add(id(found))
        yield found
        queue += gc.get_referents(found)


@pytest.mark.parametrize("path", ["/me", "/health"])
@pytest.mark.parametrize("kept", ["Access", "denial"])
def test_no_token_text_hangs_on_what_is_kept(world: str, path: str, kept: str) -> None:
    issuer = DevelopmentIssuer()
    token = issuer.mint()
    authz = Authz.from_mapping(
        {
            "issuers": [issuer.policy_issuer()],
            "roles": {"viewer": ["article:read"]},
            "routes": {"GET /me": "authenticated", "GET /health": "public"},
        }
    )
    fields = [("Authorization", f"Bearer {token}"), ("Accept", "text/plain")]

    def during(access: object) -> None:
        if kept == "denial":
            access.require("article:read")  # type: ignore[attr-defined]

    sent = ask(world, authz, "GET", path, fields, during=during)
    assert sent.status == (403 if kept == "denial" else 200)
    texts = [found for found in reachable(sent.access) if isinstance(found, (str, bytes))]
    assert "ann" in texts
    for text in texts:
        as_text = text if isinstance(text, str) else text.decode("latin-1")
        assert not any(part in as_text for part in token.split("."))
