"""What the tests of conditions share: a request, and short ways to ask about a text."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from authz_middleware.errors import Problem
from authz_middleware.facts import Claims, Principal
from authz_middleware.policy.conditions import Condition, Inputs, Rejected, compile_condition

PARAMS = {"tenant": "str", "id": "int", "price": "float", "ref": "uuid"}

CLAIMS = {
    "tenant": "acme",
    "groups": ["staff", "sales"],
    "level": 3,
    "share": 0.5,
    "admin": True,
    "note": None,
    "auth_time": 1_700_000_000,
    "address": {"country": "AT", "lines": ["one", "two"]},
    "https://example.com/plan": "gold",
    "huge": 2**63,
    "least": -(2**63),
    "vast": 2.0**53,
}

ANN = Principal(
    subject="ann",
    issuer="https://login.example.com",
    roles=frozenset({"viewer", "editor"}),
    permissions=frozenset({"article:read"}),
    scopes=frozenset({"read"}),
    claims=Claims.freeze(CLAIMS),
    expires_at=1.0,
)

REQUEST = Inputs(
    subject=ANN,
    method="PUT",
    # A Saturday: 22:30 in Vienna, still summer time there.
    time=datetime(2026, 7, 4, 20, 30, 15, 250_000, tzinfo=UTC).timestamp(),
    params={"tenant": "acme", "id": 7, "price": 1.5},
    resource={
        "owner": "ann",
        "public": False,
        "pages": 12,
        "created": datetime(2026, 7, 1, 20, 30, tzinfo=UTC),
        "members": [{"id": "bob"}, {"id": "ann", "role": "lead"}],
        "labels": {"a-b": "x", "gone": None},
    },
    ip="10.1.2.3",
    headers={"x-plan": "gold", "host": "example.com"},
    query={"tag": ["a", "b"]},
    scheme="https",
    host="example.com",
)

ANONYMOUS = REQUEST._replace(subject=None)


def condition(text: str, params=PARAMS) -> Condition:
    """The condition, which must have no mistake."""
    return compile_condition(text, params=params)


def ask(text: str, inputs: Inputs = REQUEST):
    """What a condition says of a request."""
    return condition(text).evaluate(inputs)


def mistakes(text: str, params=PARAMS) -> list[str]:
    """Every mistake in a condition: `offset: what; fix`."""
    with pytest.raises(Rejected) as raised:
        compile_condition(text, params=params)
    return [str(Problem(str(each.at), each.what, each.fix)) for each in raised.value.mistakes]
