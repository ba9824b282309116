"""The header of a request is read at once where it is a usual one, to the same end as in a walk."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware import asgi, wsgi
from authz_middleware.facts import RequestFacts

TOKEN = (b"authorization", b"Bearer x")

NAMES = [
    "authorization",
    "Authorization",
    "accept",
    "ACCEPT",
    "host",
    "Host",
    "upgrade",
    "Upgrade",
    "sec-websocket-key",
    "sec_websocket_key",
    "x-vhm-root",
    "X_VHM_ROOT",
    "x-a",
]
VALUES = ["", "websocket", "WebSocket", "Bearer x", "text/html", "\xff"]


def octets(text: st.SearchStrategy[str]) -> st.SearchStrategy[bytes]:
    return text.map(lambda found: found.encode("latin-1"))


FIELDS = st.lists(
    st.tuples(
        octets(st.sampled_from([*NAMES, "", "n" * 65]) | st.text(max_size=4, alphabet="aA_-\xff")),
        octets(st.sampled_from(VALUES)),
    ),
    max_size=6,
)


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi, "_SEEN", {b"authorization", b"accept"})


@given(st.lists(FIELDS, min_size=1, max_size=4))
def test_it_says_what_a_walk_says(requests: list[list[tuple[bytes, bytes]]]) -> None:
    """Whatever came before: names are remembered from one request to the next."""
    for headers in requests:
        assert asgi._fields({"headers": headers}) == asgi._walked(headers)


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        pytest.param([TOKEN], ((b"Bearer x",), None, False, False), id="usual"),
        pytest.param([TOKEN, TOKEN], ((b"Bearer x",) * 2, None, False, False), id="twice"),
        pytest.param(
            [TOKEN, (b"Authorization", b"y")],
            ((b"Bearer x", b"y"), None, False, False),
            id="twice in two spellings",
        ),
        pytest.param([], ((), None, False, False), id="none"),
        pytest.param(
            [(b"accept", b"")], ((), "", False, False), id="an empty one is no absent one"
        ),
        pytest.param([(b"x_vhm_root", b"/")], ((), None, False, True), id="underscores"),
        pytest.param([(b"upgrade", b"h2c")], ((), None, False, False), id="another protocol"),
        pytest.param([(b"Upgrade", b"WebSocket")], ((), None, True, False), id="a handshake"),
        pytest.param(
            [[b"authorization", b"Bearer x"]], ((b"Bearer x",), None, False, False), id="lists"
        ),
        pytest.param(
            [(bytearray(b"authorization"), b"Bearer x")],
            ((b"Bearer x",), None, False, False),
            id="names that cannot be keys",
        ),
        pytest.param(
            [(b"accept", memoryview(b"*/*"))], ((), "*/*", False, False), id="a view of bytes"
        ),
    ],
)
def test_fields(headers: list[Any], found: object) -> None:
    for _ in range(2):  # the second time they are known
        assert asgi._fields({"headers": headers}) == found


class _Name(bytes):
    """A name that may say something else the next time."""


def test_what_is_remembered_is_bounded() -> None:
    for number in range(asgi.MAX_SEEN + 5):
        asgi._fields({"headers": [(b"x-%d" % number, b""), TOKEN]})
        assert len(asgi._SEEN) <= asgi.MAX_SEEN
    assert {b"authorization", b"accept"} <= asgi._SEEN
    asgi._fields({"headers": [(b"n" * (asgi.MAX_SEEN_LENGTH + 1), b"")]})
    asgi._fields({"headers": [(_Name(b"x-of-a-class"), b"")]})
    assert {type(name) for name in asgi._SEEN} == {bytes}
    assert max(map(len, asgi._SEEN)) <= asgi.MAX_SEEN_LENGTH


@pytest.mark.parametrize(
    "name", [b"Authorization", b"upgrade", b"sec-websocket-key", b"x-vhm-root"]
)
def test_what_counts_is_never_remembered(name: bytes) -> None:
    asgi._fields({"headers": [(name, b"x")]})
    assert name not in asgi._SEEN


def test_facts_are_whole() -> None:
    """They are made without being counted."""
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [TOKEN]}
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_AUTHORIZATION": "Bearer x"}
    facts = RequestFacts("http", "GET", "/", "", whole=True, exact=True, around=None)
    assert asgi.facts_of(scope, "", whole=True, exact=True) == (facts, (b"Bearer x",), None)
    found = wsgi.facts_of(environ, exact=True)
    assert found == (facts._replace(whole=False), (b"Bearer x",))
