"""A decision point says of a request what the middleware itself does with it, and why."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware import Authz, DecisionEvent, PolicyError
from authz_middleware.pdp import DecisionPoint
from tests.adapters.exchange import WORLDS, ask, at_once
from tests.differential import reference
from tests.differential.test_policy import (
    ASKED,
    ISSUERS,
    callers,
    document,
    forbids,
    reject_nonsense,
    roles,
    routes,
    spelled,
)
from tests.pdp import asking
from tests.tokens.minting import mint

TRUSTED = [
    asking.issuer(
        issuer=name, grants=["*"], claims={"roles": "roles", "permissions": "permissions"}
    )
    for name in ISSUERS
]
ODD = (
    "/a//b",
    "/a/../b",
    "/a/.",
    "/a;b",
    "/a%2fb",
    "/%61",
    "/a\\b",
    "/a?b",
    "/a#b",
    "/a ",
    "/a\x00",
    "/a/",
    "//",
    "/\uff41",
    "/\uff0fa",
    "/%",
    "/\u0661",
)
paths = spelled.map(lambda segments: "/" + "/".join(segments)) | st.sampled_from(ODD)


def asking_nobody(requirement: Any) -> Any:
    """What is left of a drawn requirement without decision points elsewhere; None if nothing is."""
    if not isinstance(requirement, dict):
        return requirement
    left = {
        key: [part for part in map(asking_nobody, value) if part is not None]
        if key in ("any", "all")
        else asking_nobody(value)
        for key, value in requirement.items()
        if key != "pdp"
    }
    return {key: value for key, value in left.items() if value not in (None, [])} or None


class Listener:
    def __init__(self) -> None:
        self.events: list[DecisionEvent] = []

    def observe(self, event: DecisionEvent) -> None:
        self.events.append(event)

    def last(self) -> tuple[Any, ...]:
        """What was decided, of whom and of what: all but the id."""
        (event,) = self.events
        self.events.clear()
        decision = event.decision
        why = (decision.allowed, decision.reason, decision.rule, decision.missing)
        brought = (event.roles, event.permissions, event.scopes)
        return (*why, event.kind, event.method, event.path, event.subject, event.issuer, *brought)


def claims_of(caller: dict[str, Any]) -> dict[str, Any]:
    return {
        "iss": caller["issuer"],
        "roles": caller["roles"],
        "permissions": caller["permissions"],
        "scope": " ".join(caller["scopes"]),
        **caller["claims"],
    }


def subject(caller: dict[str, Any] | None, *, by_claims: bool) -> dict[str, Any]:
    """The caller as its token has it, or in our words."""
    if caller is None:
        return {"type": "anonymous", "id": "-"}
    if by_claims:
        properties = {"claims": claims_of(caller)}
    else:
        names = ("issuer", "roles", "permissions", "scopes")
        properties = {name: caller[name] for name in names} | caller["claims"]
    return {"type": "user", "id": "ann", "properties": properties}


@pytest.mark.parametrize("world", WORLDS)
@given(
    routes=routes,
    roles=roles(),
    forbids=forbids,
    method=st.sampled_from((*ASKED, "OPTIONS", "get", "X")),
    path=paths,
    caller=st.none() | callers,
    by_claims=st.booleans(),
)
def test_a_request_is_decided_as_the_middleware_decides_it(
    world, routes, roles, forbids, method, path, caller, by_claims
) -> None:
    if world == "wsgi" and method == "WS":
        method = "GET"
    listener = Listener()
    kept = {key: asking_nobody(rule) for key, rule in routes.items()}
    routes = {key: rule for key, rule in kept.items() if rule is not None}
    policy = {"issuers": TRUSTED, **document(routes, roles, forbids)}
    try:
        authz = Authz.from_mapping(policy, observers=[listener], clock=lambda: reference.NOW)
    except PolicyError as error:
        reject_nonsense(error.problems)
    headers = []
    if caller is not None:
        token = mint(aud="orders", exp=reference.NOW + 60, **claims_of(caller))
        headers.append(("Authorization", f"Bearer {token}"))
    sent = ask(world, authz, method, path, headers, run=at_once)
    decided = listener.last()
    question = {
        "subject": subject(caller, by_claims=by_claims),
        "action": {"name": method},
        "resource": {"type": "route", "id": path},
    }
    found = asking.ask(DecisionPoint(authz, tokens=None), question).json
    assert found["decision"] is sent.called
    told = listener.last()
    assert told[:7] == decided[:7]
    # The middleware does not ask who it is where nobody is let in; a decision point was told.
    assert decided[7] is None or told == decided


READING = Authz.from_mapping(
    {
        "issuers": [asking.issuer()],
        "trusted_proxies": ["10.0.0.7", "fd00::/8"],
        "hosts": ["api.example.com"],
        "routes": {
            "GET /ip": {"when": 'context.ip == "192.0.2.1"'},
            "GET /scheme": {"when": 'context.scheme == "https"'},
            "GET /host": {"when": 'context.host == "api.example.com"'},
            "GET /field": {"when": 'context.headers["x-plan"] == "gold"'},
            "GET /fields": {"when": 'context.headers.exists(name, name == "authorization")'},
            "GET /query": {"when": '"b c" in context.query.a'},
        },
    },
    clock=lambda: asking.NOW,
)
FIELDS: dict[str, st.SearchStrategy[str]] = {
    "X-Forwarded-For": st.sampled_from(("192.0.2.1", "192.0.2.1, 10.0.0.7", "x", "")),
    "X-Forwarded-Proto": st.sampled_from(("https", "http", "https, http")),
    "X-Forwarded-Host": st.sampled_from(("api.example.com", "evil.example")),
    "Forwarded": st.sampled_from(("for=192.0.2.1;proto=https;host=api.example.com", "for=_x", "x")),
    "Host": st.sampled_from(("api.example.com:8443", "API.example.com", "evil.example")),
    "X-Plan": st.sampled_from(("gold", "Gold", "gold, gold", "")),
}


@pytest.mark.parametrize("world", WORLDS)
@given(
    path=st.sampled_from(("/ip", "/scheme", "/host", "/field", "/fields", "/query")),
    peer=st.sampled_from(("192.0.2.1", "10.0.0.7", "::ffff:192.0.2.1", "fd00::1", "unix")),
    scheme=st.sampled_from(("http", "https")),
    fields=st.fixed_dictionaries({}, optional=FIELDS),
    query=st.sampled_from(("", "a=b%20c", "a=x&a=b+c", "a=%ff", "b=1", "a")),
)
def test_what_is_around_a_request_is_read_alike(
    world: str, path: str, peer: str, scheme: str, fields: dict[str, str], query: str
) -> None:
    token = mint(aud="orders", exp=asking.NOW + 60)
    headers = [("Authorization", f"Bearer {token}"), *fields.items()]
    extra: dict[str, Any]
    if world == "wsgi":
        extra = {"REMOTE_ADDR": peer, "QUERY_STRING": query, "wsgi.url_scheme": scheme}
    else:
        extra = {"client": (peer, 1), "query_string": query.encode(), "scheme": scheme}
    sent = ask(world, READING, "GET", path, headers, run=at_once, **extra)
    context = {"ip": peer, "scheme": scheme, "headers": dict(headers), "query": query}
    question = {
        "subject": {"type": "user", "id": "ann"},
        "action": {"name": "GET"},
        "resource": {"type": "route", "id": path},
        "context": context,
    }
    found = asking.ask(DecisionPoint(READING, tokens=None), question).json
    assert found["decision"] is sent.called
