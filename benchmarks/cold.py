"""The cold path: every token is new; ours beside the raw verification, by algorithm."""

from __future__ import annotations

from functools import partial

from benchmarks.calling import Loop, asgi_batch, bare_asgi, bare_wsgi, event_loop, wsgi_batch
from benchmarks.contenders import asgi_around, cold_prototype, wsgi_around
from benchmarks.figures import Bar, Figure, Group
from benchmarks.material import ALGORITHMS, RULES, Request, policy, signer
from benchmarks.peers import PATH, Peer
from benchmarks.peers.every import peers
from benchmarks.plan import Plan
from benchmarks.raw import decode_batch, raw_batch
from benchmarks.timing import Batch, Runs, interleaved

__all__ = ["cold"]

MICRO = 1e6
TIMES_RAW = 1.6
ON_TOP = 25.0  # µs


def cold(plan: Plan) -> Group:
    """Measure what a token costs that nobody has seen."""
    figures = []
    with event_loop() as loop:
        for algorithm in ALGORITHMS:
            others = peers() if algorithm == "RS256" else []
            runs = interleaved(
                _batches(algorithm, plan.tokens, others, loop), plan.rounds, calls=plan.tokens
            )
            figures += _figures(algorithm, runs, others)
    return Group(
        "cold",
        f"Cold path: added to each request, every token new, {RULES} rules",
        figures,
        [
            (
                f"A batch sends {plan.tokens} different tokens to a middleware whose cache is"
                f" empty. The bar is {TIMES_RAW} times the raw verification of the same tokens"
                f" + {ON_TOP:.0f} µs. The prototype takes whatever Python's base64 and JSON take."
            ),
        ],
    )


def _batches(algorithm: str, tokens: int, others: list[Peer], loop: Loop) -> dict[str, Batch]:
    issuer = signer(algorithm)
    mapping = policy([issuer.issuer])
    # One more: the first warms up what is made anew for each batch.
    minted = issuer.distinct(tokens + 1)
    asked = [Request(PATH, token) for token in minted]
    batches = {
        "raw": raw_batch(issuer, minted),
        "decode": decode_batch(issuer, minted),
        "asgi": asgi_batch(loop, partial(asgi_around, mapping), asked),
        "asgi bare": asgi_batch(loop, lambda: bare_asgi, asked),
        "wsgi": wsgi_batch(partial(wsgi_around, mapping), asked),
        "wsgi bare": wsgi_batch(lambda: bare_wsgi, asked),
    }
    if algorithm == "RS256":
        batches["prototype"] = asgi_batch(loop, partial(cold_prototype, mapping, issuer), asked)
    for peer in others:
        batches[f"{peer.name} bare"], batches[peer.name] = peer.batches(loop, asked)
    return batches


def _figures(algorithm: str, runs: Runs, others: list[Peer]) -> list[Figure]:
    raw = runs.median("raw") * MICRO
    bar = Bar("at most", TIMES_RAW * raw + ON_TOP)
    figures = [
        Figure(f"{algorithm}: raw verification", raw, "µs"),
        Figure(f"{algorithm}: jwt.decode", runs.median("decode") * MICRO, "µs"),
    ]
    if "prototype" in runs.seconds:
        by_hand = runs.added("prototype", "asgi bare") * MICRO
        figures.append(Figure(f"{algorithm}: prototype, ASGI", by_hand, "µs"))
    for kind in ("asgi", "wsgi"):
        ours = runs.added(kind, f"{kind} bare") * MICRO
        figures.append(
            Figure(
                f"{algorithm}: authz_middleware, {kind.upper()}",
                ours,
                "µs",
                bar,
                series="cold" if algorithm == "RS256" else "",
                ours=True,
            )
        )
    added = {peer.name: runs.added(peer.name, f"{peer.name} bare") for peer in others}
    return figures + [
        Figure(f"{algorithm}: {name}", seconds * MICRO, "µs", series="cold")
        for name, seconds in sorted(added.items(), key=lambda item: item[1])
    ]
