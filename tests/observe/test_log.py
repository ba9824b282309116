from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware import Authz
from authz_middleware.effects import Admit
from authz_middleware.facts import Decision, RuleRef
from authz_middleware.observe import DecisionEvent
from authz_middleware.observe.log import LOGGER, LogObserver
from tests.runtime.asking import ask, ask_async, policy, request, table
from tests.runtime.provider import JWKS, Clock, Provider
from tests.tokens.minting import NOW, b64, jwk, mint, private_key

RULE = RuleRef("GET /me", "authz.toml:9:1")
LET_IN = Decision(True, "allowed", RULE)
REFUSED = Decision(False, "role_missing", RULE, missing=("viewer", "editor"))


def event(decision: Decision, **members: Any) -> DecisionEvent:
    given = {
        "id": "" if decision.allowed else "1b4e28ba",
        "at": NOW,
        "kind": "http",
        "method": "GET",
        "path": "/me",
        "subject": "ann",
        "issuer": "https://login.example.com",
    }
    return DecisionEvent(decision=decision, **(given | members))


@contextmanager
def listening() -> Iterator[list[logging.LogRecord]]:
    """Collect what is logged at any level."""
    records: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    handler, level = Keep(), LOGGER.level
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.DEBUG)
    try:
        yield records
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(level)


@pytest.fixture
def lines() -> Iterator[list[logging.LogRecord]]:
    with listening() as records:
        yield records


LEVELS = [
    (LET_IN, logging.DEBUG),
    (REFUSED, logging.INFO),
    (Decision(False, "no_credentials"), logging.INFO),
    (Decision(False, "invalid_token"), logging.INFO),
    (Decision(False, "keys_unavailable"), logging.ERROR),
    (Decision(False, "keys_unavailable", detail="unknown_key"), logging.INFO),
    (Decision(False, "introspection_unavailable", detail="unreachable"), logging.ERROR),
    (Decision(False, "introspection_unavailable", detail="busy"), logging.INFO),
    (Decision(False, "policy_not_loaded"), logging.ERROR),
]


@pytest.mark.parametrize(("decision", "level"), LEVELS, ids=lambda value: str(value)[:50])
def test_levels(lines: list[logging.LogRecord], decision: Decision, level: int) -> None:
    LogObserver().observe(event(decision))
    (record,) = lines
    assert (record.name, record.levelno) == ("authz_middleware", level)


def test_a_level_that_nobody_wants_costs_nothing(caplog) -> None:
    caplog.set_level(logging.WARNING, LOGGER.name)
    LogObserver().observe(event(LET_IN))
    LogObserver().observe(event(REFUSED))
    assert caplog.records == []
    LogObserver().observe(event(Decision(False, "keys_unavailable")))
    assert len(caplog.records) == 1


LINES = [
    pytest.param(
        event(LET_IN),
        "allowed 'GET' '/me': allowed rule=GET /me (authz.toml:9:1) subject='ann'"
        " issuer='https://login.example.com' asked='' id=",
        id="let in",
    ),
    pytest.param(
        event(REFUSED),
        "refused 'GET' '/me': role_missing missing=['viewer', 'editor']"
        " rule=GET /me (authz.toml:9:1) subject='ann' issuer='https://login.example.com'"
        " asked='' id=1b4e28ba",
        id="refused",
    ),
    pytest.param(
        event(
            Decision(False, "invalid_token", None, detail="expired"),
            path=None,
            subject=None,
            issuer=None,
            asked="user:write",
        ),
        "refused 'GET' None: invalid_token (expired) rule=None subject=None issuer=None"
        " asked='user:write' id=1b4e28ba",
        id="with a detail",
    ),
]


@pytest.mark.parametrize(("seen", "line"), LINES)
def test_the_line(lines: list[logging.LogRecord], seen: DecisionEvent, line: str) -> None:
    LogObserver().observe(seen)
    assert lines[0].getMessage() == line


@given(*[st.text()] * 5)
def test_a_line_is_one_line_of_plain_text(
    method: str, path: str, subject: str, issuer: str, asked: str
) -> None:
    decision = Decision(False, "permission_missing", RULE, missing=(asked,))
    seen = event(decision, method=method, path=path, subject=subject, issuer=issuer, asked=asked)
    with listening() as records:
        LogObserver().observe(seen)
    (record,) = records
    assert record.getMessage().isascii()
    assert record.getMessage().isprintable()


FORGERIES = [
    "/me\nrefused 'GET' '/admin': allowed",
    "/me\r\nallowed",
    "/me\x1b[2J",
    "/me\u2028allowed",
    "/me\x00",
    "/me\u202eallowed",
    "/me' '/x': allowed rule=",
]


@pytest.mark.parametrize("path", FORGERIES, ids=ascii)
def test_a_path_cannot_write_a_line(lines: list[logging.LogRecord], path: str) -> None:
    authz = Authz.from_mapping(policy(), clock=Clock(NOW))
    facts, authorization = request(path, mint())
    outcome = authz.serving.outcome(facts, authorization)
    assert not isinstance(outcome, Admit)
    authz.serving.refused(facts, outcome, None)
    (record,) = lines
    assert record.getMessage().isprintable()
    assert record.getMessage().startswith(f"refused 'GET' {path!a}: ")
    if not path.isprintable():
        assert outcome.decision.reason == "path_ambiguous"


@pytest.mark.parametrize("text", ["ann\nallowed", "ann' issuer='x", "\x1b]0;x\x07"], ids=ascii)
def test_a_claim_cannot_write_a_line(lines: list[logging.LogRecord], text: str) -> None:
    authz = Authz.from_mapping(policy(), clock=Clock(NOW))
    facts, authorization = request("/closed", mint(sub=text))
    outcome = authz.serving.outcome(facts, authorization)
    assert not isinstance(outcome, Admit)
    authz.serving.refused(facts, outcome, None)
    (record,) = lines
    assert record.getMessage().isprintable()


def test_the_level_may_be_changed_later(lines: list[logging.LogRecord]) -> None:
    authz = Authz.from_mapping(policy(), clock=Clock(NOW))
    facts, authorization = request("/health")
    outcome = authz.serving.outcome(facts, authorization)
    assert isinstance(outcome, Admit)
    found = []
    for level in (logging.INFO, logging.DEBUG, logging.INFO):
        LOGGER.setLevel(level)
        authz.serving.admitted(facts, outcome, None)
        found.append(len(lines))
    assert found == [0, 1, 1]


# No token text, anywhere


def session(clock: Clock) -> dict[str, str]:
    """Tokens of every fate, and what else people send."""
    good = mint({"kid": "a"}, roles=["viewer"])
    header, payload, signature = good.split(".")
    unsigned = b64(b'{"alg":"none","typ":"at+jwt"}')
    changed = b64(b'{"sub":"root","iss":"https://login.example.com"}')
    page, text = b64(b"what is this header"), b64(b"and this payload")
    return {
        "good": good,
        "editor": mint({"kid": "a"}, roles=["editor"]),
        "without roles": mint({"kid": "a"}),
        "expired": mint({"kid": "a"}, exp=clock.now - 1000),
        "not yet": mint({"kid": "a"}, nbf=clock.now + 1000),
        "other audience": mint({"kid": "a"}, aud="others-than-we"),
        "other issuer": mint({"kid": "a"}, iss="https://evil.example"),
        "issuer is a list": mint({"kid": "a"}, iss=["https://evil.example"]),
        "other key": mint({"kid": "a"}, algorithm="RS256", key=private_key("RS256")),
        "unknown kid": mint({"kid": "unknown-key-identifier"}),
        "odd kid": mint({"kid": "../../dev/null"}),
        "none": f"{unsigned}.{payload}.",
        "crit": mint({"kid": "a", "crit": ["exp"]}),
        "cnf": mint({"kid": "a"}, cnf={"jkt": "thumbprint-of-a-proof-key"}),
        "type": mint({"kid": "a", "typ": "JWT"}),
        "changed": f"{header}.{changed}.{signature}",
        "cut": good[:-20],
        "padded": f"{good}==",
        "two segments": f"{header}.{payload}",
        "five segments": f"{header}.{payload}.{signature}.{payload}.{signature}",
        "not JSON": f"{page}.{text}.{signature}",
        "opaque": "2YotnFZFEjr1zCsicMWpAA-opaque",
    }


def test_no_token_text_is_logged_or_told(provider: Provider, clock: Clock, caplog) -> None:
    """B20, G04, RFC 9700 §4.9.3: not even at the lowest level, not even by the libraries we use."""
    caplog.set_level(logging.DEBUG)
    events: list[DecisionEvent] = []

    class Recorder:
        def observe(self, event: DecisionEvent) -> None:
            events.append(event)

    class Failing:
        def observe(self, event: DecisionEvent) -> None:
            raise ValueError(event)

    issuer = table(jwks_uri=f"{provider.origin}{JWKS}")
    authz = Authz.from_mapping(policy(issuer), clock=clock, observers=[Recorder(), Failing()])
    tokens = session(clock)
    seen: list[str] = []
    for round_ in ("down", "up", "cached"):
        if round_ == "up":
            provider.publish(jwk("ES256", kid="a"), jwk("RS256", kid="b"))
            clock.now += 5
        for token in tokens.values():
            presented = [token.encode(), b'"' + token.encode() + b'"', token.encode() + b", x"]
            for credentials in presented:
                for path in ("/health", "/me", "/articles", "/closed", "/none", "/a//b"):
                    asked = request(path, credentials)
                    outcome, facts = (ask_async if path == "/me" else ask)(authz, asked), asked[0]
                    if isinstance(outcome, Admit):
                        access = authz.serving.admitted(facts, outcome, None)
                        access.allows("article:write")
                        try:
                            access.require("article:write")
                        except Exception as denied:  # noqa: BLE001 - its text is looked at, too
                            seen += [repr(denied), str(denied)]
                        seen.append(repr(access.decision))
                    else:
                        answer = authz.serving.refused(facts, outcome, None)
                        seen += [repr(answer), repr(outcome)]
    fates = {event.decision.reason for event in events}
    assert fates >= {"allowed", "invalid_token", "keys_unavailable", "role_missing", "no_rule"}
    assert fates >= {"malformed_authorization", "path_ambiguous", "permission_missing"}
    seen += [caplog.text, *map(repr, events)]
    everything = "\n".join(seen)
    assert "an observer failed" in everything
    for token in tokens.values():
        for segment in token.split("."):
            if segment:
                assert segment not in everything
                assert segment[:24] not in everything
    for private in ("unknown-key-identifier", "../../dev/null", "evil.example", "others-than-we"):
        assert private not in everything
    assert "thumbprint-of-a-proof-key" not in everything


def test_threads_do_not_mix_lines(lines: list[logging.LogRecord]) -> None:
    authz = Authz.from_mapping(policy(), clock=Clock(NOW))

    def work(number: int) -> None:
        facts, authorization = request("/closed", mint(sub=f"user{number}"), method="GET")
        outcome = authz.serving.outcome(facts, authorization)
        assert not isinstance(outcome, Admit)
        authz.serving.refused(facts, outcome, None)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(40)))
    named = sorted(record.getMessage().split("subject='")[1].split("'")[0] for record in lines)
    assert named == sorted(f"user{number}" for number in range(40))
