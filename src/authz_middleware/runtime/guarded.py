"""One wrapped app, and the policy bound to its routes once they exist."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from threading import Lock
from typing import Any, Final
from weakref import WeakSet

from authz_middleware import frameworks
from authz_middleware.effects import Admit, Refuse, Routed
from authz_middleware.errors import PolicyError, Problem
from authz_middleware.facts import Decision, RequestFacts
from authz_middleware.observe.log import LOGGER
from authz_middleware.policy.binding import Binding, Gap
from authz_middleware.policy.routes import NO_ROUTE, UNSEEN, Resolved, RouteTable, Taken
from authz_middleware.runtime.serving import Serving

__all__ = ["Guarded", "check_gaps"]

MAX_REPORTED = 100
"""Gaps that are logged one by one."""


class Guarded:
    """An app that a guard stands before. `routes_of` names the one whose routes are meant."""

    def __init__(self, app: object, routes_of: object | None = None) -> None:
        self._app: Final = app
        self._routes_of: Final = routes_of
        self._seen = frameworks.see(app, routes_of)
        self._table: RouteTable | None = None
        self._inside: frozenset[Taken] = frozenset()  # routes that a second look guards
        self.asks = False  # whether there are others, or may be: else `asked` has nothing to say
        self._lock: Final = Lock()
        self._bound: tuple[Serving, Binding] | None = None
        self._reported: Final[WeakSet[Serving]] = WeakSet()
        self.failure = ""
        self.exact = False  # whether the app is known to route by the letter; when it is bound

    def served(self, serving: Serving) -> Binding | None:
        """Return the policy bound to the routes, which exist by now; None if it leaves a gap.

        That is logged once, and kept as `failure`.
        """
        bound = self._bound
        if bound is not None and bound[0] is serving:
            return bound[1]
        try:
            return self.binding(serving)
        except PolicyError as error:
            if not self.failure:
                self.failure = str(error)
                LOGGER.critical("the policy cannot be served: %s", error)
            return None

    def binding(self, serving: Serving) -> Binding:
        """Return the policy bound to the app's routes, which are read the first time.

        Raises PolicyError if the policy is strict and leaves a gap.
        """
        bound = self._bound
        if bound is not None and bound[0] is serving:
            return bound[1]
        with self._lock:
            binding = self._laid(serving)
            check_gaps(serving, binding)
            if serving not in self._reported:
                self._reported.add(serving)
                _report(binding.gaps)
            self._bound = serving, binding
        return binding

    def routes(self) -> RouteTable:
        """Return the app's routes as they are now, bound to nothing: for reports."""
        return self._read()

    def laid(self, serving: Serving) -> Binding:
        """Return the same, gaps or not, and log nothing: for reports."""
        with self._lock:
            return self._laid(serving)

    def _laid(self, serving: Serving) -> Binding:
        if self._table is None:
            # Again: a middleware may have been put into the app since it was wrapped.
            self._seen = frameworks.see(self._app, self._routes_of)
            self._table = table = self._read()
            self.exact = table.exact and frameworks.is_exact(self._app)
            self._inside = frozenset(each.taken for each in table.routes if each.guarded_inside)
            # Where no route is yet, nobody knows of a hook before those to come.
            all_inside = table.routes and len(self._inside) == len(table.routes)
            self.asks = self.resolves and not all_inside
        return serving.bind(self._table)

    def _read(self) -> RouteTable:
        """Return the app's routes; what its framework chokes on cannot be seen."""
        try:
            return self._seen.table()
        except PolicyError:
            raise
        except Exception:  # noqa: BLE001 - an app may be whatever it likes
            LOGGER.exception("the app's routes cannot be read")
            return self._seen._replace(framework=None).table()

    def asked(self, facts: RequestFacts, request: Mapping[str, Any]) -> Routed | None:
        """Return the route that the app will take, if nothing looks at it inside.

        What the app's router chokes on is asked for with no path, which is a 400.
        """
        if not self.asks or facts.path is None:
            return None
        try:
            taken = self._seen.resolve(request)
        except Exception as error:  # noqa: BLE001 - a router may raise whatever it likes
            _complain(error)
            return Routed(None, facts.kind, facts.method, "")
        if isinstance(taken, Resolved) or taken in self._inside:
            return None
        return Routed(taken, facts.kind, facts.method, facts.path)

    def resolve(self, request: Mapping[str, Any]) -> Taken | Resolved:
        """Say which route the app would take, of its own router; `request` is left as it is."""
        if not self.resolves:
            return UNSEEN
        try:
            return self._seen.resolve(request)
        except Exception as error:  # noqa: BLE001 - as above
            _complain(error)
            return UNSEEN

    @property
    def resolves(self) -> bool:
        """Whether it can be said which route a request takes, once the routes have been read."""
        return self._seen.resolves and self._table is not None and not self._table.between

    def left_to_the_app(
        self, refuse: Refuse, serving: Serving, request: Mapping[str, Any]
    ) -> Admit | None:
        """Let the app say 404 where neither the policy nor the app knows the path.

        With `unmatched = "app"` only. A caller that was not let in for its credentials stays so for
        whatever is asked later, and what is answered is a 404 or our refusal: functions that an app
        runs before its router, or behind it, may answer what no route would.
        """
        default = serving.settings.policy.default
        if not serving.settings.unmatched or refuse.decision.rule is not default.ref:
            return None
        if self.resolve(request) is not NO_ROUTE:
            return None
        principal = refuse.principal
        return Admit(
            Decision(True, "allowed", default.ref),
            principal,
            refuse.credentials,
            principal.expires_at if principal else inf,
            refuse.decision.reason,
            unless_404=refuse.decision,
        )


def check_gaps(serving: Serving, binding: Binding) -> None:
    """Raise PolicyError if the policy is strict and leaves a gap."""
    if serving.settings.strict and binding.gaps:
        raise PolicyError([*map(_problem, binding.gaps)])


def _complain(error: Exception) -> None:
    LOGGER.error("the app's router failed, outside of the app: %a", error)


def _problem(gap: Gap) -> Problem:
    return Problem(gap.where, gap.what, "write a rule, or leave `strict` out")


def _report(gaps: tuple[Gap, ...]) -> None:
    for gap in gaps[:MAX_REPORTED]:
        LOGGER.warning("a gap between policy and app: %s", gap)
    if len(gaps) > MAX_REPORTED:
        LOGGER.warning("%d more gaps between policy and app", len(gaps) - MAX_REPORTED)
