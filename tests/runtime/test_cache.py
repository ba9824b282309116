from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.engine import CachedToken
from authz_middleware.runtime.cache import MAX_ENTRIES, VerifiedTokens


def entry() -> CachedToken:
    nothing: Any = None
    return CachedToken("https://login.example.com", nothing, nothing)


def test_what_was_put_is_found() -> None:
    tokens = VerifiedTokens()
    known = entry()
    digest = tokens.digest("a.b.c")
    assert tokens.get(digest) is None
    tokens.put(digest, known)
    assert tokens.get(digest) is known
    assert tokens.get(tokens.digest("a.b.c")) is known
    assert tokens.get(tokens.digest("a.b.d")) is None


def test_the_bound() -> None:
    assert MAX_ENTRIES == 10_000
    tokens = VerifiedTokens(3)
    for number in range(10):
        tokens.put(tokens.digest(str(number)), entry())
        assert len(tokens) == min(number + 1, 3)


def test_the_oldest_goes_first() -> None:
    tokens = VerifiedTokens(3)
    a, b, c, d = (tokens.digest(name) for name in "abcd")
    for digest in (a, b, c):
        tokens.put(digest, entry())
    tokens.get(a)  # being asked for does not make it younger
    tokens.put(b, entry())  # being verified again does
    assert len(tokens) == 3
    tokens.put(d, entry())
    tokens.put(a, entry())
    assert [tokens.get(each) is not None for each in (a, b, c, d)] == [True, True, False, True]


def test_a_digest_says_nothing_elsewhere() -> None:
    one, other = VerifiedTokens(), VerifiedTokens()
    assert one.digest("a.b.c") == one.digest("a.b.c")
    assert one.digest("a.b.c") != other.digest("a.b.c")
    assert len(one.digest("a.b.c")) == 32


def test_no_token_text_is_kept() -> None:
    tokens = VerifiedTokens()
    tokens.put(tokens.digest("abcdef.ghijkl.mnopqr"), entry())
    assert not any(b"abcdef" in digest for digest in tokens._entries)
    with pytest.raises(UnicodeEncodeError):
        tokens.digest("é")


@given(st.lists(st.integers(0, 9)), st.integers(1, 5))
def test_it_holds_the_latest(names: list[int], bound: int) -> None:
    tokens = VerifiedTokens(bound)
    for name in names:
        tokens.put(tokens.digest(str(name)), entry())
    latest = list(dict.fromkeys(reversed(names)))[:bound]
    held = [name for name in range(10) if tokens.get(tokens.digest(str(name)))]
    assert sorted(latest) == held


def test_many_threads() -> None:
    tokens = VerifiedTokens(50)
    together = Barrier(8)

    def work(seed: int) -> None:
        together.wait(30)
        for number in range(500):
            digest = tokens.digest(str((seed * 7 + number) % 120))
            tokens.put(digest, entry())
            tokens.get(digest)
            assert len(tokens) <= 50

    with ThreadPoolExecutor(8) as threads:
        for each in [threads.submit(work, seed) for seed in range(8)]:
            each.result(30)
    assert len(tokens) == 50
