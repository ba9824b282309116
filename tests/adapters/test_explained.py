"""Why a request was let in or refused, as handlers, error handlers and observers are told of it."""

from __future__ import annotations

import dataclasses
import gc
import json
import pickle
from typing import Any

import pytest

from authz_middleware import AccessDenied, Authz, Decision, DecisionEvent
from authz_middleware.testing import FrozenClock
from tests.adapters.exchange import WORLDS, ask

ROUTES = {
    "GET /open": "public",
    "GET /me": "authenticated",
    "GET /off": "deny",
    "GET /articles/<int:id>": {"any": [["editor"], {"scopes": ["read"]}]},
    "GET /loaded/<int:id>": {"load": "article", "when": "resource.owner == subject.id"},
    "GET /hours": {"max_age": 300},
}
WRITE = "the permission `article:write`"
OWNER = "resource.owner == subject.id"
OWN = f"the condition `{OWNER}`"
PERMISSIONS = {"article:write": {"when": OWNER}}
RECENT = "an authentication in the last 300 seconds"


class Listener:
    def __init__(self) -> None:
        self.events: list[DecisionEvent] = []

    def observe(self, event: DecisionEvent) -> None:
        self.events.append(event)


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def authz(policy, clock, listener) -> Authz:
    document = {**policy, "routes": ROUTES, "permissions": PERMISSIONS}
    loaders = {"article": lambda params: {"owner": "ann"}}
    return Authz.from_mapping(document, clock=clock, observers=[listener], loaders=loaders)


# what was asked: (path, roles, scopes, the lines behind the first, without the places)
TOLD: dict[str, tuple[str, list[str], str, str, list[str]]] = {
    "public": ("/open", [], "", "allowed by GET /open", ["public GET /open: met"]),
    "a word": ("/me", [], "", "allowed by GET /me", ["authenticated GET /me: met"]),
    "one way of two": (
        "/articles/1",
        [],
        "read",
        "allowed by GET /articles/<int:id>",
        [
            "table GET /articles/<int:id>: met",
            "  met: (the role `editor` or the scope `read`)",
            "    not met: the role `editor`; has none",
            "    met: the scope `read`; has read",
        ],
    ),
    "neither way": (
        "/articles/1",
        ["viewer"],
        "",
        "refused, scope_missing by GET /articles/<int:id>: needs the scope `read`; has none",
        [
            "table GET /articles/<int:id>: not met",
            "  not met: (the role `editor` or the scope `read`)",
            "    not met: the role `editor`; has viewer",
            "    not met: the scope `read`; has none",
        ],
    ),
    "an object": (
        "/loaded/1",
        [],
        "",
        "allowed by GET /loaded/<int:id>",
        [
            "table GET /loaded/<int:id>: met",
            f"  met: ({OWN} and an object that the loader `article` finds)",
            f"    met: {OWN}",
            "    met: an object that the loader `article` finds; has one",
        ],
    ),
    "a default": (
        "/nowhere",
        ["editor"],
        "",
        "refused, no_rule by default: no rule is for this path",
        ["deny default: not met"],
    ),
    "a denial": (
        "/off",
        [],
        "",
        "refused, denied_by_rule by GET /off: the rule lets nobody in",
        ["deny GET /off: not met"],
    ),
    "nobody knows how long ago": (
        "/hours",
        [],
        "",
        f"refused, authentication_too_old (missing_claim:auth_time) by GET /hours: needs {RECENT}",
        [
            "table GET /hours: error",
            f"  error: {RECENT}",
        ],
    ),
}


def lines(decision: Decision) -> list[str]:
    """The explanation, without the places in the policy, which a mapping has by its keys."""
    text = decision.explanation
    for finding in decision.findings:
        text = text.replace(f" ({finding.ref.where})", "")
    return text.splitlines()


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize(("path", "roles", "scopes", "head", "rules"), TOLD.values(), ids=TOLD)
def test_what_each_rule_found(world, path, roles, scopes, head, rules, authz, issuer, listener):
    token = issuer.mint("ann", roles=roles, scope=scopes)
    headers = [("Authorization", f"Bearer {token}")]
    told: list[Decision] = []
    ask(world, authz, "GET", path, headers, during=lambda access: told.append(access.explain()))
    [event] = listener.events
    told.append(event.explain())
    for decision in told:
        assert lines(decision) == [head, *rules]
        assert decision == event.decision
        assert decision.allowed == all(each.outcome == "met" for each in decision.findings)
    assert len(told) == 1 + event.decision.allowed
    assert token not in json.dumps(dataclasses.asdict(told[0])) + repr(event)


@pytest.mark.parametrize("world", WORLDS)
def test_a_denial_in_a_handler(world, authz, issuer, listener):
    headers = [("Authorization", f"Bearer {issuer.mint('ann', roles=['editor'])}")]
    denials: list[AccessDenied] = []

    def during(access: Any) -> None:
        access.require("article:write", {"owner": "ann"})
        for permission, resource in (("article:write", {"owner": "bob"}), ("user:delete", None)):
            with pytest.raises(AccessDenied) as denied:
                access.require(permission, resource)
            denials.append(denied.value)

    ask(world, authz, "GET", "/me", headers, during=during)
    assert [lines(each.decision)[1:] for each in denials] == [
        [
            "table GET /me: not met",
            f"  not met: ({WRITE} and {OWN} of {WRITE})",
            "    met: the permission `article:write`; has article:read, article:write",
            f"    not met: {OWN} of the permission `article:write`",
        ],
        [
            "table GET /me: not met",
            "  not met: the permission `user:delete`; has article:read, article:write",
        ],
    ]
    assert [event.explain() for event in listener.events[2:]] == [each.decision for each in denials]
    again = pickle.loads(pickle.dumps(denials[0]))
    assert again.decision.findings == denials[0].decision.findings


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize(
    ("path", "authorization", "head"),
    [
        ("/me", None, "refused, no_credentials by GET /me"),
        ("/nowhere", None, "refused, no_credentials by default"),
        ("/me", "Bearer x.y.z", "refused, invalid_token (not_base64url) by GET /me"),
        ("/me//", None, "refused, path_ambiguous"),
    ],
)
def test_where_no_rule_was_asked(world, path, authorization, head, authz, listener):
    headers = [("Authorization", authorization)] if authorization else []
    ask(world, authz, "GET", path, headers)
    [event] = listener.events
    assert event.explain().findings == ()
    assert event.explain().explanation.startswith(head)
    assert "\n" not in event.explain().explanation


@pytest.mark.parametrize("world", WORLDS)
def test_time_goes_by_and_the_finding_stays(world, policy, issuer, clock, listener):
    """The rules are asked about the time of the decision, whenever somebody wants to know."""
    time = FrozenClock(clock())
    routes = {"GET /hours": ROUTES["GET /hours"]}
    authz = Authz.from_mapping({**policy, "routes": routes}, clock=time, observers=[listener])
    minted = issuer.mint("ann", auth_time=int(time()) - 299)
    sent = ask(world, authz, "GET", "/hours", [("Authorization", f"Bearer {minted}")])
    [event] = listener.events
    time.advance(600)
    for decision in (sent.access.explain(), event.explain()):
        assert [each.outcome for each in decision.findings] == ["met"]


@pytest.mark.parametrize("world", WORLDS)
def test_nothing_that_explains_keeps_the_token(world, authz, issuer, listener):
    token = issuer.mint("ann")
    sent = ask(world, authz, "GET", "/me", [("Authorization", f"Bearer {token}")])
    [event] = listener.events
    todo, seen = [sent.access.explain, event.explain, event], set[int]()
    while todo:
        thing: Any = todo.pop()
        if id(thing) in seen or isinstance(thing, type(gc) | type):
            continue
        seen.add(id(thing))
        if isinstance(thing, str | bytes):
            assert token not in (thing if isinstance(thing, str) else thing.decode("latin-1"))
        if not callable(thing) or hasattr(thing, "__self__") or hasattr(thing, "func"):
            todo += gc.get_referents(thing)


def test_a_copy_of_an_event_is_plain(authz, issuer, listener):
    ask("wsgi", authz, "GET", "/me", [("Authorization", f"Bearer {issuer.mint('ann')}")])
    [event] = listener.events
    copy = pickle.loads(pickle.dumps(event))
    assert copy == event
    assert copy.explain().findings == ()
    assert "findings" in dataclasses.asdict(event)["decision"]
