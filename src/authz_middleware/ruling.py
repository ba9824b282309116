"""Which rules decide a request: by its path, and by the route that the app's router took.

Pure. It remembers what was found for a path, and nothing else: that follows from the policy alone.
"""

from __future__ import annotations

from typing import Final

from authz_middleware.effects import Admit, Routed, Served
from authz_middleware.facts import RequestFacts
from authz_middleware.policy.binding import Binding
from authz_middleware.policy.canonical import readings
from authz_middleware.policy.model import Policy, Requirement, is_public
from authz_middleware.policy.routekey import WEBSOCKET, request_method
from authz_middleware.policy.rules import Request

__all__ = ["Ruling"]

MAX_REMEMBERED: Final = 4096
"""Requests whose rules are remembered."""

MAX_REMEMBERED_LENGTH: Final = 256
"""Characters of a path, its prefix and its method: of longer ones nothing is kept."""


class Ruling:
    """What one policy asks of requests."""

    def __init__(self, policy: Policy) -> None:
        self._policy: Final = policy
        self._found: dict[tuple[object, ...], tuple[Requirement, ...] | None] = {}

    def of(self, facts: RequestFacts, method: str) -> tuple[Requirement, ...] | None:
        """Return what `Policy.find` says of the request, without asking it for the same twice.

        All that it looks at is in the key.
        """
        path, root_path = facts.path, facts.root_path
        key = (path, method, root_path, facts.whole, facts.exact, facts.upgrade, facts.ambiguous)
        try:
            return self._found[key]
        except KeyError:
            found = self.found(facts, method)
        if path is not None and len(path) + len(method) + len(root_path) <= MAX_REMEMBERED_LENGTH:
            if len(self._found) >= MAX_REMEMBERED:
                self._found.clear()  # whoever asks for so many paths only makes us look again
            self._found[key] = found
        return found

    def found(self, facts: RequestFacts, method: str) -> tuple[Requirement, ...] | None:
        """Return the same, looked up anew."""
        paths = () if facts.ambiguous else readings(facts.path, facts.root_path)
        if not paths:
            return None
        loose = not facts.exact
        found = self._policy.find(method, paths, whole=facts.whole, loose=loose)
        if found and facts.upgrade:
            # Whether it becomes a WebSocket is the app's to say, so it must be allowed both.
            handshake = self._policy.find(WEBSOCKET, paths, whole=facts.whole, loose=loose)
            return found + handshake if handshake else None
        return found

    def is_public(self, facts: RequestFacts) -> bool:
        """Whether the rule for a request is public, or there is none that could ask a token."""
        method = request_method(facts.kind, facts.method)
        requirements = self.of(facts, method) if method is not None else None
        return not requirements or is_public(requirements)

    def behind(
        self,
        admit: Admit,
        facts: RequestFacts,
        asked: Routed,
        method: str,
        binding: Binding | None,
    ) -> tuple[Requirement, ...] | None:
        """Return what is asked of a request that was let in, where the app's router has led it.

        That is what its path asks, and the rule of the route taken. None if that is ambiguous.
        """
        requirements: tuple[Requirement, ...] | None
        if asked.is_still(facts):
            # Where the policy had nothing to say, no handler should be reached.
            requirements = admit.requirements or (self._policy.default,)
        else:
            requirements = self._there(facts, asked, method)
        if binding is None or not requirements:
            return requirements
        requirements = self._routed(binding, asked, method, requirements, facts)
        if requirements and facts.upgrade and method != WEBSOCKET:
            # That is what the app may make of it.
            found = self._there(facts, asked, WEBSOCKET)
            routed = found and self._routed(binding, asked, WEBSOCKET, found, facts)
            return requirements + routed if routed else None
        return requirements

    def _there(
        self, facts: RequestFacts, asked: Routed, method: str
    ) -> tuple[Requirement, ...] | None:
        """Return what the path asks that the app's router went by."""
        return self._policy.find(method, readings(asked.path, ""), loose=not facts.exact)

    def _routed(
        self,
        binding: Binding,
        asked: Routed,
        method: str,
        requirements: tuple[Requirement, ...],
        facts: RequestFacts,
    ) -> tuple[Requirement, ...] | None:
        """Return all that is asked of the route taken, where `requirements` are of the path."""
        paths = readings(asked.path, facts.root_path)
        late = asked.late
        also = binding.also(asked.taken, method, asked.path, requirements, paths, late=late)
        if also is None:
            return None
        requirements += also
        for served in binding.instead(asked.taken, method):
            found = self._there(facts, asked, served)
            more = binding.also(asked.taken, served, asked.path, found or (), paths)
            if found is None or more is None:
                return None
            requirements += found + more
        return requirements

    def taken_for(self, served: Served) -> list[Request]:
        """Return all that a request may be taken for by whoever asks about it, each once.

        That is what it was when it came, and what the app's router has made of it: by the paths,
        and by the routes taken. Conditions are told the same here as by `behind`.
        """
        admit, facts, looks, binding = served
        params = self._policy.params
        method = request_method(facts.kind, facts.method) or ""
        paths = readings(facts.path, facts.root_path)
        found = [Request(method, each) for each in params(paths, whole=facts.whole)]
        for asked in looks:
            method = request_method(asked.kind, asked.method) or ""
            plain = readings(asked.path, "")
            if asked.is_still(facts):
                requirements = admit.requirements or (self._policy.default,)
            else:
                requirements = self._there(facts, asked, method) or ()
                found += [Request(method, each) for each in params(plain)]
            if binding is None:
                continue
            at = readings(asked.path, facts.root_path)
            more = binding.params(asked.taken, method, requirements, at)
            found += [Request(method, each) for each in more]
            for other in binding.instead(asked.taken, method):
                requirements = self._there(facts, asked, other) or ()
                more = params(plain) + binding.params(asked.taken, other, requirements, at)
                found += [Request(other, each) for each in more]
        return [each for at, each in enumerate(found) if each not in found[:at]]
