"""`pdp` through both adapters, with a decision point on loopback."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from authz_middleware import Authz
from authz_middleware.effects import Routed
from authz_middleware.testing import FrozenClock
from tests.adapters.exchange import WORLDS, ask
from tests.runtime.decider import EVALUATION, EVALUATIONS, Decider, deciding
from tests.runtime.provider import answer, raw

TOKEN = "our-credentials-at-the-decision-point"
JSON = "application/json"

ROUTES: dict[str, Any] = {
    "GET /orders/<int:id>": {"pdp": "orders"},
    "PUT /orders/<int:id>": {"roles": ["editor"], "pdp": "orders"},
    "DELETE /orders/<int:id>": {"any": [["admin"], {"pdp": "orders"}]},
    "POST /orders/<int:id>": {"not": {"pdp": "orders"}},
    "GET /strict/<int:id>": {"pdp": "strict"},
    "POST /strict/<int:id>": {"not": {"pdp": "strict"}},
    "GET /late/<int:id>": {"pdp": "orders", "load": "order", "when": "resource.open"},
    "GET /both/<int:id>": {"all": [{"pdp": "orders"}, {"pdp": "strict"}]},
    "GET /either/<int:id>": {"any": [{"pdp": "orders"}, {"pdp": "strict"}]},
    "GET /files/<path:rest>": {"pdp": "orders"},
    "GET /feed/<name>": {"pdp": "orders"},
    "WS /feed/<name>": {"pdp": "orders"},
    "GET /free": "authenticated",
}


@pytest.fixture
def decider() -> Iterator[Decider]:
    with deciding() as decider:
        yield decider


def pdps(decider: Decider, **keys: Any) -> dict[str, Any]:
    return {
        "orders": {"url": decider.url, "timeout": 30, **keys},
        "strict": {"url": f"{decider.url}/", "timeout": 30, "on_failure": "deny"},
    }


@pytest.fixture
def authz(policy, clock, decider) -> Authz:
    return made(policy, clock, decider)


def made(policy, clock, decider, **keys: Any) -> Authz:
    return Authz.from_mapping(
        {**policy, "routes": ROUTES, "pdp": pdps(decider, **keys)},
        clock=clock,
        loaders={"order": lambda params: {"open": params["id"] != 3}},
    )


def bearer(issuer, subject="ann", *roles, **claims):
    return [("Authorization", f"Bearer {issuer.mint(subject, roles=list(roles), **claims)}")]


YES, NO, GARBAGE = True, False, "true"

CASES: dict[str, tuple[str, str, tuple[str, ...], Any, int, str, int]] = {
    "yes": ("GET", "/orders/1", (), YES, 200, "allowed", 1),
    "HEAD is GET": ("HEAD", "/orders/1", (), YES, 200, "allowed", 1),
    "no": ("GET", "/orders/1", (), NO, 403, "pdp_denied", 1),
    "garbage": ("GET", "/orders/1", (), GARBAGE, 503, "pdp_unavailable", 1),
    "a role is missing": ("PUT", "/orders/1", (), YES, 403, "role_missing", 0),
    "a role and a yes": ("PUT", "/orders/1", ("editor",), YES, 200, "allowed", 1),
    "a role and a no": ("PUT", "/orders/1", ("editor",), NO, 403, "pdp_denied", 1),
    "a role is enough": ("DELETE", "/orders/1", ("admin",), GARBAGE, 200, "allowed", 0),
    "a yes is enough": ("DELETE", "/orders/1", (), YES, 200, "allowed", 1),
    "neither": ("DELETE", "/orders/1", (), NO, 403, "pdp_denied", 1),
    "503 if it matters": ("DELETE", "/orders/1", (), GARBAGE, 503, "pdp_unavailable", 1),
    "not a yes": ("POST", "/orders/1", (), YES, 403, "excluded", 1),
    "not a no": ("POST", "/orders/1", (), NO, 200, "allowed", 1),
    "not an error": ("POST", "/orders/1", (), GARBAGE, 503, "pdp_unavailable", 1),
    "403 if the policy says so": ("GET", "/strict/1", (), GARBAGE, 403, "pdp_failed", 1),
    "... and under a not": ("POST", "/strict/1", (), GARBAGE, 403, "pdp_failed", 1),
    "... and not for a yes": ("GET", "/strict/1", (), YES, 200, "allowed", 1),
    "behind an object": ("GET", "/late/1", (), YES, 200, "allowed", 1),
    "not if its condition fails": ("GET", "/late/3", (), YES, 403, "condition_not_met", 0),
    "two of them": ("GET", "/both/1", (), YES, 200, "allowed", 2),
    "one is enough": ("GET", "/either/1", (), YES, 200, "allowed", 1),
    "the other one is asked": ("GET", "/either/1", (), NO, 403, "pdp_denied", 2),
    "both fail": ("GET", "/both/1", (), NO, 403, "pdp_denied", 1),
}


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_decision_point_is_asked_only_while_it_matters(
    world, case, authz, issuer, decider, caplog
):
    method, path, roles, says, status, reason, times = case
    decider.otherwise = says
    with caplog.at_level(logging.DEBUG, "authz_middleware"):
        sent = ask(world, authz, method, path, bearer(issuer, "ann", *roles))
    assert sent.status == status
    assert sent.called is (status == 200)
    assert decider.paths == [path] * times
    assert f": {reason}" in caplog.text
    assert (sent.header("retry-after") is not None) is (status == 503)
    assert b"pdp" not in sent.body
    assert ("insufficient_scope" in str(sent.header("www-authenticate"))) is (status == 403)


@pytest.mark.parametrize("world", WORLDS)
def test_nobody_is_asked_about_a_caller_who_is_not_known(world, authz, decider):
    assert ask(world, authz, "GET", "/orders/1").status == 401
    bad = [("Authorization", "Bearer x.y.z")]
    assert ask(world, authz, "GET", "/orders/1", bad).status == 401
    assert decider.asked == []


@pytest.mark.parametrize("world", WORLDS)
def test_what_is_sent(world, policy, clock, issuer, decider, monkeypatch):
    """Z01, Z02, Z07."""
    monkeypatch.setenv("PDP_TOKEN", TOKEN)
    authz = made(policy, clock, decider, token_env="PDP_TOKEN")
    headers = bearer(issuer, "ann", "editor", scope="pay read")
    assert ask(world, authz, "GET", "/orders/007", headers).status == 200
    assert decider.provider.asked == [EVALUATION]
    assert decider.asked == [
        {
            "subject": {
                "type": "identity",
                "id": "ann",
                "properties": {
                    "issuer": "https://login.example.com",
                    "roles": ["editor", "viewer"],
                    "permissions": ["article:read", "article:write"],
                    "scopes": ["pay", "read"],
                },
            },
            "action": {"name": "GET"},
            "resource": {
                "type": "route",
                "id": "/orders/{id}",
                "properties": {"path": "/orders/7", "params": {"id": "7"}},
            },
            "context": {"time": "2027-01-15T08:00:00Z"},
        }
    ]
    fields = decider.provider.headers[0]
    assert fields["content-type"] == JSON
    assert fields["authorization"] == f"Bearer {TOKEN}"
    assert len(fields["x-request-id"]) == 36
    assert headers[0][1].split()[1] not in f"{fields}{decider.provider.bodies}"


@pytest.mark.parametrize("world", WORLDS)
def test_the_clients_address_is_told_if_the_policy_says_whom_to_believe(
    world, policy, clock, issuer, decider
):
    authz = made({**policy, "trusted_proxies": ["127.0.0.1"]}, clock, decider)
    headers = [*bearer(issuer), ("X-Forwarded-For", "198.51.100.7, 203.0.113.9")]
    there = {"REMOTE_ADDR": "127.0.0.1"} if world == "wsgi" else {"client": ("127.0.0.1", 1)}
    assert ask(world, authz, "GET", "/orders/1", headers, **there).status == 200
    assert decider.asked[0]["context"]["ip"] == "203.0.113.9"


def test_what_an_upgrade_may_become_is_asked_in_one_request(authz, issuer, decider):
    """Z08. A request that some WSGI apps take for a handshake must be allowed as both."""
    headers = [
        *bearer(issuer),
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Key", "x"),
        ("Sec-WebSocket-Version", "13"),
    ]
    assert ask("wsgi", authz, "GET", "/feed/a", headers).status == 200
    assert decider.provider.asked == [EVALUATIONS]
    body = decider.asked[0]
    assert [each["action"]["name"] for each in body["evaluations"]] == ["GET", "WS"]
    assert body["options"] == {"evaluations_semantic": "execute_all"}
    assert {*body} == {"subject", "context", "evaluations", "options"}
    decider.becomes(
        answer({"evaluations": [{"decision": True}, {"decision": False}]}, content_type=JSON)
    )
    assert ask("wsgi", authz, "GET", "/feed/a", headers).status == 403


@pytest.mark.parametrize(("says", "status"), [(True, 101), (False, 403), ("x", 503)])
def test_a_handshake_is_a_question(says, status, authz, issuer, decider):
    decider.otherwise = says
    assert ask("asgi", authz, "WS", "/feed/a", bearer(issuer)).status == status
    (body,) = decider.asked
    assert (body["action"], body["resource"]["id"]) == ({"name": "WS"}, "/feed/{name}")


READINGS = {
    "what is left of a path": ("/files/a/b", ["/files/a/b"]),
    "nothing is left": ("/files", ["/files"]),
    "a slash at the end": ("/files/a/", ["/files/a"]),
    "other letters": ("/files/%C3%9F".replace("%C3%9F", "ß"), ["/files/ß"]),
    "composed or not": ("/files/e\u0301", ["/files/e\u0301", "/files/\u00e9"]),
}


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize(("path", "asked"), READINGS.values(), ids=READINGS)
def test_every_reading_of_the_path_needs_a_yes(world, path, asked, authz, issuer, decider):
    """Somebody may compose the letters of a path before the app routes on it."""
    assert ask(world, authz, "GET", path, bearer(issuer)).status == 200
    assert decider.paths == asked
    assert len(decider.asked) == 1
    decider.says[asked[-1]] = False
    assert ask(world, authz, "GET", path, bearer(issuer)).status == 403


# The second look


def look(method: str, path: str) -> Any:
    return lambda access: access.look_again(Routed("taken", "http", method, path))


@pytest.mark.parametrize("world", WORLDS)
def test_what_was_said_is_not_asked_again_between_router_and_handler(world, authz, issuer, decider):
    during = look("GET", "/orders/1")
    assert ask(world, authz, "GET", "/orders/1", bearer(issuer), during=during).status == 200
    assert decider.paths == ["/orders/1"]


@pytest.mark.parametrize("says", [True, False])
@pytest.mark.parametrize("world", WORLDS)
def test_where_the_app_has_led_it_is_asked_anew(world, says, authz, issuer, decider, caplog):
    decider.says["/orders/2"] = says
    during = look("GET", "/orders/2")
    sent = ask(world, authz, "GET", "/orders/1", bearer(issuer), during=during)
    if world == "asgi":  # nobody can wait there
        assert sent.status == 503
        assert decider.paths == ["/orders/1"]
        assert "the route that was taken asks 'orders'" in caplog.text
    else:
        assert sent.status == (200 if says else 403)
        assert decider.paths == ["/orders/1", "/orders/2"]


@pytest.mark.parametrize("world", WORLDS)
def test_another_method_is_another_question(world, authz, issuer, decider):
    during = look("PUT", "/orders/1")
    sent = ask(world, authz, "GET", "/orders/1", bearer(issuer, "ann", "editor"), during=during)
    assert sent.status == (503 if world == "asgi" else 200)


@pytest.mark.parametrize("world", WORLDS)
def test_a_token_that_expires_meanwhile_lets_nobody_in(world, policy, issuer, decider):
    clock = FrozenClock(1_800_000_000.0)

    def slow(handler: Any) -> None:
        clock.advance(331)  # `exp` and the leeway
        answer({"decision": True}, content_type=JSON)(handler)

    decider.becomes(slow)
    authz = made(policy, clock, decider)
    sent = ask(world, authz, "GET", "/orders/1", bearer(issuer, lifetime=300))
    assert (sent.status, sent.called) == (401, False)


@pytest.mark.parametrize("world", WORLDS)
def test_the_log_says_who_said_no_and_who_said_nothing(world, authz, issuer, decider, caplog):
    decider.otherwise = False
    with caplog.at_level(logging.INFO, "authz_middleware"):
        ask(world, authz, "GET", "/orders/1", bearer(issuer))
        decider.becomes(raw())
        ask(world, authz, "GET", "/orders/1", bearer(issuer))
    assert "needs a yes of the decision point `orders`; has no'" in caplog.text
    assert "(unreachable)" in caplog.text
    assert "the decision point 'orders' gave no decision: http://127.0.0.1" in caplog.text


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("status", [401, 403])
def test_that_it_does_not_take_us_is_not_the_callers_fault(
    world, status, authz, issuer, decider, caplog
):
    """Z06."""
    decider.becomes(
        answer({"decision": True}, status, www_authenticate="Bearer", content_type=JSON)
    )
    sent = ask(world, authz, "GET", "/orders/1", bearer(issuer))
    assert (sent.status, sent.called) == (503, False)
    assert sent.header("www-authenticate") is None
    assert "it does not take us" in caplog.text
    assert "(refused_us)" in caplog.text


@pytest.mark.parametrize("world", WORLDS)
def test_while_it_fails_nobody_waits_for_it(world, policy, issuer, decider, caplog):
    clock = FrozenClock(1_800_000_000.0)
    authz = made(policy, clock, decider, breaker={"failures": 2, "pause": 30})
    decider.becomes(answer(status=503))
    for _ in range(4):
        assert ask(world, authz, "GET", "/orders/1", bearer(issuer)).status == 503
    assert len(decider.provider.asked) == 2
    assert "(paused)" in caplog.text
    assert ask(world, authz, "GET", "/free", bearer(issuer)).status == 200
    clock.advance(30)
    decider.becomes(answer({"decision": True}, content_type=JSON))
    assert ask(world, authz, "GET", "/orders/1", bearer(issuer)).status == 200


@pytest.mark.parametrize("world", WORLDS)
def test_a_reload_asks_again(world, policy, clock, issuer, decider, tmp_path):
    file = tmp_path / "authz.json"
    pdp = {"orders": {"url": decider.url, "timeout": 30, "breaker": {"failures": 1}}}
    file.write_text(json.dumps({**policy, "pdp": pdp, "routes": {"/a": {"pdp": "orders"}}}))
    authz = Authz.from_file(file, clock=clock)
    decider.becomes(answer(status=503))
    for _ in range(2):
        assert ask(world, authz, "GET", "/a", bearer(issuer)).status == 503
    decider.becomes(answer({"decision": True}, content_type=JSON))
    assert ask(world, authz, "GET", "/a", bearer(issuer)).status == 503
    authz.reload()
    assert ask(world, authz, "GET", "/a", bearer(issuer)).status == 200


@pytest.mark.parametrize("world", WORLDS)
def test_a_handler_may_learn_what_was_said(world, authz, issuer, decider):
    explained: list[str] = []
    sent = ask(
        world,
        authz,
        "DELETE",
        "/orders/1",
        bearer(issuer),
        during=lambda access: explained.append(access.explain().explanation),
    )
    assert sent.status == 200
    assert "met: a yes of the decision point `orders`; has yes" in explained[0]
    assert decider.paths == ["/orders/1"]


# On trial: a policy that asks decision points is asked for real, behind the request.

TRIALS = {
    "yes": (True, "same"),
    "no": (False, "allow_to_deny"),
    "no decision": ("true", "errors"),
}


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("on_failure", ["unavailable", "deny"])
@pytest.mark.parametrize(("says", "counted"), TRIALS.values(), ids=TRIALS)
def test_a_rule_on_trial_asks_behind_the_request(
    world, says, counted, on_failure, policy, clock, issuer, decider
):
    routes = {"GET /a": {"roles": ["viewer"], "all": [{"mode": "shadow", "pdp": "orders"}]}}
    pdp = {"orders": {"url": decider.url, "timeout": 30, "on_failure": on_failure}}
    authz = Authz.from_mapping({**policy, "pdp": pdp, "routes": routes}, clock=clock)
    decider.otherwise = says
    assert ask(world, authz, "GET", "/a", bearer(issuer, "ann", "viewer")).status == 200
    (counts,) = authz.trials(30)
    assert getattr(counts, counted) == 1
    assert decider.paths == ["/a"]


@pytest.mark.parametrize("world", WORLDS)
def test_a_candidate_asks_behind_the_request(world, policy, clock, issuer, decider, tmp_path):
    pdp = {"orders": {"url": decider.url, "timeout": 30}}
    (tmp_path / "next.json").write_text(
        json.dumps({**policy, "pdp": pdp, "routes": {"GET /a": {"pdp": "orders"}}})
    )
    file = tmp_path / "authz.json"
    file.write_text(
        json.dumps({**policy, "candidate": "next.json", "routes": {"GET /a": "authenticated"}})
    )
    authz = Authz.from_file(file, clock=clock)
    decider.otherwise = False
    assert ask(world, authz, "GET", "/a", bearer(issuer)).status == 200
    assert ask(world, authz, "GET", "/a").status == 401
    (counts,) = authz.trials(30)
    assert (counts.allow_to_deny, counts.same) == (1, 1)
    assert decider.paths == ["/a"]


@pytest.mark.parametrize("world", WORLDS)
def test_a_trial_that_fails_stops_nobody_from_asking(world, policy, clock, issuer, decider):
    """Its breaker is its own."""
    pdp = {"orders": {"url": decider.url, "timeout": 30, "breaker": {"failures": 1}}}
    routes = {
        "GET /a": {"roles": ["viewer"], "all": [{"mode": "shadow", "pdp": "orders"}]},
        "GET /b": {"pdp": "orders"},
    }
    authz = Authz.from_mapping({**policy, "pdp": pdp, "routes": routes}, clock=clock)
    decider.becomes(answer(status=503))
    assert ask(world, authz, "GET", "/a", bearer(issuer, "ann", "viewer")).status == 200
    (counts,) = authz.trials(30)
    assert counts.errors == 1
    decider.becomes(answer({"decision": True}, content_type=JSON))
    assert ask(world, authz, "GET", "/b", bearer(issuer)).status == 200
