"""Whatever arrives, the outcome is one of section 4: never a stray exception, never a 500."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware import ASGIAuthzMiddleware, WSGIAuthzMiddleware
from tests.adapters.exchange import Recorder, ask, call_asgi, call_wsgi, environ_for, scope_for

STATUSES = {200, 400, 401, 403}

# Mutations that find the edges sooner than noise does.
STRUCTURE = ["/", "//", "..", ".", "%2f", "%2F", ";", "\\", "#", "\uff0f", "\u2024"]
WORDS = ["admin", "health", "articles", "1", "+1", " ", "\u00e9", "e\u0301"]
UNPRINTABLE = ["\n", "\x00", "\u200b", "\ufeff", "\ufffd", "\ud800"]
PIECES = st.sampled_from([*STRUCTURE, *WORDS, *UNPRINTABLE])
PATHS = st.one_of(st.lists(PIECES, max_size=8).map("".join), st.text(max_size=40))
VALUES = st.one_of(
    st.binary(max_size=60),
    st.binary(max_size=60).map(lambda data: b"Bearer " + data),
    st.from_regex(rb"[Bb]earer +[A-Za-z0-9._-]{0,40}\.[A-Za-z0-9._-]{0,40}", fullmatch=True),
)
METHODS = st.one_of(
    st.sampled_from(["GET", "get", "HEAD", "POST", "WS", "ß", "", "G ET", "OPTIONS", "\u0131"]),
    st.text(max_size=8),
)


@given(
    method=METHODS,
    path=PATHS,
    root_path=st.one_of(st.just(""), PATHS),
    values=st.lists(VALUES, max_size=2),
    accept=st.one_of(st.none(), st.binary(max_size=30)),
    kind=st.sampled_from(["http", "websocket"]),
)
def test_asgi(method, path, root_path, values, accept, kind, authz):
    recorder = Recorder()
    scope = scope_for(method, path, kind=kind, root_path=root_path)
    scope["headers"] = [(b"authorization", value) for value in values]
    if accept is not None:
        scope["headers"].append((b"accept", accept))
    sent = call_asgi(ASGIAuthzMiddleware(recorder.asgi, authz), scope)
    assert sent.status in STATUSES | {101}
    assert bool(recorder.seen) == (sent.status in (200, 101))
    _only_public(recorder)


@given(method=METHODS, path=PATHS, script_name=PATHS, value=st.none() | VALUES)
def test_wsgi(method, path, script_name, value, authz):
    recorder = Recorder()
    environ = environ_for(method, path) | {"SCRIPT_NAME": script_name}
    if value is not None:
        environ["HTTP_AUTHORIZATION"] = value.decode("latin-1")
    sent = call_wsgi(WSGIAuthzMiddleware(recorder.wsgi, authz), environ, validated=False)
    assert sent.status in STATUSES
    assert bool(recorder.seen) == (sent.status == 200)
    _only_public(recorder)


@given(path=PATHS, values=st.lists(VALUES, max_size=1), method=METHODS.filter(str.isascii))
def test_both_worlds_agree(path, values, method, authz):
    if "\ud800" in path:  # ASGI servers put U+FFFD there, and WSGI servers bytes
        path = path.replace("\ud800", "\ufffd")
    headers = [("Authorization", value.decode("latin-1")) for value in values]
    scope = scope_for(method, path, headers)
    environ = environ_for(method, path, headers)
    environ["PATH_INFO"] = environ["PATH_INFO"] or "?"  # empty is the root of a mount in WSGI only
    first = call_wsgi(WSGIAuthzMiddleware(Recorder().wsgi, authz), environ, validated=False)
    second = call_asgi(ASGIAuthzMiddleware(Recorder().asgi, authz), scope)
    assert first.status == second.status
    assert first.header("www-authenticate") == second.header("www-authenticate")


def _only_public(recorder: Recorder) -> None:
    """No token of these tests is valid: whoever got in came by a public rule."""
    for access in recorder.seen:
        assert access.principal is None
        assert access.decision.rule.key in ("GET /health", "WS /open")


@pytest.mark.parametrize("world", ["wsgi", "asgi"])
def test_hostile_tokens_of_the_right_shape(world, authz, issuer):
    """A token that is signed well but says strange things is an answer, not an exception."""
    strange: list[dict[str, Any]] = [
        {"sub": "\ud800"},
        {"sub": None},
        {"sub": ["ann"]},
        {"scope": ["a", 1]},
        {"exp": "9999999999"},
        {"exp": 1e400},
        {"exp": True},
        {"iat": [1]},
        {"aud": {}},
        {"iss": 1},
        {"act": "svc"},
        {"cnf": None},
        {"sub": ""},
        {"nbf": 1e300},
        {"roles": "admin\r\nX-Injected: 1"},
    ]
    for claims in strange:
        try:
            token = issuer.mint(**({"subject": "ann"} | claims))
        except (TypeError, ValueError, UnicodeError):
            continue  # cannot even be minted
        headers = [("Authorization", f"Bearer {token}")]
        sent = ask(world, authz, "GET", "/admin", headers)
        assert sent.status in (401, 403)
        assert not sent.called
