"""How an issuer is asked about its opaque tokens, as its table in the policy says.

RFC 7662 §2.1 (the call is authenticated), RFC 6749 §2.3.1 (how a client says who it is),
RFC 6750 §2.1. Secrets come from the environment or from a file, never from the policy's text.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import quote_plus

from authz_middleware.tokens import key_sources
from authz_middleware.tokens.credentials import B64TOKEN, VSCHAR, secret_text
from authz_middleware.tokens.key_sources import ReadFile

if TYPE_CHECKING:
    from authz_middleware.document import Section

__all__ = [
    "DEFAULT_CACHE",
    "INTROSPECTION_KEYS",
    "MAX_CACHE",
    "Introspection",
    "check_prefixes",
    "read",
]

# Seconds that an answer is believed: a token that its issuer has revoked works for that long.
DEFAULT_CACHE: Final = 30.0
MAX_CACHE: Final = 60.0

_CLIENT: Final = ("client_id", "client_secret_env", "client_secret_file")
_BEARER: Final = ("bearer_token_env", "bearer_token_file")
INTROSPECTION_KEYS: Final = ("endpoint", "auth", *_CLIENT, *_BEARER, "cache")

# RFC 6750 §2.1. What a prefix holds besides could be in no token, so the `=` is not here.
_PREFIX: Final = re.compile(r"[A-Za-z0-9._~+/-]+")


@dataclass(frozen=True, slots=True)
class Introspection:
    """Where one issuer is asked about tokens, and how we say who asks."""

    issuer: str
    endpoint: str
    prefix: str = ""  # what its opaque tokens begin with; "" if the policy does not say
    cache: float = DEFAULT_CACHE  # seconds; 0 asks each time
    authorization: str | None = field(default=None, repr=False)  # the field's value
    form: tuple[tuple[str, str], ...] = field(default=(), repr=False)  # beside the token


def read(
    section: Section, issuer: str, *, read_file: ReadFile, environ: Mapping[str, str]
) -> Introspection | None:
    """The table `introspection` of an issuer, or None if it was reported as unusable."""
    before = len(section.report.problems)
    prefix = section.text("prefix", "", example="tok_")
    if prefix and not _PREFIX.fullmatch(prefix):
        section.error(
            "prefix",
            "no bearer token can begin with this `prefix`",
            "use letters, digits and `-._~+/` (RFC 6750 §2.1)",
        )
    table = section.table("introspection")
    if table is None:
        return None
    table.only(INTROSPECTION_KEYS)
    endpoint = _endpoint(table)
    authorization, form = _authentication(table, read_file, environ)
    introspection = Introspection(issuer, endpoint, prefix, _cache(table), authorization, form)
    return introspection if len(section.report.problems) == before else None


def check_prefixes(found: Sequence[tuple[Section, Introspection]]) -> None:
    """Report issuers between which an opaque token could not choose."""
    if len(found) < 2:
        return
    for index, (section, introspection) in enumerate(found):
        if not introspection.prefix:
            section.error(
                None,
                "with several issuers of opaque tokens each needs a `prefix`",
                'write what its tokens begin with: `prefix = "…"`',
            )
            continue
        for _, other in found[:index]:
            shorter, longer = sorted((introspection.prefix, other.prefix), key=len)
            if shorter and longer.startswith(shorter):
                section.error(
                    "prefix",
                    f'`prefix` and that of {other.issuer}, "{other.prefix}", fit the same tokens',
                    "no prefix may begin with another",
                )


def _endpoint(table: Section) -> str:
    endpoint = table.text("endpoint", "", example="https://login.example.com/introspect")
    if "endpoint" not in table:
        table.error(None, "`endpoint` is missing", "write the URL of the introspection endpoint")
    elif endpoint and (problem := key_sources.url_problem(endpoint)):
        table.error("endpoint", f"`endpoint` {problem[0]}", problem[1])
    return endpoint


def _cache(table: Section) -> float:
    cache = table.number("cache", DEFAULT_CACHE, unit="seconds")
    if not 0 <= cache <= MAX_CACHE:
        table.error(
            "cache",
            f"`cache` must be from 0 to {MAX_CACHE:.0f} seconds",
            "write one of these: a revoked token works for as long; 0 asks each time",
        )
    return cache


def _authentication(
    table: Section, read_file: ReadFile, environ: Mapping[str, str]
) -> tuple[str | None, tuple[tuple[str, str], ...]]:
    """The Authorization field's value and the members of the form that say who asks."""
    auth = table.text("auth", "basic", example="basic")
    if auth not in ("basic", "post", "bearer"):
        table.error("auth", f'`auth` cannot be "{auth}"', 'write "basic", "post" or "bearer"')
        return None, ()
    for name in _CLIENT if auth == "bearer" else _BEARER:
        if name in table:
            fix = 'write `auth = "bearer"`, or leave it out' if name in _BEARER else "leave it out"
            table.error(name, f'`{name}` is not for `auth = "{auth}"`', fix)
    if auth == "bearer":
        token = secret_text(table, "bearer_token", B64TOKEN, read_file, environ)
        return f"Bearer {token}", ()
    client = table.text("client_id", "", example="orders-api")
    if "client_id" not in table:
        table.error(None, "`client_id` is missing", "write who we are to this issuer")
    elif client and not VSCHAR.fullmatch(client):
        what = "`client_id` is printable ASCII (RFC 6749 Appendix A.1)"
        table.error("client_id", what, "write it as the issuer registered it")
    secret = secret_text(table, "client_secret", VSCHAR, read_file, environ)
    if auth == "post":
        return None, (("client_id", client), ("client_secret", secret))
    # RFC 6749 §2.3.1: each is encoded as in a form, and only then joined.
    pair = f"{quote_plus(client)}:{quote_plus(secret)}"
    return f"Basic {b64encode(pair.encode()).decode('ascii')}", ()
