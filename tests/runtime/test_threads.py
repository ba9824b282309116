"""Threads of our own begin without the caller of the request that started them."""

from __future__ import annotations

from contextvars import copy_context
from queue import SimpleQueue
from threading import Thread

import pytest

from authz_middleware.access import Access, current_access, enter, leave
from authz_middleware.runtime import threads
from authz_middleware.runtime.workers import Workers
from tests.test_access import make


class Inheriting(Thread):
    """Begins in the context of whoever starts it, as free-threaded builds have it."""

    def start(self) -> None:
        context, work = copy_context(), self.run
        self.run = lambda: context.run(work)  # type: ignore[method-assign]
        super().start()


@pytest.fixture(autouse=True)
def inheriting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "Thread", Inheriting)


def test_a_thread_knows_no_caller() -> None:
    seen: SimpleQueue[Access | None] = SimpleQueue()
    token = enter(make(None))
    try:
        threads.begin(lambda: seen.put(current_access()), "authz-test")
        assert seen.get(timeout=10) is None
    finally:
        leave(token)


def test_a_worker_is_not_the_first_callers() -> None:
    """Hired by one request, it serves the others as well."""
    workers = Workers(max_threads=1)
    token = enter(make(None))
    try:
        first = workers.submit(current_access)
    finally:
        leave(token)
    second = workers.submit(current_access)
    assert first is not None
    assert second is not None
    assert (first.result(10), second.result(10)) == (None, None)
