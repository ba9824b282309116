"""What another policy would decide, behind the back of the one in force."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import re
import threading
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any, cast
from weakref import ref

import pytest

from authz_middleware import Authz, PolicyError, TrialCounts
from authz_middleware.effects import Admit
from authz_middleware.facts import Decision
from authz_middleware.policy.resources import Unloaded
from authz_middleware.runtime import trials as module
from authz_middleware.runtime.trials import MAX_WAITING, Trial, Trials
from tests.runtime.asking import Ask, ask, ask_async, became, policy, request, table
from tests.runtime.asking import introspected as opaque
from tests.runtime.provider import INTROSPECT, JWKS, Clock, Provider, answer, gated, said
from tests.tokens.minting import ISSUER, NOW, jwk, mint

KEYS = {"keys": [jwk("ES256", kid="a")]}
OTHER = "https://other.example.com"
OPEN, CLOSED = {"GET /me": "authenticated"}, {"GET /me": "deny"}

asks = pytest.mark.parametrize("ask", [ask, ask_async], ids=["sync", "async"])


class World:
    """A policy, and the one that is on trial beside it."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self.directory = directory
        self.clock = clock
        self.authz: Any = None

    def write(self, name: str, *issuers: Any, **top: Any) -> Path:
        file = self.directory / name
        file.write_text(json.dumps(policy(*issuers, **top)))
        return file

    def serve(self, *issuers: Any, **top: Any) -> Authz:
        whole = {"candidate": "next.json", **top}
        whole = {name: value for name, value in whole.items() if value is not None}
        file = self.write("authz.json", *issuers, **whole)
        self.authz = Authz.from_file(file, clock=self.clock)
        return self.authz

    def counts(self, name: str = "next.json") -> str:
        """The counts that are not 0, in a few words."""
        (found,) = (each for each in self.authz.trials(30) if each.name == name)
        names = ("same", "allow_to_deny", "deny_to_allow", "errors", "missed")
        counted = {each: getattr(found, each) for each in names}
        return ", ".join(f"{each} {number}" for each, number in counted.items() if number)


@pytest.fixture
def world(tmp_path: Path, clock: Clock) -> World:
    return World(tmp_path, clock)


# candidate: what is in force, what is on trial, the token; what became of it, and what is counted

BOTH = [table(grants=["*"], jwks=KEYS), table(issuer=OTHER, grants=["*"], jwks=KEYS)]
CASES: dict[str, tuple[list[Any], Any, list[Any], Any, dict[str, Any], str, str]] = {
    "the same rules": ([], OPEN, [], OPEN, {}, "in", "same 1"),
    "both refuse, for other reasons": ([], CLOSED, [], {}, {}, "denied_by_rule", "same 1"),
    "a stricter rule": ([], OPEN, [], CLOSED, {}, "in", "allow_to_deny 1"),
    "a looser rule": ([], CLOSED, [], OPEN, {}, "denied_by_rule", "deny_to_allow 1"),
    "no rules": ([], OPEN, [], {}, {}, "in", "allow_to_deny 1"),
    "another audience": (
        [],
        OPEN,
        [table(audience=["more"], jwks=KEYS)],
        OPEN,
        {},
        "in",
        "allow_to_deny 1",
    ),
    "a new audience": (
        [],
        OPEN,
        [table(audience=["orders", "more"], jwks=KEYS)],
        OPEN,
        {"aud": "more"},
        "invalid_token",
        "deny_to_allow 1",
    ),
    "a new issuer": ([], OPEN, BOTH, OPEN, {"iss": OTHER}, "invalid_token", "deny_to_allow 1"),
    "an issuer less": (BOTH, OPEN, [], OPEN, {"iss": OTHER}, "in", "allow_to_deny 1"),
    "other keys": (
        [],
        OPEN,
        [table(jwks={"keys": [jwk("ES256", 1, kid="a")]})],
        OPEN,
        {},
        "in",
        "allow_to_deny 1",
    ),
    "other roles": (
        [],
        {"GET /me": ["viewer"]},
        [table(claims={"roles": "groups"}, jwks=KEYS)],
        {"GET /me": ["viewer"]},
        {"roles": ["viewer"]},
        "in",
        "allow_to_deny 1",
    ),
}


@asks
@pytest.mark.parametrize(
    ("issuers", "routes", "next_issuers", "next_routes", "claims", "live", "counted"),
    CASES.values(),
    ids=CASES,
)
def test_a_candidate(
    world: World,
    ask: Ask,
    issuers: list[Any],
    routes: Any,
    next_issuers: list[Any],
    next_routes: Any,
    claims: dict[str, Any],
    live: str,
    counted: str,
) -> None:
    world.write("next.json", *next_issuers, routes=next_routes)
    authz = world.serve(*issuers, routes=routes)
    assert became(ask(authz, request(token=mint(**claims)))) == live
    assert world.counts() == counted


@asks
def test_a_shadow(world: World, ask: Ask) -> None:
    tried = {"roles": ["editor"], "mode": "shadow"}
    authz = world.serve(candidate=None, routes={"/**": "authenticated", "GET /me": tried})
    for roles in ([], ["viewer"], ["editor"]):
        assert became(ask(authz, request(token=mint(roles=roles)))) == "in"
    assert became(ask(authz, request("/you", token=mint()))) == "in"
    assert became(ask(authz, request())) == "no_credentials"
    assert became(ask(authz, request(token=mint(aud="x")))) == "invalid_token"
    assert world.counts("shadow") == "same 4, allow_to_deny 2"


def test_shadows_of_a_candidate_are_not_enforced(world: World) -> None:
    tried = {"roles": ["editor"], "mode": "shadow"}
    world.write("next.json", routes={"/**": "authenticated", "GET /me": tried})
    world.serve(routes={"/**": ["viewer"], "GET /me": tried})
    for roles in ([], ["viewer"], ["editor"]):
        ask(world.authz, request(token=mint(roles=roles)))
    assert world.counts() == "same 2, deny_to_allow 1"
    assert world.counts("shadow") == "same 2, allow_to_deny 1"


NEAREST = "nearest='needs the role `editor`; has viewer'"


def test_what_differs_is_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    world.write("next.json", routes={"GET /me": ["editor"], "GET /you": "authenticated"})
    world.serve(routes=OPEN)
    token = mint(sub="a\nb", roles=["viewer"])
    ask(world.authz, request(token=token))
    ask(world.authz, request("/you", token=token))
    ask(world.authz, request("/them", token=token))
    assert world.counts() == "same 1, allow_to_deny 1, deny_to_allow 1"
    told = [each for each in caplog.messages if "on trial" in each]
    whose = f"rule=GET %s (next.json) subject='a\\nb' issuer='{ISSUER}'"
    assert [re.sub(r"\(.*/next.json:1:\d+\)", "(next.json)", each) for each in told] == [
        f"on trial next.json: allow->deny 'GET' '/me': role_missing {NEAREST} {whose % '/me'}",
        f"on trial next.json: deny->allow 'GET' '/you': allowed {whose % '/you'}",
    ]
    assert token not in caplog.text


# Nothing of it is felt


def test_no_request_waits_for_a_candidate(world: World, provider: Provider) -> None:
    """Its provider hangs; what can be tried is tried when it answers."""
    gate, reached = Event(), Event()
    provider.publish(jwk("ES256", kid="a"))
    provider.at[JWKS] = gated(gate, reached, provider.at[JWKS])
    world.write("next.json", table(jwks_uri=f"{provider.origin}{JWKS}"), routes=OPEN)
    authz = world.serve(routes=OPEN)
    assert became(ask(authz, request(token=mint()))) == "in"
    assert reached.wait(30)
    for _ in range(MAX_WAITING + 10):
        assert became(ask(authz, request(token=mint()))) == "in"
    assert authz.trials() == (TrialCounts("next.json", 0, 0, 0, 0, 10),)
    gate.set()
    assert world.counts() == f"same {MAX_WAITING + 1}, missed 10"
    assert provider.fetched() == 1


@pytest.mark.parametrize("kind", ["keys", "introspection"])
def test_a_provider_of_a_candidate_that_fails_says_nothing_of_the_policy(
    world: World, provider: Provider, kind: str
) -> None:
    provider.at[JWKS] = provider.at[INTROSPECT] = answer(status=500)
    entry = table(jwks_uri=f"{provider.origin}{JWKS}") if kind == "keys" else opaque(provider)
    world.write("next.json", entry, routes=OPEN)
    world.serve(routes=OPEN)
    assert became(ask(world.authz, request(token=mint()))) == "in"
    assert world.counts() == "errors 1"


def test_an_outage_of_the_policy_in_force_says_nothing_of_the_candidate(
    world: World, provider: Provider
) -> None:
    provider.at[JWKS] = answer(status=500)
    world.write("next.json", routes=OPEN)
    world.serve(table(jwks_uri=f"{provider.origin}{JWKS}"), routes=OPEN)
    assert became(ask(world.authz, request(token=mint()))) == "keys_unavailable"
    assert world.counts() == "errors 1"


def test_opaque_tokens(world: World, provider: Provider) -> None:
    provider.at[INTROSPECT] = said(active=True, aud="orders", sub="ann", exp=NOW + 60)
    world.write("next.json", opaque(provider), routes=CLOSED)
    world.serve(opaque(provider), routes=OPEN)
    for _ in range(2):
        assert became(ask(world.authz, request(token="opaque"))) == "in"
    assert world.counts() == "allow_to_deny 2"
    assert provider.fetched(INTROSPECT) == 2  # once for each policy


PUBLIC = {"GET /open": "public", "GET /me": "authenticated"}
STRICT = {"GET /open": "authenticated", "GET /me": "authenticated"}


@asks
def test_a_shadow_asks_no_issuer(world: World, provider: Provider, ask: Ask) -> None:
    """What it asked would be held, and so make the caller known where it is not."""
    provider.at[INTROSPECT] = said(active=True, aud="orders", sub="ann", exp=NOW + 60)
    tried = {"roles": ["editor"], "mode": "shadow"}
    routes = {"/open/**": "public", "/me": "authenticated", "GET /open/<id>": tried}
    authz = world.serve(opaque(provider), candidate=None, routes=routes)
    for token in ("opaque", "opaque", "other"):
        outcome = ask(authz, request("/open/1", token=token))
        assert isinstance(outcome, Admit)
        assert (outcome.principal, outcome.credentials) == (None, "unavailable")
        assert world.counts("shadow")
    assert provider.fetched(INTROSPECT) == 0
    assert world.counts("shadow") == "errors 3"
    # What is held is looked at.
    assert became(ask(authz, request(token="opaque"))) == "in"
    assert became(ask(authz, request("/open/1", token="opaque"))) == "in"
    assert world.counts("shadow") == "same 1, allow_to_deny 1, errors 3"
    assert provider.fetched(INTROSPECT) == 1


def test_a_candidate_asks_no_issuer_where_the_rule_in_force_is_public(
    world: World, provider: Provider
) -> None:
    """Or anybody could have any text asked about."""
    provider.at[INTROSPECT] = said(active=True, aud="orders", sub="ann", exp=NOW + 60)
    world.write("next.json", opaque(provider), routes=STRICT)
    world.serve(opaque(provider), routes=PUBLIC)
    for token in ("one", "two"):
        ask(world.authz, request("/open", token=token))
    assert world.counts() == "errors 2"
    assert provider.fetched(INTROSPECT) == 0
    assert became(ask(world.authz, request(token="one"))) == "in"
    assert world.counts() == "same 1, errors 2"
    assert provider.fetched(INTROSPECT) == 2  # once for each policy


def test_what_a_candidate_raises_is_an_error_of_its_own(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world.write("next.json", routes=OPEN)
    authz = world.serve(routes=OPEN)
    candidate = authz.serving._candidate
    assert candidate is not None

    def fail(*_: object) -> Any:
        raise RecursionError(mint())

    monkeypatch.setattr(candidate._engine, "start", fail)
    for _ in range(3):
        assert became(ask(authz, request(token=mint()))) == "in"
    assert world.counts() == "errors 3"
    assert caplog.messages == ["next.json on trial failed: RecursionError"]
    assert caplog.records[0].exc_info is None


def test_a_log_that_fails_stops_no_trial(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(module, "log_trial", fail)
    world.write("next.json", routes=CLOSED)
    world.serve(routes=OPEN)
    for _ in range(2):
        ask(world.authz, request(token=mint()))
    assert world.counts() == "allow_to_deny 2"


# Keys


def test_keys_of_one_source_are_fetched_once(world: World, provider: Provider) -> None:
    provider.publish(jwk("ES256", kid="a"))
    entry = table(jwks_uri=f"{provider.origin}{JWKS}", jwks_cache={"file": "keys.json"})
    world.write("next.json", entry, routes=OPEN)
    authz = world.serve(entry, routes=OPEN)
    ask(authz, request(token=mint()))
    assert world.counts() == "same 1"
    authz.reload()
    assert became(ask(authz, request(token=mint()))) == "in"
    assert world.counts() == "same 1"
    assert provider.fetched() == 1


def test_a_candidate_writes_no_last_good_file(world: World, provider: Provider) -> None:
    """It would be the one of the policy in force, for another source."""
    provider.publish(jwk("ES256", kid="a"))
    file = {"file": "keys.json"}
    world.write(
        "next.json", table(jwks_uri=f"{provider.origin}{JWKS}", jwks_cache=file), routes=OPEN
    )
    entry = table(jwks_uri=f"{provider.origin}/other", jwks_cache=file)
    world.serve(entry, routes=OPEN)
    assert became(ask(world.authz, request(token=mint()))) == "keys_unavailable"
    assert world.counts() == "errors 1"
    assert provider.fetched() == 1
    assert not (world.directory / "keys.json").exists()


def test_a_candidate_that_is_promoted_brings_its_keys(world: World, provider: Provider) -> None:
    provider.publish(jwk("ES256", kid="a"))
    file = {"file": "keys.json"}
    entry = table(jwks_uri=f"{provider.origin}{JWKS}", jwks_cache=file)
    world.write("next.json", entry, routes=OPEN)
    authz = world.serve(routes=OPEN)
    ask(authz, request(token=mint()))
    assert world.counts() == "same 1"
    world.write("authz.json", entry, routes=OPEN)
    authz.reload()
    assert authz.trials() == ()
    assert became(ask(authz, request(token=mint()))) == "in"
    assert provider.fetched() == 1


# What is refused, and when


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "there is no such file"),
        ("", "the file is empty"),
        ("{", "this is not JSON"),
        ('{"issuers": []}', "no [[issuers]]"),
        (json.dumps(policy(candidate="next.json")), "a policy on trial has no `candidate`"),
        (json.dumps(policy(routes={"GET /me": ["vewer"]})), "vewer"),
    ],
    ids=["missing", "empty", "half", "hollow", "a candidate of its own", "a mistake"],
)
def test_a_broken_candidate(world: World, text: str | None, why: str) -> None:
    world.write("next.json", routes=OPEN)
    authz = world.serve(routes=OPEN)
    file = world.directory / "next.json"
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    for start in (authz.reload, lambda: world.serve(routes=OPEN)):
        with pytest.raises(PolicyError) as raised:
            start()
        (problem,) = raised.value.problems
        assert str(file) in problem.where
        assert why in problem.what
    assert authz.serving.generation == 1
    assert became(ask(authz, request(token=mint()))) == "in"


def test_mistakes_of_both_are_told_at_once(world: World) -> None:
    world.write("next.json", routes={"GET /me": []})
    with pytest.raises(PolicyError) as raised:
        world.serve(routes={"GET /you": []})
    assert ["authz.json" in each.where for each in raised.value.problems] == [True, False]


@pytest.mark.parametrize("name", [1, ""])
def test_a_candidate_is_a_file(world: World, name: Any) -> None:
    with pytest.raises(PolicyError, match="candidate"):
        world.serve(candidate=name)


def test_a_candidate_is_watched(world: World) -> None:
    world.write("next.json", routes=OPEN)
    authz = world.serve(routes=OPEN)
    assert not authz.in_force.files.changed()
    world.write("next.json", routes=CLOSED)
    assert authz.in_force.files.changed()
    authz.reload()
    ask(authz, request(token=mint()))
    assert world.counts() == "allow_to_deny 1"


def test_without_a_trial_nothing_is_counted(clock: Clock) -> None:
    authz = Authz.from_mapping(policy(), clock=clock)
    ask(authz, request(token=mint()))
    assert authz.trials() == ()


# The thread

LIVE = Decision(True, "allowed")


def trial() -> Trial:
    def decide(*_: object) -> Any:
        raise LookupError

    return Trial("x", decide)


def test_there_is_one_thread_and_it_ends_with_its_policy(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[threading.Thread] = []

    def start(work: Callable[[], None]) -> None:
        started.append(threading.Thread(target=work, daemon=True))
        started[-1].start()

    monkeypatch.setattr(module, "_on_a_thread", start)
    world.write("next.json", routes=OPEN)
    world.serve(routes={**OPEN, "GET /x": {"roles": ["viewer"], "mode": "shadow"}})
    assert world.authz.trials(30)[0].same == 0
    assert started == []  # a fork would not take it along
    for _ in range(3):
        ask(world.authz, request(token=mint()))
    assert world.counts() == "same 3"
    (thread,) = started
    gone = ref(world.authz.serving)
    world.authz.reload()
    gc.collect()
    assert gone() is None
    thread.join(30)
    assert not thread.is_alive()


def test_a_child_begins_anew() -> None:
    started: list[Callable[[], None]] = []
    trials = Trials([trial()], started.append)
    trials.hand(*request(), NOW, LIVE)
    trials._lock.acquire()
    trials.renew()
    trials.hand(*request(), NOW, LIVE)
    trials.hand(*request(), NOW, LIVE)
    assert len(started) == 2
    thread = threading.Thread(target=started[1], daemon=True)
    thread.start()
    assert trials.counts(30) == (TrialCounts("x", 0, 0, 0, 2, 0),)
    del trials
    thread.join(30)
    assert not thread.is_alive()


def test_no_thread_is_no_outage(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("can't start new thread")

    trials = Trials([trial()], fail)
    for _ in range(MAX_WAITING + 2):
        trials.hand(*request(), NOW, LIVE)
    assert trials.counts(30) == (TrialCounts("x", 0, 0, 0, 0, MAX_WAITING + 2),)
    assert trials._waiting.empty()  # in a request is its token
    assert caplog.messages == ["nothing is tried: can't start new thread"]


def test_a_trial_calls_nothing_of_the_app(world: World) -> None:
    """Of what hangs on an object nothing is said, whether it was loaded for the request or not."""
    called: list[object] = []

    def load(params: Any) -> dict[str, str]:
        called.append(params)
        return {"owner": "ann"}

    own = {"load": "article", "when": "resource.owner == subject.id"}
    routes = {"GET /a/<id>": own, "GET /b/<id>": "authenticated"}
    world.write("next.json", routes={"GET /a/<id>": own, "GET /b/<id>": own})
    tried = {"roles": ["editor"], "mode": "shadow"}
    world.write("authz.json", routes={**routes, "GET /b/c": tried}, candidate="next.json")
    file = world.directory / "authz.json"
    world.authz = Authz.from_file(file, clock=world.clock, loaders={"article": load})
    for path in ("/a/1", "/b/1"):
        for ask_ in (ask, ask_async):
            assert became(ask_(world.authz, request(path, token=mint(sub="ann")))) == "in"
    assert world.counts() == "errors 4"
    assert world.counts("shadow") == "same 2, errors 2"
    assert len(called) == 2
    assert asyncio.run(module.NoLoaders().load_async(cast("Any", None))) is Unloaded.FAILED
