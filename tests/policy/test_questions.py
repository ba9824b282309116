"""What a decision point is told of a path leads back to the rule and the question that it is of."""

from __future__ import annotations

import json
from math import isinf
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from authz_middleware.authzen.asking import posted
from authz_middleware.authzen.decision_point import DecisionPoint
from authz_middleware.document import Document
from authz_middleware.facts import Principal
from authz_middleware.policy.canonical import readings
from authz_middleware.policy.model import Policy
from authz_middleware.policy.questions import Question, Questions
from authz_middleware.runtime import settings

ANN = Principal(subject="ann", issuer="https://login.example.com", expires_at=0)
POINT = DecisionPoint("p", "https://x/one", "https://x/more")
TEMPLATES = (
    "/a/<int:n>",
    "/a/<name>",
    "/a/<int:n>/b",
    "/x/<float:x>",
    "/u/<uuid:id>",
    "/k/<any(red,blue):colour>/<name>",
    "/f/<path:rest>",
    "/f/<name>/edit",
)


def compiled() -> Policy:
    document = {
        "issuers": [{"issuer": ANN.issuer, "audience": "a"}],
        "pdp": {"p": {"url": "https://x"}},
        "routes": {
            f"{method} {each}": {"pdp": "p"} for method in ("GET", "WS") for each in TEMPLATES
        },
    }
    return settings.load(Document.from_mapping(document)).policy


POLICY = compiled()


def asked(path: str, method: str = "GET") -> tuple[Question, ...]:
    """Return what is asked about a path; nothing for one that is refused."""
    paths = readings(path, "")
    found = POLICY.find(method, paths) if paths else None
    wanted = POLICY.waits_for(found, ANN, 0, None, {}) if found else None
    assert wanted is None or isinstance(wanted, Questions)
    return wanted.each if wanted else ()


def told(question: Question) -> str:
    body = json.loads(posted(POINT, [question], ANN, 0, None, "id").body)
    path: Any = body["resource"]["properties"]["path"]
    return path


WORDS = ["a", "A", "b", "k", "f", "x", "u", "red", "edit", "7", "007", "1.50", "0.1"]
ODD = ["{n}", "{rest}", "\\1", "\ufb01", "\u00df", "e\u0301", "\u00e9"]
UUID = "12345678-1234-1234-1234-123456789abc"
LETTERS = st.characters(exclude_characters="/", exclude_categories=["Cs"])
SEGMENTS = st.sampled_from([*WORDS, *ODD, UUID, "9" * 30]) | st.text(
    LETTERS, min_size=1, max_size=4
)
PATHS = st.lists(SEGMENTS, min_size=1, max_size=4).map(lambda each: "/" + "/".join(each))


@given(PATHS, st.sampled_from(["GET", "HEAD", "WS"]))
def test_the_path_that_is_told_is_asked_about_alike(path: str, method: str) -> None:
    for question in asked(path, method):
        assert question.method == ("WS" if method == "WS" else "GET")
        values = dict(question.params)
        assume(not ("x" in values and "e" in values["x"].lower()))  # too large, or too small
        again = asked(told(question), method)
        assert question in again, told(question)


def test_a_number_that_is_none_is_no_path_of_its_rule() -> None:
    """So that a decision point of ours, at least, does not take it for another one."""
    (question,) = asked("/x/" + "9" * 400 + ".0")
    assert isinf(float(dict(question.params)["x"]))
    assert asked(told(question)) == ()
