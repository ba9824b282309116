"""From an unverified token to a verified one: issuer first, then key, signature and claims.

RFC 7519 §7.2, RFC 8725 §3.8: the keys that are looked at belong to the issuer the token names,
and to no other.
"""

from __future__ import annotations

from collections.abc import Mapping

from authz_middleware.tokens import signature, tenants
from authz_middleware.tokens.claims import Verified, check_header, verify_claims
from authz_middleware.tokens.compact import Unverified
from authz_middleware.tokens.development import is_development_key
from authz_middleware.tokens.issuers import Introspection, Issuer
from authz_middleware.tokens.keys import KeySet, VerificationKey
from authz_middleware.tokens.rejection import Rejected

__all__ = ["identify", "issued_since", "names_key", "needs_key", "verify"]


def identify(unverified: Unverified, issuers: Mapping[str, Issuer]) -> Issuer:
    """Return the issuer that the token names, or raise Rejected.

    The header is held against the issuer's rules here already, so that a token which could
    never be accepted makes nobody fetch keys. An issuer that is asked about its tokens has none.
    """
    payload = unverified.payload
    if "iss" not in payload:
        raise Rejected("missing_claim:iss")
    name = payload["iss"]
    if not isinstance(name, str):
        raise Rejected("bad_claim:iss")
    issuer = issuers.get(name)
    if issuer is None:
        raise Rejected("unknown_issuer")
    if not isinstance(issuer.source, Introspection):
        check_header(unverified.header, issuer)
    return issuer


def needs_key(unverified: Unverified, keys: KeySet) -> bool:
    """Whether a newer key set might hold the token's key: then it may be worth a fetch."""
    kid = unverified.header.get("kid")
    if kid is not None and keys.uses_kids and not keys.has_kid(kid):
        return True
    return unverified.header["alg"] not in keys.algorithms


def names_key(unverified: Unverified, keys: KeySet) -> bool:
    """Whether the token names its key, and the set holds it."""
    kid = unverified.header.get("kid")
    return kid is not None and keys.has_kid(kid)


def issued_since(unverified: Unverified, issuer: Issuer, moment: float) -> bool:
    """Whether the token may have been issued after `moment`, by what it says itself.

    That is not verified; but who lies only waits longer for his 401.
    """
    issued = unverified.payload.get("iat")
    if isinstance(issued, bool) or not isinstance(issued, (int, float)):
        return True
    return issued + 1 > moment - issuer.leeway  # its fraction of a second may have been cut off


def verify(unverified: Unverified, issuer: Issuer, keys: KeySet, now: float) -> Verified:
    """Return what the token proves at `now`, or raise Rejected. `keys` are the issuer's."""
    header = unverified.header
    check_header(header, issuer)
    algorithm: str = header["alg"]
    candidates = keys.candidates(algorithm, header.get("kid"))
    if issuer.tenant_id:
        candidates = _of_tenant(candidates, issuer.tenant_id)
    if not candidates:
        raise Rejected("unknown_key")
    for key in candidates:
        if is_development_key(key.kid) and not issuer.development_keys:
            raise Rejected("development_key")
    for key in candidates:
        if signature.verify(algorithm, key.key, unverified.signing_input, unverified.signature):
            return verify_claims(unverified.payload, header, issuer, now)
    raise Rejected("bad_signature")


def _of_tenant(keys: tuple[VerificationKey, ...], tenant: str) -> tuple[VerificationKey, ...]:
    return tuple(key for key in keys if tenants.signs_for(key.issuer, tenant))
