"""AuthZEN 1.0 as the one who asks: what is sent for questions, and how an answer is read.

The shape of a question is that of the API gateways in the working group's interoperability tests:
an `identity` asks to do a method to a `route`. The token is never sent. Only a boolean is a
decision ("Decision"); all else is none, and who asked is not let in by it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, cast

from authz_middleware.authzen.decision_point import DecisionPoint
from authz_middleware.facts import Principal
from authz_middleware.policy.questions import Question, Said, Unanswered
from authz_middleware.tokens import strict_json
from authz_middleware.tokens.rejection import Rejected

__all__ = ["MAX_ANSWER", "NoDecision", "Posted", "posted", "read"]

MAX_ANSWER: Final = 64 * 1024
"""Bytes of an answer; a decision itself is a few."""

_REFUSED: Final = frozenset({401, 403})
_GENERAL: Final = frozenset({429, 502, 503, 504})
"""Statuses that any other question would meet, too. A 500 may be the fault of one."""


class Posted(NamedTuple):
    """One request to a decision point; always a POST."""

    url: str
    body: bytes
    headers: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Posted({self.url!r})"


class NoDecision(Exception):
    """The decision point answered, and that is no decision. The text holds nothing of it.

    `why` is the detail of the refusal. `general` is whether another question would end no better.
    """

    def __init__(self, why: str, what: str, *, general: bool = False) -> None:
        self.why = why
        self.general = general
        super().__init__(what)


def posted(
    point: DecisionPoint,
    questions: Sequence[Question],
    principal: Principal,
    at: float,
    ip: str | None,
    request_id: str,
) -> Posted:
    """Return what is sent: one question for itself, several in one request, if there is a place.

    `at` is in seconds since the epoch, `ip` the client's address (None: not told).
    """
    context = {"time": datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")}
    if ip is not None:
        context["ip"] = ip
    whole: dict[str, Any] = {"subject": _subject(principal), "context": context}
    asked = [{"action": {"name": each.method}, "resource": _resource(each)} for each in questions]
    if len(asked) == 1 or point.evaluations is None:
        (one,) = asked
        url, body = point.evaluation, {**whole, **one}
    else:
        options = {"evaluations_semantic": "execute_all"}
        url, body = point.evaluations, {**whole, "evaluations": asked, "options": options}
    headers = {"content-type": "application/json", "x-request-id": request_id}
    if point.authorization is not None:
        headers["authorization"] = point.authorization
    return Posted(url, json.dumps(body, allow_nan=False).encode("ascii"), headers)


def _subject(principal: Principal) -> dict[str, Any]:
    return {
        "type": "identity",
        "id": principal.subject,
        "properties": {
            "issuer": principal.issuer,
            "roles": sorted(principal.roles),
            "permissions": sorted(principal.permissions),
            "scopes": sorted(principal.scopes),
        },
    }


_PLACE: Final = re.compile(r"\{(\w+)\}")


def _resource(question: Question) -> dict[str, Any]:
    params = dict(question.params)
    # What is left of a path may be nothing; then the slash before it is none of the path's.
    path = _PLACE.sub(lambda place: params[place[1]], question.route).rstrip("/") or "/"
    return {
        "type": "route",
        "id": question.route,
        "properties": {"path": path, "params": params},
    }


def read(status: int, content_type: str, body: bytes, count: int) -> tuple[Said, ...]:
    """Return what an answer says to each of `count` questions, in order; raises NoDecision."""
    if status in _REFUSED:  # our own credentials: nothing that who asks us could bring
        raise NoDecision("refused_us", f"status {status}: it does not take us", general=True)
    if status != 200:  # a redirect is one of these, and is not followed
        raise NoDecision("status", f"status {status}", general=status in _GENERAL)
    if content_type.partition(";")[0].strip(" \t").lower() != "application/json":
        raise NoDecision("unusable_answer", "not application/json")
    try:
        answer: object = strict_json.loads(body)
    except Rejected as rejected:
        what = f"not strict JSON ({rejected.detail})"
        raise NoDecision("unusable_answer", what) from None
    members = _object(answer, "the answer")
    if count == 1:
        return (_decision(members),)
    listed: object = members.get("evaluations")
    if not isinstance(listed, list):
        raise NoDecision("unusable_answer", "`evaluations` is no array")
    several = cast("list[object]", listed)
    if len(several) != count:
        raise NoDecision("unusable_answer", f"not {count} `evaluations`")
    return tuple(_decision(_object(each, "one of `evaluations`")) for each in several)


FAILED: Final = Unanswered("evaluation_failed")
"""The decision point says that it could not decide this question."""


def _decision(members: Mapping[str, object]) -> Said:
    decision = members.get("decision")
    if decision is not True and decision is not False:  # "true" and 1 are not
        raise NoDecision("unusable_answer", "`decision` is no boolean")
    context: object = members.get("context")
    if isinstance(context, dict) and "error" in context:
        # "Errors": a `decision` that is false for want of one. Under a `not` it would let in.
        return FAILED
    return decision


def _object(value: object, what: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise NoDecision("unusable_answer", f"{what} is no JSON object")
    return cast("dict[str, object]", value)
