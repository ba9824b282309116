"""How a decision point is asked: paths, methods, secrets, bodies; and that nothing strays."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware import Authz
from authz_middleware.authzen.evaluation import MAX_BODY, MAX_EVALUATIONS
from authz_middleware.pdp import DecisionPoint, app, asked
from tests.pdp.asking import EVALUATION, EVALUATIONS, METADATA, NOW, TOKEN, ask, issuer, serve

POLICY: dict[str, Any] = {
    "roles": {"viewer": ["article:read"]},
    "routes": {"GET /open": "public", "GET /me": ["viewer"]},
}
QUESTION: dict[str, Any] = {
    "subject": {"type": "user", "id": "ann", "properties": {"roles": ["viewer"]}},
    "action": {"name": "read"},
    "resource": {"type": "article", "id": "1"},
}
OTHER = "dR5hG8kP2vXz6MqL9wTbY3nJcA7fUe4S"
POINT = serve(POLICY)
GUARDED = serve(POLICY, tokens=[TOKEN, OTHER], url="https://pdp.example.com")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "",
        "/access/v1/evaluation/",
        "/access/v1/Evaluation",
        "/access/v2/evaluation",
        "/access/v1/search/subject",
        "//access/v1/evaluation",
        "/access/v1/evaluation\n",
        METADATA,
    ],
)
def test_what_is_not_there(path: str) -> None:
    """Without a URL there is no metadata either."""
    for method in ("GET", "POST", "PUT"):
        assert ask(POINT, QUESTION, path, REQUEST_METHOD=method).status == 404


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "OPTIONS", "DELETE", "post"])
@pytest.mark.parametrize("path", [EVALUATION, EVALUATIONS])
@pytest.mark.filterwarnings("ignore:Unknown REQUEST_METHOD")
def test_another_method(path: str, method: str) -> None:
    found = ask(GUARDED, QUESTION, path, REQUEST_METHOD=method)
    assert (found.status, found.headers["Allow"]) == (405, "POST")


def test_metadata_are_got() -> None:
    assert ask(GUARDED, None, METADATA).status == 405
    got, head = (ask(GUARDED, None, METADATA, REQUEST_METHOD=name) for name in ("GET", "HEAD"))
    assert (head.status, head.body) == (200, b"")
    assert got.headers == head.headers


def test_mounted_below_a_prefix() -> None:
    """What is called is the whole path: there is one place for it on each host."""
    halves = {"SCRIPT_NAME": "/access", "PATH_INFO": "/v1/evaluation"}
    assert ask(POINT, QUESTION, **halves).status == 200
    assert ask(POINT, QUESTION, SCRIPT_NAME="/pdp").status == 404


# Secrets


@pytest.mark.parametrize(
    ("field", "error"),
    [
        (None, False),
        ("Basic YTpi", False),
        (f"Token {TOKEN}", False),
        ("Bearer", True),
        ("Bearer ", True),
        (f"Bearer {TOKEN[:-1]}", True),
        (f"Bearer {TOKEN}x", True),
        (f"Bearer {TOKEN.lower()}", True),
        (f"Bearer {TOKEN},Bearer {TOKEN}", True),
        (f"Bearer {TOKEN} {OTHER}", True),
        (f"Bearer {TOKEN}\xff", True),
        (f"Bearer {'a' * 20_000}", True),
    ],
)
@pytest.mark.parametrize("body", [QUESTION, b"", b"{"], ids=["good", "empty", "bad"])
def test_who_brings_no_secret_learns_nothing(field: str | None, error: bool, body: Any) -> None:
    """Not even whether the question is one."""
    found = ask(GUARDED, body, HTTP_AUTHORIZATION=field, CONTENT_TYPE="text/plain")
    assert found.status == 401
    challenge = 'Bearer realm="authz pdp"' + (', error="invalid_token"' if error else "")
    assert found.headers["WWW-Authenticate"] == challenge


@pytest.mark.parametrize("token", [TOKEN, OTHER])
def test_who_brings_one_is_answered(token: str) -> None:
    found = ask(GUARDED, QUESTION, HTTP_AUTHORIZATION=f"Bearer {token}", HTTP_HOST="any.example")
    assert found.json == {"decision": True}


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        ([], "nobody could ask"),
        (["short"], "needs at least 32"),
        (["a" * 40], "repeats itself"),
        (["correct horse battery staple correct horse"], "cannot have"),
        ([TOKEN, TOKEN[:-1] + "ä"], "cannot have"),
        ([TOKEN, "change-me-" + TOKEN], "placeholder"),
    ],
)
def test_a_weak_secret_is_refused(tokens: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        serve(POLICY, tokens=tokens)
    assert not any(token in str(caught.value) for token in tokens)


def test_a_policy_is_compiled_first() -> None:
    with pytest.raises(TypeError, match="makes one"):
        DecisionPoint("authz.toml", tokens=None)  # type: ignore[arg-type]


def test_one_secret_is_a_list_of_one() -> None:
    with pytest.raises(TypeError, match="write"):
        serve(POLICY, tokens=TOKEN)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "pdp.example.com",
        "http://pdp.example.com",
        "https://",
        "https://pdp.example.com/",
        "https://pdp.example.com/tenant1",
        "https://pdp.example.com?x",
        "ftp://127.0.0.1",
        "https://pdp.example.com#x",
        "https://a@pdp.example.com",
        "http://127.0.0.1.example.com",
    ],
)
def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(ValueError, match=r"write https://pdp\.example\.com"):
        serve(POLICY, url=url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8798", "http://localhost", "http://[::1]:1"])
def test_a_url_on_this_machine(url: str) -> None:
    found = ask(serve(POLICY, url=url), None, METADATA, REQUEST_METHOD="GET").json
    assert found["policy_decision_point"] == url


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8798", 200),
        ("127.0.0.1", 200),
        ("127.8.9.1:1", 200),
        ("[::1]:8798", 200),
        ("pdp.example.com:443", 200),
        (None, 200),  # HTTP/1.0
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("192.0.2.1", 421),
        ("[::1", 400),
    ],
)
def test_without_secrets_it_is_asked_by_its_own_names(host: str | None, status: int) -> None:
    """A page in a browser would ask under the name of its own server, made to lead here."""
    point = serve(POLICY, url="https://pdp.example.com")
    assert ask(point, QUESTION, HTTP_HOST=host).status == status
    assert ask(point, None, METADATA, REQUEST_METHOD="GET", HTTP_HOST=host).status == status


# Bodies


class Slow(io.BytesIO):
    """A client that sends nothing more."""

    def read(self, size: int | None = -1, /) -> bytes:
        raise TimeoutError


class Broken(io.BytesIO):
    """A body in chunks of which one is none; what is raised is the server's own."""

    def read(self, size: int | None = -1, /) -> bytes:
        raise RuntimeError("zz")


class Drops(io.BytesIO):
    """A body that comes byte by byte."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(1)


BODY = json.dumps(QUESTION).encode()


@pytest.mark.parametrize(
    ("extra", "status"),
    [
        ({"CONTENT_LENGTH": None}, 400),
        ({"CONTENT_LENGTH": ""}, 400),
        ({"CONTENT_LENGTH": "0"}, 400),
        ({"CONTENT_LENGTH": str(len(BODY) - 1)}, 400),
        ({"CONTENT_LENGTH": str(len(BODY) + 1)}, 400),
        ({"CONTENT_LENGTH": str(MAX_BODY)}, 400),
        ({"CONTENT_LENGTH": str(MAX_BODY + 1)}, 413),
        ({"CONTENT_LENGTH": "9" * 4000}, 413),
        ({"HTTP_TRANSFER_ENCODING": "chunked"}, 400),
        ({"HTTP_TRANSFER_ENCODING": "identity"}, 400),
        ({"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": None}, 411),
        (
            {
                "HTTP_TRANSFER_ENCODING": "chunked",
                "CONTENT_LENGTH": None,
                "wsgi.input_terminated": True,
            },
            200,
        ),
        ({"wsgi.input": Slow()}, 408),
        ({"wsgi.input": Broken()}, 400),
        ({"wsgi.input": Drops(BODY)}, 200),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_lengths(extra: dict[str, Any], status: int) -> None:
    assert ask(POINT, BODY, **extra).status == status


@pytest.mark.parametrize("length", ["-1", "+5", " 5", "5, 5", "5,5", "0x5", "\u0665", "1e3", "5_0"])
def test_lengths_that_are_none(length: str) -> None:
    """The validator of WSGI would not let them pass; a server may."""
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": EVALUATION,
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": length,
        "wsgi.input": io.BytesIO(BODY),
    }
    seen: list[str] = []
    POINT(environ, lambda status, headers, exc_info=None: seen.append(status))  # type: ignore[arg-type]
    assert seen == ["400 Bad Request"]


def test_a_chunked_body_without_end() -> None:
    class Endless(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return b" " * min(size or 0, 65_536)

    extra: dict[str, Any] = {
        "HTTP_TRANSFER_ENCODING": "chunked",
        "wsgi.input_terminated": True,
        "wsgi.input": Endless(),
        "CONTENT_LENGTH": None,
    }
    assert ask(POINT, BODY, **extra).status == 413


@pytest.mark.parametrize(
    ("id", "sent"),
    [
        ("a b", True),
        ("a\tb", False),
        ("\xe4\xff", True),
        ("x" * 5000, True),
        ("a\r\nSet-Cookie: x=1", False),
        ("a\x00", False),
        ("\u0100", False),
    ],
)
def test_a_request_id_is_sent_back_as_it_came_or_not_at_all(id: str, sent: bool) -> None:
    found = ask(POINT, QUESTION, HTTP_X_REQUEST_ID=id)
    assert found.headers.get("X-Request-ID") == (id if sent else None)


def test_an_answer_is_not_kept() -> None:
    for found in (ask(POINT, QUESTION), ask(POINT, b""), ask(GUARDED, QUESTION)):
        assert found.headers["Cache-Control"] == "no-store"
        assert found.headers["X-Content-Type-Options"] == "nosniff"


# Several


def routes(*paths: str, **options: Any) -> list[bool]:
    several = [{"resource": {"type": "route", "id": path}} for path in paths]
    question = {
        "subject": {"type": "user", "id": "ann"},
        "action": {"name": "GET"},
        "evaluations": several,
        "options": options,
    }
    found = ask(POINT, question, EVALUATIONS).json["evaluations"]
    return [each["decision"] for each in found]


@pytest.mark.parametrize(
    ("semantic", "paths", "decisions"),
    [
        ("execute_all", ("/open", "/me", "/open"), [True, False, True]),
        ("deny_on_first_deny", ("/open", "/me", "/open"), [True, False]),
        ("deny_on_first_deny", ("/open", "/open"), [True, True]),
        ("deny_on_first_deny", ("", "/open"), [False]),  # a failure is a denial
        ("permit_on_first_permit", ("/me", "/open", "/me"), [False, True]),
        ("permit_on_first_permit", ("/me", "", "/me"), [False, False, False]),
    ],
)
def test_where_an_answer_ends(semantic: str, paths: tuple[str, ...], decisions: list[bool]) -> None:
    assert routes(*paths, evaluations_semantic=semantic) == decisions


def test_no_more_than_so_many() -> None:
    question = {**QUESTION, "evaluations": [{}] * MAX_EVALUATIONS}
    found = ask(POINT, question, EVALUATIONS).json["evaluations"]
    assert found == [{"decision": True}] * MAX_EVALUATIONS
    question["evaluations"] = [{}] * 10_000
    assert ask(POINT, question, EVALUATIONS).status == 400


def test_what_several_share_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a request of a megabyte would be read 256 times; whether it is good or not."""
    read: list[str] = []
    for name in ("_caller", "_around"):
        real = getattr(asked, name)

        def counted(*args: Any, name: str = name, real: Any = real) -> Any:
            read.append(name)
            return real(*args)

        monkeypatch.setattr(asked, name, counted)
    bad = {"type": "user", "id": "ann", "properties": {"roles": "viewer"}}
    unknown = {"type": "robot", "id": "r2"}
    for subject in (QUESTION["subject"], bad, unknown):
        read.clear()
        question = {**QUESTION, "subject": subject, "context": {"ip": "x"}, "evaluations": [{}] * 9}
        assert len(ask(POINT, question, EVALUATIONS).json["evaluations"]) == 9
        assert read == ["_around", "_caller"]
    read.clear()
    question = {**QUESTION, "context": {"ip": 1}, "evaluations": [{}] * 9}
    found = ask(POINT, question, EVALUATIONS).json["evaluations"]
    assert {each["context"]["error"]["message"] for each in found} == {
        "`context.ip` must be a string"
    }
    assert read == ["_around"]


def test_several_have_so_much_time_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is late is denied, and says that nobody said no."""
    times = iter([0.0, 1.0, app.MAX_SECONDS, app.MAX_SECONDS + 1])
    monkeypatch.setattr(app, "monotonic", lambda: next(times))
    found = ask(POINT, {**QUESTION, "evaluations": [{}] * 3}, EVALUATIONS).json["evaluations"]
    late = {
        "decision": False,
        "context": {
            "reason": "timeout",
            "error": {"status": 503, "message": "it could not be decided"},
        },
    }
    assert found == [{"decision": True}, late, late]


def test_a_reload_is_seen_by_the_next_question(tmp_path: Any) -> None:
    file = tmp_path / "authz.json"
    file.write_text(json.dumps({"issuers": [issuer()], **POLICY}))
    authz = Authz.from_file(file, clock=lambda: NOW)
    point = DecisionPoint(authz, tokens=None)
    assert ask(point, QUESTION).json["decision"] is True
    file.write_text(json.dumps({"issuers": [issuer()], "routes": {"GET /open": "public"}}))
    authz.reload()
    assert ask(point, QUESTION).json["decision"] is False


# Nothing strays

texts = st.text(max_size=8) | st.sampled_from(["route", "user", "anonymous", "/open", "GET", "WS"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
properties = st.dictionaries(
    st.sampled_from(
        ["issuer", "roles", "scopes", "permissions", "claims", "iss", "sub", "exp", "x"]
    ),
    values,
    max_size=4,
)
around = st.dictionaries(
    st.sampled_from(["ip", "scheme", "host", "headers", "query", "time"]), values, max_size=3
)
entities = st.fixed_dictionaries(
    {"type": texts, "id": texts}, optional={"properties": properties | values}
)
questions = st.fixed_dictionaries(
    {"subject": entities, "action": st.fixed_dictionaries({"name": texts}), "resource": entities},
    optional={"context": around | values, "evaluations": st.lists(st.one_of(entities, values))},
)
READING = serve(
    {
        "trusted_proxies": ["10.0.0.7"],
        "hosts": ["api.example.com"],
        "roles": {"viewer": ["user:*"]},
        "permissions": {
            "user:GET": {"when": "action.properties.x && resource.x == subject.claims.x"}
        },
        "routes": {
            "/**": {
                "when": "context.ip != '' && context.host != '' && context.scheme != ''"
                " && context.query.x.size() > 0 && context.headers['x'] != ''"
            }
        },
    }
)


@given(
    st.binary(max_size=64) | (questions | values).map(lambda value: json.dumps(value).encode()),
    st.sampled_from([EVALUATION, EVALUATIONS]),
    st.none() | st.text(max_size=20),
)
def test_whatever_is_sent_is_answered(body: bytes, path: str, id: str | None) -> None:
    found = ask(READING, body, path, HTTP_X_REQUEST_ID=id)
    assert found.status in (200, 400)
    if found.status == 200:
        answers = found.json.get("evaluations", [found.json])
        assert all(isinstance(each["decision"], bool) for each in answers)
        assert all(each["decision"] or each["context"]["reason"] for each in answers)
        assert "internal_error" not in found.body.decode()
