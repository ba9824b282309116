"""What is sent for questions, and what counts as an answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.authzen.asking import FAILED, NoDecision, posted, read
from authz_middleware.authzen.decision_point import DecisionPoint
from authz_middleware.facts import Principal
from authz_middleware.policy.questions import Question, question_of

POINT = DecisionPoint("orders", "https://x/one", "https://x/many", "Bearer s3cr3t")
ANN = Principal(subject="ann", issuer="https://login.example.com", expires_at=0)
JSON = "application/json"


def question(route: str = "/a/{id}", method: str = "GET", **params: Any) -> Question:
    return question_of("orders", method, route, params or {"id": 7})


def sent(*questions: Question, principal: Principal = ANN, ip: str | None = None) -> Any:
    return json.loads(posted(POINT, questions, principal, 0.5, ip, "an-id").body)


# What is sent

PATHS = {
    "a number": (question("/orders/{id}", id=7), "/orders/7", {"id": "7"}),
    "a big number": (question("/{id}", id=2**53 + 1), "/9007199254740993", {"id": str(2**53 + 1)}),
    "a point": (question("/{x}", x=1.5), "/1.5", {"x": "1.5"}),
    "what is left": (question("/f/{rest}", rest="a/b"), "/f/a/b", {"rest": "a/b"}),
    "nothing is left": (question("/f/{rest}", rest=""), "/f", {"rest": ""}),
    "nothing at all": (question("/{rest}", rest=""), "/", {"rest": ""}),
    "braces in a text": (question("/{a}/{b}", a="{b}", b="x"), "/{b}/x", {"a": "{b}", "b": "x"}),
    "a backslash": (question("/{a}", a=r"\1"), r"/\1", {"a": r"\1"}),
    "other letters": (question("/{größe}", größe="ß"), "/ß", {"größe": "ß"}),
}


@pytest.mark.parametrize(("asked", "path", "params"), PATHS.values(), ids=PATHS)
def test_the_path_is_made_of_the_route_and_what_stands_in_its_places(asked, path, params) -> None:
    resource = sent(asked)["resource"]
    assert resource["id"] == asked.route
    assert resource["properties"] == {"path": path, "params": params}


def test_one_question_and_several() -> None:
    one, other = question(id=1), question(id=2)
    single = posted(POINT, [one], ANN, 0.5, None, "an-id")
    several = posted(POINT, [one, other], ANN, 0.5, "192.0.2.1", "an-id")
    assert (single.url, several.url) == ("https://x/one", "https://x/many")
    assert single.headers == several.headers
    assert single.headers == {
        "content-type": "application/json",
        "x-request-id": "an-id",
        "authorization": "Bearer s3cr3t",
    }
    assert "s3cr3t" not in f"{single!r}{single.body!r}{POINT!r}"
    assert json.loads(single.body)["context"] == {"time": "1970-01-01T00:00:00.500000Z"}
    body = json.loads(several.body)
    assert body["context"]["ip"] == "192.0.2.1"
    assert [each["resource"]["properties"]["path"] for each in body["evaluations"]] == [
        "/a/1",
        "/a/2",
    ]


@given(st.text(), st.frozensets(st.text()), st.text(min_size=1))
def test_whatever_a_token_holds_is_sent_as_it_is(subject, roles, text) -> None:
    """In ASCII, so that nobody decodes it in two ways."""
    who = Principal(subject=subject, issuer="https://x", roles=roles, expires_at=0)
    body = posted(POINT, [question(id=text)], who, 0, None, "i").body
    assert body.isascii()
    told = json.loads(body)
    assert told["subject"]["id"] == subject
    assert told["subject"]["properties"]["roles"] == sorted(roles)
    assert told["resource"]["properties"]["params"] == {"id": text}


# What is read

DECISIONS: dict[str, tuple[str, Any]] = {
    "yes": ('{"decision": true}', True),
    "no": ('{"decision": false}', False),
    "with a reason": ('{"decision": false, "context": {"reason": "x"}}', False),
    "with more": ('{"decision": true, "evaluations": [], "x": {"decision": false}}', True),
    "a context that is none": ('{"decision": true, "context": 1}', True),
    "no, for want of one": ('{"decision": false, "context": {"error": {"status": 404}}}', FAILED),
    "yes, for want of one": ('{"decision": true, "context": {"error": null}}', FAILED),
}


@pytest.mark.parametrize(("body", "said"), DECISIONS.values(), ids=DECISIONS)
def test_a_decision(body: str, said: Any) -> None:
    """Z03, Z05."""
    assert read(200, JSON, body.encode(), 1) == (said,)
    assert read(200, "Application/JSON ; charset=utf-8", body.encode(), 1) == (said,)
    several = f'{{"evaluations": [{body}, {{"decision": false}}]}}'
    assert read(200, JSON, several.encode(), 2) == (said, False)


NONE: dict[str, str] = {
    "nothing": "",
    "a text": '{"decision": "true"}',
    "a number": '{"decision": 1}',
    "null": '{"decision": null}',
    "a list": '{"decision": [true]}',
    "an object": '{"decision": {"decision": true}}',
    "another name": '{"Decision": true, "decisions": true, "allowed": true, "result": true}',
    "empty": "{}",
    "the boolean alone": "true",
    "in a list": '[{"decision": true}]',
    "twice": '{"decision": false, "decision": true}',
    "twice, one escaped": '{"decision": false, "d\\u0065cision": true}',
    "a comment": '{"decision": true} // yes',
    "two of them": '{"decision": true}{"decision": true}',
    "cut off": '{"decision": true',
    "in capitals": '{"decision": TRUE}',
    "a BOM": '\ufeff{"decision": true}',
    "too deep": '{"decision": true, "x": ' + "[" * 50 + "]" * 50 + "}",
    "for several": '{"evaluations": [{"decision": true}]}',
}


@pytest.mark.parametrize("body", NONE.values(), ids=NONE)
@pytest.mark.parametrize("count", [1, 2])
def test_no_decision(body: str, count: int) -> None:
    """Z03, Z11."""
    if count == 2:
        body = f'{{"evaluations": [{{"decision": true}}, {body}]}}'
    with pytest.raises(NoDecision) as none:
        read(200, JSON, body.encode(), count)
    assert (none.value.why, none.value.general) == ("unusable_answer", False)
    assert "true" not in str(none.value)


LISTS = {
    "too few": '[{"decision": true}]',
    "too many": '[{"decision": true}, {"decision": true}, {"decision": true}]',
    "none": "[]",
    "an object": '{"0": {"decision": true}, "1": {"decision": true}}',
    "null": "null",
    "booleans": "[true, true]",
    "a null among them": '[{"decision": true}, null]',
}


@pytest.mark.parametrize("listed", LISTS.values(), ids=LISTS)
def test_as_many_decisions_as_questions(listed: str) -> None:
    """Z08. A `decision` beside the list is not one of them."""
    with pytest.raises(NoDecision):
        read(200, JSON, f'{{"decision": true, "evaluations": {listed}}}'.encode(), 2)


YES = b'{"decision": true}'
STATUSES = {
    201: ("status", False),
    204: ("status", False),
    302: ("status", False),
    400: ("status", False),
    401: ("refused_us", True),
    403: ("refused_us", True),
    404: ("status", False),
    413: ("status", False),
    429: ("status", True),
    500: ("status", False),
    502: ("status", True),
    503: ("status", True),
    504: ("status", True),
}


@pytest.mark.parametrize(("status", "came"), STATUSES.items(), ids=str)
def test_another_status_is_no_decision(status: int, came: Any) -> None:
    with pytest.raises(NoDecision) as none:
        read(status, JSON, YES, 1)
    assert (none.value.why, none.value.general) == came


@pytest.mark.parametrize(
    "type", ["", "text/html", "text/plain", "application/json+x", "application/jwt", "json"]
)
def test_another_type_is_no_decision(type: str) -> None:  # noqa: A002 - the field's name
    with pytest.raises(NoDecision):
        read(200, type, YES, 1)


SCALARS: st.SearchStrategy[Any] = st.sampled_from(
    [True, False, None, 0, 1, "true", "", [], {}, [True]]
)
NAMES = st.sampled_from(["decision", "Decision", "context", "evaluations", "error", "x"])
OBJECTS: st.SearchStrategy[Any] = st.dictionaries(
    NAMES, SCALARS | st.dictionaries(NAMES, SCALARS, max_size=2), max_size=3
)


@given(OBJECTS | st.builds(lambda each: {"evaluations": each}, st.lists(OBJECTS, max_size=3)))
def test_a_yes_is_the_boolean_where_it_belongs(answer: dict[str, Any]) -> None:
    """Whatever stands beside it: as a naive reader would say it."""
    body = json.dumps(answer).encode()
    for count in (1, 2, 3):
        try:
            said = read(200, JSON, body, count)
        except NoDecision:
            continue
        listed: Any = [answer] if count == 1 else answer["evaluations"]
        assert len(listed) == len(said) == count
        for each, one in zip(said, listed, strict=True):
            assert (each is True) <= (one["decision"] is True)
            assert (each is False) <= (one["decision"] is False)
            assert (each is FAILED) is (
                isinstance(one.get("context"), dict) and "error" in one["context"]
            )


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode), st.integers(1, 3))
def test_nothing_but_a_decision_is_one(body: bytes, count: int) -> None:
    try:
        said = read(200, JSON, body, count)
    except NoDecision:
        return
    assert len(said) == count
    assert b"decision" in body or b"\\u" in body
