"""The hot path: a token that was seen before, 100 rules; ours, the prototype and the peers."""

from __future__ import annotations

from benchmarks.calling import Loop, asgi_batch, bare_asgi, bare_wsgi, event_loop, wsgi_batch
from benchmarks.contenders import Contenders
from benchmarks.figures import Bar, Figure, Group
from benchmarks.material import RULES, Request, signer
from benchmarks.peers import Peer, casbin_rules, check
from benchmarks.peers.every import peers
from benchmarks.plan import Plan
from benchmarks.timing import Batch, Runs, interleaved

__all__ = ["hot"]

MICRO = 1e6
TIMES_PROTOTYPE = Bar("at most", 3.0)
TIMES_PEER = Bar("at least", 25.0)
NEW_PATHS = 10_000


def hot(plan: Plan) -> Group:
    """Measure what everybody adds to a request whose token it has seen before."""
    good = signer("RS256")
    contenders, others = Contenders(good, RULES), peers()
    with event_loop() as loop:
        contenders.check(loop)
        for peer in others:
            check(peer, loop, good)
        batches = _batches(contenders, others, loop)
        runs = interleaved(batches, plan.rounds, seconds=plan.batch)
    return Group(
        "hot",
        f"Hot path: added to each request, token seen before, RS256, {RULES} rules",
        _figures(runs, others),
        [
            (
                "What a system adds is the difference between the same app bare and"
                " protected. Peers keep no verified tokens, so a known token costs them what a"
                " new one does. Each gets a key that is parsed already, and is seen to refuse"
                " what it should."
            ),
        ],
    )


def _batches(contenders: Contenders, others: list[Peer], loop: Loop) -> dict[str, Batch]:
    asked = [contenders.request]
    # More paths than are remembered: each is as good as new.
    new_paths = [
        Request(f"/api/resource{number % 25}/{number}", contenders.request.token)
        for number in range(NEW_PATHS)
    ]
    batches = {
        "asgi new path": asgi_batch(loop, lambda: contenders.asgi, new_paths, around=True),
        "asgi new path bare": asgi_batch(loop, lambda: bare_asgi, new_paths, around=True),
        "asgi": asgi_batch(loop, lambda: contenders.asgi, asked),
        "asgi prototype": asgi_batch(loop, lambda: contenders.asgi_prototype, asked),
        "asgi bare": asgi_batch(loop, lambda: bare_asgi, asked),
        "wsgi": wsgi_batch(lambda: contenders.wsgi, asked),
        "wsgi prototype": wsgi_batch(lambda: contenders.wsgi_prototype, asked),
        "wsgi bare": wsgi_batch(lambda: bare_wsgi, asked),
        casbin_rules.NAME: casbin_rules.batch(RULES),
    }
    for peer in others:
        batches[f"{peer.name} bare"], batches[peer.name] = peer.batches(loop, asked)
    return batches


def _figures(runs: Runs, others: list[Peer]) -> list[Figure]:
    added = {peer.name: runs.added(peer.name, f"{peer.name} bare") for peer in others}
    best = min(added, key=added.__getitem__)
    figures = []
    for kind in ("asgi", "wsgi"):
        ours = runs.added(kind, f"{kind} bare")
        prototype = runs.added(f"{kind} prototype", f"{kind} bare")
        name = kind.upper()
        figures += [
            Figure(f"authz_middleware, {name}", ours * MICRO, "µs", series="hot", ours=True),
            Figure(f"prototype, {name}", prototype * MICRO, "µs"),
            Figure(f"{name}: ours ÷ prototype", ours / prototype, "x", TIMES_PROTOTYPE),
            Figure(f"{name}: best peer ÷ ours", added[best] / ours, "x", TIMES_PEER, note=best),
        ]
    figures += [
        Figure(name, seconds * MICRO, "µs", series="hot")
        for name, seconds in sorted(added.items(), key=lambda item: item[1])
    ]
    new_path = runs.added("asgi new path", "asgi new path bare") * MICRO
    figures.append(Figure("authz_middleware, ASGI, each path for the first time", new_path, "µs"))
    casbin = runs.median(casbin_rules.NAME) * MICRO
    return [*figures, Figure(casbin_rules.NAME, casbin, "µs")]
