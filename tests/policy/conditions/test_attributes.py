"""What a condition says that it reads."""

from __future__ import annotations

import pytest

from authz_middleware.policy.conditions import Reads
from tests.policy.conditions.asking import condition


def reads(text: str) -> Reads:
    return condition(text).reads


@pytest.mark.parametrize(
    ("text", "caller", "alone"),
    [
        ("subject.id == 'x'", True, True),
        ("has(subject.id)", True, True),
        ("subject.claims.sub == 'x'", True, True),
        ("subject.claims.sub == 'x' && subject.claims.iss == 'y'", True, False),
        ("subject['id'] == 'x'", True, True),
        ("subject.id == 'x' && subject.issuer == 'y'", True, False),
        ("'x' in subject.roles", True, False),
        ("context.time.getHours() > 1", False, False),
    ],
)
def test_the_caller(text, caller, alone):
    assert reads(text).subject is caller
    assert reads(text).subject_without_issuer is alone


@pytest.mark.parametrize(
    ("text", "loaded", "params"),
    [
        ("resource.owner == 'x'", True, set()),
        ("resource.params.tenant == 'x'", False, {"tenant"}),
        ("'id' in resource.params", False, {"id"}),
        ("resource.params.all(p, p == 'x')", False, set()),
        ("resource.params.id == resource.id", True, {"id"}),
        ("subject.id == 'x'", False, set()),
    ],
)
def test_the_resource(text, loaded, params):
    assert reads(text).loaded is loaded
    assert reads(text).params == params


@pytest.mark.parametrize(
    ("text", "context", "client"),
    [
        ("cidr('10.0.0.0/8').containsIP(context.ip)", {"ip"}, False),
        ("context.scheme == 'https' && context.host == 'x'", {"scheme", "host"}, False),
        ("context.headers['x'] == 'y'", {"headers"}, True),
        ("'x' in context.query", {"query"}, True),
        ("context.time.getHours() > 1", {"time"}, False),
    ],
)
def test_the_context(text, context, client):
    assert reads(text).context == context
    assert reads(text).from_client is client


def test_what_an_absorbed_part_reads_counts_too():
    assert reads("resource.a == 1 || action.name == 'GET' && subject.claims.x.y == 1").paths == {
        ("resource", "a"),
        ("action", "name"),
        ("subject", "claims", "x", "y"),
    }
