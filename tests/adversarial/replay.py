"""Hand every app what real servers built from odd requests, and see which handlers run.

    python -m tests.adversarial.replay

prints, app by app, how many requests were sent and how many protected handlers ran for a caller
without the right: behind no guard, behind one that compares strings, and behind ours.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from django.test.utils import override_settings

from authz_middleware import Authz
from authz_middleware.testing import DevelopmentIssuer
from tests.adversarial.apps import KINDS, Kind, djangos
from tests.adversarial.record import Fact, read
from tests.adversarial.routes import RAN, Caller, may, policy

__all__ = ["Outcome", "Ran", "naive", "ours", "recorded", "replayed", "sample", "unguarded"]

WITHOUT_RIGHT: tuple[Caller, ...] = ("nobody", "garbage", "viewer")


GARBAGE = 8
"""Of how many requests one is sent with a token that is none."""


class Ran(NamedTuple):
    """A handler that ran for a caller without the right."""

    handler: str
    caller: Caller
    fact: Fact

    @property
    def what(self) -> tuple[str, str]:
        """What ran, and for which request."""
        return self.handler, self.fact.line

    def __str__(self) -> str:
        behind = ", ".join(self.fact.servers)
        return f"{self.handler} ran for {self.caller}: {self.fact.line} ({behind})"


@dataclass
class Outcome:
    """What one app made of all that was sent to it."""

    app: str
    sent: int = 0
    ran: Counter[str] = field(default_factory=Counter)  # handlers, whoever called
    wrong: list[Ran] = field(default_factory=list)
    plain: int = 0  # plain requests of an entitled caller whose handler runs without a guard
    blocked: list[str] = field(default_factory=list)  # those whose handler did not run behind one

    def __str__(self) -> str:
        return (
            f"{self.app:12} {self.sent:8,} sent, {self.ran.total():7,} handlers ran,"
            f" {len(self.wrong):6,} wrongly; {self.plain:3} plain, {len(self.blocked)} blocked"
        )


_NEVER_ROUTED = frozenset({"RAW_URI", "REQUEST_URI", "raw_path", "query_string", "QUERY_STRING"})
"""What no router looks at; our guard does, but only to refuse."""


@lru_cache(maxsize=2)
def recorded(world: str) -> tuple[Fact, ...]:
    """Return what was recorded of one world; of what routers cannot tell apart, the most plain.

    That is the one whose target holds least for which our guard refuses.
    """
    found: dict[str, Fact] = {}
    for fact in read(world):
        routed = {name: fact.facts[name] for name in fact.facts if name not in _NEVER_ROUTED}
        key = json.dumps(routed, sort_keys=True)
        known = found.get(key)
        if known is None:
            found[key] = fact
            continue
        plainer = known if _slashes_hidden(known) <= _slashes_hidden(fact) else fact
        servers = tuple(dict.fromkeys((*known.servers, *fact.servers)))
        found[key] = Fact(known.kind, known.line, plainer.facts, servers)
    return tuple(found.values())


def _slashes_hidden(fact: Fact) -> int:
    facts = fact.facts
    targets = (facts.get("raw_path"), facts.get("RAW_URI"), facts.get("REQUEST_URI"))
    return sum((target or "").lower().count("%2f") for target in targets)


def sample(world: str, every: int) -> tuple[Fact, ...]:
    """Return the plain requests, and each `every`-th of the others."""
    facts = recorded(world)
    plain = [fact for fact in facts if fact.kind == "plain"]
    return (*plain, *facts[len(plain) :: every])


@lru_cache(maxsize=1)
def tokens() -> tuple[DevelopmentIssuer, dict[Caller, str]]:
    issuer = DevelopmentIssuer("https://login.example.com", "orders-api")
    return issuer, {
        "nobody": "",
        "garbage": "Bearer e30.e30.AAAA",
        "viewer": f"Bearer {issuer.mint('ann', roles=['viewer'], lifetime=7200)}",
        "admin": f"Bearer {issuer.mint('bob', roles=['admin'], lifetime=7200)}",
    }


def environ_of(facts: dict[str, Any], authorization: str) -> dict[str, Any]:
    """Return a whole environ; `facts` are not changed."""
    environ = {
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        **facts,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    if authorization:
        environ["HTTP_AUTHORIZATION"] = authorization
    return environ


def scope_of(facts: dict[str, Any], authorization: str) -> dict[str, Any]:
    """Return a whole scope; `facts` are not changed."""
    headers = [
        (name.encode("latin-1"), value.encode("latin-1")) for name, value in facts["headers"]
    ]
    if authorization:
        headers.append((b"authorization", authorization.encode()))
    raw = facts["raw_path"]
    websocket = facts["type"] == "websocket"
    return {
        **facts,
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "ws" if websocket else "http",
        "server": ("localhost", 80),
        "client": ("127.0.0.1", 50000),
        "raw_path": None if raw is None else raw.encode("latin-1"),
        "query_string": facts["query_string"].encode("latin-1"),
        "headers": headers,
        "subprotocols": [],
    }


def call_wsgi(app: Any, facts: dict[str, Any], authorization: str) -> None:
    """Serve one request; what the app raises is the server's affair."""
    with suppress(Exception):  # a server would answer 500
        body = app(environ_of(facts, authorization), lambda status, headers, exc_info=None: None)
        try:
            for _ in body:
                pass
        finally:
            if hasattr(body, "close"):
                body.close()


async def call_asgi(app: Any, facts: dict[str, Any], authorization: str) -> None:
    """Serve one request; what the app raises is the server's affair."""
    scope = scope_of(facts, authorization)
    kind = scope["type"]
    first = (
        {"type": "websocket.connect"}
        if kind == "websocket"
        else {"type": "http.request", "body": b"", "more_body": False}
    )
    waiting = [first]
    finished = asyncio.Event()

    async def receive() -> Any:
        if waiting:
            return waiting.pop()
        await finished.wait()  # until then the client is still there
        return {"type": f"{kind}.disconnect", "code": 1005}

    async def send(message: Any) -> None:
        if message["type"].endswith(("accept", "close", "body")):
            finished.set()

    with suppress(Exception):  # a server would answer 500
        await app(scope, receive, send)


def replayed(
    kind: Kind,
    facts: Iterable[Fact],
    guard: Callable[[Any], Any],
    callers: Sequence[Caller] = WITHOUT_RIGHT,
) -> Outcome:
    """Send an app behind `guard` everything, as each of `callers`."""
    outcome = Outcome(kind.name)
    with serving(kind) as make, silence():
        guarded, bare = guard(make()), make()
        _, authorization = tokens()
        facts = tuple(facts)

        async def send(app: Any, fact: Fact, caller: Caller) -> list[str]:
            RAN.clear()
            if kind.world == "asgi":
                await call_asgi(app, fact.facts, authorization[caller])
            else:
                call_wsgi(app, fact.facts, authorization[caller])
            return list(RAN)

        async def everything() -> None:
            for number, fact in enumerate(facts):
                for caller in callers:
                    # Who is refused for his token is refused as who has none, wherever it is.
                    if caller == "garbage" and number % GARBAGE:
                        continue
                    outcome.sent += 1
                    for handler in await send(guarded, fact, caller):
                        outcome.ran[handler] += 1
                        if not may(caller, handler):
                            outcome.wrong.append(Ran(handler, caller, fact))
                if fact.kind == "plain":
                    for handler in await send(bare, fact, "admin"):
                        outcome.plain += 1
                        if handler not in await send(guarded, fact, "admin"):
                            outcome.blocked.append(f"{fact.line} ({', '.join(fact.servers)})")

        if kind.world == "asgi":
            asyncio.run(everything())
        else:
            # No event loop: what is synchronous may ask whether there is one.
            step = everything()
            with suppress(StopIteration):
                step.send(None)
    return outcome


@contextmanager
def silence() -> Generator[None]:
    """Let no framework log each of its errors: there are many thousands."""
    before = logging.root.manager.disable
    logging.disable()
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def serving(kind: Kind) -> Generator[Callable[[], Any]]:
    """Yield what makes the app, in the settings that it needs."""
    if not kind.name.startswith("django"):
        yield kind.make
        return
    kind.make()  # Django is configured from here on
    with override_settings(ROOT_URLCONF=djangos.__name__):
        yield kind.make


def ours(kind: Kind, default: str) -> Callable[[Any], Any]:
    """Return what puts our middleware around an app of this kind."""
    issuer, _ = tokens()
    authz = Authz.from_mapping(policy(issuer, default, dict(kind.routes)))
    return lambda app: kind.wrap(app, authz)


def unguarded(app: Any) -> Any:
    """No guard at all."""
    return app


def naive(kind: Kind) -> Callable[[Any], Any]:
    """A guard as it is often written: a list of protected prefixes, compared with the path."""
    _, authorization = tokens()
    needs: dict[str, Caller] = {
        "/admin": "admin",
        "/items": "viewer",
        "/files/private": "admin",
        "/files": "viewer",
        "/sub/admin": "admin",
        "/users/me": "viewer",
        "/users": "admin",
        "/feed/admin": "admin",
        "/sink": "admin",
        "/deep": "admin",
    }
    rank: dict[str, int] = {"": 0, authorization["viewer"]: 1, authorization["admin"]: 2}
    wanted = {"viewer": 1, "admin": 2}

    def refuses(path: str, presented: str) -> bool:
        rule = next((each for each in needs if path.startswith(each)), None)
        return rule is not None and rank.get(presented, 0) < wanted[needs[rule]]

    def guard_wsgi(app: Any) -> Any:
        def guarded(environ: Any, start_response: Any) -> Any:
            if refuses(environ["PATH_INFO"], environ.get("HTTP_AUTHORIZATION", "")):
                start_response("403 Forbidden", [])
                return [b""]
            return app(environ, start_response)

        return guarded

    def guard_asgi(app: Any) -> Any:
        async def guarded(scope: Any, receive: Any, send: Any) -> None:
            headers = dict(scope["headers"])
            path = scope["path"].removeprefix(scope["root_path"])
            if not refuses(path, headers.get(b"authorization", b"").decode("latin-1")):
                await app(scope, receive, send)

        return guarded

    return guard_asgi if kind.world == "asgi" else guard_wsgi


def main() -> int:
    """Print the counts; return 1 if anything ran that should not."""
    failed = False
    began = time.monotonic()
    for kind in KINDS:
        guards = {
            "none": unguarded,
            "string prefixes": naive(kind),
            "ours, deny": ours(kind, "deny"),
            "ours, authenticated": ours(kind, "authenticated"),
        }
        for name, guard in guards.items():
            callers = WITHOUT_RIGHT if name.startswith("ours") else ("viewer",)
            outcome = replayed(kind, recorded(kind.world), guard, callers)
            print(f"{name:20} {outcome}", flush=True)
            if name.startswith("ours"):
                for each in (*outcome.wrong, *outcome.blocked):
                    print(ascii(str(each)))
                    failed = True
    print(f"{time.monotonic() - began:.0f} s")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
