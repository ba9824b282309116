"""The prototype is an honest one, and what is measured around it does what it should."""

from __future__ import annotations

import jwt
import pytest
from cryptography.exceptions import InvalidSignature

from benchmarks.calling import asgi_status, bare_wsgi, event_loop, wsgi_batch, wsgi_status
from benchmarks.contenders import Contenders, cold_prototype
from benchmarks.material import ALGORITHMS, CLAIMS, Request, policy, signer
from benchmarks.peers import PATH, ROLE
from benchmarks.prototype import AsgiPrototype, Known, Prototype, WsgiPrototype
from benchmarks.raw import decode_batch, raw_batch

TOKEN = "a.b.c"


@pytest.fixture
def prototype() -> Prototype:
    made = Prototype({"GET /items": ["viewer"], "GET /items/<int:id>": ["editor"]})
    made.learn(TOKEN, Known(4e9, frozenset({"viewer"}), {}))
    made.learn("old", Known(1.0, frozenset({"viewer"}), {}))
    return made


@pytest.mark.parametrize(
    ("method", "path", "authorization", "expected"),
    [
        ("GET", "/items", "Bearer a.b.c", 200),
        ("GET", "/items", "", 401),
        ("GET", "/items", "Basic a.b.c", 401),
        ("GET", "/items", "Bearer a.b.d", 401),
        ("GET", "/items", "Bearer old", 401),
        ("GET", "/items/7", "Bearer a.b.c", 403),
        ("GET", "/items/x", "Bearer a.b.c", 403),
        ("GET", "/", "Bearer a.b.c", 403),
        ("PUT", "/items", "Bearer a.b.c", 403),
    ],
)
def test_the_prototype_decides(prototype, method, path, authorization, expected):
    found = prototype.admitted(method, path, authorization.encode())
    assert (200 if isinstance(found, Known) else found) == expected


def test_the_prototype_hands_the_caller_on_and_leaves_the_scope_alone(prototype):
    seen = []

    async def app(scope, _receive, send):
        seen.append(scope["authz"])
        await send({"type": "http.response.start", "status": 200, "headers": []})

    with event_loop() as loop:
        assert asgi_status(loop, AsgiPrototype(app, prototype), Request("/items", TOKEN)) == 200
        assert asgi_status(loop, AsgiPrototype(app, prototype), Request("/items", None)) == 401
    assert [each.roles for each in seen] == [{"viewer"}]
    assert wsgi_status(WsgiPrototype(bare_wsgi, prototype), Request("/items", TOKEN)) == 200
    assert wsgi_status(WsgiPrototype(bare_wsgi, prototype), Request("/items", "x")) == 401


def test_ours_and_the_prototype_agree_on_what_is_measured():
    with event_loop() as loop:
        Contenders(signer("ES256"), 100).check(loop)


def test_the_prototype_of_the_cold_path_verifies():
    issuer = signer("RS256")
    claims = {**CLAIMS, "roles": [ROLE]}
    good, other = issuer.mint(role=ROLE), signer("ES256").mint(role=ROLE)
    cases = [(good, 200), (good, 200), (issuer.mint(role="nobody"), 403)]
    bad = [issuer.forge(claims), other, good[:-8], "a.b.c", "no token"]
    bad += [issuer.sign({**claims, name: "x"}) for name in ("iss", "aud")]
    bad.append(issuer.sign({**claims, "exp": 1}))
    with event_loop() as loop:
        prototype = cold_prototype(policy([issuer.issuer]), issuer)
        for token, status in [*cases, *((token, 401) for token in bad)]:
            assert asgi_status(loop, prototype, Request(PATH, token)) == status


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_raw_work_is_a_verification_that_a_forgery_fails(algorithm):
    issuer = signer(algorithm)
    good, forged = issuer.distinct(2), [issuer.forge({**CLAIMS, "roles": [ROLE]})]
    assert len(set(good)) == 2
    for batch in (raw_batch, decode_batch):
        assert batch(issuer, good)(2) >= 0
    with pytest.raises(InvalidSignature):
        raw_batch(issuer, forged)(1)
    with pytest.raises(jwt.InvalidSignatureError):
        decode_batch(issuer, forged)(1)


def test_a_batch_of_new_tokens_never_sends_one_twice():
    asked = [Request(PATH, token) for token in signer("ES256").distinct(3)]
    batch = wsgi_batch(lambda: bare_wsgi, asked)
    assert batch(2) >= 0
    with pytest.raises(ValueError, match="not new"):
        batch(3)


@pytest.mark.parametrize("number", [10, 100])
def test_a_policy_has_as_many_rules_as_it_says(number):
    assert len(policy([], number)["routes"]) == number
