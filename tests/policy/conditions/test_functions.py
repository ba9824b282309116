"""The functions of ours: each gives what CEL says, or None."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from authz_middleware.policy.conditions.functions import (
    FUNCTIONS,
    duration,
    network,
    timestamp,
    zone,
)


@pytest.mark.parametrize("name", ["UTC", "Europe/Vienna", "America/New_York", "+00:00", "-11:30"])
def test_zones(name):
    assert zone(name) is not None


@pytest.mark.parametrize(
    "name",
    ["", "Europe", "Europe/Wien", "../../etc/passwd", "/etc/passwd", "+24:00", "+1:00", "\0"],
)
def test_no_zones(name):
    assert zone(name) is None


@pytest.mark.parametrize("text", ["10.0.0.0/8", "fd00::/8", "0.0.0.0/0", "::1/128"])
def test_networks(text):
    assert network(text) is not None


@pytest.mark.parametrize("text", ["", "10.0.0.0", "10.0.0.1/8", "10.0.0.0/33", "x/8", "10.0/8"])
def test_no_networks(text):
    assert network(text) is None


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("2026-01-31T09:00:00Z", True),
        ("2026-01-31t09:00:00.123456789z", True),
        ("2026-01-31T09:00:00+02:00", True),
        ("2026-01-31", False),
        ("2026-01-31T09:00:00", False),
        ("2026-02-30T09:00:00Z", False),
        ("2026-W01-1T09:00:00Z", False),
        ("", False),
    ],
)
def test_timestamps(text, valid):
    assert (timestamp(text) is not None) is valid


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("1h", True),
        ("-1h30m", True),
        ("1.5s", True),
        ("20ms", True),
        ("", False),
        ("-", False),
        ("1", False),
        ("1d", False),
        ("1h ", False),
        ("h", False),
        ("1e3s", False),
        ("9999999999h", False),
    ],
)
def test_durations(text, valid):
    assert duration(text) is valid


NOW = datetime(2026, 7, 4, 20, 30, tzinfo=UTC)

CALLS = [
    ("f_negatable", (7,), 7),
    ("f_negatable", (-(2**63) + 1,), -(2**63) + 1),
    ("f_negatable", (-(2**63),), None),
    ("f_negatable", (0.5,), 0.5),
    ("f_negatable", (True,), None),
    ("f_negatable", ("7",), None),
    ("f_size", ("äö",), 2),
    ("f_size", ([1],), 1),
    ("f_size", ({"a": 1},), 1),
    ("f_size", (1,), None),
    ("f_int", (5,), 5),
    ("f_int", (2**63,), None),
    ("f_int", ("-5",), -5),
    ("f_int", ("9" * 19,), None),
    ("f_int", ("+5",), None),
    ("f_int", ("٣",), None),
    ("f_int", (1.9,), 1),
    ("f_int", (1e30,), None),
    ("f_int", (float("nan"),), None),
    ("f_int", (True,), None),
    ("f_int", (None,), None),
    ("f_double", (5,), 5.0),
    ("f_double", (0.5,), 0.5),
    ("f_double", ("-0.5e1",), -5.0),
    ("f_double", ("1e999",), None),
    ("f_double", ("nan",), None),
    ("f_double", (float("inf"),), None),
    ("f_double", (True,), None),
    ("f_double", ([],), None),
    ("f_string", ("x",), "x"),
    ("f_string", (-5,), "-5"),
    ("f_string", (True,), None),
    ("f_string", (1.5,), None),
    ("f_timestamp", (NOW,), NOW),
    ("f_timestamp", ("2026-07-04T20:30:00Z",), NOW),
    ("f_timestamp", ("x",), None),
    ("f_timestamp", (int(NOW.timestamp()),), NOW),
    ("f_timestamp", (2**62,), None),
    ("f_timestamp", (True,), None),
    ("f_timestamp", (1.5,), None),
    ("f_part", (NOW, "getHours", "UTC"), 20),
    ("f_part", (NOW, "getHours", "x"), None),
    ("f_part", (timedelta(1), "getHours", "UTC"), None),
    ("f_part", (datetime.max.replace(tzinfo=UTC), "getHours", "+01:00"), None),
    ("f_within", ("10.0.0.0/8", "10.0.0.1"), True),
    ("f_within", ("10.0.0.0/8", "::ffff:10.0.0.1"), True),
    ("f_within", ("10.0.0.0/8", "::10.0.0.1"), False),
    ("f_within", ("fd00::/8", "fd00::1"), True),
    ("f_within", ("fe80::/10", "fe80::1%eth0"), None),
    ("f_within", ("10.0.0.0/8", "x"), None),
    ("f_within", ("10.0.0.0/8", 167772161), None),
    ("f_within", ("x", "10.0.0.1"), None),
]


@pytest.mark.parametrize(("name", "given", "result"), CALLS, ids=[str(each[:2]) for each in CALLS])
def test_calls(name, given, result):
    assert FUNCTIONS[name](*given) == result
    assert type(FUNCTIONS[name](*given)) is type(result)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(
    "value", [None, "", "x", 0, -1.5, [], {}, b"", NOW, timedelta(1), object()]
)
def test_none_raises(name, value):
    rest = {"f_part": ("getHours", "UTC")}.get(name, ())
    given = ("10.0.0.0/8", value) if name == "f_within" else (value, *rest)
    FUNCTIONS[name](*given)
