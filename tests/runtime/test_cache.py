"""The verified-token cache. What an entry rests on is looked at by the engine."""

from __future__ import annotations

import gc
import json
import tracemalloc
from sys import getsizeof
from typing import Any

import pytest

from authz_middleware.effects import CachedToken
from authz_middleware.facts import Claims, Principal
from authz_middleware.runtime import forks
from authz_middleware.runtime.cache import MAX_BYTES, MAX_ENTRIES, VerifiedTokens, weigh
from authz_middleware.tokens.claims import Verified

ISSUER = "https://login.example.com"


def entry(number: int = 0, **claims: Any) -> CachedToken:
    """What a token leaves behind, made of objects of its own."""
    text = json.dumps({"iss": ISSUER, "sub": f"user{number}", "scope": "read pay"} | claims)
    members = json.loads(text)
    principal = Principal(
        subject=members["sub"],
        issuer=ISSUER,
        roles=frozenset(members.get("roles", ())),
        scopes=frozenset(members["scope"].split()),
        claims=Claims.freeze(members),
        expires_at=1e9 + number,
    )
    return CachedToken(ISSUER, None, Verified(principal, 1e8 + number, 1e9 + number))


def test_what_was_put_is_found() -> None:
    tokens = VerifiedTokens()
    known = entry()
    digest = tokens.digest(b"a.b.c")
    assert tokens.get(digest) is None
    tokens.put(digest, known)
    assert tokens.get(digest) is known
    assert tokens.get(tokens.digest(b"a.b.c")) is known
    assert tokens.get(tokens.digest(b"a.b.d")) is None
    tokens.discard(digest)
    assert tokens.get(digest) is None


def test_the_bounds() -> None:
    assert MAX_ENTRIES == 10_000
    assert MAX_BYTES == 32 * 1024 * 1024
    tokens = VerifiedTokens(3)
    for number in range(10):
        tokens.put(tokens.digest(str(number).encode()), entry(number))
        assert len(tokens) == min(number + 1, 3)
    assert tokens.weight == 3 * weigh(entry())
    small = VerifiedTokens(max_bytes=64 * weigh(entry(999)))
    for number in range(1000):
        small.put(small.digest(str(number).encode()), entry(number))
    assert 60 <= len(small) <= 64


def test_a_digest_says_nothing_elsewhere() -> None:
    one, other = VerifiedTokens(), VerifiedTokens()
    assert one.digest(b"a.b.c") == one.digest(b"a.b.c")
    assert one.digest(b"a.b.c") != other.digest(b"a.b.c")
    assert len(one.digest(b"a.b.c")) == 32


def test_a_forked_worker_has_a_key_of_its_own() -> None:
    tokens = VerifiedTokens()
    digest = tokens.digest(b"a.b.c")
    tokens.put(digest, entry())
    forks.renew()
    assert tokens.get(digest) is None
    assert tokens.digest(b"a.b.c") != digest
    assert len(tokens) == 0


WEIGHTS = {
    "usual": {"roles": ["viewer", "editor"], "jti": "x" * 36, "client_id": "orders", "n": 1.5},
    "many names": {"roles": [f"role-{number}" for number in range(200)]},
    "many objects": {"a": [{}] * 500},
    "many members": {"a": {f"n{number}": number for number in range(500)}},
    "many lists": {"a": [[0]] * 500},
    "long text": {"a": "x" * 5000},
    "wide text": {"ä": ["日本" * 2000, "é" * 200, "plain" * 50]},
    "texts beside a number": {"a": [1, *[f"{number}" * 30 for number in range(200)]]},
    "many scopes": {"scope": " ".join(f"scope:{number}" for number in range(500))},
    "numbers": {"a": [number * 1.5 for number in range(500)]},
}


@pytest.mark.parametrize("claims", WEIGHTS.values(), ids=WEIGHTS)
def test_the_weight_is_what_an_entry_takes(claims: dict[str, Any]) -> None:
    """Never less than the interpreter allocates, and not much more."""
    count = 50
    tokens = VerifiedTokens(max_entries=count * 2, max_bytes=1 << 40)
    tokens.put(tokens.digest(b"warm"), entry(**claims))
    gc.freeze()  # only what is made from here on is collected, and it does not take seconds
    tracemalloc.start()
    try:
        for number in range(count):
            tokens.put(tokens.digest(str(number).encode()), entry(number, **claims))
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
        gc.unfreeze()
    counted = count * weigh(entry(**claims))
    assert taken <= counted <= 2.5 * taken


def test_shared_sets_are_counted_by_their_tables() -> None:
    names = frozenset(f"permission-{number}" for number in range(1000))
    known = entry()
    principal = known.verified.principal
    wider = Principal(
        subject=principal.subject,
        issuer=ISSUER,
        scopes=principal.scopes,
        permissions=names,
        claims=principal.claims,
        expires_at=1,
    )
    added = weigh(CachedToken(ISSUER, None, Verified(wider, 0, 1))) - weigh(known)
    assert added == getsizeof(names) - getsizeof(frozenset())
