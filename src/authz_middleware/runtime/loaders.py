"""Attribute loaders: called with a deadline, from either world, whichever colour they have.

A sync loader runs on a thread of `workers`, so that it can be given up on. An async one runs in the
event loop of its request or, where there is none, in the one that `workers` keeps. Whatever a
loader does, the request gets an answer; what it raised stays here, and its text is nobody's.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Mapping
from concurrent.futures import CancelledError
from contextlib import suppress
from contextvars import copy_context
from inspect import iscoroutine, iscoroutinefunction
from typing import Any, Final, Protocol, cast

from authz_middleware.effects import NeedResource
from authz_middleware.observe.log import LOGGER
from authz_middleware.policy.resources import Loaded, Unloaded
from authz_middleware.runtime import workers

__all__ = ["AttributeLoader", "Loaders", "checked"]


class AttributeLoader(Protocol):
    """Returns the attributes of the object that a path names; None if there is no such object.

    `params` are the parameters of the path: `int` and `float` as numbers, everything else as text.
    A plain function or an `async def`. Whatever it raises, and whatever takes longer than the
    deadline, is an outage: 503.
    """

    def __call__(
        self, params: Mapping[str, Any], /
    ) -> Mapping[str, Any] | Awaitable[Mapping[str, Any] | None] | None: ...


def checked(loaders: object) -> dict[str, AttributeLoader]:
    """Return the loaders by name; raises TypeError for what would fail at each request."""
    if loaders is None:
        return {}
    if not isinstance(loaders, Mapping):
        raise TypeError('loaders is a mapping of names to callables: {"article": load_article}')
    given = cast("Mapping[object, object]", loaders)
    for name, loader in given.items():
        if not isinstance(name, str) or not name:
            raise TypeError(f"the name of a loader is a text, not {name!r}")
        if not callable(loader):
            raise TypeError(f"the loader `{name}` cannot be called")
    return cast("dict[str, AttributeLoader]", dict(given))


def _unknown(_: Mapping[str, Any]) -> None:
    raise _NoAttributes("there is none of this name")


_UNKNOWN: Final[tuple[AttributeLoader, bool]] = (_unknown, False)


class Loaders:
    """The loaders of one policy."""

    def __init__(self, loaders: Mapping[str, AttributeLoader] | None = None) -> None:
        self._loaders: Final = {
            name: (loader, _is_async(loader)) for name, loader in (loaders or {}).items()
        }

    def load(self, effect: NeedResource) -> Loaded:
        """Load, blocking this thread; it waits no longer than the deadline."""
        loader, is_async = self._loaders.get(effect.object.loader, _UNKNOWN)
        if is_async:
            flight = workers.loop.submit(_awaited(loader, effect))
        else:
            context = copy_context()
            flight = workers.workers.submit(lambda: context.run(_called, loader, effect))
        if flight is None:
            return _busy(effect)
        try:
            return flight.result(effect.timeout)
        except TimeoutError:
            flight.cancel()
            return _slow(effect)
        except CancelledError:
            return Unloaded.FAILED

    async def load_async(self, effect: NeedResource) -> Loaded:
        """Load, leaving the event loop free."""
        loader, is_async = self._loaders.get(effect.object.loader, _UNKNOWN)
        if is_async:
            return await _in_this_loop(loader, effect)
        context = copy_context()
        flight = workers.workers.submit(lambda: context.run(_called, loader, effect))
        if flight is None:
            return _busy(effect)
        with suppress(TimeoutError):
            # As in `drivers`: not `wait_for`.
            async with asyncio.timeout(effect.timeout):
                await asyncio.wrap_future(flight)
        if flight.done() and not flight.cancelled():
            return flight.result()
        return _slow(effect)


def _is_async(loader: object) -> bool:
    # Of an object it is its class that says how it is called.
    return iscoroutinefunction(loader) or iscoroutinefunction(type(loader).__call__)


def _called(loader: AttributeLoader, effect: NeedResource) -> Loaded:
    try:
        return _answer(loader(_params(effect)))
    except BaseException as error:  # noqa: BLE001 - SystemExit of a loader is no end of the server
        return _failed(effect, error)


async def _awaited(loader: AttributeLoader, effect: NeedResource) -> Loaded:
    try:
        found = cast("Awaitable[object]", loader(_params(effect)))
        return _answer(await found)
    except BaseException as error:  # noqa: BLE001 - as above; and a loop would be ended by it
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            return Unloaded.FAILED  # it was given up on, which is said elsewhere
        return _failed(effect, error)


_left: set[asyncio.Task[Loaded]] = set()
"""Tasks that nobody waits for any more; a loop itself does not hold on to them."""


async def _in_this_loop(loader: AttributeLoader, effect: NeedResource) -> Loaded:
    task = asyncio.get_running_loop().create_task(_awaited(loader, effect))
    try:
        # It is not waited for until it has been cancelled: it may not want to be.
        await asyncio.wait((task,), timeout=effect.timeout)
    finally:
        if not task.done():
            task.cancel()
            _left.add(task)
            task.add_done_callback(_left.discard)
    if not task.done():
        return _slow(effect)
    return Unloaded.FAILED if task.cancelled() else task.result()


def _params(effect: NeedResource) -> dict[str, Any]:
    return dict(effect.object.params)  # of its own: a loader may change what it is handed


class _NoAttributes(Exception):
    """What a loader returned is nothing that can be read."""


def _answer(found: object) -> Loaded:
    if found is None:
        return Unloaded.MISSING
    if isinstance(found, Mapping):
        # Read now: a mapping that looks things up as it is asked does so within the deadline.
        return dict(cast("Mapping[str, Any]", found))
    if iscoroutine(found):
        found.close()
        raise _NoAttributes("it returned a coroutine: write it as `async def`")
    raise _NoAttributes(f"it returned a {type(found).__name__}, which is no mapping")


def _failed(effect: NeedResource, error: BaseException) -> Loaded:
    # Where it happened, and no values: in the text of an error may be a secret.
    if isinstance(error, _NoAttributes):
        _complain(effect, str(error))
    else:
        stack = "".join(traceback.format_tb(error.__traceback__))
        _complain(effect, f"{type(error).__name__}\n{stack}")
    return Unloaded.FAILED


def _slow(effect: NeedResource) -> Loaded:
    _complain(effect, f"it took longer than {effect.timeout:g} seconds, and was given up on")
    return Unloaded.FAILED


def _busy(effect: NeedResource) -> Loaded:
    _complain(effect, "too many calls are running or waiting, or no thread can be had")
    return Unloaded.FAILED


def _complain(effect: NeedResource, what: str) -> None:
    with suppress(Exception):  # the log itself may be what fails
        LOGGER.error("the loader %a failed: %s", effect.object.loader, what)
