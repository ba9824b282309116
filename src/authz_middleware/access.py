"""What a let-through request carries: the caller, the decision, and the object-level question."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from typing import Any, Final, Protocol, cast

from authz_middleware.effects import Admit, Outcome, Refuse, Routed, Served
from authz_middleware.errors import AccessDenied
from authz_middleware.facts import (
    Answer,
    Credentials,
    Decision,
    Principal,
    Reason,
    RequestFacts,
)
from authz_middleware.policy.binding import Binding
from authz_middleware.policy.model import Requirement

__all__ = ["Access", "Authority", "current_access", "enter", "leave"]

_NOT_FOUND: Final = 404


class Authority(Protocol):
    """The compiled policy an `Access` was made under."""

    def know(self, access: Access) -> Decision: ...
    def again(
        self, admit: Admit, facts: RequestFacts, asked: Routed, binding: Binding | None
    ) -> Outcome:
        """Decide about `asked`; `admit` itself only if that is still what came as `facts`."""
        ...

    def needs_object(self, permission: str) -> bool: ...
    def ask(
        self,
        access: Access,
        served: Served,
        permission: str,
        resource: Mapping[str, Any] | None,
    ) -> Decision: ...
    def report(
        self, access: Access, facts: RequestFacts, permission: str, decision: Decision
    ) -> None: ...
    def refuse(
        self,
        access: Access,
        facts: RequestFacts,
        permission: str,
        decision: Decision,
        accept: str | None,
    ) -> Answer: ...


class Access:
    """The verified caller of one request, under the key "authz" of the scope or environ.

    `principal` is None for an anonymous caller; `credentials` then says whether credentials were
    "absent", "invalid" or could not be checked ("unavailable"). It keeps the policy it was made
    under, so a policy that is replaced meanwhile changes nothing for this request.
    """

    __slots__ = (
        "_accept",
        "_admit",
        "_authority",
        "_binding",
        "_looks",
        "_seen",
        "_unchecked",
        "_unless_404",
        "anonymous",
        "credentials",
        "decision",
        "denied",
        "facts",
        "overruled",
        "principal",
        "valid_until",
    )

    decision: Final[Decision]
    principal: Final[Principal | None]
    credentials: Final[Credentials]
    valid_until: Final[float]
    anonymous: Final[Reason]

    def __init__(
        self,
        admit: Admit,
        facts: RequestFacts,
        authority: Authority,
        accept: str | None,
        binding: Binding | None = None,
    ) -> None:
        # In one go, since each request comes through here. `valid_until` is in seconds since the
        # epoch: from then on `require` and `allows` refuse (`exp` plus leeway). `anonymous` is why
        # they refuse an anonymous caller. `_unless_404` stands where the app was let in to say 404,
        # and says something else.
        (
            self.decision,
            self.principal,
            self.credentials,
            self.valid_until,
            self.anonymous,
            requirements,
            _,
            _,
            self._unless_404,
            _,
        ) = admit
        # An `Access` may outlive its request, and a token should not: it is made with these and
        # the Accept field, not with all of the request.
        self.facts: Final = facts
        # The refusal that `require` raised; an adapter sends it in place of a 5xx.
        self.denied: Answer | None = None
        # ... and this one in place of whatever is answered: the second look's.
        self.overruled: Answer | None = None
        self._admit: Final = admit
        self._binding: Final = binding
        self._authority: Final = authority
        self._accept: Final = accept
        # What the app's router has made of the request and may: in order, each once.
        self._looks: dict[Routed, None] = {}
        # The facts of the last of these, for the log.
        self._seen = self.facts
        # The permissions that some rule says the handler must ask about (`must_check`), and that
        # nobody has asked about yet; None in the common case.
        self._unchecked: set[str] | None = None
        self._demand(requirements)

    def allows(self, permission: str, resource: Mapping[str, Any] | None = None) -> bool:
        """Whether the caller has `permission`; False for anonymous callers and expired tokens.

        `resource` holds attributes of the object in question, for the condition that
        `[permissions]` may attach to it. One that it lacks counts against access, and so does an
        object that such a condition reads and that nobody hands over.
        """
        decision = self._ask(permission, resource)
        self._authority.report(self, self._seen, permission, decision)
        return decision.allowed

    def require(self, permission: str, resource: Mapping[str, Any] | None = None) -> None:
        """Raise `AccessDenied` unless the caller has `permission`; see `allows`."""
        decision = self._ask(permission, resource)
        if not decision.allowed:
            raise self._denial(permission, decision)
        self._authority.report(self, self._seen, permission, decision)

    def explain(self) -> Decision:
        """Return the decision that let the request in, with what each rule found: `findings`."""
        return self._admit.explain(self.facts)

    def require_principal(self) -> Principal:
        """Return the verified caller.

        Raise `AccessDenied` for an anonymous one, and for one whose token has expired meanwhile.
        """
        decision = self._authority.know(self)
        if self.principal is None or not decision.allowed:
            raise self._denial("", decision)
        return self.principal

    def look_again(self, asked: Routed, *, overrule: bool = True) -> None:
        """Raise `AccessDenied` unless the caller may have what the app's router has chosen.

        For the hooks of frameworks, between router and handler. With `overrule` the refusal is the
        answer, whatever the app makes of it; not where a handler asks something of its own app.
        """
        outcome = self._authority.again(self._admit, self.facts, asked, self._binding)
        if isinstance(outcome, Refuse):
            denial = self._denial("", outcome.decision, self._as(asked))
            self.overruled = denial.answer if overrule else None
            raise denial
        self._looks[asked] = None
        same = outcome is self._admit or asked.is_still(self.facts)
        self._seen = self.facts if same else self._as(asked)
        self._demand(outcome.requirements)

    def _as(self, asked: Routed) -> RequestFacts:
        return self.facts._replace(kind=asked.kind, method=asked.method, path=asked.path)

    def _demand(self, requirements: tuple[Requirement, ...] | None) -> None:
        for requirement in requirements or ():
            if requirement.must_check:
                self._unchecked = self._unchecked or set()
                self._unchecked.add(requirement.must_check)

    def _ask(self, permission: str, resource: Mapping[str, Any] | None) -> Decision:
        given = cast("object", resource)
        if given is not None and not isinstance(given, Mapping):
            raise TypeError("`resource` is a mapping of attributes")
        if self._unchecked and (given is not None or not self._authority.needs_object(permission)):
            self._unchecked.discard(permission)
        served = Served(self._admit, self.facts, tuple(self._looks), self._binding)
        return self._authority.ask(self, served, permission, resource)

    def take_over(self, earlier: Access) -> None:
        """Ask also for what nobody has asked about yet of an `Access` that this one replaces.

        Whoever asks is answered for what the request was then, too.
        """
        kind, method, path = earlier.facts[:3]
        self._looks |= {Routed(None, kind, method, path or ""): None, **earlier._looks}
        self._unless_404 = self._unless_404 or earlier._unless_404
        if earlier._unchecked:
            self._unchecked = (self._unchecked or set()) | earlier._unchecked

    @property
    def is_plain(self) -> bool:
        """Whether whatever the app answers by now is sent: the common case."""
        return self.denied is None and not self._unchecked and self._unless_404 is None

    @property
    def is_unchecked(self) -> bool:
        """Whether some answers of the app are not to be sent: see `unchecked`."""
        return bool(self._unchecked) or self._unless_404 is not None

    def unchecked(self, status: int | None = None) -> Answer | None:
        """Return what is answered in place of a response that the app starts with `status`.

        Before the handler has asked what some rule says it must (`must_check`), that is a 500.
        Where the app was let in to say 404, it is the refusal. None if the response may be sent,
        or is our own refusal.
        """
        if self.denied is not None and self.denied.status == status:
            return None
        if self._unless_404 is not None and status != _NOT_FOUND:
            return self._authority.refuse(self, self._seen, "", self._unless_404, self._accept)
        if not self._unchecked:
            return None
        missing = tuple(sorted(self._unchecked))
        miss = f"the handler must ask about permission {' and '.join(missing)}"
        decision = Decision(
            False, "unchecked", self.decision.rule, missing=missing, nearest_miss=miss
        )
        return self._authority.refuse(self, self._seen, "", decision, self._accept)

    def _denial(
        self, asked: str, decision: Decision, facts: RequestFacts | None = None
    ) -> AccessDenied:
        facts = facts or self._seen
        self.denied = self._authority.refuse(self, facts, asked, decision, self._accept)
        return AccessDenied(decision, self.denied)

    def __repr__(self) -> str:
        return f"Access({self.credentials}, {self.principal!r}, {self.decision.reason})"


_current: ContextVar[Access | None] = ContextVar("authz_middleware.access", default=None)


def current_access() -> Access | None:
    """Return the `Access` of the request being served, or None.

    Tasks and executors that copy the context inherit it. A bare `threading.Thread` gets None,
    unless Python lets threads inherit (`sys.flags.thread_inherit_context`, free-threaded builds).
    """
    return _current.get()


enter: Final[Callable[[Access | None], Token[Access | None]]] = _current.set
"""Sets what `current_access` returns in this context; the adapters call it at every entry."""


def leave(token: Token[Access | None]) -> None:
    """Undo an `enter` of this context."""
    try:  # noqa: SIM105 - `suppress` is in Python, and each request comes through here
        _current.reset(token)
    except ValueError:
        pass  # a request that is given up may be closed from another context
