"""Calls an app as a server would, one request at a time, and sees what code of it ran."""

from __future__ import annotations

import asyncio
import inspect
import io
import sys
import sysconfig
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

__all__ = ["ASGIDriver", "Answered", "Trace", "WSGIDriver", "is_asgi", "is_own"]

MAX_CHUNKS = 64
"""Chunks of a body that are read: a stream may never end."""

MAX_SECONDS = 10.0
"""How long an ASGI app may take over one request."""

_OURS = str(Path(__file__).resolve().parent.parent.parent)
_LIBRARIES = tuple(
    {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)


class Answered(NamedTuple):
    """What the app said: a status (0 if it said nothing) and the beginning of the body."""

    status: int
    body: bytes


def is_asgi(app: object) -> bool:
    """Whether `app` is an ASGI app; else it is taken for a WSGI app."""
    call = getattr(app, "__call__", None)  # noqa: B004 - its kind is asked, not whether it is there
    return inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(call)


def is_own(code: CodeType) -> bool:
    """Whether `code` is the application's own: of no installed library, and not made by one."""
    return not code.co_filename.startswith(("<frozen", "<string>", "<attrs", *_LIBRARIES))


class Trace:
    """Which functions run, the guard's own aside, while `on` is true.

    Threads that were started before the attack are not seen on Python 3.11.
    """

    def __init__(self) -> None:
        self.ran: set[CodeType] = set()
        self.on = False

    @contextmanager
    def installed(self) -> Generator[None]:
        """Watch every thread that starts while the block runs, and this one."""
        before = sys.getprofile(), threading.getprofile()
        everywhere: Callable[[Any], None] = getattr(
            threading, "setprofile_all_threads", threading.setprofile
        )
        everywhere(self._event)
        sys.setprofile(None)  # in this one only while something is to be seen
        try:
            yield
        finally:
            everywhere(before[1])
            sys.setprofile(before[0])

    def start(self) -> None:
        """See what runs from here on."""
        if self.on:
            return
        self.on = True
        sys.setprofile(self._event)

    def stop(self) -> frozenset[CodeType]:
        """Return what has run."""
        sys.setprofile(None)
        self.on = False
        ran, self.ran = self.ran, set()
        # A copy: a thread of the app's may be about to add what it runs.
        return frozenset(code for code in ran.copy() if not code.co_filename.startswith(_OURS))

    def _event(self, frame: FrameType, event: str, _: object) -> None:
        if self.on and event == "call":
            self.ran.add(frame.f_code)


class WSGIDriver:
    """Calls a WSGI app."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def send(self, facts: dict[str, Any]) -> Answered:
        """Send one request."""
        environ = {
            **facts,
            "wsgi.version": (1, 0),
            "wsgi.input": io.BytesIO(),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": False,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        started: list[str] = []

        written: list[bytes] = []

        def start_response(
            status: str, _headers: object, _exc_info: object = None
        ) -> Callable[[bytes], None]:
            started.append(status)
            return written.append

        try:
            body = self._app(environ, start_response)
            try:
                content = b"".join((*islice(body, MAX_CHUNKS), *written))
            finally:
                if (close := getattr(body, "close", None)) is not None:
                    close()
        except Exception:  # noqa: BLE001 - a server answers 500 for it
            return Answered(500, b"")
        return Answered(int(started[-1][:3]) if started else 0, content)

    @contextmanager
    def running(self) -> Generator[None]:
        """Do nothing: a WSGI app is not told that it starts."""
        yield


class _Enough(Exception):
    """The app goes on and on, and what it said is enough."""


class ASGIDriver:
    """Calls an ASGI app, in an event loop that goes on from one request to the next."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._runner: asyncio.Runner | None = None
        self._state: dict[str, Any] = {}

    def send(self, facts: dict[str, Any]) -> Answered:
        """Send one request."""
        if self._runner is None:
            raise RuntimeError("the app is not running")
        return self._runner.run(self._send(facts))

    async def _send(self, facts: dict[str, Any]) -> Answered:
        websocket = facts["type"] == "websocket"
        waiting = iter(
            (
                {"type": "websocket.connect"},
                {"type": "websocket.receive", "text": "hello", "bytes": None},
            )
            if websocket
            else ({"type": "http.request", "body": b"", "more_body": False},)
        )
        gone = {"type": "websocket.disconnect" if websocket else "http.disconnect", "code": 1005}
        status = 0
        chunks: list[bytes] = []

        async def receive() -> dict[str, Any]:
            return next(waiting, gone)

        async def send(message: dict[str, Any]) -> None:
            nonlocal status
            kind = message["type"]
            if kind == "websocket.accept":
                status = 101
            elif kind == "websocket.close":
                status = status or 403
            elif kind.endswith("response.start"):
                status = message["status"]
            else:
                chunks.append(message.get("body") or (message.get("text") or "").encode())
            if len(chunks) > MAX_CHUNKS:
                raise _Enough

        try:
            async with asyncio.timeout(MAX_SECONDS):
                await self._app({**facts, "state": dict(self._state)}, receive, send)
        except (_Enough, TimeoutError):
            pass
        except Exception:  # noqa: BLE001 - a server answers 500 for it
            status = status or 500
        return Answered(status, b"".join(chunks))

    @contextmanager
    def running(self) -> Generator[None]:
        """Tell the app that it starts, and at the end of the block that it stops."""
        with asyncio.Runner() as runner:
            self._runner = runner
            lifespan = _Lifespan(self._app, self._state)
            try:
                runner.run(lifespan.startup())
                yield
            finally:
                runner.run(lifespan.shutdown())
                self._runner = None


class _Lifespan:
    """ASGI, "Lifespan Protocol"; an app that does not know it is served without."""

    def __init__(self, app: Any, state: dict[str, Any]) -> None:
        self._app = app
        self._state = state
        self._asked: Iterator[str] = iter(("lifespan.startup", "lifespan.shutdown"))
        self._failed = ""
        self._task: asyncio.Task[None] | None = None

    async def startup(self) -> None:
        self._stop = asyncio.Event()
        self._started = asyncio.Event()
        self._task = asyncio.create_task(self._run())
        await self._started.wait()
        if self._failed:
            raise RuntimeError(f"the app did not start: {self._failed}")

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": self._state}
        with suppress(Exception):
            await self._app(scope, self._receive, self._send)
        self._started.set()

    async def _receive(self) -> dict[str, Any]:
        kind = next(self._asked)
        if kind == "lifespan.shutdown":
            await self._stop.wait()
        return {"type": kind}

    async def _send(self, message: dict[str, Any]) -> None:
        if not message["type"].startswith("lifespan."):
            raise ValueError("the app takes its start for a request")
        if message["type"] == "lifespan.startup.failed":
            self._failed = message.get("message") or "it gave no reason"
        self._started.set()

    async def shutdown(self) -> None:
        self._stop.set()
        if self._task is not None:
            await asyncio.wait((self._task,), timeout=MAX_SECONDS)
