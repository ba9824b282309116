"""One request through the engine: every branch, with real tokens and fake keys and cache."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from itertools import product
from math import inf
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm

from authz_middleware.document import Document, Report, Section
from authz_middleware.effects import (
    Admit,
    CachedToken,
    IntrospectionAnswer,
    KeysAnswer,
    NeedIntrospection,
    NeedKeys,
    Pending,
    Refuse,
    Routed,
    Unresolved,
)
from authz_middleware.engine import Engine
from authz_middleware.facts import (
    ANONYMOUS,
    Authorization,
    Decision,
    Principal,
    RequestFacts,
    RuleRef,
)
from authz_middleware.policy import load as loading
from authz_middleware.policy.binding import bind
from authz_middleware.policy.forbids import Forbid, Forbids
from authz_middleware.policy.model import Policy
from authz_middleware.policy.needs import Asked, When
from authz_middleware.policy.rules import Requirement
from authz_middleware.policy.template import parse
from authz_middleware.ruling import Ruling
from authz_middleware.tokens.claims import Verified
from authz_middleware.tokens.freshness import KeyView
from authz_middleware.tokens.introspection import Introspected, OpaqueToken
from authz_middleware.tokens.introspection_table import Introspection
from authz_middleware.tokens.issuers import Discovery, Issuer
from authz_middleware.tokens.keys import KeySet, from_jwks
from tests.policy.says import Says
from tests.ruled import ruled, table_of

NOW = 1_700_000_000.0
ISSUER = "https://login.example.com"
OTHER = "https://other.example.com"
ASKED = "https://asked.example.com"
PRIVATE = {kid: ec.generate_private_key(ec.SECP256R1()) for kid in ("one", "two", "stranger")}


def key_set(*kids: str) -> KeySet:
    members = [
        {**ECAlgorithm.to_jwk(PRIVATE[kid].public_key(), as_dict=True), "kid": kid} for kid in kids
    ]
    return from_jwks({"keys": members})


def mint(kid: str = "one", **claims: Any) -> str:
    payload = {"iss": ISSUER, "aud": "orders", "sub": "ann", "exp": NOW + 60, "roles": ["editor"]}
    headers = {"kid": kid, "typ": "at+jwt"}
    return jwt.encode({**payload, **claims}, PRIVATE[kid], algorithm="ES256", headers=headers)


class FakeKeys:
    """A key source whose view a test sets; an `old` set may lack a newer key."""

    def __init__(self, keys: KeySet | None, *, fetchable: bool = False, old: bool = False):
        self.refreshed = 0
        self.set(keys, fetchable=fetchable, old=old)

    def set(self, keys: KeySet | None, *, fetchable: bool = False, old: bool = False) -> None:
        self.current = KeyView(keys, fetchable, -inf if old else inf)

    def view(self, now: float) -> KeyView:
        assert now == NOW or now > NOW
        return self.current

    def holds(self, keys: KeySet, now: float) -> bool:
        return keys is self.view(now).keys

    def refresh(self, arrived: float) -> None:
        assert arrived == NOW
        assert self.current.fetchable
        self.refreshed += 1


class FakeIntrospection:
    """An issuer that is asked; a test sets what is held."""

    def __init__(self) -> None:
        self.answer: Introspected | None = None

    def believes(self, known: CachedToken, now: float) -> bool:
        return known.since <= now < known.until

    def held(self, digest: bytes, now: float) -> Introspected | None:
        return self.answer


class FakeCache:
    """A token cache that counts; it keeps no token text."""

    def __init__(self) -> None:
        self.entries: dict[bytes, CachedToken] = {}
        self.puts = 0

    def digest(self, token: bytes) -> bytes:
        return hashlib.sha256(token).digest()

    def get(self, digest: bytes) -> CachedToken | None:
        return self.entries.get(digest)

    def put(self, digest: bytes, entry: CachedToken) -> None:
        self.puts += 1
        self.entries[digest] = entry

    def discard(self, digest: bytes) -> None:
        self.entries.pop(digest, None)


ROUTES: dict[str, Any] = {
    "GET /public": "public",
    "GET /me": "authenticated",
    "GET /viewers": ["viewer"],
    "GET /admins": ["admin"],
    "GET /scoped": {"scopes": ["read"]},
    "GET /never": "deny",
    "WS /feed": ["viewer"],
    "GET /p/public": "authenticated",
    "/either": "authenticated",
    "/stepped": {"acr": ["urn:mfa"], "max_age": 300},
}
FORBID: dict[str, Any] = {
    "off": {"path": "/off/**"},
    "no deletes": {"methods": ["DELETE"], "path": "/viewers"},
    "strangers": {"path": "/public", "roles": ["admin"]},
    "no feed": {"methods": ["WS"], "path": "/either", "issuers": [ISSUER]},
}


class World:
    """An engine over fakes."""

    def __init__(self, keys: FakeKeys, *, preflight: RuleRef | None = None, **issuer: Any) -> None:
        report = Report(
            Document.from_mapping(
                {
                    "roles": {"viewer": [], "editor": {"inherits": ["viewer"]}, "admin": []},
                    "routes": ROUTES,
                    "forbid": FORBID,
                }
            )
        )
        policy = loading.load(
            Section.top(report),
            issuers=(ISSUER, OTHER, ASKED),
            token_permissions=False,
            leeways={ISSUER: 30.0},
        )
        report.raise_if_any()
        self.keys = keys
        self.others = FakeKeys(key_set("two"))
        self.cache = FakeCache()
        issuers = {
            name: Issuer(
                issuer=name,
                audience=frozenset({"orders"}),
                source=Discovery(name),
                **{"leeway": 0.0, **issuer},
            )
            for name in (ISSUER, OTHER)
        }
        source = Introspection(ASKED, f"{ASKED}/introspect", "tok_")
        issuers[ASKED] = Issuer(issuer=ASKED, audience=frozenset({"orders"}), source=source)
        sources = {ISSUER: keys, OTHER: self.others}
        self.asked = FakeIntrospection()
        self.engine = Engine(
            policy,
            issuers,
            sources,
            self.cache,
            introspection_sources={ASKED: self.asked},
            preflight=preflight,
        )

    def obey(self, policy: Policy) -> None:
        """Have another policy decide from now on."""
        self.engine.policy, self.engine.ruling = policy, Ruling(policy)

    def start(
        self,
        path: str | None,
        token: str | None = None,
        now: float = NOW,
        *,
        authorization: tuple[bytes, ...] = (),
        **more: Any,
    ):
        values = () if token is None else (b"Bearer " + token.encode(),)
        facts = RequestFacts(
            **{
                "kind": "http",
                "method": "GET",
                "path": path,
                "root_path": "",
                **more,
            }
        )
        return self.engine.start(facts, Authorization(authorization or values), now)


def told(outcome: object) -> tuple[str, str, str]:
    """What became of a request: in or out, why, and what became of the credentials."""
    assert isinstance(outcome, (Admit, Refuse))
    assert outcome.decision.allowed == isinstance(outcome, Admit)
    assert (outcome.principal is not None) == (outcome.credentials == "valid")
    return type(outcome).__name__, outcome.decision.reason, outcome.credentials


@pytest.fixture
def world() -> World:
    return World(FakeKeys(key_set("one")))


ABSENT: tuple[bytes, ...] = ()
REPEATED = (b"Bearer a", b"Bearer b")
BASIC = (b"Basic dTpw",)
INVALID = (b"Bearer abc",)


@pytest.mark.parametrize(
    ("path", "authorization", "outcome"),
    [
        ("/public", ABSENT, ("Admit", "allowed", "absent")),
        ("/public", BASIC, ("Admit", "allowed", "absent")),
        ("/public", REPEATED, ("Admit", "allowed", "invalid")),
        ("/public", (b"Bearer",), ("Admit", "allowed", "invalid")),
        ("/public", INVALID, ("Admit", "allowed", "invalid")),
        ("/me", ABSENT, ("Refuse", "no_credentials", "absent")),
        ("/me", BASIC, ("Refuse", "no_credentials", "absent")),
        ("/me", REPEATED, ("Refuse", "malformed_authorization", "invalid")),
        ("/me", INVALID, ("Refuse", "invalid_token", "invalid")),
        ("/never", ABSENT, ("Refuse", "no_credentials", "absent")),
        ("/never", REPEATED, ("Refuse", "malformed_authorization", "invalid")),
        ("/nowhere", ABSENT, ("Refuse", "no_credentials", "absent")),
        ("/nowhere", INVALID, ("Refuse", "invalid_token", "invalid")),
        ("/admins", REPEATED, ("Refuse", "malformed_authorization", "invalid")),
        # The path goes before everything
        ("/public/../me", REPEATED, ("Refuse", "path_ambiguous", "absent")),
        ("//public", ABSENT, ("Refuse", "path_ambiguous", "absent")),
        (None, ABSENT, ("Refuse", "path_ambiguous", "absent")),
        (None, INVALID, ("Refuse", "path_ambiguous", "absent")),
    ],
)
def test_without_a_valid_token(world: World, path, authorization, outcome) -> None:
    found = world.start(path, authorization=authorization)
    assert told(found) == outcome
    if isinstance(found, Admit):
        assert found.valid_until == inf
    assert world.cache.puts == 0


@pytest.mark.parametrize(
    ("path", "outcome"),
    [
        ("/public", ("Admit", "allowed", "valid")),
        ("/me", ("Admit", "allowed", "valid")),
        ("/viewers", ("Admit", "allowed", "valid")),
        ("/admins", ("Refuse", "role_missing", "valid")),
        ("/scoped", ("Refuse", "scope_missing", "valid")),
        ("/never", ("Refuse", "denied_by_rule", "valid")),
        ("/nowhere", ("Refuse", "no_rule", "valid")),
        ("/feed", ("Refuse", "method_not_listed", "valid")),
    ],
)
def test_with_a_valid_token_first_and_again(world: World, path, outcome) -> None:
    token = mint()
    first = world.start(path, token)
    assert told(first) == outcome
    assert world.start(path, token) == first
    assert world.cache.puts == 1  # verified once


def test_a_principal_is_expanded_once_and_valid_until_carries_the_leeway() -> None:
    world = World(FakeKeys(key_set("one")), leeway=10.0)
    outcome = world.start("/viewers", mint())
    assert isinstance(outcome, Admit)
    assert outcome.principal is not None
    assert outcome.principal.roles == {"editor", "viewer"}
    assert outcome.principal.expires_at == NOW + 60
    assert outcome.valid_until == NOW + 70


def test_a_handshake_is_asked_by_its_own_rules(world: World) -> None:
    assert told(world.start("/feed", mint(), kind="websocket")) == ("Admit", "allowed", "valid")
    refused = world.start("/me", mint(), kind="websocket")
    assert told(refused) == ("Refuse", "method_not_listed", "valid")


@pytest.mark.parametrize("method", ["WS", "ws", "ß", "", "GET ", "GE\x00T"])
@pytest.mark.parametrize("path", ["/public", "/feed", None])
def test_a_method_that_reads_in_two_ways(world: World, method, path) -> None:
    outcome = world.start(path, mint(), method=method)
    assert told(outcome) == ("Refuse", "method_ambiguous", "absent")


def test_methods_are_matched_upper_cased(world: World) -> None:
    assert told(world.start("/public", method="head")) == ("Admit", "allowed", "absent")


def test_every_reading_of_a_path_below_a_prefix_must_be_let_in(world: World) -> None:
    """/p/public may be /public below /p, or /p/public itself."""
    refused = world.start("/p/public", root_path="/p")
    assert told(refused) == ("Refuse", "no_credentials", "absent")
    assert told(world.start("/p/public", mint(), root_path="/p"))[:2] == ("Admit", "allowed")


DETAILS = {
    "expired": ({"exp": NOW}, "expired"),
    "not yet valid": ({"nbf": NOW + 1}, "not_yet_valid"),
    "another audience": ({"aud": "others"}, "wrong_audience"),
    "nobody's": ({"iss": "https://stranger.example.com"}, "unknown_issuer"),
    "bound to a key": ({"cnf": {"jkt": "x"}}, "proof_of_possession_unsupported"),
    "of the other issuer, by our key": ({"iss": OTHER}, "unknown_key"),
}


@pytest.mark.parametrize(("claims", "detail"), DETAILS.values(), ids=DETAILS)
def test_an_invalid_token(world: World, claims, detail) -> None:
    token = mint(**claims)
    refused = world.start("/me", token)
    assert told(refused) == ("Refuse", "invalid_token", "invalid")
    assert refused.decision.detail == detail
    assert refused.decision.rule.key == "GET /me"
    assert told(world.start("/public", token)) == ("Admit", "allowed", "invalid")
    assert world.cache.puts == 0


def test_each_issuer_is_verified_with_its_own_keys(world: World) -> None:
    assert told(world.start("/me", mint("two", iss=OTHER)))[0] == "Admit"
    assert told(world.start("/me", mint("two")))[:2] == ("Refuse", "invalid_token")


# The remembered token


def test_a_remembered_token_expires(world: World) -> None:
    """B21."""
    token = mint()
    assert told(world.start("/me", token))[0] == "Admit"
    assert told(world.start("/me", token, NOW + 59.9))[0] == "Admit"
    refused = world.start("/me", token, NOW + 60)
    assert told(refused) == ("Refuse", "invalid_token", "invalid")
    assert refused.decision.detail == "expired"
    assert told(world.start("/public", token, NOW + 60)) == ("Admit", "allowed", "invalid")
    assert world.cache.puts == 1


def test_a_remembered_token_is_not_valid_before_its_time(world: World) -> None:
    """The clock may be set back."""
    token = mint(nbf=NOW + 60, exp=NOW + 120)
    assert told(world.start("/me", token, NOW + 100))[0] == "Admit"
    assert told(world.start("/me", token, NOW + 60))[0] == "Admit"
    refused = world.start("/me", token, NOW + 59.9)
    assert told(refused) == ("Refuse", "invalid_token", "invalid")
    assert refused.decision.detail == "not_yet_valid"
    assert world.cache.puts == 1


def test_a_remembered_token_falls_with_its_key(world: World) -> None:
    token = mint()
    assert told(world.start("/me", token))[0] == "Admit"
    world.keys.set(key_set("two"))
    refused = world.start("/me", token)
    assert told(refused) == ("Refuse", "invalid_token", "invalid")
    assert refused.decision.detail == "unknown_key"


def test_a_remembered_token_is_verified_again_with_new_keys(world: World) -> None:
    token = mint()
    world.start("/me", token)
    world.keys.set(key_set("one", "two"))
    assert told(world.start("/me", token))[0] == "Admit"
    assert told(world.start("/me", token))[0] == "Admit"
    assert world.cache.puts == 2


def test_a_remembered_token_does_not_outlive_the_keys_at_hand(world: World) -> None:
    token = mint()
    world.start("/me", token)
    world.keys.set(None, old=True)
    assert told(world.start("/me", token)) == ("Refuse", "keys_unavailable", "unavailable")
    assert told(world.start("/public", token)) == ("Admit", "allowed", "unavailable")


# Keys that must be asked for

UNAVAILABLE = ("Refuse", "keys_unavailable", "unavailable")
KEYS = {
    # at hand, fetchable, old: for a known kid, for an unknown kid (what is not old lacks no key)
    "known": ("one", False, False, "Admit", "invalid_token"),
    "known, and may be asked": ("one", True, False, "Admit", "invalid_token"),
    "known, out of reach": ("one", False, True, "Admit", "keys_unavailable"),
    "known, out of reach, may be asked": ("one", True, True, "Admit", "pending"),
    "none": (None, False, False, "keys_unavailable", "keys_unavailable"),
    "none, and may be asked": (None, True, False, "pending", "pending"),
    "none, out of reach": (None, False, True, "keys_unavailable", "keys_unavailable"),
    "none, out of reach, may be asked": (None, True, True, "pending", "pending"),
}


def short(outcome: object) -> str:
    if isinstance(outcome, Pending):
        return "pending"
    assert isinstance(outcome, (Admit, Refuse))
    return outcome.decision.reason if isinstance(outcome, Refuse) else "Admit"


@pytest.mark.parametrize(("kid", "fetchable", "old", "known", "unknown"), KEYS.values(), ids=KEYS)
def test_keys_at_hand_or_not(kid, fetchable, old, known, unknown) -> None:
    keys = key_set(kid) if kid else None
    world = World(FakeKeys(keys, fetchable=fetchable, old=old))
    assert short(world.start("/me", mint("one"))) == known
    assert short(world.start("/me", mint("two"))) == unknown
    assert world.keys.refreshed == 0
    # A public route lets everybody in, and waits for nothing; but it does not leave it at that.
    for token, outcome in ((mint("one"), known), (mint("two"), unknown)):
        admitted = world.start("/public", token)
        credentials = {"Admit": "valid", "invalid_token": "invalid"}.get(outcome, "unavailable")
        assert told(admitted) == ("Admit", "allowed", credentials)
    assert world.keys.refreshed == (known, unknown).count("pending")


def test_a_token_that_could_never_be_accepted_makes_nobody_fetch() -> None:
    world = World(FakeKeys(None, fetchable=True))
    unsigned = jwt.encode({"iss": ISSUER}, "", algorithm="none", headers={"typ": "at+jwt"})
    for token in (mint(iss="https://stranger.example.com"), unsigned, "opaque"):
        assert told(world.start("/me", token)) == ("Refuse", "invalid_token", "invalid")


def test_a_bad_signature_under_a_known_kid_makes_nobody_fetch() -> None:
    world = World(FakeKeys(key_set("one"), fetchable=True, old=True))
    forged = jwt.encode(
        {"iss": ISSUER},
        PRIVATE["stranger"],
        algorithm="ES256",
        headers={"kid": "one", "typ": "at+jwt"},
    )
    refused = world.start("/me", forged)
    assert told(refused) == ("Refuse", "invalid_token", "invalid")
    assert refused.decision.detail == "bad_signature"


def resumed(world: World, pending: object, view: KeyView, now: float = NOW):
    """Answer the one effect of a request that waits, and return its outcome."""
    assert isinstance(pending, Pending)
    steps = world.engine.resume(pending)
    assert next(steps) == NeedKeys(ISSUER, NOW)
    with pytest.raises(StopIteration) as stop:
        steps.send(KeysAnswer(view, now))
    return stop.value.value


@pytest.mark.parametrize(
    ("path", "view", "outcome"),
    [
        ("/me", KeyView(key_set("one"), False, NOW), ("Admit", "allowed", "valid")),
        ("/admins", KeyView(key_set("one"), False, NOW), ("Refuse", "role_missing", "valid")),
        # the fetch failed, and the set held before is still good
        ("/me", KeyView(key_set("one"), False, -inf), ("Admit", "allowed", "valid")),
        ("/me", KeyView(None, False, -inf), UNAVAILABLE),
        ("/me", KeyView(None, True, -inf), UNAVAILABLE),
        ("/me", KeyView(key_set("two"), False, -inf), UNAVAILABLE),
        ("/me", KeyView(key_set("two"), False, NOW), ("Refuse", "invalid_token", "invalid")),
        # asked once: a second time is another request's affair
        ("/me", KeyView(key_set("two"), True, NOW), ("Refuse", "invalid_token", "invalid")),
    ],
)
def test_resuming(path, view, outcome) -> None:
    world = World(FakeKeys(None, fetchable=True))
    found = resumed(world, world.start(path, mint()), view)
    assert told(found) == outcome
    assert world.cache.puts == (outcome[2] == "valid")
    if isinstance(found, Refuse):
        assert found.decision.rule is not None
        assert found.decision.rule.key == f"GET {path}"


def test_a_token_may_expire_while_it_waits() -> None:
    world = World(FakeKeys(None, fetchable=True))
    pending = world.start("/me", mint())
    found = resumed(world, pending, KeyView(key_set("one"), False, NOW), NOW + 60)
    assert told(found) == ("Refuse", "invalid_token", "invalid")
    assert found.decision.detail == "expired"


# The token says when it was issued, the set as of when it is: leeway is 10 seconds.
YOUNGER = [
    pytest.param(NOW, {}, "invalid_token", id="of this very moment"),
    pytest.param(NOW - 1, {}, "keys_unavailable", id="the token does not say"),
    pytest.param(NOW - 1, {"iat": NOW - 1}, "keys_unavailable", id="issued since"),
    pytest.param(NOW - 20, {"iat": NOW - 30}, "keys_unavailable", id="clocks differ"),
    pytest.param(NOW - 20, {"iat": NOW - 31}, "invalid_token", id="issued before"),
    pytest.param(NOW - 20, {"iat": -(10**600)}, "invalid_token", id="issued before all time"),
    pytest.param(NOW - 20, {"iat": NOW + 100}, "invalid_token", id="from the future"),
    pytest.param(NOW - 20, {"iat": True}, "invalid_token", id="no time"),
    pytest.param(NOW - 20, {"exp": NOW - 11}, "invalid_token", id="expired, whatever its key"),
    pytest.param(NOW - 20, {"aud": "x"}, "invalid_token", id="not for us, whatever its key"),
]


@pytest.mark.parametrize(("as_of", "claims", "reason"), YOUNGER)
def test_a_key_that_may_be_younger_than_our_set_is_not_the_callers_fault(
    as_of, claims, reason
) -> None:
    """D09, D10: no wrong 401 where the cooldown was spent by somebody else."""
    world = World(FakeKeys(None), leeway=10.0)
    world.keys.current = KeyView(key_set("two"), False, as_of)
    token = mint(**claims)
    refused = world.start("/me", token)
    assert refused.decision.reason == reason
    if reason == "keys_unavailable":
        assert refused.decision.detail == "unknown_key"
    credentials = {"invalid_token": "invalid", "keys_unavailable": "unavailable"}[reason]
    assert told(world.start("/public", token)) == ("Admit", "allowed", credentials)


@pytest.mark.parametrize("claims", [{"exp": NOW}, {"aud": "x"}, {"cnf": {}}, {"sub": ""}])
def test_a_token_that_no_key_could_make_good_makes_nobody_fetch(claims) -> None:
    for keys in (None, key_set("two")):
        world = World(FakeKeys(keys, fetchable=True, old=True))
        assert short(world.start("/me", mint(**claims))) == "invalid_token"


def test_a_token_that_came_while_the_fetch_was_in_flight_may_have_a_newer_key() -> None:
    """A key may have been published between the answer and the token."""
    world = World(FakeKeys(None, fetchable=True))
    pending = world.start("/me", mint())
    assert isinstance(pending, Pending)
    assert pending.arrived == NOW
    found = resumed(world, pending, KeyView(key_set("two"), False, NOW - 0.5), NOW + 1)
    assert told(found) == UNAVAILABLE
    assert found.decision.detail == "unknown_key"


def test_what_was_verified_after_waiting_is_remembered() -> None:
    world = World(FakeKeys(None, fetchable=True))
    token = mint()
    keys = key_set("one")
    resumed(world, world.start("/me", token), KeyView(keys, False, NOW))
    world.keys.set(keys)
    assert told(world.start("/me", token))[0] == "Admit"
    assert world.cache.puts == 1


# Tokens that their issuer is asked about


def good(until: float = NOW + 60, **fields: Any) -> Introspected:
    principal = Principal(subject="ann", issuer=ASKED, expires_at=until, **fields)
    return Introspected(Verified(principal, NOW - 60, until))


HELD = {
    "good": (good(), ("Admit", "allowed", "valid"), "valid"),
    "good no longer": (good(NOW), ("Refuse", "invalid_token", "invalid"), "invalid"),
    "inactive": (
        Introspected(refused="inactive"),
        ("Refuse", "invalid_token", "invalid"),
        "invalid",
    ),
    "out of reach": (
        Introspected(unavailable="paused"),
        ("Refuse", "introspection_unavailable", "unavailable"),
        "unavailable",
    ),
}


@pytest.mark.parametrize(("answer", "outcome", "on_public"), HELD.values(), ids=HELD)
@pytest.mark.parametrize("token", ["tok_x", mint(iss=ASKED)], ids=["opaque", "JWT"])
def test_what_is_held_of_an_opaque_token(world: World, token, answer, outcome, on_public) -> None:
    world.asked.answer = answer
    assert told(world.start("/me", token)) == outcome
    assert told(world.start("/public", token)) == ("Admit", "allowed", on_public)


@pytest.mark.parametrize(("answer", "outcome", "on_public"), HELD.values(), ids=HELD)
@pytest.mark.parametrize("token", ["tok_x", mint(iss=ASKED)], ids=["opaque", "JWT"])
def test_what_is_not_held_is_asked(world: World, token, answer, outcome, on_public) -> None:
    del on_public
    assert told(world.start("/public", token)) == ("Admit", "allowed", "unavailable")
    pending = world.start("/me", token)
    assert isinstance(pending, Pending)
    assert token not in repr(pending)
    steps = world.engine.resume(pending)
    effect = next(steps)
    assert effect == NeedIntrospection(
        ASKED, OpaqueToken(token), world.cache.digest(token.encode())
    )
    with pytest.raises(StopIteration) as stop:
        steps.send(IntrospectionAnswer(answer, NOW))
    assert told(stop.value.value) == outcome


def test_an_opaque_token_may_expire_while_it_waits(world: World) -> None:
    steps = world.engine.resume(world.start("/me", "tok_x"))
    next(steps)
    with pytest.raises(StopIteration) as stop:
        steps.send(IntrospectionAnswer(good(NOW + 5), NOW + 5))
    assert told(stop.value.value) == ("Refuse", "invalid_token", "invalid")
    assert stop.value.value.decision.detail == "expired"


def test_an_answer_is_believed_for_its_time_only(world: World) -> None:
    """I07."""
    token, verified = "tok_x", good().verified
    assert verified is not None
    entry = CachedToken(ASKED, None, verified, NOW, NOW + 10)
    world.cache.put(world.cache.digest(token.encode()), entry)
    assert told(world.start("/me", token))[0] == "Admit"
    assert told(world.start("/me", token, NOW + 9.9))[0] == "Admit"
    assert isinstance(world.start("/me", token, NOW + 10), Pending)
    world.asked.answer = Introspected(refused="inactive")
    assert told(world.start("/me", token, NOW + 10))[1] == "invalid_token"


def test_a_token_without_the_prefix_is_nobodys(world: World) -> None:
    refused = world.start("/me", "other_x")
    assert told(refused) == ("Refuse", "invalid_token", "invalid")
    assert refused.decision.detail == "unknown_prefix"


# Preflights


@pytest.mark.parametrize("path", ["/never", "/nowhere"])
def test_a_preflight_asks_for_what_somebody_may_do(path) -> None:
    world = World(FakeKeys(None, fetchable=True), preflight=RuleRef("preflight", "authz.toml:1:1"))
    outcome = world.start(path, method="OPTIONS", preflight="GET")
    assert told(outcome) == ("Refuse", "no_credentials", "absent")


@pytest.mark.parametrize(
    ("preflight", "authorization"), [("G T", ()), ("WS", ()), ("PUT", ()), ("GET", (b"Basic x",))]
)
def test_what_is_no_true_preflight_is_refused(preflight, authorization) -> None:
    world = World(FakeKeys(None, fetchable=True), preflight=RuleRef("preflight", "authz.toml:1:1"))
    facts = RequestFacts("http", "OPTIONS", "/me", "", preflight)
    assert told(world.engine.start(facts, Authorization(authorization), NOW))[0] == "Refuse"


@pytest.mark.parametrize("path", ["/me", "/public"])
def test_a_preflight_passes_where_the_policy_says_so(path) -> None:
    world = World(FakeKeys(None, fetchable=True), preflight=RuleRef("preflight", "authz.toml:1:1"))
    outcome = world.start(path, method="OPTIONS", preflight="GET")
    assert told(outcome) == ("Admit", "allowed", "absent")
    assert outcome.decision.rule.key == "preflight"  # whatever rule the request itself will meet
    assert told(world.start("//me", method="OPTIONS", preflight="GET"))[1] == "path_ambiguous"
    assert told(world.start(path, method="OPTIONS"))[1] == "no_credentials"


def test_a_preflight_is_a_request_like_any_other_by_default(world: World) -> None:
    outcome = world.start("/me", method="OPTIONS", preflight="GET")
    assert told(outcome) == ("Refuse", "no_credentials", "absent")


# Whatever comes


@given(
    st.sampled_from(("http", "websocket")),
    st.one_of(st.sampled_from(("GET", "WS", "options")), st.text(max_size=5)),
    st.one_of(st.none(), st.sampled_from(("/me", "/public")), st.text(max_size=10)),
    st.sampled_from(("", "/", "/p", "p", "//")),
    st.lists(st.one_of(st.binary(), st.just(b"Bearer a.b.c")), max_size=2).map(tuple),
)
def test_any_request_has_an_outcome(kind, method, path, root_path, authorization) -> None:
    world = World(FakeKeys(key_set("one")))
    outcome = world.start(
        path, kind=kind, method=method, root_path=root_path, authorization=authorization
    )
    assert isinstance(outcome, (Admit, Refuse))
    if isinstance(outcome, Admit):
        assert outcome.decision.rule is not None
        assert outcome.decision.rule.key == "GET /public"
        assert outcome.principal is None
    assert b"Bearer" not in repr(outcome).encode()


# What an HTTP request may turn out to be


def test_a_handshake_over_http_must_be_allowed_both(world: World) -> None:
    """An app behind WSGI may take it for a WebSocket, or not: no rule may be got round."""

    def start(path: str) -> tuple[str, ...]:
        return told(
            world.engine.start(RequestFacts("http", "GET", path, "", "", True), ANONYMOUS, NOW)
        )

    assert start("/public")[:2] == ("Refuse", "no_credentials")  # GET is public, WS not listed
    assert start("//public")[1] == "path_ambiguous"


def test_a_path_that_something_else_contradicts_is_ambiguous(world: World) -> None:
    facts = RequestFacts("http", "GET", "/public", "", ambiguous=True)
    assert told(world.engine.start(facts, ANONYMOUS, NOW))[1] == "path_ambiguous"


# What is forbidden


@pytest.mark.parametrize(
    ("path", "method", "authorization", "outcome"),
    [
        # Whoever calls: before the question who that is
        ("/off", "GET", ABSENT, ("Refuse", "forbidden", "absent")),
        ("/OFF/x", "GET", INVALID, ("Refuse", "forbidden", "absent")),
        ("/off/x", "PURGE", REPEATED, ("Refuse", "forbidden", "absent")),
        ("/viewers", "DELETE", ABSENT, ("Refuse", "forbidden", "absent")),
        ("/viewers", "GET", ABSENT, ("Refuse", "no_credentials", "absent")),
        # The path goes before everything
        ("/off//x", "GET", ABSENT, ("Refuse", "path_ambiguous", "absent")),
        # An anonymous caller has no roles, whatever became of the credentials
        ("/public", "GET", ABSENT, ("Admit", "allowed", "absent")),
        ("/public", "GET", INVALID, ("Admit", "allowed", "invalid")),
        ("/public", "GET", REPEATED, ("Admit", "allowed", "invalid")),
    ],
)
def test_forbidden_without_a_valid_token(world: World, path, method, authorization, outcome):
    assert told(world.start(path, method=method, authorization=authorization)) == outcome
    assert world.cache.puts == 0


@pytest.mark.parametrize(
    ("path", "roles", "outcome"),
    [
        ("/off", ["admin"], ("Refuse", "forbidden", "absent")),
        ("/public", ["admin"], ("Refuse", "forbidden_to_caller", "valid")),
        ("/public", ["editor"], ("Admit", "allowed", "valid")),
    ],
)
def test_forbidden_with_a_token_verified_now_or_before(world: World, path, roles, outcome) -> None:
    token = mint(roles=roles)
    for _ in range(2):
        assert told(world.start(path, token)) == outcome


def test_a_public_route_with_a_forbid_still_waits_for_nothing() -> None:
    world = World(FakeKeys(None, fetchable=True))
    assert told(world.start("/public", mint(roles=["admin"]))) == (
        "Admit",
        "allowed",
        "unavailable",
    )
    assert world.keys.refreshed == 1
    world.asked.answer = Introspected(unavailable="down")
    assert told(world.start("/public", "tok_x")) == ("Admit", "allowed", "unavailable")
    assert told(world.start("/off", "tok_x")) == ("Refuse", "forbidden", "absent")


def test_a_forbid_counts_for_both_that_a_handshake_over_wsgi_may_be(world: World) -> None:
    assert told(world.start("/either", mint())) == ("Admit", "allowed", "valid")
    refused = world.start("/either", mint(), upgrade=True)
    assert told(refused) == ("Refuse", "forbidden_to_caller", "valid")
    assert isinstance(refused, Refuse)
    assert refused.decision.rule is not None
    assert refused.decision.rule.key == "forbid.no feed"


@pytest.mark.parametrize(
    ("path", "wanted", "reason"),
    [
        ("/viewers", "GET", "allowed"),
        ("/viewers", "DELETE", "no_credentials"),  # a request like any other
        ("/off", "GET", "forbidden"),  # before it is a preflight
        ("/public", "GET", "allowed"),  # whom that is forbidden to, the request will tell
    ],
)
def test_a_preflight_for_what_is_forbidden_does_not_pass(path, wanted, reason) -> None:
    world = World(FakeKeys(key_set("one")), preflight=RuleRef("preflight", "x:1:1"))
    outcome = world.start(path, method="OPTIONS", preflight=wanted)
    assert told(outcome)[1] == reason


@pytest.mark.parametrize("token", [None, "not a JWT", "unavailable", "verified"])
@pytest.mark.parametrize("path", ["/public", "/me"])
def test_a_condition_sees_the_caller_that_the_app_will_see(path, token) -> None:
    """And the request, and the time: also of a forbid, for whom nobody knows."""
    seen: list[Asked] = []

    def condition(asked: Asked) -> bool:
        seen.append(asked)
        return True

    world = World(FakeKeys(None if token == "unavailable" else key_set("one")))
    need = When(Says(condition, reads_caller=True))
    forbid = Forbid((), Requirement("forbid", RuleRef("f", "x:1:1"), need), parse("/**"))
    forbids = Forbids([(parse("/**"), forbid)])
    world.obey(replace(world.engine.policy, forbids=forbids))
    minted = mint() if token in ("unavailable", "verified") else token
    outcome = world.start(path, minted)
    verified = token == "verified"
    if path == "/me" and not verified:
        assert isinstance(outcome, Refuse)
        assert not outcome.decision.reason.startswith("forbidden")
        assert seen == []  # not before it is known who calls
        return
    assert told(outcome)[1] == ("forbidden_to_caller" if verified else "forbidden")
    assert {asked.now for asked in seen} == {NOW}
    assert {asked.facts.path for asked in seen if asked.facts} == {path}
    assert {asked.principal is not None for asked in seen} == {verified}


SECOND = {
    "another route": ("/me", "GET", ["editor"], "allowed"),
    "forbidden to all, for the path by now": ("/off", "GET", ["editor"], "forbidden"),
    "forbidden to all, and anonymous": ("/off", "GET", None, "forbidden"),
    "forbidden to the caller": ("/public", "GET", ["admin"], "forbidden_to_caller"),
    "public, and anonymous": ("/public", "GET", None, "allowed"),
    "not public, and anonymous": ("/me", "GET", None, "no_credentials"),
    "another method": ("/viewers", "DELETE", ["editor"], "forbidden"),
    "a step-up": ("/stepped", "GET", ["editor"], "allowed"),
    "a step-up, too late": ("/stepped", "GET", ["late"], "authentication_too_old"),
}


@pytest.mark.parametrize(("path", "method", "roles", "reason"), SECOND.values(), ids=SECOND)
def test_where_the_app_has_come_to_counts_too(world: World, path, method, roles, reason) -> None:
    """A middleware inside that rewrites the path gets no further than the policy lets it."""
    claims: dict[str, Any] = {
        "acr": "urn:mfa",
        "auth_time": NOW - (310 if roles == ["late"] else 0),
    }
    token = None if roles is None else mint(roles=roles, **claims)
    first = "/public" if roles is None else "/either"
    admit = world.start(first, token)
    assert isinstance(admit, Admit)
    facts = RequestFacts("http", "GET", first, "")
    asked = Routed("taken", "http", method, path)
    outcome = world.engine.again(admit, facts, asked, None, NOW + 30)
    assert not isinstance(outcome, Unresolved)
    decision = outcome.decision
    assert (decision.allowed, decision.reason) == (reason == "allowed", reason)


@pytest.mark.parametrize(
    ("taken", "kind", "method", "path", "roles", "reason"),
    [
        ("GET /admins", "http", "GET", "/admins", ["admin"], "allowed"),
        ("GET /admins", "http", "GET", "/public", ["viewer"], "role_missing"),
        ("GET /admins", "websocket", "GET", "/either", ["viewer"], "role_missing"),
        ("GET /admins", "websocket", "GET", "/either", ["admin"], "allowed"),
        ("WS /feed", "http", "GET", "/either", ["admin"], "role_missing"),
        ("WS /feed", "http", "GET", "/either", ["viewer"], "allowed"),
        ("WS /feed", "http", "DELETE", "/admins", ["viewer"], "method_not_listed"),
    ],
)
def test_the_route_that_was_taken_counts_too(
    world: World, taken, kind, method, path, roles, reason
) -> None:
    """What is written for one method is not to be had by another: nor HTTP by a handshake."""
    anybody = dict.fromkeys(["/either", "WS /admins", "GET /feed"], "authenticated")
    kept = {"GET /admins": ["admin"], "WS /feed": ["viewer"]}
    world.obey(ruled({**anybody, "GET /public": "public", **kept}))
    table = table_of("GET /admins", "WS /feed", "GET /either")
    binding = bind(world.engine.policy, table)
    admit = world.start("/either", mint(roles=roles))
    assert isinstance(admit, Admit)
    facts = RequestFacts("http", "GET", "/either", "")
    asked = Routed(taken, kind, method, path)
    outcome = world.engine.again(admit, facts, asked, binding, NOW)
    assert not isinstance(outcome, Unresolved)
    assert outcome.decision.reason == reason


def test_a_path_that_is_ambiguous_for_what_the_route_serves(world: World) -> None:
    rules = {"GET /<page>": "authenticated", "WS /<page>": "public", "/admins": ["admin"]}
    world.obey(ruled(rules))
    binding = bind(world.engine.policy, table_of("WS /<page>"))
    facts = RequestFacts("http", "GET", "/x", "", exact=True)
    admit = world.engine.start(facts, Authorization([f"Bearer {mint()}".encode()]), NOW)
    assert isinstance(admit, Admit)
    for path, reason in ("/y", "allowed"), ("/ADMINS", "path_ambiguous"):
        asked = Routed("WS /<page>", "http", "GET", path)
        outcome = world.engine.again(admit, facts, asked, binding, NOW)
        assert not isinstance(outcome, Unresolved)
        assert outcome.decision.reason == reason


SETTLED_RULES: dict[str, Any] = {
    "/**": "authenticated",
    "/open/<x>": "public",
    "GET /a/<x>": ["viewer"],
    "POST /a/<x>": ["editor"],
    "/a/me": ["editor"],
    "WS /a/<x>": ["admin"],
    "/when/<x>": {"roles": ["viewer"], "when": "resource.params.x == '1'"},
    "/stepped": {"roles": ["viewer"], "max_age": 60},
    "/closed": "deny",
}
SETTLED_POLICIES = (
    ruled(SETTLED_RULES),
    ruled(
        SETTLED_RULES,
        forbid={
            "no admins": {"path": "/a/<x>", "roles": ["admin"]},
            "later": {
                "path": "/open/<x>",
                "when": "context.time > timestamp('2023-11-14T22:14:00Z')",
            },
        },
    ),
)
SETTLED_TABLE = ("GET|POST /a/<x>", "/a/me", "WS /a/<x>", "/open/<x>", "/when/<x>", "/stepped")
SETTLED_PATHS = ("/a/me", "/a/1", "/open/1", "/when/1", "/stepped", "/b")
SETTLED_ROLES = (None, ["viewer"], ["editor"], ["viewer", "editor", "admin"])


@pytest.mark.parametrize("policy", SETTLED_POLICIES, ids=["rules", "rules and a forbid"])
def test_what_is_settled_at_once_is_what_would_be_decided(policy: Policy) -> None:
    """Where the second look asks no rule again, all of them would have said the same."""
    world = World(FakeKeys(key_set("one")))
    world.obey(policy)
    binding = bind(policy, table_of(*SETTLED_TABLE))
    settled = 0
    for roles, path, method, upgrade in product(
        SETTLED_ROLES, SETTLED_PATHS, ("GET", "POST", "get"), (False, True)
    ):
        token = None if roles is None else mint(roles=roles, auth_time=NOW)
        admit = world.start(path, token, method=method, upgrade=upgrade)
        if not isinstance(admit, Admit):
            continue
        facts = RequestFacts("http", method, path, "", upgrade=upgrade)
        for taken, kind, asked_method, asked_path, bound in product(
            (*SETTLED_TABLE, "late"),
            ("http", "websocket"),
            dict.fromkeys((method, "GET", "DELETE")),
            dict.fromkeys((path, "/a/me", "/a/1")),
            (binding, None),
        ):
            asked = Routed(taken, kind, asked_method, asked_path)
            if not world.engine.is_settled(admit, facts, asked, bound):
                continue
            settled += 1
            # What has come of a step-up, and of a condition, is asked at the time of the look.
            decided = world.engine.again(admit, facts, asked, bound, NOW + 91)
            assert isinstance(decided, Admit), asked
            assert decided.decision == admit.decision, asked
            assert decided.requirements == admit.requirements, asked
    assert settled


def test_what_lets_in_is_whole(world: World) -> None:
    """It is made without being counted."""
    admit = world.start("/me", mint())
    assert isinstance(admit, Admit)
    assert admit == Admit(
        admit.decision,
        admit.principal,
        "valid",
        admit.valid_until,
        requirements=admit.requirements,
        at=NOW,
    )


PREFLIGHT = Admit(
    Decision(True, "allowed", RuleRef("preflight", "x")), None, "absent", inf, requirements=None
)
LEFT_TO_THE_APP = Admit(Decision(True, "allowed", RuleRef("default", "x")), None, "absent", inf)


@pytest.mark.parametrize(
    ("admit", "asked", "reason"),
    [
        (PREFLIGHT, ("http", "OPTIONS", "/viewers"), "allowed"),
        (PREFLIGHT, ("http", "OPTIONS", "/svc/viewers"), "allowed"),  # another reading of it
        (PREFLIGHT, ("http", "OPTIONS", "/admins"), "no_credentials"),
        (PREFLIGHT, ("http", "GET", "/viewers"), "no_credentials"),
        (PREFLIGHT, ("websocket", "GET", "/viewers"), "no_credentials"),
        (PREFLIGHT, ("http", "O P", "/viewers"), "method_ambiguous"),
        (PREFLIGHT, ("http", "OPTIONS", "/x/../viewers"), "path_ambiguous"),
        (PREFLIGHT, ("http", "GET", "/public"), "allowed"),
        (LEFT_TO_THE_APP, ("http", "OPTIONS", "/viewers"), "no_credentials"),
    ],
)
def test_looking_again_at_what_was_let_in_without_a_rule(world: World, admit, asked, reason):
    facts = RequestFacts("http", "OPTIONS", "/svc/viewers", "/svc")
    rewritten = Routed("taken", *asked)
    outcome = world.engine.again(admit, facts, rewritten, None, NOW)
    assert not isinstance(outcome, Unresolved)
    assert outcome.decision.reason == reason


# Step-up


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"acr": "urn:mfa", "auth_time": NOW - 330}, "allowed"),
        ({"acr": "urn:mfa", "auth_time": NOW - 331}, "authentication_too_old"),
        ({"acr": "urn:pwd", "auth_time": NOW}, "acr_not_met"),
        ({}, "acr_not_met"),
    ],
)
def test_a_step_up_is_looked_at_on_each_request(world: World, claims, reason) -> None:
    """U05, U06: only once the token is good, from its claims, also if it is remembered."""
    token = mint(**claims)
    for _ in range(2):
        outcome = world.start("/stepped", token)
        assert told(outcome)[1:] == (reason, "valid")
    later = world.start("/stepped", token, NOW + 50)
    assert told(later)[1] == (reason if reason == "acr_not_met" else "authentication_too_old")
    assert told(world.start("/stepped", mint(exp=NOW - 99)))[1] == "invalid_token"


def test_a_step_up_after_waiting_has_the_time_of_the_answer() -> None:
    world = World(FakeKeys(None, fetchable=True))
    pending = world.start("/stepped", mint(acr="urn:mfa", auth_time=NOW - 300))
    assert isinstance(pending, Pending)
    steps = world.engine.resume(pending)
    next(steps)
    with pytest.raises(StopIteration) as stopped:
        steps.send(KeysAnswer(KeyView(key_set("one"), False, inf), NOW + 31))
    assert told(stopped.value.value)[1] == "authentication_too_old"


def test_what_holds_by_the_time_that_nobody_waits_any_more_is_allowed(world: World) -> None:
    late = "context.time >= timestamp('2023-11-14T22:13:21Z')"  # a second after NOW
    condition = {"load": "article", "when": "resource.open"}
    world.obey(ruled({"/x/<id>": {"any": [condition, {"when": late}]}}))
    unresolved = world.start("/x/1", mint())
    assert isinstance(unresolved, Unresolved)
    refused = world.engine.give_up(unresolved, NOW)
    assert isinstance(refused, Refuse)
    assert not refused.decision.allowed
    admit = world.engine.give_up(unresolved, NOW + 1)
    assert isinstance(admit, Admit)
    assert admit.decision.allowed
    assert admit.requirements == unresolved.requirements


@pytest.mark.parametrize("waits", ["/x/a/<id>", "/a/<id>"])
def test_whichever_rule_waits_is_waited_for(world: World, waits: str) -> None:
    """Both decide: the app may route on the path with its prefix, or without."""
    rules: dict[str, Any] = {"/x/a/<id>": ["editor"], "/a/<id>": ["editor"]}
    world.obey(ruled({**rules, waits: {"load": "article", "when": "resource.open"}}))
    assert isinstance(world.start("/x/a/1", mint(), root_path="/x"), Unresolved)


PASSES = RuleRef("preflight", "authz.toml:1:1")
MADE_UP = {
    "another method was made of it": {"method": "DELETE"},
    "it is a handshake as well": {"method": "OPTIONS", "upgrade": True},
}


@pytest.mark.parametrize("made", MADE_UP.values(), ids=MADE_UP)
def test_what_only_looks_like_a_preflight_is_refused(made: dict[str, Any]) -> None:
    world = World(FakeKeys(None, fetchable=True), preflight=PASSES)
    passes = world.start("/me", method="OPTIONS", preflight="GET")
    assert passes.decision.allowed
    assert not world.start("/me", preflight="GET", **made).decision.allowed


@pytest.mark.parametrize(
    ("taken", "late", "allowed"),
    [("GET /me", False, True), ("GET /added", False, False), ("GET /me/x", True, False)],
)
def test_a_preflight_gets_no_further_than_to_what_is_known(
    taken: str, late: bool, allowed: bool
) -> None:
    world = World(FakeKeys(None, fetchable=True), preflight=PASSES)
    binding = bind(world.engine.policy, table_of("GET /me"))
    admit = world.start("/me", method="OPTIONS", preflight="GET")
    assert isinstance(admit, Admit)
    facts = RequestFacts("http", "OPTIONS", "/me", "", "GET")
    asked = Routed(taken, "http", "OPTIONS", "/me", late)
    outcome = world.engine.again(admit, facts, asked, binding, NOW)
    assert outcome.decision.allowed is allowed  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("taken", "path", "roles", "reason"),
    [
        ("GET|WS /feed/<x>", "/feed/me", ["viewer"], "role_missing"),
        ("GET|WS /feed/<x>", "/feed/me", ["viewer", "admin"], "allowed"),
        ("GET|WS /feed/me", "/feed/me", ["viewer"], "allowed"),
        ("GET|WS /feed/<x>", "/feed/1", ["viewer"], "role_missing"),
        ("GET|WS /feed/me", "/feed//1", ["viewer"], "path_ambiguous"),
    ],
)
def test_what_may_become_a_websocket_must_be_allowed_as_one_where_it_has_come_to(
    world: World, taken: str, path: str, roles: list[str], reason: str
) -> None:
    world.obey(
        ruled(
            {
                "GET /feed/<x>": ["viewer"],
                "WS /feed/<x>": ["admin"],
                "GET|WS /feed/me": ["viewer"],
            }
        )
    )
    binding = bind(world.engine.policy, table_of("GET|WS /feed/<x>", "GET|WS /feed/me"))
    facts = RequestFacts("http", "GET", "/feed/me", "", upgrade=True)
    admit = world.start("/feed/me", mint(roles=roles), upgrade=True)
    assert isinstance(admit, Admit)
    outcome = world.engine.again(admit, facts, Routed(taken, "http", "GET", path), binding, NOW)
    assert not isinstance(outcome, Unresolved)
    assert outcome.decision.reason == reason
