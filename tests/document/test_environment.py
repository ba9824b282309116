"""`${NAME}` in a policy: what is replaced, what is refused, and that places stay right."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.document import Document
from authz_middleware.document.environment import expanded
from authz_middleware.errors import PolicyError

ENVIRON = {"STAGE": "test", "HOST": "login.example.com", "EMPTY": "", "HALF": "a\udcff"}


def expand(root: dict[str, Any], environ=ENVIRON) -> dict[str, Any]:
    def complain(path, what, fix):
        raise AssertionError(what)

    return expanded(root, {}, environ, complain)[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("${STAGE}", "test", id="alone"),
        pytest.param("https://${HOST}/realms/${STAGE}", "https://login.example.com/realms/test"),
        pytest.param("$${STAGE}", "${STAGE}", id="escaped"),
        pytest.param("$$${STAGE}", "$${STAGE}", id="a dollar, escaped"),
        pytest.param("$STAGE {STAGE} $ {STAGE} $", "$STAGE {STAGE} $ {STAGE} $", id="no brace"),
        pytest.param("", "", id="empty"),
    ],
)
def test_what_a_text_becomes(text, value):
    assert expand({"a": text, "b": [text], "c": {"d": [{"e": text}]}}) == {
        "a": value,
        "b": [value],
        "c": {"d": [{"e": value}]},
    }


def test_a_value_is_text_and_is_not_looked_at_again():
    environ = {"A": '"]\n[routes]\n"/**" = "public"', "B": "${A}"}
    assert expand({"a": "${A}", "b": "${B}"}, environ) == {"a": environ["A"], "b": "${A}"}


def test_what_is_no_text_stays():
    values = {"a": 1, "b": 1.5, "c": True, "d": [2]}
    assert expand(values) == values


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Return what reads a policy text of a kind as a document, in the environment above."""
    monkeypatch.chdir(tmp_path)
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("UNSET", raising=False)

    def read(text: str, suffix: str = ".toml") -> Document:
        (tmp_path / f"a{suffix}").write_text(text)
        return Document.read(f"a{suffix}")

    return read


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(
            "${UNSET}",
            "the environment variable UNSET is not set, or empty;"
            " set UNSET before the server starts",
            id="unset",
        ),
        pytest.param(
            "x${EMPTY}", "the environment variable EMPTY is not set, or empty", id="empty"
        ),
        pytest.param("${HALF}", "the environment variable HALF is not UTF-8", id="bytes"),
        pytest.param(
            "${a-b}",
            '"${a-b}" names no environment variable;'
            " write `${NAME}`, or `$${` for the characters `${`",
            id="no name",
        ),
        pytest.param("${}", '"${}" names no environment variable', id="nothing"),
        pytest.param("${STAGE", '"${STAGE" names no environment variable', id="no end"),
        pytest.param("${STAGE:-x}", '"${STAGE:-x}" names no environment variable', id="a default"),
        pytest.param("${${STAGE}}", '"${$" names no environment variable', id="nested"),
    ],
)
def test_what_is_refused_says_where_and_what_to_write(text, problem, read):
    for line, suffix in ((f"a = [\n'{text}']", ".toml"), (f'{{"a": "{text}"}}', ".json")):
        with pytest.raises(PolicyError) as raised:
            read(line, suffix)
        where = "a.toml:2:1" if suffix == ".toml" else "a.json:1:2"
        assert str(raised.value).startswith(f"{where}: {problem}")


def test_every_variable_that_is_missing_is_named(read):
    with pytest.raises(PolicyError) as raised:
        read('a = "${UNSET} ${EMPTY}"\n[b]\nc = "${UNSET}"')
    assert [problem.where for problem in raised.value.problems] == [
        "a.toml:1:1",
        "a.toml:1:1",
        "a.toml:3:1",
    ]


def test_keys_are_replaced_and_keep_their_place(read):
    document = read('[role_map]\nx = "y"\n"grp-${STAGE}" = "admin"\n["${HOST}"]\nz = 1')
    assert document.root == {
        "role_map": {"x": "y", "grp-test": "admin"},
        "login.example.com": {"z": 1},
    }
    assert document.where(("role_map", "grp-test")) == "a.toml:3:1"
    assert document.where(("login.example.com", "z")) == "a.toml:5:1"


@pytest.mark.parametrize("text", ['"${STAGE}" = 1\ntest = 2', 'test = 2\n"${STAGE}" = 1'])
def test_a_key_that_is_there_already_is_refused(text, read):
    with pytest.raises(PolicyError, match=r"`test` stands twice in the top level; keep one"):
        read(text)


def test_two_keys_that_become_one_are_refused(read, monkeypatch):
    monkeypatch.setenv("SAME", "test")
    with pytest.raises(PolicyError, match=r"a.toml:3:1: `test` stands twice in `b`"):
        read('[b]\n"${STAGE}" = 1\n"${SAME}" = 2')


def test_a_mapping_is_treated_alike(monkeypatch):
    monkeypatch.setenv("STAGE", "test")
    assert Document.from_mapping({"a": "${STAGE}"}).root == {"a": "test"}
    with pytest.raises(PolicyError, match=r"^a\.b: the environment variable UNSET_ is not set"):
        Document.from_mapping({"a": {"b": "${UNSET_}"}})


@given(st.text(st.sampled_from("${}AB_1 "), max_size=12))
def test_any_text_is_replaced_or_refused(text):
    complaints = []
    environ = {"A": "one", "B": "two"}
    root, _ = expanded({"a": text}, {}, environ, lambda *complaint: complaints.append(complaint))
    assert isinstance(root["a"], str)
    if "${" not in text:
        assert (root["a"], complaints) == (text, [])
