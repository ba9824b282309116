"""Loaders of either colour, called from either world, and whatever they do wrong."""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
from collections import UserDict
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from authz_middleware.effects import NeedResource
from authz_middleware.observe.log import LOGGER
from authz_middleware.policy.resources import Loaded, Unloaded, object_of
from authz_middleware.runtime.loaders import Loaders
from authz_middleware.runtime.workers import Loop, Workers

WORLDS = ("wsgi", "asgi")
COLOURS = ("sync", "async")
SECRET = "secret-of-the-database"

who: ContextVar[str] = ContextVar("who", default="nobody")


def need(timeout: float = 30.0, loader: str = "article") -> NeedResource:
    return NeedResource(object_of(loader, {"id": 7, "slug": "a"}), timeout)


def coloured(colour: str, behave: Callable[[Any], Any]) -> Any:
    """A loader of that colour that behaves so."""
    if colour == "sync":
        return behave

    async def load(params: Any) -> Any:
        await asyncio.sleep(0)
        return behave(params)

    return load


def load(world: str, loader: Any, effect: NeedResource | None = None) -> Loaded:
    loading = Loaders({"article": loader})
    effect = effect or need()
    if world == "wsgi":
        return loading.load(effect)
    return asyncio.run(loading.load_async(effect))


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("world", WORLDS)
class TestEachColourInEachWorld:
    def test_attributes(self, world: str, colour: str) -> None:
        seen: list[Any] = []

        def behave(params: Any) -> Any:
            seen.append(dict(params))
            return {"owner": "ann"}

        assert load(world, coloured(colour, behave)) == {"owner": "ann"}
        assert seen == [{"id": 7, "slug": "a"}]

    def test_no_such_object(self, world: str, colour: str) -> None:
        assert load(world, coloured(colour, lambda _: None)) is Unloaded.MISSING

    @pytest.mark.parametrize(
        "error",
        [
            ValueError(SECRET),
            SystemExit(SECRET),
            KeyboardInterrupt(SECRET),
            GeneratorExit(SECRET),
            asyncio.CancelledError(SECRET),
            TimeoutError(SECRET),
            StopIteration(SECRET),
            BaseExceptionGroup(SECRET, [SystemExit(SECRET)]),
            type("Own", (BaseException,), {})(SECRET),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_whatever_it_raises(
        self, world: str, colour: str, error: BaseException, caplog: pytest.LogCaptureFixture
    ) -> None:
        def behave(_: Any) -> Any:
            raise error

        assert load(world, coloured(colour, behave)) is Unloaded.FAILED
        assert "the loader 'article' failed: " in caplog.text
        assert SECRET not in caplog.text

    @pytest.mark.parametrize(
        "found", ["text", 7, True, [("owner", "ann")], object(), b"", {1, 2}, ()], ids=repr
    )
    def test_what_is_no_mapping(self, world: str, colour: str, found: Any, caplog: Any) -> None:
        assert load(world, coloured(colour, lambda _: found)) is Unloaded.FAILED
        assert f"it returned a {type(found).__name__}" in caplog.text

    def test_any_mapping_is_read_at_once(self, world: str, colour: str) -> None:
        found = UserDict({"owner": "ann"})
        loaded = load(world, coloured(colour, lambda _: found))
        found["owner"] = "eve"
        assert loaded == {"owner": "ann"}

    def test_a_mapping_that_cannot_be_read(self, world: str, colour: str) -> None:
        class Hostile(UserDict[str, Any]):
            def __getitem__(self, key: str) -> Any:
                raise SystemExit(SECRET)

        found = Hostile()
        found.data["owner"] = 1
        assert load(world, coloured(colour, lambda _: found)) is Unloaded.FAILED

    def test_parameters_are_its_own(self, world: str, colour: str) -> None:
        effect = need()

        def behave(params: Any) -> Any:
            params["id"] = 8
            params.clear()
            return {}

        assert load(world, coloured(colour, behave), effect) == {}
        assert dict(effect.object.params) == {"id": 7, "slug": "a"}

    def test_the_context_of_the_request_is_known(self, world: str, colour: str) -> None:
        token = who.set("ann")
        try:
            assert load(world, coloured(colour, lambda _: {"who": who.get()})) == {"who": "ann"}
        finally:
            who.reset(token)

    def test_an_unknown_name_is_no_crash(self, world: str, colour: str) -> None:
        loader = coloured(colour, lambda _: {})
        assert load(world, loader, need(loader="another")) is Unloaded.FAILED

    def test_a_log_that_fails_is_no_crash(self, world: str, colour: str, monkeypatch: Any) -> None:
        class Broken:
            def filter(self, record: object) -> bool:
                raise ValueError

        monkeypatch.setattr(LOGGER, "filters", [Broken()])
        assert load(world, coloured(colour, lambda _: 1)) is Unloaded.FAILED


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """What a loader that hangs waits for, so that no thread is left."""
    event = threading.Event()
    yield event
    event.set()


@pytest.mark.parametrize("world", WORLDS)
def test_a_sync_loader_is_given_up_on(
    world: str, release: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    assert load(world, lambda _: release.wait(), need(0.01)) is Unloaded.FAILED
    assert "it took longer than 0.01 seconds, and was given up on" in caplog.text


@pytest.mark.parametrize("world", WORLDS)
def test_an_async_loader_is_cancelled(world: str) -> None:
    cancelled = threading.Event()

    async def hang(_: Any) -> Any:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async def scenario() -> Loaded:
        found = await Loaders({"article": hang}).load_async(need(0.01))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert cancelled.is_set()
        return found

    if world == "asgi":
        assert asyncio.run(scenario()) is Unloaded.FAILED
    else:
        assert load(world, hang, need(0.01)) is Unloaded.FAILED
        assert cancelled.wait(5)


@pytest.mark.parametrize("world", WORLDS)
def test_an_async_loader_that_will_not_be_cancelled_is_left(world: str) -> None:
    release: list[Callable[[], object]] = []

    async def hang(_: Any) -> Any:
        loop, event = asyncio.get_running_loop(), asyncio.Event()
        release.append(lambda: loop.call_soon_threadsafe(event.set))
        while not event.is_set():
            try:
                await event.wait()
            except asyncio.CancelledError:
                continue
        return {"owner": "too late"}

    async def scenario() -> Loaded:
        found = await Loaders({"article": hang}).load_async(need(0.01))
        await asyncio.sleep(0)
        release[0]()
        await asyncio.sleep(0.01)
        return found

    if world == "asgi":
        assert asyncio.run(scenario()) is Unloaded.FAILED
    else:
        assert load(world, hang, need(0.01)) is Unloaded.FAILED
        release[0]()


def test_an_async_loader_that_blocks_its_loop_holds_up_no_request(release: threading.Event) -> None:
    async def hang(_: Any) -> Any:
        release.wait()
        return {}

    assert load("wsgi", hang, need(0.01)) is Unloaded.FAILED


def test_a_client_that_goes_away_takes_its_call_along() -> None:
    cancelled: list[str] = []

    async def scenario() -> None:
        begun = asyncio.Event()

        async def hang(_: Any) -> Any:
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append("it")
                raise

        task = asyncio.create_task(Loaders({"article": hang}).load_async(need()))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)

    asyncio.run(scenario())
    assert cancelled == ["it"]


def test_a_task_that_somebody_else_cancels_is_a_failure() -> None:
    async def scenario() -> Loaded:
        async def end_it(_: Any) -> Any:
            current = asyncio.current_task()
            assert current is not None
            current.cancel()
            await asyncio.sleep(0)

        return await Loaders({"article": end_it}).load_async(need())

    assert asyncio.run(scenario()) is Unloaded.FAILED


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("colour", COLOURS)
def test_too_many_calls_are_refused_at_once(
    world: str, colour: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if (world, colour) == ("asgi", "async"):
        pytest.skip("they are the app's own tasks")
    monkeypatch.setattr(Workers, "submit", lambda *_: None)
    monkeypatch.setattr(Loop, "submit", lambda _, coroutine: coroutine.close())
    assert load(world, coloured(colour, lambda _: {})) is Unloaded.FAILED
    assert "too many calls" in caplog.text


class Called:
    async def __call__(self, params: Any) -> Any:
        return {"owner": "ann"}


class Repository:
    async def load(self, params: Any) -> Any:
        return {"owner": "ann"}


async def with_more(prefix: str, params: Any) -> Any:
    return {"owner": prefix}


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize(
    "loader",
    [Called(), Repository().load, functools.partial(with_more, "ann")],
    ids=["object", "method", "partial"],
)
def test_what_is_async_is_seen(world: str, loader: Any) -> None:
    assert load(world, loader) == {"owner": "ann"}


@pytest.mark.parametrize("world", WORLDS)
def test_a_sync_function_that_returns_a_coroutine_says_what_to_write(
    world: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        assert load(world, lambda params: Repository().load(params)) is Unloaded.FAILED
    assert "write it as `async def`" in caplog.text
