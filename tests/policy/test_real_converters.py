"""What we call certain is certain for the frameworks' own converters, and nothing they take is
unknown to us: else a segment falls from one route to another, past its rule.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.convertors import CONVERTOR_TYPES
from werkzeug.routing import Map
from werkzeug.routing.converters import DEFAULT_CONVERTERS

from authz_middleware.policy.converters import KINDS, Kind, loose, strict

# Django's, as its `django.urls.converters` has them; it is no dependency of the tests.
DJANGO = {"int": "[0-9]+", "uuid": "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"}

SEGMENTS = st.one_of(
    st.from_regex(r"[0-9]{1,4}(\.[0-9]{1,3})?", fullmatch=True),
    st.uuids().map(str),
    st.uuids().map(lambda each: str(each).upper()),
    st.uuids().map(lambda each: each.hex),
    st.text("+-_.0123456789abcdefABCDEF \u0661\u00b2", min_size=1, max_size=40),
)


def _werkzeug(kind: Kind) -> Callable[[str], bool]:
    converter = DEFAULT_CONVERTERS[kind](Map())
    return lambda text: re.fullmatch(converter.regex, text) is not None


def _starlette(kind: Kind) -> Callable[[str], bool]:
    pattern = CONVERTOR_TYPES[kind].regex
    return lambda text: re.fullmatch(pattern, text) is not None


READERS = [
    pytest.param(kind, reader(kind), id=f"{name} {kind}")
    for name, reader in {"werkzeug": _werkzeug, "starlette": _starlette}.items()
    for kind in KINDS
] + [
    pytest.param(kind, re.compile(pattern).fullmatch, id=f"django {kind}")
    for kind, pattern in DJANGO.items()
]


@pytest.mark.parametrize(("kind", "takes"), READERS)
@given(text=SEGMENTS)
def test_certain_or_doubtful_but_never_unknown(kind, takes, text) -> None:
    if strict(kind, text):
        assert takes(text)
    elif takes(text):
        assert loose(kind, text)
