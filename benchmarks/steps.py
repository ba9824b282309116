"""Where each microsecond goes: the steps of both paths, each by itself.

A step is called in a loop with the arguments that it gets on the path. It explains the figures of
the groups `hot` and `cold`, and shows where the next saving would be. The bars are those of what
none of these has: a condition, and the second look inside of a framework's app.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from itertools import cycle
from time import process_time
from typing import Any

from authz_middleware import Access, Authz, bearer
from authz_middleware.access import enter, leave
from authz_middleware.effects import Admit, CachedToken
from authz_middleware.facts import Authorization, RequestFacts
from authz_middleware.policy.canonical import readings
from authz_middleware.runtime.cache import VerifiedTokens
from authz_middleware.tokens import signature, verify
from authz_middleware.tokens.claims import check_times, verify_claims
from authz_middleware.tokens.compact import parse
from authz_middleware.tokens.issuers import Issuer, StaticKeys
from authz_middleware.tokens.keys import KeySet
from benchmarks.calling import asgi_batch, bare_asgi, event_loop
from benchmarks.contenders import Contenders
from benchmarks.figures import Bar, Figure, Group
from benchmarks.material import RULES, Request, policy, signer
from benchmarks.peers import PATH, ROLE
from benchmarks.plan import Plan
from benchmarks.timing import Batch, interleaved

__all__ = ["steps"]

MICRO = 1e6
CONDITION = "resource.params.tenant == subject.claims.tenant"
WITH, WITHOUT = "with a condition", "without a condition"
CONDITION_BAR = Bar("at most", 15.0)
Step = Callable[[], object]


def steps(plan: Plan) -> Group:
    """Measure the steps of the hot path, then those of the cold path."""
    looks: Any = import_module("benchmarks.looks")  # only here must its frameworks be installed
    issuer = signer("RS256")
    authz = Authz.from_mapping(policy([issuer.issuer]))
    token = issuer.mint(role=ROLE)
    hot, whole = _hot(authz, Request(PATH, token))
    cold, extra = _cold(authz, token), _conditions(token)
    contenders = Contenders(issuer, RULES)
    with event_loop() as loop:
        asked = [contenders.request]
        batches: dict[str, Batch] = {
            "all": asgi_batch(loop, lambda: contenders.asgi, asked),
            "bare": asgi_batch(loop, lambda: bare_asgi, asked),
            **{
                name: partial(_timed, step)
                for name, step in {**hot, **whole, **cold, **extra}.items()
            },
            **looks.batches(loop, issuer),
        }
        runs = interleaved(batches, plan.rounds, seconds=plan.batch)
    total = runs.added("all", "bare")
    engine = runs.median("engine")
    adapter = sum(runs.median(name) for name in ADAPTER)
    parts = sum(runs.median(name) for name in hot if name not in ADAPTER)
    figures = [
        *_listed("hot", runs.median, hot),
        Figure("hot: the rest of the engine", (engine - parts) * MICRO, "µs"),
        Figure("hot: the rest of the ASGI adapter", (total - engine - adapter) * MICRO, "µs"),
        Figure("hot: all of it, ASGI", total * MICRO, "µs"),
        *_listed("cold", runs.median, cold),
        Figure(
            "either: a condition over two attributes, added",
            runs.added(WITH, WITHOUT) * MICRO,
            "µs",
            CONDITION_BAR,
        ),
        *looks.figures(runs),
    ]
    return Group(
        "steps",
        f"Where it goes: the steps by themselves, RS256, {RULES} rules",
        figures,
        [
            (
                "Called in a loop, a step is a little cheaper than among the others. The rest"
                " of the adapter is the reading of the header, the facts, the copy of the scope"
                " and what watches the answer of the app."
            ),
        ],
    )


ADAPTER = ("make the Access", "set the context variable twice, reset it")


def _hot(authz: Authz, request: Request) -> tuple[Mapping[str, Step], Mapping[str, Step]]:
    """Return the steps, and the engine's part as a whole, which most of them are in."""
    serving, token = authz.serving, request.token or ""
    authorization = Authorization([f"Bearer {token}".encode()])
    facts = RequestFacts("http", "GET", PATH, "")
    admit = serving.outcome(facts, authorization)
    if not isinstance(admit, Admit) or admit.principal is None:
        raise TypeError("the token must be let in")
    principal, rules = admit.principal, serving.settings.policy
    requirements = rules.find("GET", (PATH,))
    if requirements is None:
        raise TypeError("the path must have a rule")
    remembered = VerifiedTokens()
    entry = _remember(authz, token, remembered)
    now, digest = serving.clock(), remembered.digest(token.encode())
    return (
        {
            "read the clock": serving.clock,
            "recall which rules decide the path": partial(
                serving._engine.ruling.of,  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
                facts,
                "GET",
            ),
            "take what follows `Bearer`": partial(bearer.usual, authorization),
            "digest the token, keyed": partial(remembered.digest, token.encode()),
            "look the digest up": partial(remembered.get, digest),
            "check its time": partial(check_times, entry.verified, now),
            "decide: roles, permissions, scopes": partial(rules.decide, requirements, principal),
            "make the Access": partial(Access, admit, facts, serving, None),
            "set the context variable twice, reset it": _enter_and_leave,
        },
        {"engine": partial(serving.outcome, facts, authorization)},
    )


def _cold(authz: Authz, token: str) -> Mapping[str, Step]:
    settings, now = authz.serving.settings, authz.serving.clock()
    remembered = VerifiedTokens()
    entry, digest = _remember(authz, token, remembered), remembered.digest(token.encode())
    unverified, issuer = parse(token), settings.issuers[entry.issuer]
    (key,) = _keys(issuer).candidates("RS256", unverified.header.get("kid"))
    signed = (unverified.signing_input, unverified.signature)
    return {
        "read the path: one canonical form": partial(readings, PATH, ""),
        "find the rule": partial(settings.policy.find, "GET", (PATH,)),
        "read the Authorization field": partial(bearer.parse, (f"Bearer {token}".encode(),)),
        "take the token apart": partial(parse, token),
        "find the issuer": partial(verify.identify, unverified, settings.issuers),
        "verify the signature": partial(signature.verify, "RS256", key.key, *signed),
        "check the claims, make the principal": partial(
            verify_claims, unverified.payload, unverified.header, issuer, now
        ),
        "add what the roles inherit": partial(
            settings.policy.roles.expand, entry.verified.principal
        ),
        "remember the token": partial(remembered.put, digest, entry),
    }


def _conditions(token: str) -> Mapping[str, Step]:
    """The same request where its rule has a condition over two attributes, and where it has none.

    A thousand paths take turns, so that what is told of a path is not always the same.
    """
    rule = {"roles": [ROLE]}
    authorization = Authorization([f"Bearer {token}".encode()])
    asked = [
        (RequestFacts("http", "GET", f"/t/eu-1/orders/{id}", ""), authorization)
        for id in range(1000)
    ]

    def step(rule: Mapping[str, object]) -> Step:
        routes = {"GET /t/<tenant>/orders/<int:id>": rule}
        serving = Authz.from_mapping({**policy([signer("RS256").issuer]), "routes": routes}).serving
        if not all(isinstance(serving.outcome(*request), Admit) for request in asked):
            raise TypeError("the token must be let in")
        turns = cycle(asked)
        return lambda: serving.outcome(*next(turns))

    return {WITH: step({**rule, "when": CONDITION}), WITHOUT: step(rule)}


def _remember(authz: Authz, token: str, remembered: VerifiedTokens) -> CachedToken:
    """Verify a token as the engine does, and put it in the cache."""
    serving, unverified = authz.serving, parse(token)
    issuer = verify.identify(unverified, serving.settings.issuers)
    keys = _keys(issuer)
    verified = verify.verify(unverified, issuer, keys, serving.clock())
    entry = CachedToken(issuer.issuer, keys, verified)
    remembered.put(remembered.digest(token.encode()), entry)
    return entry


def _keys(issuer: Issuer) -> KeySet:
    if not isinstance(issuer.source, StaticKeys):
        raise TypeError("the keys must be at hand")
    return issuer.source.keys


def _enter_and_leave() -> None:
    token = enter(None)
    enter(None)
    leave(token)


def _timed(step: Step, calls: int) -> float:
    turns = range(calls)
    began = process_time()
    for _ in turns:
        step()
    return process_time() - began


def _listed(path: str, median: Callable[[str], float], named: Mapping[str, Any]) -> list[Figure]:
    return [Figure(f"{path}: {name}", median(name) * MICRO, "µs") for name in named]
