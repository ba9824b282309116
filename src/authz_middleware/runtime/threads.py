"""Threads of our own. They outlive the request in which they begin, and know nothing of it.

Where threads inherit the context of whoever starts them (as free-threaded builds of Python 3.14
have it), `current_access` would be that first caller for whatever the thread does later.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from threading import Thread

__all__ = ["begin"]


def begin(work: Callable[[], object], name: str) -> None:
    """Run `work` on a thread of its own, in an empty context.

    A daemon: what hangs there cannot be interrupted, and must not hold up the end of the process.
    Raises RuntimeError if no thread can be had.
    """
    Context().run(Thread(target=work, name=name, daemon=True).start)
