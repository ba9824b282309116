"""Asking decision points: both worlds, every way in which one can misbehave, and the breaker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from threading import Event, Thread
from typing import Any, TypeAlias

import pytest

from authz_middleware.authzen.decision_point import DecisionPoint
from authz_middleware.effects import NeedDecision
from authz_middleware.facts import Principal
from authz_middleware.policy.questions import Said, Unanswered, question_of
from authz_middleware.runtime import decision_points, workers
from authz_middleware.runtime.decision_points import DecisionPoints
from authz_middleware.runtime.fetch import FetchFailed, NotTaken, Response, TimedOut
from authz_middleware.testing import FrozenClock
from tests.runtime.decider import EVALUATION, EVALUATIONS, Decider, deciding
from tests.runtime.provider import Behaviour, answer, gated, raw

ANN = Principal(subject="ann", issuer="https://login.example.com", expires_at=0)
SECRET = "s3cr3t-of-ours"
JSON = "application/json"
YES = {"decision": True}

Ask: TypeAlias = Callable[[DecisionPoints, NeedDecision], tuple[Said, ...]]


def ask(points: DecisionPoints, effect: NeedDecision) -> tuple[Said, ...]:
    return points.ask(effect)


def ask_async(points: DecisionPoints, effect: NeedDecision) -> tuple[Said, ...]:
    return asyncio.run(points.ask_async(effect))


both = pytest.mark.parametrize("ask", [ask, ask_async], ids=["sync", "async"])


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(1_800_000_000.0)


@pytest.fixture
def decider() -> Iterator[Decider]:
    with deciding() as decider:
        yield decider


def point(url: str, **keys: Any) -> DecisionPoint:
    usual = {"authorization": f"Bearer {SECRET}", "timeout": 30.0, "failures": 3}
    return DecisionPoint("orders", url + EVALUATION, url + EVALUATIONS, **{**usual, **keys})


def need(*ids: int) -> NeedDecision:
    questions = tuple(question_of("orders", "GET", "/a/{id}", {"id": id}) for id in ids or (1,))
    return NeedDecision(questions, ANN, 1_800_000_000.0)


def made(decider: Decider, clock: FrozenClock, **keys: Any) -> DecisionPoints:
    return DecisionPoints({"orders": point(decider.url, **keys)}, clock)


@both
def test_one_and_several(decider: Decider, clock: FrozenClock, ask: Ask) -> None:
    decider.says["/a/2"] = False
    points = made(decider, clock)
    assert ask(points, need()) == (True,)
    assert ask(points, need(1, 2, 3)) == (True, False, True)
    assert decider.provider.asked == [EVALUATION, EVALUATIONS]
    first, second = (fields["x-request-id"] for fields in decider.provider.headers)
    assert first != second


def one_by_one(decider: Decider, clock: FrozenClock, **keys: Any) -> DecisionPoints:
    only = DecisionPoint("orders", decider.url + EVALUATION, None, **keys)
    return DecisionPoints({"orders": only}, clock)


@both
def test_several_are_put_one_by_one_where_there_is_no_place_for_them(
    decider: Decider, clock: FrozenClock, ask: Ask
) -> None:
    decider.says["/a/2"] = False
    points = one_by_one(decider, clock, timeout=30.0)
    assert ask(points, need(1, 2, 3)) == (True, False, True)
    assert decider.paths == ["/a/1", "/a/2", "/a/3"]
    assert {*decider.provider.asked} == {EVALUATION}
    decider.says["/a/2"] = "x"
    assert ask(points, need(1, 2, 3)) == (Unanswered("unusable_answer"),) * 3
    assert decider.paths[3:] == ["/a/1", "/a/2"]


@both
def test_all_of_them_have_the_time_of_one(
    clock: FrozenClock, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    times, given = [100.0], list[float]()

    def slow(sent: object, seconds: float) -> Response:
        given.append(seconds)
        times[0] += 3
        return OK

    only = DecisionPoint("orders", "https://x", None, timeout=5.0)
    points = DecisionPoints({"orders": only}, clock, slow)
    monkeypatch.setattr(decision_points, "monotonic", lambda: times[0])
    assert ask(points, need(1, 2, 3)) == (Unanswered("timeout"),) * 3
    assert given == [5.0, 2.0]


HUGE = b'{"decision": true, "x": "' + b"x" * 70_000 + b'"}'
TRUE = b'{"decision": true}'
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"

MISBEHAVIOURS: dict[str, tuple[Behaviour, str]] = {
    "true as text": (answer({"decision": "true"}, content_type=JSON), "unusable_answer"),
    "1": (answer({"decision": 1}, content_type=JSON), "unusable_answer"),
    "HTML": (answer(b"<html>decision: true", content_type="text/html"), "unusable_answer"),
    "HTML that is JSON": (answer(YES, content_type="text/html"), "unusable_answer"),
    "no type": (answer(YES), "unusable_answer"),
    "two booleans": (
        answer(b'{"decision": false, "decision": true}', content_type=JSON),
        "unusable_answer",
    ),
    "a huge body": (answer(HUGE, content_type=JSON), "unusable_answer"),
    "a compressed body": (
        answer(YES, content_type=JSON, content_encoding="gzip"),
        "unusable_answer",
    ),
    "no body": (answer(b"", content_type=JSON), "unusable_answer"),
    "201": (answer(YES, 201, content_type=JSON), "status"),
    "204": (raw(b"HTTP/1.1 204 No Content\r\n\r\n"), "status"),
    "a redirect to itself": (
        answer(YES, 307, content_type=JSON, location=EVALUATION),
        "status",
    ),
    "a redirect elsewhere": (
        answer(YES, 302, content_type=JSON, location="/elsewhere"),
        "status",
    ),
    "400": (answer(YES, 400, content_type=JSON), "status"),
    "401": (answer(YES, 401, content_type=JSON, www_authenticate="Bearer"), "refused_us"),
    "403": (answer(YES, 403, content_type=JSON), "refused_us"),
    "500": (answer(YES, 500, content_type=JSON), "status"),
    "interim answers alone": (raw(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 3), "unreachable"),
    "it hangs up": (raw(), "unreachable"),
    "it hangs up in the body": (
        raw(HEAD + b'content-length: 99\r\n\r\n{"decision": true}'),
        "unreachable",
    ),
    "no HTTP": (raw(b'{"decision": true}'), "unreachable"),
    "two lengths": (
        raw(HEAD + b'content-length: 18\r\ncontent-length: 2\r\n\r\n{"decision": true}'),
        "unreachable",
    ),
    "206": (answer(YES, 206, content_type=JSON), "status"),
    "two types": (
        raw(HEAD + b"content-type: text/html\r\ncontent-length: 18\r\n\r\n", TRUE),
        "unusable_answer",
    ),
    "half a field's line": (raw(HEAD + b"x: y"), "unreachable"),
    "a length that is too short": (
        raw(HEAD + b"content-length: 17\r\n\r\n", TRUE),
        "unusable_answer",
    ),
    "UTF-16": (raw(HEAD + b"\r\n", TRUE.decode().encode("utf-16")), "unusable_answer"),
    "a NUL behind it": (raw(HEAD + b"\r\n", TRUE + b"\0"), "unusable_answer"),
    "NaN beside it": (raw(HEAD + b'\r\n{"decision": true, "x": NaN}'), "unusable_answer"),
    "a number without end": (
        raw(HEAD + b'\r\n{"decision": true, "x": ' + b"9" * 5000 + b"}"),
        "unusable_answer",
    ),
    "a header without end": (raw(HEAD + b"x: y\r\n" * 20_000), "unreachable"),
    "another protocol": (
        raw(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", TRUE),
        "unreachable",
    ),
    "an error of the question": (
        answer({"decision": False, "context": {"error": {}}}, content_type=JSON),
        "evaluation_failed",
    ),
}


@both
@pytest.mark.parametrize("bad", MISBEHAVIOURS.values(), ids=MISBEHAVIOURS)
def test_nothing_but_a_decision_is_one(
    bad: tuple[Behaviour, str],
    decider: Decider,
    clock: FrozenClock,
    ask: Ask,
    caplog: pytest.LogCaptureFixture,
) -> None:
    behaviour, why = bad
    decider.becomes(behaviour)
    assert ask(made(decider, clock), need()) == (Unanswered(why),)
    assert len(decider.provider.asked) == 1, "it asked twice, or followed"
    assert SECRET not in caplog.text
    assert "ann" not in caplog.text
    if why != "evaluation_failed":
        assert "the decision point 'orders' gave no decision: " in caplog.text
        assert decider.provider.headers[0]["x-request-id"] in caplog.text


@both
def test_of_two_answers_the_first_is_the_one(
    decider: Decider, clock: FrozenClock, ask: Ask
) -> None:
    no = b'content-length: 19\r\n\r\n{"decision": false}'
    decider.becomes(raw(HEAD + no, HEAD + b"content-length: 18\r\n\r\n" + TRUE))
    assert ask(made(decider, clock), need()) == (False,)


NUMBERS = {
    "too few": [YES],
    "too many": [YES, YES, YES],
    "none": [],
    "one is no decision": [YES, {"decision": "true"}],
}


@both
@pytest.mark.parametrize("evaluations", NUMBERS.values(), ids=NUMBERS)
def test_decisions_in_another_number_are_none(
    evaluations: Any, decider: Decider, clock: FrozenClock, ask: Ask
) -> None:
    body = {"decision": True, "evaluations": evaluations}
    decider.becomes(answer(body, content_type=JSON))
    came = ask(made(decider, clock), need(1, 2))
    assert came == (Unanswered("unusable_answer"),) * 2


@both
def test_an_error_of_one_question_is_not_the_others(
    decider: Decider, clock: FrozenClock, ask: Ask
) -> None:
    failed = {"decision": False, "context": {"error": {"status": 404}}}
    decider.becomes(answer({"evaluations": [YES, failed]}, content_type=JSON))
    came = ask(made(decider, clock), need(1, 2))
    assert came == (True, Unanswered("evaluation_failed"))


LATE = {Unanswered("timeout"), Unanswered("busy")}
"""The second where this machine had no time to begin."""


@both
def test_it_is_waited_for_so_long(decider: Decider, clock: FrozenClock, ask: Ask) -> None:
    gate = Event()
    decider.becomes(gated(gate, Event(), answer(YES, content_type=JSON)))
    try:
        came = ask(made(decider, clock, timeout=0.05), need())
    finally:
        gate.set()
    assert came[0] in LATE


@both
@pytest.mark.parametrize("part", [HEAD[:-2], HEAD + b"content-length: 99\r\n\r\n"])
def test_a_trickle_gains_nothing(
    part: bytes, decider: Decider, clock: FrozenClock, ask: Ask
) -> None:
    stop = Event()

    def trickle(handler: Any) -> None:
        handler.wfile.write(part)
        while not stop.wait(0.01):
            try:
                handler.wfile.write(b"x")
            except OSError:
                return

    decider.becomes(trickle)
    try:
        came = ask(made(decider, clock, timeout=0.2), need())
    finally:
        stop.set()
    assert came[0] in LATE


def test_a_client_that_goes_away_takes_nobody_along(decider: Decider, clock: FrozenClock) -> None:
    """Its question is no failure of the decision point, and no try of it."""
    gate, reached = Event(), Event()
    decider.becomes(gated(gate, reached, answer(YES, content_type=JSON)))
    points = made(decider, clock, failures=1)

    async def leave() -> None:
        task = asyncio.create_task(points.ask_async(need()))
        while not reached.is_set():  # noqa: ASYNC110 - it is set by another thread
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(leave())
    gate.set()
    assert points.ask(need()) == (True,)


def test_the_event_loop_is_free_meanwhile(decider: Decider, clock: FrozenClock) -> None:
    gate = Event()
    decider.becomes(gated(gate, Event(), answer(YES, content_type=JSON)))
    points = made(decider, clock)

    async def ask_and_open() -> tuple[Said, ...]:
        async def open_it() -> None:
            gate.set()

        said, _ = await asyncio.gather(points.ask_async(need()), open_it())
        return said

    assert asyncio.run(ask_and_open()) == (True,)


# The breaker


class Sender:
    """In the place of the HTTP client: does what it is told."""

    def __init__(self, *then: Any) -> None:
        self.then = list(then)
        self.sent = 0

    def __call__(self, sent: object, seconds: float) -> Response:
        self.sent += 1
        then = self.then.pop(0) if len(self.then) > 1 else self.then[0]
        if isinstance(then, BaseException):
            raise then
        return then


OK = Response(200, JSON, b'{"decision": true}')
NO = Response(200, JSON, b'{"decision": false}')

GENERAL: dict[str, Any] = {
    "a connection that is cut": FetchFailed("x"),
    "time": TimedOut("x"),
    "503": Response(503, "", b""),
    "401": Response(401, "", b""),
    "429": Response(429, "", b""),
}
OF_THE_QUESTION: dict[str, Any] = {
    "400": Response(400, "", b""),
    "500": Response(500, "", b""),
    "302": Response(302, "", b""),
    "no boolean": Response(200, JSON, b'{"decision": 1}'),
    "HTML": Response(200, "text/html", b"<html>"),
    "too much": NotTaken("x"),
    "an error of the question": Response(200, JSON, b'{"decision":false,"context":{"error":1}}'),
    "a defect of ours": ValueError("x"),
    "the end of the process": SystemExit(1),
}


def sending(clock: FrozenClock, sender: Sender, **keys: Any) -> DecisionPoints:
    return DecisionPoints({"orders": point("https://x", **keys)}, clock, sender)


@both
@pytest.mark.parametrize("failure", GENERAL.values(), ids=GENERAL)
def test_who_fails_is_left_alone_and_then_tried(
    failure: Any, clock: FrozenClock, ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    sender = Sender(failure)
    points = sending(clock, sender)
    for _ in range(3):
        (said,) = ask(points, need())
        assert isinstance(said, Unanswered)
    opened = "the decision point 'orders' is not asked for 10 seconds: it failed 3 times in a row"
    assert caplog.text.count(opened) == 1
    assert ask(points, need(1, 2)) == (Unanswered("paused"),) * 2
    assert sender.sent == 3
    clock.advance(10)
    sender.then = [failure, OK]
    assert isinstance(ask(points, need())[0], Unanswered)
    assert ask(points, need()) == (Unanswered("paused"),)
    clock.advance(10)
    assert ask(points, need()) == (True,)
    assert ask(points, need()) == (True,)


@both
@pytest.mark.parametrize("failure", OF_THE_QUESTION.values(), ids=OF_THE_QUESTION)
def test_what_one_question_may_have_caused_shuts_out_nobody(
    failure: Any, clock: FrozenClock, ask: Ask
) -> None:
    sender = Sender(failure)
    points = sending(clock, sender, failures=1)
    for _ in range(5):
        assert isinstance(ask(points, need())[0], Unanswered)
    sender.then = [OK]
    assert ask(points, need()) == (True,)


@both
def test_a_no_is_no_failure(clock: FrozenClock, ask: Ask) -> None:
    points = sending(clock, Sender(FetchFailed("x"), FetchFailed("x"), NO, FetchFailed("x")))
    came = [ask(points, need())[0] for _ in range(5)]
    assert came == [*[Unanswered("unreachable")] * 2, False, *[Unanswered("unreachable")] * 2]


def test_one_that_fails_says_nothing_of_another(clock: FrozenClock) -> None:
    sender = Sender(FetchFailed("x"))
    one = point("https://x", failures=1)
    points = DecisionPoints({"orders": one, "more": one}, clock, sender)
    assert points.ask(need()) == (Unanswered("unreachable"),)
    assert points.ask(need()) == (Unanswered("paused"),)
    question = question_of("more", "GET", "/", {})
    sender.then = [OK]
    assert points.ask(NeedDecision((question,), ANN, 0.0)) == (True,)


def test_while_it_is_tried_all_others_are_refused_at_once(
    decider: Decider, clock: FrozenClock
) -> None:
    gate, reached = Event(), Event()
    decider.becomes(answer(status=503))
    points = made(decider, clock, failures=1)
    points.ask(need())
    clock.advance(10)
    decider.becomes(gated(gate, reached, answer(YES, content_type=JSON)))
    came: list[Said] = []
    thread = Thread(target=lambda: came.extend(points.ask(need())))
    thread.start()
    assert reached.wait(30)
    assert points.ask(need()) == (Unanswered("paused"),)
    assert asyncio.run(points.ask_async(need())) == (Unanswered("paused"),)
    gate.set()
    thread.join()
    assert came == [True]
    assert points.ask(need()) == (True,)


@both
def test_too_many_at_once_are_refused_and_nobodys_fault(
    clock: FrozenClock, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = sending(clock, Sender(OK), failures=1)
    monkeypatch.setattr(decision_points, "askers", workers.Workers(0, 0))
    assert ask(points, need()) == (Unanswered("busy"),)
    assert ask(points, need()) == (Unanswered("busy"),)


@both
def test_what_was_never_begun_is_not_the_decision_points_fault(
    decider: Decider, clock: FrozenClock, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slow questions take the threads; a quick one that waits in vain says nothing."""
    gate, reached = Event(), Event()
    monkeypatch.setattr(decision_points, "askers", workers.Workers(1, 9))
    decider.becomes(gated(gate, reached, answer(YES, content_type=JSON)))
    slow = made(decider, clock)
    thread = Thread(target=lambda: slow.ask(need()))
    thread.start()
    assert reached.wait(30)
    quick = made(decider, clock, timeout=0.05, failures=1)
    try:
        assert ask(quick, need()) == (Unanswered("busy"),)
        assert ask(quick, need()) == (Unanswered("busy"),)
    finally:
        gate.set()
        thread.join()
    assert ask(made(decider, clock), need()) == (True,)


def test_many_at_once_while_it_hangs(decider: Decider, clock: FrozenClock) -> None:
    """Each gets an answer, and it is no yes."""
    gate = Event()
    decider.becomes(gated(gate, Event(), answer(YES, content_type=JSON)))
    points = made(decider, clock, timeout=0.2, failures=5)

    async def flood() -> list[tuple[Said, ...]]:
        return await asyncio.gather(*(points.ask_async(need(id)) for id in range(200)))

    try:
        came = [*asyncio.run(flood()), points.ask(need())]
    finally:
        gate.set()
    assert {said for (said,) in came} <= {*LATE, Unanswered("paused")}
    clock.advance(10)
    decider.becomes(answer(YES, content_type=JSON))
    assert made(decider, clock).ask(need()) == (True,)


class Later:
    """In the place of the threads: runs a job when it is told to."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        self.meanwhile = meanwhile

    def submit(self, call: Callable[[], Any]) -> Future[Any]:
        self.meanwhile()
        flight: Future[Any] = Future()
        flight.set_result(call())
        return flight


@both
def test_what_waits_for_a_thread_is_not_sent_any_more_once_others_have_failed(
    clock: FrozenClock, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = Sender(OK)
    points = sending(clock, sender, failures=1)
    breaker = points._points["orders"].breaker
    monkeypatch.setattr(decision_points, "askers", Later(lambda: breaker.report(0, failed=True)))
    assert ask(points, need()) == (Unanswered("paused"),)
    assert sender.sent == 0


@both
def test_what_waited_too_long_for_a_thread_is_not_sent(
    clock: FrozenClock, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = Sender(OK)
    points = sending(clock, sender, timeout=5.0, failures=1)
    times = [100.0]
    monkeypatch.setattr(decision_points, "monotonic", lambda: times[0])
    monkeypatch.setattr(decision_points, "askers", Later(lambda: times.__setitem__(0, 105.0)))
    assert ask(points, need()) == (Unanswered("busy"),)
    assert sender.sent == 0


def test_one_that_comes_and_goes_lets_nobody_in_by_it(clock: FrozenClock) -> None:
    """Whatever the breaker makes of it, a yes is only ever the answer to the question asked."""
    sender = Sender(OK)
    points = sending(clock, sender, failures=2)
    kinds: list[Any] = [OK, NO, FetchFailed("x"), Response(503, "", b"")]
    for turn in range(200):
        sender.then = [kinds[(turn * 7 + turn // 5) % 4]]
        sent, then = sender.sent, sender.then[0]
        (said,) = points.ask(need(turn))
        assert said is (then is OK) if then in (OK, NO) and sender.sent > sent else said is not True
        clock.advance(turn % 4)


@both
def test_nothing_is_kept_from_one_question_to_the_next(
    decider: Decider, clock: FrozenClock, ask: Ask
) -> None:
    decider.becomes(
        answer(YES, content_type=JSON, set_cookie="a=b", cache_control="max-age=99", etag='"x"')
    )
    points = made(decider, clock)
    ask(points, need())
    ask(points, need())
    first, second = decider.provider.headers
    assert "cookie" not in second
    assert {*first} == {*second}
    assert {*first} - {"host", "content-length", "connection", "user-agent"} == {
        "accept",
        "accept-encoding",
        "authorization",
        "content-type",
        "x-request-id",
    }


@both
def test_a_proxy_of_the_environment_is_not_asked(
    decider: Decider, clock: FrozenClock, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert ask(made(decider, clock), need()) == (True,)


@both
def test_nobody_is_there(clock: FrozenClock, ask: Ask) -> None:
    points = DecisionPoints({"orders": point("http://127.0.0.1:9", timeout=5.0)}, clock)
    assert ask(points, need()) == (Unanswered("unreachable"),)


@both
@pytest.mark.parametrize("at", [float("inf"), float("nan"), 1e300])
def test_a_clock_that_is_mad_lets_nobody_in(
    decider: Decider, clock: FrozenClock, ask: Ask, at: float
) -> None:
    effect = need()._replace(at=at)
    assert ask(made(decider, clock), effect) == (Unanswered("failed"),)


@both
def test_a_log_that_fails_changes_nothing(
    clock: FrozenClock, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(logging.getLogger("authz_middleware"), "error", fail)
    points = sending(clock, Sender(FetchFailed("x")), failures=1)
    assert ask(points, need()) == (Unanswered("unreachable"),)
