"""Whom a request is from: only listed proxies are believed, and what is doubtful is not known."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_middleware.facts import Surroundings
from authz_middleware.policy.clients import Clients

CLIENTS = Clients(
    tuple(map(ip_network, ("10.0.0.0/8", "2001:db8::/64"))),
    frozenset(("api.example.com", "localhost", "192.0.2.1", "[2001:db8::1]")),
)
PROXY, CLIENT = "10.0.0.1", "203.0.113.7"


def around(peer: str | None = PROXY, scheme: str = "http", **fields: str) -> Surroundings:
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    return Surroundings(peer, scheme, named, "")


ADDRESSES = {
    "the peer itself": (around(CLIENT), CLIENT),
    "a peer that is no proxy": (around(CLIENT, x_forwarded_for="192.0.2.9"), CLIENT),
    "and forwards": (around(CLIENT, forwarded="for=192.0.2.9"), CLIENT),
    "IPv6": (around("2001:DB8:1::0:7"), "2001:db8:1::7"),
    "IPv4 in IPv6": (around(f"::ffff:{CLIENT}"), CLIENT),
    "a proxy over IPv4 in IPv6": (around(f"::ffff:{PROXY}", x_forwarded_for=CLIENT), CLIENT),
    "a scope": (around("fe80::1%eth0"), None),
    "no peer": (around(None, x_forwarded_for=CLIENT), None),  # a Unix socket
    "a peer that is no address": (around("testclient", x_forwarded_for=CLIENT), None),
    "a proxy that says nothing": (around(), None),
    "one": (around(x_forwarded_for=CLIENT), CLIENT),
    "two": (around(x_forwarded_for=f"{CLIENT}, 10.0.0.2"), CLIENT),
    "what the client wrote": (around(x_forwarded_for=f"192.0.2.9, {CLIENT}, 10.0.0.2"), CLIENT),
    "joined without a space": (around(x_forwarded_for=f"192.0.2.9,{CLIENT}"), CLIENT),
    "nothing but proxies": (around(x_forwarded_for="10.0.0.3, 10.0.0.2"), None),
    "unknown": (around(x_forwarded_for="192.0.2.9, unknown"), None),
    "an empty one": (around(x_forwarded_for="192.0.2.9,"), None),
    "an empty field": (around(x_forwarded_for=""), None),
    "nonsense left of the client": (around(x_forwarded_for=f"<script>, {CLIENT}"), CLIENT),
    "a port": (around(x_forwarded_for=f"{CLIENT}:4711"), CLIENT),
    "IPv6 with a port": (around(x_forwarded_for="[2001:db8:1::7]:4711"), "2001:db8:1::7"),
    "IPv6 in brackets": (around(x_forwarded_for="[2001:db8:1::7]"), "2001:db8:1::7"),
    "IPv6 forwarded": (around(x_forwarded_for="2001:db8:1::7"), "2001:db8:1::7"),
    "zeros before": (around(x_forwarded_for="203.0.113.007"), None),
    "a proxy over IPv6": (around("2001:db8::9", x_forwarded_for=CLIENT), CLIENT),
    "Forwarded": (around(forwarded=f"for={CLIENT};proto=https;by=10.0.0.1"), CLIENT),
    "two in Forwarded": (around(forwarded=f"for=192.0.2.9, For={CLIENT}, for=10.0.0.2"), CLIENT),
    "quoted": (around(forwarded='for="[2001:db8:1::7]:4711"'), "2001:db8:1::7"),
    "quoted with a comma": (around(forwarded=f'for={CLIENT};x="a, b"'), CLIENT),
    "hidden": (around(forwarded="for=_hidden"), None),
    "without for": (around(forwarded=f"for={CLIENT}, proto=https"), None),
    "twice for": (around(forwarded=f"for=192.0.2.9;for={CLIENT}"), None),
    "cut off": (around(forwarded=f'for={CLIENT}, for="10.0.0.2'), None),
    "an empty element": (around(forwarded=f"for={CLIENT},"), None),
    "no pair": (around(forwarded=CLIENT), None),
    "both, alike": (around(x_forwarded_for=CLIENT, forwarded=f"for={CLIENT}"), CLIENT),
    "both, at odds": (around(x_forwarded_for=CLIENT, forwarded="for=192.0.2.9"), None),
}


@pytest.mark.parametrize(("around", "address"), ADDRESSES.values(), ids=ADDRESSES)
def test_the_address(around, address) -> None:
    assert CLIENTS.ip(around) == address


SCHEMES = {
    "the server's": (around(CLIENT, "https"), "https"),
    "a WebSocket": (around(CLIENT, "wss"), "https"),
    "a plain one": (around(CLIENT, "ws"), "http"),
    "another": (around(CLIENT, "gopher"), None),
    "a client's word": (around(CLIENT, x_forwarded_proto="https"), "http"),
    "no peer": (around(None, "https"), None),
    "a proxy's": (around(x_forwarded_proto="https"), "https"),
    "in capitals": (around(x_forwarded_proto="HTTPS"), "https"),
    "a proxy that says nothing": (around(PROXY, "https"), None),
    "several": (around(x_forwarded_proto="https, http"), None),
    "empty": (around(x_forwarded_proto=""), None),
    "Forwarded": (around(forwarded=f"for={CLIENT};proto=https, for=10.0.0.2;proto=http"), "https"),
    "of nobody": (around(forwarded="for=unknown;proto=https"), None),
    "Forwarded without": (around(forwarded=f"for={CLIENT}"), None),
    "one of two": (around(forwarded=f"for={CLIENT}", x_forwarded_proto="https"), "https"),
    "at odds": (around(forwarded=f"for={CLIENT};proto=http", x_forwarded_proto="https"), None),
}


@pytest.mark.parametrize(("around", "scheme"), SCHEMES.values(), ids=SCHEMES)
def test_the_scheme(around, scheme) -> None:
    assert CLIENTS.scheme(around) == scheme


API = "api.example.com"
HOSTS = {
    "asked for": (around(CLIENT, host=API), API),
    "with a port": (around(CLIENT, host=f"{API}:8443"), API),
    "with a last dot": (around(CLIENT, host="API.example.com."), API),
    "IPv4": (around(CLIENT, host="192.0.2.1:80"), "192.0.2.1"),
    "IPv6": (around(CLIENT, host="[2001:db8::1]:80"), "[2001:db8::1]"),
    "another": (around(CLIENT, host="evil.example"), None),
    "two": (around(CLIENT, host=f"{API}, {API}"), None),
    "with a user": (around(CLIENT, host=f"x@{API}"), None),
    "none": (around(CLIENT), None),
    "over a Unix socket": (around(None, host=API), API),
    "a client's word": (around(CLIENT, host=API, x_forwarded_host="localhost"), API),
    "a proxy's": (around(host="backend", x_forwarded_host=API), API),
    "a proxy that says nothing": (around(host=API), API),
    "several of a proxy": (around(host=API, x_forwarded_host=f"{API}, localhost"), None),
    "Forwarded": (around(host="backend", forwarded=f'for={CLIENT};host="{API}:80"'), API),
    "Forwarded without": (around(host=API, forwarded=f"for={CLIENT}"), API),
    "at odds": (around(forwarded=f"for={CLIENT};host=localhost", x_forwarded_host=API), None),
}


@pytest.mark.parametrize(("around", "host"), HOSTS.values(), ids=HOSTS)
def test_the_host(around, host) -> None:
    assert CLIENTS.host(around) == host


def test_nobody_is_listed() -> None:
    clients = Clients(())
    assert clients.ip(around(PROXY, x_forwarded_for=CLIENT)) == PROXY
    assert clients.host(around(host=API)) is None


PARTS = st.sampled_from((*'10.203,;=:"\\[] _', "for", "proto", CLIENT, PROXY, "unknown", "\x00"))


@given(st.lists(PARTS, max_size=30).map("".join), st.sampled_from(("x_forwarded_for", "forwarded")))
def test_what_a_client_writes_never_changes_who_it_is(text, field) -> None:
    """The proxy adds whom it was asked by at the end."""
    own = CLIENT if field == "x_forwarded_for" else f"for={CLIENT}"
    found = CLIENTS.ip(around(**{field: f"{text},{own}"}))
    assert found in (CLIENT, None)
    if field == "x_forwarded_for":
        assert found == CLIENT
    assert CLIENTS.ip(around(CLIENT, **{field: text})) == CLIENT
    assert CLIENTS.scheme(around(**{field: text})) in ("http", "https", None)
