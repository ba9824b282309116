"""Requests that must wait: the same outcome in both worlds, one fetch, a free event loop."""

from __future__ import annotations

import asyncio
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier, Event
from typing import Any

import pytest

from authz_middleware import Authz
from authz_middleware.effects import Admit, NeedIntrospection, Refuse, Steps
from authz_middleware.facts import Decision
from authz_middleware.runtime import drivers
from authz_middleware.runtime.decision_points import DecisionPoints
from authz_middleware.runtime.loaders import Loaders
from authz_middleware.tokens.freshness import (
    COOLDOWN,
    MAX_AGE,
    REFRESH_AFTER,
    RETRY_AFTER,
    STALE_LIMIT,
)
from authz_middleware.tokens.introspection import Introspected, OpaqueToken
from tests.runtime.asking import Ask, ask, ask_async, became, policy, remote, request, table
from tests.runtime.provider import APPENDED, JWKS, Clock, Provider, answer, gated
from tests.tokens.minting import ISSUER, jwk, mint, private_key

A, B = jwk("RS256", 0, kid="a"), jwk("RS256", 1, kid="b")

both = pytest.mark.parametrize("ask", [ask, ask_async], ids=["sync", "async"])


def token(kid: str | None = "a", number: int = 0, **claims: object) -> str:
    header = {} if kid is None else {"kid": kid}
    return mint(header, algorithm="RS256", key=private_key("RS256", number), **claims)


@both
def test_the_first_request_waits_for_the_keys(provider: Provider, clock: Clock, ask: Ask) -> None:
    provider.publish(A)
    authz = remote(provider, clock)
    assert provider.asked == []  # nobody asked yet: a provider that is down stops no start-up
    outcome = ask(authz, request(token=token()))
    assert isinstance(outcome, Admit)
    assert outcome.credentials == "valid"
    assert outcome.principal is not None
    assert outcome.principal.subject == "ann"
    assert ask(authz, request(token=token())) == outcome
    assert provider.fetched() == 1


@both
def test_under_a_real_clock(provider: Provider, ask: Ask) -> None:
    """It moves between a look at it and the start of a fetch."""
    provider.publish(A)
    for number in range(5):
        authz = remote(provider, time.time)
        good = token(sub=f"user {number}", exp=time.time() + 60)
        assert became(ask(authz, request(token=good))) == "in"


OUTCOMES = [
    pytest.param(token(), "in", id="good"),
    pytest.param(token(number=1), "invalid_token", id="of another key"),
    pytest.param(token("z"), "invalid_token", id="unknown kid"),
    pytest.param(token(aud="others"), "invalid_token", id="audience"),
    pytest.param(token(exp=1), "invalid_token", id="expired"),
    pytest.param(None, "no_credentials", id="none"),
    pytest.param(b"a b", "malformed_authorization", id="malformed"),
]


@pytest.mark.parametrize(("presented", "became_"), OUTCOMES)
def test_both_worlds_agree(
    provider: Provider, clock: Clock, presented: str | bytes | None, became_: str
) -> None:
    provider.publish(A)
    asked = request(token=presented)
    blocking, awaited = (each(remote(provider, clock), asked) for each in (ask, ask_async))
    assert blocking == awaited
    assert became(blocking) == became_


@both
def test_discovery_end_to_end(provider: Provider, clock: Clock, ask: Ask) -> None:
    issuer = f"{provider.origin}/realms/shop"
    provider.publish(A)
    provider.at[f"/realms/shop{APPENDED}"] = answer(
        {"issuer": issuer, "jwks_uri": f"{provider.origin}{JWKS}"}
    )
    authz = Authz.from_mapping(policy(table(issuer=issuer)), clock=clock)
    assert became(ask(authz, request(token=token(iss=issuer)))) == "in"
    assert became(ask(authz, request(token=token(iss=f"{issuer}/")))) == "invalid_token"


@both
def test_an_unknown_kid_costs_one_fetch_per_cooldown(
    provider: Provider, clock: Clock, ask: Ask
) -> None:
    """D09: attackers choose kids."""
    provider.publish(A)
    authz = remote(provider, clock)
    assert authz.warm().ready  # waits for its fetch, and so spends the one of this cooldown
    far = clock.now + 1000
    for number in range(20):
        assert became(ask(authz, request(token=token(f"z{number}", exp=far)))) == "invalid_token"
    assert provider.fetched() == 1
    clock.now += COOLDOWN - 1
    # Whether these keys are new cannot be known yet; of an old token it can.
    outcome = ask(authz, request(token=token("z", exp=far)))
    assert became(outcome) == "keys_unavailable"
    assert outcome.decision.detail == "unknown_key"
    old = token("z", exp=far, iat=clock.now - 100)
    assert became(ask(authz, request(token=old))) == "invalid_token"
    assert provider.fetched() == 1
    clock.now += 1
    for number in range(20):
        assert became(ask(authz, request(token=token(f"y{number}", exp=far)))) == "invalid_token"
    assert provider.fetched() == 2


def test_many_unknown_kids_at_once_cost_one_fetch(provider: Provider, clock: Clock) -> None:
    """Also for those that looked before the fetch landed, and ask for one after it."""
    provider.publish(A)
    authz = remote(provider, clock)
    together, far = Barrier(20), clock.now + 1000

    def work(number: int) -> str:
        together.wait(30)
        return became(authz.serving.outcome(*request(token=token(f"z{number}", exp=far))))

    with ThreadPoolExecutor(20) as threads:
        for _ in range(5):
            clock.now += COOLDOWN
            before = provider.fetched()
            assert set(threads.map(work, range(20))) == {"invalid_token"}
            assert provider.fetched() == before + 1


@both
def test_a_token_that_could_never_be_good_makes_nobody_fetch(
    provider: Provider, clock: Clock, ask: Ask
) -> None:
    authz = remote(provider, clock)
    for bad in (mint(algorithm="HS256"), token(iss="https://x"), mint({"typ": "JWT"}), "a.b.c"):
        assert became(ask(authz, request(token=bad))) == "invalid_token"
    assert provider.asked == []


@both
def test_a_token_that_no_key_could_make_good_does_not_spend_the_fetch_for_others(
    provider: Provider, clock: Clock, ask: Ask
) -> None:
    provider.publish(A)
    authz = remote(provider, clock)
    far = clock.now + 1000
    assert became(ask(authz, request(token=token(exp=far)))) == "in"
    clock.now += COOLDOWN
    for claims in ({"exp": clock.now - 60}, {"aud": "x", "exp": far}, {"sub": 1, "exp": far}):
        for kid, number in (("z", 0), (None, 1)):
            bad = token(kid, number, **claims)
            assert became(ask(authz, request(token=bad))) == "invalid_token"
    assert provider.fetched() == 1
    assert became(ask(authz, request(token=token("z", exp=far)))) == "invalid_token"
    assert provider.fetched() == 2


@both
def test_a_provider_that_fails_is_an_outage_of_ours(
    provider: Provider, clock: Clock, ask: Ask
) -> None:
    """D10: never 401, never in; and it recovers by itself."""
    authz = remote(provider, clock)
    provider.at[JWKS] = answer(b"", 500)
    for _ in range(3):
        outcome = ask(authz, request(token=token()))
        assert became(outcome) == "keys_unavailable"
        assert outcome.credentials == "unavailable"
        assert outcome.principal is None
    assert provider.fetched() == 1
    public = ask(authz, request("/health", token()))
    assert isinstance(public, Admit)
    assert (public.credentials, public.principal) == ("unavailable", None)
    provider.publish(A)
    assert became(ask(authz, request(token=token()))) == "keys_unavailable"
    clock.now += RETRY_AFTER
    assert became(ask(authz, request(token=token()))) == "in"
    assert provider.fetched() == 2


@both
def test_while_a_provider_is_down(provider: Provider, clock: Clock, ask: Ask) -> None:
    """D10: the keys at hand go on serving; a key that may be new is not the caller's fault."""
    provider.publish(A)
    authz = remote(provider, clock)
    far = clock.now + 10 * STALE_LIMIT
    assert became(ask(authz, request(token=token(exp=far)))) == "in"
    provider.at[JWKS] = answer(b"", 503)
    clock.now += REFRESH_AFTER
    assert became(ask(authz, request(token=token("b", exp=far)))) == "keys_unavailable"
    assert became(ask(authz, request(token=token(exp=far)))) == "in"
    assert became(ask(authz, request(token=token(number=1, exp=far)))) == "invalid_token"
    clock.now += STALE_LIMIT
    assert became(ask(authz, request(token=token(exp=far)))) == "keys_unavailable"


@both
def test_rotation(provider: Provider, clock: Clock, ask: Ask) -> None:
    """D09: without a restart."""
    provider.publish(A)
    authz = remote(provider, clock)
    assert became(ask(authz, request(token=token()))) == "in"
    provider.publish(A, B)
    clock.now += COOLDOWN
    assert became(ask(authz, request(token=token("b", 1)))) == "in"
    assert became(ask(authz, request(token=token()))) == "in"


@both
def test_a_public_route_does_not_wait_for_a_new_key_and_yet_learns_of_it(
    provider: Provider, clock: Clock, ask: Ask
) -> None:
    """D09: else a service of public routes would not know its callers before the next refresh."""
    provider.publish(A)
    authz = remote(provider, clock)
    far = clock.now + 1000
    assert became(ask(authz, request(token=token(exp=far)))) == "in"
    provider.publish(A, B)
    clock.now += COOLDOWN
    caller = request("/health", token("b", 1, exp=far))
    assert ask(authz, caller).credentials == "unavailable"
    authz.serving._remote[ISSUER]._flight.result(30)
    assert ask(authz, caller).credentials == "valid"
    for number in range(5):
        unknown = request("/health", token(f"z{number}", exp=far))
        assert ask(authz, unknown).credentials != "valid"
    assert provider.fetched() == 2


@both
def test_a_withdrawn_key_stops_working(provider: Provider, clock: Clock, ask: Ask) -> None:
    """D09: with the tokens that were verified with it."""
    provider.publish(A, B)
    authz = remote(provider, clock)
    old = token(exp=clock.now + 10 * REFRESH_AFTER)
    assert became(ask(authz, request(token=old))) == "in"
    provider.publish(B)
    clock.now += REFRESH_AFTER
    ask(authz, request(token=old))  # starts the refresh, and does not wait for it
    authz.serving._remote[ISSUER].refresh().result(30)
    assert became(ask(authz, request(token=old))) == "invalid_token"
    assert became(ask(authz, request(token=token("b", 1, exp=clock.now + 60)))) == "in"


@both
def test_somebody_elses_unknown_kid_costs_the_first_caller_after_a_rotation_no_401(
    provider: Provider, clock: Clock, ask: Ask
) -> None:
    """D09: a provider that signs with a new key at once, and an attacker who spent the cooldown."""
    provider.publish(A)
    authz = remote(provider, clock)
    far = clock.now + 1000
    assert became(ask(authz, request(token=token(exp=far)))) == "in"
    clock.now += COOLDOWN
    assert became(ask(authz, request(token=token("z", exp=far)))) == "invalid_token"
    clock.now += 1
    provider.publish(A, B)
    new = request(token=token("b", 1, exp=far, iat=clock.now))
    assert became(ask(authz, new)) == "keys_unavailable"
    clock.now += COOLDOWN - 1
    assert became(ask(authz, new)) == "in"
    assert provider.fetched() == 3


NAMELESS = [
    pytest.param(None, {}, id="neither"),
    pytest.param("a", {}, id="no key"),
    pytest.param(None, {"kid": "x"}, id="no token"),
]


@both
@pytest.mark.parametrize(("kid", "named"), NAMELESS)
def test_rotation_where_names_do_not_tell(
    provider: Provider, clock: Clock, ask: Ask, kid: str | None, named: dict[str, str]
) -> None:
    """RFC 7517 §4.5: `kid` is optional. A new key looks like a bad signature."""
    old, new = (jwk("RS256", number, **named) for number in (0, 1))
    provider.publish(old)
    authz = remote(provider, clock)
    far = clock.now + 1000
    assert authz.warm().ready  # waits for its fetch, and so spends the one of this cooldown
    assert became(ask(authz, request(token=token(kid, exp=far)))) == "in"
    provider.publish(new)
    clock.now += 1
    caller = request(token=token(kid, 1, iat=clock.now, exp=far))
    outcome = ask(authz, caller)
    assert became(outcome) == "keys_unavailable"
    assert outcome.decision.detail == "unknown_key"
    before = request(token=token(kid, 1, iat=clock.now - 40, exp=far))
    assert became(ask(authz, before)) == "invalid_token"
    clock.now += COOLDOWN
    assert became(ask(authz, caller)) == "in"
    for number in range(5):  # forged
        forged = token(kid, 2, sub=f"eve {number}", iat=clock.now - 40, exp=far)
        assert became(ask(authz, request(token=forged))) == "invalid_token"
    assert provider.fetched() == 2


@both
def test_a_copy_that_a_cache_has_held_is_no_proof_that_a_key_does_not_exist(
    provider: Provider, clock: Clock, ask: Ask
) -> None:
    """The cache may hold what the provider published before it rotated."""
    provider.at[JWKS] = answer({"keys": [A]}, age="120", cache_control="max-age=600")
    authz = remote(provider, clock)
    issued = {"iat": clock.now - 100, "exp": clock.now + 1000}
    assert became(ask(authz, request(token=token("b", 1, **issued)))) == "keys_unavailable"
    issued["iat"] = clock.now - 152
    assert became(ask(authz, request(token=token("b", 1, **issued)))) == "invalid_token"


@both
def test_an_iat_without_a_fraction_may_be_any_time_of_its_second(
    provider: Provider, clock: Clock, ask: Ask
) -> None:
    """RFC 7519 §2: most issuers cut it off, and the `leeway` may be 0."""
    provider.publish(A)
    authz = Authz.from_mapping(
        policy(table(jwks_uri=f"{provider.origin}{JWKS}", leeway=0)), clock=clock
    )
    second = clock.now
    clock.now = second + 0.4
    assert authz.warm().ready  # waits for its fetch, and so spends the one of this cooldown
    assert became(ask(authz, request(token=token(exp=second + 60)))) == "in"
    clock.now = second + 0.9
    new = request(token=token("b", 1, iat=second, exp=second + 60))
    assert became(ask(authz, new)) == "keys_unavailable"
    old = request(token=token("b", 1, iat=second - 1, exp=second + 60))
    assert became(ask(authz, old)) == "invalid_token"


@both
def test_an_idle_service_asks_before_it_uses_old_keys(
    provider: Provider, clock: Clock, ask: Ask
) -> None:
    """A key that was withdrawn in the night does not work once more in the morning."""
    provider.publish(A, B)
    authz = remote(provider, clock)
    old = request(token=token(exp=clock.now + 10 * MAX_AGE))
    assert became(ask(authz, old)) == "in"
    provider.publish(B)
    clock.now += MAX_AGE + 1
    assert became(ask(authz, old)) == "invalid_token"


@both
def test_an_idle_service_whose_provider_is_down_serves(
    provider: Provider, clock: Clock, ask: Ask
) -> None:
    provider.publish(A)
    authz = remote(provider, clock)
    caller = request(token=token(exp=clock.now + 10 * MAX_AGE))
    assert became(ask(authz, caller)) == "in"
    provider.at[JWKS] = answer(b"", 500)
    clock.now += MAX_AGE + 1
    assert became(ask(authz, caller)) == "in"
    assert provider.fetched() == 2


def test_one_request_waits_for_a_provider_that_fails_and_hangs(
    provider: Provider, clock: Clock
) -> None:
    """The others are answered at once: a sync server must not run out of threads."""
    provider.publish(A)
    authz = remote(provider, clock)
    far = clock.now + 1000
    assert became(ask(authz, request(token=token(exp=far)))) == "in"
    provider.at[JWKS] = answer(b"", 500)
    clock.now += COOLDOWN
    assert became(ask(authz, request(token=token("b", exp=far)))) == "keys_unavailable"
    gate, reached = Event(), Event()
    provider.publish(A, B)
    provider.at[JWKS] = gated(gate, reached, provider.at[JWKS])
    clock.now += COOLDOWN
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(ask, authz, request(token=token("b", 1, exp=far)))
        assert reached.wait(30)
        for each in (ask, ask_async) * 5:
            assert became(each(authz, request(token=token("b", 1, exp=far)))) == "keys_unavailable"
            assert became(each(authz, request(token=token(exp=far)))) == "in"
        assert not waiting.done()
        gate.set()
        assert became(waiting.result(30)) == "in"
    assert provider.fetched() == 3


@pytest.mark.parametrize("path", ["/me", "/health"])
def test_a_fetch_that_lands_before_its_request_waits_is_not_repeated(
    provider: Provider, clock: Clock, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D09: the request's look at old keys sets one off, and it is quick."""
    provider.publish(A)
    authz = remote(provider, clock)
    source, far = authz.serving._remote[ISSUER], clock.now + 10_000
    assert became(ask(authz, request(token=token(exp=far)))) == "in"
    clock.now += REFRESH_AFTER
    real = source.refresh

    def late(arrived: float) -> Any:
        source._flight.result(30)
        return real(arrived)

    monkeypatch.setattr(source, "refresh", late)
    assert became(ask(authz, request(path, token("z", exp=far)))) != "keys_unavailable"
    assert provider.fetched() == 2
    ask(authz, request(token=token("y", exp=far)))
    assert provider.fetched() == 2
    clock.now += COOLDOWN
    ask(authz, request(token=token("y", exp=far)))
    assert provider.fetched() == 3


def test_fifty_requests_share_one_fetch(provider: Provider, clock: Clock) -> None:
    gate, reached, together = Event(), Event(), Barrier(50)
    provider.publish(A)
    provider.at[JWKS] = gated(gate, reached, provider.at[JWKS])
    authz = remote(provider, clock)

    def work(number: int) -> str:
        together.wait(30)
        return became(authz.serving.outcome(*request(token=token(sub=f"user {number}"))))

    with ThreadPoolExecutor(50) as threads:
        running = [threads.submit(work, number) for number in range(50)]
        assert reached.wait(30)
        gate.set()
        assert {each.result(30) for each in running} == {"in"}
    assert provider.fetched() == 1


def test_the_event_loop_stays_free(provider: Provider, clock: Clock) -> None:
    gate, reached = Event(), Event()
    provider.publish(A)
    provider.at[JWKS] = gated(gate, reached, provider.at[JWKS])
    authz = remote(provider, clock)

    async def main() -> None:
        waiting = asyncio.create_task(authz.serving.outcome_async(*request(token=token())))
        assert await asyncio.to_thread(reached.wait, 30)
        assert became(await authz.serving.outcome_async(*request("/health"))) == "in"
        assert became(await authz.serving.outcome_async(*request())) == "no_credentials"
        assert became(await authz.serving.outcome_async(*request(token="a.b.c"))) == "invalid_token"
        public = await authz.serving.outcome_async(*request("/health", token()))
        assert public.credentials == "unavailable"
        assert not waiting.done()
        gate.set()
        assert became(await waiting) == "in"

    asyncio.run(main())


def test_a_client_that_goes_away_does_not_cancel_the_fetch_of_others(
    provider: Provider, clock: Clock
) -> None:
    gate, reached = Event(), Event()
    provider.publish(A)
    provider.at[JWKS] = gated(gate, reached, provider.at[JWKS])
    authz = remote(provider, clock)

    async def main() -> None:
        leaving, staying = (
            asyncio.create_task(authz.serving.outcome_async(*request(token=token())))
            for _ in range(2)
        )
        assert await asyncio.to_thread(reached.wait, 30)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        gate.set()
        assert became(await staying) == "in"

    asyncio.run(main())
    assert provider.fetched() == 1


@pytest.mark.parametrize("send", [ask, ask_async])
def test_a_request_does_not_wait_for_ever(
    send: Any, provider: Provider, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The flight goes on; whoever comes later finds what it brings."""
    monkeypatch.setattr(drivers, "MAX_WAIT", 0.01)
    gate, reached = Event(), Event()
    provider.publish(A)
    provider.at[JWKS] = gated(gate, reached, provider.at[JWKS])
    authz = remote(provider, clock)
    assert became(send(authz, request(token=token()))) == "keys_unavailable"
    gate.set()
    authz.serving._remote[ISSUER].refresh().result(30)
    assert became(send(authz, request(token=token()))) == "in"


def test_both_worlds_share_one_fetch(provider: Provider, clock: Clock) -> None:
    gate, reached = Event(), Event()
    provider.publish(A)
    provider.at[JWKS] = gated(gate, reached, provider.at[JWKS])
    authz = remote(provider, clock)
    with ThreadPoolExecutor(3) as threads:
        running = [threads.submit(each, authz, request(token=token())) for each in (ask, ask_async)]
        running.append(threads.submit(ask_async, authz, request(token=token())))
        assert reached.wait(30)
        gate.set()
        assert [became(each.result(30)) for each in running] == ["in"] * 3
    assert provider.fetched() == 1


def test_a_loop_that_closed_meanwhile_hurts_nobody(provider: Provider, clock: Clock) -> None:
    gate, reached = Event(), Event()
    provider.publish(A)
    provider.at[JWKS] = gated(gate, reached, provider.at[JWKS])
    authz = remote(provider, clock)

    async def give_up() -> None:
        waiting = asyncio.create_task(authz.serving.outcome_async(*request(token=token())))
        assert await asyncio.to_thread(reached.wait, 30)
        waiting.cancel()

    asyncio.run(give_up())
    gate.set()
    assert became(ask(authz, request(token=token()))) == "in"
    assert provider.fetched() == 1


class Landing:
    """An issuer whose one question lands when the test says so."""

    def __init__(self) -> None:
        self.flight: Future[Introspected] = Future()
        self.flight.set_running_or_notify_cancel()

    def ask(self, token: OpaqueToken, digest: bytes) -> Future[Introspected]:
        return self.flight


def test_who_goes_away_as_the_answer_lands_has_gone() -> None:
    """Else a task that was cancelled would go on to the app."""

    def steps() -> Steps:
        yield NeedIntrospection(ISSUER, OpaqueToken("x"), b"")
        return Refuse(Decision(False, "invalid_token", None), None, "invalid")

    async def scenario() -> None:
        issuer = Landing()
        outside = drivers.Outside(
            {}, {ISSUER: issuer}, time.time, Loaders(), DecisionPoints({}, time.time)
        )
        leaving = asyncio.create_task(drivers.drive_async(steps(), outside))
        await asyncio.sleep(0)
        issuer.flight.set_result(Introspected(refused="inactive"))
        if sys.version_info < (3, 14):  # since then it lands at once, from the loop's own thread
            await asyncio.sleep(0)
        leaving.cancel()  # it has landed in the loop, and the task has not run yet
        with pytest.raises(asyncio.CancelledError):
            await leaving

    asyncio.run(scenario())
