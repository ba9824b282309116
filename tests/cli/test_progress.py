"""Who is told how far long work has come, and who is not."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from authz_middleware.analysis import compare, tabulate
from authz_middleware.asgi import ASGIAuthzMiddleware
from authz_middleware.cli.progress import ERASE, Told
from authz_middleware.document import Document
from authz_middleware.runtime.authz import Authz
from authz_middleware.testing import attack, run_policy_tests
from tests.cli.conftest import ISSUER


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def clock(*times: float) -> Iterator[float]:
    yield from times


def told(times: Iterator[float], stream: io.StringIO, *, quiet: bool = False) -> Told:
    return Told("matrix", quiet=quiet, stream=stream, clock=lambda: next(times))


def test_what_takes_long_is_told_and_erased() -> None:
    terminal = Terminal()
    steps = told(clock(0.0, 0.9, 1.0, 1.1, 1.2), terminal)("abcd")
    assert list(steps) == ["a", "b", "c", "d"]
    assert terminal.getvalue() == f"{ERASE}matrix ... 50 %{ERASE}matrix ... 100 %{ERASE}"


def test_without_a_length_they_are_counted() -> None:
    terminal = Terminal()
    steps = told(clock(0.0, 0.5, 2.0), terminal)(iter("ab"))
    assert list(steps) == ["a", "b"]
    assert terminal.getvalue() == f"{ERASE}matrix ... 2{ERASE}"


def test_what_is_done_soon_says_nothing() -> None:
    terminal = Terminal()
    assert list(told(clock(0.0, 0.1, 0.2), terminal)("ab")) == ["a", "b"]
    assert terminal.getvalue() == ""


def test_the_line_goes_with_an_error() -> None:
    terminal = Terminal()
    with pytest.raises(RuntimeError):
        failing(told(clock(0.0, 5.0), terminal))
    assert terminal.getvalue().endswith(ERASE)


def failing(progress: Told) -> None:
    for step in progress("ab"):
        if step == "b":
            raise RuntimeError


@pytest.mark.parametrize(
    ("stream", "quiet"),
    [(io.StringIO(), False), (Terminal(), True)],
    ids=["a pipe", "a program reads"],
)
def test_nobody_else_is_told(stream: io.StringIO, quiet: bool) -> None:
    assert list(told(clock(0.0), stream, quiet=quiet)("ab")) == ["a", "b"]
    assert stream.getvalue() == ""


# --- What tells ---

POLICY = ISSUER + '[routes]\n"GET /a" = ["r"]\n[[tests]]\nas = { roles = ["r"] }\nallow = ["/a"]\n'


class Slow:
    """A progress that is far behind from the first step on."""

    def __init__(self) -> None:
        self.terminal = Terminal()
        times = iter(range(10_000))
        self.told = Told("work", stream=self.terminal, clock=lambda: float(next(times)))


@pytest.mark.parametrize("work", ["matrix", "diff", "mutation", "attack"])
def test_long_work_is_told(work: str, folder: Path) -> None:
    policy = folder / "authz.toml"
    policy.write_text(POLICY)
    slow = Slow()
    if work == "matrix":
        tabulate(Document.read(policy), progress=slow.told)
    elif work == "diff":
        compare(Document.read(policy), Document.read(policy), progress=slow.told)
    elif work == "mutation":
        run_policy_tests(policy, mutate=True, progress=slow.told)
    else:
        attack(guarded(policy), progress=slow.told)
    assert "work ... 100 %" in slow.terminal.getvalue()


def guarded(policy: Path) -> object:

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"in"})

    return ASGIAuthzMiddleware(app, Authz.from_file(policy))
