"""The compiled policy: which requirements decide a request, and whether a caller meets them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from authz_middleware.facts import Decision, Principal, Reason, RuleRef
from authz_middleware.policy.canonical import text_readings
from authz_middleware.policy.matcher import AMBIGUOUS, Ambiguous, Matcher
from authz_middleware.policy.roles import Roles
from authz_middleware.policy.spellings import Spellings
from authz_middleware.policy.template import Template

__all__ = ["Policy", "Requirement", "Rule"]

Kind = Literal["public", "authenticated", "deny", "table"]


@dataclass(frozen=True, slots=True)
class Requirement:
    """What one key of `[routes]` asks of the caller. Entries of a table must all hold."""

    kind: Kind
    ref: RuleRef
    roles: frozenset[str] = frozenset()  # any of
    permissions: tuple[str, ...] = ()  # all
    issuers: frozenset[str] = frozenset()  # any of
    scopes: tuple[str, ...] = ()  # all
    refused_as: Reason = "denied_by_rule"  # why a "deny" denies
    allowed: Decision = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        # Made once, so that letting a request in allocates nothing.
        object.__setattr__(self, "allowed", Decision(True, "allowed", self.ref))

    def refused(self, reason: Reason, missing: Iterable[str] = ()) -> Decision:
        """Return the refusal of this requirement."""
        return Decision(False, reason, self.ref, tuple(missing))


@dataclass(frozen=True, slots=True)
class Rule:
    """All keys of one template: requirements by method, and the one without a method."""

    by_method: Mapping[str, Requirement]  # upper case; "WS" is a WebSocket handshake
    otherwise: Requirement  # for every other method; a refusal unless a key has no method
    catches_all: bool = False  # a template of the whole tree: `/**` or `/<path:p>`

    def requirement(self, method: str) -> Requirement:
        """Return what decides `method` (upper case, "WS" for a WebSocket handshake).

        GET covers HEAD (RFC 9110 §9.3.2). A method that is not listed is refused; it never falls
        to a looser rule.
        """
        found = self.by_method.get(method)
        if found is None and method == "HEAD":
            found = self.by_method.get("GET")
        return found or self.otherwise


@dataclass(frozen=True, slots=True)
class Policy:
    """`[routes]`, `[roles]` and `default`, compiled once. Order of declaration never matters."""

    matcher: Matcher[Rule]
    roles: Roles
    spellings: Spellings
    default: Requirement
    scopes: tuple[str, ...] = ()  # every scope that some route requires, sorted
    templates: tuple[Template, ...] = ()  # of every rule
    requirements: tuple[Requirement, ...] = ()  # of every key
    methods: frozenset[str] = frozenset()  # that some key names

    def find(
        self,
        method: str,
        readings: tuple[str, ...],
        *,
        whole: bool = False,
        loose: bool = False,
    ) -> tuple[Requirement, ...] | None:
        """Return the requirements that must all be met, or None if the path is ambiguous.

        `readings` are the canonical paths the app may route on. Each decides, by its rule or by
        `default`, with one exception: behind the path below a prefix stands the whole path, which
        some servers make up themselves by putting their `root_path` in front. It decides only if
        a rule means it: no rule for the whole tree, and not `default`. With `whole` the app routes
        on the whole path, and it is the others that decide only so.

        What a rule protects in another spelling is ambiguous where this one is public. With `loose`
        the app may ignore letter case or compatibility forms, and that rule decides too.
        """
        longest = max(map(len, readings)) if whole else 0
        decisive: list[Requirement] = []
        for reading in readings:
            rule = self._rule(reading)
            if rule is AMBIGUOUS:
                return None
            made_up = len(reading) < longest if whole else len(reading) > len(readings[0])
            if made_up and (rule is None or rule.catches_all):
                continue
            decisive.append(rule.requirement(method) if rule else self.default)
        public = all(each.kind == "public" for each in decisive)
        if (public or loose) and not all(map(self.spellings.is_plain, readings)):
            elsewhere = self._protected_elsewhere(method, readings)
            if elsewhere is None or (public and elsewhere):
                return None
            decisive += elsewhere
        return tuple(decisive)

    def _protected_elsewhere(
        self, method: str, readings: tuple[str, ...]
    ) -> list[Requirement] | None:
        """Return what a reader without regard to case may see that protects these paths.

        None if that cannot be told.
        """
        found: list[Requirement] = []
        for reading in readings:
            spellings = self.spellings.of(reading)
            if spellings is None:
                return None
            for rule in map(self._matched, spellings):
                if rule is AMBIGUOUS:
                    return None
                requirement = rule.requirement(method) if rule else None
                if requirement and requirement.kind != "public":
                    found.append(requirement)
        return found

    def _rule(self, path: str) -> Rule | Ambiguous | None:
        rule = self._matched(path)
        for text in text_readings(path):
            # Another party may compare after Unicode normalisation; it must see the same rule.
            if self._matched(text) is not rule:
                return AMBIGUOUS
        return rule

    def _matched(self, path: str) -> Rule | Ambiguous | None:
        found = self.matcher.match(path)
        return found if found is None or isinstance(found, Ambiguous) else found.value

    def decide(self, requirements: tuple[Requirement, ...], principal: Principal) -> Decision:
        """Decide for a verified, expanded caller; the first failure in order is the answer."""
        for requirement in requirements:
            if refusal := self._lacks(requirement, principal):
                return refusal
        for requirement in requirements:
            if not principal.scopes.issuperset(requirement.scopes):
                return _scopes_missing(requirement, requirements, principal)
        return requirements[0].allowed

    def _lacks(self, requirement: Requirement, principal: Principal) -> Decision | None:
        if requirement.kind == "deny":
            return requirement.refused(requirement.refused_as)
        if requirement.roles and requirement.roles.isdisjoint(principal.roles):
            return requirement.refused("role_missing", sorted(requirement.roles))
        missing = [p for p in requirement.permissions if not self.roles.grant(principal, p)]
        if missing:
            return requirement.refused("permission_missing", missing)
        if requirement.issuers and principal.issuer not in requirement.issuers:
            return requirement.refused("issuer_not_accepted", sorted(requirement.issuers))
        return None


def _scopes_missing(
    failed: Requirement, requirements: tuple[Requirement, ...], principal: Principal
) -> Decision:
    required = tuple(dict.fromkeys(scope for each in requirements for scope in each.scopes))
    return Decision(
        False,
        "scope_missing",
        failed.ref,
        missing=tuple(scope for scope in required if scope not in principal.scopes),
        scopes=required,
    )
