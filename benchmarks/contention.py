"""Many at once: 8 threads through WSGI, 1,000 tasks through ASGI, and a key server that hangs.

Measured in elapsed time, since waiting is what it is about. Each round serves as many requests one
after the other as it serves at once.
"""

from __future__ import annotations

import asyncio
from functools import partial
from threading import Barrier, Thread
from time import perf_counter
from typing import TYPE_CHECKING, Any

from authz_middleware import ASGIAuthzMiddleware, Authz
from benchmarks.calling import (
    AsgiApp,
    Loop,
    bare_wsgi,
    event_loop,
    pull,
    receive,
    send,
    wsgi_status,
)
from benchmarks.contenders import Contenders, asgi_around, wsgi_around
from benchmarks.figures import Bar, Figure, Group
from benchmarks.material import RULES, Request, policy, signer
from benchmarks.peers import PATH, ROLE, Wrong
from benchmarks.plan import Plan
from benchmarks.prototype import AsgiPrototype
from benchmarks.stalled import Stalled, stalled
from benchmarks.timing import Batch, Runs, interleaved

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

__all__ = ["contention"]

MICRO = 1e6
THREADS = 8
ROUNDS = 15
WHILE_WAITING = 200
PATIENCE = 20.0

# "No worse" with what the scheduler makes of it from run to run.
AS_GOOD = Bar("at least", 0.95)
NO_DEARER = Bar("at most", 1.1)
EVERY_ONE = Bar("at least", WHILE_WAITING)


def contention(plan: Plan) -> Group:
    """Measure one after the other and many at once; serve while keys are waited for."""
    contenders = Contenders(signer("RS256"), RULES)
    rounds = ROUNDS if plan.judged else plan.rounds
    threads = interleaved(_threads(contenders), rounds, calls=THREADS, seconds=plan.contended)
    with event_loop() as loop:
        batches = _tasks(contenders, loop, plan.tasks)
        tasks = interleaved(batches, rounds, calls=plan.tasks, seconds=plan.contended)
    return Group(
        "contention",
        f"Many at once: {THREADS} threads (WSGI), {plan.tasks:,} tasks (ASGI)",
        [
            *_of_threads(threads),
            *_of_tasks(tasks, plan.tasks),
            Figure("served while a thread waits for keys", _beside_thread(), "", EVERY_ONE),
            Figure("served while a task waits for keys", _beside_task(), "", EVERY_ONE),
        ],
        [
            (
                "Requests per second of many at once, as a multiple of one after the other;"
                " the bar of ours is that of the bare app, less 5 % for the scheduler."
            ),
            (
                "The app of the tasks gives way once, so that all of them are under way"
                " together. A turn of the event loop is then shared by many tasks, which"
                " flatters the cheaper app: the bar is on what we add, which must not grow."
            ),
        ],
    )


# Threads.


def _threads(contenders: Contenders) -> dict[str, Batch]:
    environ = contenders.request.environ()
    apps: dict[str, WSGIApplication] = {
        "bare": bare_wsgi,
        "ours": contenders.wsgi,
        "prototype": contenders.wsgi_prototype,
    }
    return {
        f"{name}, {number}": partial(_in_threads, app, environ, number)
        for name, app in apps.items()
        for number in (1, THREADS)
    }


def _in_threads(app: WSGIApplication, environ: Any, number: int, calls: int) -> float:
    started = Barrier(number + 1)

    def serve() -> None:
        started.wait()
        for _ in range(calls // number):
            pull(app, dict(environ))

    threads = [Thread(target=serve) for _ in range(number)]
    for thread in threads:
        thread.start()
    started.wait()
    began = perf_counter()
    for thread in threads:
        thread.join()
    # Of `calls` that were asked for, those that are no multiple of the threads were not made.
    return (perf_counter() - began) * calls / (calls // number * number)


def _of_threads(runs: Runs) -> list[Figure]:
    def gain(name: str) -> float:
        return runs.ratio(f"{name}, 1", f"{name}, {THREADS}")

    return [
        *(
            Figure(f"{name}, {THREADS} threads ÷ one", gain(name), "x")
            for name in ("bare", "prototype", "ours")
        ),
        Figure(f"{THREADS} threads: ours ÷ bare", gain("ours") / gain("bare"), "x", AS_GOOD),
    ]


# Tasks.


async def _giving_way(_scope: Any, _receive: Any, send: Any) -> None:
    await asyncio.sleep(0)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def _tasks(contenders: Contenders, loop: Loop, most: int) -> dict[str, Batch]:
    apps: dict[str, AsgiApp] = {
        "bare": _giving_way,
        "ours": ASGIAuthzMiddleware(_giving_way, Authz.from_mapping(contenders.mapping)),
        "prototype": AsgiPrototype(_giving_way, contenders.prototype),
    }
    scope = contenders.request.scope()

    async def serve(app: AsgiApp, calls: int) -> None:
        for _ in range(calls):
            await app(dict(scope), receive, send)

    async def at_once(app: AsgiApp, number: int, calls: int) -> float:
        began = perf_counter()
        await asyncio.gather(*(serve(app, calls // number) for _ in range(number)))
        return (perf_counter() - began) * calls / (calls // number * number)

    def batch(app: AsgiApp, number: int, calls: int) -> float:
        return loop.run_until_complete(at_once(app, number, calls))

    return {
        f"{name}, {number}": partial(batch, app, number)
        for name, app in apps.items()
        for number in (1, most)
    }


def _of_tasks(runs: Runs, most: int) -> list[Figure]:
    def added(name: str, number: int) -> float:
        return runs.added(f"{name}, {number}", f"bare, {number}")

    grown = {name: added(name, most) / added(name, 1) for name in ("prototype", "ours")}
    return [
        *(
            Figure(
                f"{name}, {most:,} tasks ÷ one", runs.ratio(f"{name}, 1", f"{name}, {most}"), "x"
            )
            for name in ("bare", "prototype", "ours")
        ),
        Figure("ours adds, one task", added("ours", 1) * MICRO, "µs"),
        Figure(f"ours adds, {most:,} tasks", added("ours", most) * MICRO, "µs"),
        Figure(f"prototype adds, {most:,} tasks ÷ one", grown["prototype"], "x"),
        Figure(f"ours adds, {most:,} tasks ÷ one", grown["ours"], "x", NO_DEARER),
    ]


# One request waits for the keys of an issuer whose server hangs; others are served meanwhile.


def _two_issuers(server: Stalled) -> dict[str, Any]:
    near, far = signer("RS256"), signer("ES256")
    roles = {"grants": ["viewer", "editor"]}
    remote = {name: value for name, value in far.issuer.items() if name != "jwks"}
    remote |= {"issuer": FAR, "jwks_uri": server.uri}
    return policy([near.issuer | roles, remote | roles])


FAR = "https://far.example.com"


def _requests() -> tuple[Request, Request]:
    """Return one request whose keys are at hand, and one whose keys must be fetched."""
    far = signer("ES256")
    return (
        Request(PATH, signer("RS256").mint(role=ROLE)),
        Request(PATH, far.sign({"iss": FAR, "sub": "bob", "roles": [ROLE]})),
    )


def _beside_thread() -> float:
    near, far = _requests()
    with stalled(signer("ES256").issuer["jwks"]) as server:
        app = wsgi_around(_two_issuers(server))
        found: list[int] = []
        waiting = Thread(target=lambda: found.append(wsgi_status(app, far)))
        waiting.start()
        _hold(server.asked.wait(PATIENCE), "the keys are asked for")
        served = sum(wsgi_status(app, near) == 200 for _ in range(WHILE_WAITING))
        _hold(waiting.is_alive() and not found, "the other request still waits")
        server.answer.set()
        waiting.join(PATIENCE)
        _hold(found == [200], "the other request is served at last")
    return served


def _beside_task() -> float:
    near, far = _requests()

    async def status(app: AsgiApp, request: Request) -> int:
        found: list[int] = []

        async def note(message: Any) -> None:
            if message["type"] == "http.response.start":
                found.append(message["status"])

        await app(request.scope(), receive, note)
        return found[0]

    async def together(app: AsgiApp, server: Stalled) -> int:
        waiting = asyncio.create_task(status(app, far))
        asked = await asyncio.to_thread(server.asked.wait, PATIENCE)
        _hold(asked, "the keys are asked for")
        served = [await status(app, near) for _ in range(WHILE_WAITING)]
        _hold(not waiting.done(), "the other request still waits")
        server.answer.set()
        _hold(await waiting == 200, "the other request is served at last")
        return served.count(200)

    with stalled(signer("ES256").issuer["jwks"]) as server, event_loop() as loop:
        app = asgi_around(_two_issuers(server))
        return loop.run_until_complete(together(app, server))


def _hold(holds: bool, what: str) -> None:
    if not holds:
        raise Wrong(f"it does not hold that {what}")
