"""What an issuer's table may say, and seldom should: odd keys, odd types of tokens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from authz_middleware.errors import Notice
from authz_middleware.tokens.certificates import concerns
from authz_middleware.tokens.issuers import Discovery, Issuer, JwksUri, StaticKeys
from authz_middleware.tokens.marks import NO_MARK

if TYPE_CHECKING:
    from authz_middleware.document import Section

__all__ = ["KINDS", "review"]

KINDS = ("certificate-dates", "insecure-key", "keys-over-http", "odd-token-type")


_FIX = "ask the issuer which key it signs with today"


def review(section: Section, issuer: Issuer, now: float) -> Iterator[Notice]:
    """Yield what looks like a mistake in one table of [[issuers]], which is that of `issuer`.

    At `now`, in seconds since the epoch.
    """
    name = issuer.issuer
    match issuer.source:
        case StaticKeys(keys, certificates):
            for note in keys.notes:
                yield Notice("insecure-key", name, section.where(), f"of its keys, {note}")
            for certified in certificates:
                for what, dates in concerns(certified, now):
                    kind = "certificate-dates" if dates else "insecure-key"
                    said = f"of its keys, {what}; the key is used all the same"
                    yield Notice(kind, name, section.where(), said, _FIX)
        case JwksUri(url=url) if urlsplit(url).scheme == "http":
            yield _plain(section, name, "jwks_uri", url)
        case Discovery() if urlsplit(name).scheme == "http":
            yield _plain(section, name, "issuer", name)
        case _:
            pass
    if issuer.mark == NO_MARK and not issuer.required_claims and "token_types" in section:
        odd = sorted(issuer.token_types & {"", "jwt"})
        if odd:
            named = " or ".join(f'"{each}"' for each in odd)
            yield Notice(
                "odd-token-type",
                name,
                section.where("token_types"),
                f"a token of type {named} may be an ID token, which is no proof that its bearer may"
                " call this service (RFC 8725 §3.12)",
                "let the issuer send `at+jwt` (RFC 9068), use its `preset`, or name with"
                " `required_claims` what its ID tokens lack",
            )


def _plain(section: Section, name: str, key: str, url: str) -> Notice:
    return Notice(
        "keys-over-http",
        name,
        section.where(key),
        f"its keys come unprotected over {url}",
        "write https; plain http is for tests on one machine",
    )
