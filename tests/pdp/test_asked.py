"""What a question means: whom its subject is, which request, which permission, of what object."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from authz_middleware import DecisionEvent
from tests.pdp.asking import EVALUATIONS, ISSUER, NOW, Said, ask, issuer, serve

PARTNER = "https://partner.example.net"
POLICY: dict[str, Any] = {
    "issuers": [
        issuer(
            grants=["*"],
            claims={"roles": ["roles", "groups"], "permissions": "permissions"},
        ),
        issuer(issuer=PARTNER, grants=["viewer"], role_map={"ops": "admin", "read": "viewer"}),
    ],
    "trusted_proxies": ["10.0.0.7"],
    "hosts": ["api.example.com"],
    "roles": {
        "viewer": ["article:read"],
        "editor": {"inherits": ["viewer"], "permissions": ["article:write"]},
        "admin": ["*"],
        "suspended": [],
    },
    "permissions": {
        "article:write": {"when": "resource.owner == subject.id && subject.issuer != ''"},
        "article:sell": {"when": 'action.name != "DELETE"'},
        "article:move": {"when": 'resource.params.id != "7"'},
        "article:name": {"when": 'resource.type == "article" && resource.id == "7"'},
        "article:from": {"when": 'context.ip == "192.0.2.1"'},
    },
    "forbid": {
        "suspended": {"roles": ["suspended"]},
        "nobody": {"path": "/closed/**"},
    },
    "routes": {
        "GET /open": "public",
        "GET /me": "authenticated",
        "GET /articles/<int:id>": ["viewer"],
        "PUT /articles/<int:id>": {"permissions": ["article:read"], "scopes": ["write"]},
        "GET /t/<tenant>": {"when": "resource.params.tenant == subject.claims.tenant"},
        "GET /from": {"when": 'context.ip == "192.0.2.1"'},
        "GET /https": {"when": 'context.scheme == "https" && context.host == "api.example.com"'},
        "GET /fields": {"when": 'context.headers["x-plan"] == "gold, red"'},
        "GET /key": {"when": 'context.headers["x-key"] == "1"'},
        "GET /query": {"when": '"b c" in context.query.a'},
        "GET /fresh": {"max_age": 300},
        "GET /strong": {"acr": ["mfa", "otp"]},
        "GET /night": {"when": "context.time.getFullYear() < 2000"},
        "GET /loaded": {"load": "thing"},
        "WS /feed": ["viewer"],
        "GET /any/<name>": "authenticated",
        "GET /any/secret": ["admin"],
        "GET /closed/x": "public",
    },
}


SECRET = "s3cr3t"


def broken(params: Any) -> Any:
    raise RuntimeError(SECRET)


POINT = serve(POLICY, loaders={"thing": broken})


def subject(kind: str = "user", id: str = "ann", **properties: Any) -> dict[str, Any]:
    return {"type": kind, "id": id, "properties": {"issuer": ISSUER} | properties}


def route(path: str, method: str = "GET", who: Any = None, **context: Any) -> dict[str, Any]:
    return {
        "subject": subject() if who is None else who,
        "action": {"name": method},
        "resource": {"type": "route", "id": path},
        "context": context,
    }


def about(action: str, who: Any = None, kind: str = "article", **more: Any) -> dict[str, Any]:
    return {
        "subject": subject() if who is None else who,
        "action": {"name": action},
        "resource": {"type": kind, "id": "7", "properties": more},
    }


VIEWER, EDITOR, ADMIN = (subject(roles=[role]) for role in ("viewer", "editor", "admin"))
SUSPENDED = subject(roles=["viewer", "suspended"])
NOBODY = {"type": "anonymous", "id": "-"}

ANSWERS = {
    # Routes.
    "public": (route("/open", who=NOBODY), "in"),
    "nobody known": (route("/me", who=NOBODY), "no_credentials"),
    "known": (route("/me"), "in"),
    "role": (route("/articles/7", who=VIEWER), "in"),
    "inherited": (route("/articles/7", who=EDITOR), "in"),
    "no role": (route("/articles/7"), "role_missing"),
    "trailing slash": (route("/articles/7/", who=VIEWER), "in"),
    "no scope": (route("/articles/7", "PUT", VIEWER), "scope_missing"),
    "scope": (route("/articles/7", "PUT", subject(roles=["viewer"], scopes=["write"])), "in"),
    "HEAD": (route("/articles/7", "HEAD", VIEWER), "in"),
    "method in small letters": (route("/articles/7", "get", VIEWER), "in"),
    "no such method": (route("/articles/7", "DELETE", ADMIN), "method_not_listed"),
    "no method at all": (route("/articles/7", "GET /", VIEWER), "method_ambiguous"),
    "no rule": (route("/elsewhere", who=ADMIN), "no_rule"),
    "forbidden": (route("/closed/x", who=NOBODY), "forbidden"),
    "forbidden to this one": (
        route("/me", who=subject(roles=["suspended"])),
        "forbidden_to_caller",
    ),
    "handshake": (route("/feed", "WS", VIEWER), "in"),
    "a request named WS": (route("/feed", "ws", VIEWER), "method_ambiguous"),
    "another letter case": (route("/Articles/7", who=ADMIN), "no_rule"),
    "public in another case": (route("/OPEN", who=NOBODY), "no_credentials"),
    # The app is not known: it may take the one for the other.
    "protected in another case": (route("/any/SECRET", who=VIEWER), "role_missing"),
    "dot segments": (route("/open/../me"), "path_ambiguous"),
    "two slashes": (route("//open", who=NOBODY), "path_ambiguous"),
    "an escape": (route("/o%70en", who=NOBODY), "path_ambiguous"),
    "an escaped slash": (route("/articles%2f7", who=VIEWER), "path_ambiguous"),
    "a query": (route("/open?x", who=NOBODY), "path_ambiguous"),
    "a fragment": (route("/open#x", who=NOBODY), "path_ambiguous"),
    "a parameter": (route("/open;x=1", who=NOBODY), "path_ambiguous"),
    "a line break": (route("/open\n", who=NOBODY), "path_ambiguous"),
    "a URL": (route("https://api.example.com/open", who=NOBODY), "path_ambiguous"),
    "no slash": (route("open", who=NOBODY), "path_ambiguous"),
    "a fullwidth slash": (route("/closed\uff0fx", who=NOBODY), "path_ambiguous"),
    "a template": (route("/t/{tenant}", who=ADMIN), "path_ambiguous"),
    "our template": (route("/articles/<int:id>", who=ADMIN), "path_ambiguous"),
    "tenant": (route("/t/acme", who=subject(tenant="acme")), "in"),
    "another tenant": (route("/t/evil", who=subject(tenant="acme")), "condition_not_met"),
    "no tenant": (route("/t/acme"), "condition_error"),
    "step up": (route("/strong", who=subject(acr="pwd")), "acr_not_met"),
    "stepped up": (route("/strong", who=subject(claims={"acr": "otp"})), "in"),
    "fresh": (route("/fresh", who=subject(auth_time=NOW - 10)), "in"),
    "stale": (route("/fresh", who=subject(auth_time=NOW - 1000)), "authentication_too_old"),
    "a loader that fails": (route("/loaded"), "resource_unavailable"),
    # Around it.
    "address": (route("/from", ip="192.0.2.1"), "in"),
    "another address": (route("/from", ip="192.0.2.2"), "condition_not_met"),
    "no address": (route("/from"), "condition_error"),
    "what is no address": (route("/from", ip="192.0.2.1, 10.0.0.7"), "condition_error"),
    "by a proxy": (
        route("/from", ip="10.0.0.7", headers={"X-Forwarded-For": "192.0.2.1"}),
        "in",
    ),
    "by nobody's proxy": (
        route("/from", ip="10.0.0.8", headers={"X-Forwarded-For": "192.0.2.1"}),
        "condition_not_met",
    ),
    "scheme and host": (
        route("/https", ip="192.0.2.1", scheme="https", host="api.example.com:443"),
        "in",
    ),
    "host in a field": (
        route("/https", ip="192.0.2.1", scheme="https", headers={"Host": "api.example.com"}),
        "in",
    ),
    "scheme of nobody": (
        route("/https", scheme="https", host="api.example.com"),
        "condition_error",
    ),
    "fields": (route("/fields", headers={"X-Plan": ["gold", "red"]}), "in"),
    "field": (route("/fields", headers={"x-plan": "gold, red", "Cookie": "s=1"}), "in"),
    "a field by its name": (route("/key", headers={"X-Key": "1", ":path": "/", "a_b": ""}), "in"),
    "a field nearly by its name": (route("/key", headers={"X-\u212aey": "1"}), "condition_error"),
    "query": (route("/query", query={"a": ["x", "b c"]}), "in"),
    "query as text": (route("/query", query="a=x&a=b%20c"), "in"),
    "no query": (route("/query", query={}), "condition_error"),
    "their clock": (route("/night", time="1999-12-31T23:59:59Z"), "condition_not_met"),
    # Nearly our word for a path is no other object, whatever the caller may do to all objects.
    **{
        f"type {kind!r}": ({**about("GET", ADMIN, kind), "context": {}}, "path_ambiguous")
        for kind in ("Route", "ROUTE", " route", "route ", "ro ute", "\uff52oute", "route\n")
    },
    # Permissions.
    "permission": (about("read", VIEWER), "in"),
    "none": (about("read"), "permission_missing"),
    "by a pattern": (about("burn", ADMIN), "in"),
    "for nobody": (about("read", NOBODY), "no_credentials"),
    "own": (about("write", EDITOR, owner="ann"), "in"),
    "somebody else's": (about("write", EDITOR, owner="bob"), "condition_not_met"),
    "nobody's": (about("write", EDITOR), "condition_error"),
    "own, without the permission": (about("write", VIEWER, owner="ann"), "permission_missing"),
    "id and type": (about("name", ADMIN), "in"),
    "a pattern is no permission": (about("*", ADMIN), "permission_missing"),
    "all": (about("*", ADMIN, "*"), "permission_missing"),
    "two names in one": (about("b:write", ADMIN, "a"), "in"),
    "the method is not known": (about("sell", ADMIN), "condition_error"),
    "nor the path": (about("move", ADMIN, params={"id": "8"}), "condition_error"),
    "the address may be": ({**about("from", ADMIN), "context": {"ip": "192.0.2.1"}}, "in"),
    "forbidden everywhere": (
        about("read", SUSPENDED),
        "forbidden_to_caller",
    ),
    # Subjects.
    "another type of caller": (route("/me", who=subject("identity")), "in"),
    **{
        f"subject {kind!r}": (route("/me", who=subject(kind)), "invalid_token")
        for kind in ("service", "User", "user ", "Anonymous", "admin")
    },
    "no issuer of several": (route("/me", who={"type": "user", "id": "ann"}), "invalid_token"),
    "unknown issuer": (route("/me", who=subject(issuer="https://evil")), "invalid_token"),
    "nearly the issuer": (route("/me", who=subject(issuer=ISSUER + "/")), "invalid_token"),
    "issuer as a claim": (route("/me", who={**subject(), "properties": {"iss": ISSUER}}), "in"),
    "unknown role": (route("/articles/7", who=subject(roles=["Viewer", "*"])), "role_missing"),
    "roles in a claim": (route("/articles/7", who=subject(groups=["viewer"])), "in"),
    "roles in claims": (route("/articles/7", who=subject(claims={"roles": ["viewer"]})), "in"),
    "granted": (route("/articles/7", who=subject(issuer=PARTNER, roles=["viewer"])), "in"),
    "mapped": (
        route("/articles/7", who=subject(issuer=PARTNER, claims={"roles": ["read"]})),
        "in",
    ),
    "not granted": (about("burn", subject(issuer=PARTNER, roles=["admin"])), "permission_missing"),
    "mapped, but not granted": (
        about("burn", subject(issuer=PARTNER, claims={"roles": ["ops"]})),
        "permission_missing",
    ),
    "permission of a token": (about("read", subject(permissions=["article:read"])), "in"),
    "permission as a pattern": (
        about("read", subject(permissions=["article:*", "*"])),
        "permission_missing",
    ),
    "permission that its tokens have not": (
        about("read", subject(issuer=PARTNER, permissions=["article:read"])),
        "permission_missing",
    ),
    "scope in a claim": (
        route("/articles/7", "PUT", subject(roles=["viewer"], scope="read write")),
        "in",
    ),
    "expired": (route("/me", who=subject(claims={"exp": NOW - 31})), "invalid_token"),
    "within the leeway": (route("/me", who=subject(claims={"exp": NOW - 29})), "in"),
    "not yet": (route("/me", who=subject(claims={"nbf": NOW + 60})), "invalid_token"),
    "no time": (route("/me", who=subject(claims={"exp": "soon"})), "invalid_token"),
    "for another audience": (route("/me", who=subject(claims={"aud": "theirs"})), "in"),
    "anonymous with roles": (
        route("/articles/7", who={**NOBODY, "properties": {"roles": ["admin"]}}),
        "no_credentials",
    ),
}


@pytest.mark.parametrize(("asked", "reason"), ANSWERS.values(), ids=ANSWERS)
def test_the_answer(asked: Any, reason: str) -> None:
    assert ask(POINT, asked).reason == reason


MALFORMED = {
    "roles as text": (subject(roles="viewer"), "`subject.properties.roles` must be an array of"),
    "roles with a number": (subject(roles=["viewer", 1]), "must be an array of strings"),
    "scopes as text": (subject(scopes="a b"), "`subject.properties.scopes` must be an array of"),
    "permissions as null": (subject(permissions=None), "`subject.properties.permissions` must"),
    "claims as a list": (subject(claims=[]), "`subject.properties.claims` must be an object"),
    "issuer as a list": (subject(issuer=[ISSUER]), "must be strings"),
    "iss as a number": (subject(claims={"iss": 1}), "must be strings"),
    "two issuers": (subject(claims={"iss": PARTNER}), "the claim `iss` are not the same"),
    "two subjects": (subject(claims={"sub": "bob"}), "the claim `sub` are not the same"),
    "two subjects outside": (subject(sub="bob"), "the claim `sub` are not the same"),
    "a claim twice": (subject(tenant="a", claims={"tenant": "b"}), "a claim stands in"),
}


@pytest.mark.parametrize(("who", "said"), MALFORMED.values(), ids=MALFORMED)
def test_a_subject_that_is_none(who: Any, said: str) -> None:
    """For each kind of question, alone and as one of several."""
    for asked in (route("/open", who=who), about("read", who)):
        found = ask(POINT, asked)
        assert (found.status, said in found.body.decode()) == (400, True)
        several = ask(POINT, {"evaluations": [asked, route("/open")]}, EVALUATIONS).json
        first, second = several["evaluations"]
        assert first["decision"] is False
        assert first["context"]["error"] == {"status": 400, "message": found.body.decode()}
        assert second == {"decision": True}


@pytest.mark.parametrize(
    ("context", "said"),
    [
        ({"ip": 1}, "`context.ip` must be a string"),
        ({"ip": None}, "`context.ip` must be a string"),
        ({"scheme": ["https"]}, "`context.scheme` must be a string"),
        ({"headers": []}, "`context.headers` must be an object"),
        ({"headers": {"a": 1}}, "`context.headers` must be an array of strings"),
        ({"headers": {"a": "1", "A": "2"}}, "stands there twice, in other letter case"),
        ({"host": "a", "headers": {"Host": "b"}}, "the field `host` are not the same"),
        ({"query": ["a"]}, "`context.query` must be an object"),
        ({"query": {"a": [1]}}, "`context.query` must be an array of strings"),
    ],
    ids=str,
)
def test_a_context_that_is_none(context: dict[str, Any], said: str) -> None:
    """Whether a condition reads it or not."""
    for asked in (route("/open"), about("read")):
        found = ask(POINT, {**asked, "context": context})
        assert (found.status, said in found.body.decode()) == (400, True)


def test_an_object_with_another_name_inside() -> None:
    for name in ("id", "type"):
        found = ask(POINT, about("read", VIEWER, **{name: "other"}))
        assert (found.status, f"`resource.properties.{name}`" in found.body.decode()) == (400, True)
    assert ask(POINT, about("read", VIEWER, type="article", id="7")).reason == "in"


@pytest.mark.parametrize(
    ("template", "path", "answered"),
    [
        ("/articles/{id}", "/articles/7", "in"),
        ("/articles/{id}", "/articles/7/", "in"),
        ("/articles/{id}/", "/articles/7", "in"),
        ("/articles/{id}", "/articles/x", "no_rule"),
        ("/{a}/{b}", "/articles/7", "in"),
        ("/articles/7{rest}", "/articles/7", "in"),
        ("/articles/7", "/articles/7", "in"),
        ("/articles/7/{rest}", "/articles/7", "in"),
        ("/{rest}", "/", "no_rule"),
        ("/articles/7/x{rest}", "/articles/7", 400),
        ("/articles/{id}", "/articles/{id}", "path_ambiguous"),
        ("/articles/{id}", "/articles/../me", "path_ambiguous"),
        ("/articles/{id}", "/me", 400),
        ("/articles/{id}/x", "/articles/7", 400),
        ("/articles/{a}/{b}/x", "/articles/7/x", 400),
        ("/articles/8", "/articles/7", 400),
        ("/articles/<int:id>", "/articles/7", 400),
        ("/articles/{id}", 7, 400),
        ("/articles/{id}", "/articles/" + "7" * 8192, 400),
        ("/{a}" * 3000, "/articles/7" * 1000, 400),
    ],
)
def test_a_path_beside_the_template_of_its_route(
    template: str, path: Any, answered: str | int
) -> None:
    """As those ask who know the route that was taken; our own middleware does."""
    asked = route(template, who=VIEWER)
    asked["resource"]["properties"] = {"path": path, "params": {"id": "8"}}
    found = ask(POINT, asked)
    assert answered == (found.status if found.status != 200 else found.reason)


def test_one_issuer_need_not_be_named() -> None:
    point = serve({"routes": {"GET /me": "authenticated"}})
    assert ask(point, route("/me", who={"type": "user", "id": "ann"})).reason == "in"
    assert ask(point, route("/me", who=subject(issuer=PARTNER))).reason == "invalid_token"


def test_the_id_of_a_subject_is_where_the_issuer_has_it() -> None:
    claims = {"roles": "roles", "subject": "oid"}
    point = serve(
        {
            "issuers": [issuer(claims=claims)],
            "routes": {"GET /me": {"when": "subject.id == 'o1' && subject.claims.sub == 'pair'"}},
        }
    )
    assert ask(point, route("/me", who=subject(id="o1", claims={"sub": "pair"}))).reason == "in"
    other = subject(id="o1", claims={"sub": "pair", "oid": "o2"})
    assert b"the claim `oid`" in ask(point, route("/me", who=other)).body


def test_types_of_subjects_are_ours_to_name() -> None:
    point = serve({"routes": {"GET /me": "authenticated"}}, subject_types=["service"])
    assert ask(point, route("/me", who=subject("service"))).reason == "in"
    assert ask(point, route("/me")).reason == "invalid_token"


# What is told, to whom


def context_of(asked: Any) -> dict[str, Any]:
    found: dict[str, Any] = ask(POINT, asked).json["context"]
    assert len(found.pop("id")) == 36
    return found


def test_what_a_denial_tells() -> None:
    assert context_of(route("/articles/7")) == {"reason": "role_missing", "missing": ["viewer"]}
    assert context_of(about("read")) == {
        "reason": "permission_missing",
        "missing": ["article:read"],
    }
    assert context_of(route("/strong", who=subject(acr="pwd"))) == {
        "reason": "acr_not_met",
        "missing": ["mfa", "otp"],
        "acr_values": "mfa otp",
    }
    stale = context_of(route("/fresh", who=subject(auth_time=1)))
    assert stale == {"reason": "authentication_too_old", "max_age": 300}
    # Not what a condition asks.
    assert context_of(route("/t/x", who=subject(tenant="a"))) == {"reason": "condition_not_met"}


def test_a_denial_that_is_none_says_so() -> None:
    """A "no" that nobody said would let in where somebody asks for the opposite."""

    def error(status: int, **more: Any) -> dict[str, Any]:
        return {**more, "error": {"status": status, "message": "it could not be decided"}}

    assert context_of(route("/t/acme")) == error(500, reason="condition_error")
    assert context_of(route("/loaded")) == error(503, reason="resource_unavailable")
    assert context_of(route("//")) == error(400, reason="path_ambiguous")
    assert context_of(route("/me", "ws")) == error(400, reason="method_ambiguous")
    unknown = error(400, reason="invalid_token", detail="unknown_issuer")
    assert context_of(route("/me", who=subject(issuer="https://s3cr3t"))) == unknown


class Listener:
    def __init__(self) -> None:
        self.events: list[DecisionEvent] = []

    def observe(self, event: DecisionEvent) -> None:
        self.events.append(event)


def told(point: Any, listener: Listener, asked: Any) -> tuple[Said, DecisionEvent]:
    listener.events.clear()
    said = ask(point, asked)
    (event,) = listener.events
    return said, event


def test_each_decision_is_observed_once(caplog: pytest.LogCaptureFixture) -> None:
    """By the id that the answer has, and never a claim."""
    caplog.set_level(logging.DEBUG, "authz_middleware")
    listener = Listener()
    point = serve(POLICY, observers=[listener], loaders={"thing": broken})
    who = subject(roles=["viewer", "unknown"], scopes=["s"], email="s3cr3t")
    said, event = told(point, listener, route("/t/acme", who=who))
    assert event.id == said.json["context"]["id"]
    assert (event.kind, event.method, event.path, event.asked) == ("http", "GET", "/t/acme", "")
    assert (event.subject, event.issuer, [*event.roles]) == ("ann", ISSUER, ["viewer"])
    assert event.scopes == {"s"}
    said, event = told(point, listener, route("/feed", "WS", VIEWER))
    assert (event.kind, event.decision.allowed, event.id) == ("websocket", True, "")
    said, event = told(point, listener, about("burn", who))
    assert event.id == said.json["context"]["id"]
    assert (event.method, event.path, event.asked) == ("", None, "article:burn")
    said, event = told(point, listener, about("burn", subject("robot", id="r2")))
    assert (event.id, event.subject) == (said.json["context"]["id"], None)
    assert event.decision.detail == "unknown_subject_type"
    said, event = told(point, listener, about("read", NOBODY))
    assert (event.id, event.decision.reason) == (said.json["context"]["id"], "no_credentials")
    assert caplog.text.count("id=") == 5
    assert "s3cr3t" not in caplog.text + repr(listener.events)


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        ("a:b", "c", "`resource.type` has a colon"),
        (":", "c", "`resource.type` has a colon"),
        ("a\nINFO allowed", "x", "must be printable"),
        ("a", "x\u2028INFO allowed", "must be printable"),
        ("a", "\x1b[2J", "must be printable"),
        ("a", "x\x00", "must be printable"),
        # All but `write` on an `article` would be granted by a pattern, without its condition.
        ("article", "Write", "is nearly a permission"),
        ("article", " write", "is nearly a permission"),
        ("ARTICLE", "write", "is nearly a permission"),
        ("article", "\uff57rite", "is nearly a permission"),
    ],
)
def test_a_permission_that_no_policy_could_name(kind: str, name: str, said: str) -> None:
    """No denial: to somebody who asks for the opposite it would be a yes."""
    found = ask(POINT, about(name, ADMIN, kind))
    assert (found.status, said in found.body.decode()) == (400, True)


def test_what_is_asked_forges_nothing_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """A permission that the policy does not name is the asker's text, and no rule."""
    caplog.set_level(logging.DEBUG, "authz_middleware")
    listener = Listener()
    point = serve(POLICY, observers=[listener], loaders={"thing": broken})
    callers = (VIEWER, ADMIN, NOBODY, subject("x\ny"), subject(id="a\nb"), subject(issuer="c\nd"))
    for who in callers:
        _, event = told(point, listener, about("x (permissions) subject='root'", who, "a"))
        assert event.decision.rule is None
        (record,) = caplog.records
        assert record.getMessage().isprintable()
        assert " rule=None subject=" in record.getMessage()
        caplog.clear()


def test_a_permission_that_the_policy_names_is_a_rule() -> None:
    listener = Listener()
    point = serve(POLICY, observers=[listener], loaders={"thing": broken})
    _, event = told(point, listener, about("write", EDITOR, owner="bob"))
    assert str(event.decision.rule) == "article:write (permissions)"


def test_what_fails_is_denied_and_told(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = serve(POLICY, loaders={"thing": broken})
    serving = point._authz.serving

    def fail(*args: Any) -> Any:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(serving, "answer", fail)
    monkeypatch.setattr(serving, "answer_about", fail)
    for asked in (route("/open"), about("read")):
        assert ask(point, asked).json == {
            "decision": False,
            "context": {
                "reason": "internal_error",
                "error": {"status": 500, "message": "it could not be decided"},
            },
        }
    assert caplog.text.count("a decision point failed: RuntimeError") == 2
    assert SECRET not in caplog.text


def test_a_defect_outside_of_a_question_is_an_error_without_words(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("authz_middleware.pdp.app.Questions", broken_questions)
    found = ask(POINT, route("/open"))
    assert (found.status, found.body) == (500, b"it could not be answered")
    assert "a decision point failed: RuntimeError" in caplog.text
    assert SECRET not in caplog.text


def broken_questions(*args: Any) -> Any:
    raise RuntimeError(SECRET)


def test_a_loader_is_asked_with_the_parameters() -> None:
    asked: list[Any] = []

    def load(params: Any) -> dict[str, Any]:
        asked.append(params)
        return {"owner": "ann"}

    rule = {"load": "thing", "when": "resource.owner == subject.id && subject.issuer != ''"}
    point = serve({"routes": {"GET /things/<int:id>": rule}}, loaders={"thing": load})
    # What is told of the object is not what the loader finds.
    question = route("/things/7")
    question["resource"]["properties"] = {"owner": "bob"}
    assert ask(point, question).reason == "in"
    question["subject"]["id"] = "bob"
    assert ask(point, question).reason == "condition_not_met"
    assert asked == [{"id": 7}, {"id": 7}]
