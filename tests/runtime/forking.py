"""Forks with a fetch in flight, a lock held, or keys at hand; run by `test_fork`."""

from __future__ import annotations

import os
import signal
import sys

from authz_middleware.runtime import keys as module
from authz_middleware.runtime.keys import RemoteKeys
from authz_middleware.tokens.freshness import COOLDOWN
from authz_middleware.tokens.issuers import JwksUri

scenario, url = sys.argv[1:]
times = [1000.0]
source = RemoteKeys(JwksUri("https://x.example", url), lambda: times[-1])


def tell(who: str) -> None:
    keys = source.view(times[-1]).keys
    sys.stdout.write(f"{who} {keys.keys[0].kid if keys else None}\n")
    sys.stdout.flush()


def child() -> None:
    signal.alarm(30)  # a child that hangs is a failure, not a test that hangs
    source.refresh().result()
    tell("child")
    if scenario == "landed":
        times.append(times[-1] + COOLDOWN)
        source.refresh().result()
        tell("child")


flight = source.refresh()
if scenario == "landed":
    flight.result()
    tell("parent")
sys.stdin.readline()
if scenario == "lock held":
    module._lock().acquire()
pid = os.fork()
if pid == 0:
    child()
    os._exit(0)
if scenario == "lock held":
    module._lock().release()
_, status = os.waitpid(pid, 0)
if scenario != "landed":
    flight.result()
    tell("parent")
sys.exit(os.waitstatus_to_exitcode(status))
