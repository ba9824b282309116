"""Bars, tables and what is written into the documentation."""

from __future__ import annotations

import json
import math
import re
import xml.etree.ElementTree as ET

import pytest

from benchmarks import __main__ as command
from benchmarks.chart import svg
from benchmarks.figures import Bar, Figure, Group, missed
from benchmarks.pages import BEGIN, END, replaced, write
from benchmarks.plan import FULL, SHORT
from benchmarks.report import Report, as_json, as_markdown, as_text, from_json
from tests.docs.pages import ROOT

SVG = "{http://www.w3.org/2000/svg}"

HOT = Group(
    "hot",
    "Hot path",
    [
        Figure("ours", 12.3456, "µs", series="hot", ours=True),
        Figure("peer <1>", 280.4, "µs", series="hot"),
        Figure("ours ÷ prototype", 2.5, "x", Bar("at most", 3.0)),
        Figure("peer ÷ ours", 22.7, "x", Bar("at least", 25.0), note="peer <1>"),
    ],
    ["As it came about."],
)
MEMORY = Group("memory", "Memory", [Figure("one rule", 1245.98, "B")], [])
HEAD = {"machine": "a machine", "Python": "CPython 3.11.7 with the GIL, GCC 12"}


def report(*, judged: bool = True) -> Report:
    return Report(HEAD, judged, [HOT, MEMORY])


@pytest.mark.parametrize(
    ("sense", "value", "kept"),
    [
        ("at most", 3.0, True),
        ("at most", 3.01, False),
        ("at most", math.nan, False),
        ("at least", 3.0, True),
        ("at least", 2.99, False),
        ("at least", math.nan, False),
    ],
)
def test_a_bar(sense, value, kept):
    assert Bar(sense, 3.0).kept_by(value) is kept


def test_what_has_no_bar_is_neither_kept_nor_missed():
    assert Figure("x", 1.0, "s").kept is None
    assert missed([MEMORY]) == []


def test_what_is_missed_is_listed():
    assert [figure.label for figure in missed([HOT, MEMORY])] == ["peer ÷ ours"]


def test_the_table():
    text = as_text(report())
    lines = [re.sub(r"\s{2,}", "|", line) for line in text.splitlines()]
    assert "machine: a machine" in lines
    assert "ours|12.3 µs" in lines
    assert "ours ÷ prototype|2.50 x|≤ 3.00 x|ok" in lines
    assert "peer ÷ ours (peer <1>)|22.7 x|≥ 25.0 x|MISSED" in lines
    assert "one rule|1,246 B" in lines
    assert "As it came about." in lines
    assert lines[-1] == "1 bars kept, 1 MISSED"


def test_the_short_form_judges_nothing():
    text = as_text(report(judged=False))
    assert "MISSED" not in text
    assert text.endswith("short form: nothing is judged\n")


def test_markdown_has_a_row_for_each_figure():
    text = as_markdown(report())
    assert "| ours ÷ prototype | 2.50 x | ≤ 3.00 x | ok |" in text
    assert "| peer ÷ ours (peer <1>) | 22.7 x | ≥ 25.0 x | **MISSED** |" in text
    assert text.count("\n| ") == 2 * 2 + 5  # heads and rows


def test_json_comes_back_as_it_was():
    again = from_json(as_json(report()))
    assert again == report()
    assert json.loads(as_json(report()))["groups"][0]["figures"][3]["bar"]["limit"] == 25.0


def test_the_chart_is_well_formed_and_says_what_it_shows():
    root = ET.fromstring(svg([HOT, MEMORY], "on a <machine>"))
    assert root.tag == f"{SVG}svg"
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert {"ours", "12.3", "peer <1>", "280", "on a <machine>"} <= set(texts)
    assert "one rule" not in texts
    bars = {
        element.get("class"): float(element.get("width", 0)) for element in root.iter(f"{SVG}rect")
    }
    assert bars["peer"] / bars["ours"] == pytest.approx(280.4 / 12.3456, rel=0.01)
    assert bars["peer"] < bars["card"]
    assert "prefers-color-scheme: dark" in (root.findtext(f"{SVG}style") or "")


def test_a_chart_of_nothing_is_well_formed():
    assert ET.fromstring(svg([], "")).tag == f"{SVG}svg"


def test_tables_take_the_place_of_the_old_ones():
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    once = replaced(page, "new")
    assert once == f"before\n{BEGIN}\n\nnew\n{END}\nafter\n"
    assert replaced(once, "new") == once


@pytest.mark.parametrize("page", ["", BEGIN, END, f"{END} {BEGIN}"])
def test_a_page_without_its_marks_is_left_alone(page):
    with pytest.raises(ValueError, match="lacks"):
        replaced(page, "new")


def test_page_and_chart_are_written(tmp_path):
    (tmp_path / "performance.md").write_text(f"# Performance\n{BEGIN}\n{END}\n")
    write(report(), tmp_path)
    assert "| ours | 12.3 µs |" in (tmp_path / "performance.md").read_text("utf-8")
    assert ET.parse(tmp_path / "performance.svg").getroot().tag == f"{SVG}svg"


def test_the_real_page_has_its_marks():
    page = (ROOT / "docs" / "performance.md").read_text("utf-8")
    assert replaced(page, "new") != page
    assert ET.parse(ROOT / "docs" / "performance.svg").getroot().tag == f"{SVG}svg"


@pytest.mark.parametrize("name", ["memory", "rules", "commands", "contention", "servers", "steps"])
def test_every_group_that_needs_no_peer_is_found(name):
    assert command.group(name).__name__ == name


# The command, with groups that cost nothing.


@pytest.fixture
def groups(monkeypatch):
    plans = []

    def hot(plan):
        plans.append(plan)
        return HOT

    found = {"hot": hot, "memory": lambda _plan: MEMORY}
    monkeypatch.setattr(command, "GROUPS", tuple(found))
    monkeypatch.setattr(command, "group", found.__getitem__)
    monkeypatch.setattr(command, "head", lambda: HEAD)
    return plans


@pytest.mark.parametrize(
    ("arguments", "plan", "status"),
    [([], FULL, 1), (["--short"], SHORT, 0), (["--only", "hot,memory"], FULL, 1)],
    ids=["a missed bar fails", "the short form never does", "some groups"],
)
def test_the_exit_status(groups, capsys, arguments, plan, status):
    assert command.main(arguments) == status
    assert groups == [plan]
    assert "Hot path" in capsys.readouterr().out


def test_bars_that_are_kept_end_well(groups, capsys):
    assert command.main(["--only", "memory"]) == 0
    assert groups == []
    assert "0 bars kept, 0 MISSED" in capsys.readouterr().out


def test_a_report_that_was_saved_is_shown_again(groups, capsys, tmp_path):
    file, chart = tmp_path / "run.json", tmp_path / "run.svg"
    command.main(["--json", str(file), "--svg", str(chart)])
    first = capsys.readouterr().out
    assert command.main(["--from", str(file)]) == 1
    assert capsys.readouterr().out == first
    assert len(groups) == 1
    assert ET.parse(chart).getroot().tag == f"{SVG}svg"


@pytest.mark.parametrize(
    "arguments",
    [["--only", "nothing"], ["--write-docs", "--short"], ["--write-docs", "--only", "hot"]],
)
def test_what_makes_no_sense_is_refused(groups, capsys, arguments):
    with pytest.raises(SystemExit):
        command.main(arguments)
    assert groups == []
    assert capsys.readouterr().err
