"""`attack`: the mutations against an app that is wrapped, in process."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from itertools import chain
from types import FunctionType, ModuleType
from typing import Any, Literal, NamedTuple, cast
from unittest.mock import patch

from authz_middleware.facts import Decision
from authz_middleware.policy.routekey import WEBSOCKET
from authz_middleware.progress import Progress, untold
from authz_middleware.runtime.authz import Authz
from authz_middleware.testing.attack import probes
from authz_middleware.testing.attack.callers import ANONYMOUS, Caller, Presumed, entitled, lacking
from authz_middleware.testing.attack.driving import ASGIDriver, Trace, WSGIDriver, is_asgi
from authz_middleware.testing.attack.grammar import HANDSHAKE, Mutation, mutations
from authz_middleware.testing.attack.judging import Evidence, Observed
from authz_middleware.testing.attack.probes import Probe
from authz_middleware.testing.attack.received import Received, environs, scopes
from authz_middleware.testing.attack.report import AttackReport, Leak

__all__ = ["attack"]

MAX_OBJECTS = 20_000
"""Objects that are looked through for the `Authz` of an app."""


def attack(
    app: Any,
    requests: Iterable[str] = (),
    *,
    authz: Authz | None = None,
    progress: Progress = untold,
) -> AttackReport:
    """Send a wrapped app every odd request that is known, and report what got through.

    `app` is the WSGI or ASGI app as a server would get it, with our middleware around it or
    inside; which of the two it is, is found out. `requests` are plain requests that the policy
    protects, "GET /admin/users"; without a method it is GET, and "WS" is a WebSocket handshake.
    Without any, there is one for each key of `[routes]` that is not public. `authz` is the `Authz`
    that guards the app, where it cannot be found by looking through the app.

    Each request is mutated in every way of the grammar, and each mutation is handed to the app in
    each form in which some server would hand it on. It is sent by an anonymous caller, and by one
    who holds as much as one can without having the right. Callers are taken at the attack's word,
    so no token and no network are needed; all else of the guard is as it is served.

    *How a leak is judged.* First an entitled caller sends the plain request, and others are sent
    that do not reach the handler: to a path that no rule names, and what the caller without the
    right may do. Functions of the application that run only for the first are its handler (or what
    the handler alone calls). A request got through if one of them runs, whatever the answer is.
    Where there are none, because one function serves protected and open routes, or a library
    serves both, it got through if its answer is that of the plain request. A page of the app that
    is open, its 404 included, is no leak. A function that the handler shares only with a route that
    this caller may use in some other way than the plain one can be taken for the handler.

    Handlers run: those that write do so, once for an entitled caller and again for each leak. Use a
    test's data. Nothing else may use the app or its `Authz` meanwhile. `progress` goes through the
    plain requests, in another thread, and may tell how far that has come.

    Raises ValueError if the app is not guarded, if its `Authz` cannot be found, and for a request
    that everybody may make.
    """
    guard = _find(app) if authz is None else authz
    # In a thread of its own: no event loop runs there, and what it is told to watch ends with it.
    trace = Trace()
    with trace.installed():
        return _in_a_thread(_Attack(app, guard, trace, tuple(requests), progress))


def _in_a_thread(attack: _Attack) -> AttackReport:
    done: Future[AttackReport] = Future()

    def work() -> None:
        try:
            done.set_result(attack.run())
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            done.set_exception(error)

    thread = threading.Thread(target=work, name="attack", daemon=True)
    thread.start()
    return done.result()


def _find(app: object) -> Authz:
    """Return the one `Authz` that is reached from `app`."""
    found: dict[int, Authz] = {}
    seen: set[int] = set()
    pending = [app]
    while pending and len(seen) < MAX_OBJECTS:
        each = pending.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, Authz):
            found[id(each)] = each
        else:
            pending.extend(_inside(each))
    if len(found) != 1:
        many = "several are" if found else "none is"
        raise ValueError(
            f"{many} found in the app: wrap it, or say which guards it, "
            "with `--policy FILE`, in Python with `attack(app, authz=...)`"
        )
    return next(iter(found.values()))


def _inside(each: object) -> Iterator[object]:
    """The objects that an app may hold what it wraps in."""
    if isinstance(each, (ModuleType, type, str, bytes, int, float)) or each is None:
        return
    if isinstance(each, dict):
        yield from cast("dict[object, object]", each).values()
    elif isinstance(each, (list, tuple, set, frozenset)):
        yield from cast("Iterable[object]", each)
    elif isinstance(each, FunctionType):
        for cell in each.__closure__ or ():
            try:
                yield cell.cell_contents
            except ValueError:  # it is empty
                continue
    else:
        if getattr(each, "user_middleware", None) and getattr(each, "middleware_stack", 0) is None:
            # Starlette's, which it builds and keeps at the first request.
            built: Any = each
            built.middleware_stack = built.build_middleware_stack()
        yield from (getattr(each, "__self__", None), getattr(each, "__func__", None))
        yield from getattr(each, "__dict__", {}).values()
        for kind in type(each).__mro__:
            for name in getattr(kind, "__slots__", ()):
                yield getattr(each, name, None)


class _Sent(NamedTuple):
    """One request, what was decided, and what the app did."""

    observed: Observed
    decisions: tuple[Decision, ...]

    @property
    def refused(self) -> bool:
        """Whether the guard refused it, by any of its looks."""
        return any(not each.allowed for each in self.decisions)


class _Attack:
    """One run of `attack`."""

    def __init__(
        self,
        app: Any,
        guard: Authz,
        trace: Trace,
        requests: tuple[str, ...],
        progress: Progress,
    ) -> None:
        self._guard = guard
        self._serving = Presumed(guard.serving)
        self._policy = self._serving.settings.policy
        self._issuers = tuple(self._serving.settings.issuers)
        self._trace = trace
        self._is_asgi = is_asgi(app)
        self._driver = ASGIDriver(app) if self._is_asgi else WSGIDriver(app)
        self._requests = requests
        self._progress = progress
        self._counts: Counter[Literal["refused", "passed", "leaked"]] = Counter()
        self._kinds: Counter[str] = Counter()
        self._proven_keys: set[str] = set()
        self._leaks: dict[tuple[Mutation, str], Leak] = {}
        self._public = probes.public_path(self._policy)

    def run(self) -> AttackReport:
        """Attack every protected request."""
        proven: list[str] = []
        unproven: dict[str, str] = {}
        with patch.object(self._guard.in_force, "serving", self._serving), self._driver.running():
            for candidates in self._progress(self._targets()):
                probe, evidence = self._likeliest(candidates)
                self._attack(probe, evidence)
                if evidence.proves:
                    proven.append(str(probe))
                    self._proven_keys.add(probe.key)
                elif not probe.denied:  # what nobody may do need not be there
                    unproven[str(probe)] = probe.key
        return AttackReport(
            sent=self._counts.total(),
            refused=self._counts["refused"],
            passed=self._counts["passed"],
            leaked=self._counts["leaked"],
            leaks=tuple(self._leaks.values()),
            proven=tuple(proven),
            unproven=tuple(
                # A key for every method need not have a handler for each.
                text
                for text, key in unproven.items()
                if key not in self._proven_keys or self._requests
            ),
            kinds=dict(self._kinds),
        )

    def _targets(self) -> tuple[tuple[Probe, ...], ...]:
        if self._requests:
            return tuple((probe,) for probe in probes.chosen(self._policy, self._requests))
        return probes.from_rules(self._policy, websockets=self._is_asgi)

    def _likeliest(self, candidates: tuple[Probe, ...]) -> tuple[Probe, Evidence]:
        """Return the first of the candidates that has a handler, or the first of them all."""
        judged = ((probe, self._evidence(probe)) for probe in candidates)
        first = next(judged)
        return next((pair for pair in chain((first,), judged) if pair[1].proves), first)

    def _evidence(self, probe: Probe) -> Evidence:
        held = entitled(self._policy, probe.requirements, self._issuers, self._serving.clock())
        everything = self._serving.caller(held)
        self._serving.open = True  # also where the policy lets nobody in
        try:
            plain = self._plain(probe.method, probe.path, everything)
            if not plain.decisions:
                raise ValueError(f"the app is not guarded by {self._guard}: {probe} is not decided")
            missing = probes.unruled_path(self._policy)
            others = [
                self._plain(probe.method, path, everything)
                for path in (missing, missing + "/x")
                if self._policy.find(probe.method, (path,)) != probe.requirements
            ]
        finally:
            self._serving.open = False
        others += self._permitted(probe)
        return Evidence.of(plain.observed, [each.observed for each in others])

    def _permitted(self, probe: Probe) -> Iterator[_Sent]:
        """Do what the callers without the right may do, in the plain way."""
        for caller in self._callers(probe):
            methods = ("GET", "POST", "PUT", "PATCH", "DELETE", *([WEBSOCKET] * self._is_asgi))
            for method in methods:
                for path, decisive in probes.plain_paths(self._policy, method):
                    public = all(each.kind == "public" for each in decisive)
                    principal = caller.principal
                    if public or (
                        principal is not None and self._policy.decide(decisive, principal).allowed
                    ):
                        yield self._plain(method, path, caller)

    def _callers(self, probe: Probe) -> Iterator[Caller]:
        yield ANONYMOUS
        now = self._serving.clock()
        principal = lacking(self._policy, probe.requirements, self._issuers, now)
        if principal is not None:
            yield self._serving.caller(principal)

    def _attack(self, probe: Probe, evidence: Evidence) -> None:
        form = scopes if self._is_asgi else environs
        callers = tuple(self._callers(probe))
        odd = mutations(probe.method, probe.path, self._public)
        for mutation, caller in ((each, caller) for each in odd for caller in callers):
            for received in form(mutation):
                self._kinds[mutation.kind] += 1
                sent = self._send(received, caller)
                if not sent.decisions:  # it went past us, and was not watched
                    sent = self._send(received, caller, watched=True)
                why = evidence.of_leak(sent.observed)
                if not why:
                    self._counts["refused" if sent.refused else "passed"] += 1
                    continue
                self._counts["leaked"] += 1
                rule = next((each.rule for each in sent.decisions if each.allowed), None)
                self._leaks.setdefault(
                    (mutation, str(probe)),
                    Leak(
                        protected=str(probe),
                        caller=str(caller),
                        kind=mutation.kind,
                        request=mutation.line,
                        raw=mutation.raw("Bearer $TOKEN" if caller.principal else ""),
                        curl=mutation.curl(credentials=caller.principal is not None),
                        server=received.server,
                        rule=rule,
                        why=why,
                    ),
                )

    def _plain(self, method: str, path: str, caller: Caller) -> _Sent:
        websocket = method == WEBSOCKET
        mutation = Mutation(
            "plain", "GET" if websocket else method, path, HANDSHAKE if websocket else ()
        )
        target = path.encode("utf-8").decode("latin-1").replace("%", "%25")
        form = scopes if self._is_asgi else environs
        received = next(form(mutation._replace(target=target)))
        return self._send(received, caller, watched=True)

    def _send(self, received: Received, caller: Caller, *, watched: bool = False) -> _Sent:
        facts = received.facts
        if caller.authorization and self._is_asgi:
            field = (b"authorization", caller.authorization.encode("ascii"))
            facts = {**facts, "headers": [*facts["headers"], field]}
        elif caller.authorization:
            facts = {**facts, "HTTP_AUTHORIZATION": caller.authorization}
        # What refuses is not watched: our adapters never call the app then.
        with self._serving.deciding(self._trace.start) as decisions:
            if watched:
                self._trace.start()
            answer = self._driver.send(facts)
        return _Sent(Observed(answer, self._trace.stop()), tuple(decisions))
