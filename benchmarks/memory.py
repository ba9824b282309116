"""Memory: what a remembered token takes, and whether the cache stays as large as it is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.figures import Bar, Figure, Group
from benchmarks.footprint import Footprint
from benchmarks.plan import Plan

__all__ = ["memory"]

MEGA = 1e6
ROOT = Path(__file__).parent.parent

# Flat but for what an allocator rounds: less than a hundredth of what passes through.
BLOCKS = Bar("at most", 1.01)
RESIDENT = Bar("at most", 1.05)


def memory(plan: Plan) -> Group:
    """Let many tokens pass through the cache of a process of its own."""
    number = plan.passing_tokens
    command = [sys.executable, "-m", "benchmarks.footprint", str(number)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    found = Footprint(**json.loads(done.stdout))
    return Group(
        "memory",
        f"Memory: {number:,} different tokens through the cache of one process",
        [
            Figure("memory of one remembered token", found.per_token, "B"),
            Figure("resident when the cache is full", found.resident_before / MEGA, "MB"),
            Figure("resident at the end", found.resident_after / MEGA, "MB"),
            Figure(
                "resident, end ÷ full",
                found.resident_after / found.resident_before,
                "x",
                RESIDENT,
            ),
            Figure(
                "allocated blocks, end ÷ full",
                found.blocks_after / found.blocks_before,
                "x",
                BLOCKS,
            ),
        ],
        [
            (
                "Requests through the whole WSGI middleware, cache and size of the cache as"
                " shipped. The tokens are cheap: HS256, one header, signed by hand; each has a"
                " `sub` and a `jti` of its own."
            ),
        ],
    )
