"""What is recorded of decisions: enough to decide them again, and nothing secret."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware import Authz, DecisionRecorder
from authz_middleware.observe.record import RecordedError, read_record
from authz_middleware.testing import DevelopmentIssuer
from tests.runtime.asking import request

ISSUER = DevelopmentIssuer("https://login.example.com", "orders-api")
POLICY: dict[str, Any] = {
    "issuers": [ISSUER.policy_issuer(claims={"permissions": "permissions"})],
    "roles": {"viewer": ["read"], "editor": {"inherits": ["viewer"], "permissions": ["write"]}},
    "routes": {"GET /a": ["viewer"], "GET /p": "public"},
}


def recorded(file: Path, *asked: Any) -> list[str]:
    recorder = DecisionRecorder(file)
    authz = Authz.from_mapping(POLICY, observers=[recorder])
    for facts, authorization in asked:
        outcome = authz.serving.outcome(facts, authorization)
        if outcome.decision.allowed:
            authz.serving.admitted(facts, outcome, None)  # type: ignore[arg-type]
        else:
            authz.serving.refused(facts, outcome, None)  # type: ignore[arg-type]
    recorder.close()
    return file.read_text().splitlines()


def test_what_a_caller_brought(tmp_path: Path) -> None:
    """Not what the policy added: another one may add something else."""
    token = ISSUER.mint(roles=["editor"], permissions=["extra", "write"], scope="s")
    (line,) = recorded(tmp_path / "r", request("/a", token=token))
    found = read_record(line)
    assert (found.allowed, found.rule, found.subject) == (True, "GET /a", "ann")
    assert found.at is not None
    assert (found.roles, found.permissions, found.scopes) == (("editor",), ("extra",), ("s",))
    assert token not in line
    assert (tmp_path / "r").stat().st_mode & 0o777 == 0o600


def test_a_closed_recorder_writes_into_nobody_elses_file(tmp_path: Path) -> None:
    """The number of a descriptor that was closed is the next file's, or the next client's."""
    recorder = DecisionRecorder(tmp_path / "r")
    recorder.close()
    with (tmp_path / "other").open("w+") as other:
        authz = Authz.from_mapping(POLICY, observers=[recorder])
        facts, authorization = request("/p")
        authz.serving.admitted(facts, authz.serving.outcome(facts, authorization), None)  # type: ignore[arg-type]
        recorder.close()
        assert other.read() == ""
        other.write("still open")
    assert (tmp_path / "r").read_text() == ""


def test_anonymous_callers_and_odd_paths(tmp_path: Path) -> None:
    lines = recorded(tmp_path / "r", request("/p"), request("/a\n{}"), request("/é"), request("/a"))
    found = [read_record(line) for line in lines]
    assert [each.reason for each in found] == [
        "allowed",
        "path_ambiguous",
        "no_credentials",
        "no_credentials",
    ]
    assert [each.path for each in found] == ["/p", "/a\n{}", "/é", "/a"]
    assert {each.subject for each in found} == {None}


def test_lines_stay_whole_under_threads(tmp_path: Path) -> None:
    recorder = DecisionRecorder(tmp_path / "r")
    authz = Authz.from_mapping(POLICY, observers=[recorder])

    def ask() -> None:
        for _ in range(50):
            facts, authorization = request("/" + "x" * 3000)
            authz.serving.refused(facts, authz.serving.outcome(facts, authorization), None)  # type: ignore[arg-type]

    threads = [Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorder.close()
    lines = (tmp_path / "r").read_text().splitlines()
    assert len([read_record(line) for line in lines]) == 200


def test_a_record_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        DecisionRecorder(tmp_path)


GOOD: dict[str, Any] = {
    "allowed": True,
    "reason": "allowed",
    "kind": "http",
    "method": "GET",
    "asked": "",
    "roles": [],
    "permissions": [],
    "scopes": [],
}
BAD = {
    "no JSON": "{",
    "no object": "[]",
    "too deep": "[" * 100_000,
    "a member missing": json.dumps({**GOOD, "reason": None}),
    "no boolean": json.dumps({**GOOD, "allowed": 1}),
    "a list of numbers": json.dumps({**GOOD, "roles": [1]}),
    "an id that is none": json.dumps({**GOOD, "id": 1}),
    "a time that is none": json.dumps({**GOOD, "at": "now"}),
    "a time that is a boolean": json.dumps({**GOOD, "at": True}),
    "no time at all": json.dumps({**GOOD, "at": float("nan")}),
    "a time after all": json.dumps({**GOOD, "at": 1e300}),
    "a path that is none": json.dumps({**GOOD, "path": 1}),
}


def test_what_is_null_may_be_left_out() -> None:
    assert read_record(json.dumps(GOOD)).path is None


@pytest.mark.parametrize("line", BAD.values(), ids=BAD)
def test_what_no_recorder_wrote(line: str) -> None:
    with pytest.raises(RecordedError):
        read_record(line)


@given(st.text())
def test_any_line_is_read_or_refused(line: str) -> None:
    with pytest.raises(RecordedError):
        read_record(line)
