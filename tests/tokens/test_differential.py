"""Our claim rules beside PyJWT's `jwt.decode`: we may be stricter, never more lenient."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import patch

import jwt
import jwt.api_jwt
from hypothesis import event, given
from hypothesis import strategies as st

from authz_middleware.tokens.compact import parse
from authz_middleware.tokens.keys import from_jwks
from authz_middleware.tokens.rejection import Rejected
from authz_middleware.tokens.verify import verify
from tests.tokens.minting import ISSUER, NOW, issuer, jwk, public_key, raw

KEYS = from_jwks({"keys": [jwk("ES256")]})


class FrozenTime:
    """Stands in for `datetime` in PyJWT, whose clock is read inside."""

    @staticmethod
    def now(tz: object = None) -> FrozenTime:
        return FrozenTime()

    @staticmethod
    def timestamp() -> float:
        return NOW


def ours(token: str, leeway: float) -> dict[str, Any] | None:
    try:
        verified = verify(parse(token), issuer(leeway=leeway), KEYS, NOW)
    except Rejected:
        return None
    return dict(verified.principal.claims)


def theirs(token: str, leeway: float) -> dict[str, Any] | None:
    with patch.object(jwt.api_jwt, "datetime", FrozenTime):
        try:
            return jwt.decode(
                token,
                public_key("ES256"),
                algorithms=["ES256"],
                audience="orders",
                issuer=ISSUER,
                leeway=leeway,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.InvalidTokenError:
            return None


# PyJWT rounds fractions down; ours counts them. Whole seconds are where the two must agree.
near = st.integers(-40, 40).map(lambda seconds: int(NOW) + seconds)
odd: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, "", "0", str(int(NOW) + 9), [], {}, 10**400, 1e308]
)
when = near | odd
text = st.sampled_from(["orders", "order", "ORDERS", "x", "", None, 0, ISSUER, ISSUER + "/"])
claims = st.fixed_dictionaries(
    {},
    optional={
        "iss": st.just(ISSUER) | text,
        "aud": st.just("orders") | text | st.lists(text, max_size=2),
        "sub": st.just("ann") | text,
        "exp": when,
        "nbf": when,
        "iat": when,
        "jti": st.sampled_from(["1", 1]),
    },
)
GOOD = {"iss": ISSUER, "aud": ["orders"], "sub": "ann", "exp": int(NOW) + 9}


@given(claims | claims.map(lambda some: GOOD | some), st.sampled_from([0, 30]))
def test_whatever_we_accept_pyjwt_accepts(payload: dict[str, Any], leeway: int) -> None:
    token = raw(b'{"alg":"ES256","typ":"at+jwt"}', json.dumps(payload).encode())
    mine, other = ours(token, leeway), theirs(token, leeway)
    event(f"ours {mine is not None}, PyJWT {other is not None}")
    if mine is not None:
        assert json.dumps(other, sort_keys=True) == json.dumps(mine, sort_keys=True)


plain = st.fixed_dictionaries(
    {
        "iss": st.sampled_from([ISSUER, ISSUER + "/"]),
        "aud": st.sampled_from(["orders", "x", ["orders"], ["x"], ["x", "orders"], []]),
        "sub": st.just("ann"),
        "exp": near,
    },
    optional={"nbf": near, "iat": near},
)


@given(plain, st.sampled_from([0, 30]))
def test_on_well_formed_claims_both_say_the_same(payload: dict[str, Any], leeway: int) -> None:
    token = raw(b'{"alg":"ES256","typ":"at+jwt"}', json.dumps(payload).encode())
    assert (ours(token, leeway) is None) == (theirs(token, leeway) is None)


def test_both_accept_something() -> None:
    token = raw(b'{"alg":"ES256","typ":"at+jwt"}', json.dumps(GOOD).encode())
    assert ours(token, 0) is not None
    assert theirs(token, 0) is not None
