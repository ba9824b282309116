"""Forks while a reload holds its lock and the files are watched; run by `test_fork`."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from authz_middleware import Authz
from authz_middleware.effects import Admit
from authz_middleware.facts import ANONYMOUS, RequestFacts

file = Path(sys.argv[1])
authz = Authz.from_file(file, watch=0.01)
authz.in_force._lock.acquire()
assert authz._watch is not None
authz._watch.wake()
authz._watch._lock.acquire()


def ask() -> str:
    outcome = authz.serving.outcome(RequestFacts("http", "GET", "/health", ""), ANONYMOUS)
    return "in" if isinstance(outcome, Admit) else outcome.decision.reason


def tell(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


pid = os.fork()
if pid == 0:
    signal.alarm(30)  # a child that hangs is a failure, not a test that hangs
    authz.reload()
    tell("child", ask(), authz.serving.generation)
    sys.stdin.readline()
    while authz.serving.generation == 2:
        time.sleep(0.001)
    tell("child", ask())
    os._exit(0)
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status))
