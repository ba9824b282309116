"""Every refusal has its row in DESIGN section 4, and tells the client no more than that."""

from __future__ import annotations

import json
from typing import get_args
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.answers import ANSWERS, Answers, Body, checked_body, metadata
from authz_middleware.facts import Decision, Reason, RuleRef

ID = "01234567-89ab-4cde-8f01-23456789abcd"
ANSWERING = Answers(realm="orders")

# reason: status, error code, challenged, Retry-After
ROWS: dict[str, tuple[int, str | None, bool, bool]] = {
    "path_ambiguous": (400, None, False, False),
    "method_ambiguous": (400, None, False, False),
    "malformed_authorization": (400, "invalid_request", True, False),
    "no_credentials": (401, None, True, False),
    "invalid_token": (401, "invalid_token", True, False),
    "forbidden": (403, None, False, False),
    "forbidden_to_caller": (403, "insufficient_scope", True, False),
    "no_rule": (403, "insufficient_scope", True, False),
    "method_not_listed": (403, "insufficient_scope", True, False),
    "denied_by_rule": (403, "insufficient_scope", True, False),
    "role_missing": (403, "insufficient_scope", True, False),
    "permission_missing": (403, "insufficient_scope", True, False),
    "issuer_not_accepted": (403, "insufficient_scope", True, False),
    "excluded": (403, "insufficient_scope", True, False),
    "condition_not_met": (403, "insufficient_scope", True, False),
    "condition_error": (403, "insufficient_scope", True, False),
    "scope_missing": (403, "insufficient_scope", True, False),
    "acr_not_met": (401, "insufficient_user_authentication", True, False),
    "authentication_too_old": (401, "insufficient_user_authentication", True, False),
    "resource_missing": (403, "insufficient_scope", True, False),
    "resource_not_found": (404, None, False, False),
    "resource_unavailable": (503, None, False, True),
    "pdp_denied": (403, "insufficient_scope", True, False),
    "pdp_failed": (403, "insufficient_scope", True, False),
    "pdp_unavailable": (503, None, False, True),
    "keys_unavailable": (503, None, False, True),
    "introspection_unavailable": (503, None, False, True),
    "policy_not_loaded": (503, None, False, True),
    "unguarded": (500, None, False, False),
    "unchecked": (500, None, False, False),
}


def test_every_reason_has_a_row() -> None:
    refusals = set(get_args(Reason)) - {"allowed"}
    assert set(ANSWERS) == refusals
    assert set(ROWS) == refusals


def refused(reason: str, accept: str | None = None, answers: Answers = ANSWERING, **more):
    """Return the answer to a refusal full of what the client must not learn."""
    decision = Decision(
        False,
        reason,  # type: ignore[arg-type]
        RuleRef("GET /secret-rule", "authz.toml:7:1"),
        missing=("secret-role",),
        detail="secret-detail",
        nearest_miss="secret-miss",
        **more,
    )
    return answers.answer(answers.refusal(decision, id=ID, accept=accept))


@pytest.mark.parametrize("reason", ROWS)
@pytest.mark.parametrize("accept", [None, "text/plain"])
def test_status_headers_and_body(reason: str, accept: str | None) -> None:
    status, error, challenged, retried = ROWS[reason]
    answer = refused(reason, accept)
    headers = dict(answer.headers)
    assert answer.status == status
    assert len(headers) == len(answer.headers)  # none twice
    assert headers["cache-control"] == "no-store"
    assert headers["content-length"] == str(len(answer.body))
    assert ("retry-after" in headers) == retried
    assert headers.get("retry-after") in {None, "5"}
    wanted = 'Bearer realm="orders"' + (f', error="{error}"' if error else "")
    assert headers.get("www-authenticate") == (wanted if challenged else None)
    assert "secret" not in repr(answer)
    if accept:
        assert headers["content-type"] == "text/plain; charset=utf-8"
        first, second, last = answer.body.decode().split("\n")
        assert first.startswith(f"{status} ")
        assert (second, last) == (f"id: {ID}", "")
    else:
        assert headers["content-type"] == "application/problem+json"
        problem = json.loads(answer.body)
        assert UUID(problem.pop("instance").removeprefix("urn:uuid:")) == UUID(ID)
        assert problem.pop("title")
        assert problem == {
            "type": "about:blank",
            "status": status,
            **({"error": error} if error else {}),
        }


def test_the_scopes_of_the_route_are_named_in_full() -> None:
    headers = dict(refused("scope_missing", scopes=("a", "b")).headers)
    assert headers["www-authenticate"] == (
        'Bearer realm="orders", error="insufficient_scope", scope="a b"'
    )


def test_u04_a_step_up_says_what_to_ask_for() -> None:
    """U01, U02, U04: one challenge with both, in the order of preference."""
    headers = dict(refused("acr_not_met", acr_values=("urn:b", "urn:a"), max_age=0).headers)
    assert headers["www-authenticate"] == (
        'Bearer realm="orders", error="insufficient_user_authentication",'
        ' acr_values="urn:b urn:a", max_age="0"'
    )


@pytest.mark.parametrize("reason", ROWS)
def test_resource_metadata_is_in_every_challenge(reason: str) -> None:
    answers = Answers(resource_metadata="https://x/.well-known/oauth-protected-resource")
    challenge = dict(refused(reason, answers=answers).headers).get("www-authenticate")
    assert (challenge is not None) == ROWS[reason][2]
    if challenge is not None:
        assert challenge.endswith(
            ' resource_metadata="https://x/.well-known/oauth-protected-resource"'
        )


@pytest.mark.parametrize(
    ("reason", "slug"),
    [
        ("invalid_token", "invalid_token"),
        ("no_credentials", "unauthorized"),
        ("path_ambiguous", "bad_request"),
        ("keys_unavailable", "service_unavailable"),
    ],
)
def test_problem_types_below_a_base(reason: str, slug: str) -> None:
    answers = Answers(problem_base="https://x/problems#")
    problem = json.loads(refused(reason, answers=answers).body)
    assert problem["type"] == f"https://x/problems#{slug}"


JSON, PLAIN = "application/problem+json", "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, JSON),
        ("", JSON),
        (" ", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("application/json", JSON),
        ("application/problem+json", JSON),
        ("APPLICATION/JSON", JSON),
        ("application/json; charset=utf-8, */*", JSON),
        ("text/html,application/xhtml+xml,*/*;q=0.8", JSON),  # a browser
        ("text/html, application/json;q=0.5, text/plain;q=0.5", JSON),
        ("text/plain;q=0.5, application/json;q=0.6", JSON),
        ("text/plain", PLAIN),
        ("text/*", PLAIN),
        ("text/html", PLAIN),
        ("image/png", PLAIN),
        ("text/plain, application/json;q=0.9", PLAIN),
        ("text/*, */*;q=0.1", PLAIN),
        ("application/json;q=0", PLAIN),
        ("*/*;q=0", PLAIN),
        ("no media type", PLAIN),
        (",,;;", PLAIN),
    ],
)
def test_accept(accept: str | None, media_type: str) -> None:
    assert dict(refused("no_credentials", accept).headers)["content-type"] == media_type


@given(
    st.one_of(
        st.text(),
        st.text('aj*/;q=0.1,+-_ "\\\t'),
        st.text(st.characters(max_codepoint=255)),
    )
)
def test_any_accept_has_an_answer(accept: str) -> None:
    answer = refused("no_credentials", accept)
    assert dict(answer.headers)["content-type"] in {JSON, PLAIN}
    assert answer.status == 401


def test_metadata_document() -> None:
    """RFC 9728 §3.2."""
    answer = metadata("https://api", ("https://x", "https://y"), ("a", "b"))
    headers = dict(answer.headers)
    assert answer.status == 200
    assert headers["content-type"] == "application/json"
    assert headers["content-length"] == str(len(answer.body))
    assert headers["access-control-allow-origin"] == "*"
    assert json.loads(answer.body) == {
        "resource": "https://api",
        "authorization_servers": ["https://x", "https://y"],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["a", "b"],
    }
    assert "scopes_supported" not in json.loads(metadata("https://api", (), ()).body)


def test_a_huge_accept_field_is_not_parsed() -> None:
    """Anybody can ask for a refusal; werkzeug takes 90 ms for 60 KB of it."""
    assert dict(refused("no_credentials", "text/plain").headers)["content-type"].startswith("text")
    huge = "text/plain, " + "a/b, " * 300
    assert dict(refused("no_credentials", huge).headers)["content-type"] == JSON


def test_a_body_of_somebody_elses_changes_nothing_of_the_head() -> None:
    answers = Answers(realm="orders")
    refusal = answers.refusal(Decision(False, "scope_missing", scopes=("a",)), id=ID, accept=None)
    ours, theirs = answers.answer(refusal), answers.answer(refusal, Body("application/json", b"{}"))
    assert (theirs.status, theirs.body) == (403, b"{}")
    assert dict(theirs.headers) == dict(ours.headers) | {
        "content-type": "application/json",
        "content-length": "2",
    }


@pytest.mark.parametrize("body", [None, Body("text/html; charset=utf-8", b""), ("a/b", b"x")])
def test_a_body_that_can_be_sent(body) -> None:
    assert checked_body(body) == body


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("text", id="text"),
        pytest.param(["a/b", b""], id="a list"),
        pytest.param(("a/b",), id="one part"),
        pytest.param(("a/b", b"", 403), id="a status"),
        pytest.param(("a/b", "text"), id="text as content"),
        pytest.param((b"a/b", b""), id="bytes as media type"),
        pytest.param(("", b""), id="no media type"),
        pytest.param(("a/b\r\nSet-Cookie: a=b", b""), id="a second field"),
        pytest.param(("a/\u00e9", b""), id="not ASCII"),
    ],
)
def test_a_body_that_cannot_be_sent(body) -> None:
    with pytest.raises((TypeError, ValueError)):
        checked_body(body)
