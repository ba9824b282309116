"""Conditions over what came with a request, through both adapters from one table."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from authz_middleware import ASGIAuthzMiddleware, Authz
from authz_middleware.access import Access
from tests.adapters.exchange import WORLDS, Recorder, ask, call_asgi, scope_for

BOTH = pytest.mark.parametrize("world", WORLDS)
PROXY, CLIENT, OFFICE = "10.0.0.1", "203.0.113.7", "192.0.2.9"

ROUTES = {
    "GET /t/<tenant>/orders": "resource.params.tenant == subject.claims.tenant",
    "GET /office": 'cidr("192.0.2.0/24").containsIP(context.ip)',
    "GET /secure": 'context.scheme == "https"',
    "GET /host": 'context.host == "api.example.com"',
    "GET /header": 'context.headers["x-plan"] == "gold"',
    "GET /several": 'context.headers["x-plan"].matches("^gold, ?silver$")',
    "GET /any-header": '"x-plan" in context.headers',
    "GET /no-secret": '!context.headers.exists(n, n in ["authorization", "cookie", "host"])',
    "GET /wild": 'context.headers.exists(n, n.startsWith("x-f") && context.headers[n] == "1")',
    "GET /type": 'context.headers["content-type"] == "text/csv"',
    "GET /no-type": '!has(context.headers.accept) && !("content-type" in context.headers)',
    "GET /query": 'context.query.flag == ["on"]',
    "GET /both-flags": 'context.query.flag == ["on", "off"]',
    "GET /no-query": "!has(context.query.flag)",
    "GET|POST /method": 'action.name == "GET"',
    "GET /time": "context.time.getFullYear() == 2027",
}


@pytest.fixture(scope="module")
def authz(policy, clock) -> Authz:
    mapping = {
        **policy,
        "trusted_proxies": ["10.0.0.0/8"],
        "hosts": ["api.example.com"],
        "routes": {
            **{key: {"when": when} for key, when in ROUTES.items()},
            "/public/**": "public",
        },
        "forbid": {
            "elsewhere": {
                "path": "/public/office",
                "when": '!cidr("192.0.2.0/24").containsIP(context.ip)',
            },
            "query": {"path": "/public/query", "when": '"debug" in context.query'},
            "banned": {"path": "/public/who", "when": 'subject.id == "eve"'},
        },
    }
    return Authz.from_mapping(mapping, clock=clock)


def send(
    world: str,
    authz: Authz,
    method: str,
    target: str,
    token: str | None,
    *fields: tuple[str, str],
    peer: str | None = CLIENT,
    scheme: str = "http",
    content_type: str | None = None,
    during: Any = lambda access: None,
) -> int:
    path, _, query = target.partition("?")
    headers = [("Authorization", f"Bearer {token}")] if token else []
    headers += fields
    extra: dict[str, Any]
    if world == "wsgi":
        extra = {
            "QUERY_STRING": query,
            "wsgi.url_scheme": scheme,
            "CONTENT_TYPE": content_type or "",
        }
        if peer is not None:
            extra["REMOTE_ADDR"] = peer
    else:
        if content_type is not None:
            headers.append(("Content-Type", content_type))
        client = None if peer is None else (peer, 4711)
        extra = {"query_string": query.encode("latin-1"), "scheme": scheme, "client": client}
    return ask(world, authz, method, path, headers, during=during, **extra).status


FORWARDED = ("X-Forwarded-For", OFFICE)

# target, what is sent: status
TABLE: dict[str, tuple[str, dict[str, Any], list[tuple[str, str]], int]] = {
    "the tenant": ("/t/acme/orders", {}, [], 200),
    "another tenant": ("/t/other/orders", {}, [], 403),
    "a query is no parameter": ("/t/other/orders?tenant=acme", {}, [], 403),
    "from the office": ("/office", {"peer": OFFICE}, [], 200),
    "from elsewhere": ("/office", {}, [], 403),
    "who says so": ("/office", {}, [FORWARDED], 403),
    "whom a proxy says": ("/office", {"peer": PROXY}, [FORWARDED], 200),
    "whom a proxy says last": (
        "/office",
        {"peer": PROXY},
        [FORWARDED, ("X-Forwarded-For", CLIENT)],
        403,
    ),
    "whom a proxy says, in its own case": (
        "/office",
        {"peer": PROXY},
        [("x-FORWARDED-for", OFFICE)],
        200,
    ),
    "Forwarded": ("/office", {"peer": PROXY}, [("Forwarded", f"for={OFFICE}")], 200),
    "at odds": ("/office", {"peer": PROXY}, [FORWARDED, ("Forwarded", f"for={CLIENT}")], 403),
    "over a Unix socket": ("/office", {"peer": None}, [FORWARDED], 403),
    "over TLS": ("/secure", {"scheme": "https"}, [], 200),
    "in the clear": ("/secure", {}, [("X-Forwarded-Proto", "https")], 403),
    "over TLS to a proxy": ("/secure", {"peer": PROXY}, [("X-Forwarded-Proto", "https")], 200),
    "not to a proxy": (
        "/secure",
        {"peer": PROXY, "scheme": "https"},
        [("X-Forwarded-Proto", "http")],
        403,
    ),
    "the host": ("/host", {}, [("Host", "api.example.com:8443")], 200),
    "another host": ("/host", {}, [("Host", "evil.example")], 403),
    "a host that was changed": (
        "/host",
        {"peer": PROXY},
        [("Host", "backend"), ("X-Forwarded-Host", "api.example.com")],
        200,
    ),
    "a header": ("/header", {}, [("X-Plan", "gold")], 200),
    "another header": ("/header", {}, [("X-Plan", "silver")], 403),
    "no header": ("/header", {}, [], 403),
    "twice": ("/header", {}, [("X-Plan", "gold"), ("X-Plan", "gold")], 403),
    "several": ("/several", {}, [("X-Plan", "gold"), ("x-plan", "silver")], 200),
    "bytes": ("/header", {}, [("X-Plan", "g\xf6ld")], 403),
    "some header": ("/any-header", {}, [("X-Plan", "")], 200),
    "no such header": ("/any-header", {}, [("X-Other", "")], 403),
    "credentials are not seen": ("/no-secret", {}, [("Host", "a"), ("Cookie", "b")], 200),
    "a name that is not written out": ("/wild", {}, [("X-Flag", "1")], 200),
    "no such name": ("/wild", {}, [("X-Flag", "0"), ("Y-Flag", "1")], 403),
    "a type": ("/type", {"content_type": "text/csv"}, [], 200),
    "another type": ("/type", {"content_type": "text/html"}, [], 403),
    "no type": ("/type", {}, [], 403),
    "none of them": ("/no-type", {}, [], 200),
    "accept": ("/no-type", {}, [("Accept", "*/*")], 403),
    "a query": ("/query?flag=on&x=1", {}, [], 200),
    "a query, encoded": ("/query?fl%61g=o%6E", {}, [], 200),
    "a query, twice": ("/query?flag=on&flag=off", {}, [], 403),
    "both": ("/both-flags?flag=on&flag=off", {}, [], 200),
    "no query": ("/query", {}, [], 403),
    "is there no query": ("/no-query", {}, [], 200),
    "is there one": ("/no-query?flag", {}, [], 403),
    "a query that is not UTF-8": ("/no-query?%FF", {}, [], 403),
    "a query with raw bytes": ("/no-query?\xfc", {}, [], 403),
    "a query without end": ("/no-query?" + "&".join(f"a{n}=" for n in range(1001)), {}, [], 403),
    "the time": ("/time", {}, [], 200),
}


@BOTH
@pytest.mark.parametrize(("target", "how", "fields", "status"), TABLE.values(), ids=TABLE)
def test_what_came_with_a_request(world, target, how, fields, status, authz, issuer) -> None:
    token = issuer.mint("ann", tenant="acme")
    assert send(world, authz, "GET", target, token, *fields, **how) == status


@BOTH
@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("HEAD", 200), ("POST", 403)])
def test_the_method(world, method, status, authz, issuer) -> None:
    assert send(world, authz, method, "/method", issuer.mint("ann")) == status


@BOTH
@pytest.mark.parametrize(
    ("target", "who", "how", "status"),
    [
        ("/public/office", None, {"peer": OFFICE}, 200),
        ("/public/office", None, {}, 403),
        ("/public/office", "ann", {}, 403),
        ("/public/office", None, {"peer": None}, 403),  # an error in a forbid holds
        ("/public/query", None, {}, 200),
        ("/public/query?debug", None, {}, 403),
        ("/public/query?%FF", None, {}, 403),
        ("/public/who", "ann", {}, 200),
        ("/public/who", "eve", {}, 403),
        ("/public/who", None, {}, 403),  # nobody has an id: an error
    ],
)
def test_a_forbid(world, target, who, how, status, authz, issuer) -> None:
    token = who and issuer.mint(who)
    assert send(world, authz, "GET", target, token, **how) == status


@BOTH
def test_a_forbid_that_reads_no_caller_asks_nobody_for_a_token(world, authz) -> None:
    """DESIGN section 4: before the 401 of a token that is no good."""
    assert send(world, authz, "GET", "/public/office", "no token") == 403
    assert send(world, authz, "GET", "/public/office", "no token", peer=OFFICE) == 200


def test_the_scheme_of_a_handshake(policy, clock, issuer) -> None:
    mapping = {
        **policy,
        "trusted_proxies": [],
        "routes": {"WS /feed": {"when": 'context.scheme == "https" && action.name == "WS"'}},
    }
    app = ASGIAuthzMiddleware(Recorder().asgi, Authz.from_mapping(mapping, clock=clock))
    headers = [("Authorization", f"Bearer {issuer.mint('ann')}")]
    for scheme, status in (("wss", 101), ("ws", 403)):
        scope = scope_for(
            "GET", "/feed", headers, kind="websocket", scheme=scheme, client=(CLIENT, 1)
        )
        assert call_asgi(app, scope, run=asyncio.run).status == status


@BOTH
def test_an_access_keeps_no_more_of_a_request_than_is_read(world, authz, issuer) -> None:
    kept: list[Access] = []
    send(
        world,
        authz,
        "GET",
        "/time",
        issuer.mint("ann"),
        ("Cookie", "top-secret"),
        ("X-Plan", "gold"),
        during=kept.append,
    )
    around = kept[0].facts.around
    assert around is not None
    # The fields that some condition reads by a name that it does not write out, but no secrets.
    assert around.fields == {"x-plan": "gold"}


@BOTH
def test_where_no_condition_reads_it_nothing_is_looked_at(world, policy, clock, issuer) -> None:
    seen: list[Access] = []
    authz = Authz.from_mapping({**policy, "trusted_proxies": ["10.0.0.0/8"]}, clock=clock)
    assert send(world, authz, "GET", "/me", issuer.mint("ann"), during=seen.append) == 200
    assert seen[0].facts.around is None


@BOTH
def test_the_log_names_what_is_missing_and_no_value(world, authz, issuer, caplog) -> None:
    token = issuer.mint("ann", tenant="top-secret")
    with caplog.at_level(logging.INFO, "authz_middleware"):
        send(world, authz, "GET", "/t/acme/orders", token)
        send(world, authz, "GET", "/t/acme/orders", issuer.mint("ann"))
        send(world, authz, "GET", "/header", token, ("X-Plan", "top-secret"))
    first, second, third = (line for line in caplog.messages if line.startswith("refused"))
    assert "condition_not_met nearest='needs the condition `resource.params.tenant == " in first
    assert "missing=['subject.claims.tenant']" in second
    assert "`subject.claims.tenant` is missing'" in second
    assert '"gold"` (of what the client sends)' in third
    assert "top-secret" not in caplog.text
