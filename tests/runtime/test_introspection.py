"""Opaque tokens, whole requests: one outcome in both worlds, few questions, honest failures."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier, Condition, Event
from typing import Any
from urllib.parse import parse_qs

import pytest

from authz_middleware import Authz
from authz_middleware.effects import Admit, Refuse
from authz_middleware.facts import KeyReadiness
from authz_middleware.observe.log import LOGGER
from authz_middleware.runtime import drivers
from authz_middleware.runtime.cache import VerifiedTokens
from authz_middleware.runtime.drivers import MAX_WAIT
from authz_middleware.runtime.fetch import FetchFailed, NotTaken, Response
from authz_middleware.runtime.introspection import (
    MAX_AGE,
    MAX_ASKING,
    MAX_REFUSALS,
    MAX_TAKEN,
    REFUSED_FOR,
    Introspector,
)
from authz_middleware.tokens.freshness import RETRY_AFTER
from authz_middleware.tokens.introspection import Introspected, OpaqueToken, Question
from authz_middleware.tokens.introspection_table import DEFAULT_CACHE, Introspection
from tests.runtime.asking import (
    Ask,
    ask,
    ask_async,
    became,
    introspected,
    policy,
    request,
    table,
)
from tests.runtime.provider import INTROSPECT, JWKS, Clock, Provider, answer, gated, said
from tests.tokens.minting import CLAIMS, ISSUER, NOW, b64, issuer, jwk, mint

TOKEN = "2YotnFZFEjr1zCsicMWpAA"
ACTIVE: dict[str, Any] = {"active": True, "aud": "orders", "sub": "ann", "exp": NOW + 3600}
INACTIVE = said(active=False)

both = pytest.mark.parametrize("ask", [ask, ask_async], ids=["sync", "async"])


def made(provider: Provider, clock: Clock, **keys: Any) -> Authz:
    return Authz.from_mapping(policy(introspected(provider, **keys)), clock=clock)


def told(outcome: object) -> tuple[str, str]:
    """Why a request was refused, and the detail for the log."""
    assert isinstance(outcome, Refuse)
    return outcome.decision.reason, outcome.decision.detail


def questions(provider: Provider) -> int:
    return provider.fetched(INTROSPECT)


# The question and its answer


@both
def test_an_active_token_is_let_in_and_asked_about_once(
    provider: Provider, clock: Clock, ask: Ask
) -> None:
    provider.at[INTROSPECT] = said(**ACTIVE, roles=["viewer"])
    authz = made(provider, clock)
    outcome = ask(authz, request(token=TOKEN))
    assert isinstance(outcome, Admit)
    assert outcome.principal is not None
    assert (outcome.principal.subject, outcome.principal.issuer) == ("ann", ISSUER)
    assert outcome.principal.permissions == {"article:read"}  # what its role brings
    assert outcome.valid_until == NOW + 3600 + 30
    assert ask(authz, request(token=TOKEN)) == outcome
    assert questions(provider) == 1


def test_what_is_sent(provider: Provider, clock: Clock) -> None:
    """I01, I02: a form with the token, our credentials in the field, nothing in the URL."""
    provider.at[INTROSPECT] = said(**ACTIVE)
    ask(made(provider, clock), request(token=f"{TOKEN}+/=="))
    (body,), (headers,) = provider.bodies, provider.headers
    assert parse_qs(body.decode()) == {
        "token": [f"{TOKEN}+/=="],
        "token_type_hint": ["access_token"],
    }
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert headers["accept"] == "application/json"
    assert headers["authorization"] == f"Basic {b64encode(b'orders:hush-hush').decode()}"
    assert provider.asked == [INTROSPECT]


OUTCOMES = [
    pytest.param(said(**ACTIVE), "in", "", id="active"),
    pytest.param(INACTIVE, "invalid_token", "inactive", id="I04 inactive"),
    pytest.param(said(**ACTIVE | {"aud": "x"}), "invalid_token", "wrong_audience", id="I06 aud"),
    pytest.param(said(**ACTIVE | {"iss": "x"}), "invalid_token", "wrong_issuer", id="I06 iss"),
    pytest.param(said(**ACTIVE | {"exp": 1}), "invalid_token", "expired", id="I06 exp"),
    pytest.param(said(**ACTIVE | {"nbf": NOW + 99}), "invalid_token", "not_yet_valid", id="I06"),
    pytest.param(
        said(**ACTIVE, cnf={"jkt": "x"}),
        "invalid_token",
        "proof_of_possession_unsupported",
        id="I09",
    ),
    pytest.param(said(active="true"), "unavailable", "unusable_answer", id="I03 no boolean"),
    pytest.param(answer(b"<html>"), "unavailable", "unusable_answer", id="I05 no JSON"),
    pytest.param(
        answer(b'{"active":true}', content_type="application/token-introspection+jwt"),
        "unavailable",
        "unusable_answer",
        id="I12 signed",
    ),
    pytest.param(answer(status=302, location="/x"), "unavailable", "unusable_answer", id="I02 302"),
    pytest.param(answer(status=400), "unavailable", "unusable_answer", id="I05 400"),
    pytest.param(answer(status=401), "unavailable", "unreachable", id="I05 401"),
    pytest.param(answer(status=500), "unavailable", "unusable_answer", id="I05 500"),
    pytest.param(answer(status=503), "unavailable", "unreachable", id="I05 503"),
    pytest.param(answer(b" " * 70_000), "unavailable", "unusable_answer", id="I05 large"),
]


@both
@pytest.mark.parametrize(("behaviour", "reason", "detail"), OUTCOMES)
def test_outcomes(
    provider: Provider, clock: Clock, ask: Ask, behaviour: Any, reason: str, detail: str
) -> None:
    """And a public route that comes after it tells the same, without asking again."""
    provider.at[INTROSPECT] = behaviour
    authz = made(provider, clock)
    outcome = ask(authz, request(token=TOKEN))
    open_ = ask(authz, request("/health", TOKEN))
    assert isinstance(open_, Admit)
    if reason == "in":
        assert isinstance(outcome, Admit)
        assert open_.principal == outcome.principal
    elif reason == "invalid_token":
        assert told(outcome) == (reason, detail)
        assert (open_.credentials, open_.anonymous) == ("invalid", "invalid_token")
    else:
        assert told(outcome) == ("introspection_unavailable", detail)
        assert outcome.credentials == "unavailable"
        assert (open_.credentials, open_.anonymous) == (
            "unavailable",
            "introspection_unavailable",
        )
    assert questions(provider) == 1


@both
def test_a_public_route_asks_nobody(provider: Provider, clock: Clock, ask: Ask) -> None:
    authz = made(provider, clock)
    outcome = ask(authz, request("/health", TOKEN))
    assert isinstance(outcome, Admit)
    assert (outcome.principal, outcome.credentials) == (None, "unavailable")
    assert outcome.anonymous == "introspection_unavailable"
    assert provider.asked == []


def test_nobody_there(clock: Clock) -> None:
    """The discard port."""
    config = {"endpoint": "http://127.0.0.1:9/i", "client_id": "x"}
    config["client_secret_env"] = "INTROSPECTION_SECRET"
    authz = Authz.from_mapping(policy(table(introspection=config)), clock=clock)
    assert told(ask(authz, request(token=TOKEN))) == ("introspection_unavailable", "unreachable")


# How long an answer is believed


def test_a_revoked_token_works_for_no_longer_than_the_cache(
    provider: Provider, clock: Clock
) -> None:
    """I08."""
    provider.at[INTROSPECT] = said(**ACTIVE)
    authz = made(provider, clock)
    assert became(ask(authz, request(token=TOKEN))) == "in"
    provider.at[INTROSPECT] = INACTIVE
    clock.now += DEFAULT_CACHE - 1
    assert became(ask(authz, request(token=TOKEN))) == "in"
    clock.now += 1
    assert told(ask(authz, request(token=TOKEN))) == ("invalid_token", "inactive")
    assert questions(provider) == 2


def test_the_time_counts_from_the_question(provider: Provider, clock: Clock) -> None:
    """I08: an answer that was long on its way was true when it was given, not when it came."""

    def slow(handler: Any) -> None:
        clock.now += 20
        said(**ACTIVE)(handler)

    provider.at[INTROSPECT] = slow
    authz = made(provider, clock)
    assert became(ask(authz, request(token=TOKEN))) == "in"
    clock.now = NOW + DEFAULT_CACHE - 1
    assert became(ask(authz, request(token=TOKEN))) == "in"
    assert questions(provider) == 1
    clock.now += 1
    ask(authz, request(token=TOKEN))
    assert questions(provider) == 2


def test_without_a_cache_each_request_asks(provider: Provider, clock: Clock) -> None:
    """I08: the mode without a cache."""
    provider.at[INTROSPECT] = said(**ACTIVE)
    authz = made(provider, clock, cache=0)
    for count in range(1, 4):
        assert became(ask(authz, request(token=TOKEN))) == "in"
        assert questions(provider) == count
    provider.at[INTROSPECT] = INACTIVE
    for count in range(4, 6):
        assert became(ask(authz, request(token=TOKEN))) == "invalid_token"
        assert questions(provider) == count


def test_no_answer_outlives_the_token(provider: Provider, clock: Clock) -> None:
    """I07: not by the leeway either, within which its issuer has the last word."""
    provider.at[INTROSPECT] = said(**ACTIVE | {"exp": NOW + 10})
    authz = made(provider, clock)
    assert became(ask(authz, request(token=TOKEN))) == "in"
    clock.now += 9
    assert became(ask(authz, request(token=TOKEN))) == "in"
    assert questions(provider) == 1
    clock.now += 1
    for count in (2, 3):
        assert became(ask(authz, request(token=TOKEN))) == "in"  # it says so itself
        assert questions(provider) == count
    provider.at[INTROSPECT] = INACTIVE
    assert became(ask(authz, request(token=TOKEN))) == "invalid_token"


def test_time_claims_are_looked_at_on_each_request(provider: Provider, clock: Clock) -> None:
    provider.at[INTROSPECT] = said(**ACTIVE | {"nbf": NOW - 5})
    authz = Authz.from_mapping(policy(introspected(provider) | {"leeway": 0}), clock=clock)
    assert became(ask(authz, request(token=TOKEN))) == "in"
    clock.now -= 10  # before `nbf`, and before the answer: it is not believed
    provider.at[INTROSPECT] = said(**ACTIVE | {"nbf": NOW - 5})
    assert told(ask(authz, request(token=TOKEN))) == ("invalid_token", "not_yet_valid")


def test_a_clock_that_is_set_back_makes_us_ask_again(provider: Provider, clock: Clock) -> None:
    provider.at[INTROSPECT] = said(**ACTIVE)
    authz = made(provider, clock)
    ask(authz, request(token=TOKEN))
    clock.now -= 1000
    provider.at[INTROSPECT] = INACTIVE
    assert became(ask(authz, request(token=TOKEN))) == "invalid_token"
    assert questions(provider) == 2
    clock.now -= 1000  # nor is a refusal from the future believed, or a failure
    provider.at[INTROSPECT] = answer(status=503)
    assert told(ask(authz, request(token=TOKEN)))[1] == "unreachable"
    clock.now -= 1000
    provider.at[INTROSPECT] = said(**ACTIVE)
    assert became(ask(authz, request(token=TOKEN))) == "in"


def test_an_answer_does_not_come_back_when_a_clock_that_was_set_back_catches_up(
    monkeypatch: pytest.MonkeyPatch, provider: Provider, clock: Clock
) -> None:
    """Nobody sent the token meanwhile, so nobody saw that the answer had become old."""
    passed = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: passed[0])
    provider.at[INTROSPECT] = said(**ACTIVE)
    authz = made(provider, clock)
    assert became(ask(authz, request(token=TOKEN))) == "in"
    clock.now -= 1000
    provider.at[INTROSPECT] = INACTIVE
    clock.now += 1001
    passed[0] = 1001
    assert became(ask(authz, request(token=TOKEN))) == "invalid_token"


def test_a_refusal_is_believed_for_a_moment(provider: Provider, clock: Clock) -> None:
    """I07: for a shorter time than a good answer."""
    assert REFUSED_FOR < DEFAULT_CACHE
    provider.at[INTROSPECT] = INACTIVE
    authz = made(provider, clock)
    for _ in range(3):
        assert became(ask(authz, request(token=TOKEN))) == "invalid_token"
    clock.now += REFUSED_FOR - 1
    assert became(ask(authz, request(token=TOKEN))) == "invalid_token"
    assert questions(provider) == 1
    clock.now += 1
    provider.at[INTROSPECT] = said(**ACTIVE)
    assert became(ask(authz, request(token=TOKEN))) == "in"


# When the issuer does not answer


def test_a_good_answer_that_is_held_serves_while_the_issuer_is_down(
    provider: Provider, clock: Clock
) -> None:
    provider.at[INTROSPECT] = said(**ACTIVE)
    authz = made(provider, clock)
    ask(authz, request(token=TOKEN))
    provider.at[INTROSPECT] = answer(status=503)
    assert told(ask(authz, request(token="another")))[1] == "unreachable"
    clock.now += DEFAULT_CACHE - 1
    assert became(ask(authz, request(token=TOKEN))) == "in"
    clock.now += 1
    assert told(ask(authz, request(token=TOKEN))) == ("introspection_unavailable", "unreachable")


def test_an_issuer_that_fails_is_left_alone_for_a_while(provider: Provider, clock: Clock) -> None:
    """Whatever tokens are sent meanwhile: 503, and no question."""
    provider.at[INTROSPECT] = answer(status=503)
    authz = made(provider, clock)
    assert told(ask(authz, request(token="a")))[1] == "unreachable"
    provider.at[INTROSPECT] = said(**ACTIVE)
    for number in range(20):
        assert told(ask(authz, request(token=f"t{number}")))[1] == "paused"
    clock.now += RETRY_AFTER - 1
    assert told(ask(authz, request(token="a")))[1] == "paused"
    assert questions(provider) == 1
    clock.now += 1
    assert became(ask(authz, request(token="a"))) == "in"
    assert became(ask(authz, request(token="b"))) == "in"


def test_while_it_fails_one_question_tries_it(provider: Provider, clock: Clock) -> None:
    provider.at[INTROSPECT] = answer(status=503)
    authz = made(provider, clock)
    ask(authz, request(token="a"))
    clock.now += RETRY_AFTER
    gate, reached = Event(), Event()
    provider.at[INTROSPECT] = gated(gate, reached, said(**ACTIVE))
    with ThreadPoolExecutor(1) as threads:
        trying = threads.submit(ask, authz, request(token="a"))
        assert reached.wait(30)
        for number in range(20):
            assert told(ask(authz, request(token=f"t{number}")))[1] == "paused"
        assert questions(provider) == 2
        gate.set()
        assert became(trying.result(30)) == "in"
    assert became(ask(authz, request(token="t0"))) == "in"


def test_a_token_that_its_issuer_chokes_on_shuts_out_no_other(
    provider: Provider, clock: Clock
) -> None:
    """Callers choose tokens: what comes of one must not stop the asking about the rest."""
    authz = made(provider, clock)
    for status in (400, 404, 500):
        provider.at[INTROSPECT] = answer(status=status)
        assert told(ask(authz, request(token=f"bad{status}")))[1] == "unusable_answer"
    provider.at[INTROSPECT] = answer(b" " * 70_000, content_type="application/json")
    assert told(ask(authz, request(token="large")))[1] == "unusable_answer"
    assert questions(provider) == 4
    provider.at[INTROSPECT] = said(**ACTIVE)
    assert became(ask(authz, request(token=TOKEN))) == "in"
    # And that one token is asked about again only after a while.
    assert told(ask(authz, request(token="bad500")))[1] == "unusable_answer"
    assert questions(provider) == 5
    clock.now += RETRY_AFTER
    assert became(ask(authz, request(token="bad500"))) == "in"


@both
def test_a_request_waits_no_longer_than_it_may(
    provider: Provider, clock: Clock, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DOT#1827: a request without a time-out hangs with its provider."""
    monkeypatch.setattr(drivers, "MAX_WAIT", 0.05)
    gate, reached = Event(), Event()
    provider.at[INTROSPECT] = gated(gate, reached, said(**ACTIVE))
    authz = made(provider, clock)
    assert told(ask(authz, request(token=TOKEN))) == ("introspection_unavailable", "slow")
    gate.set()
    monkeypatch.setattr(drivers, "MAX_WAIT", 30)
    assert became(ask(authz, request(token=TOKEN))) == "in"  # joins it, or finds what it brought
    assert questions(provider) == 1


# One question for a token


def test_many_threads_ask_once(provider: Provider, clock: Clock) -> None:
    provider.at[INTROSPECT] = said(**ACTIVE)
    authz = made(provider, clock)
    together = Barrier(20)

    def work(_: int) -> str:
        together.wait(30)
        return became(ask(authz, request(token=TOKEN)))

    with ThreadPoolExecutor(20) as threads:
        for count in range(1, 6):
            assert set(threads.map(work, range(20))) == {"in"}
            assert questions(provider) == count
            clock.now += DEFAULT_CACHE


def test_many_tasks_ask_once_and_the_loop_goes_on(provider: Provider, clock: Clock) -> None:
    """W14."""
    gate, reached = Event(), Event()
    provider.at[INTROSPECT] = gated(gate, reached, said(**ACTIVE))
    authz = made(provider, clock)

    async def scenario() -> list[str]:
        tasks = [
            asyncio.create_task(authz.serving.outcome_async(*request(token=TOKEN)))
            for _ in range(20)
        ]
        assert await asyncio.to_thread(reached.wait, 30)
        assert became(await authz.serving.outcome_async(*request("/health"))) == "in"
        gate.set()
        return [became(outcome) for outcome in await asyncio.gather(*tasks)]

    assert set(asyncio.run(scenario())) == {"in"}
    assert questions(provider) == 1


def test_a_client_that_goes_away_takes_no_answer_along(provider: Provider, clock: Clock) -> None:
    gate, reached = Event(), Event()
    provider.at[INTROSPECT] = gated(gate, reached, said(**ACTIVE))
    authz = made(provider, clock)

    async def scenario() -> str:
        leaving = asyncio.create_task(authz.serving.outcome_async(*request(token=TOKEN)))
        assert await asyncio.to_thread(reached.wait, 30)
        staying = asyncio.create_task(authz.serving.outcome_async(*request(token=TOKEN)))
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        gate.set()
        return became(await staying)

    assert asyncio.run(scenario()) == "in"
    assert questions(provider) == 1


def test_two_loops_and_a_thread_share_one_question(provider: Provider, clock: Clock) -> None:
    gate, reached = Event(), Event()
    provider.at[INTROSPECT] = gated(gate, reached, said(**ACTIVE))
    authz = made(provider, clock)
    with ThreadPoolExecutor(3) as threads:
        asking = [threads.submit(each, authz, request(token=TOKEN)) for each in (ask, ask_async)]
        assert reached.wait(30)
        asking.append(threads.submit(ask_async, authz, request(token=TOKEN)))
        gate.set()
        assert {became(each.result(30)) for each in asking} == {"in"}
    assert questions(provider) == 1


# Which issuer


def test_a_jwt_of_an_issuer_that_is_asked(provider: Provider, clock: Clock) -> None:
    """I11: configured as opaque, whatever its tokens look like."""
    provider.at[INTROSPECT] = said(**ACTIVE)
    authz = made(provider, clock)
    for token in (mint(), mint({"typ": "JWT"}), mint(algorithm="HS256")):
        assert became(ask(authz, request(token=token))) == "in"
        assert parse_qs(provider.bodies[-1].decode())["token"] == [token]
    provider.at[INTROSPECT] = INACTIVE
    assert became(ask(authz, request(token=mint(jti="x")))) == "invalid_token"


def test_a_jwt_that_fails_is_not_asked_about(provider: Provider, clock: Clock) -> None:
    """I11: no second opinion, and nobody's token is shown to another."""
    provider.at[INTROSPECT] = said(**ACTIVE)
    other = "https://keys.example.com"
    keys = table(
        issuer=other, jwks={"keys": [jwk("ES256", kid="a")]}, algorithms=["ES256"], grants=["*"]
    )
    opaque = introspected(provider) | {"grants": ["*"]}
    authz = Authz.from_mapping(policy(opaque, keys), clock=clock)
    good = mint(iss=other)
    header, payload, signature = good.split(".")
    details = {
        "expired": mint(iss=other, exp=1),
        "wrong_audience": mint(iss=other, aud="x"),
        "bad_signature": f"{header}.{payload}.{b64(bytes(64))}",
        "type_not_allowed": mint({"typ": "JWT"}, iss=other),
        "unknown_issuer": mint(iss="https://stranger.example.com"),
        "not_json": f"{header}.{b64(b'{')}.{signature}",
    }
    assert became(ask(authz, request(token=good))) == "in"
    for detail, token in details.items():
        assert told(ask(authz, request(token=token))) == ("invalid_token", detail)
    encrypted = f"{header}.{payload}.{signature}.{payload}.{signature}"
    assert told(ask(authz, request(token=encrypted))) == ("invalid_token", "not_a_jwt")
    assert provider.asked == []
    assert became(ask(authz, request(token=TOKEN))) == "in"
    assert questions(provider) == 1


def test_without_an_issuer_that_is_asked_an_opaque_token_is_invalid(clock: Clock) -> None:
    authz = Authz.from_mapping(policy(), clock=clock)
    assert told(ask(authz, request(token=TOKEN))) == ("invalid_token", "not_a_jwt")


def test_a_token_goes_to_the_issuer_of_its_prefix_and_to_no_other(
    provider: Provider, clock: Clock
) -> None:
    """Each issuer's answer is its own: a token of one is nothing to the other."""
    provider.at["/a"] = said(**ACTIVE)
    provider.at["/b"] = said(**ACTIVE | {"sub": "bob"})
    tables = [
        introspected(provider, endpoint=f"{provider.origin}/{name}")
        | {"issuer": f"https://{name}.example", "prefix": f"{name}_", "grants": ["*"]}
        for name in ("a", "b")
    ]
    authz = Authz.from_mapping(policy(*tables), clock=clock)
    for name, subject in (("a", "ann"), ("b", "bob")):
        outcome = ask(authz, request(token=f"{name}_x"))
        assert isinstance(outcome, Admit)
        assert outcome.principal is not None
        assert outcome.principal.subject == subject
        assert outcome.principal.issuer == f"https://{name}.example"
    assert provider.asked == ["/a", "/b"]
    assert told(ask(authz, request(token="c_x"))) == ("invalid_token", "unknown_prefix")
    # A JWT is shown to the issuer it names, with or without the prefix.
    assert became(ask(authz, request(token=mint(iss="https://b.example")))) == "in"
    assert provider.asked == ["/a", "/b", "/b"]


# What others got wrong


def test_ghsa_4mq7_pvjg_xp2r_oathkeeper_a_cache_without_the_endpoint(
    provider: Provider, clock: Clock
) -> None:
    """One token, two configurations in one process: neither profits from the other's answer."""
    provider.at["/one"] = said(**ACTIVE)
    provider.at["/two"] = INACTIVE
    one, two = (made(provider, clock, endpoint=f"{provider.origin}/{n}") for n in ("one", "two"))
    for _ in range(2):
        assert became(ask(one, request(token=TOKEN))) == "in"
        assert became(ask(two, request(token=TOKEN))) == "invalid_token"
    assert provider.asked == ["/one", "/two"]


def test_ghsa_qvp4_rpmr_xwrr_oathkeeper_a_cached_answer_and_another_scope(
    provider: Provider, clock: Clock
) -> None:
    """A held answer opens what it opens, and nothing else."""
    provider.at[INTROSPECT] = said(**ACTIVE, scope="read")
    authz = made(provider, clock)
    assert became(ask(authz, request("/me", TOKEN))) == "in"
    assert became(ask(authz, request("/transfers", TOKEN, "POST"))) == "scope_missing"
    assert became(ask(authz, request("/articles", TOKEN))) == "role_missing"
    assert questions(provider) == 1


def test_django_oauth_toolkit_a_cache_of_ten_hours(clock: Clock) -> None:
    """36,000 seconds there; here a minute is the most that can be written."""
    config = {"endpoint": "https://x/i", "client_id": "x", "cache": 36_000}
    config["client_secret_env"] = "INTROSPECTION_SECRET"
    with pytest.raises(Exception, match="from 0 to 60 seconds"):
        Authz.from_mapping(policy(table(introspection=config)), clock=clock)


# Bounds, with a fake in the place of the network


class Fake:
    """Answers questions as it is told; may hold them back."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.good: set[str] = set()
        self.gate: Event | None = None
        self.raises: Exception | None = None
        self.flying = 0
        self.most = 0
        self._changed = Condition()

    def __call__(self, question: Question) -> Response:
        (token,) = parse_qs(question.body.decode())["token"]
        with self._changed:
            self.asked.append(token)
            self.flying += 1
            self.most = max(self.most, self.flying)
            self._changed.notify_all()
        if self.gate is not None:
            assert self.gate.wait(30)
        with self._changed:
            self.flying -= 1
        if self.raises is not None:
            raise self.raises
        body = b'{"active": false}'
        if token in self.good:
            body = b'{"active": true, "aud": "orders", "sub": "ann", "exp": %d}' % (NOW + 3600)
        return Response(200, "application/json", body)

    def reached_by(self, count: int) -> None:
        """Wait until so many questions are in the air."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.flying == count, 30)


class World:
    """One introspector over a fake."""

    def __init__(self, cache: float = 30.0) -> None:
        self.clock = Clock(NOW)
        self.fake = Fake()
        self.tokens = VerifiedTokens()
        config = Introspection(ISSUER, "https://login.example.com/i", cache=cache)
        self.it = Introspector(
            issuer(source=config), config, self.tokens, lambda one: one, self.clock, self.fake
        )

    def begin(self, token: str) -> Future[Introspected]:
        return self.it.ask(OpaqueToken(token), self.tokens.digest(token.encode()))

    def ask(self, token: str) -> Introspected:
        return self.begin(token).result(30)


def test_random_tokens_neither_fill_the_memory_nor_push_out_good_ones() -> None:
    world = World(cache=3600.0)  # what is believed ages in real time, too
    world.fake.good = {"good"}
    assert world.ask("good").verified is not None
    for number in range(2 * MAX_REFUSALS):
        assert world.ask(f"random{number}").refused == "inactive"
    assert len(world.it._refusals) == MAX_REFUSALS
    assert len(world.tokens) == 1
    assert world.ask("good").verified is not None
    assert world.fake.asked.count("good") == 1


@contextmanager
def flood(world: World) -> Iterator[list[Future[Introspected]]]:
    """As many questions about strangers as are taken, none of which is answered yet."""
    world.fake.gate = Event()
    try:
        yield [world.begin(f"random{number}") for number in range(MAX_TAKEN)]
    finally:
        world.fake.gate.set()


def test_random_tokens_cause_few_questions_at_a_time() -> None:
    world = World()
    with flood(world) as waiting:
        world.fake.reached_by(MAX_ASKING)
        assert world.begin("one more").result(0).unavailable == "busy"
        assert world.begin("random0") is waiting[0]  # who asks for the same token joins
    assert {each.result(30).refused for each in waiting} == {"inactive"}
    assert world.fake.most == MAX_ASKING
    assert world.ask("one more").refused == "inactive"


def test_tokens_that_were_good_do_not_wait_behind_strangers() -> None:
    """With each answer good for half a minute, callers must get through in a flood, too."""
    world = World()
    world.fake.good = {f"good{number}" for number in range(MAX_ASKING)}
    for token in world.fake.good:
        world.ask(token)
    world.clock.now += 30
    with flood(world):
        known = [world.begin(token) for token in sorted(world.fake.good)]
        world.fake.reached_by(2 * MAX_ASKING)  # all of them, though most strangers wait
        assert world.fake.good <= set(world.fake.asked[MAX_ASKING:])
    assert all(each.result(30).verified for each in known)


def test_nobody_is_asked_for_a_request_that_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    assert MAX_AGE >= MAX_WAIT
    with flood(world) as waiting:
        world.fake.reached_by(MAX_ASKING)
        now[0] = MAX_AGE + 1
    answers = [each.result(30) for each in waiting]
    assert len(world.fake.asked) <= MAX_ASKING
    assert {each.unavailable for each in answers} == {"", "slow"}
    assert world.ask(f"random{MAX_TAKEN - 1}").refused == "inactive"  # nothing was remembered of it


def test_what_waits_when_the_issuer_fails_does_not_ask() -> None:
    world = World()
    world.fake.raises = FetchFailed("x: ConnectError")
    with flood(world) as waiting:
        pass
    found = {each.result(30).unavailable for each in waiting}
    assert found == {"unreachable", "paused"}
    assert len(world.fake.asked) <= 2 * MAX_ASKING
    assert world.it.held(world.tokens.digest(b"x"), NOW) == Introspected(unavailable="paused")


def test_one_that_answers_again_is_asked_as_before() -> None:
    """Several questions at a time, and not one that tries it."""
    world = World()
    world.fake.raises = FetchFailed("x: ConnectError")
    assert world.ask("a").unavailable == "unreachable"
    world.clock.now += RETRY_AFTER
    world.fake.raises = None
    assert world.ask("a").refused == "inactive"
    world.fake.gate = Event()
    waiting = [world.begin(token) for token in "bcd"]
    world.fake.reached_by(3)
    world.fake.gate.set()
    assert {each.result(30).refused for each in waiting} == {"inactive"}


def test_an_answer_that_is_not_taken_is_that_tokens_own() -> None:
    world = World()
    world.fake.raises = NotTaken("x: more than 65536 bytes")
    assert world.ask("large").unavailable == "unusable_answer"
    world.fake.raises = None
    assert world.ask("another").refused == "inactive"


def test_a_defect_of_ours_is_an_answer_too(caplog: pytest.LogCaptureFixture) -> None:
    """With the place in the log, and without the values: the token is among them."""
    world = World()
    world.fake.raises = ValueError("hush-token")
    assert world.ask("hush-token").unavailable == "failed"
    assert "ValueError" in caplog.text
    assert "in __call__" in caplog.text
    assert "hush-token" not in caplog.text
    assert not any(record.exc_info for record in caplog.records)
    world.fake.raises = None
    assert world.ask("another").refused == "inactive"


def refuse(_: object) -> None:
    raise RuntimeError("can't start new thread")


def test_no_thread_can_be_started(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    start, world.it._start = world.it._start, refuse
    assert world.ask("x").unavailable == "failed"
    assert "can't start new thread" in caplog.text
    world.it._start = start
    assert world.ask("x").refused == "inactive"


def test_no_further_thread_can_be_started() -> None:
    """Those that are there ask the one question after the other."""
    world = World()
    world.fake.gate = Event()
    first = world.begin("a")
    world.fake.reached_by(1)
    world.it._start = refuse
    second = world.begin("b")
    assert not second.done()
    world.fake.gate.set()
    assert (first.result(30).refused, second.result(30).refused) == ("inactive", "inactive")
    assert world.fake.most == 1


def test_an_issuer_that_hangs_for_ever_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name service is not held to our time: whoever comes later does not wait for it."""
    world = World()
    world.fake.good = {"good"}
    world.ask("good")
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    world.fake.gate = Event()
    hanging = world.begin("a")
    world.fake.reached_by(1)
    now[0] = MAX_AGE
    assert world.begin("a") is hanging
    now[0] = MAX_AGE + 1
    for token in ("a", "b"):
        assert world.ask(token).unavailable == "paused"
    assert world.tokens.get(world.tokens.digest(b"good")) is not None
    assert world.it.readiness(ISSUER, NOW) == KeyReadiness(ISSUER, False, "failed")
    world.fake.gate.set()
    assert hanging.result(30).refused == "inactive"
    assert world.it.readiness(ISSUER, NOW) == KeyReadiness(ISSUER, True, "succeeded")
    assert world.ask("b").refused == "inactive"


def test_nobody_can_cancel_a_question() -> None:
    world = World()
    with flood(world) as waiting:
        assert not any(each.cancel() for each in waiting)
    assert {each.result(30).refused for each in waiting} == {"inactive"}


@pytest.mark.parametrize("raises", [FetchFailed("x"), ValueError("x")], ids=repr)
def test_a_log_that_fails_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, raises: Exception
) -> None:
    class Broken:
        def filter(self, record: object) -> bool:
            raise ValueError

    monkeypatch.setattr(LOGGER, "filters", [Broken()])
    world = World()
    world.fake.raises = raises
    assert world.ask("a").unavailable in ("unreachable", "failed")
    assert world.it._process.flights == {}


def test_readiness(provider: Provider, clock: Clock) -> None:
    """How the issuer was when it was last asked; nobody is asked for this."""
    authz = made(provider, clock)

    def readiness() -> tuple[bool, bool, str]:
        (one,) = authz.readiness().issuers
        assert (one.issuer, one.age, one.usable_until) == (ISSUER, None, None)
        return authz.readiness().ready, one.ready, one.latest_fetch

    assert readiness() == (True, True, "none")
    assert authz.warm(timeout=1).ready
    assert provider.asked == []
    provider.at[INTROSPECT] = answer(status=503)
    ask(authz, request(token="a"))
    assert readiness() == (False, False, "failed")
    clock.now += RETRY_AFTER
    assert readiness() == (True, True, "failed")  # it may be asked again, so let requests come
    provider.at[INTROSPECT] = INACTIVE
    ask(authz, request(token="a"))
    assert readiness() == (True, True, "succeeded")


def test_nothing_is_left_behind() -> None:
    world = World()
    world.fake.good = {"a"}
    for token in ("a", "b", "c"):
        world.ask(token)
    process = world.it._process
    assert (process.flights, process.air, process.probe) == ({}, {}, None)
    for lane in (process.known, process.strangers):
        assert (lane.taken, len(lane.waiting)) == (0, 0)


def test_a_token_that_was_revoked_is_a_stranger_again() -> None:
    world = World(cache=0)
    world.fake.good = {"a"}
    world.ask("a")
    assert len(world.tokens) == 1  # never believed, but known
    world.fake.good = set()
    world.ask("a")
    assert len(world.tokens) == 0


def test_a_forked_worker_begins_anew() -> None:
    world = World()
    world.fake.gate = Event()
    flight = world.begin("x")
    world.it.renew()
    assert world.begin("x") is not flight
    world.fake.gate.set()
    assert flight.result(30).refused == "inactive"


# Nothing of a token stays, and nothing of it is told


def reachable(*roots: object) -> Iterator[object]:
    """Every object that hangs on `roots`, but for modules, classes and code."""
    seen: set[int] = set()
    queue = list(roots)
    while queue:
        found = queue.pop()
        if id(found) in seen or isinstance(found, (type, type(gc))) or callable(found):
            continue
        seen.add(id(found))
        yield found
        queue += gc.get_referents(found)


@both
def test_no_token_text_stays(provider: Provider, clock: Clock, ask: Ask) -> None:
    """Neither of an opaque token nor of a JWT; not in what the app keeps of its caller, either."""
    provider.at[INTROSPECT] = said(**ACTIVE)
    other = "https://keys.example.com"
    keys = table(issuer=other, jwks={"keys": [jwk("ES256", kid="a")]}, grants=["*"])
    authz = Authz.from_mapping(
        policy(introspected(provider) | {"grants": ["*"]}, keys), clock=clock
    )
    signed, forged = mint(iss=other), mint(iss=other, aud="x")
    kept: list[Any] = [authz.serving]
    for token in (TOKEN, signed, forged):
        outcome = ask(authz, request(token=token))
        kept.append(outcome)
        if isinstance(outcome, Admit):
            kept.append(authz.serving.admitted(request(token=token)[0], outcome, None))
    provider.at[INTROSPECT] = INACTIVE
    kept.append(ask(authz, request(token="revoked-token")))
    provider.at[INTROSPECT] = answer(status=503)
    kept.append(ask(authz, request(token="unknown-token")))
    parts = [part for token in (signed, forged) for part in token.split(".")]
    parts += [TOKEN, "revoked-token", "unknown-token"]
    texts = [found for found in reachable(*kept) if isinstance(found, (str, bytes))]
    kinds = {type(found).__name__ for found in reachable(*kept)}
    assert kinds >= {"CachedToken", "Held", "Introspector", "KeySet", "Access", "Refuse"}
    assert "ann" in texts
    for text in texts:
        as_text = text if isinstance(text, str) else text.decode("latin-1")
        assert not any(part in as_text for part in parts)


def test_no_secret_is_logged(
    provider: Provider, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """RFC 9700 §4.9.3, at the lowest level, the libraries included."""
    caplog.set_level(logging.DEBUG)
    authz = made(provider, clock)
    behaviours = [said(**ACTIVE), INACTIVE, answer(status=500), answer(b"x"), answer(status=503)]
    for number, behaviour in enumerate(behaviours):
        provider.at[INTROSPECT] = behaviour
        token = f"hush{number}"
        outcome = ask(authz, request(token=token))
        if isinstance(outcome, Refuse):
            authz.serving.refused(request(token=token)[0], outcome, None)
    assert "introspection_unavailable (unreachable)" in caplog.text
    assert "hush" not in caplog.text
    assert b64encode(b"orders:hush-hush").decode() not in caplog.text


# Where keys and answers meet


def test_two_issuers_two_audiences_two_configurations_share_nothing(
    provider: Provider, clock: Clock
) -> None:
    """The same token: what was found under one is looked up under no other."""
    key = jwk("ES256", kid="a")
    provider.publish(key)
    provider.at[INTROSPECT] = said(**ACTIVE)
    variants = {
        "as it is": (table(jwks={"keys": [key]}), "in"),
        "another audience": (table(jwks={"keys": [key]}, audience=["others"]), "invalid_token"),
        "another issuer": (table(issuer="https://x", jwks={"keys": [key]}), "invalid_token"),
        "another key": (table(jwks={"keys": [jwk("ES256", 1)]}), "invalid_token"),
        "another claim": (table(jwks={"keys": [key]}, required_claims=["x"]), "invalid_token"),
        "fetched": (table(jwks_uri=f"{provider.origin}{JWKS}"), "in"),
        "asked about": (introspected(provider), "in"),
    }
    served = [
        (Authz.from_mapping(policy(issuer), clock=clock), outcome)
        for issuer, outcome in variants.values()
    ]
    token = mint()
    for _ in range(2):
        for authz, outcome in [*served, *reversed(served)]:
            assert became(ask(authz, request(token=token))) == outcome
    assert len({authz.serving._engine._cache.digest(token.encode()) for authz, _ in served}) == len(
        served
    )
    assert CLAIMS["iss"] == ISSUER
