"""Keys of [routes] and methods of requests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.policy.routekey import RouteKeyError, parse_key, request_method, split_key


@pytest.mark.parametrize(
    ("text", "methods", "path"),
    [
        ("/", (), "/"),
        ("/GET /x", (), "/GET /x"),
        ("GET /x", ("GET",), "/x"),
        ("GET|POST|WS /x/<id>", ("GET", "POST", "WS"), "/x/<id>"),
        ("M-SEARCH /x", ("M-SEARCH",), "/x"),
        ("HEAD /x", ("HEAD",), "/x"),
        ("GET /a b", ("GET",), "/a b"),
    ],
)
def test_split_key(text, methods, path) -> None:
    assert split_key(text) == (methods, path)


def test_parse_key_reads_the_template() -> None:
    key = parse_key("GET /x/<int:id>")
    assert key.methods == ("GET",)
    assert key.template.names == ("id",)


@pytest.mark.parametrize(
    ("text", "what", "fix"),
    [
        ("x", "`x` does not name a path", '"GET /path"'),
        ("GET x", "does not name a path", "GET"),
        ("GET\t/x", "does not name a path", "GET"),
        (" /x", "`` is not a method", "capitals"),
        ("Get /x", "`Get` is not a method", "capitals"),
        ("GÉT /x", "`GÉT` is not a method", "capitals"),
        ("GET||PUT /x", "`` is not a method", "capitals"),
        ("GET|GET /x", "names a method twice", "once"),
        ("HEAD /x", "HEAD is covered by GET", "write GET"),
        ("* /x", "`*` is not a method", 'write "/x"'),
        ("ANY /x", "`ANY` is not a method", 'write "/x"'),
        ("GET|All /x", "`GET|All` is not a method", 'write "/x"'),
        ("GET /<a:b:c>", "in `/<a:b:c>`", ""),
    ],
)
def test_a_bad_key_says_what_to_write(text, what, fix) -> None:
    with pytest.raises(RouteKeyError) as refused:
        parse_key(text)
    assert what in refused.value.what
    assert fix in refused.value.fix
    assert str(refused.value) == f"{refused.value.what}; {refused.value.fix}"


@pytest.mark.parametrize(
    ("kind", "method", "matched"),
    [
        ("http", "GET", "GET"),
        ("http", "get", "GET"),
        ("http", "pUrGe", "PURGE"),
        ("http", "M-SEARCH", "M-SEARCH"),
        ("websocket", "GET", "WS"),
        ("websocket", "", "WS"),
        ("http", "WS", None),
        ("http", "ws", None),
        ("http", "", None),
        ("http", "ß", None),
        ("http", "po\u017ft", None),  # upper-cased it would be POST
        ("http", "GET ", None),
        ("http", "GET\n", None),
        ("http", "GET|PUT", "GET|PUT"),  # a token; no key can list it
    ],
)
def test_request_method(kind, method, matched) -> None:
    assert request_method(kind, method) == matched


@given(st.text(max_size=8))
def test_no_http_method_poses_as_a_handshake_or_another_method(method: str) -> None:
    matched = request_method("http", method)
    assert matched != "WS"
    assert matched is None or (method.isascii() and matched == method.upper())
