"""Forks with a question in the air, or with every lock held; run by `test_fork`."""

from __future__ import annotations

import os
import signal
import sys
from typing import cast

from authz_middleware import Authz
from authz_middleware.effects import Admit
from authz_middleware.facts import Authorization, RequestFacts
from authz_middleware.runtime.cache import VerifiedTokens
from authz_middleware.runtime.introspection import Introspector
from authz_middleware.tokens.introspection import OpaqueToken

scenario, endpoint = sys.argv[1:]
os.environ["INTROSPECTION_SECRET"] = "hush-hush"
authz = Authz.from_mapping(
    {
        "issuers": [
            {
                "issuer": "https://login.example.com",
                "audience": "orders",
                "introspection": {
                    "endpoint": endpoint,
                    "client_id": "orders",
                    "client_secret_env": "INTROSPECTION_SECRET",
                },
            }
        ],
        "routes": {"GET /me": "authenticated"},
    },
    clock=lambda: 1_700_000_000.0,
)
serving = authz.serving
cache = cast("VerifiedTokens", serving._engine._cache)
(introspector,) = cast("dict[str, Introspector]", serving._engine._introspected).values()


def ask(token: str) -> str:
    facts = RequestFacts("http", "GET", "/me", "")
    outcome = serving.outcome(facts, Authorization([b"Bearer " + token.encode()]))
    return "in" if isinstance(outcome, Admit) else outcome.decision.reason


def tell(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


digest = cache.digest(b"seen")
tell("parent", ask("seen"))
flight = introspector.ask(OpaqueToken("new"), cache.digest(b"new"))
sys.stdin.readline()
if scenario == "locks held":
    introspector._process.lock.acquire()
    cache._lock.acquire()
    introspector._refusals._lock.acquire()
pid = os.fork()
if pid == 0:
    signal.alarm(30)  # a child that hangs is a failure, not a test that hangs
    tell("child", len(cache), cache.digest(b"seen") == digest)
    tell("child", ask("seen"), ask("new"), ask("other"))
    os._exit(0)
_, status = os.waitpid(pid, 0)
if scenario == "locks held":
    introspector._process.lock.release()
    cache._lock.release()
    introspector._refusals._lock.release()
sys.stdin.readline()
flight.result()
tell("parent", ask("seen"), ask("new"))
sys.exit(os.waitstatus_to_exitcode(status))
