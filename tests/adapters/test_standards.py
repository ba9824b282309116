"""What the standards say of whole requests, through both adapters; ids as in statements.toml."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from authz_middleware import ASGIAuthzMiddleware, Authz, WSGIAuthzMiddleware
from authz_middleware.testing import DevelopmentIssuer
from tests.adapters.exchange import (
    WORLDS,
    Recorder,
    Sent,
    ask,
    call_asgi,
    call_wsgi,
    environ_for,
    scope_for,
)

BOTH = pytest.mark.parametrize("world", WORLDS)
FORM = "application/x-www-form-urlencoded"


def bearer(token: str) -> list[tuple[str, str]]:
    return [("Authorization", f"Bearer {token}")]


def challenge(sent: Sent) -> str:
    return str(sent.header("www-authenticate"))


def with_query(world: str, authz: Authz, query: str, headers: Any = ()) -> Sent:
    if world == "wsgi":
        environ = environ_for("GET", "/me", headers, QUERY_STRING=query)
        return call_wsgi(WSGIAuthzMiddleware(Recorder().wsgi, authz), environ, validated=False)
    scope = scope_for("GET", "/me", headers, query_string=query.encode())
    return call_asgi(ASGIAuthzMiddleware(Recorder().asgi, authz), scope)


class TestWhereTokensAreLookedFor:
    @BOTH
    def test_not_in_the_query(self, world, authz, issuer):
        """B04, B07, B08, G06: it is no method at all, so it is no second one either."""
        good, bad = issuer.mint(), issuer.expired()
        sent = with_query(world, authz, f"access_token={good}")
        assert (sent.status, challenge(sent)) == (401, 'Bearer realm="orders"')
        assert with_query(world, authz, f"access_token={good}", bearer(bad)).status == 401
        for query in (f"access_token={bad}", "access_token=", "access_token=a&access_token=b"):
            assert with_query(world, authz, query, bearer(good)).status == 200

    @BOTH
    def test_not_in_a_form_whose_body_reaches_the_app_untouched(self, world, authz, issuer):
        """B05, B08: forms are the app's."""
        body = f"access_token={issuer.mint(roles=['admin'])}".encode()
        headers = [("Content-Type", FORM), ("Content-Length", str(len(body)))]
        assert _post(world, authz, body, headers) == (401, b"")
        allowed = [*headers, *bearer(issuer.mint(roles=["admin"]))]
        assert _post(world, authz, body, allowed) == (200, body)

    @BOTH
    def test_not_in_proxy_authorization(self, world, authz, issuer):
        """H17."""
        token = issuer.mint()
        for name in ("Proxy-Authorization", "X-Authorization", "X-Forwarded-Access-Token"):
            sent = ask(world, authz, "GET", "/me", [(name, f"Bearer {token}")])
            assert (sent.status, challenge(sent)) == (401, 'Bearer realm="orders"')
            mixed = [*bearer(token), (name, "Bearer x")]
            assert ask(world, authz, "GET", "/me", mixed).status == 200

    @BOTH
    def test_the_app_gets_the_field_as_it_came(self, world, authz, issuer):
        """H16, H03: and its name may be written in any case."""
        value = f"bEARER   {issuer.mint()}"
        seen: list[object] = []

        def wsgi(environ: Any, start_response: Any) -> list[bytes]:
            seen.append(environ["HTTP_AUTHORIZATION"])
            start_response("200 OK", [])
            return [b""]

        async def asgi(scope: Any, receive: Any, send: Any) -> None:
            seen.extend(value.decode() for name, value in scope["headers"])
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        headers = [("aUTHORIZATION", value)]
        if world == "wsgi":
            app: Any = WSGIAuthzMiddleware(wsgi, authz)
            call_wsgi(app, environ_for("GET", "/me", headers), validated=False)
        else:
            call_asgi(ASGIAuthzMiddleware(asgi, authz), scope_for("GET", "/me", headers))
        assert seen == [value]


def _post(world: str, authz: Authz, body: bytes, headers: Any) -> tuple[int, bytes]:
    """Post a form; return the status and what the app read."""
    read: list[bytes] = []

    def wsgi(environ: Any, start_response: Any) -> list[bytes]:
        read.append(environ["wsgi.input"].read())
        start_response("200 OK", [])
        return [b""]

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        read.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    if world == "wsgi":
        stream = io.BytesIO(body)
        environ = environ_for("POST", "/admin/x", headers)
        extra = {"wsgi.input": stream, "CONTENT_LENGTH": str(len(body)), "CONTENT_TYPE": FORM}
        app: Any = WSGIAuthzMiddleware(wsgi, authz)
        sent = call_wsgi(app, environ | extra, validated=False)
        assert read or stream.tell() == 0
    else:
        # `call_asgi` hands out an empty body first; the form is what comes then.
        async def reading(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await asgi(scope, receive, send)

        form = {"type": "http.request", "body": body, "more_body": False}
        scope = scope_for("POST", "/admin/x", headers)
        sent = call_asgi(ASGIAuthzMiddleware(reading, authz), scope, form)
    return sent.status, b"".join(read)


ELSEWHERE: dict[str, dict[str, str]] = {
    "CVE-2026-42273 another host": {"Host": "EVIL.example.:80"},
    "CVE-2026-48710 a path in the host": {"Host": "x/health?"},
    "CVE-2026-48710 a fragment in the host": {"Host": "x#"},
    "GHSA-vhr5-ggp3-qq85": {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"},
    "CVE-2026-40575": {"X-Forwarded-Uri": "/health", "X-Forwarded-Prefix": "/health"},
    "CVE-2026-39858 with underscores": {"X_Forwarded_Uri": "/health", "X_Forwarded_Proto": "x"},
    "another path": {"X-Original-URL": "/health", "X-Rewrite-URL": "/health"},
    "another method": {"X-HTTP-Method-Override": "GET", "X-Method-Override": "GET"},
    "GHSA-4jgr-pg2m-m988": {"Forwarded": 'for="1.2.3.4";host="evil.example";proto=https'},
    "CVE-2025-64484 a user": {"X-Forwarded-User": "admin", "X_Forwarded_User": "admin"},
    "CVE-2025-48865": {"Connection": "Authorization, Host"},
}


@BOTH
@pytest.mark.parametrize("headers", ELSEWHERE.values(), ids=ELSEWHERE)
def test_no_other_field_changes_anything(world, headers, policy, clock, issuer):
    """G05, H19: not the decision, and not the address of our metadata."""
    resource = {"resource": "https://api.example.com"}
    authz = Authz.from_mapping({**policy, **resource}, clock=clock)
    viewer = bearer(issuer.mint(roles=["viewer"]))
    for method, path, credentials in (
        ("GET", "/health", []),
        ("GET", "/me", []),
        ("GET", "/me", viewer),
        ("PUT", "/articles/1", viewer),
        ("GET", "/admin", viewer),
        ("GET", "/.well-known/oauth-protected-resource", []),
    ):
        plain = ask(world, authz, method, path, credentials)
        other = ask(world, authz, method, path, [*headers.items(), *credentials])
        assert (other.status, challenge(other)) == (plain.status, challenge(plain))
        if path.startswith("/.well-known"):
            assert json.loads(other.body) == json.loads(plain.body)


ENCRYPTED = "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.AAAA.AAAA.AAAA.AAAA"


@pytest.fixture(scope="module")
def invalid(issuer) -> dict[str, str]:
    """A bad token of each kind; every one of them would be an admin's."""
    header, payload, signature = issuer.mint("eve", roles=["admin"]).split(".")
    now = issuer.clock()
    return {
        "expired": issuer.expired("eve", roles=["admin"]),
        "not yet": issuer.mint("eve", roles=["admin"], nbf=now + 3600),
        "issued later": issuer.mint("eve", roles=["admin"], iat=now + 3600),
        "without exp": issuer.mint("eve", roles=["admin"], exp=None),
        "for another service": issuer.for_audience("billing-api", "eve", roles=["admin"]),
        "by another key": issuer.signed_by_another_key("eve", roles=["admin"]),
        "by another issuer": issuer.mint("eve", roles=["admin"], iss="https://other.example"),
        "ID token": issuer.mint("eve", roles=["admin"], headers={"typ": "JWT"}),
        "logout token": issuer.mint("eve", roles=["admin"], headers={"typ": "logout+jwt"}),
        "proof": issuer.mint("eve", roles=["admin"], headers={"typ": "dpop+jwt"}),
        "bound": issuer.mint("eve", roles=["admin"], cnf={"jkt": "x"}),
        "crit": issuer.mint("eve", roles=["admin"], headers={"crit": ["exp"]}),
        "unsigned": f"{header}.{payload}.",
        "cut": f"{header}.{payload}.{signature[:-4]}",
        "encrypted": ENCRYPTED,
        "opaque": "2YotnFZFEjr1zCsicMWpAA",
    }


KINDS = (
    *("expired", "not yet", "issued later", "without exp", "for another service"),
    *("by another key", "by another issuer", "ID token", "logout token", "proof", "bound"),
    *("crit", "unsigned", "cut", "encrypted", "opaque"),
)


@BOTH
@pytest.mark.parametrize("kind", KINDS)
def test_whatever_is_wrong_with_a_token(world, kind, authz, invalid):
    """B12, T08, T13, J01, P05, P14, N03, G01: `invalid_token`, and nothing reaches an app.

    CVE-2021-21378 (Envoy): a bad token is not a missing one. Envoy's pull request 43630: claims
    that nobody verified are nowhere to be found.
    """
    sent = ask(world, authz, "GET", "/admin", bearer(invalid[kind]))
    assert (sent.status, sent.called) == (401, False)
    assert challenge(sent) == 'Bearer realm="orders", error="invalid_token"'
    assert b"eve" not in sent.body
    public = ask(world, authz, "GET", "/health", bearer(invalid[kind]))
    assert (public.access.principal, public.access.credentials) == (None, "invalid")
    assert ask(world, authz, "GET", "/health").access.credentials == "absent"


@BOTH
def test_every_request_is_checked_for_itself(world, issuer, policy):
    """B21, G01, G02, GHSA-qvp4-rpmr-xwrr (Oathkeeper): what is remembered of a token is not more.

    Its scopes, its time and the rule are looked at again, whatever was let in before.
    """
    now = [issuer.clock()]
    authz = Authz.from_mapping(policy, clock=lambda: now[0])
    token = bearer(issuer.mint("ann", roles=["viewer"], scope="pay", lifetime=60))
    for _ in range(2):
        assert ask(world, authz, "GET", "/articles/1", token).status == 200
        refused = ask(world, authz, "POST", "/transfers", token)
        assert (refused.status, 'scope="pay transfer"' in challenge(refused)) == (403, True)
        assert ask(world, authz, "GET", "/admin", token).status == 403
        assert ask(world, authz, "GET", "/articles/1").status == 401
    now[0] += 60 + 30  # and the leeway
    expired = ask(world, authz, "GET", "/articles/1", token)
    assert (expired.status, 'error="invalid_token"' in challenge(expired)) == (401, True)


SCOPES = {
    "in order": ("pay transfer", 200),
    "the other way round": ("transfer pay", 200),
    "among others, more spaces": ("  x pay   transfer ", 200),
    "twice": ("pay pay transfer", 200),
    "another case": ("PAY transfer", 403),
    "one that begins so": ("payments transfer", 403),
    "joined by a comma": ("pay,transfer", 403),
    "joined by a tab": ("pay\ttransfer", 403),
    "another normal form": ("pay trans\ufb01er", 403),
    "empty": ("", 403),
    "absent": (None, 403),
    "an object": ({"pay": True, "transfer": True}, 403),
}


@BOTH
@pytest.mark.parametrize(("scope", "status"), SCOPES.values(), ids=SCOPES)
def test_scopes_are_a_set_of_words(world, scope, status, authz, issuer):
    """B18, B14, V09."""
    sent = ask(world, authz, "POST", "/transfers", bearer(issuer.mint(scope=scope)))
    assert sent.status == status
    if status == 403:
        assert challenge(sent).endswith('error="insufficient_scope", scope="pay transfer"')


NAMES = {
    "CVE-2026-39350 a dot is no wildcard": ("cert-managerXio", "cert-manager.io"),
    "CVE-2026-40574 two signs": ("a@evil@company.com", "a@company.com"),
    "another case": ("Admin", "admin"),
    "a space behind": ("admin ", "admin"),
    "NUL behind": ("admin\0", "admin"),
    "another normal form": ("\u212aeeper", "Keeper"),
    "several in one string": ("x admin", "admin"),
    "a pattern": (".*", "admin"),
    "a star": ("*", "admin"),
}


@BOTH
@pytest.mark.parametrize(("held", "wanted"), NAMES.values(), ids=NAMES)
def test_roles_are_compared_whole(world, held, wanted, issuer, clock):
    """T10: a role that looks like another one in part is another one."""
    issuers = [issuer.policy_issuer(claims={"roles": "groups"})]
    authz = Authz.from_mapping({"issuers": issuers, "routes": {"GET /": [wanted]}}, clock=clock)
    for groups, status in ((held, 403), ([held], 403), (wanted, 200), ([held, wanted], 200)):
        assert ask(world, authz, "GET", "/", bearer(issuer.mint(groups=groups))).status == status


@BOTH
def test_claims_are_handed_on_as_they_are(world, authz, issuer):
    """J11, T12: unknown ones too; they change nothing by being there."""
    claims = {
        "acr": "urn:mfa",
        "amr": ["pwd", "otp"],
        "auth_time": int(issuer.clock()) - 9,
        "https://shop.example/tier": {"level": 3},
        "admin": True,
    }
    sent = ask(world, authz, "GET", "/me", bearer(issuer.mint("ann", **claims)))
    held = dict(sent.access.principal.claims)
    assert {name: held[name] for name in claims} == claims | {
        "amr": ("pwd", "otp"),  # lists are frozen
    }
    assert ask(world, authz, "GET", "/admin", bearer(issuer.mint("ann", **claims))).status == 403


@BOTH
def test_an_identity_is_an_issuer_and_a_subject(world, clock, issuer):
    """P08, P09: one name at two issuers is two callers, with the roles that each may give.

    GHSA-4mq7-pvjg-xp2r (Oathkeeper): what is remembered of one issuer's token is not another's.
    """
    partner = DevelopmentIssuer("https://partner.example", "orders-api", clock=clock)
    authz = Authz.from_mapping(
        {
            "issuers": [
                issuer.policy_issuer(grants=["admin"]),
                partner.policy_issuer(grants=["viewer"]),
            ],
            "routes": {"GET /me": "authenticated", "GET /admin": ["admin"]},
        },
        clock=clock,
    )
    for minted, status in ((issuer, 200), (partner, 403)):
        token = bearer(minted.mint("ann", roles=["admin", "viewer"]))
        principal = ask(world, authz, "GET", "/me", token).access.principal
        assert (principal.subject, principal.issuer) == ("ann", minted.issuer)
        assert ask(world, authz, "GET", "/admin", token).status == status
    forged = partner.mint("ann", roles=["admin"], iss=issuer.issuer)
    assert ask(world, authz, "GET", "/me", bearer(forged)).status == 401


@BOTH
def test_two_fields_in_either_order(world, authz, issuer):
    """H04, CVE-2026-31838 (Istio), CVE-2026-26308 (Envoy): neither first nor last counts."""
    good, bad = bearer(issuer.mint(roles=["admin"])), bearer(issuer.expired(roles=["admin"]))
    for headers in ([*good, *bad], [*bad, *good], [*good, *good]):
        sent = ask(world, authz, "GET", "/admin", headers)
        assert (sent.status, challenge(sent)) == (
            400,
            'Bearer realm="orders", error="invalid_request"',
        )


@BOTH
def test_a_name_with_a_wrong_password_is_nobody(world, authz):
    """B11: as flask-authz 2.9.0 does not have it, `Basic admin:WRONG` is no administrator."""
    basic = [("Authorization", "Basic YWRtaW46V1JPTkc=")]
    sent = ask(world, authz, "GET", "/admin", basic)
    assert (sent.status, challenge(sent)) == (401, 'Bearer realm="orders"')
    assert ask(world, authz, "GET", "/health", basic).access.principal is None
