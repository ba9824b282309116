"""Conditions over a whole request: what holds, what does not, and what is not known."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from authz_middleware.policy.conditions import ConditionError, evaluator
from tests.policy.conditions.asking import ANN, ANONYMOUS, REQUEST, ask, condition, mistakes

HOLD = """
subject.id == "ann"
subject.issuer == "https://login.example.com"
subject.authenticated
"editor" in subject.roles
subject.roles == ["editor", "viewer"]
"article:read" in subject.permissions
subject.scopes.exists(s, s == "read")
subject.claims.tenant == resource.params.tenant
subject["claims"]["tenant"] == "acme"
subject.claims["https://example.com/plan"] == "gold"
"tenant" in subject.claims
!("note" in subject.claims)
has(subject.claims.address.country)
!has(subject.claims.address.street)
subject.claims.address == {"country": "AT", "lines": ["one", "two"]}
subject.claims.admin
subject.claims.admin == true
subject.claims.level >= 3
subject.claims.level + 1 == 4
subject.claims.level > 2.5
subject.claims.share * 2.0 == 1.0
double(subject.claims.level) / 2.0 == 1.5
-subject.claims.level == -3
-subject.claims.share == -0.5
-resource.params.id == -7 && -resource.params.price == -1.5
-(-subject.claims.level) == 3
"WS" != action.name
subject.claims.level % 2 == 1
subject.claims.groups[0] == "staff"
subject.claims.groups.all(g, g.startsWith("sta") || g.endsWith("les"))
subject.claims.groups.exists_one(g, g.contains("taf"))
subject.claims.groups.map(g, g + "!") == ["staff!", "sales!"]
subject.claims.groups.map(g, g == "sales", g + "!") == ["sales!"]
subject.claims.groups.filter(g, g != "staff") == ["sales"]
subject.claims.groups.filter(g, g != "staff").exists(g, g == "sales")
subject.claims.address.exists(key, key == "country")
{"acme": "gold"}[subject.claims.tenant] == "gold"
subject.claims.tenant in {"acme": 1}
action.name == "PUT"
action.name in ["PUT", "POST"]
resource.owner == subject.id
resource["owner"] == subject.id
!resource.public
resource.params.id == 7
resource.params.price < 2.0
resource.pages < 100 && resource.pages > 10
resource.members.exists(m, m.id == subject.id && has(m.role) && m.role == "lead")
resource.members.exists(m, subject.claims.groups.exists(g, m.id == "ann" && g == "sales"))
"a-b" in resource.labels && resource.labels["a-b"] == "x"
!has(resource.labels.gone)
size(resource.members) == 2
resource.members.size() == 2
size("äö" + subject.id) == 5
size(resource.labels) == 1
context.time > timestamp("2026-07-04T00:00:00Z")
context.time - timestamp(subject.claims.auth_time) > duration("1h30m")
context.time - resource.created <= duration("80h")
context.time - duration("1h") < context.time + duration("1h")
context.time.getDayOfWeek() == 6
context.time.getHours() == 20
context.time.getHours("Europe/Vienna") == 22
context.time.getHours("+05:30") == 2
context.time.getDayOfWeek("+05:30") == 0
context.time.getMinutes() == 30 && context.time.getSeconds() == 15
context.time.getMilliseconds() == 250
context.time.getFullYear() == 2026 && context.time.getMonth() == 6
context.time.getDate() == 4 && context.time.getDayOfMonth() == 3
context.time.getDayOfYear() == 184
(resource.created - duration("4320h")).getHours("Europe/Vienna") == 21
cidr("10.0.0.0/8").containsIP(context.ip)
!cidr("192.168.0.0/16").containsIP(context.ip)
!cidr("fd00::/8").containsIP(context.ip)
context.headers["x-plan"] == "gold"
"x-plan" in context.headers
context.headers["x-plan"] != context.host
"b" in context.query.tag
context.query["tag"][0] == "a"
!("q" in context.query)
context.scheme == "https"
subject.id.matches("^[a-z]{3}$")
!subject.id.matches("^\\\\d+$")
string(resource.params.id) == "7"
int("7") == resource.params.id
int(subject.claims.share) == 0
(subject.claims.level > 2 ? resource.owner : "x") == "ann"
subject.authenticated ? resource.pages == 12 : resource.public
subject.claims.missing == 1 || subject.id == "ann"
subject.id == "ann" || subject.claims.missing == 1
!(subject.claims.missing == 1 && subject.id == "bob")
subject . id == "ann" // a comment
subject.id == 'a' + r'n' + "\\x6e"
subject.id == "\\141\\u006e\\U0000006E" && subject.id != "\\n\\t\\`"
"""


@pytest.mark.parametrize("text", [line for line in HOLD.splitlines() if line])
def test_holds(text):
    assert ask(text) is True


@pytest.mark.parametrize(
    "text",
    [
        'subject.id == "bob"',
        '"admin" in subject.roles',
        "resource.public",
        'resource.owner != subject.id || subject.issuer == "x"',
        "subject.claims.level < 3",
        "has(subject.claims.note)",
        "subject.claims.missing == 1 && resource.public",
        "subject.claims.groups.exists(g, g == 1)",
        "context.time.getDayOfWeek() in [1, 2, 3, 4, 5]",
    ],
)
def test_does_not_hold(text):
    assert ask(text) is False


VAST = "`subject.claims.vast` is a number with a point of 2**53 or more, which is not exact"


@pytest.mark.parametrize(
    ("text", "detail", "missing"),
    [
        ("subject.claims.x == 1", "`subject.claims.x` is missing", ("subject.claims.x",)),
        ("!(subject.claims.x == 1)", "`subject.claims.x` is missing", ("subject.claims.x",)),
        ("subject.claims.x != 1", "`subject.claims.x` is missing", ("subject.claims.x",)),
        # null is missing.
        ('subject.claims.note == ""', "`subject.claims.note` is missing", ("subject.claims.note",)),
        ("subject.claims.a.b.c", "`subject.claims.a.b.c` is missing", ("subject.claims.a.b.c",)),
        (
            "has(subject.claims.a.b)",
            "`subject.claims.a` is missing",
            ("subject.claims.a",),
        ),
        (
            'subject.claims["a b"] == 1',
            '`subject.claims."a b"` is missing',
            ('subject.claims."a b"',),
        ),
        ("resource.members.all(m, m.role == 'lead')", "`role` is missing", ("role",)),
        ("subject.claims.huge > 1", "`subject.claims.huge` is an integer beyond 64 bits", ()),
        (
            "subject.claims.tenant.region == 'x'",
            "`subject.claims.tenant.region` is no table, so it has no attributes",
            (),
        ),
        ("subject.claims.tenant", "the condition is neither true nor false", ()),
        ("subject.claims.tenant < 3", "values of these kinds do not go together", ()),
        ("subject.claims.tenant && subject.authenticated", None, ()),
        ("!subject.claims.tenant", None, ()),
        ("subject.claims.level.startsWith('3')", None, ()),
        (
            "subject.claims.level * 9223372036854775807 > 0",
            "a number or a time is out of range",
            (),
        ),
        ("-subject.claims.least < 0", None, ()),  # there is no such number
        ("-subject.claims.tenant == 'x'", None, ()),
        ("-subject.claims.admin == 1", None, ()),
        ("-subject.claims.x == 1", "`subject.claims.x` is missing", ("subject.claims.x",)),
        ("resource.params.id != subject.claims.vast", VAST, ()),
        ("subject.claims.level / 0 > 0", "a division by zero", ()),
        ("subject.claims.level % 0 > 0", "a division by zero", ()),
        ("subject.claims.groups[2] == 'x'", "a list has no such entry", ()),
        ("{'x': 1}[subject.id] == 1", "a table has no such entry", ()),
        ("int(subject.claims.tenant) == 1", None, ()),
        ("int(subject.claims.admin) == 1", None, ()),
        ("double(subject.claims.tenant) == 1.0", None, ()),
        ("double(subject.claims.admin) == 1.0", None, ()),
        ("string(subject.claims.admin) == 'true'", None, ()),
        ("size(subject.claims.level) == 1", None, ()),
        ("timestamp(subject.claims.tenant) < context.time", None, ()),
        ("timestamp(subject.claims.share) < context.time", None, ()),
        ("subject.claims.tenant.getHours() == 1", None, ()),
        ("cidr('10.0.0.0/8').containsIP(subject.claims.tenant)", None, ()),
        ("cidr('10.0.0.0/8').containsIP(subject.claims.level)", None, ()),
        ("!cidr('10.0.0.0/8').containsIP(subject.claims.tenant)", None, ()),
        ("cidr('10.0.0.0/8').containsIP(subject.claims.tenant) != true", None, ()),
        ("subject.id in subject.claims.tenant", None, ()),
        ("subject.claims.level.exists(x, x == 1)", None, ()),
    ],
)
def test_is_in_error(text, detail, missing):
    found = ask(text)
    assert isinstance(found, ConditionError)
    assert found.missing == missing
    if detail is not None:
        assert found.detail == detail


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("subject.authenticated", False),
        ("!subject.authenticated", True),
        ("'x' in subject.roles", False),
        ("size(subject.permissions) == 0", True),
        ("size(subject.scopes) == 0", True),
        ("has(subject.claims.tenant)", False),
        ("has(subject.id)", False),
    ],
)
def test_an_anonymous_caller_has_empty_lists(text, outcome):
    assert ask(text, ANONYMOUS) is outcome


@pytest.mark.parametrize("name", ["subject.id", "subject.issuer", "subject.claims.tenant"])
def test_an_anonymous_caller_is_nobody(name):
    found = ask(f'{name} != "ann"', ANONYMOUS)
    assert isinstance(found, ConditionError)
    assert found.missing == (name,)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("resource.owner == 'ann'", "resource"),
        ("context.ip != 'x'", "ip"),
        ("context.scheme == 'https'", "scheme"),
        ("context.host == 'x'", "host"),
    ],
)
def test_what_was_not_given_is_missing(text, name):
    nothing: dict[str, Any] = {name: None}
    found = ask(text, REQUEST._replace(**nothing))
    assert isinstance(found, ConditionError)
    assert name in found.missing[0]


def test_a_resource_that_was_not_loaded_has_no_attribute():
    assert ask("has(resource.owner)", REQUEST._replace(resource=None)) is False


@pytest.mark.parametrize(
    ("ip", "inside"),
    [("10.9.9.9", True), ("11.0.0.1", False), ("::ffff:10.0.0.1", True), ("fd00::1", False)],
)
def test_an_address_is_found_in_a_network_however_it_is_written(ip, inside):
    assert ask("cidr('10.0.0.0/8').containsIP(context.ip)", REQUEST._replace(ip=ip)) is inside


@pytest.mark.parametrize("ip", ["", "10.0.0", "010.0.0.1", "10.0.0.1/8", "fe80::1%eth0", "x"])
def test_no_address_is_an_error(ip):
    found = ask("cidr('10.0.0.0/8').containsIP(context.ip)", REQUEST._replace(ip=ip))
    assert isinstance(found, ConditionError)


@pytest.mark.parametrize(
    ("time", "hour"),
    [
        (datetime(2026, 3, 29, 0, 59, tzinfo=UTC), 1),
        (datetime(2026, 3, 29, 1, 0, tzinfo=UTC), 3),  # the clock has been put forward
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), 2),
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), 2),  # and back again
    ],
    ids=str,
)
def test_time_zones_know_summer_time(time, hour):
    inputs = REQUEST._replace(time=time.timestamp())
    assert ask(f'context.time.getHours("Europe/Vienna") == {hour}', inputs) is True


def test_parts_of_a_time_are_those_of_utc_whatever_zone_it_came_in():
    created = datetime.fromisoformat("2026-07-01T01:30:00+02:00")
    inputs = REQUEST._replace(resource={"created": created})
    assert ask("resource.created.getHours() == 23", inputs) is True
    assert ask("timestamp('2026-07-01T01:30:00+02:00') == resource.created", inputs) is True


def test_values_never_stand_in_an_error():
    inputs = REQUEST._replace(resource={"a": {"secret-key": 1}, "secret": "s3cret", "n": 2**62})
    for text in (
        "resource.secret + 1 == 2",
        "int(resource.secret) == 1",
        "resource.n + resource.n == 1",
        "{'x': 1}[resource.secret] == 1",
        "timestamp(resource.secret) == context.time",
        "resource.secret.getHours() == 1",
        "resource.a[resource.secret] == 1",
        "resource.n.matches('x')",
    ):
        found = ask(text, inputs)
        assert isinstance(found, ConditionError)
        assert "s3cret" not in str(found)
        assert str(2**62) not in str(found)


class Broken(Mapping[str, Any]):
    def __getitem__(self, key):
        raise RuntimeError("secret")

    def __iter__(self):
        raise RuntimeError("secret")

    def __len__(self):
        return 1


def test_a_resource_that_cannot_be_read_is_an_error():
    found = ask("resource.x == 1", REQUEST._replace(resource=Broken()))
    assert found == ConditionError("`resource.x` cannot be read (RuntimeError)")
    assert (
        ask("resource.x == 1 || subject.id == 'ann'", REQUEST._replace(resource=Broken())) is True
    )


def test_only_what_a_condition_reads_is_looked_at():
    inputs = REQUEST._replace(
        resource={"owner": "ann", "rest": object()}, query={}, headers=Broken()
    )
    assert ask("resource.owner == subject.id", inputs) is True


def test_one_request_never_sees_another():
    asked = condition("resource.x == 'secret'")
    assert asked.evaluate(REQUEST._replace(resource={"x": "secret"})) is True
    found = asked.evaluate(REQUEST._replace(resource={}))
    assert isinstance(found, ConditionError)
    assert found.missing == ("resource.x",)


def test_parameters_are_not_what_the_resource_says():
    inputs = REQUEST._replace(resource={"params": {"tenant": "evil"}}, params={"tenant": "acme"})
    assert ask("resource.params.tenant == 'acme'", inputs) is True


def test_its_text_is_kept_and_nothing_else_is_shown():
    asked = condition("subject.id == 'ann'")
    assert asked.text == "subject.id == 'ann'"
    assert "v0" not in repr(asked)
    assert ANN.subject not in repr(asked).replace(asked.text, "")


def test_what_the_evaluator_refuses_is_no_condition(monkeypatch):
    def refuse(text):
        raise evaluator.Failure("no")

    monkeypatch.setattr(evaluator, "program", refuse)
    assert mistakes("subject.id == 'x'") == [
        "0: the evaluator does not take this: no; write it in another way"
    ]


# Bounds


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("'x' in resource.list", 9_999),
        ("resource.list.exists(x, x == 'x')", 9_999),
        ("resource.list.exists(x, resource.list.exists(y, x == y && x == 1))", 100),
        ("'x' in resource.list.map(x, x)", 200),
        ("size(resource.list.filter(x, x == 'x')) == 1", 200),
        ("resource.list.exists(x, resource.list.map(y, y) == x)", 34),
        ("resource.list.exists(x, string(x).matches('^[1-9]$'))", 200),
        (
            "resource.list.exists(x, resource.list.exists(y, x == y && string(y).matches('^1$')))",
            14,
        ),
        ("resource.list.filter(x, x == 1).filter(x, x == 1) == [1]", 200),
    ],
)
def test_lists_are_bounded_by_what_is_done_with_them(text, entries):
    asked = condition(text)
    assert asked.evaluate(REQUEST._replace(resource={"list": [0] * entries})) is False
    found = asked.evaluate(REQUEST._replace(resource={"list": [0] * (entries + 1)}))
    assert isinstance(found, ConditionError)
    assert found.detail.startswith("`resource.list` is ")


def test_a_list_beside_a_macro_is_not_bounded_by_it():
    inputs = REQUEST._replace(resource={"list": ["a"] * 9_000, "few": ["b"]})
    text = (
        "'a' in resource.list && resource.few.exists(x, resource.few.exists(y, x == y && x == 'b'))"
    )
    assert ask(text, inputs) is True
