"""Where each character of a string stands, against what the readers make of the same text."""

from __future__ import annotations

import json
import tomllib

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.document import Document, inside


@given(st.text(alphabet="ab\"'\\\n\t ä😀\x00", max_size=12), st.booleans())
def test_json(value, ascii_only):
    text = json.dumps(value, ensure_ascii=ascii_only)
    offsets = inside.characters(text, 0, ".json", value)
    assert offsets is not None
    assert offsets[-1] == len(text) - 1
    for index, character in enumerate(value):
        written = text[offsets[index] : offsets[index + 1]]
        assert json.loads(f'"{written}"') == character


PIECES = st.sampled_from(["a", "'", '"', "\\n", "\\\\", '\\"', "\\u00e4", "\\U0001F600", " ", "\n"])


@given(
    st.lists(PIECES, max_size=8).map("".join),
    st.sampled_from(['"', "'", '"""', "'''", '"""\n', "'''\n", '"""\\\n  ']),
)
def test_toml(written, opened):
    text = opened + written + opened[:3].rstrip("\n\\")
    try:
        value = tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        return
    offsets = inside.characters(text, 0, ".toml", value)
    assert offsets is not None
    assert len(offsets) == len(value) + 1
    for index, character in enumerate(value):
        if character in "aä😀":
            assert text[offsets[index]] in (character, "\\")


@given(st.text(alphabet="ab\"'\\ ä😀:#", max_size=8), st.sampled_from(["'", '"', None]))
def test_yaml(value, style):
    text = yaml.safe_dump({"x": value}, default_style=style, allow_unicode=True, width=1000)
    start = text.index(":") + 2
    offsets = inside.characters(text, start, ".yaml", value)
    if offsets is None:
        return  # a style that is left to the place of the key
    assert len(offsets) == len(value) + 1
    for index, character in enumerate(value):
        assert text[offsets[index]] in (character, "\\")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"ab"', "abc"),
        ('"abc"', "ab"),
        ('"abc', "abc"),
        ("'a\nb'", "a b"),
        ('"axc"', "abc"),
        ("", "a"),
    ],
)
def test_another_text_is_none(text, value):
    assert inside.characters(text, 0, ".yaml", value) is None


def test_a_document_falls_back_to_the_key(tmp_path):
    file = tmp_path / "a.toml"
    file.write_text("\n x = 'abc'\n")
    document = Document.read(file)
    assert document.inside(("x",), "abc", 1) == (0, 2, 8)
    assert document.inside(("x",), "abc", 3) == (0, 2, 10)
    assert document.inside(("x",), "another", 1) == (0, 2, 2)
    assert document.inside(("y",), "abc", 1) == (0, 0, 0)
