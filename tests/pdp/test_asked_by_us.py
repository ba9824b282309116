"""The middleware asks a decision point of ours over loopback, and does as its policy says."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from authz_middleware import Authz
from authz_middleware.pdp import DecisionPoint, server
from authz_middleware.testing import DevelopmentIssuer, FrozenClock
from tests.adapters.exchange import WORLDS, ask
from tests.runtime.decider import deciding
from tests.runtime.provider import answer

TOKEN = "Xk9vQ2mT7rLpW4sZbN8cYdH3fJ6gUaE1"
CLOCK = FrozenClock(1_800_000_000.0)
ISSUER = DevelopmentIssuer("https://login.example.com", "orders-api", clock=CLOCK)
ROLES = {"viewer": ["order:read"], "clerk": {"inherits": ["viewer"]}, "admin": []}

DECIDES: dict[str, Any] = {
    "issuers": [ISSUER.policy_issuer()],
    "roles": ROLES,
    "trusted_proxies": [],
    "routes": {
        "GET /orders/<int:id>": {"permissions": ["order:read"], "when": "resource.params.id < 10"},
        "PUT /orders/<int:id>": {"roles": ["clerk"], "scopes": ["write"]},
        "DELETE /orders/<int:id>": {"roles": ["admin"], "when": "context.ip == '192.0.2.1'"},
        "GET /files/<path:rest>": {"roles": ["viewer"]},
        "GET /files/secret": ["admin"],
        "GET|WS /feed/<name>": {"when": "resource.params.name == subject.id"},
        "GET /broken/<id>": {"when": "subject.claims.level > 1"},
    },
}
"""What the decision point decides by."""

KEYS = [key for key in DECIDES["routes"] if key != "GET /files/secret"]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    point = DecisionPoint(Authz.from_mapping(DECIDES, clock=CLOCK), tokens=[TOKEN])
    with server.serving(lambda _: point, "127.0.0.1", 0) as port:
        yield f"http://127.0.0.1:{port}"


def asking(url: str, requirement: Any = None, **keys: Any) -> Authz:
    """A policy of which every rule asks."""
    return Authz.from_mapping(
        {
            "issuers": [ISSUER.policy_issuer()],
            "roles": ROLES,
            "trusted_proxies": [],
            "pdp": {"ours": {"url": url, "token_env": "PDP_TOKEN", "timeout": 30, **keys}},
            "routes": dict.fromkeys(KEYS, requirement or {"pdp": "ours"}),
        },
        clock=CLOCK,
    )


@pytest.fixture
def authz(url: str, monkeypatch: pytest.MonkeyPatch) -> Authz:
    monkeypatch.setenv("PDP_TOKEN", TOKEN)
    return asking(url)


def bearer(*roles: str, **claims: Any) -> list[tuple[str, str]]:
    token = ISSUER.mint("ann", roles=list(roles), **claims)
    return [("Authorization", f"Bearer {token}")]


CALLERS = {
    "no roles": bearer(),
    "a viewer": bearer("viewer"),
    "a clerk who may write": bearer("clerk", scope="write"),
    "an admin": bearer("admin"),
    "an unknown role": bearer("other"),
}
REQUESTS = (
    ("GET", "/orders/7"),
    ("HEAD", "/orders/007"),
    ("GET", "/orders/70"),
    ("PUT", "/orders/7"),
    ("DELETE", "/orders/7"),
    ("GET", "/files/a/b"),
    ("GET", "/files/secret"),
    ("GET", "/files/e\u0301"),
    ("GET", "/files"),
    ("GET", "/feed/ann"),
    ("GET", "/feed/bob"),
)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("caller", CALLERS.values(), ids=CALLERS)
def test_who_is_let_in_is_whom_its_policy_lets_in(world, caller, authz) -> None:
    itself = Authz.from_mapping(DECIDES, clock=CLOCK)
    for (method, path), address in product(REQUESTS, ("192.0.2.1", "192.0.2.9")):
        there = {"REMOTE_ADDR": address} if world == "wsgi" else {"client": (address, 1)}
        asked = ask(world, authz, method, path, caller, **there)
        direct = ask(world, itself, method, path, caller, **there)
        assert asked.called is direct.called, (method, path, address)
        assert asked.status == (200 if direct.called else 403), (method, path, address)


def test_a_handshake_over_http_is_asked_about_as_both(authz) -> None:
    upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Key", "x")]
    for path, status in (("/feed/ann", 200), ("/feed/bob", 403)):
        assert ask("wsgi", authz, "GET", path, [*bearer(), *upgrade]).status == status


@pytest.mark.parametrize("world", WORLDS)
def test_what_it_cannot_decide_is_no_no(world, url, monkeypatch) -> None:
    """Its condition asks for a claim that it was not told."""
    monkeypatch.setenv("PDP_TOKEN", TOKEN)
    for requirement in ({"pdp": "ours"}, {"not": {"pdp": "ours"}}):
        authz = asking(url, requirement)
        assert ask(world, authz, "GET", "/broken/1", bearer("viewer")).status == 503
        authz = asking(url, requirement, on_failure="deny")
        assert ask(world, authz, "GET", "/broken/1", bearer("viewer")).status == 403


@pytest.mark.parametrize("world", WORLDS)
def test_without_its_secret_nobody_is_let_in(world, url, monkeypatch, caplog) -> None:
    monkeypatch.setenv("PDP_TOKEN", TOKEN[::-1])
    sent = ask(world, asking(url), "GET", "/orders/7", bearer("viewer"))
    assert (sent.status, sent.header("www-authenticate")) == (503, None)
    assert "(refused_us)" in caplog.text
    assert TOKEN[::-1] not in caplog.text


CHAINED = {
    "yes": ({"decision": True}, 200),
    "no": ({"decision": False}, 403),
    "no decision": ({"decision": "true"}, 503),
}


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize(("says", "status"), CHAINED.values(), ids=CHAINED)
def test_a_decision_point_of_ours_may_ask_another(world, says, status, monkeypatch) -> None:
    """What that one does not decide, this one does not either."""
    monkeypatch.setenv("PDP_TOKEN", TOKEN)
    with deciding() as decider:
        decider.becomes(answer(says, content_type="application/json"))
        between = {**DECIDES, "pdp": {"far": {"url": decider.url, "timeout": 30}}}
        between["routes"] = {"GET /orders/<int:id>": {"pdp": "far"}}
        point = DecisionPoint(Authz.from_mapping(between, clock=CLOCK), tokens=[TOKEN])
        with server.serving(lambda _: point, "127.0.0.1", 0) as port:
            authz = asking(f"http://127.0.0.1:{port}")
            assert ask(world, authz, "GET", "/orders/7", bearer()).status == status
        assert decider.paths == ["/orders/7"]


def test_one_that_asks_itself_lets_nobody_in(monkeypatch) -> None:
    """It ends with the time, or with the threads."""
    monkeypatch.setenv("PDP_TOKEN", TOKEN)
    points: list[DecisionPoint] = []

    def app_at(port: int) -> Any:
        itself = {"url": f"http://127.0.0.1:{port}", "token_env": "PDP_TOKEN", "timeout": 0.5}
        circle = {**DECIDES, "pdp": {"itself": itself}}
        circle["routes"] = {"GET /orders/<int:id>": {"pdp": "itself"}}
        points.append(DecisionPoint(Authz.from_mapping(circle, clock=CLOCK), tokens=[TOKEN]))
        return points[0]

    with server.serving(app_at, "127.0.0.1", 0) as port:
        authz = asking(f"http://127.0.0.1:{port}")
        assert ask("wsgi", authz, "GET", "/orders/7", bearer()).status == 503
