"""Documents: which files and mappings are read, what is refused, and how places are told."""

from __future__ import annotations

import enum
import os
import sys
import traceback
from collections import UserDict
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authz_middleware.document import Document, part
from authz_middleware.errors import PolicyError, Problem


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(call, *args) -> tuple[Problem, ...]:
    with pytest.raises(PolicyError) as raised:
        call(*args)
    return raised.value.problems


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("a.toml", 'a = ["x"]', id="TOML"),
        pytest.param("a.json", '{"a": ["x"]}', id="JSON"),
        pytest.param("a.yaml", "a: [x]", id="YAML"),
        pytest.param("a.YML", "a: [x]", id="suffix in capitals"),
    ],
)
def test_a_file_is_read_by_its_suffix(here, name, text):
    Path(name).write_text(text)
    document = Document.read(name)
    assert document.root == {"a": ["x"]}
    assert document.source == name
    assert document.directory == here
    assert document.where(("a",)).startswith(f"{name}:1:")


@pytest.mark.parametrize(
    ("name", "data", "problem"),
    [
        pytest.param(
            "a.ini",
            b"",
            "a.ini: a policy file is TOML, JSON or YAML; name it .toml, .json, .yaml or .yml",
            id="suffix",
        ),
        pytest.param(
            "a.toml", b"a = 1\nb = \xff", "a.toml:2:5: the file is not UTF-8; save it", id="bytes"
        ),
        pytest.param(
            "a.json", b"\xef\xbb\xbf{}", "a.json:1:1: the file starts with a byte", id="BOM"
        ),
        pytest.param("a.json", "{}".encode("utf-16"), "a.json:1:1: the file starts", id="UTF-16"),
        pytest.param("a.toml", b"#" * (2**23 + 1), "a.toml: the file is larger than", id="size"),
        pytest.param("a.toml", b"a = 1\nb", "a.toml:2:2: this is not TOML", id="TOML syntax"),
        pytest.param(
            "a.toml", b"a = " + b"9" * 5000, "a.toml:1:1: an integer does not", id="digits"
        ),
        pytest.param("a.json", b"{", "a.json:1:2: this is not JSON", id="JSON syntax"),
        pytest.param("a.yaml", b"a: [", "a.yaml:1:5: this is not YAML", id="YAML syntax"),
    ],
)
def test_a_file_that_is_no_policy_is_refused(here, name, data, problem):
    Path(name).write_bytes(data)
    (found,) = refusal(Document.read, name)
    assert str(found).startswith(problem)


def test_a_file_as_large_as_allowed_is_read(here):
    Path("a.toml").write_bytes(b"#" * part.MAX_BYTES)
    assert Document.read("a.toml").root == {}


def test_what_is_no_file_is_refused(here):
    Path("d.toml").mkdir()
    (found,) = refusal(Document.read, "d.toml")
    assert str(found) == "d.toml: this is a directory; give the policy file in it"
    (found,) = refusal(Document.read, "none.toml")
    looked = here / "none.toml"
    assert str(found) == f"none.toml: there is no such file; it was looked for at {looked}"
    (found,) = refusal(Document.read, "a\0.toml")
    assert "the file cannot be read" in found.what


def test_a_missing_file_is_one_traceback(here):
    with pytest.raises(PolicyError) as raised:
        Document.read("none.toml")
    assert "FileNotFoundError" not in "".join(traceback.format_exception(raised.value))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_is_refused_without_waiting_for_its_writer(here):
    os.mkfifo("p.toml")
    (found,) = refusal(Document.read, "p.toml")
    assert found.what == "this is not a regular file"


def test_a_file_that_may_not_be_read_is_refused(here, monkeypatch):
    def refuse(self, mode):
        raise PermissionError(13, "Permission denied")

    Path("a.toml").touch()
    monkeypatch.setattr(Path, "open", refuse)
    (found,) = refusal(Document.read, "a.toml")
    assert str(found) == (
        "a.toml: the file cannot be read: Permission denied; check its path and permissions"
    )


def test_yaml_without_pyyaml_says_what_to_install(here, monkeypatch):
    Path("a.yaml").write_text("a: 1")
    monkeypatch.delitem(sys.modules, "authz_middleware.document.yaml_text", raising=False)
    monkeypatch.delattr("authz_middleware.document.yaml_text", raising=False)
    monkeypatch.setitem(sys.modules, "yaml", None)
    (found,) = refusal(Document.read, "a.yaml")
    assert 'pip install "authz-middleware[yaml]"' in found.fix


def test_the_source_is_named_as_the_user_named_it(here, tmp_path_factory):
    below = here / "conf"
    below.mkdir()
    (below / "a.toml").write_text("a = 1")
    apart = tmp_path_factory.mktemp("apart") / "a.toml"
    apart.write_text("a = 1")
    assert Document.read(below / "a.toml").source == str(Path("conf", "a.toml"))
    assert Document.read(Path("conf/a.toml")).directory == below
    assert Document.read(str(apart)).source == str(apart)


class Colour(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


def test_a_mapping_is_copied_deeply_and_plainly():
    inner: dict[str, list[str]] = {"b": [Colour.RED]}
    given_ = UserDict(
        {
            Colour.RED: (inner, inner),
            "n": [Level.LOW, True, 1.5, -(2**63), 2**63 - 1],
            "t": [datetime(2001, 2, 3), date(2001, 2, 3), time(4, 5)],  # noqa: DTZ001
        }
    )
    document = Document.from_mapping(given_)
    inner["b"].append("x")
    assert document.root == {
        "red": [{"b": ["red"]}, {"b": ["red"]}],
        "n": [1, True, 1.5, -(2**63), 2**63 - 1],
        "t": [datetime(2001, 2, 3), date(2001, 2, 3), time(4, 5)],  # noqa: DTZ001
    }
    assert type(next(iter(document.root))) is str
    assert type(document.root["red"][0]["b"][0]) is str
    assert type(document.root["n"][0]) is int
    assert document.source == "<mapping>"
    assert document.directory == Path.cwd()


cyclic: dict[str, object] = {}
cyclic["a"] = [cyclic]
cycle: list[object] = []
cycle.append(cycle)
deep: dict[str, object] = {}
for _ in range(5000):
    deep = {"a": deep}


@pytest.mark.parametrize(
    ("mapping", "problem"),
    [
        pytest.param({"a": None}, "a: `a` is null; leave it out", id="null"),
        pytest.param({"a": [b""]}, "a[0]: `a[0]` is a Python bytes; a policy holds", id="bytes"),
        pytest.param({"a": Decimal(1)}, "a: `a` is a Python Decimal", id="object"),
        pytest.param({"a": {1: 2}}, "a: a key of `a` is a number; keys are", id="key"),
        pytest.param({None: 2}, "<top level>: a key of the top level is null", id="top key"),
        pytest.param({"a": 2**63}, "a: `a` does not fit into 64 bits", id="large"),
        pytest.param({"a": -(2**63) - 1}, "a: `a` does not fit into 64 bits", id="small"),
        pytest.param({"a": float("nan")}, "a: `a` is not a finite number", id="NaN"),
        pytest.param({"a b": "\ud800"}, '"a b": `"a b"` holds half of a surrogate', id="lone"),
        pytest.param({"\ud800": 1}, '"\\ud800": `"\\ud800"` holds half', id="lone in a key"),
        pytest.param(cyclic, "a[0]: `a[0]` contains itself", id="cyclic mapping"),
        pytest.param({"a": cycle}, "a[0]: `a[0]` contains itself", id="cyclic list"),
        pytest.param(deep, "a.a.a.a: `a.a.a.a` is nested deeper than 64", id="deep"),
        pytest.param([1], "<mapping>: a policy is a mapping, not a list", id="list"),
    ],
)
def test_a_mapping_that_no_policy_can_be_is_refused(mapping, problem):
    (found,) = refusal(Document.from_mapping, mapping)
    assert str(found).startswith(problem)


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        pytest.param("a.toml", "b = 1\na = nan", "a.toml:2:1: `a` is not a fin", id="TOML nan"),
        pytest.param("a.toml", "a = 9223372036854775808", "a.toml:1:1: `a` does not", id="TOML"),
        pytest.param("a.json", '{"a": [null]}', "a.json:1:8: `a[0]` is null", id="JSON null"),
        pytest.param("a.json", '{"a": -Infinity}', "a.json:1:2: `a` is not a", id="Infinity"),
        pytest.param("a.json", '{"a": 1e999}', "a.json:1:2: `a` is not a finite", id="overflow"),
        pytest.param("a.json", '{"a": "\\ud800"}', "a.json:1:2: `a` holds half", id="lone"),
        pytest.param("a.yaml", 'a: "\\uD800"', "a.yaml:1:1: `a` holds half", id="lone in YAML"),
        pytest.param("a.yaml", "a: no", "a.yaml:1:4: `a` does not mean the same", id="YAML no"),
    ],
)
def test_a_value_that_no_policy_can_hold_is_refused_at_its_place(here, name, text, problem):
    Path(name).write_text(text)
    (found,) = refusal(Document.read, name)
    assert str(found).startswith(problem)


def test_all_problems_are_told_in_the_order_of_the_text(here):
    Path("a.json").write_text('{"a": null,\n"b": 1, "b": 2,\n"c": NaN}')
    assert [p.where for p in refusal(Document.read, "a.json")] == [
        "a.json:1:2",
        "a.json:2:9",
        "a.json:3:1",
    ]


def test_where_falls_back_to_the_nearest_known_table(here):
    Path("a.toml").write_text('[routes]\n"GET /me" = { roles = ["x"] }')
    document = Document.read("a.toml")
    assert document.where(("routes", "GET /me", "roles", 0)) == "a.toml:2:24"
    assert document.where(("routes", "GET /me", "scopes", 3)) == "a.toml:2:1"
    assert document.where(("routes", "x")) == "a.toml:1:2"
    assert document.where(("default",)) == "a.toml"
    assert document.where(()) == "a.toml"


def test_where_is_the_path_of_keys_in_a_mapping():
    document = Document.from_mapping({})
    assert document.where(("routes", "GET /me", "roles", 0)) == 'routes."GET /me".roles[0]'
    assert document.where(("a\nb",)) == '"a\\nb"'
    assert document.where(()) == "<top level>"


@pytest.mark.parametrize(
    ("suffix", "written"),
    [
        pytest.param(".toml", '"a b" = ["é"]', id="TOML"),
        pytest.param(".json", '"a b": ["é"]', id="JSON"),
        pytest.param(".yml", '"a b": ["é"]', id="YAML"),
        pytest.param("", "'a b': ['é']", id="mapping"),
    ],
)
def test_an_example_is_in_the_syntax_of_the_document(suffix, written):
    assert part.Part({}, "a", Path(), {}, suffix).example("a b", ["é"]) == written


words = ["a", '"b"', "1", "null", "NaN", "&x", "*x", "!t", "<<", "%YAML 1.", "#", "|", "~"]
marks = ["[", "]", "{", "}", ":", ",", "=", ".", "-", "?", "---", "'", '"', '"""', "\\u"]
spaces = [" ", "\n", "- ", ": ", "\t", "\x85", "|\n"]
pieces = st.sampled_from([*words, *marks, *spaces])


@pytest.mark.parametrize("suffix", [".toml", ".json", ".yaml"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text() | st.lists(pieces, max_size=30).map("".join))
def test_any_text_gives_a_document_or_a_policy_error(tmp_path, suffix, text):
    file = tmp_path / f"a{suffix}"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        document = Document.read(file)
    except PolicyError as error:
        assert error.problems  # noqa: PT017 - the other outcome is as good
    else:
        (read,) = document.parts
        assert all(line >= 1 and column >= 1 for line, column in read.positions.values())


anything = st.recursive(
    st.none() | st.floats() | st.integers() | st.text() | st.binary() | st.datetimes(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
)


@given(anything)
def test_any_mapping_gives_a_document_or_a_policy_error(mapping):
    try:
        assert Document.from_mapping(mapping).root == mapping
    except PolicyError as error:
        assert error.problems  # noqa: PT017 - the other outcome is as good
