"""What the decision log wrote is found again by its id."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware import DecisionRecorder
from authz_middleware.analysis.log_lines import Recorded, find_recorded
from authz_middleware.facts import Decision, RuleRef
from authz_middleware.observe import DecisionEvent
from authz_middleware.observe.log import LOGGER, LogObserver


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append("2026-01-01 INFO " + record.getMessage() + "\n")


def logged(*events: DecisionEvent) -> list[str]:
    handler, level = Lines(), LOGGER.level
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.DEBUG)
    try:
        for event in events:
            LogObserver().observe(event)
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(level)
    return handler.lines


def event(id: str, **fields: object) -> DecisionEvent:
    refused = Decision(False, "role_missing", RuleRef("GET /x", "authz.toml:3:1"))
    known = {
        "at": 1.0,
        "kind": "http",
        "method": "GET",
        "path": "/x",
        "decision": refused,
        "subject": "ann",
        "issuer": "https://x",
    }
    return DecisionEvent(id=id, **{**known, **fields})  # type: ignore[arg-type]


def test_the_line_with_the_id_is_found() -> None:
    lines = logged(event("a"), event("b", path="/y"), event("c"))
    assert find_recorded(lines, "b") == Recorded(
        False,
        "GET",
        "/y",
        "role_missing",
        "rule=GET /x (authz.toml:3:1) subject='ann' issuer='https://x' asked=''",
    )


def test_an_allowed_request_and_one_without_a_path() -> None:
    lines = logged(event("a", path=None, decision=Decision(True, "allowed")))
    found = find_recorded(lines, "a")
    assert found is not None
    assert (found.allowed, found.path) == (True, None)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "id=a",
        "refused 'GET' '/x': role_missing rule=None id=ab",
        "refused GET /x: role_missing id=a",
        "refused 'GET' '/x': role_missing " + "x" * 70_000 + " id=a",
        r"refused '\xzz' '/x': role_missing rule=None id=a",
        r"refused 'GET' '\N{nothing}': role_missing rule=None id=a",
        "{\"message\": [\"refused 'GET' '/x': role_missing rule=None id=a\"]}",
        '{"id": "a"}',
        '{"id": "a", ' + "[" * 60_000,
    ],
)
def test_other_lines_are_passed_over(line: str) -> None:
    assert find_recorded([line], "a") is None


@given(st.text(max_size=40), st.text(max_size=10), st.text(max_size=10))
def test_whatever_was_asked_is_read_back(path: str, method: str, subject: str) -> None:
    lines = logged(event("the-id", path=path, method=method, subject=subject))
    found = find_recorded(lines, "the-id")
    assert found is not None
    assert (found.path, found.method) == (path, method)


def test_a_path_cannot_pose_as_another_decision() -> None:
    forged = "/x': allowed rule=None id=b"
    lines = logged(event("a", path=forged))
    assert find_recorded(lines, "b") is None
    found = find_recorded(lines, "a")
    assert found is not None
    assert (found.path, found.reason) == (forged, "role_missing")


def test_a_line_of_json_that_holds_the_line() -> None:
    (line,) = logged(event("a", path="/a\n"))
    message = json.dumps({"at": 1, "level": "INFO", "message": line.rstrip("\n")})
    assert find_recorded([message], "a") == find_recorded([line], "a")


def record(file: Path, *events: DecisionEvent) -> list[str]:
    recorder = DecisionRecorder(file)
    for each in events:
        recorder.observe(each)
    recorder.close()
    return file.read_text().splitlines(keepends=True)


def test_a_record_tells_more_than_a_log(tmp_path: Path) -> None:
    told = event("a", kind="websocket", roles=frozenset({"viewer"}), at=5.0)
    lines = record(tmp_path / "r", event("b"), told, event(""))
    for both in ([*lines, *logged(told)], [*logged(told), *lines]):
        found = find_recorded(both, "a")
        assert found is not None
        assert found[:4] == (False, "WS", "/x", "role_missing")
        assert found.said == "rule=GET /x subject='ann' issuer='https://x' asked=''"
        assert found.record is not None
        assert (found.record.roles, found.record.at) == (("viewer",), 5.0)


def test_what_was_let_in_has_no_id(tmp_path: Path) -> None:
    assert find_recorded(record(tmp_path / "r", event("")), "") is None
