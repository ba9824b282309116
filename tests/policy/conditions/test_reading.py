"""Conditions in a policy file: every mistake has the line and the column of its own character."""

from __future__ import annotations

import pytest

from authz_middleware.document import Document, Report, Section
from authz_middleware.policy.conditions import Condition, read_condition


def found(tmp_path, name: str, text: str) -> list[str]:
    file = tmp_path / name
    file.write_bytes(text.encode())
    report = Report(Document.read(file))
    section = Section.top(report)
    assert read_condition(section, params={"id": "int"}) is None
    return [str(problem).removeprefix(f"{file}:").partition(";")[0] for problem in report.problems]


NO_ROLLS = "`subject` has no attribute `rolls`"


@pytest.mark.parametrize(
    ("name", "text", "places"),
    [
        ("a.toml", "x = 1\nwhen = 'subject.rolls == []'\n", ["2:17"]),
        ("a.toml", 'when = "subject.rolls == []"', ["1:17"]),
        ("a.toml", 'when = "\\"\\u00e4\\" in subject.rolls"', ["1:31"]),
        ("a.toml", 'when = """\n  subject.rolls\n == []"""', ["2:11"]),
        ("a.toml", 'when = """\r\n\r\n  subject.rolls == []"""', ["3:11"]),
        ("a.toml", 'when = """a \\\n   \n  == subject.rolls"""', ["1:11", "3:14"]),
        ("a.toml", "when = '''\nsubject.rolls == []'''", ["2:9"]),
        ("a.toml", "when = 'subject.id =='", ["1:22"]),
        ("a.json", '{"when": "subject.rolls == []"}', ["1:19"]),
        ("a.json", '{"when": "\\"\\ud83d\\ude00\\/\\t\\" in subject.rolls"}', ["1:43"]),
        ("a.yaml", "when: subject.rolls == []\n", ["1:15"]),
        ("a.yaml", "when: 'subject.rolls == ''x'''\n", ["1:16"]),
        ("a.yaml", "when: '''x'' in subject.rolls'\n", ["1:25"]),
        ("a.yaml", 'when: "\\x41 == subject.rolls"\n', ["1:8", "1:24"]),
    ],
)
def test_in_a_file(tmp_path, name, text, places):
    assert [each.rpartition(": ")[0] for each in found(tmp_path, name, text)] == places


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "when: >\n  subject.rolls\n  == []\n"),
        ("a.yaml", "when: 'subject.rolls\n\n  == []'\n"),
        ("a.yaml", "when: subject.rolls\n  == []\n"),
        ("a.toml", "when = '${CONDITION}'"),
    ],
)
def test_where_the_text_is_another_one_it_is_counted_from_its_start(
    tmp_path, monkeypatch, name, text
):
    monkeypatch.setenv("CONDITION", "subject.rolls == []")
    (message,) = found(tmp_path, name, text)
    assert message == f"1:1: {NO_ROLLS} (character 9 of `when`)"


def test_in_a_mapping():
    report = Report(Document.from_mapping({"when": "subject.rolls == []"}))
    assert read_condition(Section.top(report)) is None
    (problem,) = report.problems
    assert problem.where == "when"
    assert problem.what == f"{NO_ROLLS} (character 9 of `when`)"


def test_all_mistakes_are_reported(tmp_path):
    messages = found(tmp_path, "a.toml", "when = 'subject.rolls == [] && resource.params.x == 1'")
    assert [each.partition(" ")[0] for each in messages] == ["1:17:", "1:48:"]


def test_none_where_there_is_none():
    report = Report(Document.from_mapping({}))
    assert read_condition(Section.top(report)) is None
    assert not report.problems


def test_a_text_is_wanted():
    report = Report(Document.from_mapping({"when": True}))
    assert read_condition(Section.top(report)) is None
    assert len(report.problems) == 1


def test_a_condition():
    report = Report(Document.from_mapping({"if": "subject.id == 'x'"}))
    assert isinstance(read_condition(Section.top(report), "if"), Condition)
    assert not report.problems
