"""What is read as a question, what is not, and what several questions share."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.authzen.evaluation import (
    MAX_BODY,
    MAX_EVALUATIONS,
    MAX_NAME,
    Batch,
    Entity,
    Evaluation,
    Malformed,
    read_evaluation,
    read_evaluations,
)
from authz_middleware.tokens.strict_json import MAX_DEPTH

QUESTION: dict[str, Any] = {
    "subject": {"type": "user", "id": "alice"},
    "action": {"name": "read"},
    "resource": {"type": "record", "id": "record-1"},
}


def body(**changed: Any) -> bytes:
    """A question with some members changed; one that is None is left out."""
    members = {**QUESTION, **changed}
    return json.dumps({name: each for name, each in members.items() if each is not None}).encode()


def test_a_question() -> None:
    """Z01, Z05."""
    asked = read_evaluation(
        body(
            subject={"type": "user", "id": "alice", "properties": {"role": "admin"}, "more": 1},
            action={"name": "delete", "properties": {"soft": True}},
            context={"ip": "192.0.2.1"},
            foo="bar",
            futureField={"nested": True},
        )
    )
    assert asked == Evaluation(
        Entity("user", "alice", {"role": "admin"}),
        "delete",
        {"soft": True},
        Entity("record", "record-1", {}),
        {"ip": "192.0.2.1"},
    )


DEEP = b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1)
MALFORMED = {
    "empty": (b"", "the body is empty"),
    "blank": (b" \r\n", "the body is empty"),
    "cut off": (body()[:-1], "the body cannot be read: not_json"),
    "no json": (b"subject=alice", "the body cannot be read: not_json"),
    "NaN": (body()[:-1] + b', "n": NaN}', "the body cannot be read: not_json"),
    "two in one": (body() + body(), "the body cannot be read: not_json"),
    "not UTF-8": (b'{"subject": "\xff"}', "the body cannot be read: json_not_utf8"),
    "UTF-16": (body().decode().encode("utf-16"), "the body cannot be read: json_not_utf8"),
    "byte order mark": (b"\xef\xbb\xbf" + body(), "the body cannot be read: json_not_utf8"),
    "lone surrogate": (body(context={"x": "\ud800"}), "cannot be read: json_lone_surrogate"),
    "duplicate": (body()[:-1] + b', "action": {"name": "write"}}', "duplicate_member"),
    "duplicate by escape": (body()[:-1] + rb', "\u0061ction": {"name": "x"}}', "duplicate_member"),
    "deep": (body()[:-1] + b', "x": ' + DEEP + b"}", "the body cannot be read: json_too_deep"),
    "huge number": (body(x=10**700), "the body cannot be read: json_number_range"),
    "too long": (body() + b" " * MAX_BODY, f"the body has more than {MAX_BODY} bytes"),
    "array": (b"[]", "the body must be an object"),
    "null": (b"null", "the body must be an object"),
    "text": (b'"subject"', "the body must be an object"),
    "no subject": (body(subject=None), "`subject` is missing"),
    "no action": (body(action=None), "`action` is missing"),
    "no resource": (body(resource=None), "`resource` is missing"),
    "subject.type": (body(subject={"id": "alice"}), "`subject.type` is missing"),
    "subject.id": (body(subject={"type": "user"}), "`subject.id` is missing"),
    "action.name": (body(action={}), "`action.name` is missing"),
    "resource.type": (body(resource={"id": "record-1"}), "`resource.type` is missing"),
    "resource.id": (body(resource={"type": "record"}), "`resource.id` is missing"),
    "subject is text": (body(subject="alice"), "`subject` must be an object"),
    "subject is null": (b'{"subject":null,' + body(subject=None)[1:], "`subject` must be an obj"),
    "subject is a list": (body(subject=["alice"]), "`subject` must be an object"),
    "name is a number": (body(action={"name": 123}), "`action.name` must be a string"),
    "id is a number": (body(subject={"type": "user", "id": 1}), "`subject.id` must be a string"),
    "id is true": (body(subject={"type": "user", "id": True}), "`subject.id` must be a string"),
    "id is null": (body(resource={"type": "a", "id": None}), "`resource.id` must be a string"),
    "id is empty": (body(subject={"type": "user", "id": ""}), "`subject.id` is empty"),
    "id is long": (
        body(resource={"type": "a", "id": "x" * (MAX_NAME + 1)}),
        f"`resource.id` has more than {MAX_NAME} characters",
    ),
    "type is a list": (body(resource={"type": [], "id": "1"}), "`resource.type` must be a string"),
    "properties is null": (
        body(subject={"type": "user", "id": "a", "properties": None}),
        "`subject.properties` must be an object",
    ),
    "properties is a list": (
        body(resource={"type": "a", "id": "1", "properties": []}),
        "`resource.properties` must be an object",
    ),
    "action's is text": (
        body(action={"name": "a", "properties": ""}),
        "`action.properties` must be an object",
    ),
    "context is text": (body(context="x"), "`context` must be an object"),
}


@pytest.mark.parametrize(("text", "said"), MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_question(text: bytes, said: str) -> None:
    """Z01, Z02, Z10, Z11."""
    for read in (read_evaluation, read_evaluations):
        with pytest.raises(Malformed) as caught:
            read(text)
        assert said in caught.value.message


def several(**members: Any) -> Batch:
    found = read_evaluations(json.dumps(members).encode())
    assert isinstance(found, Batch)
    return found


def said(malformed: Evaluation | Malformed) -> str:
    assert isinstance(malformed, Malformed)
    return malformed.message


def test_no_list_is_one_question() -> None:
    for text in (body(), body(evaluations=[])):
        assert read_evaluations(text) == read_evaluation(body())
    # The single endpoint does not know the name.
    assert read_evaluation(body(evaluations=7)) == read_evaluation(body())


def test_a_default_is_replaced_as_a_whole() -> None:
    """Nothing of the default is left in what replaces it: no properties, no `type`."""
    defaults = {
        **QUESTION,
        "resource": {"type": "record", "id": "1", "properties": {"owner": "alice"}},
        "context": {"ip": "192.0.2.1"},
    }
    other = {"type": "record", "id": "2"}
    asked = [{}, {"resource": other}, {"resource": {"id": "3"}}, {"context": {}}]
    first, second, third, fourth = several(**defaults, evaluations=asked).evaluations
    assert isinstance(first, Evaluation)
    assert first.resource == Entity("record", "1", {"owner": "alice"})
    assert first.context == {"ip": "192.0.2.1"}
    assert second == first._replace(resource=Entity("record", "2", {}))
    assert said(third) == "`resource.type` is missing"
    assert fourth == first._replace(context={})


def test_a_default_is_read_once() -> None:
    """However long it is, and however many share it."""
    first, second = several(**QUESTION, context={"ip": "x"}, evaluations=[{}, {}]).evaluations
    assert isinstance(first, Evaluation)
    assert isinstance(second, Evaluation)
    assert first.subject is second.subject
    assert first.context is second.context


def test_what_is_wrong_with_one_is_its_own() -> None:
    found = several(
        subject=QUESTION["subject"],
        action=QUESTION["action"],
        evaluations=[{"resource": QUESTION["resource"]}, {}, 7, None, {"resource": "x"}],
    )
    assert isinstance(found.evaluations[0], Evaluation)
    assert [said(each) for each in found.evaluations[1:]] == [
        "`resource` is missing",
        "an entry of `evaluations` must be an object",
        "an entry of `evaluations` must be an object",
        "`resource` must be an object",
    ]


@pytest.mark.parametrize("semantic", [None, "execute_all", "deny_on_first_deny"])
def test_the_semantic(semantic: str | None) -> None:
    options = {} if semantic is None else {"evaluations_semantic": semantic}
    found = several(**QUESTION, evaluations=[{}], options={**options, "another_option": 1})
    assert found.semantic == (semantic or "execute_all")


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"evaluations": {}}, "`evaluations` must be an array"),
        ({"evaluations": "x"}, "`evaluations` must be an array"),
        ({"evaluations": [{}], "options": []}, "`options` must be an object"),
        ({"options": {"evaluations_semantic": "any"}}, "must be one of execute_all, deny_on"),
        ({"evaluations": [{}], "options": {"evaluations_semantic": None}}, "must be one of"),
        ({"evaluations": [{}], "options": {"evaluations_semantic": ["execute_all"]}}, "one of"),
        ({"evaluations": [{}], "subject": "alice"}, "`subject` must be an object"),
        # Also where each question has its own: it is a mistake of the whole.
        ({"evaluations": [QUESTION], "action": {}}, "`action.name` is missing"),
        ({"evaluations": [QUESTION], "context": 1}, "`context` must be an object"),
        ({"evaluations": [{}] * (MAX_EVALUATIONS + 1)}, f"more than {MAX_EVALUATIONS} entries"),
    ],
    ids=str,
)
def test_what_is_wrong_with_the_whole(members: dict[str, Any], text: str) -> None:
    with pytest.raises(Malformed, match=text):
        read_evaluations(json.dumps({**QUESTION, **members}).encode())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
nearly = st.fixed_dictionaries(
    {},
    optional={
        name: json_values | st.just(QUESTION.get(name))
        for name in (*QUESTION, "context", "options")
    }
    | {"evaluations": st.lists(json_values | st.just(QUESTION), max_size=3)},
)


@given(st.binary(max_size=200) | nearly.map(lambda value: json.dumps(value).encode()))
def test_whatever_comes_is_a_question_or_malformed(text: bytes) -> None:
    for read in (read_evaluation, read_evaluations):
        found: object
        try:
            found = read(text)
        except Malformed as malformed:
            found = malformed
        assert isinstance(found, (Evaluation, Batch, Malformed))
