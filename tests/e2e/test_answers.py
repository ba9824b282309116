"""Every server gives the answers of the table, and refuses what could be read in two ways."""

from __future__ import annotations

from http.client import IncompleteRead

import pytest

from examples.demo.expectations import authorization, expectations
from tests.e2e.wire import HANDSHAKE, Answer, ask

pytestmark = pytest.mark.e2e

JSON = b'{"title": "Harbour opens again"}'


def assert_complete(answer: Answer, method: str) -> None:
    """This is a refusal as `docs/answers.md` has it, which no server has changed."""
    status = answer.status
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/problem+json"
    assert ("www-authenticate" in answer.headers) == (status in (401, 403))
    if method == "HEAD":
        assert answer.body == b""
    else:
        assert answer.headers["content-length"] == str(len(answer.body))
        assert answer.problem["status"] == status


def test_the_role_and_route_table(running, issuer):
    headers = authorization(issuer)
    for expected in expectations():
        method, target, status = expected.method, expected.target, expected.status
        fields = (
            []
            if headers[expected.caller] is None
            else [f"Authorization: {headers[expected.caller]}"]
        )
        if method == "WS":
            if running.setup.world == "wsgi":
                continue  # test_websockets
            answer = ask(running.port, "GET", target, *HANDSHAKE, *fields)
            status = running.setup.handshake(status)
        elif method in ("POST", "PUT", "PATCH"):
            fields += ["Content-Type: application/json", f"Content-Length: {len(JSON)}"]
            answer = ask(running.port, method, target, *fields, body=JSON)
        else:
            answer = ask(running.port, method, target, *fields)
            if target == "//admin/users" and running.setup.folds_slashes:
                status = {"no token": 401, "admin": 200}.get(expected.caller, 403)
        assert answer.status == status, (expected, answer)
        if status in (401, 403) and (method != "WS" or running.setup.refuses_in_full):
            assert_complete(answer, method)


TARGETS = {
    # "/lab/open" is public: what reaches it by another name would be open to everybody.
    "//lab/open": 400,
    "/lab//open": 400,
    "/lab/../lab/open": 400,
    "/lab/./open": 400,
    "/lab/%2e%2e/lab/open": 400,
    "/lab%2fopen": 400,
    "/lab/open%ff": 400,
    "/lab/open%00": 400,
    "/lab/open%0a": 400,
    "/lab/open;x": 400,
    "/lab/open%3bx": 400,
    "/lab/open%23": 400,
    "/lab/open%252f": 400,
    "/lab\\open": 400,
    "/lab/%5copen": 400,
    "/lab/op\ten": 400,
    "/lab/open\xff": 400,
    "/lab/open#x": 400,
    "lab/open": 400,
    "*": 400,
    "http://localhost/lab/open": 400,
    # The same path to everybody.
    "/%6cab/open": 200,
    "/lab/open?x=//../%2f": 200,
}


def test_odd_targets(running):
    """A refusal is ours or the server's own; what is let in is plain `/lab/open` to the app."""
    expected = TARGETS | dict(running.setup.targets)
    answers = {target: ask(running.port, "GET", target) for target in TARGETS}
    assert {target: answer.status for target, answer in answers.items()} == expected
    for answer in answers.values():
        if answer.status == 200:
            assert b'"path": "/lab/open"' in answer.body


@pytest.mark.parametrize(
    ("method", "let_in", "anonymous"), [("get", 200, 401), ("head", 200, 401), ("FOO", 403, 401)]
)
def test_methods_in_another_spelling(running, vera, method, let_in, anonymous):
    """A lower-case method is judged as the upper-case one: it opens nothing."""
    if method in running.setup.unknown_methods:
        let_in = anonymous = 400  # by the server
    if method in running.setup.broken_methods:
        for fields in ((vera,), ()):
            with pytest.raises(IncompleteRead):
                ask(running.port, method, "/lab/who", *fields)
        return
    assert ask(running.port, method, "/lab/who", vera).status == let_in
    assert ask(running.port, method, "/lab/who").status == anonymous


def test_the_method_of_handshakes_is_nobodys(running, vera):
    assert ask(running.port, "WS", "/lab/both", vera).status == 400


def test_several_authorization_fields(running, vera, eddy):
    """However a server hands them on, one of them is never taken for the caller's."""
    for fields in ((vera, eddy), (vera, vera), ("Authorization: Basic eDp5", vera), (vera + ",",)):
        answer = ask(running.port, "GET", "/lab/who", *fields)
        assert (answer.status, answer.problem["error"]) == (400, "invalid_request")
        anonymous = ask(running.port, "GET", "/lab/open", *fields)
        assert (anonymous.status, b'"subject": null' in anonymous.body) == (200, True)
    joined = f"{vera}, {eddy.removeprefix('Authorization: ')}"
    assert ask(running.port, "GET", "/lab/who", joined).problem["error"] == "invalid_request"


def test_a_name_in_another_spelling_is_the_same_field(running, vera):
    for name in ("authorization", "AUTHORIZATION"):
        field = vera.replace("Authorization", name)
        assert ask(running.port, "GET", "/lab/who", field).status == 200


def test_fields_that_only_look_like_ours_are_nobodys(running, vera):
    for name in ("X-Authorization", "Proxy-Authorization", "HTTP_AUTHORIZATION", "Authz"):
        field = vera.replace("Authorization", name)
        assert ask(running.port, "GET", "/lab/who", field).status == 401


def test_require_in_a_handler(running, vera):
    answer = ask(running.port, "GET", "/lab/require", vera)
    assert answer.status == 403
    assert_complete(answer, "GET")
