"""What `int`, `float` and `uuid` take for certain, and what some framework takes beyond that."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.policy.converters import Kind, loose, strict

HEX = "0123456789abcdef0123456789ABCDEF"
DASHED = "01234567-89ab-cdef-0123-456789abcdef"

STRICT: dict[Kind, list[str]] = {
    "int": ["0", "7", "42", "007", "9" * 4000],
    "float": ["0.0", "1.5", "007.250", "9" * 5000 + ".5"],
    "uuid": [DASHED, DASHED.lower()],
}
LOOSE: dict[Kind, list[str]] = {
    "int": [
        *["+1", "-1", "1_0", " 1", "1 ", "1\n", "1\u00a0", "٣", "1٣", "२", "\uff11", "²", "+٣"],
        *["1.0", "+1.00", "1_0.0", "0-1", "00-1.0", "_1"],  # pydantic
        *["1e3", "-1.0e3", "1.5E1"],  # msgspec
        "9" * 5000,  # more digits than int() takes
    ],
    "float": [
        *["+1", "-1.5", "1e3", "1E-3", "nan", "inf", "-Infinity", ".5", "1.", "1_0.5", " 1.5"],
        *["٣.٣", "٣", "²", "1_.5"],
        *["0", "7", "9" * 5000],  # Werkzeug wants the point
    ],
    "uuid": [
        *[
            DASHED.upper(),
            HEX,
            f"{{{DASHED}}}",
            f"urn:uuid:{DASHED}",
            f"URN:UUID:{DASHED}",
            f"{{{HEX}",
        ],
        *["0123-" + HEX[4:], "0x" + HEX[2:], "0_" + HEX[2:], "٣" + HEX[1:]],
    ],
}
NEITHER: dict[Kind, list[str]] = {
    "int": [
        *["", "x", "1x", "1.5", "+", "-", "_", ".", "nan", "0x10", "1,0", DASHED],
        *["2024-01-05", "1.2.3"],
    ],
    "float": ["", "x", "1x", "+", ".", "e", "1e", "1,5", "0x10", "1.2.3", DASHED],
    "uuid": ["", "x", "1", HEX[1:], HEX + "0", "g" + HEX[1:], "x" + DASHED[1:], "z" * 32],
}
KINDS: list[Kind] = ["int", "float", "uuid"]


def cases(table: dict[Kind, list[str]]) -> list[object]:
    return [
        pytest.param(kind, text, id=f"{kind} {ascii(text)[:40]}")
        for kind in KINDS
        for text in table[kind]
    ]


@pytest.mark.parametrize(("kind", "text"), cases(STRICT))
def test_certain(kind: Kind, text: str) -> None:
    assert strict(kind, text)


@pytest.mark.parametrize(("kind", "text"), cases(LOOSE))
def test_in_doubt(kind: Kind, text: str) -> None:
    assert not strict(kind, text)
    assert loose(kind, text)


@pytest.mark.parametrize(("kind", "text"), cases(NEITHER))
def test_refused_by_all(kind: Kind, text: str) -> None:
    assert not strict(kind, text)
    assert not loose(kind, text)


texts = st.text() | st.text(st.sampled_from("0123456789abcdefinft+-_. {}:٣²\uff11"), max_size=40)


@given(texts | st.uuids().map(str) | st.floats().map(str) | st.integers().map(str))
def test_what_python_takes_is_never_overlooked(text: str) -> None:
    for kind, convert in (("int", int), ("float", float), ("uuid", UUID)):
        try:
            convert(text)
        except ValueError:
            continue
        assert strict(kind, text) or loose(kind, text)  # type: ignore[arg-type]


@given(st.text(st.characters(categories=["Nd", "No"]), min_size=1))
def test_digits_of_every_script_are_in_doubt(text: str) -> None:
    if text.isdigit():
        assert strict("int", text) or loose("int", text)
        assert strict("float", text) or loose("float", text)
