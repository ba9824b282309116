"""A map that never holds more than so many entries and so many bytes, safe under threads.

When it is full, the oldest entry goes; one that was asked for since it was last looked at is spared
once (the clock algorithm), so that a flood of new entries does not push out those in use.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

__all__ = ["Bounded"]

Value = TypeVar("Value")

SPARED = 16
"""Entries that are spared in one go, so that no `put` walks through all."""


class _Slot(Generic[Value]):
    __slots__ = ("used", "value", "weight")

    def __init__(self, value: Value, weight: int) -> None:
        self.value = value
        self.weight = weight
        self.used = False


class Bounded(Generic[Value]):
    """Values by key. Reading takes no lock: one look-up in a dict is atomic, also without a GIL."""

    __slots__ = (
        "__weakref__",
        "_bytes",
        "_entries",
        "_lock",
        "_max_bytes",
        "_max_entries",
        "_weigh",
    )

    def __init__(self, max_entries: int, max_bytes: int, weigh: Callable[[Value], int]) -> None:
        """`weigh` says how many bytes an entry takes."""
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._weigh = weigh
        self.renew()

    def renew(self) -> None:
        """Hold nothing, and forget who holds the lock; for a child that was forked."""
        self._lock = Lock()
        self._entries: OrderedDict[bytes, _Slot[Value]] = OrderedDict()
        self._bytes = 0

    def get(self, key: bytes) -> Value | None:
        """Return what is held under `key`."""
        slot = self._entries.get(key)
        if slot is None:
            return None
        slot.used = True
        return slot.value

    def put(self, key: bytes, value: Value) -> None:
        """Hold `value` in place of what was held under `key`.

        One that would take a large part of the room is not held at all.
        """
        weight = self._weigh(value)
        with self._lock:
            self._remove(key)
            if weight > self._max_bytes // 64:
                return
            while len(self._entries) >= self._max_entries or self._bytes + weight > self._max_bytes:
                self._evict()
            self._entries[key] = _Slot(value, weight)
            self._bytes += weight

    def discard(self, key: bytes) -> None:
        """Hold nothing under `key`."""
        with self._lock:
            self._remove(key)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def weight(self) -> int:
        """What the entries take together."""
        return self._bytes

    def _remove(self, key: bytes) -> None:
        slot = self._entries.pop(key, None)
        if slot is not None:
            self._bytes -= slot.weight

    def _evict(self) -> None:
        for _ in range(SPARED):
            key, slot = next(iter(self._entries.items()))
            if not slot.used:
                break
            slot.used = False
            self._entries.move_to_end(key)
        _, slot = self._entries.popitem(last=False)
        self._bytes -= slot.weight
