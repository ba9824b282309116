"""What is attacked: plain requests that the policy does not let everybody make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from authz_middleware.policy.canonical import readings
from authz_middleware.policy.matcher import Match
from authz_middleware.policy.model import Policy, Requirement, Rule
from authz_middleware.policy.overlap import Fresh
from authz_middleware.policy.reach import Reach
from authz_middleware.policy.routekey import WEBSOCKET, split_key

__all__ = [
    "Probe",
    "chosen",
    "from_rules",
    "plain_paths",
    "public_path",
    "requirements_of",
    "unruled_path",
]

MAX_PATHS = 20
"""Paths of one template that are tried until one is found to have a handler."""


class Probe(NamedTuple):
    """A plain request, and all that its caller must meet."""

    method: str  # "WS" for a WebSocket handshake
    path: str
    requirements: tuple[Requirement, ...]
    key: str  # what it stands for: a key of `[routes]`, or the request as it was asked for

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def denied(self) -> bool:
        """Whether nobody may make the request, so that there may be nothing to reach."""
        return any(each.kind == "deny" for each in self.requirements)


def from_rules(policy: Policy, *, websockets: bool) -> tuple[tuple[Probe, ...], ...]:
    """Return probes for each key and method of `[routes]` that protects something.

    Those of one key and method stand for the same: which of their paths the app has is not known.
    """
    found: dict[tuple[str, str], list[Probe]] = {}
    for path, rule in _rules(policy):
        for method, requirement in _methods(rule):
            if method == WEBSOCKET and not websockets:
                continue
            decisive = policy.find(method, readings(path, "")) or ()
            if requirement in decisive and not _is_public(decisive):
                probes = found.setdefault((requirement.ref.key, method), [])
                probes.append(Probe(method, path, decisive, requirement.ref.key))
    return tuple(tuple(dict.fromkeys(probes)) for probes in found.values())


def chosen(policy: Policy, requests: Iterable[str]) -> tuple[Probe, ...]:
    """Return the probes of `requests`, "GET /admin/users"; without a method it is GET."""
    return tuple(probe for text in requests for probe in _chosen(policy, text))


def _chosen(policy: Policy, text: str) -> Iterator[Probe]:
    methods, path = split_key(text)
    paths = readings(path, "")
    for method in methods or ("GET",):
        decisive = policy.find(method, paths) if paths else None
        if decisive is None:
            raise ValueError(f"{text!r}: this path can be read in two ways, so it is never served")
        if _is_public(decisive):
            raise ValueError(f"{text!r}: the policy lets everybody make this request")
        yield Probe(method, paths[0], decisive, text)


def public_path(policy: Policy) -> str:
    """Return a path that anybody may get; "/" if there is none."""
    for path, rule in _rules(policy):
        decisive = policy.find("GET", readings(path, "")) or ()
        if rule.requirement("GET").kind == "public" and _is_public(decisive):
            return path
    return "/"


def unruled_path(policy: Policy) -> str:
    """Return a path with a first segment that no rule names."""
    return "/" + Fresh(policy.templates).plain


def plain_paths(policy: Policy, method: str) -> Iterator[tuple[str, tuple[Requirement, ...]]]:
    """Yield a path for each rule, with what `method` needs there."""
    for path, _ in _rules(policy):
        if decisive := policy.find(method, readings(path, "")):
            yield path, decisive


def requirements_of(policy: Policy) -> tuple[Requirement, ...]:
    """Return every requirement of `[routes]`."""
    found = {
        requirement.ref: requirement
        for _, rule in _rules(policy)
        for requirement in (*rule.by_method.values(), rule.otherwise)
    }
    return tuple(found.values())


def _rules(policy: Policy) -> Iterator[tuple[str, Rule]]:
    """Yield paths of every template, and the rule that decides each."""
    reach = Reach(policy)
    for template in policy.templates:
        for path in islice(reach.paths(template.segments), MAX_PATHS):
            found = policy.matcher.match(path)
            if isinstance(found, Match):
                yield path, found.value


def _methods(rule: Rule) -> Iterator[tuple[str, Requirement]]:
    yield from rule.by_method.items()
    if rule.otherwise.refused_as != "method_not_listed":
        yield from (
            (method, rule.otherwise)
            for method in ("GET", WEBSOCKET)
            if method not in rule.by_method
        )


def _is_public(requirements: tuple[Requirement, ...]) -> bool:
    return all(each.kind == "public" for each in requirements)
