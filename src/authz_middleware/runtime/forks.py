"""What a forked worker does not share with its parent: locks, threads, digest keys."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Protocol
from weakref import WeakSet

__all__ = ["Renewable", "renew", "renew_in_child"]


class Renewable(Protocol):
    """Something that a forked child begins anew. It is called while no other thread runs."""

    def renew(self) -> None: ...


_renewables: WeakSet[Renewable] = WeakSet()


def renew_in_child(thing: Renewable) -> None:
    """Have `thing` renewed in every child that is forked while it lives."""
    _renewables.add(thing)


def renew() -> None:
    """Renew what lives; called in a child, right after the fork."""
    for thing in tuple(_renewables):
        thing.renew()


with suppress(AttributeError):  # there is no such function where there are no forks
    os.register_at_fork(after_in_child=renew)
