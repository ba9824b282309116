"""What a handler sees of its caller, and what it may ask."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Mapping
from math import inf
from typing import Any

import pytest

from authz_middleware.access import Access, current_access, enter, leave
from authz_middleware.effects import Admit, Outcome, Refuse, Routed, Served
from authz_middleware.errors import AccessDenied
from authz_middleware.facts import Answer, Claims, Decision, Principal, RequestFacts, RuleRef
from authz_middleware.policy.binding import Binding

FACTS = RequestFacts("http", "GET", "/a", "")
PRINCIPAL = Principal(
    subject="ann",
    issuer="https://x",
    permissions=frozenset({"read"}),
    claims=Claims(email="secret-claim"),
    expires_at=7,
)
ALLOWED = Decision(True, "allowed", RuleRef("GET /a", "authz.toml:1:1"))
DENIED = Decision(False, "role_missing")


class FakeAuthority:
    """Grants what the principal's permissions name, and writes down what it was asked."""

    def __init__(self) -> None:
        self.told: list[tuple[str, bool, str | None]] = []
        self.resources: list[Mapping[str, Any] | None] = []
        self.paths: list[str | None] = []

    def know(self, access: Access) -> Decision:
        known = access.principal is not None
        return Decision(known, "allowed" if known else "no_credentials")

    def needs_object(self, permission: str) -> bool:
        return permission == "write"

    def ask(
        self,
        access: Access,
        served: Served,
        permission: str,
        resource: Mapping[str, Any] | None,
    ) -> Decision:
        self.resources.append(resource)
        self.served = served
        held = access.principal.permissions if access.principal else frozenset()
        allowed = permission in held
        return Decision(allowed, "allowed" if allowed else "permission_missing")

    def report(
        self, access: Access, facts: RequestFacts, permission: str, decision: Decision
    ) -> None:
        self.paths.append(facts.path)
        self.told.append((permission, decision.allowed, None))

    def again(
        self, admit: Admit, facts: RequestFacts, asked: Routed, binding: Binding | None
    ) -> Outcome:
        if asked.path == "/b":
            return Refuse(DENIED, admit.principal, admit.credentials)
        return admit if asked.is_still(facts) else admit._replace()

    def refuse(
        self,
        access: Access,
        facts: RequestFacts,
        permission: str,
        decision: Decision,
        accept: str | None,
    ) -> Answer:
        assert not decision.allowed
        self.paths.append(facts.path)
        self.told.append((permission, False, accept))
        return Answer(403, (), b"no")


def make(principal: Principal | None = PRINCIPAL, authority: FakeAuthority | None = None) -> Access:
    admit = Admit(ALLOWED, principal, "valid" if principal else "absent", 7.5 if principal else inf)
    return Access(admit, FACTS, authority or FakeAuthority(), "text/plain")


def test_it_carries_what_was_decided() -> None:
    access = make()
    assert access.principal is PRINCIPAL
    assert access.credentials == "valid"
    assert access.decision is ALLOWED
    assert access.valid_until == 7.5
    assert access.facts is FACTS
    assert access.anonymous == "no_credentials"
    assert access.denied is None


def test_allows_answers_and_tells() -> None:
    authority = FakeAuthority()
    access = make(authority=authority)
    assert access.allows("read") is True
    assert access.allows("write", resource={"owner": "ann"}) is False
    assert make(None).allows("read") is False
    assert access.denied is None
    assert authority.told == [("read", True, None), ("write", False, None)]
    assert authority.resources == [None, {"owner": "ann"}]


@pytest.mark.parametrize("resource", ["ann", [("owner", "ann")], object()])
def test_what_is_no_mapping_is_no_resource(resource: Any) -> None:
    access = make()
    with pytest.raises(TypeError, match="mapping of attributes"):
        access.allows("read", resource)
    with pytest.raises(TypeError, match="mapping of attributes"):
        access.require("read", resource)


def test_require_lets_through_and_tells() -> None:
    authority = FakeAuthority()
    access = make(authority=authority)
    access.require("read", resource={"owner": "ann"})
    assert access.denied is None
    assert authority.told == [("read", True, None)]


def test_require_raises_and_marks_the_access() -> None:
    authority = FakeAuthority()
    access = make(authority=authority)
    with pytest.raises(AccessDenied) as denied:
        access.require("write")
    assert access.denied is denied.value.answer
    assert denied.value.decision.reason == "permission_missing"
    assert authority.told == [("write", False, "text/plain")]


def test_require_principal_returns_the_caller_and_tells_nobody() -> None:
    authority = FakeAuthority()
    assert make(authority=authority).require_principal() is PRINCIPAL
    assert authority.told == []


def test_require_principal_refuses_an_anonymous_caller() -> None:
    authority = FakeAuthority()
    access = make(None, authority)
    with pytest.raises(AccessDenied) as denied:
        access.require_principal()
    assert access.denied is denied.value.answer
    assert denied.value.decision.reason == "no_credentials"
    assert authority.told == [("", False, "text/plain")]


def test_require_principal_believes_no_authority_that_knows_nobody() -> None:
    class Gullible(FakeAuthority):
        def know(self, access: Access) -> Decision:
            return Decision(True, "allowed")

        def refuse(self, *_: object) -> Answer:
            return Answer(401, (), b"")

    with pytest.raises(AccessDenied):
        make(None, Gullible()).require_principal()


def test_the_second_look_passes_what_was_decided_and_overrules_what_was_not() -> None:
    authority = FakeAuthority()
    access = make(authority=authority)
    access.look_again(Routed("route", "http", "GET", "/a"))
    assert authority.told == []
    with pytest.raises(AccessDenied) as raised:
        access.look_again(Routed("route", "http", "GET", "/b"))
    assert raised.value.answer is access.overruled is access.denied
    assert authority.told == [("", False, "text/plain")]


def test_what_the_router_has_chosen_is_what_is_asked_about() -> None:
    authority = FakeAuthority()
    access = make(authority=authority)
    still, other = (Routed("route", "http", "GET", path) for path in ("/a", "/c"))
    for asked, path in ((still, "/a"), (other, "/c"), (other, "/c")):
        access.look_again(asked)
        access.allows("read")
        with pytest.raises(AccessDenied):
            access.require("write")
        assert authority.paths[-2:] == [path, path]
    assert authority.served.looks == (still, other)
    assert authority.served.facts is access.facts
    with pytest.raises(AccessDenied):  # what is refused is not what is served
        access.look_again(Routed("route", "http", "GET", "/b"))
    assert authority.paths[-1] == "/b"
    access.allows("read")
    assert authority.paths[-1] == "/c"
    assert authority.served.looks == (still, other)


def test_whoever_takes_over_answers_for_what_the_request_was() -> None:
    authority = FakeAuthority()
    earlier, access = make(), make(authority=authority)
    look = Routed("route", "http", "GET", "/c")
    earlier.look_again(look)
    access.take_over(earlier)
    access.allows("read")
    assert authority.served.looks == (Routed(None, "http", "GET", "/a"), look)
    assert authority.paths == ["/a"]


def test_the_repr_holds_no_token_and_no_claims() -> None:
    text = repr(make())
    assert "secret" not in text
    assert "ann" in text
    assert "allowed" in text
    assert repr(make(None)) == "Access(absent, None, allowed)"


def test_nothing_can_be_added_to_it() -> None:
    with pytest.raises(AttributeError):
        make().admin = True  # type: ignore[attr-defined]


def test_current_access_is_set_and_unset() -> None:
    assert current_access() is None
    outer, inner = make(), make(None)
    first = enter(outer)
    second = enter(inner)
    assert current_access() is inner
    third = enter(None)
    assert current_access() is None
    leave(third)
    leave(second)
    assert current_access() is outer
    leave(first)
    assert current_access() is None


def test_a_context_copy_inherits_it_and_a_bare_thread_does_not() -> None:
    access = make()
    token = enter(access)
    copied = contextvars.copy_context()
    leave(token)
    seen: list[Access | None] = []
    for run in (lambda: copied.run(current_access), current_access):
        thread = threading.Thread(target=lambda run=run: seen.append(run()))
        thread.start()
        thread.join()
    assert seen == [access, None]


def test_tasks_see_their_own() -> None:
    async def request(access: Access) -> bool:
        token = enter(access)
        await asyncio.sleep(0)
        child = await asyncio.create_task(inner())
        same = current_access() is access is child
        leave(token)
        return same

    async def inner() -> Access | None:
        await asyncio.sleep(0)
        return current_access()

    async def all_of_them() -> list[bool]:
        return await asyncio.gather(*(request(make()) for _ in range(100)))

    assert all(asyncio.run(all_of_them()))
    assert current_access() is None
