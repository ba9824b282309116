"""A process of its own whose cache many tokens pass: `python -m benchmarks.footprint NUMBER`.

Prints JSON: what is in use when the cache has just become full, and at the end. Of its own, because
the memory that other benchmarks have freed would hide what grows.
"""

from __future__ import annotations

import base64
import gc
import hashlib
import hmac
import json
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.calling import pull
from benchmarks.contenders import wsgi_around
from benchmarks.material import Request, policy, signer
from benchmarks.peers import PATH, ROLE

__all__ = ["FULL", "Footprint"]

FULL = 12_000
"""Tokens after which the cache is full for certain."""

MEASURED = 5_000
"""Tokens over which the memory of one is taken."""


class Footprint(NamedTuple):
    """What was found. Blocks are those of Python's own allocator."""

    per_token: float  # bytes
    resident_before: int  # bytes
    resident_after: int
    blocks_before: int
    blocks_after: int


def main(number: int) -> None:
    """Let `number` tokens pass."""
    per_token = _per_token(min(MEASURED, number // 2))
    app = wsgi_around(policy([signer("HS256").issuer]))
    environ = Request(PATH, "x").environ()
    before = (0, 0)
    full = min(FULL, number // 2)
    for turn, token in enumerate(_tokens(number)):
        if turn == full:
            before = _in_use()
        environ["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        pull(app, dict(environ))
    after = _in_use()
    found = Footprint(per_token, before[0], after[0], before[1], after[1])
    sys.stdout.write(json.dumps(found._asdict()) + "\n")


def _per_token(number: int) -> float:
    app = wsgi_around(policy([signer("HS256").issuer]))
    environ = Request(PATH, "x").environ()
    tokens = list(_tokens(number + 1))
    before = 0
    tracemalloc.start()
    for turn, token in enumerate(tokens):
        environ["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        pull(app, dict(environ))
        if turn == 0:
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
    del token
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return (after - before) / number


def _tokens(number: int) -> Iterator[str]:
    """Yield HS256 tokens that differ in `sub` and `jti`, signed with the least of effort."""
    issuer = signer("HS256")
    head, _, rest = issuer.mint("SUBJECT", role=ROLE).partition(".")
    payload = json.loads(_decoded(rest.partition(".")[0]))
    for each in range(number):
        payload["sub"], payload["jti"] = f"user-{each}", f"{each:032x}"
        text = f"{head}.{_encoded(json.dumps(payload, separators=(',', ':')).encode())}"
        code = hmac.digest(issuer.key, text.encode(), hashlib.sha256)
        yield f"{text}.{_encoded(code)}"


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _in_use() -> tuple[int, int]:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096, sys.getallocatedblocks()


if __name__ == "__main__":
    main(int(sys.argv[1]))
