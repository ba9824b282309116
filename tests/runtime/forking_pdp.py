"""Forks with a question in flight, a lock held, or the breaker open; run by `test_fork`."""

from __future__ import annotations

import os
import signal
import sys
from threading import Thread

from authz_middleware.authzen.decision_point import DecisionPoint
from authz_middleware.effects import NeedDecision
from authz_middleware.facts import Principal
from authz_middleware.policy.questions import question_of
from authz_middleware.runtime.decision_points import DecisionPoints

scenario, url = sys.argv[1:]
point = DecisionPoint("p", url, url, timeout=30.0, failures=1)
points = DecisionPoints({"p": point}, lambda: 0.0)
question = question_of("p", "GET", "/", {})
ann = Principal(subject="ann", issuer="https://x", expires_at=0)


def ask(who: str) -> None:
    sys.stdout.write(f"{who} {points.ask(NeedDecision((question,), ann, 0.0))}\n")
    sys.stdout.flush()


asked = Thread(target=ask, args=("parent",))
asked.start()
sys.stdin.readline()
if scenario == "open":
    asked.join()  # what it has told was read while it still held the lock of standard output
breaker = points._points["p"].breaker
if scenario == "lock held":
    breaker._lock.acquire()
pid = os.fork()
if pid == 0:
    signal.alarm(30)  # a child that hangs is a failure, not a test that hangs
    ask("child")
    os._exit(0)
if scenario == "lock held":
    breaker._lock.release()
_, status = os.waitpid(pid, 0)
asked.join()
sys.exit(os.waitstatus_to_exitcode(status))
