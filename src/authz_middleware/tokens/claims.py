"""What the header and the claims of a token must say, and the principal they make.

RFC 7519 §4.1 and §7.2, RFC 8725 §3, RFC 9068 §4, RFC 8693 §4.1. Rules that follow from the
clock are kept apart (`check_times`): they are looked at again whenever a remembered token is
used. Everything here is for tokens whose signature was good.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeGuard, cast

from authz_middleware.facts import Actor, Claims, Principal
from authz_middleware.tokens import marks, media_types
from authz_middleware.tokens.claim_paths import ClaimPath, follow
from authz_middleware.tokens.issuers import Issuer
from authz_middleware.tokens.rejection import Rejected

__all__ = [
    "Verified",
    "check_header",
    "check_times",
    "told",
    "verify_claims",
    "verify_members",
]

# RFC 8693 §4.2: `scope` is a list in one string. It stays one if it is read for permissions.
_SCOPE: ClaimPath = ("scope",)
_TEXT = frozenset({str})


class Verified(NamedTuple):
    """A token that is good from `valid_from` until just before `valid_until`.

    Both are seconds since the epoch, with the issuer's leeway already in them.
    """

    principal: Principal
    valid_from: float
    valid_until: float


def check_header(header: Mapping[str, Any], issuer: Issuer) -> None:
    """Raise Rejected unless the issuer's tokens may have this `alg` and this `typ`."""
    if header["alg"] not in issuer.algorithms:  # RFC 8725 §3.1: an allow-list, per issuer
        raise Rejected("algorithm_not_allowed")
    typ = header.get("typ")
    # RFC 8725 §3.12: what keeps ID tokens, logout tokens and proofs from posing as access tokens.
    if ("" if typ is None else media_types.normalise(typ)) not in issuer.token_types:
        raise Rejected("type_not_allowed")


def verify_claims(
    payload: dict[str, Any], header: Mapping[str, Any], issuer: Issuer, now: float
) -> Verified:
    """Return what the token proves at `now`, or raise Rejected."""
    check_header(header, issuer)
    if payload.get("iss") != issuer.issuer:  # by code point: RFC 7519 §7.3
        raise Rejected("wrong_issuer")
    return verify_members(payload, issuer, now)


def verify_members(payload: dict[str, Any], issuer: Issuer, now: float) -> Verified:
    """Return what claims that are `issuer`'s own prove at `now`, or raise Rejected."""
    # Before the audience: an ID token must not look as if an audience were missing in the policy.
    if not marks.borne(issuer.mark, payload):
        raise Rejected("not_an_access_token")
    if not marks.borne(issuer.tenant, payload):
        raise Rejected("wrong_tenant")
    _check_audience(payload, issuer)
    verified = _verified(payload, issuer)
    check_times(verified, now)
    return verified


def check_times(verified: Verified, now: float) -> None:
    """Raise Rejected unless `now` lies in the token's time (RFC 7519 §4.1.4-5)."""
    if now >= verified.valid_until:
        raise Rejected("expired")
    if now < verified.valid_from:
        raise Rejected("not_yet_valid")


def told(payload: dict[str, Any], subject: str, issuer: Issuer, now: float) -> Verified:
    """Return whom somebody means who has verified a token of `issuer` himself, or raise Rejected.

    His are the signature, the audience and the kind of the token. What is known of its time still
    holds, and names are found where the issuer's tokens have them.
    """
    issued_at, not_before, expires_at = (_time(payload, name) for name in ("iat", "nbf", "exp"))
    expires = math.inf if expires_at is None else expires_at
    principal = _principal(payload, subject, issuer, expires)
    verified = _within(principal, issued_at, not_before, expires, issuer.leeway)
    check_times(verified, now)
    return verified


def _verified(payload: dict[str, Any], issuer: Issuer) -> Verified:
    expires_at = _time(payload, "exp")
    if expires_at is None:
        raise Rejected("missing_claim:exp")
    issued_at = _time(payload, "iat")
    not_before = _time(payload, "nbf")
    for name in ("sub", "jti"):  # RFC 7519 §4.1.2 and §4.1.7, wherever the subject is read
        if name in payload and not isinstance(payload[name], str):
            raise Rejected(f"bad_claim:{name}")
    # RFC 7800 §3.1: the token is bound to a key whose possession nobody here can check.
    if "cnf" in payload:
        raise Rejected("proof_of_possession_unsupported")
    for name in issuer.required_claims:
        if payload.get(name) is None:
            raise Rejected(f"missing_claim:{name}")
    if issuer.max_lifetime is not None:
        if issued_at is None:
            raise Rejected("missing_claim:iat")
        if expires_at - issued_at > issuer.max_lifetime:
            raise Rejected("lifetime_too_long")
    principal = _principal(payload, _subject(payload, issuer), issuer, expires_at)
    return _within(principal, issued_at, not_before, expires_at, issuer.leeway)


def _within(
    principal: Principal,
    issued_at: float | None,
    not_before: float | None,
    expires_at: float,
    leeway: float,
) -> Verified:
    starts = -math.inf if issued_at is None else issued_at
    if not_before is not None and not_before > starts:
        starts = not_before
    return Verified(principal, starts - leeway, expires_at + leeway)


def _subject(payload: Mapping[str, Any], issuer: Issuer) -> str:
    path = issuer.claims.subject
    subject = follow(payload, path)
    if not isinstance(subject, str) or not subject:
        state = "missing" if subject is None else "bad"
        raise Rejected(f"{state}_claim:{'.'.join(path)}")
    return subject


def _principal(
    payload: dict[str, Any], subject: str, issuer: Issuer, expires_at: float
) -> Principal:
    paths = issuer.claims
    spaced = paths.scopes
    return Principal(
        subject=subject,
        issuer=issuer.issuer,
        roles=_roles(_names(payload, paths.roles, spaced), issuer),
        permissions=frozenset(_names(payload, paths.permissions, spaced)),
        scopes=frozenset(_names(payload, paths.scopes, spaced)),
        claims=Claims.freeze(payload),
        expires_at=expires_at,
        actor=_actor(payload),
    )


def _roles(names: set[str], issuer: Issuer) -> frozenset[str]:
    """Our roles for the provider's: through the map, then no more than the issuer may grant."""
    if issuer.role_map is not None:
        names = {issuer.role_map[name] for name in names if name in issuer.role_map}
    if issuer.grants is not None:
        names &= issuer.grants
    return frozenset(names)


def _check_audience(payload: Mapping[str, Any], issuer: Issuer) -> None:
    """The claim that names this service; and `aud` wherever it is there (RFC 7519 §4.1.3)."""
    claim = issuer.audience_claim
    if claim not in payload:
        raise Rejected(f"missing_claim:{claim}")
    for name in ("aud",) if claim == "aud" else (claim, "aud"):
        if name not in payload:
            continue
        named = payload[name]
        if isinstance(named, str):
            named = [named]
        elif name != "aud" or not _is_text_list(named):
            raise Rejected(f"bad_claim:{name}")
        # Whole values only; no prefix, no case folding.
        if issuer.audience.isdisjoint(named):
            raise Rejected("wrong_audience")


def _time(payload: Mapping[str, Any], name: str) -> float | None:
    """A NumericDate (RFC 7519 §2), or None if the claim is absent."""
    if name not in payload:
        return None
    value = payload[name]
    # A boolean is an int to Python, and `"1"` a date to others.
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Rejected(f"bad_claim:{name}")
    try:
        seconds = float(value)
    except OverflowError:
        raise Rejected(f"bad_claim:{name}") from None
    if not math.isfinite(seconds):
        raise Rejected(f"bad_claim:{name}")
    return seconds


def _actor(payload: Mapping[str, Any]) -> Actor | None:
    """The outermost `act`; what is nested in it is history and decides nothing (RFC 8693 §4.1)."""
    if "act" not in payload:
        return None
    act = payload["act"]
    if not isinstance(act, dict):
        raise Rejected("bad_claim:act")
    members = cast("dict[str, Any]", act)
    subject, issuer = members.get("sub"), members.get("iss")
    if not isinstance(subject, (str, type(None))) or not isinstance(issuer, (str, type(None))):
        raise Rejected("bad_claim:act")
    return Actor(subject, issuer)


def _names(
    payload: Mapping[str, Any], paths: Iterable[ClaimPath], spaced: tuple[ClaimPath, ...]
) -> set[str]:
    """The names that stand at any of `paths`. Whatever is not text or a list of it is nothing."""
    names: set[str] = set()
    for path in paths:
        value = follow(payload, path)
        if isinstance(value, str):
            if path in spaced or path == _SCOPE:
                names.update(value.split(" "))
            else:
                names.add(value)
        elif _is_text_list(value):
            names.update(value)
    names.discard("")
    return names


def _is_text_list(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and _TEXT.issuperset(map(type, cast("list[object]", value)))
