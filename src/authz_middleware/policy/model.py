"""The compiled policy: which requirements decide a request, and whether a caller meets them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

from authz_middleware.facts import ContextReads, Decision, Principal, RequestFacts, RuleRef
from authz_middleware.policy.canonical import text_readings
from authz_middleware.policy.clients import Clients
from authz_middleware.policy.explain import explain
from authz_middleware.policy.forbids import Forbids
from authz_middleware.policy.matcher import AMBIGUOUS, Ambiguous, Matcher
from authz_middleware.policy.needs import Asked, Load, Need, Pdp, Permissions, loaded_by, walk
from authz_middleware.policy.parameters import Params
from authz_middleware.policy.questions import NO_ANSWERS, Answers, Question, Questions
from authz_middleware.policy.resources import HANDED_OVER, NO_RESOURCES, Resources, Wanted
from authz_middleware.policy.roles import Roles
from authz_middleware.policy.rules import Request, Requirement, Rule, is_public
from authz_middleware.policy.spellings import Spellings
from authz_middleware.policy.template import Template

__all__ = ["Policy", "Requirement", "Rule", "is_public"]


@dataclass(frozen=True, slots=True)
class Policy:
    """`[routes]`, `[forbid]`, `[roles]` and `default`, compiled once. Order never matters."""

    matcher: Matcher[Rule]
    roles: Roles
    spellings: Spellings
    default: Requirement
    scopes: tuple[str, ...] = ()  # every scope that some route requires, sorted
    templates: tuple[Template, ...] = ()  # of every rule
    requirements: tuple[Requirement, ...] = ()  # of every key
    methods: frozenset[str] = frozenset()  # that some key names
    forbids: Forbids = field(default_factory=Forbids)
    rules: tuple[tuple[Template, Rule], ...] = ()  # in the order of the policy
    permissions: Mapping[str, Need] = field(default_factory=dict[str, Need])
    """What is asked about each permission that has a condition."""
    context_reads: ContextReads | None = None  # what is read beside path and method
    clients: Clients = field(default_factory=Clients)

    @property
    def loaders(self) -> frozenset[str]:
        """The names of the loaders that some rule asks."""
        asks = (ask for each in self.requirements for ask in each.asks)
        return frozenset(load.loader for load in asks if isinstance(load, Load))

    @property
    def pdps(self) -> frozenset[str]:
        """The names of the decision points that some rule asks."""
        asks = (ask for each in self.requirements for ask in each.asks)
        return frozenset(pdp.name for pdp in asks if isinstance(pdp, Pdp))

    @property
    def by_client(self) -> tuple[RuleRef, ...]:
        """The rules that let in by what the client chooses; every report names them."""
        return tuple(each.ref for each in self.requirements if each.by_client)

    def find(
        self,
        method: str,
        readings: tuple[str, ...],
        *,
        whole: bool = False,
        loose: bool = False,
        at: tuple[str, ...] | None = None,
    ) -> tuple[Requirement, ...] | None:
        """Return the requirements that must all be met, or None if the path is ambiguous.

        `readings` are the canonical paths the app may route on. Each decides, by its rule or by
        `default`, with one exception: behind the path below a prefix stands the whole path, which
        some servers make up themselves by putting their `root_path` in front. It decides only if
        a rule means it: no rule for the whole tree, and not `default`. With `whole` the app routes
        on the whole path, and it is the others that decide only so. The first is of a rule; every
        "forbid" for one of the readings stands at the end.

        What a rule protects in another spelling is ambiguous where this one is public. With `loose`
        the app may ignore letter case or compatibility forms, and that rule decides too.

        What reads the request is told of it: of `method`, and of the parameters that its template
        finds in the reading, or in the paths `at` where `readings` only stand for those.
        """
        decisive: list[Requirement] = []
        for reading, rule in self._deciding(readings, whole=whole):
            if rule is AMBIGUOUS:
                return None
            requirement = rule.requirement(method) if rule else self.default
            if rule and requirement.reads_request:
                decisive += requirement.found_by(rule.parameters, method, (reading,), at)
            else:
                decisive.append(requirement)
        public = all(each.kind == "public" for each in decisive)
        if (public or loose) and not all(map(self.spellings.is_plain, readings)):
            elsewhere = self._protected_elsewhere(method, readings, at)
            if elsewhere is None or (public and elsewhere):
                return None
            decisive += elsewhere
        if self.forbids:
            decisive += self.forbids.of(method, readings, at)
        return tuple(decisive)

    def params(
        self,
        readings: tuple[str, ...],
        *,
        whole: bool = False,
        at: tuple[str, ...] | None = None,
    ) -> list[Params | None]:
        """Return the parameters of a request's path, once for each way in which it may be read.

        They are those that its requirements are told of; see `find`. None: a path does not tell.
        """
        found: list[Params | None] = []
        for reading, rule in self._deciding(readings, whole=whole):
            if isinstance(rule, Rule):
                found += rule.parameters.of_request((reading,), at)
            else:
                found.append(None)
        return found

    def _deciding(
        self, readings: tuple[str, ...], *, whole: bool
    ) -> Iterator[tuple[str, Rule | Ambiguous | None]]:
        """Yield each reading that decides, with its rule; None where it is `default`."""
        longest = max(map(len, readings)) if whole else 0
        for reading in readings:
            rule = self._rule(reading)
            made_up = len(reading) < longest if whole else len(reading) > len(readings[0])
            if made_up and (rule is None or (isinstance(rule, Rule) and rule.catches_all)):
                continue
            yield reading, rule

    def _protected_elsewhere(
        self, method: str, readings: tuple[str, ...], at: tuple[str, ...] | None
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
                if rule and requirement and requirement.kind != "public":
                    # Such a reader ignores the case of what it compares, not of what it hands on.
                    found += requirement.found_by(rule.parameters, method, (reading,), at)
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

    def forbidden(
        self, requirements: tuple[Requirement, ...], now: float, facts: RequestFacts | None = None
    ) -> Decision | None:
        """Return the refusal by a "forbid" that holds whoever calls, or None."""
        if not self.forbids:
            return None
        forbids = tuple(each for each in requirements if each.forbids_all)
        return _refused(forbids, Asked(None, now, facts))

    def anonymous(
        self, requirements: tuple[Requirement, ...], now: float, facts: RequestFacts | None = None
    ) -> Decision:
        """Decide for a caller whom nobody knows, whatever became of the credentials.

        A "forbid" sees the caller that the app will see: without roles, and of no issuer.
        """
        if not self.forbids and is_public(requirements):
            return requirements[0].allowed
        return _refused(requirements, Asked(None, now, facts)) or requirements[0].allowed

    def decide(
        self,
        requirements: tuple[Requirement, ...],
        principal: Principal,
        now: float = -inf,
        facts: RequestFacts | None = None,
        resources: Resources = NO_RESOURCES,
        answers: Answers = NO_ANSWERS,
    ) -> Decision:
        """Decide for a verified, expanded caller; the first failure in order is the answer.

        `now` is in seconds since the epoch; without it no authentication is recent enough.
        `resources` is what was loaded so far, `answers` what decision points said; what is not
        among it is an error.
        """
        for requirement in requirements:
            if not requirement.at_once(principal):
                break
        else:
            return requirements[0].allowed
        asked = Asked(principal, now, facts, resources=resources, answers=answers)
        return self.judge(requirements, asked)

    def judge(self, requirements: tuple[Requirement, ...], asked: Asked) -> Decision:
        """Decide as `decide` does, by asking each requirement of `asked`."""
        return _refused(requirements, asked) or requirements[0].allowed

    def waits_for(
        self,
        requirements: tuple[Requirement, ...],
        principal: Principal,
        now: float,
        facts: RequestFacts | None,
        resources: Resources,
        answers: Answers = NO_ANSWERS,
    ) -> Wanted | Questions | None:
        """Return on what it hangs whether all of `requirements` are met; None if on nothing.

        That is an object, or else all that one decision point is asked: each of these must be a
        yes.
        """
        asked = Asked(principal, now, facts, resources=resources, answers=answers)
        if not any(requirement.waits for requirement in requirements):
            return None
        found: list[Wanted | Question] = []
        for requirement in requirements:
            if requirement.met(asked):
                continue
            wanted = requirement.waits_for(asked)
            if wanted is None:
                return None  # it is refused, whatever anybody says
            found.append(wanted)
        questions: dict[Question, None] = {}
        for each in found:
            if isinstance(each, Wanted):
                return each
            questions[each] = None
        pdp = next((each.pdp for each in questions), None)
        few = tuple(each for each in questions if each.pdp == pdp)
        return Questions(few) if few else None

    def needs_object(self, permission: str) -> bool:
        """Whether the condition of `permission` reads attributes of an object."""
        need = self.permissions.get(permission)
        return need is not None and any(map(loaded_by, walk(need)))

    def ask(
        self,
        permission: str,
        principal: Principal,
        now: float,
        facts: RequestFacts,
        requests: Iterable[Request],
        resource: Mapping[str, Any] | None,
        rule: RuleRef | None,
        action: Mapping[str, Any] | None = None,
    ) -> Decision:
        """Answer the object-level question of a handler, with the attributes that it hands over.

        `requests` are what its request may be taken for: the answer must be yes for each of them.
        Without a `resource`, a condition that reads one is in error. `action` has properties of
        what is asked about, if the one who asks tells any.
        """
        need = self.permissions.get(permission) or Permissions((permission,), self.roles)
        requirement = Requirement("table", rule or RuleRef(permission, "permissions"), need)
        handed = {} if resource is None else {HANDED_OVER: resource}
        told = [
            Asked(principal, now, facts, method, params, handed, action=action)
            for method, params in requests
        ]
        for asked in told:
            if not requirement.met(asked):
                return _refused((requirement,), asked) or Decision(False, "condition_error", rule)
        return Decision(bool(told), "allowed" if told else "condition_error", rule)

    def ask_apart(
        self,
        permission: str,
        principal: Principal,
        now: float,
        facts: RequestFacts,
        resource: Mapping[str, Any],
        action: Mapping[str, Any],
    ) -> Decision:
        """Answer the same where no request is, so that no rule has decided one before.

        Of [forbid] holds what holds on every path. `facts` tell of the surroundings alone: the
        method and the path are not known, and a condition that reads them is in error.
        """
        forbidden = _refused(self.forbids.everywhere, Asked(principal, now, facts, action=action))
        if forbidden is not None:
            return forbidden
        apart = (Request("", None),)
        decision = self.ask(permission, principal, now, facts, apart, resource, None, action)
        # What the policy does not name is the asker's text, and no rule of ours.
        return decision if permission in self.permissions else replace(decision, rule=None)


def _refused(requirements: tuple[Requirement, ...], asked: Asked) -> Decision | None:
    """Return the refusal unless each of `requirements` is met."""
    for requirement in requirements:
        if not requirement.met(asked):
            break
    else:
        return None
    decision = explain(requirements, asked)
    if decision.allowed:  # a condition that answers differently when it is asked again
        return Decision(False, "condition_error", decision.rule, detail="unsteady")
    return decision
