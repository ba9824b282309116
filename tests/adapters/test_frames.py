"""What an error tracker sees of a request whose app fails: the local variables of our frames."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import authz_middleware
from authz_middleware import ASGIAuthzMiddleware, WSGIAuthzMiddleware
from authz_middleware.facts import Authorization
from tests.adapters.exchange import call_asgi, call_wsgi, environ_for, scope_for

OURS = str(Path(authz_middleware.__file__).parent)
SERVERS = frozenset(("environ", "scope", "request"))
"""What a server or a framework has made of the request; trackers know what to hide of it."""


def shown(error: BaseException) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each local variable of our frames."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_filename.startswith(OURS):
            for name, value in frame.f_locals.items():
                if name not in SERVERS:
                    yield f"{frame.f_code.co_qualname}: {name}", repr(value)


def wsgi(_environ: Any, _start_response: Any) -> list[bytes]:
    raise LookupError


async def asgi(_scope: Any, _receive: Any, _send: Any) -> None:
    raise LookupError


@pytest.mark.parametrize("world", ["wsgi", "asgi"])
def test_no_token_stands_in_our_frames(world, authz, issuer):
    token = issuer.mint("ann")
    headers = [("Authorization", f"Bearer {token}")]
    if world == "wsgi":
        environ, guarded = environ_for("GET", "/me", headers), WSGIAuthzMiddleware(wsgi, authz)
        call = partial(call_wsgi, guarded, environ)
    else:
        scope, guard = scope_for("GET", "/me", headers), ASGIAuthzMiddleware(asgi, authz)
        call = partial(call_asgi, guard, scope)
    with pytest.raises(LookupError) as raised:
        call()
    found = dict(shown(raised.value))
    assert found
    assert [name for name, text in found.items() if token in text] == []


def test_credentials_do_not_show_themselves():
    assert repr([Authorization((b"Bearer x",))]) == "[Authorization()]"
