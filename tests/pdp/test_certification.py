"""The certification scenario of AuthZEN 1.0: its fixture, Basic, Batch and Discovery.

Test ids are those of the scenario (C-2.2.1 and so on).
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.pdp.asking import EVALUATION, EVALUATIONS, METADATA, Said, ask, issuer, serve

# C-1.4. The scenario's alice and bob bring nothing but their names, so these stand for roles here.
FIXTURE: dict[str, Any] = {
    "issuers": [
        issuer(
            claims={"roles": ["sub", "role"]},
            role_map={"alice": "writer", "bob": "reader", "admin": "admin"},
        )
    ],
    "roles": {
        "reader": ["record:read"],
        "writer": {"inherits": ["reader"], "permissions": ["record:write", "record:delete"]},
        "admin": {"inherits": ["writer"]},
    },
    "permissions": {
        "record:write": {
            "when": '"admin" in subject.roles || !has(resource.status)'
            ' || resource.status != "archived"'
        },
        "record:delete": {"when": "action.properties.soft"},
    },
    "routes": {"/**": "deny"},
}
POINT = serve(FIXTURE, url="https://pdp.example.com")


def user(id: str, **properties: Any) -> dict[str, Any]:
    return {"type": "user", "id": id, **({"properties": properties} if properties else {})}


def record(id: str, **properties: Any) -> dict[str, Any]:
    return {"type": "record", "id": id, **({"properties": properties} if properties else {})}


ALICE, BOB, ADMIN = user("alice"), user("bob"), user("bob", role="admin")
ONE, TWO = record("record-1"), record("record-2", status="archived")


def question(subject: Any = ALICE, action: Any = "read", resource: Any = ONE, **more: Any) -> Any:
    action = {"name": action} if isinstance(action, str) else action
    members = {"subject": subject, "action": action, "resource": resource, **more}
    return {name: value for name, value in members.items() if value is not None}


def delete(*, soft: bool) -> dict[str, Any]:
    return {"name": "delete", "properties": {"soft": soft}}


DECISIONS = {
    "1": (question(), True),
    "2": (question(action="write"), True),
    "3": (question(BOB), True),
    "4": (question(BOB, "write"), False),
    "5": (question(ALICE, "write", TWO), False),
    "6": (question(ADMIN, "write", TWO), True),
    "7": (question(action=delete(soft=True)), True),
    "8": (question(action=delete(soft=False)), False),
}


@pytest.mark.parametrize(("asked", "expected"), DECISIONS.values(), ids=DECISIONS)
def test_the_decisions_of_the_fixture(asked: Any, expected: bool) -> None:
    """Z10. C-1.4; C-2.2.3: with a context and without; C-2.6: each time."""
    context = {"time": "2025-06-27T18:03-07:00", "ip": "192.168.1.1", "source": {"x": []}}
    for each in (asked, {**asked, "context": context}, {**asked, "context": {}}, asked):
        found = ask(POINT, each).json
        assert found["decision"] is expected
        assert isinstance(found.get("context", {}), dict)


def test_additional_properties() -> None:
    """C-2.2.8."""
    asked = question(
        user("alice", department="Sales", role="manager"),
        {"name": "read", "properties": {"method": "GET"}},
        record("record-1", status="active", owner="bob"),
    )
    assert ask(POINT, asked).json == {"decision": True}


def test_unknown_fields() -> None:
    """Z05. C-2.2.9."""
    assert ask(POINT, question(foo="bar", futureField={"nested": True})).json == {"decision": True}


BAD = {
    "missing subject": question(subject=None),
    "missing action": question(action=None),
    "missing resource": question(resource=None),
    "subject without type": question({"id": "alice"}),
    "subject without id": question({"type": "user"}),
    "action without name": question(action={}),
    "resource without type": question(resource={"id": "record-1"}),
    "resource without id": question(resource={"type": "record"}),
    "malformed JSON": b'{"subject": {"type": "user"',
    "empty body": b"",
    "subject is text": question("alice"),
    "name is a number": question(action={"name": 123}),
}


@pytest.mark.parametrize("path", [EVALUATION, EVALUATIONS])
@pytest.mark.parametrize("asked", BAD.values(), ids=BAD)
def test_bad_requests(asked: Any, path: str) -> None:
    """Z10. C-2.4.1, C-2.4.2, C-2.4.4 to C-2.4.6."""
    found = ask(POINT, asked, path)
    assert found.status == 400
    assert found.body


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json+x",
        "application/json, text/plain",
        "text/plain;application/json",
        "json",
        "",
        None,
    ],
)
def test_another_content_type(kind: str | None) -> None:
    """Z10. C-2.4.3."""
    assert ask(POINT, question(), CONTENT_TYPE=kind).status == 400


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON"])
def test_the_content_type_in_other_words(kind: str) -> None:
    assert ask(POINT, question(), CONTENT_TYPE=kind).status == 200


@pytest.mark.parametrize(
    ("asked", "status"), [(question(), 200), (b"", 400), (question(BOB, "write"), 200)]
)
def test_the_request_id(asked: Any, status: int) -> None:
    """Z07. C-2.5.1 and C-2.5.2."""
    found = ask(POINT, asked, HTTP_X_REQUEST_ID="bfe9eb29-ab87-4ca3")
    assert (found.status, found.headers["X-Request-ID"]) == (status, "bfe9eb29-ab87-4ca3")
    assert "X-Request-ID" not in ask(POINT, asked).headers


def several(evaluations: list[Any], **defaults: Any) -> Said:
    return ask(POINT, {**defaults, "evaluations": evaluations}, EVALUATIONS)


READ, WRITE = {"name": "read"}, {"name": "write"}
BATCHES: dict[str, tuple[dict[str, Any], list[Any], list[bool | None]]] = {
    "C-3.2.1": (
        {"subject": ALICE, "action": READ},
        [{"resource": ONE}, {"resource": record("record-2")}],
        [True, None],
    ),
    "C-3.2.2": (
        {"subject": BOB, "resource": ONE},
        [{"action": READ}, {"action": WRITE}],
        [True, False],
    ),
    "C-3.2.3": (
        {"subject": ALICE, "action": WRITE},
        [{"resource": record("record-1", status="active")}, {"resource": TWO}],
        [True, False],
    ),
    "C-3.2.4": (
        {"action": WRITE, "resource": TWO},
        [{"subject": ALICE}, {"subject": ADMIN}],
        [False, True],
    ),
    "C-3.2.5": ({}, [question(), question(BOB, "write")], [True, False]),
    "C-3.2.6": (
        {"subject": ALICE, "action": READ, "context": {"time": "2025-06-27T18:03-07:00"}},
        [{"resource": ONE}, {"resource": TWO, "context": {"source": "batch-override"}}],
        [None, None],
    ),
    "C-3.2.7": (
        {"subject": ALICE, "action": WRITE, "resource": record("record-1", status="active")},
        [{}, {"resource": TWO}],
        [True, False],
    ),
    "C-3.4.1": (
        {
            "subject": ALICE,
            "action": READ,
            "options": {"evaluations_semantic": "execute_all"},
        },
        [{"resource": ONE}, {}],
        [True, False],
    ),
}


@pytest.mark.parametrize(("defaults", "asked", "expected"), BATCHES.values(), ids=BATCHES)
def test_batches(defaults: Any, asked: list[Any], expected: list[bool | None]) -> None:
    """Z08. C-3.2, C-3.3 and C-3.4.1; None stands for any decision."""
    found = several(asked, **defaults).json
    assert found.keys() == {"evaluations"}
    decisions = [each["decision"] for each in found["evaluations"]]
    assert all(isinstance(each, bool) for each in decisions)
    assert len(decisions) == len(expected)
    for decision, wanted in zip(decisions, expected, strict=True):
        assert wanted is None or decision is wanted


def test_no_evaluations() -> None:
    """Z08. C-3.4.2 and C-3.4.3."""
    for asked in (question(), question(evaluations=[])):
        assert ask(POINT, asked, EVALUATIONS).json == {"decision": True}


def test_discovery() -> None:
    """Z09. C-6."""
    found = ask(POINT, None, METADATA, REQUEST_METHOD="GET")
    assert (found.status, found.json) == (
        200,
        {
            "policy_decision_point": "https://pdp.example.com",
            "access_evaluation_endpoint": "https://pdp.example.com/access/v1/evaluation",
            "access_evaluations_endpoint": "https://pdp.example.com/access/v1/evaluations",
        },
    )
