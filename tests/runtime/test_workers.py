"""Threads and a loop for what may hang: bounded, kept, and begun anew after a fork."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import Future
from typing import Any

import pytest

from authz_middleware.runtime import workers
from authz_middleware.runtime.workers import Loop, Workers


def landed(flight: Future[Any] | None) -> Any:
    assert flight is not None
    return flight.result(5)


def test_a_thread_is_used_again() -> None:
    own = Workers()
    names = set()
    for _ in range(20):
        names.add(landed(own.submit(threading.get_ident)))
    # A result may be taken a moment before its thread is idle again.
    assert len(names) < 10


def test_more_calls_than_threads_wait_and_more_than_that_are_refused() -> None:
    own, event, started = Workers(max_threads=2, max_taken=3), threading.Event(), []

    def hang() -> int:
        started.append(1)
        event.wait(5)
        return 1

    flights = [own.submit(hang) for _ in range(3)]
    assert own.submit(hang) is None
    event.set()
    assert [landed(flight) for flight in flights] == [1, 1, 1]
    assert len(started) == 3


def test_a_call_that_was_given_up_on_before_it_began_is_not_made() -> None:
    own, event, made = Workers(max_threads=1), threading.Event(), []
    first = own.submit(lambda: event.wait(5))
    second = own.submit(lambda: made.append(1))
    third = own.submit(lambda: 3)
    assert second is not None
    assert second.cancel()
    event.set()
    assert landed(first) is True
    assert landed(third) == 3
    assert made == []


def no_thread(*_: object, **__: object) -> None:
    raise RuntimeError("can't start new thread")


def test_without_a_thread_there_is_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading.Thread, "start", no_thread)
    assert Workers().submit(lambda: 1) is None

    async def nothing() -> None: ...

    assert Loop().submit(nothing()) is None


def test_where_no_more_threads_can_be_had_those_there_are_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own, event = Workers(), threading.Event()
    first = own.submit(lambda: event.wait(5))
    monkeypatch.setattr(threading.Thread, "start", no_thread)
    second = own.submit(lambda: 2)
    event.set()
    assert (landed(first), landed(second)) == (True, 2)


def test_one_loop_serves_every_call() -> None:
    async def running() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    first, second = landed(workers.loop.submit(running())), landed(workers.loop.submit(running()))
    assert first is second


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_child_has_threads_and_a_loop_of_its_own_and_the_parent_keeps_its() -> None:
    async def one() -> int:
        return 1

    assert landed(workers.workers.submit(lambda: 1)) == 1
    assert landed(workers.loop.submit(one())) == 1
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            came = landed(workers.workers.submit(lambda: 2)), landed(workers.loop.submit(one()))
            os.write(write, repr(came).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as told:
        assert told.read() == b"(2, 1)"
    os.waitpid(child, 0)
    assert landed(workers.loop.submit(one())) == 1
    assert landed(workers.workers.submit(lambda: 3)) == 3
