from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.tokens.claim_paths import ClaimPathError, parse

GOOD = {
    "roles": ("roles",),
    "realm_access.roles": ("realm_access", "roles"),
    '"https://x/roles"': ("https://x/roles",),
    'resource_access."orders.api".roles': ("resource_access", "orders.api", "roles"),
    "'single.quoted'.x": ("single.quoted", "x"),
    r'"a\"b\u00e9"': ('a"b\u00e9',),
    " a . b ": ("a", "b"),
    "7-8_9": ("7-8_9",),
}


@pytest.mark.parametrize(("text", "path"), GOOD.items(), ids=GOOD)
def test_read(text: str, path: tuple[str, ...]) -> None:
    assert parse(text) == path


BAD = {
    "": ("a name is missing", 0),
    " ": ("a name is missing", 0),
    "a.": ("a name is missing", 2),
    "a..b": ("this is no name", 2),
    ".a": ("this is no name", 0),
    "a b": ("this is no name", 0),
    "https://x/roles": ("this is no name", 0),
    "a.r\u00f4les": ("this is no name", 2),
    '"a': ("this is no name", 0),
    '"a"b': ("this is no name", 0),
    '""': ("a name is empty", 0),
    "a.''": ("a name is empty", 2),
    r'a."\q"': ("this is no TOML string", 2),
    '"a\nb"': ("this is no TOML string", 0),
    "a\n": ("this is no name", 0),
}


@pytest.mark.parametrize(("text", "problem"), BAD.items(), ids=map(repr, BAD))
def test_refused(text: str, problem: tuple[str, int]) -> None:
    with pytest.raises(ClaimPathError) as refused:
        parse(text)
    assert (refused.value.what, refused.value.offset) == problem


def follow(table: Any) -> tuple[str, ...]:
    path: list[str] = []
    while isinstance(table, dict):
        ((name, table),) = table.items()
        path.append(name)
    return tuple(path)


@given(st.text(alphabet="ab.\"'\\ u0-_\t=#\n"))
def test_as_tomllib_reads_a_dotted_key(text: str) -> None:
    try:
        path = parse(text)
    except ClaimPathError:
        return
    assert follow(tomllib.loads(f"{text} = 0")) == path
